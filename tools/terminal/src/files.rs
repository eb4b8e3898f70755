//! Files that several verbs read and write.

use std::path::Path;

use tidemark_domain::policy::Policy;

use crate::error::CliError;

/// The policy of a file, or the built-in one.
///
/// # Errors
/// When the file can't be read, or is wrong: every problem with its line.
pub fn policy(path: Option<&Path>) -> Result<Policy, CliError> {
    let Some(path) = path else {
        return Ok(Policy::default_policy());
    };
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|e| {
        CliError::input(
            "policy_file",
            format!("{name}: {e}"),
            "Name a readable policy file (TOML).",
        )
    })?;
    Policy::parse(&text, &name).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        CliError::input("policy", lines.join("\n"), "See docs/reference/policy.md.")
    })
}
