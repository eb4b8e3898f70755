//! Every test of the crate in one program: it is linked once.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod bad_input;
mod calls;
mod common;
mod concurrent;
mod horizon;
mod letters;
mod objects;
mod parts;
mod quarantine;
mod queues;
mod range;
mod slices;
mod walk;
