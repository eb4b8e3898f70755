//! Errors of the command: what happened, to what, what to do; and the exit codes.

/// Exit codes of the command, in the help and in docs/reference/command.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for was done, and what was checked holds.
    Ok = 0,
    /// The command ran, and what it checked does not hold (a mismatch, something unaccounted, refused lines).
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Something on this machine is missing or broken.
    Machine = 3,
    /// A service did not answer as it should.
    Service = 4,
    /// A file or a policy could not be read or is wrong.
    Input = 5,
    /// A check found nothing to look at: it says nothing about what it was to check.
    Nothing = 6,
}

/// An error for a person: one sentence what happened to what, one what to do.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct CliError {
    /// Stable code, documented in docs/errors.
    pub code: &'static str,
    /// What happened, to what.
    pub what: String,
    /// What to do about it.
    pub advice: String,
    /// How the process ends.
    pub exit: Exit,
}

impl CliError {
    /// A rule or a condition does not hold; nothing was changed.
    pub fn refused(code: &'static str, what: impl std::fmt::Display, advice: impl Into<String>) -> Self {
        Self {
            code,
            what: what.to_string(),
            advice: advice.into(),
            exit: Exit::Failed,
        }
    }

    /// A command line that can be read and still can't be meant.
    pub fn usage(code: &'static str, what: impl std::fmt::Display, advice: impl Into<String>) -> Self {
        Self {
            code,
            what: what.to_string(),
            advice: advice.into(),
            exit: Exit::Usage,
        }
    }

    /// Something on this machine is missing or broken.
    pub fn machine(code: &'static str, what: impl std::fmt::Display, advice: impl Into<String>) -> Self {
        Self {
            code,
            what: what.to_string(),
            advice: advice.into(),
            exit: Exit::Machine,
        }
    }

    /// A service did not answer as it should.
    pub fn service(code: &'static str, what: impl std::fmt::Display, advice: impl Into<String>) -> Self {
        Self {
            code,
            what: what.to_string(),
            advice: advice.into(),
            exit: Exit::Service,
        }
    }

    /// The same error where it is now known that there are no credentials, and why.
    #[must_use]
    pub fn without_credentials(mut self, why: &str) -> Self {
        self.what += &format!("\nthere are no credentials: {why}");
        self.advice = "Set AWS_PROFILE to a profile with keys, a role, SSO (then `aws sso login`) or credential_process. For any other kind \
                       that the AWS CLI knows: eval \"$(aws configure export-credentials --format env)\"."
            .to_owned();
        self
    }

    /// A file, a stream or a policy that can't be used.
    pub fn input(code: &'static str, what: impl std::fmt::Display, advice: impl Into<String>) -> Self {
        Self {
            code,
            what: what.to_string(),
            advice: advice.into(),
            exit: Exit::Input,
        }
    }
}
