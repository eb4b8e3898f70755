//! Rules of a policy, over transactions: what they decide, what an outcome tells of them, and that it is told for ever.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

use tidemark_domain::control::OverrideAction;
use tidemark_domain::event::{Channel, Country, Currency, Links, Profile, Transaction};
use tidemark_domain::fold::{FoldAnswer, fold_overridden, fold_transaction};
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::history::{Entry, History};
use tidemark_domain::id::{CardId, EventId, MerchantId};
use tidemark_domain::model::{ProfileInput, score};
use tidemark_domain::outcome::{Decision, RuleEnd, RuleHit, RuleSays};
use tidemark_domain::policy::Policy;
use tidemark_domain::render::render_json;

use crate::state_golden;

const TIME_MS: i64 = 1_780_000_000_000;
const HOUR_MS: i64 = 3_600_000;

const POLICY: &str = r#"
version = 3
windows_minutes = [60, 1440]
features = ["count_1h", "amount_ratio", "card_age"]
[weights]
count_1h = 1
[thresholds]
review = 990
alert = 995
"#;

fn policy(rules: &[(&str, &str, &str)]) -> Policy {
    let rules = rules.iter().map(|(name, when, then)| {
        let (then, mode) = then.split_once(' ').unwrap_or((then, "enforce"));
        format!("[[rules]]\nname = '{name}'\nwhen = \"\"\"{when}\"\"\"\nthen = '{then}'\nmode = '{mode}'\nreason = 'Because of {name}'\n")
    });
    let text = format!("{POLICY}{}", rules.collect::<String>());
    Policy::parse(&text, "rules.toml").unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn transaction(number: u32, amount_minor: u64) -> Transaction {
    Transaction {
        event_id: EventId::new(&format!("event-{number}")).unwrap(),
        card_id: CardId::new("card").unwrap(),
        occurred_at_ms: TIME_MS + i64::from(number) * HOUR_MS / 2,
        amount_minor,
        currency: Currency::new("EUR").unwrap(),
        merchant_id: MerchantId::new("gift-cards").unwrap(),
        mcc: 5947,
        country: Country::new("FR").unwrap(),
        channel: Channel::Ecommerce,
        approved: true,
        device_id: None,
        links: Links::NONE,
        account_opened_at_ms: Some(TIME_MS - 3 * 24 * HOUR_MS),
        place: None,
    }
}

fn scored(state: &mut History, tx: &Transaction, policy: &Policy) -> Box<Entry> {
    match fold_transaction(state, tx, ProfileInput::Absent, policy) {
        FoldAnswer::Scored { entry } => entry,
        other => panic!("{other:?}"),
    }
}

fn rendered(tx: &Transaction, entry: &Entry) -> Value {
    serde_json::from_slice(&render_json(&tx.card_id, &tx.event_id, entry)).unwrap()
}

#[test]
fn a_rule_that_holds_decides_and_is_told_first_with_its_words() {
    let policy = policy(&[
        (
            "gift_cards",
            "event.mcc == 5947 && event.amount_base_minor > 20000 && features.card_age < 7",
            "alert",
        ),
        ("watched", "event.amount_base_minor > 100", "review observe"),
        ("broken", "event.amount_base_minor / (score - score) > 1", "pass"),
        ("later", "event.country == 'FR' && event.amount_minor > 20000", "review"),
    ]);
    let mut state = History::default();
    let (cheap, dear) = (transaction(0, 100), transaction(1, 25_000));
    let outcome = rendered(&cheap, &scored(&mut state, &cheap, &policy));
    assert_eq!(
        (&outcome["decision"], &outcome["reasons"]),
        (&json!("pass"), &json!([]))
    );
    assert_eq!(outcome["rules"], json!({"undefined": ["broken"]}));
    let entry = scored(&mut state, &dear, &policy);
    let outcome = rendered(&dear, &entry);
    assert_eq!(outcome["decision"], "alert");
    assert_eq!(
        outcome["reasons"],
        json!([
            {"code": "rule", "rule": "gift_cards", "reason": "Because of gift_cards", "share_pct": 100},
            {"code": "rule", "rule": "later", "reason": "Because of later", "share_pct": 100},
        ])
    );
    assert_eq!(
        outcome["rules"],
        json!({"held": ["gift_cards", "later"], "observed": ["watched"], "undefined": ["broken"]})
    );
    // From its bytes, and when it comes again under a policy that knows none of these rules: the same.
    let mut stored = History::decode(&state.encode()).unwrap();
    let again = fold_transaction(&mut stored, &dear, ProfileInput::Absent, &Policy::default_policy());
    let FoldAnswer::Duplicate { entry: kept } = again else {
        panic!("{again:?}")
    };
    assert_eq!(
        render_json(&dear.card_id, &dear.event_id, &kept),
        render_json(&dear.card_id, &dear.event_id, &entry)
    );
}

#[test]
fn the_first_rule_that_holds_decides_and_only_pass_is_more_lenient_than_the_score() {
    let decided = |rules: &[(&str, &str, &str)], thresholds: (u16, u16)| {
        let mut policy = policy(rules);
        (policy.thresholds.review, policy.thresholds.alert) = thresholds;
        let tx = transaction(0, 5_000);
        rendered(&tx, &scored(&mut History::default(), &tx, &policy))["decision"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (never, always) = ((999, 1_000), (0, 0));
    assert_eq!(
        decided(&[("a", "true", "review"), ("b", "true", "alert")], never),
        "review"
    );
    assert_eq!(
        decided(&[("a", "false", "review"), ("b", "true", "alert")], never),
        "alert"
    );
    assert_eq!(decided(&[("a", "true", "review")], always), "alert");
    assert_eq!(
        decided(&[("a", "true", "pass"), ("b", "true", "alert")], always),
        "pass"
    );
    assert_eq!(decided(&[("a", "true", "pass observe")], always), "alert");
    assert_eq!(
        decided(&[("a", "true", "alert observe"), ("b", "true", "review")], never),
        "review"
    );
}

#[test]
fn an_override_is_above_all_rules_and_they_are_told_behind_it() {
    let policy = policy(&[("a", "true", "alert"), ("b", "true", "review")]);
    let tx = transaction(0, 5_000);
    let mut state = History::default();
    let applied = fold_overridden(
        &mut state,
        &tx,
        ProfileInput::Absent,
        &policy,
        Some(OverrideAction::Allow),
    );
    let FoldAnswer::Scored { entry } = applied else {
        panic!("{applied:?}")
    };
    let outcome = rendered(&tx, &entry);
    assert_eq!(outcome["decision"], "pass");
    let codes: Vec<&Value> = outcome["reasons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reason| &reason["code"])
        .collect();
    assert_eq!(codes, ["override_allow", "rule", "rule"]);
    assert_eq!(outcome["rules"], json!({"held": ["a", "b"]}));
}

#[test]
fn no_more_reasons_are_told_than_an_outcome_may_have() {
    let rules: Vec<(String, &str, &str)> = (0..6).map(|at| (format!("r{at}"), "true", "alert")).collect();
    let rules: Vec<(&str, &str, &str)> = rules
        .iter()
        .map(|(name, when, then)| (name.as_str(), *when, *then))
        .collect();
    let tx = transaction(0, 5_000);
    let outcome = rendered(&tx, &scored(&mut History::default(), &tx, &policy(&rules)));
    let names: Vec<&Value> = outcome["reasons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reason| &reason["rule"])
        .collect();
    assert_eq!(names, ["r0", "r1", "r2", "r3"]);
    assert_eq!(outcome["rules"]["held"], json!(["r0", "r1", "r2", "r3", "r4", "r5"]));
}

#[test]
fn rules_see_the_profile_and_the_history_as_of_the_event() {
    let policy = policy(&[
        ("abroad", "event.country != profile.usual_country", "review"),
        ("unknown", "!has(profile.usual_country)", "review observe"),
        ("many", "features.count_1h >= 3", "alert observe"),
        ("dear", "features.amount_ratio > 3.5", "alert observe"),
    ]);
    let profile = Profile {
        card_id: CardId::new("card").unwrap(),
        version: 4,
        usual_country: Country::new("DE").unwrap(),
        spend_mean_minor: 1.0,
        spend_deviation_minor: 1.0,
        transactions_per_day: 1.0,
        account_opened_at_ms: 0,
        updated_at_ms: None,
    };
    let tx = transaction(0, 100);
    let known = fold_transaction(&mut History::default(), &tx, ProfileInput::Known(&profile), &policy);
    let FoldAnswer::Scored { entry } = known else {
        panic!("{known:?}")
    };
    assert_eq!(rendered(&tx, &entry)["rules"], json!({"held": ["abroad"]}));
    let mut state = History::default();
    for number in 0..6 {
        let tx = transaction(number, 100);
        let outcome = rendered(&tx, &scored(&mut state, &tx, &policy));
        assert_eq!(outcome["rules"], json!({"observed": ["unknown"]}), "event {number}");
    }
    let mut tx = transaction(6, 400);
    tx.occurred_at_ms = transaction(5, 1).occurred_at_ms + 1;
    let outcome = rendered(&tx, &scored(&mut state, &tx, &policy));
    assert_eq!(outcome["rules"], json!({"observed": ["unknown", "many", "dear"]}));
}

/// Cards that no rule says anything of cost what they cost before.
#[test]
fn an_event_of_which_no_rule_says_anything_has_the_bytes_that_it_had_without_rules() {
    let (with, without) = (
        policy(&[("a", "score > 999", "alert"), ("b", "has(event.device_id)", "pass")]),
        policy(&[]),
    );
    let (mut one, mut other) = (History::default(), History::default());
    for number in 0..10 {
        let tx = transaction(number, 100 + u64::from(number));
        let (a, b) = (scored(&mut one, &tx, &with), scored(&mut other, &tx, &without));
        assert_eq!(
            render_json(&tx.card_id, &tx.event_id, &a),
            render_json(&tx.card_id, &tx.event_id, &b)
        );
    }
    assert_eq!(one.encode(), other.encode());
}

/// Scores the same event again and again, on a card with a day of history; the number of rules that held.
fn cost(rules: usize, when: impl Fn(usize) -> String) -> usize {
    const EVENTS: usize = 20_000;
    let rules: Vec<(String, String)> = (0..rules).map(|at| (format!("r{at}"), when(at))).collect();
    let rules: Vec<(&str, &str, &str)> = rules
        .iter()
        .map(|(name, when)| (name.as_str(), when.as_str(), "alert"))
        .collect();
    let policy = policy(&rules);
    let mut state = History::default();
    for number in 0..40 {
        let _ = scored(&mut state, &transaction(number, 1_000 + u64::from(number)), &policy);
    }
    let tx = transaction(40, 25_000);
    let held = (0..EVENTS).map(|_| score(&state, &tx, ProfileInput::Absent, &policy).rules.len());
    held.sum::<usize>() / EVENTS
}

/// Like "gift cards over 200 on cards younger than seven days": half of them fail by the first comparison, the others by the second or the
/// third, and one holds.
fn of_three(at: usize) -> String {
    let mcc = if at.is_multiple_of(2) { 5_947 } else { 5_900 + at };
    let days = if at == 4 { 7 } else { 2 };
    format!(
        "event.mcc == {mcc} && event.amount_base_minor > {} && features.card_age < {days}",
        15_000 + 400 * at
    )
}

fn of_five(at: usize) -> String {
    format!(
        "event.mcc == {} && event.amount_base_minor > {} && features.card_age < 7 || event.country in ['US', 'GB'] && score > {}",
        5_900 + at,
        20_000 + at,
        500 + at
    )
}

/// Under `valgrind --tool=callgrind`: the difference to `rules_cost_of_none`, over 20,000 events, is what 50 rules take.
#[test]
#[ignore = "a measurement"]
fn rules_cost_of_fifty() {
    assert_eq!(cost(50, of_three), 1);
}

#[test]
#[ignore = "a measurement"]
fn rules_cost_of_fifty_long() {
    assert_eq!(cost(50, of_five), 1);
}

#[test]
#[ignore = "a measurement"]
fn rules_cost_of_none() {
    assert_eq!(cost(0, of_three), 0);
}

/// Entries of which rules said something: one, the same once more, several, with every end, and words that change.
pub fn with_rules() -> History {
    let hit = |name: &str, reason: &str, end: RuleEnd| RuleHit {
        says: Arc::new(RuleSays::new(name, reason).unwrap()),
        end,
    };
    let gift_cards = |end| hit("gift_cards", "Gift cards over 200 € on a young card", end);
    let all = RuleEnd::ALL.into_iter().zip('a'..);
    let all = all.map(|(end, name)| hit(&format!("{name}_{}", "9".repeat(30)), "words", end));
    let said = [
        Vec::new(),
        vec![gift_cards(RuleEnd::Held(Decision::Alert))],
        vec![gift_cards(RuleEnd::Observed(Decision::Alert))],
        all.collect(),
        vec![hit("gift_cards", "Other words", RuleEnd::Undefined)],
    ];
    let entries = (0_u64..).zip(said).map(|(at, rules)| {
        let mut entry = state_golden::entry(state_golden::TIME_MS + 10 * at as i64, at);
        entry.outcome.rules = rules;
        entry.category = (at == 3).then_some(5_947);
        entry
    });
    History::from_parts(entries.collect(), 5, None, None).unwrap()
}

fn golden(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "golden", name].iter().collect()
}

/// Version 6 of a hot card's state, and version 5 of the segments that it names: read and written like this for ever.
#[test]
#[allow(clippy::disallowed_methods)] // a switch for whoever runs the test, not configuration
fn golden_files_of_a_hot_card_with_rules_hold() {
    let rules = [
        ("dear", "event.amount_minor % 7 == 0", "alert"),
        ("watched", "event.amount_minor % 5 == 0", "review observe"),
    ];
    let policy = Policy {
        head_events_max: 24,
        ..policy(&rules)
    };
    let tx = |number: u32| transaction(number, u64::from(number) + 1);
    let (file, segments) = (golden("state-v6-hot.bin"), golden("segments-v5.bin"));
    if std::env::var("TIDEMARK_BLESS").is_ok_and(|value| value == "1") && !file.exists() {
        let mut state = History::default();
        for number in 0..150 {
            let _ = scored(&mut state, &tx(number), &policy);
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
        (6, bytes.clone()),
        "that is a new format version"
    );
    let all = std::fs::read(segments).unwrap();
    let mut rest = all.as_slice();
    let mut versions = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let (segment, tail) = tail.split_at(u32::from_le_bytes(*length) as usize);
        state.supply_segment(SegmentKey::of(segment), segment).unwrap();
        versions.push(segment[0]);
        rest = tail;
    }
    assert!(
        versions.contains(&5) && state.missing_segments().is_empty(),
        "{versions:?}"
    );
    let entries = state.all_entries();
    assert_eq!(entries.len(), 150);
    for entry in entries {
        let amount = entry.seq + 1;
        let names: Vec<&str> = entry.outcome.rules.iter().map(|hit| hit.says.name()).collect();
        let expected = [(7, "dear"), (5, "watched")]
            .into_iter()
            .filter(|(of, _)| amount % of == 0);
        assert_eq!(
            names,
            expected.map(|(_, name)| name).collect::<Vec<_>>(),
            "event {}",
            entry.seq
        );
    }
    let before = state.clone();
    let again = fold_transaction(&mut state, &tx(8), ProfileInput::Absent, &policy);
    assert!(matches!(again, FoldAnswer::Duplicate { .. }));
    assert_eq!(state, before);
}
