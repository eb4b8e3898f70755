//! Every test of the crate in one program: it is linked once.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod aggregate;
mod batch;
mod calls;
mod common;
mod conflicts;
mod control;
mod crash;
mod failure;
mod hot;
mod hot_cost;
mod keys;
mod keys_killed;
mod lifetime;
mod links;
mod maps;
mod pacing;
mod rules;
mod steered;
mod tiers;
mod writers;
