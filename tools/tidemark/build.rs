//! The commit that `--version` names. A dev build does not ask: its commit would change with every commit, and everything
//! would be built again for it; it looks at its checkout when it is asked for its version.

use std::process::Command;

#[allow(clippy::disallowed_methods)] // cargo tells a build script by variables
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let commit = if is_release { commit() } else { None };
    println!("cargo:rustc-env=TIDEMARK_COMMIT={}", commit.unwrap_or_default());
}

fn commit() -> Option<String> {
    for path in ["HEAD", "logs/HEAD"] {
        println!("cargo:rerun-if-changed={}", git(&["rev-parse", "--git-path", path])?);
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
