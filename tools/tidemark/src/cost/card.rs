//! What one event costs of a card's store, measured: the engine takes typical cards through weeks of events, one event a batch, over a
//! store in memory that counts units as DynamoDB does.

use std::sync::Arc;

use futures_util::FutureExt;
use lab::typical;
use serde::Serialize;
use terminal::error::CliError;
use tidemark_domain::lifetime::SEGMENT_MS;
use tidemark_domain::policy::Policy;
use tidemark_engine::memory::{ManualClock, MemoryQuarantine, MemorySink, MemoryStore};
use tidemark_engine::{Engine, EngineConfig, InRecord};

/// Cards that are measured; their mean is told.
const CARDS: u64 = 8;
/// Days that are measured, once a card holds all that it will keep.
const MEASURED_DAYS: u32 = 14;
/// Events of one card that are measured at most: what comes before them is as many.
const EVENTS_MAX: f64 = 20_000.0;
const MS_PER_DAY: i64 = 86_400_000;

/// What an event costs, on average.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct CardUse {
    /// Write units an event, when no other event of its card is in its batch.
    pub write_units: f64,
    /// Read units an event whose card's state is warm.
    pub warm_read_units: f64,
    /// Read units an event whose card's state is not.
    pub cold_read_units: f64,
    /// Bytes of a card's items in the table: its state, and all sealed segments until they expire.
    pub stored_bytes: f64,
    /// Bytes of an event's record.
    pub record_bytes: f64,
    /// Bytes of an outcome's record.
    pub outcome_bytes: f64,
}

/// Measures cards with so many events a day under a policy.
///
/// # Errors
/// When the engine does not finish an event, which in memory is a bug.
pub fn measure(policy: &Policy, events_per_day: f64) -> Result<CardUse, CliError> {
    let mut sum = CardUse::default();
    for seed in 0..CARDS {
        let warm = one(policy, events_per_day, seed, EngineConfig::default())?;
        let nothing_warm = EngineConfig {
            cache_cards_max: 0,
            profile_cache_cards_max: 0,
            ..EngineConfig::default()
        };
        let cold = one(policy, events_per_day, seed, nothing_warm)?;
        sum.write_units += warm.write_units;
        sum.warm_read_units += warm.warm_read_units;
        sum.cold_read_units += cold.warm_read_units;
        sum.stored_bytes += warm.stored_bytes;
        sum.record_bytes += warm.record_bytes;
        sum.outcome_bytes += warm.outcome_bytes;
    }
    let mean = |value: f64| value / CARDS as f64;
    Ok(CardUse {
        write_units: mean(sum.write_units),
        warm_read_units: mean(sum.warm_read_units),
        cold_read_units: mean(sum.cold_read_units),
        stored_bytes: mean(sum.stored_bytes),
        record_bytes: mean(sum.record_bytes),
        outcome_bytes: mean(sum.outcome_bytes),
    })
}

/// One card; its reads stand in `warm_read_units`.
fn one(policy: &Policy, events_per_day: f64, seed: u64, config: EngineConfig) -> Result<CardUse, CliError> {
    let filled_days = u32::try_from(policy.retention_ms() / MS_PER_DAY + 1).unwrap_or(u32::MAX);
    let days = filled_days.saturating_add(MEASURED_DAYS);
    let (store, sink, clock) = (MemoryStore::default(), MemorySink::default(), ManualClock::at(0));
    let ports = (store.clone(), sink.clone(), MemoryQuarantine::default(), clock.clone());
    let engine = Engine::new(ports.0, ports.1, ports.2, ports.3, Arc::new(policy.clone()), config);
    let mut used = CardUse::default();
    let (mut events, mut first_ms, mut last_ms) = (0.0, None, 0);
    let skip = (events_per_day * f64::from(filled_days)).min(EVENTS_MAX);
    for (number, (time_ms, data)) in typical::stream(events_per_day, days, seed).enumerate() {
        let is_filled =
            number as f64 >= skip || time_ms - *first_ms.get_or_insert(time_ms) >= i64::from(filled_days) * MS_PER_DAY;
        last_ms = time_ms;
        clock.set(time_ms);
        let record = InRecord {
            stream: "transactions",
            shard_id: "shardId-000000000000",
            sequence_number: &number.to_string(),
            of_aggregate: None,
            partition_key: "card-1",
            arrival_ms: time_ms,
            data: &data,
        };
        // Ports in memory are always ready, so that polling once is the whole batch.
        let report = engine.process(&[record], i64::MAX).now_or_never().unwrap_or_default();
        if report.scored != 1 {
            let what = format!("a typical event was not scored: {:?}", report.ends);
            return Err(CliError::machine(
                "report",
                what,
                "This is a bug in tidemark: please report it.",
            ));
        }
        let sent = sink.take();
        if is_filled {
            events += 1.0;
            used.write_units += report.units.write;
            used.warm_read_units += report.units.read;
            used.record_bytes += data.len() as f64;
            used.outcome_bytes += sent.iter().map(|outcome| outcome.bytes.len()).sum::<usize>() as f64;
        }
        if events >= EVENTS_MAX {
            break;
        }
    }
    let held: usize = store
        .cards()
        .iter()
        .filter_map(|card| store.state(card))
        .map(|item| item.bytes.len())
        .sum();
    let sealed = store.segments();
    let sealed: usize = sealed.iter().map(|item| item.bytes.len() + typical::ITEM_BYTES).sum();
    let seen_days = (last_ms - first_ms.unwrap_or(last_ms)).max(MS_PER_DAY) as f64 / MS_PER_DAY as f64;
    let segments = sealed as f64 / seen_days * (SEGMENT_MS / MS_PER_DAY) as f64;
    let events = f64::max(events, 1.0);
    Ok(CardUse {
        write_units: used.write_units / events,
        warm_read_units: used.warm_read_units / events,
        cold_read_units: 0.0,
        stored_bytes: (held + typical::ITEM_BYTES) as f64 + segments,
        record_bytes: used.record_bytes / events,
        outcome_bytes: used.outcome_bytes / events,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_card_costs_more_than_a_quiet_one_and_a_cold_one_more_reads() {
        let policy = Policy::default_policy();
        let (quiet, busy) = (measure(&policy, 1.0).unwrap(), measure(&policy, 12.0).unwrap());
        assert!(
            quiet.write_units >= 1.0 && busy.write_units > quiet.write_units,
            "{quiet:?} {busy:?}"
        );
        assert!(quiet.cold_read_units > quiet.warm_read_units && busy.stored_bytes > quiet.stored_bytes);
        assert!((100.0..1_024.0).contains(&quiet.record_bytes) && quiet.outcome_bytes > 100.0);
    }

    /// Decision 0018: a card's bytes at one write unit, and what that costs a card that is not warm.
    #[test]
    fn an_event_costs_about_one_write_unit_at_two_and_at_ten_a_day() {
        let policy = Policy::default_policy();
        for (events_per_day, write_max, cold_max) in [(1.0, 1.05, 1.1), (2.0, 1.05, 1.6), (10.0, 1.1, 3.0)] {
            let used = measure(&policy, events_per_day).unwrap();
            assert!(used.write_units < write_max, "{events_per_day} a day: {used:?}");
            assert!(used.cold_read_units < cold_max, "{events_per_day} a day: {used:?}");
        }
    }
}
