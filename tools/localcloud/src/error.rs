//! What keeps a local AWS from starting or working.

use std::path::PathBuf;

use tidemark_aws::admin::AdminError;

/// A failure of the local cloud.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// No port could be bound on 127.0.0.1.
    #[error("cannot listen on 127.0.0.1")]
    Listen(#[source] std::io::Error),
    /// The port that was asked for is taken, or may not be used.
    #[error("port {port} of 127.0.0.1 can't be listened on")]
    Port {
        /// The port.
        port: u16,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A folder or file could not be made or opened.
    #[error("cannot use {}", path.display())]
    Path {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The embedded table store did not open.
    #[error("the local table store did not open")]
    Table(#[source] dynoxide::errors::DynoxideError),
    /// A stream, table or queue could not be made or read.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// An option outside AWS's limits.
    #[error("{option}: {value} is outside {from}..={to}")]
    Option {
        /// Its name.
        option: &'static str,
        /// What was given.
        value: i64,
        /// The least.
        from: i64,
        /// The most.
        to: i64,
    },
    /// The mapping or the function has been stopped.
    #[error("{0} has been stopped")]
    Stopped(String),
    /// Something did not end within its time.
    #[error("{what}: not done within {waited_ms} ms")]
    TimedOut {
        /// What did not end.
        what: String,
        /// How long it was waited for, in milliseconds.
        waited_ms: u64,
    },
}

/// Refuses an option outside AWS's limits.
pub(crate) fn within(option: &'static str, value: u64, from: u64, to: u64) -> Result<(), LocalError> {
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    if (from..=to).contains(&value) {
        return Ok(());
    }
    Err(LocalError::Option {
        option,
        value: signed(value),
        from: signed(from),
        to: signed(to),
    })
}
