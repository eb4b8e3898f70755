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
    binaries_beside(&program)
        .map(Path::to_path_buf)
        .ok_or_else(|| std::io::Error::other(format!("{} has no folder of binaries above it", program.display())))
}

/// Where a program's binaries are: a test is in the folder `deps` below them, a binary among them.
fn binaries_beside(program: &Path) -> Option<&Path> {
    let folder = program.parent()?;
    if folder.ends_with("deps") {
        folder.parent()
    } else {
        Some(folder)
    }
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

/// A template as CloudFormation takes it with these parameters (`NAME=VALUE`), conditions and all.
///
/// # Errors
/// When the tools can't be installed or run, or print no JSON.
pub fn decided<P: AsRef<std::ffi::OsStr>>(
    template: &str,
    parameters: impl IntoIterator<Item = P>,
) -> Result<serde_json::Value, Failed> {
    let mut command = venv("lint")?.script("decided.py");
    let printed = run(command.arg(template).args(parameters))?;
    serde_json::from_str(&printed).map_err(|error| Failed::io("decided.py", error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_and_a_binary_have_the_same_binaries_beside_them() {
        for program in ["/w/target/release/deps/all-1", "/w/target/release/bench"] {
            assert_eq!(
                binaries_beside(Path::new(program)),
                Some(Path::new("/w/target/release"))
            );
        }
    }
}
