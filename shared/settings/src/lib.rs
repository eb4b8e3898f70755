//! The functions' settings: read once from the environment, with every problem reported together.
//!
//! [`Config`] is what every function has; a function with settings of its own goes on with the same [`Reader`]. What is made of
//! them is the same in every function, too: the engine on AWS ([`assemble`]), the begin and the end of the [`process`].

mod assemble;
mod maps;
mod pipeline;
pub mod process;
mod reader;

pub use assemble::{AwsEngine, assemble};
pub use maps::SaltedMaps;
pub use pipeline::Config;
pub use process::EXIT_CONFIGURATION;
pub use reader::{Knob, Reader, SettingProblem, Tuner};
