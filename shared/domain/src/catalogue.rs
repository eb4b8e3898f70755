//! The catalogue of features: what a feature is called, and what a policy, an outcome and a person call it. What it is worth is
//! another room's: [`measure`](crate::measure), and how surprising that is: [`model`](crate::model).

mod feature;
mod key;

pub use feature::FeatureKind;
pub use key::{FeatureKey, FeatureValue, UnknownFeature};
