//! Every test of the crate in one program: it is linked once.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod contract;
mod lists;
mod state;
mod trees;
