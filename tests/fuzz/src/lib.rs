//! See Cargo.toml.

pub mod contract;
pub mod lists;
pub mod random;
pub mod state;
pub mod trees;
