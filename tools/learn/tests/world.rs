//! Made-up tables: what tells fraud in them is known.

use learn::{FitOptions, Row, Table};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

pub const DAY_MS: i64 = 86_400_000;

/// Numbers that are the same in every run.
pub struct Dice(ChaCha8Rng);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Uniform over all 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform from 0 to 1.
    pub fn share(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn below(&mut self, count: u64) -> u64 {
        self.draw() % count
    }
}

/// The features of [`events`], in order.
pub const FEATURES: [&str; 4] = ["ratio", "run", "noise", "always"];

/// Events over 60 days: `ratio` from 0 to 10, and `run`, missing in three of four; `noise` and `always` tell nothing.
pub fn events(count: usize, seed: u64) -> Vec<(Row, [Option<f64>; 4])> {
    let mut dice = Dice::new(seed);
    let event = |number: usize| {
        let ratio = dice.share() * 10.0;
        let run = (dice.below(4) == 0).then(|| dice.below(6) as f64);
        let noise = dice.share() * 100.0;
        let row = Row {
            at_ms: (60 * DAY_MS) / count as i64 * number as i64,
            card: dice.below(200),
            amount_minor: 100 + dice.below(9_900),
            fraud: dice.share() < 1.0 / (1.0 + libm::exp(-log_odds(ratio, run))),
        };
        (row, [Some(ratio), run, Some(noise), Some(1.0)])
    };
    (0..count).map(event).collect()
}

/// The truth behind [`events`], natural logarithms.
pub fn log_odds(ratio: f64, run: Option<f64>) -> f64 {
    let by_ratio = if ratio >= 7.0 { 3.0 } else { 0.0 };
    let by_run = run.map_or(0.0, |run| if run >= 2.0 { 2.5 } else { 1.0 });
    -5.0 + by_ratio + by_run
}

pub fn table_of(events: &[(Row, [Option<f64>; 4])]) -> Table {
    let mut table = Table::new(FEATURES).unwrap();
    for (row, values) in events {
        table.push(*row, values).unwrap();
    }
    table
}

pub fn table(count: usize, seed: u64) -> Table {
    table_of(&events(count, seed))
}

pub fn options() -> FitOptions {
    FitOptions::new(3 * DAY_MS)
}
