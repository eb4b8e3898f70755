//! The ports in memory: for tests, benchmarks, simulation and scoring of files. Every call goes through a [`Faults`]
//! script, so that a test can make any call fail in any of the ways that the real services do.

mod allowance;
mod clock;
mod control;
mod fault;
mod sinks;
mod store;

pub use allowance::Allowance;
pub use clock::ManualClock;
pub use control::MemoryControl;
pub use fault::{Fault, Faults, Op};
pub use sinks::{MemoryQuarantine, MemorySink};
pub use store::MemoryStore;
