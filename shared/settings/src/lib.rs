//! The functions' settings: read once from the environment, with every problem reported together.
//!
//! [`Config`] is what every function has; a function with settings of its own goes on with the same [`Reader`].

mod pipeline;
pub mod process;
mod reader;

pub use pipeline::Config;
pub use process::EXIT_CONFIGURATION;
pub use reader::{Knob, Problem, Reader, Tuner};
