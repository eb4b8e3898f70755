//! `oracle EVENTS` and `many-cards LINES FILE`: simulated streams in the sizes that measurements want.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::Duration;

use lab::oracle::{self, PlainLists, Sent};
use lab::simulate::{SimConfig, generate};
use serde_json::json;
use tidemark_domain::policy::Policy;

/// The last period's end, ms since 1970-01-01T00:00:00Z; a fixed one, so that the file is the same every time.
const NOW_MS: i64 = 1_795_996_800_000;
/// Cards live in one period each, and the next one begins when nothing of the one before is kept any more.
const PERIODS: u32 = 10;
const PERIOD_MS: i64 = 60 * 86_400_000;
/// Transactions of a card there.
const EVENTS_OF_CARD: u32 = 4;

/// Processor time of the oracle for a stream of so many records, as JSON.
///
/// # Errors
/// When the system does not tell the time.
pub fn time_oracle(events: u32) -> Result<String, String> {
    let policy = Policy::default_policy();
    let records: Vec<_> = generate(&SimConfig::new(1, events, events / 30, NOW_MS, &policy)).collect();
    let sent: Vec<Sent<'_>> = records
        .iter()
        .map(|record| Sent {
            arrival_ms: NOW_MS,
            payload: &record.payload,
        })
        .collect();
    let before = crate::handler::cpu_time();
    let expected = oracle::recompute(&policy, &sent, None, &PlainLists::default(), &|_| None);
    let took: Option<Duration> = crate::handler::cpu_time()
        .zip(before)
        .map(|(after, before)| after - before);
    let cpu_s = took.ok_or("the system does not tell a thread's time")?.as_secs_f64();
    let told = json!({ "records": sent.len(), "cards": expected.cards.len(), "outcomes": expected.outcomes.len(), "cpu_s": cpu_s });
    Ok(told.to_string() + "\n")
}

/// Writes a stream of so many lines in which a tenth of all cards live at a time.
///
/// # Errors
/// When the file can't be written.
pub fn many_cards(lines: u32, path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = BufWriter::new(File::create(path).map_err(failed)?);
    let (policy, events) = (Policy::default_policy(), lines / PERIODS);
    for (seed, number) in (1..).zip(0..i64::from(PERIODS)) {
        let end_ms = NOW_MS - (i64::from(PERIODS) - 1 - number) * PERIOD_MS;
        let mut config = SimConfig::new(seed, events, events / EVENTS_OF_CARD, end_ms, &policy).clean();
        // No label of an event that comes later is refused.
        config.label_share = 0.0;
        for record in generate(&config) {
            file.write_all(&record.payload)
                .and_then(|()| file.write_all(b"\n"))
                .map_err(failed)?;
        }
    }
    file.flush().map_err(failed)?;
    Ok(String::new())
}
