//! What happens to a batch: decode → plan → actions, guardrails as values, and one thin async driver over the ports.
//!
//! This crate never names an AWS type, never reads a clock or draws a random number except through its ports, and never
//! starts a task: the caller's executor polls it.

pub mod config;
pub mod engine;
mod hash;
pub mod memory;
pub mod port;
pub mod record;
pub mod report;

pub use config::EngineConfig;
pub use engine::Engine;
pub use record::InRecord;
pub use report::{BatchReport, End, Returned};
