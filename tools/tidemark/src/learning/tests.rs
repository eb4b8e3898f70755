//! Learning from a stream with compromised terminals: what is learned, that it is the same every time, and that nothing leaks.

mod early;
mod links;
mod ruled;
mod unlabelled;

use std::path::{Path, PathBuf};

use lab::dice::Dice;
use serde_json::{Value, json};
use tidemark_domain::policy::Policy;

use super::LearningError;
use super::backtest::{BacktestOptions, backtest};
use super::export::{ExportOptions, RowFormat, export};
use super::labels::Labels;
use super::replay::{lines, replay};
use super::train::{TrainOptions, train};
use crate::score_file::{Arrival, ScoreOptions};

const DAY_MS: i64 = 86_400_000;
const START_MS: i64 = 1_700_006_400_000;
const DAYS: i64 = 80;
const CARDS: u64 = 120;
const TERMINALS: u64 = 60;
/// Training ends here, and the test begins.
const SPLIT_DAY: i64 = 66;

/// One transaction a card and day. A terminal is compromised for some days now and then: half of what is paid there is fraud then.
fn stream() -> (Vec<Value>, Vec<Value>) {
    let mut dice = Dice::new(7, 0);
    let (mut events, mut labels) = (Vec::new(), Vec::new());
    let compromised: Vec<(u64, i64, i64)> = (0..40)
        .map(|_| {
            let first = dice.between(2, DAYS - 4);
            (dice.below(TERMINALS), first, first + dice.between(6, 20))
        })
        .collect();
    for day in 0..DAYS {
        for card in 0..CARDS {
            let terminal = dice.below(TERMINALS);
            let time_ms = START_MS + day * DAY_MS + i64::try_from(card).unwrap() * 600_000;
            let id = format!("e{day}-{card}");
            let is_bad = compromised
                .iter()
                .any(|(of, first, last)| *of == terminal && (*first..*last).contains(&day));
            if is_bad && dice.chance(0.5) {
                labels.push(
                    json!({"schema": "label", "version": 1, "event_id": id, "card_id": format!("c{card}"),
                    "verdict": "fraud", "known_since_ms": time_ms + dice.between(1, 3) * DAY_MS}),
                );
            }
            events.push(
                json!({"schema": "transaction", "version": 1, "event_id": id, "card_id": format!("c{card}"),
                "occurred_at_ms": time_ms, "amount_minor": 500 + dice.below(5_000), "currency": "EUR",
                "merchant_id": format!("t{terminal}"), "mcc": 5999, "country": "FR", "channel": "point_of_sale",
                "approved": true}),
            );
        }
    }
    (events, labels)
}

fn write(folder: &Path, name: &str, rows: &[&Value]) -> PathBuf {
    let path = folder.join(name);
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    std::fs::write(&path, text).unwrap();
    path
}

fn options(input: &Path) -> TrainOptions {
    TrainOptions {
        input: input.into(),
        base: Policy::default_text().to_owned(),
        from_ms: Some(START_MS + 20 * DAY_MS),
        until_ms: START_MS + SPLIT_DAY * DAY_MS,
        label_delay_ms: 2 * DAY_MS,
        alerts_a_day: 3.0,
        unlabelled: false,
    }
}

/// What `score` makes of a file, with the values of all features.
fn outcomes_of(file: PathBuf, policy: Policy) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("outcomes.jsonl");
    let score = ScoreOptions {
        input: file.into(),
        output: output.clone(),
        refused: None,
        policy,
        features: true,
        arrival: Arrival::AtEventTime,
        sort: false,
        progress: false,
    };
    crate::score_file::run(&score).unwrap();
    std::fs::read_to_string(output).unwrap()
}

#[test]
fn what_no_single_card_shows_is_learned_and_nothing_that_is_known_later() {
    let folder = tempfile::tempdir().unwrap();
    let (events, labels) = stream();
    let all: Vec<&Value> = events.iter().chain(&labels).collect();
    let file = write(folder.path(), "history.jsonl", &all);
    let trained = train(&options(&file)).unwrap();
    let again = train(&options(&file)).unwrap();
    assert_eq!(trained.text, again.text, "byte for byte");
    let learned = &trained.points.as_ref().unwrap().points.features;
    assert!(
        learned.iter().any(|feature| feature.name == "terminal.fraud_run"),
        "{learned:?}"
    );

    // The budget was three alerts a day of 120 events: what is expected is at most that.
    let expected = trained.policy.expected.unwrap();
    let alerts_a_day = expected.alert_share * CARDS as f64;
    assert!(alerts_a_day > 0.0 && alerts_a_day <= 3.0, "{expected:?}");
    assert!(
        expected.review_share > 0.0 && expected.review_share * CARDS as f64 <= 12.0,
        "{expected:?}"
    );

    // Labels may stand anywhere in the file.
    let first: Vec<&Value> = labels.iter().rev().chain(&events).collect();
    let elsewhere = write(folder.path(), "labels-first.jsonl", &first);
    assert_eq!(train(&options(&elsewhere)).unwrap().text, trained.text);
    // A planted leak: labels that become known after the training's end, on events before it.
    let until_ms = options(&file).until_ms;
    let leak: Vec<Value> = events
        .iter()
        .filter(|event| event["occurred_at_ms"].as_i64().unwrap() < until_ms)
        .map(|event| {
            json!({"schema": "label", "version": 2, "event_id": event["event_id"], "card_id": event["card_id"],
            "verdict": "fraud", "known_since_ms": until_ms + 1, "occurred_at_ms": event["occurred_at_ms"],
            "merchant_id": event["merchant_id"]})
        })
        .collect();
    let planted: Vec<&Value> = leak.iter().chain(all.iter().copied()).collect();
    let planted = write(folder.path(), "planted.jsonl", &planted);
    assert_eq!(
        train(&options(&planted)).unwrap().text,
        trained.text,
        "a later label has leaked"
    );

    // On later days it ranks far better than the policy that it began with, which sees single cards.
    let found = backtest(&BacktestOptions {
        input: file.into(),
        policies: vec![
            ("built in".to_owned(), Policy::default_policy()),
            ("trained".to_owned(), trained.policy),
        ],
        from_ms: until_ms,
        until_ms: START_MS + DAYS * DAY_MS,
        label_delay_ms: 2 * DAY_MS,
        cards_a_day: 10,
        leave_out_compromised: false,
        delays_ms: vec![20 * DAY_MS, 2 * DAY_MS],
    })
    .unwrap();
    assert_eq!(
        found.events,
        ((DAYS - SPLIT_DAY) * i64::try_from(CARDS).unwrap()) as usize
    );
    assert!(found.frauds > 30, "{} frauds", found.frauds);
    let auc = |at: usize| found.policies[at].whole.auc.unwrap();
    assert!(auc(1) > auc(0) + 0.2 && auc(1) > 0.7, "{} {}", auc(0), auc(1));
    let interval = found.policies[1].intervals.auc.unwrap();
    assert!(interval.low < auc(1) && auc(1) < interval.high && interval.low < interval.high);
    assert!(found.flips[0].gained[1] > found.flips[0].lost[1], "{:?}", found.flips);
}

#[test]
fn a_training_row_is_what_the_file_path_served() {
    let folder = tempfile::tempdir().unwrap();
    let (events, labels) = stream();
    let keyed = "\n[[keys]]\nname = \"terminal\"\nfield = \"merchant_id\"\nkeeps = \"labelled\"\n";
    let text = Policy::default_text().replace(
        "features = [",
        "features = [ \"terminal.fraud_run\", \"terminal.since_fraud\",",
    );
    let policy = Policy::parse(&format!("{text}{keyed}"), "keyed.toml").unwrap();
    // As a stream brings them: each label when it is known.
    let mut in_time: Vec<&Value> = events.iter().chain(&labels).collect();
    let time = |row: &Value| {
        row.get("occurred_at_ms")
            .or_else(|| row.get("known_since_ms"))
            .unwrap()
            .as_i64()
            .unwrap()
    };
    in_time.sort_by_key(|row| (time(row), row["schema"] == "transaction"));
    let file = write(folder.path(), "history.jsonl", &in_time);
    let mut rows = Vec::new();
    let options = ExportOptions {
        input: (&file).into(),
        policy: policy.clone(),
        from_ms: i64::MIN,
        until_ms: i64::MAX,
        labels_as_of_ms: START_MS + 40 * DAY_MS,
        label_delay_ms: 0,
        format: RowFormat::JsonLines,
    };
    let (written, frauds) = export(&options, &mut rows).unwrap();
    let known = labels
        .iter()
        .filter(|label| label["known_since_ms"].as_i64().unwrap() <= START_MS + 40 * DAY_MS);
    assert_eq!((written, frauds), (events.len() as u64, known.count() as u64));
    // `score` takes the file as it is: the same engine, and the same values.
    let outcomes = outcomes_of(file, policy);
    let rows = String::from_utf8(rows).unwrap();
    let mut runs = 0;
    for (row, outcome) in rows.lines().zip(outcomes.lines()) {
        let row: Value = serde_json::from_str(row).unwrap();
        let outcome: Value = serde_json::from_str(outcome).unwrap();
        assert_eq!(
            (&row["event_id"], &row["score"]),
            (&outcome["event_id"], &outcome["score"])
        );
        for (name, value) in outcome["features"].as_object().unwrap() {
            assert_eq!(&row[name], value, "{name} of {}", row["event_id"]);
        }
        runs += usize::from(row["terminal.fraud_run"].as_f64().is_some_and(|run| run > 0.0));
    }
    assert_eq!(rows.lines().count(), outcomes.lines().count());
    assert!(runs > 100, "{runs} events at a terminal with a run");
}

/// The outcomes of the events before a time, and what a backtest makes of them.
fn before(file: &Path, policy: &Policy, until_ms: i64) -> Vec<Vec<u8>> {
    let labels = Labels::read(|| lines(file, policy), 0).unwrap();
    let mut outcomes = Vec::new();
    replay(file, policy, &labels, i64::MAX, |scored| {
        if scored.time_ms < until_ms {
            outcomes.push(scored.outcome);
        }
        Ok(())
    })
    .unwrap();
    outcomes
}

#[test]
fn nothing_of_later_days_is_in_an_earlier_score() {
    let folder = tempfile::tempdir().unwrap();
    let (events, labels) = stream();
    let until_ms = START_MS + 50 * DAY_MS;
    let features = [
        "terminal.fraud_run",
        "terminal.fraud_run_age",
        "terminal.since_fraud",
        "terminal.frauds_30d",
        "card.frauds_30d",
        "amount_median_ratio",
        "amount_before_ratio_7d",
        "max_ratio_7d",
    ];
    let text = Policy::default_text().replace(
        "features = [",
        &format!("features = [ \"{}\",", features.join("\", \"")),
    );
    let keyed = "\n[[keys]]\nname = \"terminal\"\nfield = \"merchant_id\"\nkeeps = \"labelled\"\n";
    let policy = Policy::parse(&format!("{text}{keyed}"), "keyed.toml").unwrap();
    let all: Vec<&Value> = events.iter().chain(&labels).collect();
    let honest = before(&write(folder.path(), "honest.jsonl", &all), &policy, until_ms);
    assert_eq!(honest.len(), 50 * CARDS as usize);

    // Labels that become known at that time, of every event, in front of all else.
    let label = |event: &Value, known_ms: i64| {
        json!({"schema": "label", "version": 2, "event_id": event["event_id"], "card_id": event["card_id"], "verdict": "fraud",
            "known_since_ms": known_ms, "occurred_at_ms": event["occurred_at_ms"], "merchant_id": event["merchant_id"]})
    };
    let planted = |known_ms: i64| -> Vec<Value> { events.iter().map(|event| label(event, known_ms)).collect() };
    let later = planted(until_ms);
    let rows: Vec<&Value> = later.iter().chain(all.iter().copied()).collect();
    assert!(
        before(&write(folder.path(), "later-labels.jsonl", &rows), &policy, until_ms) == honest,
        "a later label has leaked"
    );
    // Later transactions of another kind altogether, and none at all.
    let mut other = events.clone();
    for event in other
        .iter_mut()
        .filter(|event| event["occurred_at_ms"].as_i64().unwrap() >= until_ms)
    {
        (event["amount_minor"], event["merchant_id"], event["country"]) = (json!(9_000_000), json!("t0"), json!("US"));
        event["approved"] = json!(false);
    }
    let rows: Vec<&Value> = other.iter().chain(&labels).collect();
    assert!(
        before(&write(folder.path(), "other.jsonl", &rows), &policy, until_ms) == honest,
        "a later transaction has leaked"
    );
    let early = events
        .iter()
        .filter(|event| event["occurred_at_ms"].as_i64().unwrap() < until_ms);
    let rows: Vec<&Value> = early.chain(&labels).collect();
    assert!(
        before(&write(folder.path(), "early.jsonl", &rows), &policy, until_ms) == honest,
        "a later transaction has leaked"
    );
    // The same look is not blind: what is known earlier changes scores.
    let known = planted(until_ms - 20 * DAY_MS);
    let rows: Vec<&Value> = known.iter().chain(all.iter().copied()).collect();
    assert!(before(&write(folder.path(), "known.jsonl", &rows), &policy, until_ms) != honest);
}

#[test]
fn a_backtest_counts_alike_what_it_counts_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (events, labels) = stream();
    let all: Vec<&Value> = events.iter().chain(&labels).collect();
    let file = write(folder.path(), "history.jsonl", &all);
    let strict = Policy::default_text()
        .replace("review = 600", "review = 100")
        .replace("alert = 800", "alert = 200");
    let strict = Policy::parse(&strict, "strict.toml").unwrap();
    let options = BacktestOptions {
        input: file.into(),
        policies: vec![
            ("built <in>".to_owned(), Policy::default_policy()),
            ("strict".to_owned(), strict),
        ],
        from_ms: START_MS + 40 * DAY_MS,
        until_ms: START_MS + 54 * DAY_MS,
        label_delay_ms: 2 * DAY_MS,
        cards_a_day: 10,
        leave_out_compromised: false,
        delays_ms: vec![9 * DAY_MS, DAY_MS],
    };
    let found = backtest(&options).unwrap();
    let flips = &found.flips[0];
    assert_eq!(flips.events.iter().flatten().sum::<u64>(), found.events as u64);
    assert_eq!(flips.frauds.iter().flatten().sum::<u64>(), found.frauds as u64);
    let column = |of: &[[u64; 3]; 3]| of.iter().map(|row| row[2]).sum::<u64>();
    assert_eq!(column(&flips.events), found.policies[1].alert.alerts);
    assert_eq!(column(&flips.frauds), found.policies[1].alert.found);
    assert!(flips.gained[0] > 0 && flips.lost == [0, 0], "{flips:?}");
    for policy in &found.policies {
        assert_eq!(
            policy.weeks.values().map(|week| week.events).sum::<usize>(),
            found.events
        );
        assert_eq!(
            policy.tiers.values().map(|tier| tier[0]).sum::<u64>(),
            found.events as u64
        );
        assert_eq!(
            policy.tiers.values().map(|tier| tier[1]).sum::<u64>(),
            found.frauds as u64
        );
        assert_eq!(policy.alert.frauds_minor, found.frauds_minor);
        assert!(
            policy
                .thresholds
                .windows(2)
                .all(|pair| pair[0].recall >= pair[1].recall)
        );
        let delays: Vec<i64> = policy.delays.iter().map(|delay| delay.label_delay_ms).collect();
        assert_eq!(delays, [DAY_MS, 9 * DAY_MS]);
        let recall = policy.intervals.alert.recall.unwrap();
        let share = policy.alert.recall.unwrap();
        assert!(
            recall.low <= share && share <= recall.high && recall.high < 1.0,
            "{recall:?} {share}"
        );
    }
    // No policy here looks at labels: how late they are changes nothing.
    assert_eq!(found.policies[0].delays[0].figures.ap, found.policies[0].whole.ap);
    let page = super::backtest::page(&found);
    assert!(page.contains("built &lt;in&gt;") && !page.contains("built <in>"));
    assert_eq!((page.matches("<svg").count(), page.matches("</svg>").count()), (5, 5));
    assert!(!page.contains("NaN") && !page.contains("inf"), "a figure that is none");
    let text = super::backtest::text::render(&found);
    for part in [
        "over weeks",
        "tier full",
        "alerts lost",
        "late: AUC",
        "95 %: precision",
        "EUR of fraud",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    // Events of cards that are known to be compromised are left out, and nothing else.
    let fewer = backtest(&BacktestOptions {
        leave_out_compromised: true,
        delays_ms: Vec::new(),
        ..options
    })
    .unwrap();
    assert_eq!(fewer.events + fewer.left_out, found.events);
    assert!(fewer.left_out > 0 && fewer.frauds < found.frauds);
}

#[test]
fn what_cannot_be_learned_from_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let (events, labels) = stream();
    let few: Vec<&Value> = events.iter().chain(&labels[..20]).collect();
    let few = write(folder.path(), "few.jsonl", &few);
    let error = train(&options(&few)).unwrap_err();
    assert!(
        matches!(
            error,
            LearningError::Learn(learn::LearnError::TooFewFrauds { found: 0..=20, .. })
        ),
        "{error}"
    );
    let swapped: Vec<&Value> = [&events[5], &events[4]].into_iter().collect();
    let swapped = write(folder.path(), "swapped.jsonl", &swapped);
    let policy = Policy::default_policy();
    let labels = Labels::default();
    let error = replay(&swapped, &policy, &labels, i64::MAX, |_| Ok(())).unwrap_err();
    assert!(
        matches!(
            error,
            LearningError::OutOfOrder {
                line: 2,
                behind_ms: 600_000
            }
        ),
        "{error}"
    );
    let early = TrainOptions {
        until_ms: START_MS - 1,
        ..options(&few)
    };
    assert!(matches!(train(&early).unwrap_err(), LearningError::NothingInRange));
}

#[test]
fn a_label_counts_from_when_it_is_known_and_the_delay_has_passed() {
    let folder = tempfile::tempdir().unwrap();
    let (events, _) = stream();
    let time_ms = events[0]["occurred_at_ms"].as_i64().unwrap();
    let label = |known_ms: i64, verdict: &str| {
        json!({"schema": "label", "version": 1, "event_id": events[0]["event_id"], "card_id": events[0]["card_id"],
            "verdict": verdict, "known_since_ms": known_ms})
    };
    let labels = [label(time_ms + 1, "fraud"), label(time_ms + 9 * DAY_MS, "cleared")];
    let file = write(
        folder.path(),
        "labels.jsonl",
        &labels.iter().chain(&events[..3]).collect::<Vec<_>>(),
    );
    let policy = Policy::default_policy();
    let labels = Labels::read(|| lines(&file, &policy), 7 * DAY_MS).unwrap();
    let event = super::labels::event_number("c0", "e0-0");
    let fraud = |as_of_ms: i64| labels.is_fraud(event, as_of_ms);
    assert_eq!(
        [time_ms + 7 * DAY_MS - 1, time_ms + 7 * DAY_MS, time_ms + 9 * DAY_MS].map(fraud),
        [false, true, false]
    );
}

#[test]
fn devices_are_learned_where_the_history_names_them() {
    let folder = tempfile::tempdir().unwrap();
    let (mut events, labels) = stream();
    for event in &mut events {
        event["version"] = json!(2);
        event["device_id"] = event["merchant_id"].take();
        event["merchant_id"] = json!("the only shop");
    }
    let all: Vec<&Value> = events.iter().chain(&labels).collect();
    let file = write(folder.path(), "history.jsonl", &all);
    let trained = train(&options(&file)).unwrap();
    let keys: Vec<String> = trained.policy.keys.iter().map(|key| key.name.to_string()).collect();
    assert_eq!(keys, ["terminal", "device"]);
    let learned = &trained.points.as_ref().unwrap().points.features;
    assert!(
        learned.iter().any(|feature| feature.name == "device.fraud_run"),
        "{learned:?}"
    );
}
