//! Checks over the whole workspace.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod circles;
mod dependencies;
mod errors;
mod glossary;
mod invariants;
mod names;
mod paths;
mod recipes;
mod sources;
mod unused;
