//! What a call remembers, and how much of it.

use super::*;

const NOW_MS: i64 = 1_790_000_000_000;

fn call(request: &Request) -> Call<'_> {
    Call::new(request, &RedriveConfig::default(), NOW_MS, NOW_MS + 60_000)
}

fn request() -> Request {
    Request::new(Source::DeadLetter)
}

#[test]
fn messages_are_hidden_until_the_call_is_surely_over() {
    let request = request();
    let call = call(&request);
    assert_eq!(call.hidden_s(NOW_MS), 60 + 30);
    assert_eq!(call.hidden_s(NOW_MS + 50_500), 39);
    assert_eq!(call.hidden_s(NOW_MS + 1_000_000), 1, "never less than a second");
    // However much time the caller gives, a call is over after fifteen minutes.
    let long = Call::new(&request, &RedriveConfig::default(), NOW_MS, i64::MAX);
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
        let mut call = call(&request);
        for number in 0..problems {
            call.problem(Problem::new(ErrorCode::RecordsNotRedriven, None, number.to_string()));
        }
        let found = call.finish().response.problems;
        assert_eq!((found.len(), found[told - 1].detail.as_str()), (told, last));
    }
}

fn overflown(keep: impl Fn(&mut Call<'_>, usize), messages: usize) -> (Option<Stopped>, usize) {
    let request = request();
    let mut call = call(&request);
    for message in 0..messages {
        keep(&mut call, message);
    }
    (call.stopped, call.problems.len())
}

#[test]
fn a_call_holds_so_many_messages_and_stops_with_one_problem() {
    let hold = |call: &mut Call<'_>, message: usize| call.hold(message.to_string());
    assert_eq!(overflown(hold, HELD_MESSAGES_MAX - 1), (None, 0));
    assert_eq!(overflown(hold, HELD_MESSAGES_MAX), (Some(Stopped::Error), 1));
    assert_eq!(overflown(hold, HELD_MESSAGES_MAX + 5), (Some(Stopped::Error), 1));
}

#[test]
fn a_run_remembers_so_many_messages_and_stops_before_it_forgets_one() {
    let keep = |call: &mut Call<'_>, message: usize| {
        call.keep(&message.to_string(), String::new());
        let _ = call.take_held();
    };
    assert_eq!(overflown(keep, SEEN_MESSAGES_MAX), (None, 0));
    assert_eq!(overflown(keep, SEEN_MESSAGES_MAX + 1), (Some(Stopped::Error), 1));
}

#[test]
fn the_first_reason_to_stop_stands() {
    let request = request();
    let mut call = call(&request);
    call.stop(Stopped::RecordsMax);
    (0..HELD_MESSAGES_MAX).for_each(|_| call.hold(String::new()));
    let response = call.finish().response;
    assert_eq!((response.stopped, response.problems.len()), (Stopped::RecordsMax, 0));
}

#[test]
fn a_cursor_holds_so_many_messages_in_work() {
    let request = request();
    let mut call = call(&request);
    for message in 0..PARTS_MAX + 5 {
        call.remember(Part {
            message_id: message.to_string(),
            after: None,
            done: Vec::new(),
            ended: 0,
            trimmed: false,
        });
    }
    call.stop(Stopped::RecordsMax);
    assert_eq!(call.finish().response.cursor.unwrap().parts.len(), PARTS_MAX);
}

#[test]
fn batches_without_an_end_stop_the_call_only_when_they_failed_one_after_the_other() {
    let request = request();
    let mut call = call(&request);
    for _ in 0..3 {
        (1..FAILED_BATCHES_MAX).for_each(|_| call.batch_done(0, 5));
        call.batch_done(1, 5);
    }
    (0..10).for_each(|_| call.batch_done(0, 0));
    assert!(!call.is_stopped());
    (0..FAILED_BATCHES_MAX).for_each(|_| call.batch_done(0, 5));
    assert_eq!((call.stopped, call.problems.len()), (Some(Stopped::Error), 1));
}

#[test]
fn recovery_counts_from_the_oldest_record() {
    let request = request();
    let mut call = call(&request);
    [NOW_MS - 5, NOW_MS - 9, NOW_MS - 7]
        .into_iter()
        .for_each(|arrival_ms| call.recovered(arrival_ms));
    assert_eq!(call.finish().stats.oldest_arrival_ms, Some(NOW_MS - 9));
}

#[test]
fn a_message_that_was_looked_at_is_known_by_its_own_id() {
    let request = request();
    let mut call = call(&request);
    call.keep("one", String::new());
    assert!(!call.is_new("one", NOW_MS) && call.is_new("another", NOW_MS));
    assert!(!call.is_new("another", NOW_MS + 1), "sent after the run began");
}
