//! Learning from a file: the history replayed through the real engine, features as of each event, labels as of when they were
//! known. `train` fits points to it, `backtest` holds policies against it, `export` writes it down.

pub mod backtest;
pub mod export;
pub mod labels;
mod policy_text;
pub mod replay;
mod task;
#[cfg(test)]
mod tests;
pub mod train;
mod unlabelled;

/// What can go wrong with a history.
#[derive(Debug, thiserror::Error)]
pub enum LearningError {
    /// The file can't be read, or the engine gave a line back.
    #[error(transparent)]
    File(#[from] crate::score_file::ScoreFileError),
    /// The file can't be read, or is no file of events.
    #[error(transparent)]
    Lines(#[from] terminal::lines::LinesError),
    /// A transaction comes after one that happened later.
    #[error("line {line}: this transaction happened {behind_ms} ms before an earlier line's")]
    OutOfOrder {
        /// The line, from 1.
        line: u64,
        /// How far behind, ms.
        behind_ms: i64,
    },
    /// Nothing of the file lies in the range.
    #[error("no transaction of the file lies in the range")]
    NothingInRange,
    /// Nothing can be learned.
    #[error(transparent)]
    Learn(#[from] learn::LearnError),
    /// Parquet was asked for.
    #[error("this command was built without Parquet")]
    NoParquet,
    /// A Parquet file could not be written.
    #[cfg(feature = "parquet")]
    #[error(transparent)]
    Columns(#[from] columns::ColumnsError),
    /// An outcome that can't be read: a bug.
    #[error("an outcome can't be read: this is a bug")]
    Outcome(#[source] serde_json::Error),
    /// The policy to begin with is no TOML.
    #[error("the policy to begin with can't be taken apart")]
    Base(#[source] toml::de::Error),
    /// A policy can't be written as TOML: a bug.
    #[error("the policy that was made can't be written: this is a bug")]
    Render(#[source] toml::ser::Error),
    /// A policy that was made is not one: a bug.
    #[error("the policy that was made is wrong: this is a bug ({0})")]
    Policy(String),
}
