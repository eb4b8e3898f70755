//! Steering the pipeline: policies, mode, overrides, rollout, and the comparison of a candidate with what is in force.

pub mod args;
pub mod compare;
mod mapping;
mod mode;
mod model;
mod overrides;
mod plane;
mod policy;
mod rollout;
mod until;

pub use compare::run as compare;
pub use mode::run as mode;
pub use model::run as model;
pub use overrides::run as overrides;
pub use policy::run as policy;
pub use rollout::run as rollout;

use serde_json::Value;
use terminal::error::Exit;
use terminal::ui;

/// Prints a document, or the same for a person.
fn print(json: bool, value: &Value, text: &str) -> Exit {
    ui::out(&if json { format!("{value}\n") } else { text.to_owned() });
    Exit::Ok
}
