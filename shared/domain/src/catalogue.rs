//! The catalogue of features: `catalogue/feature.rs` has the table that declares each. What a feature is worth is computed in
//! [`measure`](crate::measure), how surprising that is in [`model`](crate::model).

mod column;
mod feature;
mod key;
mod key_name;

pub use column::{Need, Needs, Subject, Unit};
pub use feature::FeatureKind;
pub use key::{FeatureKey, FeatureValue, UnknownFeature};
pub use key_name::KeyName;
