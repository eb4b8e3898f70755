//! Where an audit has come to, kept in a file, so that the next one goes on from there.

use std::path::Path;

use serde::{Deserialize, Serialize};
use terminal::error::CliError;

/// The version of the file's shape.
const VERSION: u32 = 1;

/// What the file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    version: u32,
    /// The stream that was audited.
    stream: String,
    /// Only this shard of it.
    shard: Option<String>,
    /// Everything that arrived before has its end and holds, ms since 1970-01-01T00:00:00Z.
    pub(super) done_until_ms: i64,
    /// When that was found, ms since 1970-01-01T00:00:00Z.
    pub(super) audited_at_ms: i64,
}

impl Checkpoint {
    pub(super) fn new(stream: &str, shard: Option<&str>, done_until_ms: i64, audited_at_ms: i64) -> Self {
        Self {
            version: VERSION,
            stream: stream.to_owned(),
            shard: shard.map(str::to_owned),
            done_until_ms,
            audited_at_ms,
        }
    }

    /// Reads the file; `None`: there is none yet.
    pub(super) fn read(path: &Path, stream: &str, shard: Option<&str>) -> Result<Option<Self>, CliError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(path, &error)),
        };
        let found: Self = serde_json::from_str(&text).map_err(|error| unusable(path, &error))?;
        if found.version != VERSION {
            return Err(unusable(path, &format!("it is of version {}", found.version)));
        }
        if found.stream != stream || found.shard.as_deref() != shard {
            return Err(unusable(
                path,
                &format!("it is of stream {}, audited otherwise", found.stream),
            ));
        }
        Ok(Some(found))
    }

    /// Writes the file: whole or not at all.
    pub(super) fn write(&self, path: &Path) -> Result<(), CliError> {
        let text = serde_json::to_string_pretty(self).map_err(|error| unusable(path, &error))?;
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| unusable(path, &error))?;
        }
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        std::fs::write(&beside, text + "\n").map_err(|error| unusable(path, &error))?;
        std::fs::rename(&beside, path).map_err(|error| unusable(path, &error))
    }
}

fn unusable(path: &Path, why: &dyn std::fmt::Display) -> CliError {
    CliError::input(
        "checkpoint",
        format!("checkpoint {}: {why}", path.display()),
        "Name another file with --checkpoint, or delete this one: the next audit then begins at --since.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_comes_back_and_is_of_one_stream() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/audit.json");
        assert_eq!(Checkpoint::read(&path, "s", None).unwrap(), None);
        let checkpoint = Checkpoint::new("s", None, 7, 8);
        checkpoint.write(&path).unwrap();
        checkpoint.write(&path).unwrap();
        assert_eq!(Checkpoint::read(&path, "s", None).unwrap(), Some(checkpoint));
        for (stream, shard) in [("other", None), ("s", Some("shard"))] {
            assert_eq!(Checkpoint::read(&path, stream, shard).unwrap_err().code, "checkpoint");
        }
        std::fs::write(&path, "{").unwrap();
        assert_eq!(Checkpoint::read(&path, "s", None).unwrap_err().code, "checkpoint");
    }
}
