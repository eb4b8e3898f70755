//! Events as they are on the wire: what producers write, and what the JSON Schemas are made from.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use crate::event::{Channel, Country, Currency, Event, LINKS_MAX, Label, Links, Profile, Transaction, Verdict};
use crate::id::{DeviceId, ID_BYTES_MAX, MerchantId};

use super::bounds::{
    Bounds, MCC_MAX, PLACE_SCALE, SPEND_MINOR_MAX, TIME_MS_END, TIME_MS_START, TRANSACTIONS_PER_DAY_MAX, label_v,
    profile_v, transaction_v,
};
use super::outcome_schema::OutcomeV1;

/// What an id may hold, as JSON Schema says it: [`is_id_character`](crate::id::is_id_character).
const ID_PATTERN: &str = r"^[^\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]*$";

/// The names of links: [`KeyName`](crate::catalogue::KeyName).
const LINK_NAME_PATTERN: &str = "^[a-z][a-z0-9_]{0,15}$";

/// A transaction, version 1.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(
    title = "transaction, version 1",
    description = "A card transaction without device and place."
)]
struct TransactionV1<'a> {
    #[schemars(schema_with = "transaction_name")]
    schema: &'a str,
    #[schemars(schema_with = "version_1")]
    version: u32,
    #[serde(flatten)]
    core: TransactionCore<'a>,
}

/// A transaction, version 2.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(
    title = "transaction, version 2",
    description = "A card transaction. `latitude` and `longitude` come together or not at all.",
    extend("dependentRequired" = {"latitude": ["longitude"], "longitude": ["latitude"]})
)]
struct TransactionV2<'a> {
    #[schemars(schema_with = "transaction_name")]
    schema: &'a str,
    #[schemars(schema_with = "version_2")]
    version: u32,
    #[serde(flatten)]
    core: TransactionCore<'a>,
    /// The device that the customer used, 1 to 128 bytes of UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = ID_BYTES_MAX), extend("pattern" = ID_PATTERN))]
    device_id: Option<&'a str>,
    /// Degrees north.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -90, max = 90))]
    latitude: Option<f64>,
    /// Degrees east.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -180, max = 180))]
    longitude: Option<f64>,
}

/// A transaction, version 3.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(
    title = "transaction, version 3",
    description = "A card transaction. `latitude` and `longitude` come together or not at all.",
    extend("dependentRequired" = {"latitude": ["longitude"], "longitude": ["latitude"]})
)]
struct TransactionV3<'a> {
    #[schemars(schema_with = "transaction_name")]
    schema: &'a str,
    #[schemars(schema_with = "version_3")]
    version: u32,
    #[serde(flatten)]
    core: TransactionCore<'a>,
    /// The device that the customer used, 1 to 128 bytes of UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = ID_BYTES_MAX), extend("pattern" = ID_PATTERN))]
    device_id: Option<&'a str>,
    /// Degrees north.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -90, max = 90))]
    latitude: Option<f64>,
    /// Degrees east.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -180, max = 180))]
    longitude: Option<f64>,
    /// Further ids by names that the policy knows, at most 8.
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<LinksMember<'a>>,
    /// When the card's account was opened: milliseconds since 1970-01-01T00:00:00Z.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = TIME_MS_START), extend("exclusiveMaximum" = TIME_MS_END))]
    account_opened_at_ms: Option<i64>,
}

/// What all versions of a transaction have.
#[derive(Debug, Serialize, JsonSchema)]
struct TransactionCore<'a> {
    /// Names the event for ever, 1 to 128 bytes of UTF-8: a second one with the same name and time is a duplicate.
    #[schemars(length(min = 1, max = ID_BYTES_MAX), extend("pattern" = ID_PATTERN))]
    event_id: &'a str,
    /// The card's token, 1 to 128 bytes of UTF-8; never a card number. Also the partition key of the record.
    #[schemars(length(min = 1, max = ID_BYTES_MAX), extend("pattern" = ID_PATTERN))]
    card_id: &'a str,
    /// Event time: milliseconds since 1970-01-01T00:00:00Z.
    #[schemars(schema_with = "time")]
    occurred_at_ms: i64,
    /// The amount in minor units of the currency. The upper limit is the policy's; this is the built-in one.
    #[schemars(range(min = 1, max = AMOUNT_MINOR_MAX))]
    amount_minor: u64,
    /// ISO 4217, a currency with a minor unit.
    #[schemars(schema_with = "currency")]
    currency: &'a str,
    /// Where the money went, 1 to 128 bytes of UTF-8.
    #[schemars(length(min = 1, max = ID_BYTES_MAX), extend("pattern" = ID_PATTERN))]
    merchant_id: &'a str,
    /// ISO 18245 merchant category code.
    #[schemars(range(min = 0, max = MCC_MAX))]
    mcc: u16,
    /// Where the merchant is, ISO 3166-1 alpha-2.
    #[schemars(schema_with = "country")]
    country: &'a str,
    /// How the card was used.
    channel: Channel,
    /// Whether the issuer approved it.
    approved: bool,
}

/// A profile, version 1.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(
    title = "profile, version 1",
    description = "What is known of a card. A newer profile_version replaces an older one."
)]
struct ProfileV1<'a> {
    #[schemars(schema_with = "profile_name")]
    schema: &'a str,
    #[schemars(schema_with = "version_1")]
    version: u32,
    /// The card's token, 1 to 128 bytes of UTF-8; never a card number. Also the partition key of the record.
    #[schemars(length(min = 1, max = ID_BYTES_MAX), extend("pattern" = ID_PATTERN))]
    card_id: &'a str,
    /// Grows with each change; the newest wins.
    profile_version: u64,
    /// Where the card is usually used, ISO 3166-1 alpha-2.
    #[schemars(schema_with = "country")]
    usual_country: &'a str,
    /// Mean amount of a transaction, in minor units of the policy's base currency.
    #[schemars(range(min = 0, max = SPEND_MINOR_MAX))]
    spend_mean_minor: f64,
    /// Standard deviation of that amount, same unit.
    #[schemars(range(min = 0, max = SPEND_MINOR_MAX))]
    spend_deviation_minor: f64,
    /// Usual number of transactions a day.
    #[schemars(range(min = 0, max = TRANSACTIONS_PER_DAY_MAX))]
    transactions_per_day: f64,
    /// When the account was opened: milliseconds since 1970-01-01T00:00:00Z.
    #[schemars(schema_with = "time")]
    account_opened_at_ms: i64,
    /// As of when all this is known: milliseconds since 1970-01-01T00:00:00Z.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = TIME_MS_START), extend("exclusiveMaximum" = TIME_MS_END))]
    updated_at_ms: Option<i64>,
}

/// A label, version 1.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(
    title = "label, version 1",
    description = "A verdict on a transaction, sent when it is known."
)]
struct LabelV1<'a> {
    #[schemars(schema_with = "label_name")]
    schema: &'a str,
    #[schemars(schema_with = "version_1")]
    version: u32,
    /// The transaction it speaks of, 1 to 128 bytes of UTF-8.
    #[schemars(length(min = 1, max = ID_BYTES_MAX), extend("pattern" = ID_PATTERN))]
    event_id: &'a str,
    /// That transaction's card, 1 to 128 bytes of UTF-8. Also the partition key of the record.
    #[schemars(length(min = 1, max = ID_BYTES_MAX), extend("pattern" = ID_PATTERN))]
    card_id: &'a str,
    /// What was found.
    verdict: Verdict,
    /// Since when that is known: milliseconds since 1970-01-01T00:00:00Z.
    #[schemars(schema_with = "time")]
    known_since_ms: i64,
}

/// A label, version 2.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(
    title = "label, version 2",
    description = "A verdict on a transaction, with what names that: it teaches the keys although its card has forgotten it."
)]
struct LabelV2<'a> {
    #[schemars(schema_with = "label_name")]
    schema: &'a str,
    #[schemars(schema_with = "version_2")]
    version: u32,
    /// The transaction it speaks of, 1 to 128 bytes of UTF-8.
    #[schemars(length(min = 1, max = ID_BYTES_MAX), extend("pattern" = ID_PATTERN))]
    event_id: &'a str,
    /// That transaction's card, 1 to 128 bytes of UTF-8. Also the partition key of the record.
    #[schemars(length(min = 1, max = ID_BYTES_MAX), extend("pattern" = ID_PATTERN))]
    card_id: &'a str,
    /// What was found.
    verdict: Verdict,
    /// Since when that is known: milliseconds since 1970-01-01T00:00:00Z.
    #[schemars(schema_with = "time")]
    known_since_ms: i64,
    /// When the transaction happened: milliseconds since 1970-01-01T00:00:00Z.
    #[schemars(schema_with = "time")]
    occurred_at_ms: i64,
    /// Where its money went, 1 to 128 bytes of UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = ID_BYTES_MAX), extend("pattern" = ID_PATTERN))]
    merchant_id: Option<&'a str>,
    /// The device that was used, 1 to 128 bytes of UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = ID_BYTES_MAX), extend("pattern" = ID_PATTERN))]
    device_id: Option<&'a str>,
    /// Its further ids by name, at most 8.
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<LinksMember<'a>>,
}

/// Links by name.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct LinksMember<'a>(BTreeMap<&'a str, &'a str>);

impl JsonSchema for LinksMember<'_> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Links".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "maxProperties": LINKS_MAX,
            "propertyNames": {"pattern": LINK_NAME_PATTERN},
            "additionalProperties": {
                "type": ["string", "null"], "minLength": 1, "maxLength": ID_BYTES_MAX, "pattern": ID_PATTERN,
            },
        })
    }
}

/// The built-in limit of an amount, for the schema.
const AMOUNT_MINOR_MAX: u64 = Bounds::BUILT_IN.amount_minor_max;

fn transaction_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"const": transaction_v::NAME})
}

fn profile_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"const": profile_v::NAME})
}

fn label_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"const": label_v::NAME})
}

fn version_1(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"const": 1})
}

fn version_2(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"const": 2})
}

fn version_3(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"const": 3})
}

fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "integer", "minimum": TIME_MS_START, "exclusiveMaximum": TIME_MS_END})
}

fn currency(_: &mut SchemaGenerator) -> Schema {
    let codes: Vec<String> = Currency::all().map(|currency| currency.as_str().to_owned()).collect();
    json_schema!({"type": "string", "enum": codes})
}

fn country(_: &mut SchemaGenerator) -> Schema {
    let codes: Vec<String> = Country::all().map(|country| country.as_str().to_owned()).collect();
    json_schema!({"type": "string", "enum": codes})
}

/// The JSON Schema (2020-12) of every version of every event and of the outcome: the file's name, and the schema.
#[must_use]
pub fn schemas() -> Vec<(&'static str, serde_json::Value)> {
    vec![
        (
            "transaction.v1.json",
            schemars::schema_for!(TransactionV1<'static>).to_value(),
        ),
        (
            "transaction.v2.json",
            schemars::schema_for!(TransactionV2<'static>).to_value(),
        ),
        (
            "transaction.v3.json",
            schemars::schema_for!(TransactionV3<'static>).to_value(),
        ),
        ("profile.v1.json", schemars::schema_for!(ProfileV1<'static>).to_value()),
        ("label.v1.json", schemars::schema_for!(LabelV1<'static>).to_value()),
        ("label.v2.json", schemars::schema_for!(LabelV2<'static>).to_value()),
        ("outcome.v1.json", schemars::schema_for!(OutcomeV1).to_value()),
    ]
}

/// An event as JSON, for producers of our own.
///
/// `version` matters for a transaction: 1 leaves out device, place and what came after them, 3 is written as such, anything else as
/// version 2 unless it has what only version 3 has. A label that says when
/// its transaction happened is written as version 2. The JSON of an event that [`decode`](crate::contract::decode) gave decodes to the same event.
#[must_use]
pub fn encode(event: &Event, version: u32) -> Vec<u8> {
    let json = match event {
        Event::Transaction(transaction) if version == transaction_v::V1 => serde_json::to_vec(&TransactionV1 {
            schema: transaction_v::NAME,
            version: transaction_v::V1,
            core: core(transaction),
        }),
        Event::Transaction(transaction) if needs_v3(transaction) || version == transaction_v::V3 => {
            serde_json::to_vec(&transaction_v3(transaction))
        }
        Event::Transaction(transaction) => serde_json::to_vec(&transaction_v2(transaction)),
        Event::Profile(profile) => serde_json::to_vec(&profile_v1(profile)),
        Event::Label(label) => match label.occurred_at_ms {
            Some(occurred_at_ms) => serde_json::to_vec(&label_v2(label, occurred_at_ms)),
            None => serde_json::to_vec(&label_v1(label)),
        },
    };
    // Writing into memory fails for maps with keys that are no strings; these types have none.
    json.unwrap_or_default()
}

fn core(transaction: &Transaction) -> TransactionCore<'_> {
    TransactionCore {
        event_id: transaction.event_id.as_str(),
        card_id: transaction.card_id.as_str(),
        occurred_at_ms: transaction.occurred_at_ms,
        amount_minor: transaction.amount_minor,
        currency: transaction.currency.as_str(),
        merchant_id: transaction.merchant_id.as_str(),
        mcc: transaction.mcc,
        country: transaction.country.as_str(),
        channel: transaction.channel,
        approved: transaction.approved,
    }
}

fn transaction_v2(transaction: &Transaction) -> TransactionV2<'_> {
    TransactionV2 {
        schema: transaction_v::NAME,
        version: transaction_v::V2,
        core: core(transaction),
        device_id: transaction.device_id.as_ref().map(DeviceId::as_str),
        latitude: transaction
            .place
            .map(|place| f64::from(place.latitude_e4) / PLACE_SCALE),
        longitude: transaction
            .place
            .map(|place| f64::from(place.longitude_e4) / PLACE_SCALE),
    }
}

/// Whether it has what only version 3 has.
fn needs_v3(transaction: &Transaction) -> bool {
    !transaction.links.is_empty() || transaction.account_opened_at_ms.is_some()
}

fn transaction_v3(transaction: &Transaction) -> TransactionV3<'_> {
    let TransactionV2 {
        core,
        device_id,
        latitude,
        longitude,
        ..
    } = transaction_v2(transaction);
    TransactionV3 {
        schema: transaction_v::NAME,
        version: transaction_v::V3,
        core,
        device_id,
        latitude,
        longitude,
        links: named(&transaction.links),
        account_opened_at_ms: transaction.account_opened_at_ms,
    }
}

/// Links as a member; none is left out.
fn named(links: &Links) -> Option<LinksMember<'_>> {
    let each = links.iter().map(|(name, id)| (name.as_str(), id.as_str()));
    (!links.is_empty()).then(|| LinksMember(each.collect()))
}

fn profile_v1(profile: &Profile) -> ProfileV1<'_> {
    ProfileV1 {
        schema: profile_v::NAME,
        version: profile_v::V1,
        card_id: profile.card_id.as_str(),
        profile_version: profile.version,
        usual_country: profile.usual_country.as_str(),
        spend_mean_minor: profile.spend_mean_minor,
        spend_deviation_minor: profile.spend_deviation_minor,
        transactions_per_day: profile.transactions_per_day,
        account_opened_at_ms: profile.account_opened_at_ms,
        updated_at_ms: profile.updated_at_ms,
    }
}

fn label_v1(label: &Label) -> LabelV1<'_> {
    LabelV1 {
        schema: label_v::NAME,
        version: label_v::V1,
        event_id: label.event_id.as_str(),
        card_id: label.card_id.as_str(),
        verdict: label.verdict,
        known_since_ms: label.known_since_ms,
    }
}

fn label_v2(label: &Label, occurred_at_ms: i64) -> LabelV2<'_> {
    LabelV2 {
        schema: label_v::NAME,
        version: label_v::V2,
        event_id: label.event_id.as_str(),
        card_id: label.card_id.as_str(),
        verdict: label.verdict,
        known_since_ms: label.known_since_ms,
        occurred_at_ms,
        merchant_id: label.merchant_id.as_ref().map(MerchantId::as_str),
        device_id: label.device_id.as_ref().map(DeviceId::as_str),
        links: named(&label.links),
    }
}
