//! What the function's log tells: consumed capacity; and small readings of payloads and reasons.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::error::CliError;
use serde::Deserialize;

/// Capacity that the function consumed, by its metrics.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// DynamoDB write units.
    pub write_units: f64,
    /// DynamoDB read units.
    pub read_units: f64,
}

#[derive(Deserialize)]
struct MetricsLine {
    #[serde(rename = "WriteUnits")]
    write_units: f64,
    #[serde(rename = "ReadUnits")]
    read_units: f64,
}

/// How long a function's log is before a run, in bytes: it is appended to, and earlier runs must not count.
#[must_use]
pub fn log_bytes(log: &Path) -> u64 {
    std::fs::metadata(log).map_or(0, |data| data.len())
}

/// Sums the metrics of a function's log from a place on.
///
/// # Errors
/// When the log can't be read.
pub fn read(log: &Path, from_bytes: u64) -> Result<Usage, CliError> {
    let text = read_from(log, from_bytes).map_err(|e| {
        let what = format!("the function's log {}: {e}", log.display());
        CliError::machine("function_log", what, "Check that the data directory can be written.")
    })?;
    Ok(sum(&text))
}

fn read_from(log: &Path, from_bytes: u64) -> std::io::Result<String> {
    let mut file = File::open(log)?;
    file.seek(SeekFrom::Start(from_bytes))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn sum(log: &str) -> Usage {
    let mut usage = Usage::default();
    // A log line may have a prefix of the local runtime; the metrics are the JSON object in it.
    for line in log
        .lines()
        .filter_map(|line| line.find('{').and_then(|at| line.get(at..)))
    {
        if let Ok(metrics) = serde_json::from_str::<MetricsLine>(line) {
            usage.write_units += metrics.write_units;
            usage.read_units += metrics.read_units;
        }
    }
    usage
}

#[derive(Deserialize)]
struct HasEventId {
    event_id: String,
}

/// The event id of a payload, if it has one.
#[must_use]
pub fn event_id(payload: &[u8]) -> Option<String> {
    serde_json::from_slice::<HasEventId>(payload)
        .ok()
        .map(|event| event.event_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_is_summed_over_the_metrics_lines_only() {
        let log = "{\"level\":\"INFO\"}\n{\"WriteUnits\":2.0,\"ReadUnits\":0.5,\"_aws\":{}}\n\
                   12:00 {\"WriteUnits\":1.0,\"ReadUnits\":1.5}\nplain text\n";
        let usage = sum(log);
        assert!((usage.write_units - 3.0).abs() < 1e-9 && (usage.read_units - 2.0).abs() < 1e-9);
    }

    #[test]
    fn an_earlier_run_in_the_same_log_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("function.log");
        assert_eq!(log_bytes(&log), 0, "before the first run there is no log");
        let line = "{\"WriteUnits\":2.0,\"ReadUnits\":1.0}\n";
        std::fs::write(&log, line).unwrap();
        let before = log_bytes(&log);
        std::fs::write(&log, line.repeat(2)).unwrap();
        assert!((read(&log, before).unwrap().write_units - 2.0).abs() < 1e-9);
    }
}
