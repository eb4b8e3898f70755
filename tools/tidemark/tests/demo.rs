//! The whole path with the real binaries: the command starts the local AWS, the score function runs as a process behind
//! the event source mapping, and the account has to add up (I1) and equal the oracle (I2, I3, I6).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tidemark_telemetry::Metric;

fn score_binary() -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_tidemark")).with_file_name("score");
    assert!(
        binary.is_file(),
        "{} is missing: run `cargo test --workspace`, which builds it",
        binary.display()
    );
    binary
}

fn demo(arguments: &[&str]) -> (Option<i32>, Value) {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tidemark"))
        .args(["demo", "--json", "--score-binary"])
        .arg(score_binary())
        .arg("--data-dir")
        .arg(folder.path())
        .args(arguments)
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let report = serde_json::from_str(&stdout)
        .unwrap_or_else(|e| panic!("{e}\n{stdout}\n{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), report)
}

#[test]
fn the_account_adds_up_and_equals_the_oracle() {
    let (code, report) = demo(&["--events", "12000", "--cards", "400", "--seed", "11"]);
    assert_eq!(code, Some(0), "{report:#}");
    let count = |field: &str| {
        report[field]
            .as_u64()
            .unwrap_or_else(|| panic!("{field} in {report:#}"))
    };
    let quarantined: u64 = report["quarantined"]
        .as_object()
        .unwrap()
        .values()
        .filter_map(Value::as_u64)
        .sum();
    // So many that one card is a hot one: its history is sealed, and an event of it comes again at the end.
    assert_eq!(count("sent"), 12_000);
    assert_eq!(
        count("accepted"),
        count("scored") + count("duplicate") + count("applied") + quarantined
    );
    assert_eq!(
        count("unaccounted") + count("oracle_mismatches") + count("dead_lettered"),
        0
    );
    assert_eq!(count("outcomes_unique"), count("scored"));
    // The stream holds what it is meant to hold: otherwise the zeros above would prove little.
    assert!(
        count("duplicate") > 0 && quarantined > 0 && count("applied") > 0,
        "{report:#}"
    );
    assert!(report["write_units"].as_f64().unwrap() > 0.0, "{report:#}");
    assert_signals(&report);
    assert_learned(&report);
}

/// What was learned from the first part of the stream finds more of the fraud in its last part, by the real path.
fn assert_learned(report: &Value) {
    let learning = &report["learning"];
    let count = |of: &Value, field: &str| of[field].as_u64().unwrap_or_else(|| panic!("{field} of {learning:#}"));
    let (all, ordinary) = (&learning["all"], &learning["ordinary"]);
    assert!(
        count(learning, "frauds") > 100 && count(learning, "events") > 1_000,
        "{learning:#}"
    );
    assert!(
        count(all, "events") > 50 && count(ordinary, "events") > 1_000,
        "{learning:#}"
    );
    // Events of hot cards are neither.
    assert!(count(learning, "tried") >= count(all, "events") + count(ordinary, "events"));
    assert!(count(all, "after") > count(all, "before"), "{learning:#}");
    let caught = |field: &str| -> u64 {
        let patterns = learning["patterns"].as_array().unwrap();
        patterns.iter().map(|pattern| count(pattern, field)).sum()
    };
    for field in ["events", "before", "after", "before_minor", "after_minor"] {
        assert_eq!(caught(field), count(all, field), "{field}");
    }
    let features = learning["features"].as_array().unwrap();
    let is_of_key = |name: &Value| {
        name.as_str()
            .is_some_and(|name| name.starts_with("terminal.") || name.starts_with("device."))
    };
    assert!(features.iter().any(is_of_key), "{features:?}");
    // What it scored was recomputed; differences are in `oracle_mismatches`.
    let recomputed = &learning["recomputed"];
    assert_eq!(count(recomputed, "trials"), count(learning, "tried"));
    assert!(count(recomputed, "with_labels") > 100, "{recomputed:#}");
    assert!(
        count(recomputed, "untold") * 5 < count(recomputed, "trials"),
        "{recomputed:#}"
    );
}

/// Tests that give a rare metric its value, and name it.
const SEEN_ELSEWHERE: [&str; 4] = [
    "functions/score/tests/signals.rs",
    "functions/score/tests/handler.rs",
    "functions/score/tests/control.rs",
    "functions/redrive/src/telemetry.rs",
];

/// Every metric has its value in the function's own log, or a test that gives it one.
fn assert_signals(report: &Value) {
    let signals = &report["signals"];
    let sum = |name: &str| signals["metrics"][name]["sum"].as_f64();
    let count = |field: &str| report[field].as_f64();
    let read = |file: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{file}: {e}"))
    };
    for metric in Metric::ALL {
        let name = metric.name();
        let is_named = |file: &&str| read(file).contains(&format!("\"{name}\""));
        if metric.is_rare() {
            assert!(SEEN_ELSEWHERE.iter().any(is_named), "no test sees {name}");
        } else {
            assert!(sum(name) > Some(0.0), "{name} is not seen: {signals:#}");
        }
    }
    // The values are the account's own, counted a second time by somebody else.
    assert_eq!(sum("Scored"), count("scored"));
    assert_eq!(sum("Duplicate"), count("duplicate"));
    assert_eq!(sum("Applied"), count("applied"));
    assert_eq!(sum("RecordsReceived"), count("accepted"));
    assert_eq!(sum("Passes"), report["decisions"]["pass"].as_f64());
    assert_eq!(sum("Alerts"), report["decisions"]["alert"].as_f64());
    for (reason, count) in report["quarantined"].as_object().unwrap() {
        assert_eq!(
            sum(&format!("Quarantined{{reason={reason}}}")),
            count.as_f64(),
            "{reason}"
        );
    }
    let ratios = &signals["ratios"];
    let cost = sum("CostMicrodollars").unwrap() / sum("Scored").unwrap();
    assert!(
        (ratios["cost_per_million_usd"].as_f64().unwrap() - cost).abs() < 1e-9,
        "{ratios}"
    );
    // Whether two sandboxes meet at a card depends on the machine; that all was committed in the end does not.
    let tried = sum("Commits").unwrap() + sum("Conflicts").unwrap_or_default();
    let committed = sum("Commits").unwrap() / tried;
    assert!(
        (ratios["commits_succeeded"].as_f64().unwrap() - committed).abs() < 1e-9,
        "{ratios}"
    );
    assert_eq!(sum("CommitFailures").unwrap_or_default(), 0.0);
    let queue = &signals["queues"]["quarantine"];
    assert!(
        queue["messages"].as_u64() > Some(0) && queue["oldest_ms"].as_i64() > Some(0),
        "{signals:#}"
    );
    assert_eq!(signals["queues"]["dead_letter"]["messages"], 0);
}

#[test]
fn a_function_that_does_not_start_is_an_error_with_a_code() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tidemark"))
        .args([
            "demo",
            "--json",
            "--events",
            "1",
            "--score-binary",
            "/nonexistent/score",
            "--data-dir",
        ])
        .arg(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["error"]["code"], "no_score_binary");
}
