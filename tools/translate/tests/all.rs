//! Maps, rows, and what becomes of bad ones.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod bad_input;
mod live;
mod map;
mod packed;
mod profiles;
mod reference;
mod rows;
mod suggestions;
mod world;
