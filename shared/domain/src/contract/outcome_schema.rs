//! The shape of an outcome, for its JSON Schema. [`render_json`](crate::render::render_json) writes the bytes; a test
//! holds the two together.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::catalogue::FeatureKind;
use crate::id::ID_BYTES_MAX;
use crate::outcome::{
    Decision, KEYS_MAX, Missing, OUTCOME_VERSION, OverrideAction, POLICY_LISTS_MAX, REASONS_MAX, RULE_REASON_BYTES_MAX,
    RULES_MAX, RuleEnd, RuleHit, SCORE_MAX, Tier,
};

/// The name of a key.
const KEY_PATTERN: &str = "[a-z][a-z0-9_]{0,15}";

/// The name of a rule.
const RULE_PATTERN: &str = "^[a-z][a-z0-9_]{0,31}$";

/// An outcome, version 1.
#[derive(JsonSchema)]
#[schemars(
    title = "outcome, version 1",
    description = "What came out of a transaction. The same event always gives the same bytes."
)]
#[allow(dead_code)] // read by the derive only
pub(super) struct OutcomeV1 {
    #[schemars(schema_with = "name")]
    schema: String,
    #[schemars(schema_with = "version")]
    version: u32,
    /// The transaction's.
    #[schemars(length(min = 1, max = ID_BYTES_MAX))]
    event_id: String,
    /// The transaction's. Also the partition key of the record.
    #[schemars(length(min = 1, max = ID_BYTES_MAX))]
    card_id: String,
    /// Event time: milliseconds since 1970-01-01T00:00:00Z.
    occurred_at_ms: i64,
    /// How unusual the transaction is for its card.
    #[schemars(range(min = 0, max = SCORE_MAX))]
    score: u16,
    /// What to do, by the policy's thresholds and rules.
    #[schemars(schema_with = "decision")]
    decision: String,
    /// What made the score, the greatest share first.
    #[schemars(length(max = REASONS_MAX))]
    reasons: Vec<ReasonV1>,
    /// The policy that scored it.
    policy_version: u32,
    /// The model of the policy's trees: 16 hexadecimal digits. Only where the policy has trees.
    #[schemars(regex(pattern = "^[0-9a-f]{16}$"))]
    model: Option<String>,
    /// The profile that was used, `null` where none was.
    #[schemars(schema_with = "profile_version")]
    profile_version: Option<u64>,
    /// Which inputs served the score.
    #[schemars(schema_with = "tier")]
    tier: String,
    /// The number of events that the card had accepted before.
    state_version: u64,
    /// Of each key of the policy of which labels were known, how many. Only where there are any.
    #[schemars(schema_with = "key_versions", default, transform = without_default)]
    key_versions: Option<()>,
    /// Of each list that the policy declares and that could be read, what its content was: 16 hexadecimal digits. Only where there are any.
    #[schemars(schema_with = "list_versions", default, transform = without_default)]
    list_versions: Option<()>,
    /// Inputs that were missing or stale.
    #[schemars(schema_with = "missing")]
    missing: Vec<String>,
    /// The names of the policy's rules that said something, each list in the policy's order: those that held, those that held and
    /// only watch, and those whose arithmetic has no result. Only where there are any.
    #[schemars(schema_with = "rules", default, transform = without_default)]
    rules: Option<()>,
    /// Features whose value is an estimate, and how far off it may be (three standard errors, or 1 where it is not
    /// known whether something is new); only for a card with so many events that its history is kept as sums.
    #[schemars(schema_with = "approximate", default, transform = without_default)]
    approximate: Option<()>,
    /// Every feature's value, `null` where there is none; only if the policy asks for them.
    #[schemars(schema_with = "features", default, transform = without_default)]
    features: Option<()>,
}

/// A reason of a score.
#[derive(JsonSchema)]
#[schemars(rename = "Reason")]
#[allow(dead_code)] // read by the derive only
struct ReasonV1 {
    /// What was unusual; first of all, with a share of 100 each, an override that made the decision, and the rules that held.
    #[schemars(schema_with = "reason_code")]
    code: String,
    /// The rule, by its name in the policy; only with the code `rule`.
    #[schemars(regex(pattern = "^[a-z][a-z0-9_]{0,31}$"))]
    rule: Option<String>,
    /// The rule's own reason; only with the code `rule`.
    #[schemars(length(min = 1, max = RULE_REASON_BYTES_MAX))]
    reason: Option<String>,
    /// The key whose labelled history it was seen in, if it is not the card's own: a name of the policy.
    #[schemars(regex(pattern = "^[a-z][a-z0-9_]{0,15}$"))]
    key: Option<String>,
    /// The window it was seen in, if it has one: `5m`, `1h`, `7d`.
    #[schemars(regex(pattern = "^[1-9][0-9]*[mhd]$"))]
    window: Option<String>,
    /// Its share of the whole surprise, percent.
    #[schemars(range(min = 1, max = 100))]
    share_pct: u8,
}

fn name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"const": "outcome"})
}

fn version(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"const": OUTCOME_VERSION})
}

fn decision(_: &mut SchemaGenerator) -> Schema {
    let names = [Decision::Pass, Decision::Review, Decision::Alert].map(Decision::as_str);
    json_schema!({"type": "string", "enum": names})
}

fn tier(_: &mut SchemaGenerator) -> Schema {
    let names = Tier::ALL.map(Tier::as_str);
    json_schema!({"type": "string", "enum": names})
}

fn profile_version(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": ["integer", "null"], "minimum": 0})
}

fn missing(_: &mut SchemaGenerator) -> Schema {
    let names = Missing::NAMES.map(|(_, name)| name);
    let of_key = format!("^{}{KEY_PATTERN}$", Missing::KEY_UNAVAILABLE);
    let of_list = format!("^{}{KEY_PATTERN}$", Missing::LIST_UNAVAILABLE);
    let items = json_schema!({"anyOf": [
        {"type": "string", "enum": names},
        {"type": "string", "pattern": of_key},
        {"type": "string", "pattern": of_list}
    ]});
    json_schema!({"type": "array", "items": items, "uniqueItems": true})
}

fn list_versions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "propertyNames": {"pattern": format!("^{KEY_PATTERN}$")},
        "additionalProperties": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
        "maxProperties": POLICY_LISTS_MAX
    })
}

fn key_versions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "propertyNames": {"pattern": format!("^{KEY_PATTERN}$")},
        "additionalProperties": {"type": "integer", "minimum": 1},
        "maxProperties": KEYS_MAX
    })
}

fn rules(_: &mut SchemaGenerator) -> Schema {
    let list = || {
        json_schema!({
            "type": "array",
            "items": {"type": "string", "pattern": RULE_PATTERN},
            "minItems": 1,
            "maxItems": RULES_MAX,
            "uniqueItems": true
        })
    };
    let lists: serde_json::Map<String, serde_json::Value> = RuleEnd::LISTS
        .into_iter()
        .map(|name| (name.to_owned(), list().into()))
        .collect();
    json_schema!({"type": "object", "properties": lists, "additionalProperties": false, "minProperties": 1})
}

fn reason_code(_: &mut SchemaGenerator) -> Schema {
    let scored = FeatureKind::ALL.into_iter();
    let overrides = [OverrideAction::Allow, OverrideAction::Block].map(OverrideAction::reason_code);
    let codes = scored.map(FeatureKind::reason_code).chain(overrides);
    let codes: Vec<&str> = codes.chain([RuleHit::REASON_CODE]).collect();
    json_schema!({"type": "string", "enum": codes})
}

fn features(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "propertyNames": {"pattern": feature_names()},
        "additionalProperties": {"type": ["number", "null"]}
    })
}

fn approximate(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "propertyNames": {"pattern": feature_names()},
        "additionalProperties": {"type": "number", "exclusiveMinimum": 0}
    })
}

fn feature_names() -> String {
    let kinds: Vec<&str> = FeatureKind::ALL.into_iter().map(FeatureKind::name).collect();
    format!("^({KEY_PATTERN}\\.)?({})(_[1-9][0-9]*[mhd])?$", kinds.join("|"))
}

/// Takes out the default that a field gets which may be absent: absent, it has none.
fn without_default(schema: &mut Schema) {
    schema.remove("default");
}
