//! The event source mapping from Kinesis to Lambda with AWS's semantics, as a state machine.
//!
//! This part never reads a clock, never does I/O and draws no random number: time, records and the results of invocations
//! come in as arguments, actions go out as values. The driver in [`crate::mapping`] carries them out; a simulation may as
//! well, in virtual time. What AWS's documentation leaves open is decided here for the worse case and written down in
//! docs/reference/local-aws.md.

mod answer;
mod lane;
mod machine;
mod notice;
mod options;
mod shard;
#[cfg(test)]
mod tests;

pub use lane::EsmRecord;
pub use machine::{Action, Esm, EsmStats, InvokeOutcome};
pub use options::{EsmOptions, StartingPosition};
