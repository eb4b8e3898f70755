//! Labels that are taken before they count: nobody can tell.

use super::*;

/// Events of few cards and of a terminal with more frauds than a key keeps; labels early and late, twice, taken back, and of events that
/// their cards have forgotten.
fn hard_stream() -> Vec<Value> {
    let mut dice = Dice::new(23, 0);
    let mut rows = Vec::new();
    for number in 0..12_000_i64 {
        let time_ms = START_MS + number * 450_000;
        // A third are of one card, so that its state seals what is old.
        let card = if dice.chance(0.33) { 0 } else { 1 + dice.below(40) };
        let terminal = if dice.chance(0.1) { 0 } else { 1 + dice.below(30) };
        let id = format!("e{number}");
        rows.push((
            time_ms,
            json!({"schema": "transaction", "version": 1, "event_id": id, "card_id": format!("c{card}"),
            "occurred_at_ms": time_ms, "amount_minor": 500 + dice.below(5_000), "currency": "EUR",
            "merchant_id": format!("t{terminal}"), "mcc": 5999, "country": "FR", "channel": "point_of_sale", "approved": true}),
        ));
        let mut label = |delay_ms: i64, verdict: &str| {
            let known_ms = time_ms + delay_ms;
            let mut label = json!({"schema": "label", "version": 1, "event_id": id, "card_id": format!("c{card}"),
                "verdict": verdict, "known_since_ms": known_ms});
            if number % 2 == 0 {
                label["version"] = json!(2);
                label["occurred_at_ms"] = json!(time_ms);
                label["merchant_id"] = json!(format!("t{terminal}"));
            }
            rows.push((known_ms, label));
        };
        if dice.chance(if terminal == 0 { 0.6 } else { 0.08 }) {
            let delay_ms = dice.between(1, 10) * DAY_MS / 2 - 7;
            label(if dice.chance(0.1) { 45 * DAY_MS } else { delay_ms }, "fraud");
            if dice.chance(0.1) {
                label(delay_ms + dice.between(1, 9) * DAY_MS, "cleared");
            }
        }
    }
    rows.sort_by_key(|(time_ms, row)| (*time_ms, row["schema"] == "transaction"));
    rows.into_iter().map(|(_, row)| row).collect()
}

#[test]
fn labels_that_are_taken_early_change_no_byte_of_any_outcome() {
    let folder = tempfile::tempdir().unwrap();
    let rows = hard_stream();
    let file = write(folder.path(), "history.jsonl", &rows.iter().collect::<Vec<_>>());
    let keyed = "\n[[keys]]\nname = \"terminal\"\nfield = \"merchant_id\"\nkeeps = \"labelled\"\n";
    let text = Policy::default_text()
        .replace(
            "features = [",
            "features = [ \"card.frauds_7d\", \"terminal.fraud_run\", \"terminal.fraud_run_age\", \"terminal.since_fraud\", \
             \"terminal.frauds_30d\", \"terminal.frauds_120d\",",
        )
        .replace("head_events_max = 400", "head_events_max = 60");
    let policy = Policy::parse(&format!("{text}{keyed}"), "keyed.toml").unwrap();
    let labels = Labels::read(|| lines(&file, &policy), 0).unwrap();
    let mut found = Vec::new();
    replay(&file, &policy, &labels, i64::MAX, |scored| {
        found.push(String::from_utf8(scored.outcome).unwrap());
        Ok(())
    })
    .unwrap();
    // `score` takes each label in its place.
    let expected = outcomes_of(file, policy);
    assert_eq!(found.len(), 12_000);
    for (found, expected) in found.iter().zip(expected.lines()) {
        assert_eq!(found, expected);
    }
    let most = |name: &str| {
        let value = |outcome: &String| serde_json::from_str::<Value>(outcome).unwrap()["features"][name].as_f64();
        found.iter().filter_map(value).fold(0.0, f64::max)
    };
    assert!(most("terminal.frauds_120d") > 400.0, "{}", most("terminal.frauds_120d"));
    assert!(most("card.frauds_7d") > 3.0);
}
