use std::collections::BTreeMap;

use tidemark_aws::admin::{Item, ItemValue};
use xxhash_rust::xxh3::xxh3_128;

use super::*;
use crate::account::Claim;

fn transaction(number: &str, event_id: &str) -> Record {
    Record {
        shard_id: "s-1".into(),
        sequence_number: number.into(),
        sub_sequence_number: None,
        arrival_ms: 1_000,
        claim: Claim::Transaction {
            card_id: "c".into(),
            event_id: event_id.into(),
            time_ms: 900,
        },
    }
}

fn outcome(bytes: &[u8]) -> OutcomeCopies {
    OutcomeCopies {
        bytes: Vec::new(),
        digest: xxh3_128(bytes),
        card_id: "c".into(),
        alert: true,
        arrival_ms: 1_001,
        copies: 2,
        identical: true,
    }
}

fn evidence(event_id: &str, copies: OutcomeCopies) -> Evidence {
    let mut evidence = Evidence::default();
    evidence.outcomes.insert(event_id.to_owned(), copies);
    evidence
}

fn text(report: &AuditReport) -> String {
    anstream::adapter::strip_str(&view::render(report)).to_string()
}

#[test]
fn a_whole_range_holds() {
    let records = vec![transaction("1", "a"), transaction("2", "a")];
    let report = judge(&records, &evidence("a", outcome(b"o")), CardCheck::default());
    assert!(report.holds && report.breaks.is_empty(), "{report:?}");
    assert_eq!((report.outcomes.events, report.outcomes.records), (1, 2));
    assert!(
        text(&report).contains("I1 and I3 hold: each of 2 records"),
        "{}",
        text(&report)
    );
}

#[test]
fn a_record_that_is_nowhere_breaks_i1_by_name() {
    let records = vec![transaction("1", "a"), transaction("2", "b")];
    let report = judge(&records, &evidence("a", outcome(b"o")), CardCheck::default());
    assert!(!report.holds);
    let found = &report.breaks[0];
    assert_eq!(found.invariant, "I1");
    assert!(found.what.contains("2 of s-1 (event b of card c)"), "{found:?}");
    assert!(text(&report).contains("✗ I1: record 2 of s-1"), "{}", text(&report));
}

#[test]
fn what_is_still_on_its_way_fails_an_audit_that_was_to_wait() {
    let pending = Evidence {
        pending_from_ms: Some(1_000),
        ..Evidence::default()
    };
    let mut report = judge(&[transaction("1", "a")], &pending, CardCheck::default());
    assert_eq!((report.account.pending, report.exit()), (1, Exit::Ok));
    assert!(
        text(&report).contains("(1 are still on their way)"),
        "{}",
        text(&report)
    );
    report.settle_s = Some(30);
    report.waited_ms = 30_400;
    assert_eq!(report.exit(), Exit::Failed);
    assert!(
        text(&report).contains("✗ 1 records are still on their way, after 30 s"),
        "{}",
        text(&report)
    );
    assert!(!text(&report).contains("hold"), "{}", text(&report));
}

#[test]
fn copies_that_differ_break_i3_by_name() {
    let copies = OutcomeCopies {
        identical: false,
        ..outcome(b"o")
    };
    let report = judge(&[transaction("1", "a")], &evidence("a", copies), CardCheck::default());
    assert!(!report.holds);
    assert_eq!(report.breaks[0].invariant, "I3");
    assert!(
        report.breaks[0].what.starts_with("event a of card c"),
        "{:?}",
        report.breaks
    );
}

fn decision(event_id: &str, outcome: &str) -> Item {
    let text = |text: &str| ItemValue::Text(text.to_owned());
    BTreeMap::from([
        ("pk".to_owned(), text("c#c")),
        ("sk".to_owned(), text(&format!("d#{event_id}"))),
        ("o".to_owned(), text(outcome)),
    ])
}

#[test]
fn a_recorded_decision_is_the_outcome_that_was_sent() {
    let sent = outcome(b"{}");
    let mut check = CardCheck::default();
    check.take_card("c", &[decision("a", "{}")], &[("a", &sent)]).unwrap();
    assert_eq!(
        (
            check.counts.compared_with_decision,
            check.counts.different_from_decision
        ),
        (1, 0)
    );
    check.take_card("c", &[decision("a", "{1}")], &[("a", &sent)]).unwrap();
    assert_eq!(check.counts.different_from_decision, 1);
    check.take_card("c", &[], &[("a", &sent)]).unwrap();
    assert_eq!(check.counts.without_decision, 1);
    let report = judge(&[], &Evidence::default(), check);
    assert!(!report.holds);
    assert!(
        text(&report).contains("the recorded decision is another"),
        "{}",
        text(&report)
    );
}

#[test]
fn a_history_that_gives_another_outcome_breaks_i3() {
    use tidemark_domain::policy::Policy;
    let policy = Policy::default_policy();
    let config = crate::simulate::SimConfig::new(7, 200, 5, 1_795_399_200_000, &policy);
    let mut cards: BTreeMap<String, tidemark_domain::card::CardState> = BTreeMap::new();
    let mut sent = Vec::new();
    for record in crate::simulate::generate(&config) {
        let decoded = tidemark_domain::contract::decode(&record.payload, 1_795_399_200_000, &policy.bounds);
        let Ok(tidemark_domain::event::Event::Transaction(transaction)) = decoded.map(|d| d.event) else {
            continue;
        };
        let card = transaction.card_id.clone();
        let state = cards.entry(card.as_str().to_owned()).or_default();
        let profile = tidemark_domain::score::ProfileInput::Absent;
        let _ = tidemark_domain::fold::apply_transaction(state, &transaction, profile, &policy);
        let fp = tidemark_domain::id::fingerprint32(transaction.event_id.as_str());
        let Some(entry) = state.entries().iter().find(|entry| entry.event_fp == fp) else {
            continue;
        };
        let bytes = tidemark_domain::outcome::render_json(&card, &transaction.event_id, entry);
        sent.push((
            card.as_str().to_owned(),
            transaction.event_id.as_str().to_owned(),
            outcome(&bytes),
        ));
    }
    let (card, state) = cards
        .into_iter()
        .max_by_key(|(_, state)| state.entries().len())
        .unwrap();
    let of_card: Vec<(&str, &OutcomeCopies)> = sent
        .iter()
        .filter(|(of, ..)| *of == card)
        .map(|(_, id, copies)| (id.as_str(), copies))
        .collect();
    let item: Item = BTreeMap::from([
        ("pk".to_owned(), ItemValue::Text(format!("c#{card}"))),
        ("sk".to_owned(), ItemValue::Text("s".to_owned())),
        ("v".to_owned(), ItemValue::Number("1".to_owned())),
        ("b".to_owned(), ItemValue::Binary(state.encode())),
    ]);
    let mut check = CardCheck::default();
    check.take_card(&card, std::slice::from_ref(&item), &of_card).unwrap();
    assert!(check.counts.compared_with_state > 1, "{:?}", check.counts);
    assert_eq!(check.counts.different_from_state, 0);
    assert_eq!(check.counts.counted_again, 0);
    an_event_that_counts_twice_breaks_i2(&card, &state, &of_card);
    let other = outcome(b"other");
    check.take_card(&card, &[item], &[(of_card[0].0, &other)]).unwrap();
    assert_eq!(check.counts.different_from_state, 1);
    assert!(check.breaks.iter().next().unwrap().what.contains("stored history"));
}

fn an_event_that_counts_twice_breaks_i2(
    card: &str,
    state: &tidemark_domain::card::CardState,
    sent: &[(&str, &OutcomeCopies)],
) {
    let once = state.all_entries();
    let mut check = CardCheck::default();
    check.each_once(card, &once, sent);
    assert!(check.breaks.is_empty(), "{:?}", check.breaks);
    // As a writer would leave it that applied an event over a version which had it already: at its place, as a later arrival.
    let mut again = once[0].clone();
    again.seq = state.next_seq();
    let twice: Vec<_> = once.iter().copied().chain([&again]).collect();
    check.each_once(card, &twice, sent);
    assert_eq!(check.counts.counted_again, 1);
    // Another event of the same fingerprint has another time.
    let mut collision = again.clone();
    collision.time_ms += 1;
    let mut of_others = CardCheck::default();
    let others: Vec<_> = once.iter().copied().chain([&collision]).collect();
    of_others.each_once(card, &others, sent);
    assert_eq!(of_others.counts.counted_again, 0);
    let report = judge(&[], &Evidence::default(), check);
    assert!(!report.holds);
    assert_eq!(report.breaks[0].invariant, "I2");
    assert!(text(&report).contains("counts 2 times"), "{}", text(&report));
}
