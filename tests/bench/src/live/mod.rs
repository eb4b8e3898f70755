//! `live DIR`: whether the live path and a file agree, on 50,000 events of the reference stream with labels that come a week late, and
//! what labelled keys cost there.
//!
//! `train` learns a policy of the weeks before. The events go through the local AWS and the score function's binary, and through
//! `tidemark score`; each outcome is compared, byte for byte. The labels of a night come at midnight, as from a file of chargebacks. On
//! every other night nobody waits until they are in force: keys are read before their labels came then, and outcomes say so.

mod compare;

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;

use rehearse::player::{Items, Played, Player};
use rehearse::stack::StackOptions;
use serde::Serialize;
use serde_json::{Value, json};
use terminal::clock::{now_ms, pause};
use tidemark_aws::admin::PutRecord;
use tidemark_cli::learning::train::{TrainOptions, train};
use tidemark_cli::score_file::{self, Arrival, ScoreOptions};
use tidemark_domain::id::EventKey;
use tidemark_domain::policy::Policy;
use tidemark_engine::EngineConfig;
use tidemark_telemetry::Metric;

use crate::handbook::{self, HandbookEvent, START_MS};
use compare::Compared;

const MS_PER_DAY: i64 = 86_400_000;
const MS_PER_WEEK: i64 = 7 * MS_PER_DAY;
/// So many events are compared.
const EVENTS: usize = 50_000;
/// Of the terminals one in so many, with all their events: 50,000 events are 26 days then, in place of five, and labels that are a
/// week late come to terminals that go on.
const TERMINALS_ONE_IN: u32 = 5;
/// Days of the stream: from 2018-05-01 on it is learned, and from 2018-06-18 on compared.
const LEARN_FROM_DAY: i64 = 30;
const COMPARE_FROM_DAY: i64 = 78;
/// Labels are known at the first midnight that comes so many days after their event, or later.
const DELAY_DAYS: i64 = 7;
const ALERTS_A_DAY: f64 = 20.0;
/// Longer than a function keeps what it read of a key, ms.
const MARGIN_MS: i64 = 500;
/// The most that labelled keys may add to the write units of an event.
const KEY_UNITS_MAX: f64 = 0.02;
/// A write unit, bytes.
const WRITE_UNIT_BYTES: u64 = 1_024;
const SHARDS: u16 = 4;
/// The policy that training begins with: the built-in one's bounds, but for a stream of weeks that comes at once.
const BASE: &str = "version = 1\nwindows_minutes = [60, 1440, 10080, 43200]\n\
    features = [\"count_1h\", \"count_1d\", \"sum_7d\", \"amount_z\", \"amount_ratio\", \"new_merchant\"]\n\
    dedupe_horizon_ms = 3_456_000_000\n\
    [weights]\ncount_1h = 0.5\ncount_1d = 0.5\nsum_7d = 1.0\namount_z = 1.0\nnew_merchant = 0.3\n\
    [thresholds]\nreview = 600\nalert = 800\n[currency]\nbase = \"EUR\"\n\
    [bounds]\nlateness_ms = 3_369_600_000\n\
    [[keys]]\nname = \"terminal\"\nfield = \"merchant_id\"\nkeeps = \"labelled\"\n";

/// What was measured. Field names are stable: scripts read them.
#[derive(Debug, Serialize)]
struct Measured {
    #[serde(flatten)]
    compared: Compared,
    /// Features that the policy scores by.
    features: Vec<String>,
    /// Labels that were sent.
    labels: u64,
    /// Per event.
    write_units: f64,
    /// Writes of keys per event.
    key_writes: f64,
    /// Write units of keys per event, each write counted as one of the largest item.
    key_write_units: f64,
    /// Per event.
    read_units: f64,
    /// The states of cards.
    states: Items,
    /// The labelled histories of keys.
    keys: Items,
}

/// Measures and compares.
///
/// # Errors
/// When something fails, an outcome differs that no late label explains, or keys cost more than they may.
pub fn run(directory: &Path, as_json: bool) -> Result<String, String> {
    let events = handbook::read_events(directory)?;
    let folder = std::env::temp_dir().join(format!("tidemark-live-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(words)?;
    let measured = measure(events, &folder);
    // What was written is of no use to anybody else.
    let _ = std::fs::remove_dir_all(&folder);
    let measured = measured?;
    let text = if as_json {
        serde_json::to_string(&measured).map_err(words)? + "\n"
    } else {
        measured.render()
    };
    match measured.problems() {
        problems if problems.is_empty() => Ok(text),
        problems => Err(text + &problems.join("\n")),
    }
}

fn measure(mut events: Vec<HandbookEvent>, folder: &Path) -> Result<Measured, String> {
    events.retain(|event| event.terminal.is_multiple_of(TERMINALS_ONE_IN));
    let day_ms = |day: i64| START_MS + day * MS_PER_DAY;
    let compare_from_ms = day_ms(COMPARE_FROM_DAY);
    let begin = events.partition_point(|event| event.time_ms() < compare_from_ms);
    let learned = begin - events[..begin].partition_point(|event| event.time_ms() < day_ms(LEARN_FROM_DAY));
    let played: Vec<HandbookEvent> = events.split_off(begin).into_iter().take(EVENTS).collect();
    if learned == 0 || played.len() < EVENTS {
        return Err("the stream has too few events".to_owned());
    }
    eprintln!("learning from {learned} events");
    let (text, policy) = learn(&events, folder, compare_from_ms)?;
    let nights = nights(&played, now_ms());
    let labels = nights.iter().map(|night| night.labels.len() as u64).sum();
    let stored = folder.join("policy.toml");
    std::fs::write(&stored, text).map_err(words)?;
    let file = by_file(&nights, policy.clone(), folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let live = runtime.map_err(words)?.block_on(by_stream(&nights, &stored, folder))?;
    let compared = Compared::of(&live.outcomes, &file);
    let scored = live.signals.sum(Metric::Scored).max(1.0);
    let key_writes = live.signals.sum(Metric::KeyWrites) / scored;
    let mut measured = Measured {
        features: policy
            .points
            .iter()
            .flat_map(|points| &points.tables)
            .map(|table| table.key().to_string())
            .collect(),
        labels,
        write_units: live.signals.sum(Metric::WriteUnits) / scored,
        key_writes,
        key_write_units: key_writes * live.keys.bytes_most.div_ceil(WRITE_UNIT_BYTES) as f64,
        read_units: live.signals.sum(Metric::ReadUnits) / scored,
        states: live.states,
        keys: live.keys,
        compared,
    };
    if live.conflicting + live.waiting > 0 {
        measured.compared.differ += live.conflicting + live.waiting;
        let what = format!(
            "{} outcomes in two forms, {} messages in queues",
            live.conflicting, live.waiting
        );
        measured.compared.examples.push(what);
    }
    Ok(measured)
}

impl Measured {
    /// What is not as it should be.
    fn problems(&self) -> Vec<String> {
        let Compared {
            differ,
            equal_with_labels,
            before_label,
            examples,
            ..
        } = &self.compared;
        let mut problems = Vec::new();
        if *differ > 0 {
            problems.push(format!("{differ} outcomes differ, among them:"));
            problems.extend(examples.iter().map(|example| format!("  {example}")));
        }
        if *equal_with_labels == 0 || *before_label == 0 {
            problems.push("too few labels reached their keys for the comparison to say anything".to_owned());
        }
        if self.key_write_units > KEY_UNITS_MAX {
            problems.push(format!(
                "keys add {} write units an event, {KEY_UNITS_MAX} at most",
                self.key_write_units
            ));
        }
        problems
    }

    fn render(&self) -> String {
        let Compared {
            events,
            with_labels,
            equal,
            equal_with_labels,
            before_label,
            differ,
            ..
        } = &self.compared;
        let mean = |items: &Items| items.bytes as f64 / items.items.max(1) as f64;
        format!(
            "{events} events and {} labels through the local AWS and through a file: {equal} outcomes are equal byte for byte, \
             {before_label} were scored before a label reached its key, {differ} differ\n\
             {with_labels} events had labels of their terminal known, {equal_with_labels} of them equal\n\
             an event: {:.3} write units, of these {:.4} for keys ({:.4} writes of keys); {:.3} read units\n\
             {} cards, {:.0} bytes an item, {} at most; {} keys, {:.0} bytes an item, {} at most\n",
            self.labels,
            self.write_units,
            self.key_write_units,
            self.key_writes,
            self.read_units,
            self.states.items,
            mean(&self.states),
            self.states.bytes_most,
            self.keys.items,
            mean(&self.keys),
            self.keys.bytes_most,
        )
    }
}

/// What `train` learns of the weeks before the events that are compared.
fn learn(events: &[HandbookEvent], folder: &Path, until_ms: i64) -> Result<(String, Policy), String> {
    let history = folder.join("history.jsonl");
    let mut file = BufWriter::new(File::create(&history).map_err(words)?);
    for event in events {
        file.write_all(&event.json)
            .and_then(|()| file.write_all(b"\n"))
            .map_err(words)?;
    }
    // Known at once: training is told how late labels are.
    for event in events.iter().filter(|event| event.fraud) {
        writeln!(file, "{}", label(event, event.time_ms())).map_err(words)?;
    }
    file.flush().map_err(words)?;
    let options = TrainOptions {
        input: history.into(),
        base: BASE.to_owned(),
        from_ms: Some(START_MS + LEARN_FROM_DAY * MS_PER_DAY),
        until_ms,
        label_delay_ms: DELAY_DAYS * MS_PER_DAY,
        alerts_a_day: ALERTS_A_DAY,
        unlabelled: false,
    };
    let trained = train(&options).map_err(words)?;
    Ok((trained.text, trained.policy))
}

/// The labels that a midnight brings, and the events until the next.
#[derive(Default)]
struct Night {
    labels: Vec<(String, Vec<u8>)>,
    events: Vec<(String, Vec<u8>)>,
}

/// The stream as it is sent: moved by whole weeks, so that days of the week stay and its last event is in the past.
fn nights(events: &[HandbookEvent], now_ms: i64) -> Vec<Night> {
    let last_ms = events.last().map_or(START_MS, HandbookEvent::time_ms);
    let shift_ms = (now_ms - last_ms).div_euclid(MS_PER_WEEK) * MS_PER_WEEK;
    let first_ms = events.first().map_or(START_MS, HandbookEvent::time_ms);
    let day_of = |time_ms: i64| (time_ms - START_MS).div_euclid(MS_PER_DAY);
    let days = day_of(first_ms)..=day_of(last_ms);
    let mut nights: Vec<Night> = days.clone().map(|_| Night::default()).collect();
    let place = |day: i64| usize::try_from(day - days.start()).unwrap_or(usize::MAX);
    for event in events {
        let day = day_of(event.time_ms());
        if let Some(night) = nights.get_mut(place(day)) {
            night.events.push((event.card_id(), event.shifted(shift_ms)));
        }
        // The midnight that is DELAY_DAYS after the next one.
        let known_day = day + 1 + DELAY_DAYS;
        if let Some(night) = nights.get_mut(place(known_day)).filter(|_| event.fraud) {
            let known_since_ms = START_MS + known_day * MS_PER_DAY + shift_ms;
            let label = label(event, known_since_ms).to_string();
            night.labels.push((event.card_id(), label.into_bytes()));
        }
    }
    nights
}

fn label(event: &HandbookEvent, known_since_ms: i64) -> Value {
    json!({
        "schema": "label", "version": 1, "event_id": event.event_id(), "card_id": event.card_id(),
        "verdict": "fraud", "known_since_ms": known_since_ms,
    })
}

/// The outcomes of `tidemark score`.
fn by_file(nights: &[Night], policy: Policy, folder: &Path) -> Result<HashMap<EventKey, Vec<u8>>, String> {
    let (input, output) = (folder.join("events.jsonl"), folder.join("outcomes.jsonl"));
    let mut file = BufWriter::new(File::create(&input).map_err(words)?);
    for (_, payload) in nights.iter().flat_map(|night| night.labels.iter().chain(&night.events)) {
        file.write_all(payload)
            .and_then(|()| file.write_all(b"\n"))
            .map_err(words)?;
    }
    file.flush().map_err(words)?;
    drop(file);
    let summary = score_file::run(&ScoreOptions {
        input: input.into(),
        output: output.clone(),
        refused: None,
        policy,
        features: false,
        arrival: Arrival::AtEventTime,
        sort: false,
        progress: false,
    });
    eprintln!("the file: {}", json!(summary.map_err(words)?));
    let mut outcomes = HashMap::new();
    for line in BufReader::new(File::open(&output).map_err(words)?).lines() {
        let line = line.map_err(words)?;
        let read: Value = serde_json::from_str(&line).map_err(words)?;
        let text = |name: &str| read.get(name).and_then(Value::as_str).unwrap_or_default();
        let time_ms = read.get("occurred_at_ms").and_then(Value::as_i64).unwrap_or_default();
        let key = EventKey::new(text("card_id"), text("event_id"), time_ms);
        outcomes.insert(key.ok_or("an outcome of no event")?, line.into_bytes());
    }
    Ok(outcomes)
}

/// The outcomes of the local AWS, and what they cost.
async fn by_stream(nights: &[Night], policy: &Path, folder: &Path) -> Result<Played, String> {
    let mut options = StackOptions::new(folder, SHARDS, None, true);
    options.env = vec![("TIDEMARK_POLICY_FILE".to_owned(), policy.display().to_string())];
    let mut player = Box::pin(Player::start(options)).await.map_err(words)?;
    let played = Box::pin(play(&mut player, nights)).await;
    player.stop().await;
    played
}

async fn play(player: &mut Player, nights: &[Night]) -> Result<Played, String> {
    let records = |of: &[(String, Vec<u8>)]| -> Vec<PutRecord> {
        let record = |(card, payload): &(String, Vec<u8>)| PutRecord {
            partition_key: card.clone(),
            data: payload.clone(),
        };
        of.iter().map(record).collect()
    };
    let in_force_ms = EngineConfig::default().key_max_age_ms + MARGIN_MS;
    for (number, night) in nights.iter().enumerate() {
        eprintln!(
            "night {} of {}: {} labels, {} events",
            number + 1,
            nights.len(),
            night.labels.len(),
            night.events.len()
        );
        if night.labels.is_empty() || number % 2 == 0 {
            player.play(records(&night.labels).into_iter()).await.map_err(words)?;
        } else {
            player.rest().await.map_err(words)?;
            player.play(records(&night.labels).into_iter()).await.map_err(words)?;
            player.rest().await.map_err(words)?;
            pause(in_force_ms.unsigned_abs()).await;
        }
        player.play(records(&night.events).into_iter()).await.map_err(words)?;
    }
    player.rest().await.map_err(words)?;
    player.played().await.map_err(words)
}

#[allow(clippy::needless_pass_by_value, reason = "as map_err gives it")]
fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}
