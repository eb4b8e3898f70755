//! Importing against the store in memory: beside live events, twice, in the middle of a break.

use std::sync::{Arc, OnceLock};

use futures_util::FutureExt;
use serde_json::json;
use tidemark_domain::id::CardId;
use tidemark_engine::memory::{Fault, Faults, ManualClock, MemoryQuarantine, MemorySink, MemoryStore, Op};
use tidemark_engine::port::PortError;
use tidemark_engine::{Engine, EngineConfig, InRecord};

use super::*;

const DAY_MS: i64 = 86_400_000;
/// A recent time, ms since 1970-01-01T00:00:00Z: the engine's clock is the machine's. It is the same throughout, since a history
/// reaches to the last millisecond of what live traffic may be late.
fn now_ms() -> i64 {
    static NOW_MS: OnceLock<i64> = OnceLock::new();
    *NOW_MS.get_or_init(|| terminal::clock::now_ms() - 60_000)
}

fn event(card: &str, id: &str, occurred_at_ms: i64) -> String {
    json!({
        "schema": "transaction", "version": 2, "event_id": id, "card_id": card, "occurred_at_ms": occurred_at_ms,
        "amount_minor": 1_500, "currency": "EUR", "merchant_id": "shop-1", "mcc": 5411, "country": "FR",
        "channel": "ecommerce", "approved": true,
    })
    .to_string()
}

/// A day of each of so many days, the last of them today.
fn history(card: &str, days: i64) -> Vec<String> {
    let now_ms = now_ms();
    (0..days)
        .map(|day| event(card, &format!("{card}-{day}"), now_ms - (days - 1 - day) * DAY_MS))
        .collect()
}

/// What live traffic does with events.
fn live(store: &MemoryStore, events: &[String]) -> Vec<String> {
    let sink = MemorySink::default();
    let (clock, policy) = (ManualClock::at(now_ms()), Arc::new(Policy::default_policy()));
    let quarantine = MemoryQuarantine::default();
    let engine = Engine::new(
        store.clone(),
        sink.clone(),
        quarantine,
        clock,
        policy,
        EngineConfig::default(),
    );
    let numbers: Vec<String> = (0..events.len()).map(|at| at.to_string()).collect();
    let records: Vec<InRecord<'_>> = events
        .iter()
        .zip(&numbers)
        .map(|(event, number)| InRecord {
            stream: "s",
            shard_id: "shard",
            sequence_number: number,
            of_aggregate: None,
            partition_key: "card-1",
            arrival_ms: now_ms(),
            data: event.as_bytes(),
        })
        .collect();
    let report = engine.process(&records, i64::MAX).now_or_never().unwrap();
    assert_eq!(report.retry_from, None);
    let outcomes = sink.outcomes().into_iter();
    outcomes
        .map(|outcome| String::from_utf8(outcome.bytes).unwrap())
        .collect()
}

async fn imported(store: &MemoryStore, events: &[String]) -> Tally {
    let mut importer = Importer::new(store.clone(), &Policy::default_policy(), Some(1e9));
    let text = events.iter().map(|event| format!("{event}\n")).collect::<String>();
    take_all(&mut importer, &mut Lines::new(text.as_bytes(), 100_000))
        .await
        .unwrap();
    importer.tally
}

async fn looked_for(store: &MemoryStore, events: &[String]) -> (Tally, Exit) {
    let mut importer = Importer::new(Look::new(store.clone()), &Policy::default_policy(), None);
    let text = events.iter().map(|event| format!("{event}\n")).collect::<String>();
    take_all(&mut importer, &mut Lines::new(text.as_bytes(), 100_000))
        .await
        .unwrap();
    let exit = exit(&importer.tally, Purpose::Check);
    (importer.tally, exit)
}

#[tokio::test]
async fn the_first_live_event_finds_a_history_of_months_and_nothing_was_sent_for_it() {
    let store = MemoryStore::default();
    let history = history("card-1", 60);
    let tally = imported(&store, &history[..59]).await;
    assert_eq!((tally.lines, tally.imported, tally.refused.total()), (59, 59, 0));
    assert_eq!(store.decisions(), []);
    let outcomes = live(&store, &history[59..]);
    // The same as if the stream had brought all of it in its time.
    let lone = MemoryStore::default();
    let cold = live(&lone, &history[59..]);
    assert_ne!(outcomes, cold, "the history shows in the outcome");
    assert!(outcomes[0].contains("\"card-1-59\""), "{}", outcomes[0]);
}

#[tokio::test]
async fn what_live_traffic_had_counts_once_and_what_lies_behind_its_horizon_is_taken() {
    let store = MemoryStore::default();
    let history = history("card-1", 30);
    // Live traffic begins three days ago: the newest event is today's.
    assert_eq!(live(&store, &history[27..]).len(), 3);
    let before = store.state(&CardId::new("card-1").unwrap()).unwrap();
    let tally = imported(&store, &history).await;
    assert_eq!((tally.imported, tally.known, tally.refused.total()), (27, 3, 0));
    let after = store.state(&CardId::new("card-1").unwrap()).unwrap();
    assert!(after.version.number > before.version.number);
    // Once more, and from the stream once more: nothing changes.
    let again = imported(&store, &history).await;
    assert_eq!((again.imported, again.known), (0, 30));
    live(&store, &history[25..]);
    assert_eq!(store.state(&CardId::new("card-1").unwrap()).unwrap(), after);
    let (check, exit) = looked_for(&store, &history).await;
    assert_eq!((check.known, check.imported, exit), (30, 0, Exit::Ok));
}

#[tokio::test]
async fn live_traffic_still_refuses_what_is_behind_its_horizon() {
    let store = MemoryStore::default();
    let history = history("card-1", 30);
    live(&store, &history[29..]);
    assert_eq!(live(&store, &history[..1]), Vec::<String>::new());
}

#[tokio::test]
async fn a_check_names_what_is_not_there_writes_nothing_and_holds_nothing_that_it_did_not_see() {
    let store = MemoryStore::default();
    let history = history("card-1", 5);
    imported(&store, &history[..3]).await;
    let before = store.state(&CardId::new("card-1").unwrap());
    let (check, exit) = looked_for(&store, &history).await;
    assert_eq!((check.known, check.imported, exit), (3, 2, Exit::Failed));
    assert_eq!(store.state(&CardId::new("card-1").unwrap()), before);
    assert_eq!(looked_for(&store, &[]).await.1, Exit::Nothing);
    assert_eq!(looked_for(&store, &["{}".to_owned()]).await.1, Exit::Nothing);
}

fn label(card: &str, event: &str) -> String {
    let known_since_ms = now_ms() - 1_000;
    json!({
        "schema": "label", "version": 1, "event_id": event, "card_id": card, "verdict": "fraud", "known_since_ms": known_since_ms,
    })
    .to_string()
}

#[tokio::test]
async fn a_check_does_not_hold_while_a_label_is_missing_or_a_line_is_refused() {
    let store = MemoryStore::default();
    let mut rows = history("card-1", 5);
    imported(&store, &rows).await;
    rows.push(label("card-1", "card-1-4"));
    let (check, exit) = looked_for(&store, &rows).await;
    assert_eq!(
        (check.known, check.imported, check.applied, exit),
        (5, 0, 1, Exit::Failed)
    );
    imported(&store, &rows).await;
    assert_eq!(looked_for(&store, &rows).await.1, Exit::Ok);
    rows.push("{}".to_owned());
    assert_eq!(looked_for(&store, &rows).await.1, Exit::Failed);
}

#[tokio::test]
async fn a_label_of_an_event_that_is_too_old_is_too_old_and_not_wrong() {
    let store = MemoryStore::default();
    // Each event with its label behind it, as a map makes them of a row.
    let rows: Vec<String> = history("card-1", 60)
        .into_iter()
        .zip(0..)
        .flat_map(|(event, day)| [event, label("card-1", &format!("card-1-{day}"))])
        .collect();
    let first = imported(&store, &rows).await;
    assert_eq!((first.imported, first.refused.total()), (60, 0));
    let again = imported(&store, &rows).await;
    assert_eq!((again.refused.total(), again.imported), (0, 0), "{:?}", again.refused);
    assert!(again.too_old > 15 && again.labels_too_old == again.too_old, "{again:?}");
    assert_eq!(looked_for(&store, &rows).await.1, Exit::Ok);
    // A label of an event that nobody ever had is wrong still.
    let wrong = imported(&store, &[label("card-1", "never-was")]).await;
    assert_eq!((wrong.refused.total(), wrong.labels_too_old), (1, 0));
}

#[tokio::test]
async fn an_event_of_the_future_is_refused_so_that_no_card_forgets_its_present() {
    let store = MemoryStore::default();
    let ahead = event("card-1", "ahead", now_ms() + 30 * DAY_MS);
    let tally = imported(&store, &[ahead, event("card-1", "now", now_ms())]).await;
    assert_eq!((tally.imported, tally.refused.total()), (1, 1));
    assert_eq!(tally.refused.first[0].code, "future_timestamp");
    assert_eq!(tally.refused.first[0].number, 1);
}

#[tokio::test]
async fn a_table_that_fails_now_and_then_takes_every_row_once() {
    let faults = Faults::none();
    faults.at(
        Op::Commit,
        0..3,
        Fault::After(PortError::Timeout("no answer".to_owned())),
    );
    let store = MemoryStore::with_faults(faults);
    let rows: Vec<String> = ["a", "b", "c", "d"].iter().flat_map(|card| history(card, 10)).collect();
    let tally = imported(&store, &rows).await;
    assert_eq!(tally.imported + tally.known, 40);
    assert_eq!(looked_for(&store, &rows).await.1, Exit::Ok);
}
