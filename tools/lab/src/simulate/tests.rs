//! The simulation repeats itself, holds every fault, and is what it says it is.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use tidemark_domain::contract;
use tidemark_domain::event::Event;
use tidemark_domain::policy::Policy;
use tidemark_domain::refusal::RefusalCode;

use super::*;

const NOW_MS: i64 = 1_760_000_000_000;

fn stream(seed: u64, events: u32, cards: u32) -> Vec<SimRecord> {
    generate(&SimConfig::new(seed, events, cards, NOW_MS, &Policy::default_policy())).collect()
}

#[test]
fn a_seed_gives_the_same_bytes_again_and_another_seed_others() {
    let first = stream(7, 3_000, 100);
    assert_eq!(first, stream(7, 3_000, 100));
    let other = stream(8, 3_000, 100);
    assert!(first.iter().zip(&other).filter(|(a, b)| a.payload == b.payload).count() < 100);
    // Runs of different seeds share no card.
    let cards = |records: &[SimRecord]| -> HashSet<String> {
        records.iter().map(|record| record.partition_key.clone()).collect()
    };
    assert!(cards(&first).is_disjoint(&cards(&other)));
}

#[test]
fn these_bytes_are_the_bytes_of_every_machine_and_release() {
    // Changes when the simulation does: then say so in its documentation, since a seed stands in reports.
    let text: Vec<u8> = stream(1, 2_000, 60)
        .into_iter()
        .flat_map(|record| record.payload)
        .collect();
    assert_eq!(
        fingerprint64(&String::from_utf8_lossy(&text)),
        5_995_069_725_698_351_748,
        "the simulation changed"
    );
}

#[test]
fn the_stream_is_as_long_as_asked_for_and_its_times_rise() {
    for (events, cards) in [(12_000, 400), (50_000, 1_500), (500, 20), (40, 1_000)] {
        let records = stream(3, events, cards);
        assert_eq!(records.len(), events as usize);
        assert!(records.is_sorted_by_key(|record| record.sent_at_ms));
        assert!(records.iter().all(|record| record.sent_at_ms <= NOW_MS));
    }
}

#[test]
fn every_record_decodes_to_what_is_expected_of_it_whenever_it_arrives() {
    let policy = Policy::default_policy();
    let hour_later_ms = NOW_MS + HOUR_MS;
    let mut codes = BTreeSet::new();
    let mut kinds: BTreeMap<SimKind, u32> = BTreeMap::new();
    for record in stream(11, 40_000, 1_000) {
        *kinds.entry(record.kind).or_default() += 1;
        for arrival_ms in [record.sent_at_ms, NOW_MS, hour_later_ms] {
            let decoded = contract::decode(&record.payload, arrival_ms, &policy.bounds);
            let text = String::from_utf8_lossy(&record.payload[..record.payload.len().min(500)]).into_owned();
            match (&record.expect, decoded.map(|decoded| decoded.event)) {
                // Only the card's history can refuse these.
                (Expect::Refused(RefusalCode::LabelWithoutEvent), Ok(Event::Label(_))) => {
                    codes.insert(RefusalCode::LabelWithoutEvent);
                }
                (Expect::Refused(code), Err(refusal)) => {
                    assert_eq!(refusal.code, *code, "{text}");
                    codes.insert(*code);
                }
                (Expect::Transaction { event_id }, Ok(Event::Transaction(tx))) => {
                    assert_eq!(tx.event_id.as_str(), event_id);
                    assert_eq!(tx.card_id.as_str(), record.partition_key);
                }
                (Expect::Duplicate { .. }, Ok(_))
                | (Expect::Profile, Ok(Event::Profile(_)))
                | (Expect::Label, Ok(Event::Label(_))) => {}
                (expected, got) => panic!("expected {expected:?}, got {got:?}: {text}"),
            }
        }
    }
    // Refusals of a whole aggregate come by packing records, not by a record of its own. Beyond the horizon is only what
    // arrived that much earlier than the card's newest event: a redrive's record.
    let of_others = [
        RefusalCode::BeyondHorizon,
        RefusalCode::AggregateDigest,
        RefusalCode::AggregateMalformed,
        RefusalCode::AggregateTooMany,
        // No map is published there.
        RefusalCode::Unmapped,
    ];
    let missing: Vec<_> = RefusalCode::ALL
        .iter()
        .filter(|code| !codes.contains(code) && !of_others.contains(code))
        .collect();
    assert!(missing.is_empty(), "never simulated: {missing:?}");
    assert_eq!(kinds.len(), 10, "{kinds:?}");
}

#[test]
fn a_clean_stream_holds_nothing_that_is_refused() {
    let config = SimConfig::new(5, 20_000, 500, NOW_MS, &Policy::default_policy()).clean();
    let mut duplicates = 0;
    for record in generate(&config) {
        assert!(!matches!(record.expect, Expect::Refused(_)), "{record:?}");
        duplicates += u32::from(matches!(record.expect, Expect::Duplicate { .. }));
        // One line each.
        assert!(!record.payload.contains(&b'\n'));
    }
    assert!(duplicates > 100);
}

/// Event times of each ordinary card's transactions, in the order of the stream.
fn times_by_card(records: Vec<SimRecord>) -> BTreeMap<String, Vec<i64>> {
    let bounds = Policy::default_policy().bounds;
    let mut by_card: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for record in records {
        if matches!(record.expect, Expect::Transaction { .. }) && record.kind != SimKind::HotCard {
            let Ok(decoded) = contract::decode(&record.payload, NOW_MS, &bounds) else {
                panic!("{record:?}")
            };
            let Event::Transaction(tx) = decoded.event else {
                panic!("{record:?}")
            };
            by_card.entry(record.partition_key).or_default().push(tx.occurred_at_ms);
        }
    }
    by_card
}

#[test]
fn there_are_cards_of_every_size_and_some_events_come_out_of_order() {
    let by_card = times_by_card(stream(2, 50_000, 1_500));
    let mut sizes: Vec<usize> = by_card.values().map(Vec::len).collect();
    sizes.sort_unstable();
    let within = |low: usize, high: usize| sizes.iter().filter(|size| (low..=high).contains(*size)).count();
    // Of about 5, 60, 500 and 5,000; most are ordinary.
    assert!(within(1, 5) > 50, "{} of five", within(1, 5));
    assert!(within(50, 100) > 50, "{} of sixty", within(50, 100));
    assert_eq!(
        (within(450, 700), within(4_800, 5_800)),
        (1, 1),
        "{:?}",
        &sizes[1_480..]
    );
    assert!(
        within(4, 100) * 10 > sizes.len() * 9,
        "{} of {}",
        within(4, 100),
        sizes.len()
    );
    let neighbours = |is: fn(i64, i64) -> bool| -> usize {
        let count = |times: &Vec<i64>| times.windows(2).filter(|pair| is(pair[1], pair[0])).count();
        by_card.values().map(count).sum()
    };
    let behind = neighbours(|next, before| next < before);
    assert!((200..8_000).contains(&behind), "{behind} out of order");
    let ties = neighbours(|next, before| next == before);
    assert!(ties > 50, "{ties} ties");
}

#[test]
fn a_run_of_twenty_thousand_has_a_card_of_five_thousand_and_one_of_a_few_thousand_has_one_that_seals() {
    let largest = |events: u32| {
        times_by_card(stream(9, events, events / 30))
            .values()
            .map(Vec::len)
            .max()
    };
    assert!(largest(20_000) > Some(4_800), "{:?}", largest(20_000));
    assert!(largest(3_000) > Some(450), "{:?}", largest(3_000));
}

const DAY_MS: i64 = 24 * HOUR_MS;

fn history(seed: u64, scenarios: &[Scenario]) -> Vec<SimRecord> {
    let config = SimConfig::new(seed, 30_000, 600, NOW_MS, &Policy::default_policy());
    generate(&config.with_scenarios(scenarios, 60 * DAY_MS).as_history()).collect()
}

/// The members of a payload.
fn json(record: &SimRecord) -> serde_json::Value {
    serde_json::from_slice(&record.payload).unwrap_or_default()
}

#[test]
fn a_stream_with_scenarios_is_its_seeds_too() {
    let first = history(4, &Scenario::ALL);
    assert_eq!(first, history(4, &Scenario::ALL));
    assert_eq!(first.len(), 30_000);
    let text: Vec<u8> = first.into_iter().flat_map(|record| record.payload).collect();
    assert_eq!(
        fingerprint64(&String::from_utf8_lossy(&text)),
        8_574_989_995_307_483_094,
        "the simulation of scenarios changed"
    );
}

#[test]
fn a_history_is_in_order_and_holds_each_event_once() {
    let bounds = Bounds {
        lateness_ms: i64::MAX / 4,
        ..Policy::default_policy().bounds
    };
    let (mut newest_ms, mut seen) = (i64::MIN, HashSet::new());
    for record in history(5, &Scenario::ALL) {
        let decoded = contract::decode(&record.payload, NOW_MS + 31 * DAY_MS, &bounds);
        match decoded.map(|decoded| decoded.event) {
            Ok(Event::Transaction(tx)) => {
                assert!(tx.occurred_at_ms >= newest_ms, "out of order");
                newest_ms = tx.occurred_at_ms;
                assert!(seen.insert(tx.event_id.as_str().to_owned()), "twice");
            }
            Ok(_) => {}
            Err(refusal) => panic!("{refusal}: {record:?}"),
        }
    }
}

#[test]
fn each_scenario_makes_its_own_fraud_and_no_other() {
    for (scenarios, kinds) in [
        (&[Scenario::Terminals][..], [true, false]),
        (&[Scenario::Rings], [false, true]),
        (&[Scenario::Testing], [false, false]),
    ] {
        let records = history(6, scenarios);
        let count = |kind: SimKind| records.iter().filter(|record| record.kind == kind).count();
        let found = [count(SimKind::BadTerminal), count(SimKind::DeviceRing)];
        assert_eq!(found.map(|count| count > 100), kinds, "{scenarios:?}: {found:?}");
        assert_eq!(
            count(SimKind::CardTesting) > 200,
            scenarios == [Scenario::Testing],
            "{scenarios:?}"
        );
    }
}

#[test]
fn bouts_last_differently_and_labels_come_days_to_weeks_later() {
    let records = history(7, &Scenario::ALL);
    // From the first to the last fraud of a terminal, in days.
    let mut spans: BTreeMap<String, (i64, i64, u32)> = BTreeMap::new();
    let mut times: BTreeMap<String, (i64, bool)> = BTreeMap::new();
    for record in &records {
        let event = json(record);
        let Some(time_ms) = event["occurred_at_ms"]
            .as_i64()
            .filter(|_| event["schema"] == "transaction")
        else {
            continue;
        };
        let id = event["event_id"].as_str().unwrap_or_default().to_owned();
        times.insert(id, (time_ms, record.kind.is_fraud()));
        if record.kind == SimKind::BadTerminal {
            let terminal = event["merchant_id"].as_str().unwrap_or_default().to_owned();
            let span = spans.entry(terminal).or_insert((time_ms, time_ms, 0));
            (span.1, span.2) = (time_ms, span.2 + 1);
        }
    }
    let days: BTreeSet<i64> = spans.values().map(|(from, to, _)| (to - from) / DAY_MS).collect();
    assert!(days.len() > 5 && spans.len() > 15, "{spans:?}");
    let (mut delays, mut versions, mut right) = (BTreeSet::new(), BTreeSet::new(), [0, 0]);
    for label in records.iter().filter(|record| record.kind == SimKind::Label) {
        let label = json(label);
        let (time_ms, fraud) = times[label["event_id"].as_str().unwrap_or_default()];
        let delay_ms = label["known_since_ms"].as_i64().unwrap_or_default() - time_ms;
        assert!((DAY_MS..=30 * DAY_MS).contains(&delay_ms), "{delay_ms}");
        delays.insert(delay_ms / DAY_MS);
        versions.insert(label["version"].as_i64());
        assert_eq!(label["verdict"] == "fraud", fraud);
        right[usize::from(fraud)] += 1;
    }
    let frauds = times.values().filter(|(_, fraud)| *fraud).count();
    assert!(delays.len() > 15 && versions.len() == 2, "{delays:?} {versions:?}");
    // Most frauds are reported, and some genuine events were looked into.
    assert!(
        right[1] * 100 > frauds * 90 && right[1] < frauds && right[0] > 50,
        "{right:?} of {frauds}"
    );
    assert!(
        frauds * 1_000 / times.len() > 25 && frauds * 1_000 / times.len() < 60,
        "{frauds} of {}",
        times.len()
    );
}

#[test]
fn a_stream_that_is_sent_at_once_holds_no_label_of_later() {
    let mut policy = Policy::default_policy();
    policy.bounds.lateness_ms = 70 * DAY_MS;
    let config = SimConfig::new(8, 12_000, 400, NOW_MS, &policy).with_scenarios(&Scenario::ALL, 55 * DAY_MS);
    let records: Vec<SimRecord> = generate(&config).collect();
    assert_eq!(records.len(), 12_000);
    assert!(records.iter().all(|record| record.sent_at_ms <= NOW_MS));
    let mut codes = BTreeSet::new();
    for record in &records {
        let decoded = contract::decode(&record.payload, NOW_MS, &policy.bounds);
        if let (Expect::Refused(code), Err(refusal)) = (&record.expect, &decoded) {
            assert_eq!(*code, refusal.code);
            codes.insert(*code);
        } else {
            assert!(decoded.is_ok(), "{decoded:?} of {record:?}");
        }
    }
    assert!(codes.len() > 20, "{codes:?}");
}

#[test]
fn a_stream_with_links_has_the_events_of_one_without() {
    let config = SimConfig::new(9, 12_000, 400, NOW_MS, &Policy::default_policy());
    let config = config.with_scenarios(&Scenario::ALL, 20 * DAY_MS).as_history();
    let plain: Vec<SimRecord> = generate(&config).collect();
    let linked: Vec<SimRecord> = generate(&config.clone().with_links()).collect();
    assert_eq!(plain.len(), linked.len());
    let (mut versions, mut ips) = (
        BTreeMap::<String, u32>::new(),
        BTreeMap::<String, BTreeSet<String>>::new(),
    );
    let (mut accounts, mut of_labels) = (BTreeMap::<String, BTreeSet<String>>::new(), 0);
    for (plain, linked) in plain.iter().zip(&linked) {
        let (one, mut other) = (json(plain), json(linked));
        let card = other["card_id"].as_str().unwrap_or_default().to_owned();
        if other["schema"] == "transaction" {
            *versions.entry(other["version"].to_string()).or_default() += 1;
        } else {
            of_labels += u32::from(!other["links"].is_null());
        }
        if let Some(ip) = other["links"]["ip"].as_str() {
            ips.entry(ip.to_owned()).or_default().insert(card.clone());
        }
        if let Some(account) = other["links"]["account"].as_str() {
            accounts.entry(account.to_owned()).or_default().insert(card);
        }
        if let Some(event) = other.as_object_mut() {
            let is_linked = event.remove("links").is_some() && one["schema"] == "transaction";
            assert!(!is_linked || event.remove("account_opened_at_ms").is_some());
            event.insert("version".to_owned(), one["version"].clone());
        }
        assert_eq!(one, other);
        let (kinds, times) = ((plain.kind, linked.kind), (plain.sent_at_ms, linked.sent_at_ms));
        assert!(kinds.0 == kinds.1 && times.0 == times.1 && plain.expect == linked.expect);
        let decoded = contract::decode(&linked.payload, NOW_MS + 60 * DAY_MS, &unbounded());
        let unknown = decoded.unwrap_or_else(|refusal| panic!("{refusal:?}")).unknown_fields;
        assert!(unknown <= 1, "{unknown} unknown fields");
    }
    // Versions 1 and 2 are left, and ips tie cards together.
    assert!(versions.len() == 3 && versions["3"] > 5_000, "{versions:?}");
    let shared = |of: &BTreeMap<String, BTreeSet<String>>| of.values().filter(|cards| cards.len() > 1).count();
    assert!(
        shared(&ips) > 20 && shared(&accounts) > 50 && of_labels > 50,
        "{of_labels}"
    );
}

fn unbounded() -> Bounds {
    Bounds {
        lateness_ms: 400 * DAY_MS,
        ..Policy::default_policy().bounds
    }
}
