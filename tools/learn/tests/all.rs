//! Every test of the crate in one program: it is linked once.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod bootstrap;
mod points;
mod quantiles;
mod ranking;
mod rarity;
mod refusals;
mod thresholds;
mod world;
