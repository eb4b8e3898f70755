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

#[test]
fn a_cursor_holds_so_many_messages_in_work() {
    let request = request();
    let mut run = run(&request);
    for message in 0..PARTS_MAX + 5 {
        run.remember(Part {
            message_id: message.to_string(),
            after: None,
            done: Vec::new(),
            ended: 0,
            trimmed: false,
        });
    }
    run.stop(Stopped::RecordsMax);
    assert_eq!(run.finish().response.cursor.unwrap().parts.len(), PARTS_MAX);
}

#[test]
fn batches_without_an_end_stop_the_call_only_when_they_failed_one_after_the_other() {
    let request = request();
    let mut run = run(&request);
    for _ in 0..3 {
        (1..FAILED_BATCHES_MAX).for_each(|_| run.batch_done(0, 5));
        run.batch_done(1, 5);
    }
    (0..10).for_each(|_| run.batch_done(0, 0));
    assert!(!run.is_stopped());
    (0..FAILED_BATCHES_MAX).for_each(|_| run.batch_done(0, 5));
    assert_eq!((run.stopped, run.problems.len()), (Some(Stopped::Error), 1));
}

#[test]
fn recovery_counts_from_the_oldest_record() {
    let request = request();
    let mut run = run(&request);
    [NOW_MS - 5, NOW_MS - 9, NOW_MS - 7]
        .into_iter()
        .for_each(|arrival_ms| run.recovered(arrival_ms));
    assert_eq!(run.finish().stats.oldest_arrival_ms, Some(NOW_MS - 9));
}

#[test]
fn a_message_that_was_looked_at_is_known_by_its_own_id() {
    let request = request();
    let mut run = run(&request);
    run.keep("one", String::new());
    assert!(!run.is_new("one", NOW_MS) && run.is_new("another", NOW_MS));
    assert!(!run.is_new("another", NOW_MS + 1), "sent after the run began");
}
