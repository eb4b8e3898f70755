//! Trees as a policy's model: what a policy says of them, and the score that comes of it.

use std::f64::consts::LN_2;
use std::sync::Arc;

use serde_json::{Value, json};
use tidemark_domain::catalogue::FeatureKey;
use tidemark_domain::control::diff::{Effect, diff};
use tidemark_domain::event::{Channel, Country, Currency, Links, Transaction};
use tidemark_domain::fold::{FoldAnswer, fold_transaction};
use tidemark_domain::history::{Entry, History};
use tidemark_domain::id::{CardId, EventId, MerchantId};
use tidemark_domain::model::{ProfileInput, points_score};
use tidemark_domain::outcome::StoredOutcome;
use tidemark_domain::policy::{NamedModel, Policy};
use tidemark_domain::render::render_json;
use tidemark_domain::trees::{TreeModel, TreeModelKey};

use super::hand_made::{Tree, document, stump};

const TIME_MS: i64 = 1_780_000_000_000;

/// ```text
///  count_1h < 2.5, missing: left        since_last < 90, missing: right
///  ├ −3    cover 30                     ├ 2     cover 10
///  └ 2     cover 10                     └ −1    cover 30
/// ```
fn model_of(names: [&str; 2]) -> (TreeModelKey, Arc<TreeModel>) {
    let by = |feature, threshold, leaves: [f32; 2], cover: [f32; 2], missing_left| Tree {
        feature: vec![feature, 0, 0],
        value: vec![threshold, leaves[0], leaves[1]],
        default_left: vec![missing_left, 0, 0],
        cover: vec![40.0, cover[0], cover[1]],
        ..stump()
    };
    let trees = [
        by(0, 2.5, [-3.0, 2.0], [30.0, 10.0], 1),
        by(1, 90.0, [2.0, -1.0], [10.0, 30.0], 0),
    ];
    let mut file = document(&trees);
    file["learner"]["feature_names"] = json!(names);
    let model = TreeModel::from_xgboost(file.to_string().as_bytes()).unwrap();
    (TreeModelKey::of(&model.encode()), Arc::new(model))
}

fn text(key: TreeModelKey, more: &str) -> String {
    format!(
        "version = 9\nwindows_minutes = [60, 1440]\nfeatures = [\"count_1h\", \"since_last\", \"count_1d\"]\n\
         [scoring]\nreasons_min_score = 1\n[thresholds]\nreview = 500\nalert = 600\n[trees]\nmodel = \"{key}\"\n{more}"
    )
}

fn parse_with(text: &str, found: &(TreeModelKey, Arc<TreeModel>)) -> Result<Policy, Vec<String>> {
    let models = |key| (key == found.0).then(|| Arc::clone(&found.1));
    let problems = Policy::parse_with(text, "trees.toml", &models);
    problems.map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

fn policy(more: &str) -> Policy {
    let found = model_of(["count_1h", "since_last"]);
    parse_with(&text(found.0, more), &found).unwrap()
}

fn transaction(number: i64, at_s: i64) -> Transaction {
    Transaction {
        event_id: EventId::new(&format!("event-{number}")).unwrap(),
        card_id: CardId::new("card").unwrap(),
        occurred_at_ms: TIME_MS + at_s * 1_000,
        amount_minor: 1_000,
        currency: Currency::new("EUR").unwrap(),
        merchant_id: MerchantId::new("merchant").unwrap(),
        mcc: 5411,
        country: Country::new("FR").unwrap(),
        channel: Channel::Ecommerce,
        approved: true,
        device_id: None,
        links: Links::NONE,
        account_opened_at_ms: None,
        place: None,
    }
}

fn entries(policy: &Policy, at_s: &[i64]) -> (History, Vec<Entry>) {
    let mut state = History::default();
    let entries = (0..).zip(at_s).map(|(number, at_s)| {
        match fold_transaction(&mut state, &transaction(number, *at_s), ProfileInput::Absent, policy) {
            FoldAnswer::Scored { entry } => *entry,
            other => panic!("{other:?}"),
        }
    });
    let entries = entries.collect();
    (state, entries)
}

fn reasons(outcome: &StoredOutcome) -> Vec<(String, u8)> {
    let reasons = outcome.reasons.iter();
    reasons
        .map(|reason| (reason.key.to_string(), reason.share_pct))
        .collect()
}

fn told(name: &str, share_pct: u8) -> (String, u8) {
    (name.to_owned(), share_pct)
}

#[test]
fn the_score_is_that_of_the_margin_and_the_reasons_are_what_raised_it() {
    let policy = policy("");
    // A first event has no time since the last one; the third is the third of an hour; the last one is late.
    let (_, entries) = entries(&policy, &[0, 60, 119, 300, 90_000]);
    let outcomes: Vec<&StoredOutcome> = entries.iter().map(|entry| &entry.outcome).collect();
    // Expectations are −1.75 and −0.25.
    for (outcome, margin, why) in [
        (outcomes[0], -4.0, vec![]),
        (outcomes[1], -1.0, vec![told("since_last", 100)]),
        (outcomes[2], 4.0, vec![told("count_1h", 63), told("since_last", 38)]),
        (outcomes[3], 1.0, vec![told("count_1h", 100)]),
        (outcomes[4], -4.0, vec![]),
    ] {
        assert_eq!(outcome.score, points_score(margin / LN_2), "{margin}");
        assert_eq!(reasons(outcome), why, "{margin}");
        assert_eq!(outcome.model, policy.trees.as_ref().map(|trees| trees.key));
    }
    assert_eq!(points_score(0.0), 500, "even odds, as for points");
}

#[test]
fn an_outcome_names_the_model_and_is_the_same_after_its_state_was_stored() {
    let policy = policy("");
    let (state, entries) = entries(&policy, &[0, 60, 119]);
    let key = policy.trees.as_ref().unwrap().key;
    let stored = History::decode(&state.encode()).unwrap();
    assert_eq!(stored, state);
    for (entry, kept) in entries.iter().zip(stored.entries()) {
        let render = |entry| render_json(&CardId::new("card").unwrap(), &EventId::new("event").unwrap(), entry);
        let bytes = render(entry);
        assert_eq!(bytes, render(kept));
        let outcome: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(outcome["model"], key.to_string());
    }
}

#[test]
fn an_event_of_low_risk_is_scored_with_what_is_left_of_the_features() {
    let policy = policy("[low_risk]\namount_max_minor = 5000\nfeatures = [\"count_1d\", \"since_last\"]\n");
    let (_, entries) = entries(&policy, &[0, 60, 119]);
    let outcome = &entries[2].outcome;
    // `count_1h` is not among them: to the model it is missing, which goes left.
    assert_eq!(outcome.score, points_score(-1.0 / LN_2));
    assert_eq!(reasons(outcome), [told("since_last", 100)]);
    assert!(outcome.model.is_some());
}

#[test]
fn a_policy_whose_model_is_not_what_it_says_is_refused() {
    let found = model_of(["count_1h", "since_last"]);
    let (key, whole) = (found.0, text(found.0, ""));
    let refused = |text: &str, found: &(TreeModelKey, Arc<TreeModel>)| parse_with(text, found).unwrap_err().join("\n");
    assert!(parse_with(&whole, &found).is_ok());

    // Not at hand: neither where nobody has models, nor where there are others.
    let without = Policy::parse(&whole, "trees.toml").unwrap_err();
    let words = format!("trees.toml:10:9: the model {key} is not at hand");
    assert!(without[0].to_string().starts_with(&words), "{without:?}");
    let other = model_of(["since_last", "count_1h"]);
    assert_ne!(other.0, key);
    assert!(refused(&whole, &other).contains("is not at hand"));

    // Features that there are not, and that the policy does not have: all of them are named.
    for (names, expected) in [
        (["moon_phase", "since_last"], vec!["unknown feature `moon_phase`"]),
        (
            ["count_7d", "terminal.fraud_run"],
            vec!["`count_7d` scores", "`terminal.fraud_run` scores"],
        ),
        (["count", "since_last"], vec!["this feature needs a window"]),
    ] {
        let model = model_of(names);
        let words = refused(&text(model.0, ""), &model);
        assert_eq!(words.lines().count(), expected.len(), "{words}");
        assert!(expected.iter().all(|expected| words.contains(expected)), "{words}");
    }

    for (from, to, expected) in [
        (key.to_string(), "ABC".to_owned(), "16 hexadecimal digits, found `ABC`"),
        (key.to_string(), key.to_string().to_uppercase(), "16 hexadecimal digits"),
        (
            "[trees]".to_owned(),
            "[trees]\nmodels = 1".to_owned(),
            "unknown key `models` in [trees]",
        ),
        (
            "[trees]".to_owned(),
            "[trees]\nfile = 1".to_owned(),
            "expected `trees.file` to be a string",
        ),
        ("model = ".to_owned(), "file = ".to_owned(), "`trees.model` is missing"),
    ] {
        let words = refused(&whole.replace(&from, &to), &found);
        assert!(words.contains(expected) && words.lines().count() == 1, "{to}: {words}");
    }
    let points =
        "[points]\nprior_bits = -8.0\n[[points.tables]]\nfeature = \"count_1h\"\nedges = [2.0]\nbits = [0.0, 1.0]\n";
    assert!(refused(&text(key, points), &found).contains("[points] and [trees] both say what the score is"));
}

#[test]
fn the_model_of_a_text_is_known_before_it_is_at_hand() {
    let key = TreeModelKey(0x0123_4567_89AB_CDEF);
    let named = |text: &str| Policy::model_named(text);
    let found = |file: Option<&str>| {
        let file = file.map(str::to_owned);
        Some(NamedModel { key, file })
    };
    assert_eq!(named(&text(key, "")), found(None));
    assert_eq!(named(&text(key, "file = \"m.json\"\n")), found(Some("m.json")));
    assert_eq!(named(&text(key, "file = \"\"\n")), found(None));
    for text in [
        "",
        "trees = 1",
        "[trees]",
        "[trees]\nmodel = 7",
        "[trees]\nmodel = \"x\"",
        "[[[",
        Policy::default_text(),
    ] {
        assert_eq!(named(text), None, "{text}");
    }
    let path = |file: &str, policy: &str| {
        let file = Some(file.to_owned());
        NamedModel { key, file }.path_from(policy.as_ref()).unwrap()
    };
    assert_eq!(
        path("m.json", "policies/trees.toml"),
        std::path::Path::new("policies/m.json")
    );
    assert_eq!(path("m.json", "trees.toml"), std::path::Path::new("m.json"));
    assert_eq!(
        path("/tmp/m.json", "policies/trees.toml"),
        std::path::Path::new("/tmp/m.json")
    );
}

#[test]
fn another_model_is_a_difference_of_scores() {
    let (one, other) = (
        model_of(["count_1h", "since_last"]),
        model_of(["since_last", "count_1h"]),
    );
    let [before, after] = [&one, &other].map(|found| parse_with(&text(found.0, ""), found).unwrap());
    let differences = diff(&before, &after);
    assert_eq!(differences.len(), 1);
    assert_eq!(
        (differences[0].key.as_str(), differences[0].effect),
        ("trees.model", Effect::Scores)
    );
    assert_eq!(differences[0].before, Some(one.0.to_string()));
    assert!(diff(&before, &before.clone()).is_empty());
}

#[test]
fn names_of_models_are_read_as_they_are_written() {
    for key in [0, 1, 0x0123_4567_89AB_CDEF, u64::MAX].map(TreeModelKey) {
        assert_eq!(TreeModelKey::from_name(&key.to_string()), Some(key));
    }
    for text in [
        "",
        "0",
        "0123456789abcdeg",
        "0123456789ABCDEF",
        "+123456789abcdef",
        "0123456789abcdef0",
    ] {
        assert_eq!(TreeModelKey::from_name(text), None, "{text}");
    }
}

#[test]
fn a_model_says_how_deep_it_is_and_what_splits() {
    let (_, model) = model_of(["count_1h", "since_last"]);
    assert_eq!((model.depth(), model.splits()), (1, vec![1, 1]));
    let deep = super::hand_made::model(&[super::hand_made::chain(5), super::hand_made::small_tree()]);
    assert_eq!((deep.depth(), deep.splits()), (5, vec![6, 1]));
    assert_eq!(super::hand_made::model(&[super::hand_made::leaf(1.0)]).depth(), 0);
    assert!(model.features().iter().all(|name| FeatureKey::parse(name).is_ok()));
}
