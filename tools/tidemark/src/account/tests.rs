use super::*;

fn record(number: &str, claim: Claim) -> Record {
    Record {
        shard_id: "s-1".into(),
        sequence_number: number.into(),
        sub_sequence_number: None,
        arrival_ms: 1_000,
        claim,
    }
}

fn transaction(number: &str, event_id: &str) -> Record {
    let claim = Claim::Transaction {
        card_id: "c".into(),
        event_id: event_id.into(),
        time_ms: 900,
    };
    record(number, claim)
}

fn outcome() -> OutcomeCopies {
    OutcomeCopies {
        bytes: Vec::new(),
        digest: 1,
        card_id: "c".into(),
        alert: false,
        arrival_ms: 1_001,
        copies: 1,
        identical: true,
    }
}

fn range(start: &str, end: &str) -> SequenceRange {
    SequenceRange {
        shard_id: "s-1".to_owned(),
        start: start.to_owned(),
        end: end.to_owned(),
    }
}

/// The account of everything, which must be whole.
fn account(records: Vec<Record>, evidence: &Evidence) -> Account {
    let account = Account::of(records.into_iter(), evidence);
    let ends = account.scored
        + account.duplicate
        + account.applied
        + account.quarantined_total()
        + account.dead_lettered
        + account.unrecoverable_total()
        + account.pending
        + account.unaccounted;
    assert_eq!(ends, account.accepted, "{account:?}");
    account
}

#[test]
fn each_record_has_one_end() {
    let mut evidence = Evidence {
        dead: vec![range("9", "10")],
        unrecoverable: vec![(range("10", "12"), "TM-5009".to_owned())],
        ..Evidence::default()
    };
    evidence.outcomes.insert("a".to_owned(), outcome());
    evidence.quarantined.insert("3".to_owned(), "not_json".to_owned());
    let records = vec![
        transaction("1", "a"),
        transaction("2", "a"),
        record("3", Claim::Refused),
        transaction("9", "b"),
        transaction("10", "c"),
        transaction("11", "d"),
        transaction("13", "e"),
    ];
    let account = account(records, &evidence);
    assert_eq!((account.scored, account.duplicate), (1, 1));
    assert_eq!(account.quarantined["not_json"], 1);
    assert_eq!(account.dead_lettered, 2, "what can still be redriven is not lost");
    assert_eq!(account.unrecoverable["TM-5009"], 1);
    assert_eq!(account.unaccounted, 1);
    assert!(account.unaccounted_examples[0].contains("13 of s-1 (event e of card c)"));
}

#[test]
fn a_record_counts_as_redriven_before_its_message_is_gone() {
    let mut evidence = Evidence {
        dead: vec![range("1", "2")],
        ..Evidence::default()
    };
    evidence.outcomes.insert("a".to_owned(), outcome());
    let account = account(vec![transaction("1", "a"), transaction("2", "b")], &evidence);
    assert_eq!((account.scored, account.dead_lettered), (1, 1));
}

#[test]
fn only_a_young_record_may_be_on_its_way() {
    let evidence = Evidence {
        pending_from_ms: Some(1_000),
        ..Evidence::default()
    };
    let mut old = transaction("1", "a");
    old.arrival_ms = 999;
    let account = account(vec![old, transaction("2", "b")], &evidence);
    assert_eq!((account.unaccounted, account.pending), (1, 1));
}

#[test]
fn the_table_speaks_only_where_the_scores_stream_no_longer_does() {
    let facts = CardFacts {
        entries: vec![(fingerprint32("a"), 900)],
        ..CardFacts::default()
    };
    let mut evidence = Evidence {
        outcomes_since_ms: 1_001,
        ..Evidence::default()
    };
    evidence.cards.insert("c".to_owned(), facts);
    assert_eq!(account(vec![transaction("1", "a")], &evidence).scored, 1);
    evidence.outcomes_since_ms = 1_000;
    let lost = account(vec![transaction("1", "a")], &evidence);
    assert_eq!(lost.unaccounted, 1, "it counts, but its outcome was never sent");
}

#[test]
fn profiles_and_labels_count_by_what_the_table_holds() {
    let facts = CardFacts {
        labels: vec![(fingerprint32("a"), 500)],
        profile_version: Some(3),
        ..CardFacts::default()
    };
    let mut evidence = Evidence::default();
    evidence.cards.insert("c".to_owned(), facts);
    let profile = |number: &str, version| {
        let card_id = "c".into();
        record(number, Claim::Profile { card_id, version })
    };
    let label = |number: &str, known_since_ms| {
        let claim = Claim::Label {
            card_id: "c".into(),
            event_id: "a".into(),
            verdict: "fraud",
            known_since_ms,
        };
        record(number, claim)
    };
    let records = vec![
        profile("1", 2),
        profile("2", 2),
        profile("3", 4),
        label("4", 500),
        label("5", 501),
    ];
    let account = account(records, &evidence);
    assert_eq!((account.applied, account.duplicate, account.unaccounted), (2, 1, 2));
}

#[test]
fn each_record_of_an_aggregate_has_its_own_end() {
    use tidemark_domain::contract::aggregate::{Aggregator, UserRecord};
    let event = |id: &str| {
        serde_json::json!({
            "schema": "profile", "version": 1, "card_id": id, "profile_version": 3, "usual_country": "FR", "spend_mean_minor": 3100.0,
            "spend_deviation_minor": 1400.0, "transactions_per_day": 0.9, "account_opened_at_ms": 1_500_000_000_000_i64,
        })
        .to_string()
    };
    let mut aggregator = Aggregator::new();
    for payload in [event("c").as_str(), "no event", "no event either"] {
        let part = UserRecord {
            partition_key: "c",
            explicit_hash_key: None,
            data: payload.as_bytes(),
        };
        assert!(aggregator.push(&part, 1 << 20));
    }
    let accepted = Accepted {
        shard_id: "s-1".into(),
        sequence_number: "7".to_owned(),
        arrival_ms: 1_795_399_200_000,
        payload: aggregator.finish(),
    };
    let bounds = tidemark_domain::policy::Policy::default_policy().bounds;
    let records = Record::all_of(&accepted, &bounds);
    let parts: Vec<_> = records.iter().map(|record| record.sub_sequence_number).collect();
    assert_eq!(parts, [Some(0), Some(1), Some(2)]);
    let quarantined = |part: Option<u32>| (quarantine_key("7", part).into_owned(), "not_json".to_owned());
    let evidence = Evidence {
        // Of the second part, and of another record whose number begins alike.
        quarantined: [quarantined(Some(1)), ("71".to_owned(), "x".to_owned())].into(),
        cards: [(
            "c".to_owned(),
            CardFacts {
                profile_version: Some(3),
                ..CardFacts::default()
            },
        )]
        .into(),
        ..Evidence::default()
    };
    let account = account(records, &evidence);
    assert_eq!(
        (account.accepted, account.quarantined_total(), account.unaccounted),
        (3, 1, 1)
    );
    assert!(
        account.unaccounted_examples[0].starts_with("7 (user record 2) of s-1"),
        "{account:?}"
    );

    // One that can't be taken apart is refused as a whole.
    let mut cut = accepted;
    cut.payload.pop();
    let records = Record::all_of(&cut, &bounds);
    assert_eq!(records.len(), 1);
    assert_eq!(
        (&records[0].claim, records[0].sub_sequence_number),
        (&Claim::Refused, None)
    );
}
