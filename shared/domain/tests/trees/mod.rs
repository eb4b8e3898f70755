//! Boosted trees: what is imported, what is refused, what a model says, and its bytes.

mod bytes;
mod hand_made;
mod imports;
mod policy;
mod refusals;
mod says;
