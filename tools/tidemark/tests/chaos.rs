//! The whole path with the real function while things go wrong: kills, faults, lost answers, an outage, poison. Afterwards
//! the account is exact. Every run prints its seed; `TIDEMARK_CHAOS_SEED` sets another one.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test fails by panicking, and prints its seed"
)]

use std::path::{Path, PathBuf};

use localcloud::{FaultKind, FaultPlan, Service};
use rehearse::chaos::{self, ChaosRun, Experiment, Outage};

fn score_binary() -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_tidemark")).with_file_name("score");
    assert!(
        binary.is_file(),
        "{} is missing: run `cargo test --workspace`, which builds it",
        binary.display()
    );
    binary
}

fn seed(default: u64) -> u64 {
    let named = std::env::var("TIDEMARK_CHAOS_SEED").ok();
    named.map_or(default, |text| text.parse().unwrap())
}

async fn run(experiment: &Experiment) -> ChaosRun {
    eprintln!("chaos: TIDEMARK_CHAOS_SEED={}", experiment.seed);
    let folder = tempfile::tempdir().unwrap();
    let outcome = chaos::run(experiment, folder.path(), &score_binary()).await.unwrap();
    eprintln!("{:?}\n{:?}", outcome.injected, outcome.esm);
    outcome
}

/// Every record has an end, every event one outcome, and every outcome and state is the recomputation's.
fn assert_exact(outcome: &ChaosRun) {
    let problems = outcome.report.problems();
    assert!(
        problems.is_empty(),
        "{problems:?}\n{:?}\n{:?}",
        outcome.report.oracle_examples,
        outcome.report.account
    );
    assert!(outcome.report.account.scored > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_kills_of_the_function_change_nothing() {
    let experiment = Experiment {
        kills: 100,
        // A fast machine is through with the first records before the last kill.
        events_max: 120_000,
        ..Experiment::new(seed(41), 6_000)
    };
    let outcome = run(&experiment).await;
    assert_exact(&outcome);
    assert_eq!(outcome.injected.kills, 100);
    assert!(
        outcome.injected.invocations_failed >= 50,
        "kills struck in the middle of batches"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_throttles_delays_and_lost_answers_change_nothing() {
    let experiment = Experiment {
        plans: chaos::errors_and_lost_answers("tidemark-transactions", "tidemark-scores"),
        ..Experiment::new(seed(42), 6_000)
    };
    let outcome = run(&experiment).await;
    assert_exact(&outcome);
    // The producer lost answers too, and sent what was taken again: the stream holds more than it meant to send.
    assert!(outcome.injected.producer_resent > 0, "{:?}", outcome.injected);
    assert_eq!(
        outcome.report.account.accepted,
        6_000 + outcome.injected.producer_resent
    );
    for kind in [
        "error",
        "throttle",
        "partial",
        "delay",
        "drop_before",
        "drop_after_apply",
    ] {
        assert!(
            outcome.injected.by_kind.contains_key(kind),
            "{kind}: {:?}",
            outcome.injected
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_in_the_middle_of_batches_holds_nobody_up() {
    let experiment = Experiment {
        broken_share: Some(0.2),
        kills: 10,
        plans: vec![FaultPlan::new(Service::Sqs, FaultKind::Error500, 0.2).on("SendMessageBatch")],
        ..Experiment::new(seed(43), 4_000)
    };
    let outcome = run(&experiment).await;
    assert_exact(&outcome);
    let quarantined = outcome.report.account.quarantined_total();
    assert!(quarantined >= 600, "{quarantined} of 4,000 are in quarantine");
    assert!(
        outcome.report.account.quarantined.len() >= 10,
        "{:?}",
        outcome.report.account
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_down_for_a_while_only_delays() {
    let experiment = Experiment {
        outage: Some(Outage {
            service: Service::DynamoDb,
            after_records: 1_000,
            for_ms: 4_000,
        }),
        ..Experiment::new(seed(44), 4_000)
    };
    let outcome = run(&experiment).await;
    assert_exact(&outcome);
    assert!(outcome.injected.by_kind.contains_key("down"), "{:?}", outcome.injected);
}

/// The shares of AWS's lab, without the engine's own repetitions, so that each failure reaches the mapping.
#[tokio::test(flavor = "multi_thread")]
async fn the_profile_of_the_lab_loses_nothing_and_doubles_nothing() {
    let experiment = Experiment {
        duplicate_share: Some(0.125),
        plans: chaos::lab("tidemark-scores"),
        env: vec![
            ("TIDEMARK_ATTEMPTS_MAX".to_owned(), "1".to_owned()),
            ("TIDEMARK_PROFILE_ATTEMPTS_MAX".to_owned(), "1".to_owned()),
        ],
        ..Experiment::new(seed(45), 4_000)
    };
    let outcome = run(&experiment).await;
    assert_exact(&outcome);
    assert!(outcome.report.account.duplicate >= 300, "{:?}", outcome.report.account);
}

/// `demo --chaos` from beginning to end: faults, kills, a table that is gone, dead letters, the redrive, the exact account.
#[test]
fn the_show_ends_with_an_empty_dead_letter_queue_and_an_exact_account() {
    let folder = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tidemark"))
        .args(["demo", "--chaos", "--json", "--events", "3000"])
        .args(["--seed", &seed(46).to_string()])
        .arg("--data-dir")
        .arg(folder.path())
        .arg("--score-binary")
        .arg(score_binary())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert!(output.status.success(), "{said}\n{report:#}");
    let count = |pointer: &str| report.pointer(pointer).and_then(serde_json::Value::as_u64).unwrap();
    // It went wrong, and it came out right.
    assert!(count("/injected/kills") > 0, "{report:#}");
    assert!(count("/injected/by_kind/down") > 0, "{report:#}");
    assert!(count("/dead_letters/messages") > 0, "{report:#}");
    assert!(count("/dead_letters/records") > 0, "{report:#}");
    assert!(count("/redrives/0/scored") > 0, "{report:#}");
    assert_eq!(count("/dead_lettered"), 0);
    assert_eq!(count("/unaccounted"), 0);
    assert_eq!(count("/oracle_mismatches"), 0);
    // The functions' own metrics say so too.
    assert!(count("/dead_letters/oldest_ms") > 0, "{report:#}");
    let sum = |pointer: &str| {
        let value = report.pointer(&format!("/signals/{pointer}/sum"));
        value.and_then(serde_json::Value::as_f64).unwrap_or_default()
    };
    for trouble in ["Retries", "Returned", "Throttles"] {
        assert!(sum(&format!("metrics/{trouble}")) > 0.0, "{trouble}: {report:#}");
    }
    let found: u64 = (0..report["redrives"].as_array().unwrap().len())
        .map(|at| count(&format!("/redrives/{at}/found")))
        .sum();
    assert_eq!(sum("redrive/RedriveRecords"), found as f64);
    assert!(sum("redrive/RedriveTimeToRecover") > 0.0, "{report:#}");
}
