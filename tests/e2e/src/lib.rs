//! What the end-to-end tests and the checks over the workspace share: where things are, the Python environments of the
//! tests, and running a program whose output is wanted.

mod program;
mod sources;
mod venv;

pub use program::{Failed, run, run_with_input};
pub use sources::{TrackedFile, tracked_files};
pub use venv::{Venv, venv};

use std::path::{Path, PathBuf};

/// The folder of the workspace.
#[must_use]
pub fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .map(Path::to_path_buf)
        .unwrap_or_default()
}

/// The folder of the workspace's binaries, as built for the tests that run now.
///
/// # Errors
/// When the running program's place is unknown.
pub fn binary_folder() -> std::io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    // target/debug/deps/<test>: the binaries are two levels up.
    program
        .ancestors()
        .nth(2)
        .map(Path::to_path_buf)
        .ok_or_else(|| std::io::Error::other(format!("{} has no folder of binaries above it", program.display())))
}

/// The folder that cargo builds into.
///
/// # Errors
/// When the running program's place is unknown.
pub fn target_folder() -> std::io::Result<PathBuf> {
    let binaries = binary_folder()?;
    binaries
        .parent()
        .map(Path::to_path_buf)
        .ok_or_else(|| std::io::Error::other(format!("{} has no folder above it", binaries.display())))
}
