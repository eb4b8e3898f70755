//! What `--version` says: the release, and the commit it was built from.

use std::sync::OnceLock;

/// The commit that a release build was made of; empty in a dev build (build.rs says why).
const COMMIT: &str = env!("TIDEMARK_COMMIT");
const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// The release and its commit. Only when somebody asks does a dev build look at its checkout.
#[must_use]
pub fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let is_asked = std::env::args_os().any(|argument| argument == "--version" || argument == "-V");
        match COMMIT {
            "" if is_asked => match checkout() {
                Some(commit) => format!("{RELEASE} (dev build, the checkout is at {commit})"),
                None => format!("{RELEASE} (dev build)"),
            },
            "" => RELEASE.to_owned(),
            commit => format!("{RELEASE} ({commit})"),
        }
    })
}

fn checkout() -> Option<String> {
    let mut git = std::process::Command::new("git");
    git.args(["-C", env!("CARGO_MANIFEST_DIR"), "rev-parse", "--short=12", "HEAD"]);
    let output = git.output().ok().filter(|output| output.status.success())?;
    let commit = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!commit.is_empty()).then_some(commit)
}
