//! Lists: the domain's hashes and the oracle's plain texts agree over streams, also while lists change, and the oracle notices when they do not.

use std::sync::Arc;

use tidemark_domain::lists::{List, ListDraft, ListNote, ListOf, NewEntry};

use super::*;

const RULES: &str = r#"
[[lists]]
name = "merchants"
of = "ids"
[[lists]]
name = "abroad"
of = "countries"
[[lists]]
name = "networks"
of = "addresses"
[[rules]]
name = "listed"
when = "event.merchant_id in lists.merchants && !(event.country in lists.abroad)"
then = "alert"
reason = "A merchant of the list"
[[rules]]
name = "network"
when = "event.links.ip in lists.networks || event.card_id in lists.merchants"
then = "review"
reason = "A network of the list"
"#;

fn policy() -> Policy {
    Policy::parse(&format!("{}{RULES}", Policy::default_text()), "listed.toml").unwrap_or_else(|p| panic!("{p:#?}"))
}

/// A list as the domain has it and as the oracle does.
fn list(plain: &PlainList) -> Arc<List> {
    let note = ListNote {
        at_ms: NOW_MS,
        who: "ana".to_owned(),
        reason: "words".to_owned(),
    };
    let (mut draft, note) = (ListDraft::new(plain.of), Arc::new(note));
    for (value, until_ms) in &plain.entries {
        let entry = NewEntry {
            value: plain.of.spelt(value).unwrap(),
            until_ms: *until_ms,
            reason: None,
        };
        draft.put(entry, &note).unwrap();
    }
    Arc::new(draft.list().unwrap())
}

/// The contents of the three lists in one part of a stream: merchants that the stream has, some of them until the middle of its time.
fn contents(records: &[SimRecord], part: usize) -> [PlainList; 3] {
    let mut merchants: Vec<String> = Vec::new();
    let mut times: Vec<i64> = Vec::new();
    for record in records {
        if let Ok(decoded) = contract::decode(&record.payload, record.sent_at_ms, &Policy::default_policy().bounds)
            && let Event::Transaction(tx) = decoded.event
        {
            merchants.push(tx.merchant_id.as_str().to_owned());
            times.push(tx.occurred_at_ms);
        }
    }
    merchants.sort_unstable();
    merchants.dedup();
    times.sort_unstable();
    let middle_ms = times[times.len() / 2];
    let chosen = merchants.into_iter().enumerate().filter(|(at, _)| at % 4 == part % 4);
    let entries = chosen.map(|(at, merchant)| (merchant, (at % 8 < 4).then_some(middle_ms)));
    let of = |of, entries: &[&str]| PlainList {
        of,
        entries: entries.iter().map(|entry| ((*entry).to_owned(), None)).collect(),
    };
    [
        PlainList {
            of: ListOf::Ids,
            entries: entries.collect(),
        },
        of(ListOf::Countries, if part == 0 { &["US", "GB"] } else { &["GB"] }),
        of(ListOf::Addresses, &["10.0.0.0/8", "192.0.2.7", "2001:db8::/33"]),
    ]
}

/// A stream that is scored in three parts: with all lists, with others, and with one of them out of reach.
fn run(records: &[SimRecord]) -> (System, PlainLists) {
    let (mut system, mut plain) = (System::default(), PlainLists::default());
    for part in 0..3 {
        let contents = contents(records, part);
        let lists = contents.each_ref().map(list);
        for (list, content) in lists.iter().zip(&contents) {
            plain.0.insert(list.version().to_string(), content.clone());
        }
        let policy = policy().with_lists(|name| match name.as_str() {
            "merchants" => Some(Arc::clone(&lists[0])),
            "abroad" => Some(Arc::clone(&lists[1])).filter(|_| part < 2),
            _ => Some(Arc::clone(&lists[2])),
        });
        let third = records.len() / 3;
        for record in &records[part * third..(part + 1) * third] {
            let fate = match contract::decode(&record.payload, record.sent_at_ms, &policy.bounds) {
                Ok(decoded) => system.apply(&decoded.event, &policy),
                Err(refusal) => Fate::Refused(refusal.code),
            };
            system.fates.push(fate);
        }
    }
    (system, plain)
}

fn check_with(system: &System, records: &[SimRecord], plain: &PlainLists) -> Report {
    let sent: Vec<Sent<'_>> = records
        .iter()
        .map(|record| Sent {
            arrival_ms: record.sent_at_ms,
            payload: &record.payload,
        })
        .collect();
    let outcomes = system.outcomes.iter().map(Vec::as_slice);
    check_listed(
        &policy(),
        &sent,
        outcomes,
        &|card| system.states.get(card).cloned(),
        plain,
    )
}

#[test]
fn the_oracle_and_the_domain_ask_lists_alike_while_they_change() {
    let mut records = stream(5, 3_000);
    records.truncate(records.len() / 3 * 3);
    let (system, plain) = run(&records);
    let report = check_with(&system, &records, &plain);
    assert_eq!(report.mismatch_count, 0, "{:#?}", report.mismatches);
    let outcomes = system.outcomes.iter();
    let outcomes: Vec<String> = outcomes
        .map(|bytes| String::from_utf8(bytes.clone()).unwrap())
        .collect();
    let count = |what: &str| outcomes.iter().filter(|outcome| outcome.contains(what)).count();
    assert!(count("\"rule\":\"listed\"") > 50, "{}", count("\"rule\":\"listed\""));
    assert!(count("list_unavailable:abroad") > 300 && count("no_lists") > 300);
}

#[test]
fn a_list_that_was_another_is_noticed() {
    let mut records = stream(6, 2_000);
    records.truncate(records.len() / 3 * 3);
    let (system, plain) = run(&records);
    // Entries fewer in the oracle's content of the same version.
    let mut other = plain.clone();
    let merchants = other.0.values_mut().find(|list| list.of == ListOf::Ids).unwrap();
    merchants.entries.truncate(1);
    assert!(check_with(&system, &records, &other).mismatch_count > 0);
    // A version that there never was.
    let mut other = plain;
    let version = other.0.keys().next().unwrap().clone();
    other.0.remove(&version);
    let report = check_with(&system, &records, &other);
    assert!(
        report
            .mismatches
            .iter()
            .any(|mismatch| mismatch.field == "list_versions"),
        "{:#?}",
        report.mismatches
    );
}
