//! The files that are tracked, for the checks that look at their text.

use std::path::PathBuf;
use std::process::Command;

use crate::program::{Failed, run};
use crate::workspace_root;

/// A tracked file with text in it.
#[derive(Debug)]
pub struct TrackedFile {
    /// Its path from the workspace's folder, with forward slashes.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl TrackedFile {
    /// Where it is.
    #[must_use]
    pub fn absolute(&self) -> PathBuf {
        workspace_root().join(&self.path)
    }
}

/// Every text file that git tracks or would track (not ignored), sorted by path. Binary files are left out.
///
/// # Errors
/// When git is missing or this is no clone.
pub fn tracked_files() -> Result<Vec<TrackedFile>, Failed> {
    let listing = run(Command::new("git").current_dir(workspace_root()).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    let mut files: Vec<TrackedFile> = listing
        .split('\0')
        .filter(|path| !path.is_empty())
        .filter_map(|path| {
            // A file that is listed but gone, or that is not UTF-8, has no text to check.
            let text = std::fs::read_to_string(workspace_root().join(path)).ok()?;
            Some(TrackedFile {
                path: path.to_owned(),
                text,
            })
        })
        .collect();
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files.dedup_by(|one, other| one.path == other.path);
    Ok(files)
}
