//! What Tidemark decides, and nothing else: the contract of events, event time and windows, a card's state and its
//! bytes, features, policy and score.
//!
//! This crate never does I/O, never reads a clock, never draws a random number, and never names an AWS type. The same
//! inputs give the same bits on every machine, for ever; that is what a replay stands on (I3, I6).

pub mod card;
pub mod contract;
pub mod control;
pub mod event;
pub mod feature;
pub mod fold;
pub mod id;
pub mod invariant;
pub mod lifetime;
pub mod outcome;
pub mod policy;
pub mod refusal;
pub mod score;
