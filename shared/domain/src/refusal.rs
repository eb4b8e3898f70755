//! Why an event is not accepted. Every code is stable: it is in quarantine messages, metrics and docs/reference.

use serde::{Deserialize, Serialize};

/// A refusal: the code, and a sentence for a person. Never a piece of the payload's values (I9).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Refusal {
    /// The stable reason code.
    pub code: RefusalCode,
    /// Which field, what was expected. No value out of the payload.
    pub detail: String,
}

impl Refusal {
    /// A refusal with its explanation.
    #[must_use]
    pub fn new(code: RefusalCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// The stable reason codes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum RefusalCode {
            $($(#[$doc])* #[serde(rename = $text)] $variant,)*
        }

        impl RefusalCode {
            /// Every code, in the order of the reference.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as it is written in messages, metrics and documents.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

codes! {
    /// The payload is over the size limit.
    TooLarge = "too_large",
    /// The payload is empty.
    Empty = "empty",
    /// The payload is not UTF-8.
    NotUtf8 = "not_utf8",
    /// The payload is not one JSON object.
    NotJson = "not_json",
    /// Arrays or objects nest deeper than the limit.
    TooDeep = "too_deep",
    /// An object names a key twice.
    DuplicateKey = "duplicate_key",
    /// A required field is missing.
    MissingField = "missing_field",
    /// A field has another type than the schema says.
    MistypedField = "mistyped_field",
    /// The schema's name is not known.
    UnknownSchema = "unknown_schema",
    /// The schema is known, this version of it is not.
    UnknownVersion = "unknown_version",
    /// An identifier is empty.
    EmptyId = "empty_id",
    /// An identifier is longer than the limit.
    OverlongId = "overlong_id",
    /// An identifier holds a control character, a line separator or a bidirectional mark.
    UnprintableId = "unprintable_id",
    /// More ids in `links` than the limit.
    TooManyLinks = "too_many_links",
    /// A name in `links` that is not of the shape of such names.
    LinkName = "link_name",
    /// The amount is zero or negative.
    AmountNotPositive = "amount_not_positive",
    /// The amount is over the limit.
    AmountTooLarge = "amount_too_large",
    /// The amount has a fraction, but minor units are whole.
    AmountFraction = "amount_fraction",
    /// A number is NaN, infinite, or out of what its field allows.
    NumberOutOfRange = "number_out_of_range",
    /// Not a currency of ISO 4217.
    UnknownCurrency = "unknown_currency",
    /// Not a country of ISO 3166-1.
    UnknownCountry = "unknown_country",
    /// A time is given in seconds (or another unit) where milliseconds are due.
    TimeUnit = "time_unit",
    /// Event time is ahead of arrival by more than the skew bound.
    FutureTimestamp = "future_timestamp",
    /// Event time is older than the lateness bound.
    TooLate = "too_late",
    /// The account is said to be opened after the event by more than the skew bound.
    AccountAfterEvent = "account_after_event",
    /// A string holds what looks like a card number.
    CardNumber = "card_number",
    /// The event lies beyond the card's dedupe horizon or before its kept history: it can't be told from a duplicate.
    BeyondHorizon = "beyond_horizon",
    /// A label speaks of an event that the card's history does not hold.
    LabelWithoutEvent = "label_without_event",
    /// An aggregated record (KPL) whose digest is wrong: forged, or cut.
    AggregateDigest = "aggregate_digest",
    /// An aggregated record that is not of the aggregation format, or points beyond its tables, or holds nothing.
    AggregateMalformed = "aggregate_malformed",
    /// An aggregated record with more user records than the limit.
    AggregateTooMany = "aggregate_too_many",
    /// A record in its producer's own shape of which the published map in force makes no event.
    Unmapped = "unmapped",
}

impl std::fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
