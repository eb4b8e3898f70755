//! The keys of a map's file, as they are written: what [`crate::compile`] makes rules of, and its JSON Schema.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// How rows of a team's own shape become events of Tidemark.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "map.toml")]
pub(crate) struct MapKeys {
    /// The version of this format: 1.
    #[schemars(range(min = 1, max = 1))]
    pub(crate) version: u32,
    /// How the file is written.
    #[serde(default)]
    pub(crate) input: InputKeys,
    /// Rows that are left out, and counted.
    pub(crate) skip: Option<WhenKeys>,
    /// The transaction that a row says.
    pub(crate) transaction: Option<TransactionKeys>,
    /// The label that a row says.
    pub(crate) label: Option<LabelKeys>,
    /// What a row says of a card.
    pub(crate) profile: Option<ProfileKeys>,
    /// Rows of several kinds, in the place of [transaction], [label] and [profile].
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(crate) kinds: Vec<KindKeys>,
}

/// How the file is written.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InputKeys {
    /// csv, json_lines or parquet.
    #[serde(default)]
    pub(crate) format: Format,
    /// One character between the columns of a table; "," unless it is another.
    pub(crate) delimiter: Option<String>,
    /// One character around values that hold a delimiter; a double quote unless it is another.
    pub(crate) quote: Option<String>,
    /// The columns' names, for a table whose first row is a row already.
    pub(crate) columns: Option<Vec<String>>,
    /// What stands for nothing, besides nothing: NULL, \N.
    #[serde(default)]
    pub(crate) empty: Vec<String>,
}

/// What a file is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A table, by RFC 4180 or nearly.
    #[default]
    Csv,
    /// A JSON object a line.
    JsonLines,
    /// A Parquet file, whose rows are handed in as JSON objects.
    Parquet,
}

/// Rows by a value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WhenKeys {
    /// The column, or the path.
    pub(crate) from: String,
    /// The values, each as it is written; "" is nothing.
    pub(crate) is: Vec<String>,
}

/// Rows of one kind.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KindKeys {
    /// Which rows.
    pub(crate) when: WhenKeys,
    /// The transaction that such a row says.
    pub(crate) transaction: Option<TransactionKeys>,
    /// The label that such a row says.
    pub(crate) label: Option<LabelKeys>,
    /// What such a row says of a card.
    pub(crate) profile: Option<ProfileKeys>,
}

/// The fields of a transaction: docs/reference/contract.md says what each is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TransactionKeys {
    pub(crate) event_id: IdKeys,
    pub(crate) card_id: IdKeys,
    pub(crate) occurred_at_ms: TimeKeys,
    pub(crate) amount_minor: AmountKeys,
    pub(crate) currency: ChoiceKeys<String>,
    pub(crate) merchant_id: IdKeys,
    pub(crate) mcc: ChoiceKeys<u16>,
    pub(crate) country: ChoiceKeys<String>,
    pub(crate) channel: ChoiceKeys<String>,
    pub(crate) approved: ChoiceKeys<bool>,
    pub(crate) device_id: Option<IdKeys>,
    pub(crate) latitude: Option<NumberKeys>,
    pub(crate) longitude: Option<NumberKeys>,
    /// Further ids by name: ip, account.
    #[serde(default)]
    pub(crate) links: BTreeMap<String, IdKeys>,
    pub(crate) account_opened_at_ms: Option<TimeKeys>,
}

/// The fields of a label. Beside a transaction, what names the event is taken from that.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LabelKeys {
    /// fraud, cleared, or none where the row says nothing.
    pub(crate) verdict: ChoiceKeys<String>,
    pub(crate) known_since_ms: TimeKeys,
    pub(crate) event_id: Option<IdKeys>,
    pub(crate) card_id: Option<IdKeys>,
    pub(crate) occurred_at_ms: Option<TimeKeys>,
    pub(crate) merchant_id: Option<IdKeys>,
    pub(crate) device_id: Option<IdKeys>,
}

/// The fields of a profile: docs/reference/contract.md says what each is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProfileKeys {
    /// Beside a transaction, its card unless this says another.
    pub(crate) card_id: Option<IdKeys>,
    /// Grows with each change; updated_at_ms unless it is given.
    pub(crate) profile_version: Option<ChoiceKeys<u64>>,
    pub(crate) usual_country: ChoiceKeys<String>,
    /// The currency of both amounts: the policy's base currency.
    pub(crate) currency: ChoiceKeys<String>,
    pub(crate) spend_mean_minor: AmountKeys,
    pub(crate) spend_deviation_minor: AmountKeys,
    pub(crate) transactions_per_day: NumberKeys,
    pub(crate) account_opened_at_ms: TimeKeys,
    pub(crate) updated_at_ms: Option<TimeKeys>,
}

/// A column or several.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a column's name, or a list of them")]
pub(crate) enum Paths {
    One(String),
    Several(Vec<String>),
}

/// An id.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IdKeys {
    /// The column or the path; several are joined.
    pub(crate) from: Option<Paths>,
    /// What joins several; "|" unless it is another.
    pub(crate) join: Option<String>,
    /// The number of the row's line, for a file without ids.
    #[serde(default)]
    pub(crate) line_number: bool,
    /// The same id for every row.
    pub(crate) value: Option<String>,
    /// Characters that are taken out: "- ".
    pub(crate) strip: Option<String>,
    /// Whether small letters are made of capitals.
    #[serde(default)]
    pub(crate) lower: bool,
    /// Hashed with a salt, so that the value itself never leaves the machine: sha256.
    pub(crate) hash: Option<Hash>,
    /// The variable of the environment that has the salt.
    pub(crate) salt_env: Option<String>,
    /// What stands before it, hashed or not.
    pub(crate) prefix: Option<String>,
    /// The id of rows that have none.
    pub(crate) empty: Option<String>,
}

/// How an id is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Hash {
    /// HMAC with SHA-256, the salt as its key: 32 hexadecimal digits.
    Sha256,
}

/// A time.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TimeKeys {
    /// The column or the path.
    pub(crate) from: Option<String>,
    /// iso8601 (the default), epoch_s, epoch_ms, epoch_us, or a format as strptime has it: "%d/%m/%Y %H:%M".
    pub(crate) time: Option<String>,
    /// The zone of times that name none: "Europe/Brussels", "UTC", "+02:00".
    pub(crate) zone: Option<String>,
    /// Which one is meant when an hour comes twice, in autumn.
    #[serde(default)]
    pub(crate) twice: Which,
    /// What is meant when an hour does not exist, in spring.
    #[serde(default)]
    pub(crate) skipped: Which,
    /// What epoch_s, epoch_ms and epoch_us count from; 1970-01-01T00:00:00Z unless it is another.
    pub(crate) origin: Option<String>,
    /// Only of known_since_ms: so long later (7d, 12h, 30m, 90s). Without `from`, later than the event.
    pub(crate) delay: Option<String>,
}

/// Which of two instants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Which {
    /// The first one.
    Earlier,
    /// The second one.
    Later,
    /// The row is refused.
    #[default]
    Refuse,
}

/// An amount.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AmountKeys {
    /// The column or the path.
    pub(crate) from: String,
    /// decimal ("12.34", by the currency's exponent) or minor (whole minor units).
    pub(crate) unit: AmountUnit,
    /// What stands before the fraction; "." unless it is another.
    pub(crate) decimal: Option<String>,
    /// What stands between groups of digits; nothing unless the map says so.
    pub(crate) thousands: Option<String>,
    /// Characters that are taken out: "€ ".
    pub(crate) strip: Option<String>,
    /// Whether the sign is passed over.
    #[serde(default)]
    pub(crate) absolute: bool,
    /// Whether what is finer than the minor unit is rounded, half away from zero.
    #[serde(default)]
    pub(crate) round: bool,
}

/// What an amount counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AmountUnit {
    /// Major units with a fraction.
    Decimal,
    /// Whole minor units.
    Minor,
}

/// A value out of a few.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChoiceKeys<T> {
    /// The column or the path.
    pub(crate) from: Option<String>,
    /// The same for every row.
    pub(crate) value: Option<T>,
    /// What each value of the file means.
    pub(crate) values: Option<BTreeMap<String, T>>,
    /// What a value means that is not listed.
    pub(crate) otherwise: Option<T>,
    /// What nothing means.
    pub(crate) empty: Option<T>,
}

/// A number.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NumberKeys {
    /// The column or the path.
    pub(crate) from: String,
}

/// The JSON Schema of a map's file.
#[must_use]
pub fn map_schema() -> serde_json::Value {
    schemars::schema_for!(MapKeys).to_value()
}
