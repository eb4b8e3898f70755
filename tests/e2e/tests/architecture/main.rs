//! Checks over the whole workspace.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod circles;
mod dependencies;
mod paths;
mod sources;
mod unused;
