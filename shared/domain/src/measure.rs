//! What the features of a card are worth as of an event's own time.
//!
//! The formulas are in `docs/concepts/windows.md`; [`compute`] is the whole interface.

mod calendar;
mod distinct;
mod edges;
mod geo;
mod measured;
mod observed;
mod pane;
mod pass;
mod sweep;
#[cfg(test)]
pub(crate) mod tests;
mod value;
mod watch;

use crate::catalogue::{FeatureKey, FeatureValue};
use crate::event::{Profile, Transaction};
use crate::history::History;
use crate::policy::Policy;

pub use measured::PAST_EVENTS_MIN;

pub(crate) use calendar::HOURS;
pub(crate) use measured::Measured;
pub(crate) use observed::Observed;
pub(crate) use pane::{Amounts, Pane};
pub(crate) use sweep::Sweep;

/// The values of the features that a policy names, in the policy's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeatureSet {
    values: Vec<FeatureValue>,
}

impl FeatureSet {
    /// The features and their values, in the policy's order.
    #[must_use]
    pub fn values(&self) -> &[FeatureValue] {
        &self.values
    }

    /// The features and their values, taken out.
    #[must_use]
    pub fn into_values(self) -> Vec<FeatureValue> {
        self.values
    }

    /// One feature's value; `None` when the policy does not name it or its inputs are missing.
    #[must_use]
    pub fn get(&self, key: FeatureKey) -> Option<f64> {
        self.values
            .iter()
            .find(|(k, _)| *k == key)
            .and_then(|(_, value)| *value)
    }
}

/// The features that the policy names, as of the event's own time.
///
/// How surprising a value is, is not measured here: `None`. `state` is the card before the event; its entries at or before the event's time count, later ones do not.
#[must_use]
pub fn compute(state: &History, tx: &Transaction, profile: Option<&Profile>, policy: &Policy) -> FeatureSet {
    let measured = Sweep::new(&Observed::new(tx, policy), policy).measure(state, profile, &[]);
    FeatureSet {
        values: measured.values(policy),
    }
}
