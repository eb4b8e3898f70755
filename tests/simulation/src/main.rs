//! `simulation`: runs seeds, says which fail and how to replay them.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use clap::Parser;
use simulation::draws::{Draw, Draws};
use simulation::run::{Ablation, Forgeries, Options, Outcome, run};

/// The engine and the mapping under one seeded scheduler, in virtual time, with faults
#[derive(Debug, Parser)]
#[command(
    after_help = "A seed decides everything, so a seed that fails is a test case:\n  simulation --first-seed 4711 --seeds 1 --trace\n\nExit codes: 0 everything holds · 1 something does not · 2 wrong command line"
)]
struct Args {
    /// The first seed
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// How many seeds
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// Records that producers send in each
    #[arg(long, default_value_t = 2_000)]
    events: usize,
    /// Only these draws, by name (`none` for none), in place of what each seed draws; several times for several
    #[arg(long)]
    draw: Vec<String>,
    /// Print what happened, call by call
    #[arg(long)]
    trace: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Threads; each runs seeds of its own
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

#[derive(Default)]
struct Sums {
    runs: u64,
    failed: Vec<(u64, Outcome)>,
    faults: u64,
    invocations: u64,
    crashes: u64,
    zombies: u64,
    dead_letters: u64,
    reshards: u64,
    conflicts: u64,
    redrives: u64,
    deeds: u64,
    dropped: u64,
    restored: u64,
    limited: u64,
}

impl Sums {
    fn add(&mut self, seed: u64, outcome: Outcome) {
        self.runs += 1;
        self.faults += outcome.injected.values().sum::<u64>();
        self.invocations += outcome.counts.invocations;
        self.crashes += outcome.counts.crashes;
        self.zombies += outcome.counts.zombies;
        self.dead_letters += outcome.counts.dead_letters;
        self.reshards += outcome.counts.reshards;
        self.conflicts += outcome.counts.conflicts;
        self.redrives += outcome.counts.redrives;
        self.deeds += outcome.counts.deeds;
        self.dropped += outcome.counts.dropped;
        self.restored += outcome.counts.restored;
        self.limited += outcome.counts.limited;
        if !outcome.violations.none() {
            self.failed.push((seed, outcome));
        }
    }
}

/// The draws of these names; `None`: each seed's own.
fn forced(names: &[String]) -> Result<Option<Draws>, String> {
    if names.is_empty() {
        return Ok(None);
    }
    let mut draws = Draws::NONE;
    for name in names.iter().filter(|name| *name != "none") {
        let known = Draw::ALL
            .into_iter()
            .find(|draw| format!("{draw:?}").eq_ignore_ascii_case(name));
        draws = draws.with(known.ok_or_else(|| format!("{name}: expected one of {:?}, or none", Draw::ALL))?);
    }
    Ok(Some(draws))
}

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "a command at a terminal")]
fn main() -> ExitCode {
    let args = Args::parse();
    let draws = match forced(&args.draw) {
        Ok(draws) => draws,
        Err(words) => {
            eprintln!("{words}");
            return ExitCode::from(2);
        }
    };
    let next = AtomicU64::new(args.first_seed);
    let end = args.first_seed.saturating_add(args.seeds);
    let sums = Mutex::new(Sums::default());
    std::thread::scope(|scope| {
        for _ in 0..args.threads.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let outcome = run(&Options {
                        seed,
                        events: args.events,
                        trace: args.trace,
                        ablation: Ablation::None,
                        draws,
                        forgeries: Forgeries::One,
                    });
                    for line in &outcome.trace {
                        println!("{line}");
                    }
                    if !outcome.violations.none() && !args.json {
                        eprintln!(
                            "  seed {seed} ({}): {:?}",
                            outcome.draws,
                            outcome.violations.told.first().map(ToString::to_string)
                        );
                    }
                    let mut sums = sums.lock().unwrap_or_else(PoisonError::into_inner);
                    sums.add(seed, outcome);
                    if !args.json && sums.runs.is_multiple_of(100) {
                        eprintln!("  {} of {} seeds, {} failed", sums.runs, args.seeds, sums.failed.len());
                    }
                }
            });
        }
    });
    let sums = sums.into_inner().unwrap_or_else(PoisonError::into_inner);
    report(&args, &sums);
    if sums.failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[allow(clippy::print_stdout, reason = "a command at a terminal")]
fn report(args: &Args, sums: &Sums) {
    if args.json {
        let failed: Vec<_> = sums
            .failed
            .iter()
            .map(|(seed, outcome)| {
                let told: Vec<String> = outcome.violations.told.iter().map(ToString::to_string).collect();
                serde_json::json!({ "seed": seed, "violations": told })
            })
            .collect();
        let value = serde_json::json!({
            "seeds": sums.runs, "events_each": args.events, "faults": sums.faults, "invocations": sums.invocations,
            "crashes": sums.crashes, "zombies": sums.zombies, "dead_letters": sums.dead_letters, "reshards": sums.reshards,
            "conflicts": sums.conflicts, "redrive_calls": sums.redrives, "operators_deeds": sums.deeds,
            "states_dropped": sums.dropped, "items_restored": sums.restored, "limited": sums.limited, "failed": failed,
        });
        println!("{value}");
        return;
    }
    for (seed, outcome) in &sums.failed {
        println!(
            "seed {seed} ({}): {} violations; trace {:016x}",
            outcome.draws, outcome.violations.count, outcome.trace_hash
        );
        for words in &outcome.violations.told {
            println!("    {words}");
        }
        println!(
            "  again: cargo run --bin simulation -- --first-seed {seed} --seeds 1 --events {} --trace",
            args.events
        );
    }
    println!(
        "{} seeds of {} events: {} failed\n  {} invocations, {} faults, {} crashes, {} zombies, {} dead letters redriven, {} reshards, {} conflicts\n  {} calls of the redrive, {} deeds of operators, {} states dropped, {} items restored, {} times at a limit",
        sums.runs,
        args.events,
        sums.failed.len(),
        sums.invocations,
        sums.faults,
        sums.crashes,
        sums.zombies,
        sums.dead_letters,
        sums.reshards,
        sums.conflicts,
        sums.redrives,
        sums.deeds,
        sums.dropped,
        sums.restored,
        sums.limited
    );
}
