//! The JSON Schemas in `events/schemas`: generated from the wire types, and in step with the decoder.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use tidemark_domain::catalogue::{FeatureKey, FeatureKind, KeyName, Subject};
use tidemark_domain::contract::{Bounds, MCC_MAX, schemas};
use tidemark_domain::control::OverrideAction;
use tidemark_domain::event::{Channel, Country, Currency};
use tidemark_domain::history::Entry;
use tidemark_domain::id::{CardId, EventId, ID_BYTES_MAX};
use tidemark_domain::lists::ListVersion;
use tidemark_domain::outcome::{
    Decision, KeyRead, ListRead, ListReads, Missing, Reason, RuleEnd, RuleHit, RuleSays, StoredOutcome, Tier,
};
use tidemark_domain::refusal::RefusalCode;
use tidemark_domain::render::render_json;
use tidemark_domain::trees::TreeModelKey;

use super::payload::{Payload, code_of, read};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../events/schemas")
}

fn schema(name: &str) -> Value {
    schemas().into_iter().find(|(known, _)| *known == name).unwrap().1
}

#[test]
#[allow(clippy::disallowed_methods)] // asks for writing the files anew
fn the_files_are_what_the_types_give() {
    for (name, schema) in schemas() {
        let path = folder().join(name);
        if std::env::var("TIDEMARK_BLESS").is_ok_and(|value| value == "1") {
            std::fs::create_dir_all(folder()).unwrap();
            std::fs::write(&path, serde_json::to_string_pretty(&schema).unwrap() + "\n").unwrap();
        } else {
            // As values: whether serde_json keeps the order of keys depends on what else is built with it.
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            let found: Value = serde_json::from_str(&found).unwrap_or_default();
            assert_eq!(
                found, schema,
                "events/schemas/{name} has drifted: TIDEMARK_BLESS=1 writes it anew"
            );
        }
    }
}

/// What a schema requires, decoding requires; what it does not know, decoding counts as unknown.
#[test]
fn schemas_and_decoder_agree_on_fields() {
    for (name, payload) in Payload::all() {
        let schema = schema(name);
        let properties: BTreeSet<String> = schema["properties"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(properties, payload.names().into_iter().collect(), "{name}");
        assert_eq!(read(&payload.bytes()).unwrap().unknown_fields, 0, "{name}");
        let required: Vec<&str> = schema["required"]
            .as_array()
            .unwrap()
            .iter()
            .map(|field| field.as_str().unwrap())
            .collect();
        for field in properties.iter().map(String::as_str) {
            let code = code_of(&payload.clone().drop(field).bytes());
            // Alone, latitude and longitude each miss the other; the schema says so in `dependentRequired`.
            let expected = required.contains(&field) || schema["dependentRequired"].get(field).is_some();
            assert_eq!(code == Some(RefusalCode::MissingField), expected, "{name}: {field}");
        }
    }
}

#[test]
fn schemas_state_the_limits_of_the_decoder() {
    let transaction = schema("transaction.v2.json");
    let of = |field: &str, key: &str| transaction["properties"][field][key].clone();
    assert_eq!(of("schema", "const"), "transaction");
    assert_eq!(of("version", "const"), 2);
    assert_eq!(of("event_id", "maxLength"), ID_BYTES_MAX);
    assert_eq!(of("event_id", "minLength"), 1);
    assert_eq!(of("amount_minor", "minimum"), 1);
    assert_eq!(of("amount_minor", "maximum"), Bounds::default().amount_minor_max);
    assert_eq!(of("mcc", "maximum"), MCC_MAX);
    assert_eq!(of("latitude", "minimum"), -90);
    assert_eq!(of("longitude", "maximum"), 180);
    assert_eq!(
        of("currency", "enum").as_array().unwrap().len(),
        Currency::all().count()
    );
    assert_eq!(of("country", "enum").as_array().unwrap().len(), Country::all().count());
    let text = transaction.to_string();
    for channel in Channel::ALL {
        assert!(text.contains(&format!("\"{}\"", channel.as_str())), "{channel:?}");
        assert_eq!(serde_json::to_value(channel).unwrap(), channel.as_str());
    }
}

/// Renders an outcome with one reason and one feature.
fn outcome(kind: FeatureKind, features: bool) -> Value {
    let window_minutes = if kind.is_windowed() { 60 } else { 0 };
    let key = match kind.subject() {
        Subject::Card => FeatureKey::new(kind, window_minutes),
        _ => FeatureKey::of_key(KeyName::new("terminal").unwrap(), kind, window_minutes),
    };
    let entry = Entry {
        time_ms: 1_795_348_799_000,
        seq: 7,
        event_fp: 1,
        event_fp_high: None,
        amount_base_minor: 1250,
        merchant_fp: 2,
        country: Country::new("FR").unwrap(),
        device_fp: None,
        device_fp_high: None,
        merchant_fp_high: None,
        links: Vec::new(),
        category: None,
        place: None,
        approved: true,
        outcome: StoredOutcome {
            score: 700,
            decision: Decision::Alert,
            tier: Tier::NoProfile,
            missing: Missing(!Missing::OVERRIDDEN),
            reasons: vec![Reason { key, share_pct: 100 }],
            policy_version: 1,
            profile_version: None,
            features: if features { vec![(key, Some(0.5))] } else { Vec::new() },
            approximate: if features { vec![(key, 1.0)] } else { Vec::new() },
            explained: false,
            keys: if features {
                let read = |name, version| KeyRead {
                    name: KeyName::new(name).unwrap(),
                    version,
                };
                vec![read("terminal", Some(3)), read("device", None)]
            } else {
                Vec::new()
            },
            model: features.then_some(TreeModelKey(0x12_3456_789A_BCDE)),
            rules: if features {
                let hit = |end: RuleEnd| RuleHit {
                    says: Arc::new(RuleSays::new(RuleEnd::LISTS[end.list()], "words").unwrap()),
                    end,
                };
                let ends = [
                    RuleEnd::Observed(Decision::Review),
                    RuleEnd::Undefined,
                    RuleEnd::Held(Decision::Alert),
                ];
                ends.map(hit).to_vec()
            } else {
                Vec::new()
            },
            lists: if features {
                let read = |name, version| ListRead {
                    name: KeyName::new(name).unwrap(),
                    version,
                };
                ListReads::new(vec![read("mules", Some(ListVersion(7))), read("networks", None)])
            } else {
                ListReads::NONE
            },
        },
        label: None,
    };
    let bytes = render_json(&CardId::new("card").unwrap(), &EventId::new("event").unwrap(), &entry);
    serde_json::from_slice(&bytes).unwrap()
}

fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

fn strings(list: &Value) -> BTreeSet<&str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|item| item.as_str().unwrap())
        .collect()
}

#[test]
fn the_schema_of_outcomes_has_what_is_written() {
    let schema = schema("outcome.v1.json");
    let properties = &schema["properties"];
    let whole = outcome(FeatureKind::Count, true);
    assert_eq!(keys(properties), keys(&whole));
    let plain = outcome(FeatureKind::Count, false);
    assert_eq!(strings(&schema["required"]), keys(&plain));
    let missing = &properties["missing"]["items"]["anyOf"];
    let (of_names, inputs): (BTreeSet<_>, BTreeSet<_>) = strings(&whole["missing"])
        .into_iter()
        .partition(|name| name.contains("_unavailable:"));
    assert_eq!(strings(&missing[0]["enum"]), inputs);
    assert_eq!(
        of_names.into_iter().collect::<Vec<_>>(),
        ["key_unavailable:device", "list_unavailable:networks"]
    );
    assert_eq!(missing[2]["pattern"], "^list_unavailable:[a-z][a-z0-9_]{0,15}$");
    assert_eq!(whole["list_versions"], serde_json::json!({"mules": "0000000000000007"}));
    assert_eq!(missing[1]["pattern"], "^key_unavailable:[a-z][a-z0-9_]{0,15}$");
    assert_eq!(whole["key_versions"], serde_json::json!({"terminal": 3}));
    for (field, key) in [("schema", "const"), ("version", "const")] {
        assert_eq!(properties[field][key], whole[field], "{field}");
    }
    for field in ["decision", "tier"] {
        assert!(
            strings(&properties[field]["enum"]).contains(whole[field].as_str().unwrap()),
            "{field}"
        );
    }
    let lists = &properties["rules"]["properties"];
    assert_eq!(keys(lists), keys(&whole["rules"]));
    for list in RuleEnd::LISTS {
        // The rule has the name of its list.
        assert_eq!(whole["rules"][list], serde_json::json!([list]));
    }
    let reason = &schema["$defs"]["Reason"]["properties"];
    assert_eq!(
        whole["reasons"][0],
        serde_json::json!({"code": "rule", "rule": "held", "reason": "words", "share_pct": 100})
    );
    assert!(strings(&reason["code"]["enum"]).contains("rule"));
    assert!(keys(reason).is_superset(&keys(&whole["reasons"][0])));
    for kind in FeatureKind::ALL {
        let written = outcome(kind, true);
        let written_reason = &written["reasons"][1];
        assert!(strings(&reason["code"]["enum"]).contains(written_reason["code"].as_str().unwrap()));
        assert!(keys(reason).is_superset(&keys(written_reason)));
    }
    for action in [OverrideAction::Allow, OverrideAction::Block] {
        assert!(strings(&reason["code"]["enum"]).contains(action.reason_code()));
    }
}
