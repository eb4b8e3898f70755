//! The account (I1): the reading. What it judges by, and the judgement, is the crate `reconcile`.

pub mod dropped;
pub mod evidence;
pub mod message;
pub mod objects;
pub mod queue;

pub use reconcile::{
    Accepted, Account, BoundsInForce, CardFacts, Claim, Evidence, OutcomeCopies, Record, SequenceRange,
};
