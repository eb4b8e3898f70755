//! Links, ages and hours: what is learned of them where the history has them and the policy to begin with asks for it.

use super::*;

/// A compromised network: its ip, and the days on which half of what comes from it is fraud.
struct Network {
    ip: String,
    from_day: i64,
    until_day: i64,
}

/// One transaction a card and day, each from the card's own network, but now and then from one that is compromised for some days.
/// `card_tells`: fraud of new accounts is commoner, and half of all fraud happens at night.
fn stream_of_links(card_tells: bool) -> (Vec<Value>, Vec<Value>) {
    let mut dice = Dice::new(11, 0);
    let (mut events, mut labels) = (Vec::new(), Vec::new());
    let networks: Vec<Network> = (0..20)
        .map(|number| {
            let from_day = dice.between(2, DAYS - 4);
            Network {
                ip: format!("bad-{number}"),
                from_day,
                until_day: from_day + dice.between(6, 25),
            }
        })
        .collect();
    for day in 0..DAYS {
        let open: Vec<&Network> = networks
            .iter()
            .filter(|network| (network.from_day..network.until_day).contains(&day))
            .collect();
        for card in 0..CARDS {
            let bad = open.get(usize::try_from(dice.below(60)).unwrap());
            let is_new = card % 10 == 0;
            let is_fraud = bad.is_some() && dice.chance(0.6) || card_tells && is_new && dice.chance(0.1);
            // Cards are used by day, and by night half of the frauds.
            let is_late = dice.chance(if card_tells && is_fraud { 0.5 } else { 0.04 });
            let hour_ms = if is_late { 22 * 3_600_000 } else { 10 * 3_600_000 };
            let time_ms = START_MS + day * DAY_MS + hour_ms + i64::try_from(card).unwrap() * 50_000;
            let id = format!("e{day}-{card}");
            if is_fraud {
                labels.push(
                    json!({"schema": "label", "version": 1, "event_id": id, "card_id": format!("c{card}"),
                    "verdict": "fraud", "known_since_ms": time_ms + dice.between(1, 3) * DAY_MS}),
                );
            }
            let ip = bad.map_or_else(|| format!("home-{card}"), |network| network.ip.clone());
            let days = if is_new {
                5 + day / 9
            } else {
                900 + i64::try_from(card).unwrap() * 7
            };
            let opened_ms = time_ms - days * DAY_MS;
            events.push(
                json!({"schema": "transaction", "version": 3, "event_id": id, "card_id": format!("c{card}"),
                "occurred_at_ms": time_ms, "amount_minor": 500 + dice.below(5_000), "currency": "EUR",
                "merchant_id": format!("t{}", dice.below(TERMINALS)), "mcc": 5999, "country": "FR", "channel": "ecommerce",
                "approved": true, "links": {"ip": ip}, "account_opened_at_ms": opened_ms}),
            );
        }
    }
    events.sort_by_key(|event| event["occurred_at_ms"].as_i64());
    (events, labels)
}

const BY_IP: &str = "\n[[keys]]\nname = \"network\"\nfield = \"links.ip\"\nkeeps = \"labelled\"\n";

fn learned(trained: &crate::learning::train::Trained) -> Vec<&str> {
    let points = &trained.points.as_ref().unwrap().points;
    points.features.iter().map(|feature| feature.name.as_str()).collect()
}

#[test]
fn a_key_by_a_link_is_learned_from_where_the_policy_to_begin_with_declares_it() {
    let folder = tempfile::tempdir().unwrap();
    let (events, labels) = stream_of_links(false);
    let all: Vec<&Value> = events.iter().chain(&labels).collect();
    let file = write(folder.path(), "history.jsonl", &all);
    let with_key = TrainOptions {
        base: format!("{}{BY_IP}", Policy::default_text()),
        ..options(&file)
    };
    let trained = train(&with_key).unwrap();
    let names = learned(&trained);
    assert!(names.iter().any(|name| name.starts_with("network.")), "{names:?}");
    let keys = &trained.policy.keys;
    assert!(keys.len() == 1 && keys[0].field.to_string() == "links.ip", "{keys:?}");
    // Without the key no link is looked at, and what is left tells less than validation asks for.
    let without = train(&options(&file));
    assert!(without.is_err() || !without.unwrap().text.contains("links"));
}

#[test]
fn ages_and_hours_are_learned_where_they_tell_something() {
    let folder = tempfile::tempdir().unwrap();
    let (events, labels) = stream_of_links(true);
    let all: Vec<&Value> = events.iter().chain(&labels).collect();
    let file = write(folder.path(), "history.jsonl", &all);
    let trained = train(&options(&file)).unwrap();
    let names = learned(&trained);
    assert!(names.contains(&"surprise.hour_of_day"), "{names:?}");
    assert!(names.contains(&"card_age"), "{names:?}");
    assert_eq!(trained.text, train(&options(&file)).unwrap().text, "byte for byte");
}

/// What is tried late is in no policy of a history that has nothing of it.
#[test]
fn a_history_without_ages_categories_and_hours_that_tell_is_learned_from_as_ever() {
    let folder = tempfile::tempdir().unwrap();
    let (events, labels) = stream();
    let all: Vec<&Value> = events.iter().chain(&labels).collect();
    let file = write(folder.path(), "history.jsonl", &all);
    let trained = train(&options(&file)).unwrap();
    for late in ["card_age", "new_merchant_category", "hour_of_day", "weekend"] {
        assert!(!trained.text.contains(late), "{late}: {}", trained.text);
    }
}

#[test]
fn labels_hand_on_the_ids_that_they_name() {
    let folder = tempfile::tempdir().unwrap();
    let label = json!({"schema": "label", "version": 2, "event_id": "e", "card_id": "c", "verdict": "fraud",
        "known_since_ms": START_MS, "occurred_at_ms": START_MS - DAY_MS, "merchant_id": "t1", "links": {"ip": "bad-1"}});
    let file = write(folder.path(), "labels.jsonl", &[&label]);
    let read = Labels::read(|| lines(&file, &Policy::default_policy()), 0).unwrap();
    let line: Value = serde_json::from_slice(&read.all[0].to_line()).unwrap();
    assert_eq!(line, label);
}
