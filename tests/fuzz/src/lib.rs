//! See Cargo.toml.

pub mod contract;
pub mod state;
