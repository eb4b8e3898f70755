//! The modules of the `tidemark` command; `main.rs` only wires them.
//!
//! What is here is for people and tests at a terminal: it may read files and print progress.

pub mod account;
pub mod audit;
pub mod chaos;
pub mod cli;
pub mod control;
pub mod demo;
pub mod dlq;
pub mod doctor;
pub mod drill;
pub mod explain;
pub mod explain_ids;
pub mod explain_view;
pub mod local;
pub mod manual;
pub mod outcome;
pub mod places;
pub mod quarantine;
pub mod redrive;
pub mod score_file;
pub mod send;
pub mod stack;
pub mod version;
pub mod watch;
pub mod web;
