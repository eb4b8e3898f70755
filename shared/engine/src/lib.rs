//! What happens to a batch: decode → plan → actions, guardrails as values, and one thin async driver over the ports.
//!
//! This crate never names an AWS type, never reads a clock or draws a random number except through its ports, and never
//! starts a task: the caller's executor polls it.

pub mod breaker;
mod budget;
mod cache;
mod call;
mod card_run;
pub mod config;
pub mod control;
pub mod directives;
pub mod engine;
mod finish;
mod hash;
mod load;
pub mod memory;
pub mod plan;
pub mod port;
pub mod quarantine;
pub mod record;
pub mod report;
mod sealed;
mod segment;
mod send;
mod sent;
mod trial;
pub mod user_record;

pub use config::EngineConfig;
pub use directives::{Candidate, Directives};
pub use engine::Engine;
pub use record::InRecord;
pub use report::{BatchReport, End, Returned};
