//! `tidemark doctor`: what is missing on this machine, and how to get it.

mod endpoint;

use std::process::Command;

use clap::Args;
use serde::Serialize;
use terminal::error::{CliError, Exit};
use terminal::ui::{self, paint};

/// What its help says at the end.
pub const HELP: &str = "\
Examples:
  tidemark doctor
  tidemark doctor --endpoint http://127.0.0.1:4566";

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Say which emulator answers there, on this machine, and what it can't do
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,
}

/// How much a missing thing matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Need {
    /// Nothing runs without it.
    Required,
    /// Only the tests need it.
    ToTest,
    /// Only deployment to AWS needs it.
    ToDeploy,
}

/// One thing looked for.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    need: Need,
    /// What was found, or `None`.
    found: Option<String>,
    why: &'static str,
    how_to_get_it: &'static str,
}

/// Oldest Python that the tests' tools run on: 3.10.
const PYTHON_MINOR_MIN: u32 = 10;

/// Looks for everything and says it; exits with [`Exit::Machine`] when something required is missing.
///
/// # Errors
/// When the report can't be written as JSON, or nothing answers on the endpoint that was asked for.
pub fn run(args: &DoctorArgs, json: bool) -> Result<Exit, CliError> {
    if let Some(endpoint) = &args.endpoint {
        return endpoint::run(endpoint, json);
    }
    let checks = checks();
    let missing = checks
        .iter()
        .any(|check| check.found.is_none() && check.need == Need::Required);
    if json {
        let text = serde_json::to_string_pretty(&serde_json::json!({ "ready": !missing, "checks": checks }))
            .map_err(|e| CliError::machine("report", e, "This is a bug in tidemark: please report it."))?;
        ui::out(&(text + "\n"));
    } else {
        ui::out(&render(&checks, missing));
    }
    Ok(if missing { Exit::Machine } else { Exit::Ok })
}

fn checks() -> Vec<Check> {
    vec![
        Check {
            name: "cargo",
            need: Need::Required,
            found: version_of("cargo", &["--version"]),
            why: "builds the score function",
            how_to_get_it: "Install Rust with rustup (https://rustup.rs); rust-toolchain.toml names the channel.",
        },
        Check {
            name: "C compiler",
            need: Need::Required,
            found: version_of("cc", &["--version"]),
            why: "builds SQLite and ring",
            how_to_get_it: "Debian, Ubuntu: apt-get install gcc libc6-dev. macOS: xcode-select --install.",
        },
        Check {
            name: "python3",
            need: Need::ToTest,
            found: python(),
            why: "runs the emulator and the linters that the template is tested with",
            how_to_get_it: "Install Python 3.10 or newer; Debian, Ubuntu: apt-get install python3.",
        },
        Check {
            name: "python3 venv and pip",
            need: Need::ToTest,
            found: version_of(
                "python3",
                &["-c", "import ensurepip, venv; print('ensurepip', ensurepip.version())"],
            ),
            why: "installs those into a folder of their own",
            how_to_get_it: "Debian, Ubuntu: apt-get install python3-venv.",
        },
        Check {
            name: "loopback",
            need: Need::Required,
            found: loopback(),
            why: "every local server listens on 127.0.0.1",
            how_to_get_it: "Allow this program to bind 127.0.0.1 (sandbox or firewall settings).",
        },
        Check {
            name: "cargo-lambda",
            need: Need::ToDeploy,
            found: version_of("cargo-lambda", &["lambda", "--version"]),
            why: "builds the bootstrap that Lambda runs",
            how_to_get_it: "`tidemark deploy` installs it into .tidemark/venv-deploy by itself.",
        },
    ]
}

/// First line that a program prints of its version.
fn version_of(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    if !output.status.success() {
        return None;
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().map(|line| line.trim().to_owned())
}

fn python() -> Option<String> {
    let version = version_of(
        "python3",
        &["-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"],
    )?;
    let minor: u32 = version.strip_prefix("3.")?.split('.').next()?.parse().ok()?;
    (minor >= PYTHON_MINOR_MIN).then(|| format!("Python {version}"))
}

fn loopback() -> Option<String> {
    std::net::TcpListener::bind(("127.0.0.1", 0))
        .ok()
        .map(|_| "127.0.0.1 can be bound".to_owned())
}

fn render(checks: &[Check], missing: bool) -> String {
    let mut text = String::new();
    for check in checks {
        match (&check.found, check.need) {
            (Some(found), _) => {
                text += &format!(
                    "{} {:<22} {}\n",
                    paint(ui::GOOD, "✓"),
                    check.name,
                    paint(ui::DIM, found)
                );
            }
            (None, need) => {
                let (style, mark) = if need == Need::Required {
                    (ui::BAD, "✗")
                } else {
                    (ui::WARN, "–")
                };
                let only = match need {
                    Need::Required => "",
                    Need::ToTest => " (only for the tests)",
                    Need::ToDeploy => " (only to deploy)",
                };
                text += &format!(
                    "{} {:<22} not found{only}: {}\n",
                    paint(style, mark),
                    check.name,
                    check.why
                );
                text += &format!("    {}\n", check.how_to_get_it);
            }
        }
    }
    text += if missing {
        "\nSomething required is missing.\n"
    } else {
        "\nReady: try `cargo tidemark demo`.\n"
    };
    text
}

#[cfg(test)]
mod tests {
    use super::{Check, Need, checks, render};

    #[test]
    fn a_missing_requirement_is_said_with_its_cure() {
        let check = Check {
            name: "x",
            need: Need::Required,
            found: None,
            why: "y",
            how_to_get_it: "get it",
        };
        let text = render(&[check], true);
        assert!(text.contains("not found") && text.contains("get it") && text.contains("required is missing"));
    }

    #[test]
    fn every_check_says_why_and_how() {
        assert!(
            checks()
                .iter()
                .all(|c| !c.why.is_empty() && c.how_to_get_it.ends_with('.'))
        );
    }
}
