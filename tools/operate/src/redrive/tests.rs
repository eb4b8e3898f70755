use clap::Parser as _;

use super::*;

const NOW_MS: i64 = 1_795_399_200_000;

/// The verb's command line by itself.
#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    args: RedriveArgs,
}

fn args(line: &str) -> RedriveArgs {
    let line = Line::try_parse_from(["redrive"].into_iter().chain(line.split_whitespace()));
    line.unwrap().args
}

fn refused(line: &str) -> &'static str {
    let error = request::build(&args(line), NOW_MS).unwrap_err();
    assert_eq!(error.exit as u8, 2, "{error:?}");
    error.code
}

#[test]
fn a_command_line_becomes_a_request() {
    let request = request::build(&args(""), NOW_MS).unwrap();
    assert_eq!(request, Request::new(Source::DeadLetter));
    let line = "--source quarantine --dry-run --max 10 --rate 5 --reason not_json --reason too_late";
    let request = request::build(&args(line), NOW_MS).unwrap();
    assert!(request.dry_run && request.source == Source::Quarantine);
    assert_eq!((request.records_max, request.rate_per_second), (Some(10), Some(5)));
    assert_eq!(request.reasons, ["not_json", "too_late"]);
    let request = request::build(
        &args("--source range --since 2h --until 1h --shard s --from 9 --to 10"),
        NOW_MS,
    )
    .unwrap();
    let range = request.range.unwrap();
    assert_eq!(
        (range.since_ms, range.until_ms),
        (Some(NOW_MS - 7_200_000), Some(NOW_MS - 3_600_000))
    );
    assert_eq!(range.from_sequence_number.as_deref(), Some("9"), "9 is before 10");
}

#[test]
fn a_wrong_command_line_is_told_before_anything_is_called() {
    assert_eq!(refused("--source dead_letter"), "unknown_source");
    assert_eq!(refused("--source range --since 1h --until 2h"), "range_reversed");
    assert_eq!(refused("--source range --shard s --from 10 --to 9"), "range_reversed");
    assert_eq!(refused("--source range --shard s --from 1x"), "sequence_number");
    assert_eq!(
        refused(&format!("--source range --shard s --to {}", "9".repeat(10_000))),
        "sequence_number"
    );
    assert_eq!(refused("--source range --from 9"), "shard_missing");
    assert_eq!(refused("--source range"), "range_missing");
    assert_eq!(refused("--since 1h"), "range_without_source");
    assert_eq!(refused("--source range --since noon"), "time");
}

fn report(change: impl FnOnce(&mut Tally)) -> RedriveReport {
    let mut run = Run::new(NOW_MS);
    let mut account = Tally {
        messages: 2,
        expected: 10,
        found: 10,
        scored: 6,
        already_done: 3,
        quarantined: 1,
        ..Tally::default()
    };
    change(&mut account);
    run.take(Response {
        account,
        cursor: None,
        stopped: Stopped::Done,
        problems: Vec::new(),
    });
    run.report(&Request::new(Source::DeadLetter), None)
}

fn text(report: &RedriveReport) -> String {
    anstream::adapter::strip_str(&view::render(report)).to_string()
}

#[test]
fn a_complete_run_says_that_all_have_their_end() {
    let report = report(|_| {});
    assert!(report.complete);
    let text = text(&report);
    assert!(text.contains("✓ All 10 records have their end"), "{text}");
    assert!(
        !text.contains("trimmed") && !text.contains("rejected"),
        "nothing seldom happened: {text}"
    );
}

#[test]
fn what_is_lost_left_or_refused_is_never_a_success() {
    let changes: [fn(&mut Tally); 5] = [
        |a| a.trimmed = 1,
        |a| a.missing = 1,
        |a| a.returned = 1,
        |a| a.unrecoverable_messages = 1,
        |a| a.rejected_messages = 1,
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let report = report(change);
        assert!(!report.complete, "change {index}");
        assert!(text(&report).contains('✗'), "change {index}: {}", text(&report));
    }
    for stopped in [Stopped::Deadline, Stopped::Throttled, Stopped::Error] {
        assert!(!is_complete(&Tally::default(), stopped, &[]), "{stopped:?}");
    }
    assert!(
        is_complete(&Tally::default(), Stopped::RecordsMax, &[]),
        "that is what was asked for"
    );
}

#[test]
fn a_slice_that_is_not_done_is_named_with_the_line_that_takes_it() {
    let mut report = report(|_| {});
    report.parts = Some(PartsReport {
        parallel: 16,
        by: parallel::PartsBy::StateMachine,
        chains: 4,
        unfinished: vec![parallel::UnfinishedSlice {
            shard_id: "shardId-000000000003".to_owned(),
            since_ms: NOW_MS,
            slice_until_ms: NOW_MS + 1,
            until_ms: NOW_MS + 2,
        }],
    });
    report.complete = false;
    report.stopped = Stopped::Error;
    let text = text(&report);
    let line = format!(
        "tidemark redrive --source range --shard shardId-000000000003 --since {NOW_MS} --until {}",
        NOW_MS + 2
    );
    assert!(
        text.contains(&line) && text.contains("in 4 parts, up to 16 side by side, by the state machine"),
        "{text}"
    );
    // The line is a command line.
    let line = line.strip_prefix("tidemark redrive ").unwrap();
    let range = request::build(&args(line), NOW_MS + 3).unwrap().range.unwrap();
    assert_eq!((range.since_ms, range.until_ms), (Some(NOW_MS), Some(NOW_MS + 2)));
}
