//! What the function's log tells: consumed capacity; and small readings of payloads and reasons.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde::Deserialize;
use terminal::error::CliError;
use tidemark_domain::id::EventKey;
use tidemark_telemetry::Metric;

use crate::demo::signals::Signals;

/// What the function said by its metrics, and the capacity that it consumed.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    /// Everything that the metrics say.
    pub signals: Signals,
    /// DynamoDB write units.
    pub write_units: f64,
    /// DynamoDB read units.
    pub read_units: f64,
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
    let signals = Signals::read(log);
    Usage {
        write_units: signals.sum(Metric::WriteUnits),
        read_units: signals.sum(Metric::ReadUnits),
        signals,
    }
}

#[derive(Deserialize)]
struct NamesEvent {
    card_id: String,
    event_id: String,
    occurred_at_ms: i64,
}

/// The event of a payload, if it names one.
#[must_use]
pub fn event(payload: &[u8]) -> Option<EventKey> {
    let named: NamesEvent = serde_json::from_slice(payload).ok()?;
    EventKey::new(&named.card_id, &named.event_id, named.occurred_at_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemark_telemetry::EmfLine;

    fn line(write_units: f64, read_units: f64) -> String {
        let line = EmfLine::new(1, "f").metric(Metric::WriteUnits, write_units);
        line.metric(Metric::ReadUnits, read_units).to_json()
    }

    #[test]
    fn capacity_is_summed_over_the_metrics_lines_only() {
        let log = format!(
            "{{\"level\":\"INFO\"}}\n{}\n12:00 {}\nplain text\n",
            line(2.0, 0.5),
            line(1.0, 1.5)
        );
        let usage = sum(&log);
        assert!((usage.write_units - 3.0).abs() < 1e-9 && (usage.read_units - 2.0).abs() < 1e-9);
    }

    #[test]
    fn an_earlier_run_in_the_same_log_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("function.log");
        assert_eq!(log_bytes(&log), 0, "before the first run there is no log");
        let line = line(2.0, 1.0) + "\n";
        std::fs::write(&log, &line).unwrap();
        let before = log_bytes(&log);
        std::fs::write(&log, line.repeat(2)).unwrap();
        assert!((read(&log, before).unwrap().write_units - 2.0).abs() < 1e-9);
    }
}
