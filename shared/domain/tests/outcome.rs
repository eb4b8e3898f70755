//! The bytes of an outcome.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use proptest::prelude::*;
use serde_json::{Value, json};

use tidemark_domain::catalogue::{FeatureKey, FeatureKind};
use tidemark_domain::control::OverrideAction;
use tidemark_domain::event::{Country, Verdict};
use tidemark_domain::history::Entry;
use tidemark_domain::id::{CardId, EventId};
use tidemark_domain::outcome::{Decision, Missing, Reason, StoredOutcome, Tier};
use tidemark_domain::render::render_json;

fn entry() -> Entry {
    let key = |kind, window_minutes| FeatureKey {
        kind,
        window_minutes,
        of: None,
    };
    Entry {
        time_ms: 1_780_000_000_000,
        seq: 17,
        event_fp: 1,
        event_fp_high: None,
        amount_base_minor: 2,
        merchant_fp: 3,
        country: Country::new("FR").unwrap(),
        device_fp: None,
        device_fp_high: None,
        merchant_fp_high: None,
        links: Vec::new(),
        category: None,
        place: None,
        approved: true,
        outcome: StoredOutcome {
            score: 823,
            decision: Decision::Alert,
            tier: Tier::Full,
            missing: Missing(Missing::PROFILE_ABSENT | Missing::CURRENCY_RATE),
            reasons: vec![
                Reason {
                    key: key(FeatureKind::Count, 60),
                    share_pct: 60,
                },
                Reason {
                    key: key(FeatureKind::Speed, 0),
                    share_pct: 40,
                },
            ],
            policy_version: 5,
            profile_version: None,
            features: vec![
                (key(FeatureKind::Count, 60), Some(3.0)),
                (key(FeatureKind::Mean, 10_080), Some(0.1)),
                (key(FeatureKind::Sum, 5), Some(1e21)),
                (key(FeatureKind::AmountZ, 0), Some(-0.0)),
                (key(FeatureKind::Speed, 0), None),
            ],
            approximate: vec![
                (key(FeatureKind::DistinctMerchants, 1440), 12.0),
                (key(FeatureKind::NewMerchant, 0), 1.0),
            ],
            explained: false,
            keys: Vec::new(),
            model: None,
            rules: Vec::new(),
            lists: tidemark_domain::outcome::ListReads::NONE,
        },
        label: None,
    }
}

fn render(entry: &Entry) -> String {
    let bytes = render_json(
        &CardId::new("card-1").unwrap(),
        &EventId::new("event-1").unwrap(),
        entry,
    );
    String::from_utf8(bytes).unwrap()
}

#[test]
fn every_field_in_its_place() {
    let expected = concat!(
        r#"{"schema":"outcome","version":1,"event_id":"event-1","card_id":"card-1","occurred_at_ms":1780000000000,"#,
        r#""score":823,"decision":"alert","reasons":[{"code":"count_high","window":"1h","share_pct":60},"#,
        r#"{"code":"speed_high","share_pct":40}],"policy_version":5,"profile_version":null,"tier":"full","#,
        r#""state_version":17,"missing":["profile_absent","currency_rate"],"#,
        r#""approximate":{"distinct_merchants_1d":12.0,"new_merchant":1.0},"#,
        r#""features":{"count_1h":3.0,"mean_7d":0.1,"sum_5m":1e+21,"amount_z":-0.0,"speed":null}}"#,
    );
    assert_eq!(render(&entry()), expected);
}

#[test]
fn empty_parts_and_extreme_numbers() {
    let mut entry = entry();
    entry.time_ms = i64::MIN;
    entry.seq = u64::MAX;
    let outcome = &mut entry.outcome;
    (outcome.reasons, outcome.features, outcome.missing) = (Vec::new(), Vec::new(), Missing(0));
    outcome.approximate = Vec::new();
    (outcome.profile_version, outcome.tier) = (Some(u64::MAX), Tier::HistoryOnly);
    let value: Value = serde_json::from_str(&render(&entry)).unwrap();
    let expected = json!({
        "schema": "outcome", "version": 1, "event_id": "event-1", "card_id": "card-1", "occurred_at_ms": i64::MIN,
        "score": 823, "decision": "alert", "reasons": [], "policy_version": 5, "profile_version": u64::MAX,
        "tier": "history_only", "state_version": u64::MAX, "missing": [],
    });
    assert_eq!(value, expected);
}

#[test]
fn a_label_is_no_part_of_an_outcome() {
    let mut labelled = entry();
    labelled.label = Some((Verdict::Fraud, 9));
    assert_eq!(render(&labelled), render(&entry()));
}

proptest! {
    #[test]
    fn any_identifier_is_escaped_as_json_wants_it(text in "\\PC{1,30}|[\u{0}-\u{7f}]{1,60}") {
        prop_assume!(text.len() <= 128);
        let bytes = render_json(&CardId::new(&text).unwrap(), &EventId::new(&text).unwrap(), &entry());
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        prop_assert_eq!(value["event_id"].as_str(), Some(&*text));
        prop_assert_eq!(value["card_id"].as_str(), Some(&*text));
    }

    #[test]
    fn any_feature_value_reads_back_as_the_same_bits(bits in any::<u64>()) {
        let mut entry = entry();
        let number = f64::from_bits(bits);
        entry.outcome.features[0].1 = Some(number);
        let text = render(&entry);
        let (_, rest) = text.split_once(r#""count_1h":"#).unwrap();
        // The standard library reads the nearest double; serde_json's quick reader may be one off.
        let back = rest.split(',').next().unwrap().parse::<f64>().ok();
        prop_assert_eq!(back.map(f64::to_bits), number.is_finite().then_some(bits));
    }
}

#[test]
fn an_override_decides_and_is_the_first_reason_and_the_score_stays() {
    for (action, decision, code) in [
        (OverrideAction::Allow, "pass", "override_allow"),
        (OverrideAction::Block, "alert", "override_block"),
    ] {
        let mut entry = entry();
        let reason = entry.outcome.reasons[0];
        entry.outcome.reasons = vec![reason; 4];
        entry.outcome.override_by(action);
        assert_eq!(entry.outcome.override_action(), Some(action));
        let value: Value = serde_json::from_str(&render(&entry)).unwrap();
        assert_eq!((&value["decision"], &value["score"]), (&json!(decision), &json!(823)));
        assert_eq!(value["reasons"][0], json!({"code": code, "share_pct": 100}));
        assert_eq!(
            value["reasons"].as_array().unwrap().len(),
            4,
            "the schema allows no more"
        );
        assert_eq!(value["missing"], json!(["profile_absent", "currency_rate"]));
    }
}
