//! What scores are worth: how well they rank, and what alerts find.
//!
//! [`Ranked`] takes scored events with their labels; [`Sample`] has the figures, of all of them or of a bootstrap sample;
//! [`intervals`] draws such samples, and [`wilson`] gives a share its interval, so that one of one is not said to be 100 %.

mod alerts;
mod bootstrap;
mod cards;
mod curve;
mod interval;
mod rank;
mod rule;
mod threshold;

pub use alerts::{AlertIntervals, alert_intervals};
pub use bootstrap::{REPLICATES, intervals};
pub use cards::{CardPrecision, DayPrecision};
pub use curve::CurvePoint;
pub use interval::{Interval, wilson};
pub use rank::{Case, MS_PER_DAY, Ranked, Resample, Sample, utc_day};
pub use rule::RuleWorth;
pub use threshold::AtThreshold;
