//! Running a program to its end.

use std::io::Write;
use std::process::{Command, Stdio};

/// A program that did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// It could not be started, or talked to.
    #[error("{program} can't be run or talked to")]
    Io {
        /// Which program.
        program: String,
        /// Why it could not be.
        #[source]
        source: std::io::Error,
    },
    /// It said that it failed.
    #[error("{program} ended with {status}\n{stdout}\n{stderr}")]
    Status {
        /// Which program.
        program: String,
        /// Its exit status.
        status: String,
        /// What it printed.
        stdout: String,
        /// What it complained of.
        stderr: String,
    },
}

impl Failed {
    pub(crate) fn io(program: impl std::fmt::Display, source: std::io::Error) -> Self {
        Self::Io {
            program: program.to_string(),
            source,
        }
    }
}

/// Runs a program to its end; the answer is its standard output.
///
/// # Errors
/// When it cannot be started or ends with another status than 0; the error holds all that it printed.
pub fn run(command: &mut Command) -> Result<String, Failed> {
    run_with_input(command, "")
}

/// Runs a program with that text on its standard input; the answer is its standard output.
///
/// # Errors
/// When it cannot be started or ends with another status than 0; the error holds all that it printed.
pub fn run_with_input(command: &mut Command, input: &str) -> Result<String, Failed> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |source| Failed::io(&program, source);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        match stdin.write_all(input.as_bytes()) {
            // A program that reads none of its input may have ended already: its status says whether that is well.
            Err(problem) if problem.kind() != std::io::ErrorKind::BrokenPipe => return Err(failed(problem)),
            _ => {}
        }
    }
    let output = child.wait_with_output().map_err(failed)?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Failed::Status {
        program,
        status: output.status.to_string(),
        stdout,
        stderr,
    })
}
