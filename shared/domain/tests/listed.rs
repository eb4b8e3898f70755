//! Lists of a policy, over transactions: what rules make of them, what an outcome tells of them, and that it is told for ever.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

use tidemark_domain::catalogue::KeyName;
use tidemark_domain::control::diff::{Effect, diff};
use tidemark_domain::event::{Channel, Country, Currency, Links, Transaction};
use tidemark_domain::fold::{FoldAnswer, fold_transaction};
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::history::{Entry, History};
use tidemark_domain::id::{CardId, EventId, LinkId, MerchantId};
use tidemark_domain::lists::{List, ListDraft, ListNote, ListOf, ListPart, ListPartKey, ListVersion, NewEntry};
use tidemark_domain::model::ProfileInput;
use tidemark_domain::outcome::{Decision, ListRead, ListReads, Tier};
use tidemark_domain::policy::Policy;
use tidemark_domain::render::render_json;

use crate::state_golden;

pub const TIME_MS: i64 = 1_780_000_000_000;
pub const HOUR_MS: i64 = 3_600_000;

pub const POLICY: &str = r#"
version = 3
windows_minutes = [60, 1440]
features = ["count_1h"]
[weights]
count_1h = 1
[thresholds]
review = 990
alert = 995
[[lists]]
name = "mules"
of = "ids"
[[lists]]
name = "networks"
of = "addresses"
[[lists]]
name = "abroad"
of = "countries"
[[rules]]
name = "mule"
when = "event.links.account in lists.mules || event.card_id in lists.mules"
then = "alert"
reason = "A mule"
[[rules]]
name = "scanner"
when = "event.links.ip in lists.networks && !(event.country in lists.abroad)"
then = "review"
reason = "A scanner"
[low_risk]
amount_max_minor = 500
features = ["count_1h"]
"#;

fn policy() -> Policy {
    Policy::parse(POLICY, "lists.toml").unwrap_or_else(|problems| panic!("{problems:#?}"))
}

pub fn list(of: ListOf, entries: &[(&str, Option<i64>)]) -> Arc<List> {
    let note = ListNote {
        at_ms: TIME_MS,
        who: "ana".to_owned(),
        reason: "words".to_owned(),
    };
    let (mut draft, note) = (ListDraft::new(of), Arc::new(note));
    for (value, until_ms) in entries {
        let entry = NewEntry {
            value: of.spelt(value).unwrap(),
            until_ms: *until_ms,
            reason: None,
        };
        draft.put(entry, &note).unwrap();
    }
    Arc::new(draft.list().unwrap())
}

/// The policy with `mules` and `networks`, and with `abroad` where it is asked for.
fn with_lists(has_abroad: bool) -> Policy {
    let mules = list(
        ListOf::Ids,
        &[("acct-1", None), ("acct-2", Some(TIME_MS + HOUR_MS)), ("card-9", None)],
    );
    let networks = list(ListOf::Addresses, &[("192.0.2.0/24", None)]);
    let abroad = list(ListOf::Countries, &[("US", None)]);
    policy().with_lists(|name| match name.as_str() {
        "mules" => Some(Arc::clone(&mules)),
        "networks" => Some(Arc::clone(&networks)),
        "abroad" if has_abroad => Some(Arc::clone(&abroad)),
        _ => None,
    })
}

pub fn transaction(number: u32, links: &[(&str, &str)]) -> Transaction {
    let link = |(name, id): &(&str, &str)| (KeyName::new(name).unwrap(), LinkId::new(id).unwrap());
    Transaction {
        event_id: EventId::new(&format!("event-{number}")).unwrap(),
        card_id: CardId::new("card").unwrap(),
        occurred_at_ms: TIME_MS + i64::from(number) * HOUR_MS / 2,
        amount_minor: 1_000,
        currency: Currency::new("EUR").unwrap(),
        merchant_id: MerchantId::new("shop").unwrap(),
        mcc: 5947,
        country: Country::new("FR").unwrap(),
        channel: Channel::Ecommerce,
        approved: true,
        device_id: None,
        links: Links::new(links.iter().map(link)).unwrap(),
        account_opened_at_ms: None,
        place: None,
    }
}

fn scored(state: &mut History, tx: &Transaction, policy: &Policy) -> Box<Entry> {
    match fold_transaction(state, tx, ProfileInput::Absent, policy) {
        FoldAnswer::Scored { entry } | FoldAnswer::Duplicate { entry } => entry,
        other => panic!("{other:?}"),
    }
}

pub fn rendered(tx: &Transaction, entry: &Entry) -> Value {
    serde_json::from_slice(&render_json(&tx.card_id, &tx.event_id, entry)).unwrap()
}

fn names(entry: &Entry) -> Vec<&str> {
    entry.outcome.rules.iter().map(|hit| hit.says.name()).collect()
}

#[test]
fn a_rule_asks_a_list_as_of_the_events_own_time() {
    let policy = with_lists(true);
    let mut state = History::default();
    let of = |state: &mut History, number, links: &[(&str, &str)]| {
        let entry = scored(state, &transaction(number, links), &policy);
        (entry.outcome.decision, names(&entry).join(" "))
    };
    assert_eq!(
        of(&mut state, 0, &[("account", "acct-1")]),
        (Decision::Alert, "mule".to_owned())
    );
    assert_eq!(
        of(&mut state, 1, &[("account", "acct-2")]),
        (Decision::Alert, "mule".to_owned())
    );
    // An hour later it has ended.
    assert_eq!(
        of(&mut state, 2, &[("account", "acct-2")]),
        (Decision::Pass, String::new())
    );
    assert_eq!(
        of(&mut state, 3, &[("ip", "192.0.2.99")]),
        (Decision::Review, "scanner".to_owned())
    );
    assert_eq!(of(&mut state, 4, &[("ip", "192.0.3.1")]).0, Decision::Pass);
    assert_eq!(of(&mut state, 5, &[("ip", "not an address")]).0, Decision::Pass);
    assert_eq!(of(&mut state, 6, &[]).0, Decision::Pass);
    let mut by_card = transaction(7, &[]);
    by_card.card_id = CardId::new("card-9").unwrap();
    assert_eq!(
        scored(&mut History::default(), &by_card, &policy).outcome.decision,
        Decision::Alert
    );
}

#[test]
fn an_outcome_names_the_contents_of_all_lists_and_a_duplicate_keeps_them() {
    let policy = with_lists(true);
    let mut state = History::default();
    let tx = transaction(0, &[("account", "acct-1")]);
    let entry = scored(&mut state, &tx, &policy);
    let outcome = rendered(&tx, &entry);
    let reads = policy.lists.reads().all();
    let version = |at: usize| json!(reads[at].version.unwrap().to_string());
    let expected = json!({ "mules": version(0), "networks": version(1), "abroad": version(2) });
    assert_eq!(outcome["list_versions"], expected);
    assert_eq!((&outcome["tier"], entry.outcome.tier), (&json!("full"), Tier::Full));
    // Of low risk, the lists are asked all the same.
    let mut cheap = transaction(1, &[("account", "acct-1")]);
    cheap.amount_minor = 400;
    let entry = scored(&mut state, &cheap, &policy);
    assert_eq!(
        (entry.outcome.tier, entry.outcome.decision),
        (Tier::LowRisk, Decision::Alert)
    );
    assert_eq!(rendered(&cheap, &entry)["list_versions"], expected);
    // Read again, and asked again when all lists are other ones.
    let mut again = History::decode(&state.encode()).unwrap();
    let other = self::policy().with_lists(|_| None);
    assert_eq!(rendered(&tx, &scored(&mut again, &tx, &other)), outcome);
}

#[test]
fn a_list_that_is_not_at_hand_is_told_and_its_rules_do_not_hold() {
    let policy = with_lists(false);
    let mut state = History::default();
    let tx = transaction(0, &[("ip", "192.0.2.99")]);
    let entry = scored(&mut state, &tx, &policy);
    // `!` does not make true what nobody knows.
    assert_eq!((names(&entry), entry.outcome.tier), (vec![], Tier::NoLists));
    let outcome = rendered(&tx, &entry);
    assert_eq!(outcome["tier"], "no_lists");
    assert_eq!(outcome["missing"], json!(["profile_absent", "list_unavailable:abroad"]));
    assert_eq!(outcome["list_versions"].as_object().unwrap().len(), 2);
    // A list of another kind than the policy declares is none.
    let ids = list(ListOf::Ids, &[("FR", None)]);
    let policy = policy.with_lists(|_| Some(Arc::clone(&ids)));
    let versions: Vec<bool> = policy
        .lists
        .reads()
        .all()
        .iter()
        .map(|read| read.version.is_some())
        .collect();
    assert_eq!(versions, [true, false, false]);
}

#[test]
fn the_version_of_lists_is_that_of_their_entries_and_ends() {
    let version = |entries: &[(&str, Option<i64>)]| list(ListOf::Ids, entries).version();
    let one = version(&[("a", None), ("b", Some(5))]);
    assert_eq!(one, version(&[("b", Some(5)), ("a", None)]));
    for other in [
        &[("a", None), ("b", Some(6))][..],
        &[("a", None), ("b", None)],
        &[("a", None)],
        &[("a", Some(5)), ("b", None)],
        &[],
    ] {
        assert_ne!(one, version(other), "{other:?}");
    }
    assert_ne!(list(ListOf::Ids, &[]).version(), list(ListOf::Countries, &[]).version());
}

#[test]
fn a_policy_that_declares_lists_wrongly_is_refused_with_line_and_column() {
    let problems = |more: &str| -> Vec<String> {
        let text = format!("{}{more}", POLICY.split("[[lists]]").next().unwrap());
        let problems = Policy::parse(&text, "p.toml").unwrap_err();
        problems.iter().map(ToString::to_string).collect()
    };
    let list = |name: &str, of: &str| format!("[[lists]]\nname = {name}\nof = {of}\n");
    for (more, expected) in [
        (
            list("\"Mules\"", "\"ids\""),
            "p.toml:11:8: expected lists.name to be 1 to 16",
        ),
        (
            list("\"mules\"", "\"id\""),
            "p.toml:12:6: expected lists.of to be one of \"ids\", \"countries\", \"addresses\"",
        ),
        (list("\"mules\"", "7"), "expected `lists.of` to be a string"),
        (
            list("\"a\"", "\"ids\"") + &list("\"a\"", "\"ids\""),
            "p.toml:14:8: the list `a` is declared twice",
        ),
        (
            (0..9).map(|at| list(&format!("\"l{at}\""), "\"ids\"")).collect(),
            "expected at most 8 lists, found 9",
        ),
        (
            "[[lists]]\nname = \"a\"\nof = \"ids\"\nfile = \"a.csv\"\n".to_owned(),
            "p.toml:13:1: unknown key `file` in [lists]",
        ),
        (
            list("\"a\"", "\"ids\"") + "overrides = \"alert\"\n",
            "p.toml:13:13: expected lists.overrides to be \"allow\" or \"block\", found \"alert\"",
        ),
        (
            list("\"a\"", "\"countries\"") + "overrides = \"block\"\n",
            "p.toml:13:13: a list that overrides the decisions of cards holds their ids",
        ),
        ("[lists]\na = 1\n".to_owned(), "expected `lists` to be a list"),
        (
            "[[rules]]\nname = \"r\"\nwhen = \"event.merchant_id in lists.mules\"\nthen = \"pass\"\nreason = \"r\"\n"
                .to_owned(),
            "p.toml:12:30: the rule `r`: the policy declares no list `mules`",
        ),
    ] {
        let found = problems(&more);
        assert!(
            found.iter().any(|problem| problem.contains(expected)),
            "{expected}: {found:#?}"
        );
    }
    assert_eq!(Policy::lists_named(POLICY).len(), 3);
    assert!(Policy::lists_named("lists = 7").is_empty() && Policy::lists_named("= broken").is_empty());
}

#[test]
fn a_difference_of_lists_is_told() {
    let before = policy();
    let text = POLICY.replace(
        "name = \"abroad\"\nof = \"countries\"",
        "name = \"abroad\"\nof = \"ids\"",
    );
    let text = text.replace(" && !(event.country in lists.abroad)", "");
    let after = Policy::parse(&text, "after.toml").unwrap();
    let found = diff(&before, &after);
    let of_list = found
        .iter()
        .find(|difference| difference.key == "lists.abroad")
        .unwrap();
    assert_eq!(of_list.effect, Effect::Scores);
    assert_eq!(of_list.after.as_deref(), Some("ids"));
    let text = POLICY.replace(
        "name = \"mules\"\nof = \"ids\"",
        "name = \"mules\"\nof = \"ids\"\noverrides = \"block\"",
    );
    let found = diff(&before, &Policy::parse(&text, "after.toml").unwrap());
    assert_eq!(found[0].key, "lists.mules.overrides");
    assert_eq!(found[0].after.as_deref(), Some("block"));
    // Which lists are at hand is no difference of policies.
    assert!(diff(&before, &with_lists(true)).is_empty());
}

/// Entries with none, one, the same, the same of another version, one that was not read, two, none again, and the first.
pub fn with_lists_of_every_kind() -> History {
    let reads = |reads: &[(&str, Option<u64>)]| {
        let read = |(name, version): &(&str, Option<u64>)| ListRead {
            name: KeyName::new(name).unwrap(),
            version: version.map(ListVersion),
        };
        ListReads::new(reads.iter().map(read).collect())
    };
    let sets: [&[(&str, Option<u64>)]; 8] = [
        &[],
        &[("mules", Some(0x0123_4567_89AB_CDEF))],
        &[("mules", Some(0x0123_4567_89AB_CDEF))],
        &[("mules", Some(1))],
        &[("mules", None)],
        &[("a_longer_name_16", Some(u64::MAX)), ("mules", Some(1))],
        &[],
        &[("mules", Some(0x0123_4567_89AB_CDEF))],
    ];
    let entries = (0_u64..).zip(sets).map(|(at, set)| {
        let mut entry = state_golden::entry(state_golden::TIME_MS + 10 * at as i64, at);
        entry.outcome.lists = reads(set);
        if at == 4 {
            entry.outcome.tier = Tier::NoLists;
        }
        entry
    });
    History::from_parts(entries.collect(), 8, None, None).unwrap()
}

fn golden(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "golden", name].iter().collect()
}

/// Version 7 of a hot card's state, and version 6 of the segments that it names: read and written like this for ever.
#[test]
#[allow(clippy::disallowed_methods)] // a switch for whoever runs the test, not configuration
fn golden_files_of_a_hot_card_with_lists_hold() {
    let policies = [false, true].map(|has_abroad| Policy {
        head_events_max: 24,
        ..with_lists(has_abroad)
    });
    let of = |number: u32| &policies[usize::from(number % 50 > 3)];
    let tx = |number: u32| {
        transaction(
            number,
            &[("account", if number.is_multiple_of(7) { "acct-1" } else { "acct-3" })],
        )
    };
    let (file, segments) = (golden("state-v7-hot.bin"), golden("segments-v6.bin"));
    if std::env::var("TIDEMARK_BLESS").is_ok_and(|value| value == "1") && !file.exists() {
        let mut state = History::default();
        for number in 0..150 {
            let _ = scored(&mut state, &tx(number), of(number));
        }
        std::fs::write(&file, state.encode()).unwrap();
        let written = state.new_segments().flat_map(|segment| {
            let length = u32::try_from(segment.bytes.len()).unwrap().to_le_bytes();
            length.into_iter().chain(segment.bytes.clone())
        });
        std::fs::write(&segments, written.collect::<Vec<u8>>()).unwrap();
    }
    let bytes = std::fs::read(file).unwrap();
    let mut state = History::decode(&bytes).unwrap();
    assert_eq!(
        (bytes[0], state.encode()),
        (7, bytes.clone()),
        "that is a new format version"
    );
    let all = std::fs::read(segments).unwrap();
    let (mut rest, mut versions) = (all.as_slice(), Vec::new());
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let (segment, tail) = tail.split_at(u32::from_le_bytes(*length) as usize);
        state.supply_segment(SegmentKey::of(segment), segment).unwrap();
        versions.push(segment[0]);
        rest = tail;
    }
    assert!(
        versions.contains(&6) && state.missing_segments().is_empty(),
        "{versions:?}"
    );
    let entries = state.all_entries();
    assert_eq!(entries.len(), 150);
    for (entry, number) in entries.iter().zip(0..) {
        assert_eq!(&entry.outcome.lists, of(number).lists.reads(), "event {number}");
        assert_eq!(
            names(entry).contains(&"mule"),
            number.is_multiple_of(7),
            "event {number}"
        );
    }
    let before = state.clone();
    let again = fold_transaction(&mut state, &tx(8), ProfileInput::Absent, of(8));
    assert!(matches!(again, FoldAnswer::Duplicate { .. }));
    assert_eq!(state, before);
}

/// A list of a million entries: its manifest's and its parts' bytes.
fn million(changed: bool) -> (Vec<u8>, Vec<(ListPartKey, Vec<u8>)>) {
    let note = Arc::new(ListNote {
        at_ms: TIME_MS,
        who: "ana".to_owned(),
        reason: "words".to_owned(),
    });
    let mut draft = ListDraft::new(ListOf::Ids);
    let numbers = if changed { 1..1_000_001 } else { 0..1_000_000 };
    for number in numbers {
        let value = format!("account-{number}");
        let entry = NewEntry {
            value,
            until_ms: None,
            reason: None,
        };
        draft.put(entry, &note).unwrap();
    }
    let change = draft.finish().unwrap();
    (change.manifest.encode(), change.parts)
}

/// What a function does with the bytes of a whole list, and with those of a list that differs in two entries.
#[test]
#[ignore = "a measurement"]
#[allow(clippy::print_stdout, clippy::disallowed_methods)]
fn lists_cost_of_a_million() {
    let (manifest, parts) = million(false);
    let bytes: usize = parts.iter().map(|(_, bytes)| bytes.len()).sum();
    let began = std::time::Instant::now();
    let read = tidemark_domain::lists::ListManifest::decode(ListPartKey::of(&manifest), &manifest).unwrap();
    let by_key: std::collections::HashMap<ListPartKey, Arc<ListPart>> = parts
        .iter()
        .map(|(key, bytes)| (*key, Arc::new(ListPart::decode(*key, ListOf::Ids, bytes).unwrap())))
        .collect();
    let whole = List::of_parts(
        &read,
        read.parts().map(|key| Arc::clone(&by_key[&key])).collect::<Vec<_>>(),
    )
    .unwrap();
    let whole_ms = began.elapsed().as_secs_f64() * 1e3;
    let (manifest, parts) = million(true);
    let new: Vec<&(ListPartKey, Vec<u8>)> = parts.iter().filter(|(key, _)| !by_key.contains_key(key)).collect();
    let new_bytes: usize = new.iter().map(|(_, bytes)| bytes.len()).sum();
    let began = std::time::Instant::now();
    let read = tidemark_domain::lists::ListManifest::decode(ListPartKey::of(&manifest), &manifest).unwrap();
    let more: std::collections::HashMap<ListPartKey, Arc<ListPart>> = new
        .iter()
        .map(|(key, bytes)| (*key, Arc::new(ListPart::decode(*key, ListOf::Ids, bytes).unwrap())))
        .collect();
    let part = |key| by_key.get(&key).or_else(|| more.get(&key)).map(Arc::clone).unwrap();
    let next = List::of_parts(&read, read.parts().map(part).collect::<Vec<_>>()).unwrap();
    let change_ms = began.elapsed().as_secs_f64() * 1e3;
    println!(
        "{} entries, {} parts, {bytes} bytes, manifest {} bytes: whole {whole_ms:.1} ms; {} parts of {new_bytes} bytes changed: {change_ms:.2} ms",
        whole.len(),
        parts.len(),
        manifest.len(),
        new.len(),
    );
    let began = std::time::Instant::now();
    let hits = (0..1_000_000)
        .filter(|number| next.holds(&format!("account-{}", number * 2), TIME_MS))
        .count();
    println!(
        "a million questions, {hits} of them held: {:.0} ms",
        began.elapsed().as_secs_f64() * 1e3
    );
}
