//! What every verb of the command needs at a terminal: data on stdout and all else on stderr, errors that say what to do, times
//! and amounts as people write them, files of lines, who is there.
//!
//! The [`clock`] is the only place of the command's crates that reads the time or waits.

pub mod chunk;
pub mod clock;
pub mod error;
pub mod escape;
pub mod files;
pub mod glance;
pub mod input;
pub mod lines;
pub mod list_file;
pub mod operator;
pub mod ui;
pub mod when;
