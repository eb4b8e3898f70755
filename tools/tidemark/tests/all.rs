//! The tests of the crate in one program, which is linked once; those with a program of their own are in Cargo.toml.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod audit;
mod caller;
mod control;
mod control_input;
mod documented;
mod documents;
mod import;
mod label;
mod lists;
mod models;
mod own_files;
mod own_records;
mod page;
mod privacy;
mod readme;
mod reads;
mod redrive;
mod redrive_parts;
mod send;
mod training_set;
mod world;
