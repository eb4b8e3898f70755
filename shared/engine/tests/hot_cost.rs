//! What a hot card costs: 100,000 events in a week, counted by the store's own arithmetic of units.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use crate::common::*;
use serde_json::json;
use tidemark_domain::policy::Policy;
use tidemark_engine::port::Units;
use tidemark_engine::{EngineConfig, InRecord};

const EVENTS: i64 = 100_000;
const WEEK_MS: i64 = 7 * 86_400_000;
const FIRST_MS: i64 = START_MS - WEEK_MS;
/// A process is replaced after so many batches.
const PROCESS_BATCHES: i64 = 500;

/// One in 50 is late, by up to six hours.
fn event(number: i64) -> (Vec<u8>, i64) {
    let arrival_ms = FIRST_MS + WEEK_MS * number / EVENTS;
    let late_ms = if number % 50 == 0 { number % 7 * 3_600_000 } else { 0 };
    let payload = json!({
        "schema": "transaction", "version": 2, "event_id": format!("event-{number}"), "card_id": "hot",
        "occurred_at_ms": arrival_ms - late_ms, "amount_minor": 1_000 + number * 7_919 % 8_000, "currency": "EUR",
        "merchant_id": format!("merchant-{}", number * 31 % 400), "mcc": 5411, "country": "FR",
        "channel": "point_of_sale", "approved": number % 11 != 0, "device_id": format!("device-{}", number * 17 % 23),
        "latitude": 48.85 + (number % 40) as f64 / 1_000.0, "longitude": 2.35,
    });
    (serde_json::to_vec(&payload).unwrap(), arrival_ms)
}

/// Delivers events in batches of so many; the units of all.
fn deliver(world: &World, numbers: &[i64], batch_events: usize) -> (Units, u64, u64) {
    let mut engine = world.engine();
    let mut units = Units::default();
    let (mut scored, mut duplicate) = (0, 0);
    for (batch, numbers) in (0..).zip(numbers.chunks(batch_events)) {
        if batch % PROCESS_BATCHES == PROCESS_BATCHES - 1 {
            engine = world.engine();
        }
        let events: Vec<_> = numbers.iter().map(|number| event(*number)).collect();
        let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        let records: Vec<InRecord<'_>> = events
            .iter()
            .zip(&numbers)
            .map(|((data, arrival_ms), sequence_number)| InRecord {
                stream: "transactions",
                shard_id: "shardId-000000000000",
                sequence_number,
                of_aggregate: None,
                partition_key: "hot",
                arrival_ms: *arrival_ms,
                data,
            })
            .collect();
        let report = run_in(&engine, &records);
        assert_eq!(report.retry_from, None, "{report:?}");
        assert!(report.scored > 0 || report.commits == 0, "a write without an event");
        units += report.units;
        scored += report.scored;
        duplicate += report.duplicate;
    }
    (units, scored, duplicate)
}

fn run_in(engine: &MemoryEngine, records: &[InRecord<'_>]) -> tidemark_engine::BatchReport {
    use futures_util::FutureExt;
    engine.process(records, i64::MAX).now_or_never().unwrap()
}

#[test]
fn a_hundred_thousand_events_of_a_card_in_a_week_cost_bounded_units_each() {
    let all: Vec<i64> = (0..EVENTS).collect();
    // One event a commit is the dearest way; the bounds hold for the worst tenth of the week as for the first.
    for (batch_events, write_max, read_max) in [(1, 6.0, 0.3), (10, 1.0, 0.3)] {
        let world = World::with(Policy::default_policy(), EngineConfig::default());
        let (mut whole, mut worst) = (Units::default(), Units::default());
        for tenth in all.chunks(all.len() / 10) {
            let (units, scored, _) = deliver(&world, tenth, batch_events);
            assert_eq!(scored, tenth.len() as u64, "each event counts");
            whole += units;
            worst.write = worst.write.max(units.write / tenth.len() as f64);
            worst.read = worst.read.max(units.read / tenth.len() as f64);
        }
        let state = world.store.state(&card("hot")).unwrap();
        let segments = world.store.segments();
        let segment_bytes: usize = segments.iter().map(|segment| segment.bytes.len()).sum();
        let segment_max = segments.iter().map(|segment| segment.bytes.len()).max().unwrap();
        println!(
            "{batch_events} an invocation: {:.2} write and {:.3} read units an event, {:.2} and {:.3} in the worst tenth; \
             the card's item {} bytes, {} segments of {segment_max} bytes at most, {:.1} bytes of segments an event",
            whole.write / EVENTS as f64,
            whole.read / EVENTS as f64,
            worst.write,
            worst.read,
            state.bytes.len(),
            segments.len(),
            segment_bytes as f64 / EVENTS as f64,
        );
        assert!(worst.write < write_max, "{} write units an event", worst.write);
        assert!(worst.read < read_max, "{} read units an event", worst.read);
        assert!(state.bytes.len() < 8 * 1_024, "{} bytes", state.bytes.len());
        // Segments that late events replaced are among them until they expire; about 48 bytes an event are the inner nodes' lists
        // of merchants and devices, which make what a score needs exact.
        assert!(
            segment_bytes < 150 * EVENTS as usize && segment_max < 16 * 1_024,
            "{segment_bytes}, {segment_max}"
        );
        assert_eq!(world.quarantined().len(), 0);

        // Every event of the horizon once more, in another order, by a process that knows nothing: duplicates, each.
        let again: Vec<i64> = (0..EVENTS / 25).map(|at| at * 7_919 % EVENTS).collect();
        let (units, scored, duplicate) = deliver(&world, &again, batch_events);
        assert_eq!((scored, duplicate), (0, again.len() as u64));
        assert_eq!(
            world.store.state(&card("hot")).unwrap(),
            state,
            "a duplicate changes nothing"
        );
        println!(
            "  a duplicate anywhere in the week: {:.2} read units",
            units.read / again.len() as f64
        );
        assert!(units.read < 8.0 * again.len() as f64);
    }
}
