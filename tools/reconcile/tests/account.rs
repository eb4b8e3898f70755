//! The account: every record has one end.
#![allow(clippy::unwrap_used)]

use reconcile::{
    Accepted, Account, BoundsInForce, CardFacts, Claim, Evidence, OutcomeCopies, QuarantineNote, Record, SequenceRange,
};
use tidemark_domain::contract::Bounds;
use tidemark_domain::id::{CardId, EventKey};

fn record(number: &str, claim: Claim) -> Record {
    Record {
        shard_id: "s-1".into(),
        sequence_number: number.into(),
        sub_sequence_number: None,
        partition_key: "c".into(),
        record_partition_key: None,
        arrival_ms: 1_000,
        claim,
        beyond_bounds: None,
    }
}

fn event(id: &str) -> EventKey {
    EventKey::new("c", id, 900).unwrap()
}

fn transaction(number: &str, id: &str) -> Record {
    record(number, Claim::Transaction(event(id)))
}

fn outcome() -> OutcomeCopies {
    OutcomeCopies {
        bytes: Vec::new(),
        digest: 1,
        alert: false,
        arrival_ms: 1_001,
        last_arrival_ms: 1_001,
        copies: 1,
        identical: true,
    }
}

fn note(number: &str) -> QuarantineNote {
    QuarantineNote {
        shard_id: "s-1".to_owned(),
        sequence_number: number.to_owned(),
        partition_key: Some("c".to_owned()),
        code: "not_json".to_owned(),
        part: 1,
        parts: 1,
        ..QuarantineNote::default()
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
fn account(records: &[Record], evidence: &Evidence) -> Account {
    let account = Account::of(records.iter(), evidence);
    let ends = account.scored
        + account.duplicate
        + account.applied
        + account.no_longer_shown
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
    evidence.outcomes.insert(event("a"), outcome());
    evidence.quarantined.take(note("3"));
    let records = [
        transaction("1", "a"),
        transaction("2", "a"),
        record("3", Claim::Refused),
        transaction("9", "b"),
        transaction("10", "c"),
        transaction("11", "d"),
        transaction("13", "e"),
    ];
    let account = account(&records, &evidence);
    assert_eq!((account.scored, account.duplicate), (1, 1));
    assert_eq!(account.quarantined["not_json"], 1);
    assert_eq!(account.dead_lettered, 2, "what can still be redriven is not lost");
    assert_eq!(account.unrecoverable["TM-5009"], 1);
    assert_eq!(account.unaccounted, 1);
    assert!(account.unaccounted_examples[0].contains("13 of s-1 (event e of card c at 900)"));
}

#[test]
fn a_record_counts_as_redriven_before_its_message_is_gone() {
    let mut evidence = Evidence {
        dead: vec![range("1", "2")],
        ..Evidence::default()
    };
    evidence.outcomes.insert(event("a"), outcome());
    let account = account(&[transaction("1", "a"), transaction("2", "b")], &evidence);
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
    let account = account(&[old, transaction("2", "b")], &evidence);
    assert_eq!((account.unaccounted, account.pending), (1, 1));
}

#[test]
fn a_profile_counts_by_the_version_that_the_table_holds() {
    let mut evidence = Evidence::default();
    let facts = CardFacts::of_profile(Some(3));
    evidence.cards.insert(CardId::new("c").unwrap(), facts);
    let profile = |number: &str, version| {
        let card_id = CardId::new("c").unwrap();
        record(number, Claim::Profile { card_id, version })
    };
    let records = [profile("1", 2), profile("2", 2), profile("3", 4)];
    let account = account(&records, &evidence);
    assert_eq!((account.applied, account.duplicate, account.unaccounted), (1, 1, 1));
}

/// Sequence numbers are unique within a shard and a partition key, and nowhere else.
#[test]
fn quarantine_is_known_by_shard_key_and_number() {
    let refused = |change: &dyn Fn(&mut QuarantineNote)| {
        let mut evidence = Evidence::default();
        let mut note = note("7");
        change(&mut note);
        evidence.quarantined.take(note);
        account(&[record("7", Claim::Refused)], &evidence).quarantined_total() == 1
    };
    assert!(refused(&|_| {}));
    assert!(!refused(&|note| note.shard_id = "s-2".to_owned()));
    assert!(!refused(&|note| note.partition_key = Some("d".to_owned())));
    assert!(!refused(&|note| note.sequence_number = "71".to_owned()));
    assert!(!refused(&|note| note.sub_sequence_number = Some(0)));
    assert!(refused(&|note| note.partition_key = None), "an older message says less");
}

#[test]
fn a_masked_key_is_known_whichever_digits_were_masked() {
    let mut of_card = record("7", Claim::Refused);
    of_card.partition_key = "4111111111111111".into();
    for (masked, is_it) in [
        ("****************", true),
        ("************1111", true),
        ("4111111111111111", true),
        ("************1112", false),
        ("***************", false),
    ] {
        let mut evidence = Evidence::default();
        evidence.quarantined.take(QuarantineNote {
            partition_key: Some(masked.to_owned()),
            ..note("7")
        });
        let found = evidence.quarantined.refusal_of(&of_card).is_some();
        assert_eq!(found, is_it, "{masked}");
    }
}

#[test]
fn a_record_that_is_in_quarantine_in_part_is_not_kept() {
    let part = |part| QuarantineNote {
        part,
        parts: 3,
        ..note("7")
    };
    let mut evidence = Evidence::default();
    for number in [1, 3, 3] {
        evidence.quarantined.take(part(number));
    }
    let records = [record("7", Claim::Refused)];
    let cut = account(&records, &evidence);
    assert_eq!(cut.unaccounted, 1);
    assert!(
        cut.unaccounted_because[0].contains("in part: 2 of its 3 messages"),
        "{cut:?}"
    );
    evidence.quarantined.take(part(2));
    assert_eq!(account(&records, &evidence).quarantined_total(), 1);
}

fn aggregate() -> Accepted {
    use tidemark_domain::contract::aggregate::{Aggregator, PackedRecord};
    let event = |id: &str| {
        serde_json::json!({
            "schema": "profile", "version": 1, "card_id": id, "profile_version": 3, "usual_country": "FR", "spend_mean_minor": 3100.0,
            "spend_deviation_minor": 1400.0, "transactions_per_day": 0.9, "account_opened_at_ms": 1_500_000_000_000_i64,
        })
        .to_string()
    };
    let mut aggregator = Aggregator::new();
    for payload in [event("c").as_str(), "no event", "no event either"] {
        let part = PackedRecord {
            partition_key: "c",
            explicit_hash_key: None,
            data: payload.as_bytes(),
        };
        assert!(aggregator.push(&part, 1 << 20));
    }
    Accepted {
        shard_id: "s-1".into(),
        sequence_number: "7".to_owned(),
        partition_key: "whole".to_owned(),
        arrival_ms: 1_795_399_200_000,
        payload: aggregator.finish(),
    }
}

#[test]
fn each_record_of_an_aggregate_has_its_own_end() {
    let bounds = BoundsInForce::always(Bounds::BUILT_IN);
    let records = Record::all_of(&aggregate(), &bounds);
    let parts: Vec<_> = records.iter().map(|record| record.sub_sequence_number).collect();
    assert_eq!(parts, [Some(0), Some(1), Some(2)]);
    let mut evidence = Evidence::default();
    let facts = CardFacts::of_profile(Some(3));
    evidence.cards.insert(CardId::new("c").unwrap(), facts);
    // Of the second part, of the same part of another record, and of another record whose number begins alike.
    let of_part = |part, record_key: Option<&str>| QuarantineNote {
        sub_sequence_number: Some(part),
        record_partition_key: record_key.map(str::to_owned),
        ..note("7")
    };
    evidence.quarantined.take(of_part(1, Some("whole")));
    evidence.quarantined.take(of_part(2, Some("another")));
    evidence.quarantined.take(note("71"));
    let found = account(&records, &evidence);
    assert_eq!(
        (found.accepted, found.quarantined_total(), found.unaccounted),
        (3, 1, 1)
    );
    assert!(
        found.unaccounted_examples[0].starts_with("7 (user record 2) of s-1"),
        "{found:?}"
    );
    evidence.quarantined.take(of_part(2, None));
    assert_eq!(
        account(&records, &evidence).unaccounted,
        0,
        "an older message names no key of the record"
    );
}

#[test]
fn an_aggregate_that_can_not_be_taken_apart_is_refused_whole() {
    let bounds = BoundsInForce::always(Bounds::BUILT_IN);
    let mut cut = aggregate();
    cut.payload.pop();
    let records = Record::all_of(&cut, &bounds);
    assert_eq!(records.len(), 1);
    assert_eq!(
        (
            &records[0].claim,
            records[0].sub_sequence_number,
            &*records[0].partition_key
        ),
        (&Claim::Refused, None, "whole")
    );
}

#[test]
fn an_aggregate_within_an_aggregate_is_one_refused_user_record() {
    use tidemark_domain::contract::aggregate::{Aggregator, PackedRecord};
    let inner = aggregate();
    let mut outer = Aggregator::new();
    let part = PackedRecord {
        partition_key: "c",
        explicit_hash_key: None,
        data: &inner.payload,
    };
    assert!(outer.push(&part, 1 << 20));
    let nested = Accepted {
        payload: outer.finish(),
        ..inner
    };
    let records = Record::all_of(&nested, &BoundsInForce::always(Bounds::BUILT_IN));
    assert_eq!(records.len(), 1);
    assert_eq!(
        (&records[0].claim, records[0].sub_sequence_number),
        (&Claim::Refused, Some(0))
    );
    // Its evidence is the message that names its place, live as after any redrive.
    let mut evidence = Evidence::default();
    evidence.quarantined.take(QuarantineNote {
        sub_sequence_number: Some(0),
        record_partition_key: Some("whole".to_owned()),
        ..note("7")
    });
    let found = account(&records, &evidence);
    assert_eq!((found.quarantined_total(), found.unaccounted), (1, 0));
}
