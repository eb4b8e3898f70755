//! What a function's process does with its settings before anything else.

use std::collections::BTreeMap;
use std::process::ExitCode;

use tidemark_telemetry::{ErrorCode, logging};
use tracing::Level;

use crate::reader::Problem;

/// Process exit code for wrong settings (EX_CONFIG of sysexits).
pub const EXIT_CONFIGURATION: u8 = 78;

/// The process's variables; one that is not UTF-8 is none of ours.
#[must_use]
pub fn variables() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Reports every problem, and gives the code that the process ends with.
#[must_use]
pub fn refuse(problems: &[Problem]) -> ExitCode {
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
pub fn warn_of_unknown(variables: &[String]) {
    for variable in variables {
        tracing::warn!(
            code = ErrorCode::ConfigurationInvalid.as_str(),
            variable,
            "no such setting: it is ignored"
        );
    }
}
