//! The whole path with the real binaries: the command starts the local AWS, the score function runs as a process behind
//! the event source mapping, and the account has to add up (I1) and equal the oracle (I2, I3, I6).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

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
    let (code, report) = demo(&["--events", "6000", "--cards", "200", "--seed", "11"]);
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
    assert_eq!(count("sent"), 6_000);
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
