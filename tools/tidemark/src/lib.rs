//! The modules of the `tidemark` command; `main.rs` only wires them.
//!
//! What is here is for people and tests at a terminal: it may read files and print progress.

pub mod chaos;
pub mod cli;
pub mod demo;
pub mod doctor;
pub mod drill;
pub mod local;
pub mod manual;
pub mod score_file;
pub mod stack;
pub mod version;
pub mod web;
