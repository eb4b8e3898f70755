//! What Tidemark decides, and nothing else: the contract of events, event time and windows, a card's state and its
//! bytes, features, policy and score.
//!
//! This crate never does I/O, never reads a clock, never draws a random number, and never names an AWS type. The same
//! inputs give the same bits on every machine, for ever; that is what a replay stands on (I3, I6).
//!
//! From the ground up, where each module takes only from those below it:
//! ```text
//! id, refusal, catalogue          what things are called
//! trees                           a model that a team has trained elsewhere, and its bytes
//! event, lists, outcome, lifetime        what comes in and what goes out, as types
//! contract, history, rules        bytes of events; what is kept of a card's, and its bytes; an analyst's expressions
//! policy, render                  what a team decides; an outcome's bytes
//! measure, control                what features are worth; which policy is in force
//! model                           how surprising that is: the score
//! mapped                          which event a record is, by the contract or by the published map in force
//! fold                            an event applied to a card's state
//! ```

pub mod catalogue;
pub mod contract;
pub mod control;
pub mod event;
pub mod fold;
pub mod history;
pub mod id;
pub mod invariant;
pub mod labelled;
pub mod lifetime;
pub mod lists;
pub mod mapped;
pub mod measure;
pub mod model;
pub mod outcome;
pub mod policy;
pub mod refusal;
pub mod render;
pub mod rules;
pub mod trees;
