//! Files in, outcomes out.

use std::fs;
use std::path::PathBuf;

use lab::simulate::{Expect, SimConfig, generate};
use tidemark_domain::policy::Policy;

use super::*;

const NOW_MS: i64 = 1_760_000_000_000;

fn files() -> (tempfile::TempDir, PathBuf, PathBuf, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let (input, output, refused) = (at("in.jsonl"), at("out.jsonl"), at("refused.jsonl"));
    (directory, input, output, refused)
}

fn options(input: &Path, output: &Path, refused: Option<&Path>) -> ScoreOptions {
    ScoreOptions {
        input: input.into(),
        output: output.to_path_buf(),
        refused: refused.map(Path::to_path_buf),
        policy: Policy::default_policy(),
        features: false,
        arrival: Arrival::AtEventTime,
        sort: false,
        progress: false,
    }
}

#[test]
fn a_simulated_file_gives_one_line_for_one_event_and_the_counts_add_up() {
    let (_directory, input, output, refused) = files();
    let config = SimConfig::new(9, 12_000, 300, NOW_MS, &Policy::default_policy());
    // A payload with a line's end in it can't be a line, and a blank line is none.
    let records: Vec<_> = generate(&config)
        .filter(|record| !record.payload.contains(&b'\n') && !record.payload.is_empty())
        .collect();
    let text: Vec<u8> = records
        .iter()
        .flat_map(|record| [record.payload.as_slice(), b"\n"].concat())
        .collect();
    fs::write(&input, text).unwrap();
    let mut wanted = options(&input, &output, Some(&refused));
    wanted.arrival = Arrival::At(NOW_MS);
    let summary = run(&wanted).unwrap();

    let count = |is: fn(&Expect) -> bool| records.iter().filter(|record| is(&record.expect)).count() as u64;
    assert!(summary.adds_up(), "{summary:?}");
    assert_eq!(summary.lines, records.len() as u64);
    assert_eq!(
        summary.scored,
        count(|expect| matches!(expect, Expect::Transaction { .. }))
    );
    assert_eq!(
        summary.duplicate,
        count(|expect| matches!(expect, Expect::Duplicate { .. }))
    );
    assert_eq!(summary.profiles, count(|expect| matches!(expect, Expect::Profile)));
    assert_eq!(summary.labels, count(|expect| matches!(expect, Expect::Label)));
    assert_eq!(
        summary.refused_total(),
        count(|expect| matches!(expect, Expect::Refused(_)))
    );
    assert_eq!(
        fs::read_to_string(&output).unwrap().lines().count() as u64,
        summary.scored
    );

    // Each refused line is named by its number and its code.
    let refused = fs::read_to_string(&refused).unwrap();
    let expected: Vec<(u64, String)> = (1_u64..)
        .zip(&records)
        .filter_map(|(line, record)| match &record.expect {
            Expect::Refused(code) => Some((line, code.as_str().to_owned())),
            _ => None,
        })
        .collect();
    let found: Vec<(u64, String)> = refused
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|value| {
            (
                value["line"].as_u64().unwrap(),
                value["code"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn features_add_every_value_and_change_nothing_else() {
    let (_directory, input, output, _) = files();
    let config = SimConfig::new(2, 400, 20, NOW_MS, &Policy::default_policy()).clean();
    let text: Vec<u8> = generate(&config)
        .flat_map(|record| [record.payload.as_slice(), b"\n"].concat())
        .collect();
    fs::write(&input, text).unwrap();
    let mut wanted = options(&input, &output, None);
    run(&wanted).unwrap();
    let plain = fs::read_to_string(&output).unwrap();
    wanted.features = true;
    run(&wanted).unwrap();
    let full = fs::read_to_string(&output).unwrap();
    assert_eq!(plain.lines().count(), full.lines().count());
    for (plain, full) in plain.lines().zip(full.lines()) {
        let plain: serde_json::Value = serde_json::from_str(plain).unwrap();
        let mut full: serde_json::Value = serde_json::from_str(full).unwrap();
        let features = full.as_object_mut().unwrap().remove("features").unwrap();
        assert_eq!(features.as_object().unwrap().len(), wanted.policy.features().len());
        assert_eq!(plain, full);
    }
    // The 30-day count of the last event of a card is the number of its events up to then.
    assert!(full.contains("\"count_30d\":"), "{full}");
}

#[test]
fn a_file_of_years_ago_is_scored_at_its_own_time_unless_an_arrival_is_named() {
    let (_directory, input, output, _) = files();
    let config = SimConfig::new(2, 200, 10, 1_300_000_000_000, &Policy::default_policy()).clean();
    let text: Vec<u8> = generate(&config)
        .flat_map(|record| [record.payload.as_slice(), b"\n"].concat())
        .collect();
    fs::write(&input, text).unwrap();
    let mut wanted = options(&input, &output, None);
    assert_eq!(run(&wanted).unwrap().refused_total(), 0);
    wanted.arrival = Arrival::At(NOW_MS);
    let summary = run(&wanted).unwrap();
    assert_eq!(summary.scored, 0);
    assert!(summary.refused["too_late"] > 100, "{summary:?}");
}

#[test]
fn a_line_over_the_limit_is_refused_and_the_next_one_is_scored() {
    let (_directory, input, output, refused) = files();
    let config = SimConfig::new(1, 40, 1, NOW_MS, &Policy::default_policy()).clean();
    let good = generate(&config)
        .find(|record| matches!(record.expect, Expect::Transaction { .. }))
        .unwrap();
    let mut text = vec![b'x'; 3_000_000];
    text.push(b'\n');
    text.extend_from_slice(&good.payload);
    fs::write(&input, text).unwrap();
    let summary = run(&options(&input, &output, Some(&refused))).unwrap();
    assert_eq!((summary.lines, summary.scored, summary.refused["too_large"]), (2, 1, 1));
    assert!(
        fs::read_to_string(&refused)
            .unwrap()
            .starts_with("{\"line\":1,\"code\":\"too_large\"")
    );
}

#[test]
fn a_missing_file_and_two_outputs_on_one_are_errors() {
    let (_directory, input, output, _) = files();
    assert!(matches!(
        run(&options(&input, &output, None)),
        Err(ScoreFileError::Open { .. })
    ));
    let both = options(&input, Path::new("-"), Some(Path::new("-")));
    assert!(matches!(run(&both), Err(ScoreFileError::OneOutput)));
}

/// An export of another system: a mark, lines of Windows, blank ones, and no order.
#[test]
fn a_file_without_order_is_told_so_and_sorted_it_is_scored_as_the_stream_would() {
    let (_directory, input, output, refused) = files();
    let config = SimConfig::new(4, 2_000, 25, NOW_MS, &Policy::default_policy()).clean();
    let mut records: Vec<_> = generate(&config).collect();
    records.sort_by_key(|record| sorted_time(&record.payload));
    let write = |records: &[lab::simulate::SimRecord]| {
        let lines = records
            .iter()
            .flat_map(|record| [record.payload.as_slice(), b"\r\n\r\n"].concat());
        fs::write(
            &input,
            b"\xef\xbb\xbf".iter().copied().chain(lines).collect::<Vec<u8>>(),
        )
        .unwrap();
    };
    write(&records);
    let mut wanted = options(&input, &output, Some(&refused));
    let in_order = run(&wanted).unwrap();
    assert!(
        !in_order.is_unsorted() && !in_order.render().contains("--sort"),
        "{in_order:?}"
    );
    assert_eq!(
        in_order.refused_total(),
        0,
        "the mark and the blank lines are none of it"
    );
    let expected = fs::read(&output).unwrap();

    records.reverse();
    write(&records);
    let reversed = run(&wanted).unwrap();
    assert!(
        reversed.is_unsorted() && reversed.render().contains("tidemark score --sort"),
        "{reversed:?}"
    );
    assert_ne!(fs::read(&output).unwrap(), expected);
    wanted.sort = true;
    let sorted = run(&wanted).unwrap();
    assert!(!sorted.is_unsorted());
    assert_eq!(sorted.scored, in_order.scored);
}

fn sorted_time(payload: &[u8]) -> i64 {
    let value: serde_json::Value = serde_json::from_slice(payload).unwrap();
    let time = ["occurred_at_ms", "known_since_ms", "updated_at_ms"]
        .into_iter()
        .find_map(|field| value[field].as_i64());
    time.unwrap_or(i64::MIN)
}

#[test]
fn a_file_that_is_no_json_lines_is_called_by_its_name() {
    let (_directory, input, output, _) = files();
    fs::write(&input, "event_id,card_id,amount\n1,2,3\n").unwrap();
    let error = run(&options(&input, &output, None)).unwrap_err();
    assert_eq!(error.to_string(), "looks like CSV: event_id,card_id,amount");
}
