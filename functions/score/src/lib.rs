//! The score function: a Kinesis batch in, one outcome for each transaction out.
//!
//! [`kinesis`] reads the invocation's payload, [`handler`] takes it to its end over the engine's ports, [`config`] is read
//! once. The binary only wires these to Lambda and AWS; tests and benchmarks wire them to memory.

pub mod handler;
pub mod kinesis;
pub mod telemetry;

pub use handler::{Handled, HandlerError, Response, ScoreFunction};
pub use tidemark_settings::{self as config, Config};
