//! The command line, and the verbs that need no deployment; `main.rs` only wires verbs.
//!
//! The operator's verbs are in the crate `operate`, what runs the whole pipeline on this machine in `rehearse`.

pub mod cli;
pub mod cost;
pub mod doctor;
pub mod learning;
pub mod manual;
pub mod map;
pub mod score;
pub mod score_file;
pub mod simulate;
pub mod train;
pub mod version;
