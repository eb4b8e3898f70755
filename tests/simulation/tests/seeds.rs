//! A thousand seeds, determinism, and the controls: with a rule taken away the harness has to notice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use simulation::run::{Control, Options, Outcome, run};
use simulation::world::Fault;

const SEEDS: u64 = 1_000;
const EVENTS: usize = 2_000;
/// Seeds within which a control has to be noticed.
const CONTROL_SEEDS: u64 = 20;

fn options(seed: u64, control: Control) -> Options {
    Options {
        seed,
        events: EVENTS,
        trace: false,
        control,
    }
}

/// Runs seeds on two threads.
fn all(seeds: u64, control: Control) -> Vec<(u64, Outcome)> {
    let next = AtomicU64::new(1);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > seeds {
                        return;
                    }
                    let outcome = run(&options(seed, control));
                    done.lock().unwrap().push((seed, outcome));
                }
            });
        }
    });
    done.into_inner().unwrap()
}

#[test]
fn nothing_is_lost_and_nothing_counts_twice_under_a_thousand_seeds_of_faults() {
    let outcomes = all(SEEDS, Control::None);
    let failed: Vec<String> = outcomes
        .iter()
        .filter(|(_, outcome)| !outcome.violations.none())
        .map(|(seed, outcome)| {
            format!(
                "seed {seed}: {:#?}\n  again: cargo run --bin simulation -- --first-seed {seed} --seeds 1 --trace",
                outcome.violations.told
            )
        })
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));

    // The faults were really there: every kind, and all that comes of them.
    let mut injected: BTreeMap<Fault, u64> = BTreeMap::new();
    for (_, outcome) in &outcomes {
        for (fault, count) in &outcome.injected {
            *injected.entry(*fault).or_default() += count;
        }
    }
    for fault in Fault::ALL {
        assert!(
            injected.get(&fault).copied().unwrap_or(0) > 100,
            "{fault:?}: {injected:?}"
        );
    }
    let sum = |count: fn(&Outcome) -> u64| outcomes.iter().map(|(_, outcome)| count(outcome)).sum::<u64>();
    assert!(sum(|outcome| outcome.counts.crashes) > 1_000);
    assert!(sum(|outcome| outcome.counts.zombies) > 100);
    assert!(sum(|outcome| outcome.counts.dead_letters) > 1_000);
    assert!(sum(|outcome| outcome.counts.reshards) > 500);
    assert!(sum(|outcome| outcome.counts.conflicts) > 100);
}

#[test]
fn a_seed_leaves_the_same_trace_every_time() {
    for seed in [3, 17, 99] {
        let traced = || {
            run(&Options {
                trace: true,
                ..options(seed, Control::None)
            })
        };
        let (first, second) = (traced(), traced());
        assert!(first.trace.len() > 100, "a trace with something in it");
        assert_eq!(first.trace, second.trace);
        assert_eq!(first.trace_hash, second.trace_hash);
    }
    let hash = |seed| run(&options(seed, Control::None)).trace_hash;
    assert_ne!(hash(1), hash(2), "other seeds leave other traces");
}

#[test]
fn without_the_condition_on_the_version_the_harness_finds_lost_updates() {
    let noticed = all(CONTROL_SEEDS, Control::NoCondition)
        .iter()
        .flat_map(|(_, outcome)| outcome.violations.told.clone())
        .filter(|words| words.starts_with("I5") || words.starts_with("I2"))
        .count();
    assert!(noticed > 0, "nothing noticed in {CONTROL_SEEDS} seeds");
}

#[test]
fn with_a_ten_minute_token_for_a_dedupe_record_the_harness_finds_events_that_count_twice() {
    let noticed = all(CONTROL_SEEDS, Control::TenMinuteToken)
        .iter()
        .flat_map(|(_, outcome)| outcome.violations.told.clone())
        .filter(|words| words.starts_with("I2"))
        .count();
    assert!(noticed > 0, "nothing noticed in {CONTROL_SEEDS} seeds");
}
