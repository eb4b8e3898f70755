//! What a call remembers, and how much of it.

use super::*;

const NOW_MS: i64 = 1_790_000_000_000;

fn run(request: &Request) -> Run<'_> {
    Run::new(request, &RedriveConfig::default(), NOW_MS, NOW_MS + 60_000)
}

fn request() -> Request {
    Request::new(Source::DeadLetter)
}

#[test]
fn messages_are_hidden_until_the_call_is_surely_over() {
    let request = request();
    let run = run(&request);
    assert_eq!(run.hidden_s(NOW_MS), 60 + 30);
    assert_eq!(run.hidden_s(NOW_MS + 50_500), 39);
    assert_eq!(run.hidden_s(NOW_MS + 1_000_000), 1, "never less than a second");
    // However much time the caller gives, a call is over after fifteen minutes.
    let long = Run::new(&request, &RedriveConfig::default(), NOW_MS, i64::MAX);
    assert_eq!(long.hidden_s(NOW_MS), 15 * 60 + 30);
}

#[test]
fn an_answer_holds_so_many_problems_and_the_number_of_the_others() {
    for (problems, told, last) in [
        (PROBLEMS_MAX - 1, PROBLEMS_MAX - 1, "98"),
        (PROBLEMS_MAX, PROBLEMS_MAX, "and 1 further problems"),
        (PROBLEMS_MAX + 50, PROBLEMS_MAX, "and 51 further problems"),
    ] {
        let request = request();
        let mut run = run(&request);
        for number in 0..problems {
            run.problem(Problem::new(ErrorCode::RecordsNotRedriven, None, number.to_string()));
        }
        let found = run.finish().response.problems;
        assert_eq!((found.len(), found[told - 1].detail.as_str()), (told, last));
    }
}

fn overflown(keep: impl Fn(&mut Run<'_>, usize), messages: usize) -> (Option<Stopped>, usize) {
    let request = request();
    let mut run = run(&request);
    for message in 0..messages {
        keep(&mut run, message);
    }
    (run.stopped, run.problems.len())
}

#[test]
fn a_call_holds_so_many_messages_and_stops_with_one_problem() {
    let hold = |run: &mut Run<'_>, message: usize| run.hold(message.to_string());
    assert_eq!(overflown(hold, HELD_MESSAGES_MAX - 1), (None, 0));
    assert_eq!(overflown(hold, HELD_MESSAGES_MAX), (Some(Stopped::Error), 1));
    assert_eq!(overflown(hold, HELD_MESSAGES_MAX + 5), (Some(Stopped::Error), 1));
}

#[test]
fn a_run_remembers_so_many_messages_and_stops_before_it_forgets_one() {
    let keep = |run: &mut Run<'_>, message: usize| {
        run.keep(&message.to_string(), String::new());
        let _ = run.take_held();
    };
    assert_eq!(overflown(keep, SEEN_MESSAGES_MAX), (None, 0));
    assert_eq!(overflown(keep, SEEN_MESSAGES_MAX + 1), (Some(Stopped::Error), 1));
}

#[test]
fn the_first_reason_to_stop_stands() {
    let request = request();
    let mut run = run(&request);
    run.stop(Stopped::RecordsMax);
    (0..HELD_MESSAGES_MAX).for_each(|_| run.hold(String::new()));
    let response = run.finish().response;
    assert_eq!((response.stopped, response.problems.len()), (Stopped::RecordsMax, 0));
}
