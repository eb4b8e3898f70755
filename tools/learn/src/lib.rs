//! Learns from labels, and measures what it is worth: points for a policy, the population's amounts, how rare values are without a
//! label, detection figures.
//!
//! Pure computation over plain values: no I/O, no clock, no randomness but the numbers that the caller draws, no parallel
//! sums, elementary functions from `libm`. The same table gives the same points, bit for bit, on every machine.
//!
//! ```
//! use learn::{points, FitOptions, Row, Table};
//!
//! // 1. A table: the features of each event as of its own time, and its label as it was known when training began.
//! let mut table = Table::new(["amount_ratio", "terminal.fraud_run"])?;
//! for number in 0..4_000_u32 {
//!     let fraud = number % 40 == 0;
//!     let ratio = f64::from(number % 7) + if fraud { 5.0 } else { 0.0 };
//!     let row = Row { at_ms: i64::from(number) * 600_000, card: u64::from(number % 90), amount_minor: 1_000, fraud };
//!     table.push(row, &[Some(ratio), None])?;
//! }
//!
//! // 2. Points: each feature has a table of bins, each bin its bits; their sum is the log2 odds of fraud.
//! let fitted = points::fit(&table, &FitOptions::new(86_400_000))?;
//! let usual = fitted.points.score(&[Some(2.0)]);
//! let unusual = fitted.points.score(&[Some(9.0)]);
//! assert!(unusual > usual + 3.0);
//! assert_eq!(fitted.report.dropped[0].feature, "terminal.fraud_run");
//! # Ok::<(), learn::LearnError>(())
//! ```

pub mod metrics;
pub mod points;
pub mod quantiles;
pub mod rarity;
mod refusal;
mod round;
mod table;

pub use points::{FitOptions, Fitted, LearnedPoints};
pub use refusal::LearnError;
pub use table::{FEATURES_MAX, ROWS_MAX, Row, Table};
