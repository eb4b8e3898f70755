//! The tests of the crate in one program, which is linked once; those with a program of their own are in Cargo.toml.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod alarms;
mod architecture;
mod cdk;
mod claims;
mod infrastructure;
mod observability;
mod options;
mod rollout;
