//! Seeds on two threads.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use simulation::draws::{Draw, Draws};
use simulation::run::{Ablation, Forgeries, Options, Outcome, run};

const EVENTS: usize = 2_000;

/// A seed as it is.
pub fn options(seed: u64, ablation: Ablation) -> Options {
    Options {
        seed,
        events: EVENTS,
        trace: false,
        ablation,
        draws: None,
        forgeries: Forgeries::One,
    }
}

/// A seed with these draws alone, and something taken away.
pub fn with(seed: u64, draws: &[Draw], ablation: Ablation) -> Options {
    Options {
        draws: Some(Draws::of(draws)),
        ..options(seed, ablation)
    }
}

/// Runs seeds, ascending.
pub fn all(seeds: RangeInclusive<u64>, options: impl Fn(u64) -> Options + Sync) -> Vec<(u64, Outcome)> {
    let next = AtomicU64::new(*seeds.start());
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if !seeds.contains(&seed) {
                        return;
                    }
                    let outcome = run(&options(seed));
                    done.lock().unwrap().push((seed, outcome));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(seed, _)| *seed);
    done
}
