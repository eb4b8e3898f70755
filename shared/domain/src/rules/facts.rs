//! The names that a rule may use, and what each of them is.

use crate::catalogue::{FeatureKey, KeyName};
use crate::event::{Channel, Country, Currency};
use crate::lists::{ListOf, ListTerms};

use super::suggest::nearest;
use super::{RuleProblem, Slots};

/// A whole number that is known of an event, or is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum WholeFact {
    /// The event's amount in its own currency.
    AmountMinor,
    /// The same in the policy's base currency, where there is a rate.
    AmountBaseMinor,
    Mcc,
    OccurredAtMs,
    AccountOpenedAtMs,
    Score,
    ProfileVersion,
    ProfileAccountOpenedAtMs,
    ProfileUpdatedAtMs,
}

/// A number that is known of an event, or is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberFact {
    SpendMeanMinor,
    SpendDeviationMinor,
    TransactionsPerDay,
    /// The feature of that slot.
    Feature(usize),
}

/// A text that is known of an event, or is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextFact {
    CardId,
    Currency,
    Country,
    MerchantId,
    Channel,
    DeviceId,
    Link(KeyName),
    UsualCountry,
}

impl WholeFact {
    /// Every one, in the order of their numbers.
    pub(crate) const ALL: [Self; 9] = [
        Self::AmountMinor,
        Self::AmountBaseMinor,
        Self::Mcc,
        Self::OccurredAtMs,
        Self::AccountOpenedAtMs,
        Self::Score,
        Self::ProfileVersion,
        Self::ProfileAccountOpenedAtMs,
        Self::ProfileUpdatedAtMs,
    ];
}

/// A text that is one of a short list, and is compared by a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CodeFact {
    Currency,
    Country,
    Channel,
    UsualCountry,
}

impl CodeFact {
    /// The number of a text; `None` of one that it can never be.
    pub(super) fn number_of(self, text: &str) -> Option<u32> {
        match self {
            Self::Currency => Currency::new(text).map(of_currency),
            Self::Country | Self::UsualCountry => Country::new(text).map(of_country),
            Self::Channel => Channel::from_name(text).map(of_channel),
        }
    }
}

/// The number of a currency.
#[inline]
pub(crate) const fn of_currency(currency: Currency) -> u32 {
    let [a, b, c] = currency.0;
    u32::from_le_bytes([a, b, c, 0])
}

/// The number of a country.
#[inline]
pub(crate) const fn of_country(country: Country) -> u32 {
    let [a, b] = country.0;
    u32::from_le_bytes([a, b, 0, 0])
}

/// The number of a channel.
#[inline]
pub(crate) const fn of_channel(channel: Channel) -> u32 {
    channel as u32
}

/// What a rule is evaluated on. `None`: it is missing from the event.
pub(crate) trait Facts {
    fn whole(&self, fact: WholeFact) -> Option<i64>;
    fn number(&self, fact: NumberFact) -> Option<f64>;
    fn code(&self, fact: CodeFact) -> Option<u32>;
    fn text(&self, fact: TextFact) -> Option<&str>;
    fn approved(&self) -> bool;
    /// Whether the list at this place among the policy's has a text; `None`: it is not at hand.
    fn listed(&self, list: usize, text: &str) -> Option<bool>;
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    Whole(WholeFact),
    Number(NumberFact),
    Text(TextFact),
    /// Whether the issuer approved it: always known.
    Approved,
}

/// Names but for links and features, and what they stand for.
const NAMES: [(&str, Fact); 20] = [
    ("event.amount_minor", Fact::Whole(WholeFact::AmountMinor)),
    ("event.amount_base_minor", Fact::Whole(WholeFact::AmountBaseMinor)),
    ("event.card_id", Fact::Text(TextFact::CardId)),
    ("event.currency", Fact::Text(TextFact::Currency)),
    ("event.country", Fact::Text(TextFact::Country)),
    ("event.merchant_id", Fact::Text(TextFact::MerchantId)),
    ("event.mcc", Fact::Whole(WholeFact::Mcc)),
    ("event.channel", Fact::Text(TextFact::Channel)),
    ("event.approved", Fact::Approved),
    ("event.device_id", Fact::Text(TextFact::DeviceId)),
    ("event.occurred_at_ms", Fact::Whole(WholeFact::OccurredAtMs)),
    ("event.account_opened_at_ms", Fact::Whole(WholeFact::AccountOpenedAtMs)),
    ("profile.usual_country", Fact::Text(TextFact::UsualCountry)),
    ("profile.spend_mean_minor", Fact::Number(NumberFact::SpendMeanMinor)),
    (
        "profile.spend_deviation_minor",
        Fact::Number(NumberFact::SpendDeviationMinor),
    ),
    (
        "profile.transactions_per_day",
        Fact::Number(NumberFact::TransactionsPerDay),
    ),
    (
        "profile.account_opened_at_ms",
        Fact::Whole(WholeFact::ProfileAccountOpenedAtMs),
    ),
    ("profile.updated_at_ms", Fact::Whole(WholeFact::ProfileUpdatedAtMs)),
    ("profile.profile_version", Fact::Whole(WholeFact::ProfileVersion)),
    ("score", Fact::Whole(WholeFact::Score)),
];

/// The names of a policy.
pub(crate) struct Known<'a> {
    /// Its features.
    pub(crate) features: &'a [FeatureKey],
    /// The lists that it declares.
    pub(crate) lists: &'a [ListTerms],
}

impl Known<'_> {
    /// What a path stands for.
    pub(super) fn find(&self, path: &[&str], at: usize, slots: &mut Slots) -> Result<Fact, RuleProblem> {
        let problem = |message: String| RuleProblem::new(at, message);
        match path {
            ["event", "links", name] => match KeyName::new(name) {
                Some(name) => Ok(Fact::Text(TextFact::Link(name))),
                None => Err(problem(format!(
                    "`{name}` is no name of a link, expected 1 to 16 of the characters a to z, 0 to 9 and _, a letter first"
                ))),
            },
            ["lists", ..] => Err(problem(format!(
                "`{}` is a list, which stands only behind `in`, as in event.merchant_id in lists.mules",
                path.join(".")
            ))),
            ["features", name @ ..] if !name.is_empty() => self.feature(&name.join("."), at, slots),
            _ => {
                let name = path.join(".");
                let found = NAMES.iter().find(|(known, _)| *known == name);
                found.map(|(_, fact)| *fact).ok_or_else(|| problem(self.unknown(&name)))
            }
        }
    }

    /// The list of a name, and its place.
    pub(super) fn list(&self, name: &str, at: usize) -> Result<(usize, ListTerms), RuleProblem> {
        let found = self.lists.iter().position(|list| list.name.as_str() == name);
        if let Some(found) = found {
            return Ok((found, self.lists[found]));
        }
        let names = self.lists.iter().map(|list| list.name.as_str());
        let message = match nearest(name, names) {
            Some(meant) => format!("the policy declares no list `{name}`, did you mean `lists.{meant}`?"),
            None => format!(
                "the policy declares no list `{name}`, expected it under [[lists]] with its name and what it is of"
            ),
        };
        Err(RuleProblem::new(at, message))
    }

    /// The feature's slot, a new one where no rule before named it.
    fn feature(&self, name: &str, at: usize, slots: &mut Slots) -> Result<Fact, RuleProblem> {
        let key = FeatureKey::parse(name).ok().filter(|key| self.features.contains(key));
        let Some(key) = key else {
            let message = match FeatureKey::parse(name) {
                Ok(_) => format!("a rule reads the feature `{name}`, expected it in `features` of the policy too"),
                Err(_) => self.unknown(&format!("features.{name}")),
            };
            return Err(RuleProblem::new(at, message));
        };
        let slot = slots.0.iter().position(|other| *other == key);
        let slot = slot.unwrap_or_else(|| {
            slots.0.push(key);
            slots.0.len() - 1
        });
        Ok(Fact::Number(NumberFact::Feature(slot)))
    }

    fn unknown(&self, name: &str) -> String {
        let features: Vec<String> = self.features.iter().map(|key| format!("features.{key}")).collect();
        let names = NAMES.iter().map(|(known, _)| *known);
        let all = names.chain(features.iter().map(String::as_str));
        match nearest(name, all) {
            Some(meant) => format!("unknown name `{name}`, did you mean `{meant}`?"),
            None => format!(
                "unknown name `{name}`, expected `score`, `event.links.` and a link's name, `features.` and one of the policy's \
                 features, or one of: {}",
                NAMES.map(|(known, _)| known).join(", ")
            ),
        }
    }
}

impl TextFact {
    /// Whether a list can hold it; if not, why.
    pub(super) fn may_be_in(self, list: ListOf) -> Result<(), String> {
        let is_country = matches!(self, Self::Country | Self::UsualCountry);
        match list {
            ListOf::Ids if is_country => Err("a country is in no list of ids, expected a list of countries".to_owned()),
            ListOf::Countries if !is_country => {
                Err("expected event.country or profile.usual_country, since this is a list of countries".to_owned())
            }
            ListOf::Addresses if !matches!(self, Self::Link(_)) => Err(
                "expected a link that holds an address, such as event.links.ip, since this is a list of addresses"
                    .to_owned(),
            ),
            _ => Ok(()),
        }
    }

    /// The same as one of a short list, where it is.
    pub(super) const fn code(self) -> Option<CodeFact> {
        match self {
            Self::Currency => Some(CodeFact::Currency),
            Self::Country => Some(CodeFact::Country),
            Self::Channel => Some(CodeFact::Channel),
            Self::UsualCountry => Some(CodeFact::UsualCountry),
            Self::CardId | Self::MerchantId | Self::DeviceId | Self::Link(_) => None,
        }
    }

    /// Whether the fact can ever be this text; if not, what it can be.
    pub(super) fn takes(self, text: &str) -> Result<(), String> {
        match self {
            Self::Currency if Currency::new(text).is_none() => Err(format!(
                "{text:?} is no currency, expected a code of ISO 4217 such as \"EUR\""
            )),
            Self::Country | Self::UsualCountry if Country::new(text).is_none() => Err(format!(
                "{text:?} is no country, expected a code of ISO 3166-1 such as \"DE\""
            )),
            Self::Channel if Channel::from_name(text).is_none() => Err(format!(
                "{text:?} is no channel, expected one of: {}",
                Channel::ALL.map(Channel::as_str).join(", ")
            )),
            _ => Ok(()),
        }
    }
}
