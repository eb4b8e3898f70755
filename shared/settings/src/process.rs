//! What the process of every function does besides its own work: it begins with the settings, and ends with the runtime.

use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;

use tidemark_engine::control::ControlProblem;
use tidemark_telemetry::{ErrorCode, logging};
use tracing::Level;

use crate::pipeline::Config;
use crate::reader::SettingProblem;

/// Process exit code for wrong settings (EX_CONFIG of sysexits).
pub const EXIT_CONFIGURATION: u8 = 78;

/// Reads a function's settings with `read` and begins its log; `pipeline` is the part that every function has.
///
/// # Errors
/// The code that the process ends with, when the settings are wrong. Every problem is in the log then.
pub fn begin<S>(
    read: impl FnOnce(&BTreeMap<String, String>, fn(&str) -> std::io::Result<String>) -> Result<S, Vec<SettingProblem>>,
    pipeline: impl FnOnce(&S) -> &Config,
) -> Result<S, ExitCode> {
    let settings = read(&variables(), |path| std::fs::read_to_string(path)).map_err(|problems| refuse(&problems))?;
    let config = pipeline(&settings);
    logging::init(config.log_level);
    warn_of_unknown(&config.unknown);
    Ok(settings)
}

/// The code that the process ends with when Lambda's runtime has stopped.
#[must_use]
pub fn end(stopped: Result<(), Box<dyn Error + Send + Sync>>) -> ExitCode {
    match stopped {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(code = ErrorCode::RuntimeFailed.as_str(), error, "the runtime stopped");
            ExitCode::FAILURE
        }
    }
}

/// The page that explains what is wrong with the control plane.
#[must_use]
pub const fn code_of(problem: &ControlProblem) -> ErrorCode {
    match problem {
        ControlProblem::Unread(_) => ErrorCode::ControlUnread,
        problem if problem.is_of_model() => ErrorCode::ModelUnusable,
        ControlProblem::Map { .. } => ErrorCode::MapUnusable,
        ControlProblem::List { .. } => ErrorCode::ListUnusable,
        ControlProblem::Item(_) | ControlProblem::Policy { .. } => ErrorCode::ControlItemInvalid,
    }
}

/// The process's variables; one that is not UTF-8 is left out: none of ours is such.
fn variables() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Reports every problem, and gives the code that the process ends with.
fn refuse(problems: &[SettingProblem]) -> ExitCode {
    logging::init(Level::INFO);
    for problem in problems {
        tracing::error!(
            code = problem.code.as_str(),
            variable = problem.variable,
            "{}",
            problem.message
        );
    }
    ExitCode::from(EXIT_CONFIGURATION)
}

/// Reports variables of ours that mean nothing: a misspelt one would be ignored in silence.
fn warn_of_unknown(variables: &[String]) {
    for variable in variables {
        tracing::warn!(
            code = ErrorCode::ConfigurationInvalid.as_str(),
            variable,
            "no such setting: it is ignored"
        );
    }
}
