//! What happens to a batch: decode → plan → actions, guardrails as values, and one thin async driver over the ports.
//!
//! `batch` tells the story of one batch, step by step; each step is a module that takes what it needs.
//!
//! This crate never names an AWS type, never reads a clock or draws a random number except through its ports, and never
//! starts a task: the caller's executor polls it.

mod batch;
pub mod breaker;
mod budget;
mod cache;
mod call;
mod cards;
mod causes;
mod commit;
pub mod config;
pub mod control;
mod desk;
pub mod directives;
pub mod engine;
mod fold;
mod hash;
pub mod import;
mod keys;
mod load;
pub mod lock;
pub mod memory;
mod outcomes;
pub mod plan;
pub mod port;
mod portion;
mod process_card;
mod profile;
pub mod quarantine;
pub mod record;
pub mod report;
pub mod retry;
mod sealed;
mod send_all;
mod sent;
pub mod steered;
mod trial;
pub mod user_record;

pub use causes::causes;
pub use config::EngineConfig;
pub use directives::{Candidate, Directives};
pub use engine::Engine;
pub use record::InRecord;
pub use report::{BatchReport, End, Returned, RuleCounts};
pub use steered::Steered;
