//! The redrive function: a request in, a tally of what became of the records out.
//!
//! [`handler`] takes one request to its end over the ports of `tidemark-redrive`, [`steered`] lets the
//! control plane steer the engine, [`config`] is read once. The binary only wires these to Lambda and AWS.

pub mod config;
pub mod handler;
pub mod steered;
mod telemetry;

pub use config::Settings;
pub use handler::{Handled, HandlerError, RedriveFunction};
pub use steered::SteeredProcessor;
