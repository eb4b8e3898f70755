//! The events of the contract, as the rest of the system sees them: decoded, checked, in one shape for every version.

use serde::{Deserialize, Serialize};

use crate::id::{CardId, DeviceId, EventId, EventKey, MerchantId};

mod links;

pub use links::{LINKS_MAX, Links};

/// The highest merchant category code.
pub const MCC_MAX: u16 = 9999;

/// One accepted event.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A card transaction: gets a score.
    Transaction(Transaction),
    /// What is known of a card: replaces an older version of itself.
    Profile(Profile),
    /// Fraud confirmed or cleared, for an event seen before.
    Label(Label),
}

impl Event {
    /// The card that the event belongs to.
    #[must_use]
    pub fn card_id(&self) -> &CardId {
        match self {
            Self::Transaction(transaction) => &transaction.card_id,
            Self::Profile(profile) => &profile.card_id,
            Self::Label(label) => &label.card_id,
        }
    }
}

/// A card transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Transaction {
    /// What the producer calls it.
    pub event_id: EventId,
    /// The card's token.
    pub card_id: CardId,
    /// Event time: milliseconds since 1970-01-01T00:00:00Z.
    pub occurred_at_ms: i64,
    /// The amount in the currency's minor units, at least 1.
    pub amount_minor: u64,
    /// ISO 4217.
    pub currency: Currency,
    /// Where the money went.
    pub merchant_id: MerchantId,
    /// ISO 18245 merchant category code, 0 to 9999.
    pub mcc: u16,
    /// Where the merchant is, ISO 3166-1 alpha-2.
    pub country: Country,
    /// How the card was used.
    pub channel: Channel,
    /// Whether the issuer approved it.
    pub approved: bool,
    /// From version 2 on.
    pub device_id: Option<DeviceId>,
    /// From version 2 on.
    pub place: Option<Place>,
    /// Further ids by name, from version 3 on.
    pub links: Links,
    /// When the card's account was opened, from version 3 on: milliseconds since 1970-01-01T00:00:00Z.
    pub account_opened_at_ms: Option<i64>,
}

impl Transaction {
    /// What makes it one event.
    #[must_use]
    pub fn key(&self) -> EventKey {
        EventKey {
            card_id: self.card_id.clone(),
            event_id: self.event_id.clone(),
            occurred_at_ms: self.occurred_at_ms,
        }
    }
}

/// What is known of a card.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// The card's token.
    pub card_id: CardId,
    /// Grows with each change; the newest wins.
    pub version: u64,
    /// Where the card is usually used.
    pub usual_country: Country,
    /// Mean amount of a transaction, in minor units of the policy's base currency.
    pub spend_mean_minor: f64,
    /// Standard deviation of that amount, same unit.
    pub spend_deviation_minor: f64,
    /// Usual number of transactions a day.
    pub transactions_per_day: f64,
    /// When the account was opened: milliseconds since 1970-01-01T00:00:00Z.
    pub account_opened_at_ms: i64,
    /// As of when the profile is known: milliseconds since 1970-01-01T00:00:00Z.
    pub updated_at_ms: Option<i64>,
}

/// A verdict on an event, days later.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// The transaction it speaks of.
    pub event_id: EventId,
    /// That transaction's card.
    pub card_id: CardId,
    /// What was found.
    pub verdict: Verdict,
    /// Since when that is known: milliseconds since 1970-01-01T00:00:00Z.
    pub known_since_ms: i64,
    /// When the transaction happened, from version 2 on: milliseconds since 1970-01-01T00:00:00Z.
    pub occurred_at_ms: Option<i64>,
    /// Where its money went, from version 2 on.
    pub merchant_id: Option<MerchantId>,
    /// The device that was used, from version 2 on.
    pub device_id: Option<DeviceId>,
    /// Its further ids by name, from version 2 on.
    pub links: Links,
}

/// What a label says. Numbers are persisted: keep them stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Verdict {
    /// Fraud, confirmed.
    Fraud = 1,
    /// Not fraud after all.
    Cleared = 2,
}

impl Verdict {
    /// The verdict as it is written in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fraud => "fraud",
            Self::Cleared => "cleared",
        }
    }
}

/// How the card was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Chip or contactless in a terminal.
    PointOfSale,
    /// Card not present.
    Ecommerce,
    /// Cash machine.
    Atm,
    /// Mail or telephone order.
    MailPhone,
    /// Recurring or merchant-initiated.
    Recurring,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 5] = [
        Self::PointOfSale,
        Self::Ecommerce,
        Self::Atm,
        Self::MailPhone,
        Self::Recurring,
    ];

    /// The channel as it is written in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PointOfSale => "point_of_sale",
            Self::Ecommerce => "ecommerce",
            Self::Atm => "atm",
            Self::MailPhone => "mail_phone",
            Self::Recurring => "recurring",
        }
    }

    /// The channel of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.as_str() == name)
    }
}

/// A currency: three capital letters of ISO 4217. Built by the contract, which knows the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency(pub(crate) [u8; 3]);

/// A country: two capital letters of ISO 3166-1. Built by the contract, which knows the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Country(pub(crate) [u8; 2]);

/// A place on a grid of a ten-thousandth of a degree (11 m): what the state keeps is what was scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Latitude × 10⁴, −900,000 to 900,000.
    pub latitude_e4: i32,
    /// Longitude × 10⁴, −1,800,000 to 1,800,000.
    pub longitude_e4: i32,
}
