//! Events of a row, as the contract's JSON.

mod profile;

use std::fmt::Write as _;

use tidemark_domain::contract::{Bounds, decode};
use tidemark_domain::event::Currency;
use tidemark_domain::refusal::{Refusal, RefusalCode};

use crate::code::{MapCode, Wrong, holds_card_number};
use crate::compile::{KindRule, LabelRule, NO_VERDICT, TransactionRule};
use crate::row::{PathId, RowView};
use crate::rules::Blame;
use crate::rules::choice::ChoiceRule;
use crate::rules::id::IdRule;

/// What an event is told from others by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedEvent {
    /// Its card.
    pub card_id: String,
    /// Its id.
    pub event_id: String,
    /// When it happened, ms since 1970-01-01T00:00:00Z.
    pub occurred_at_ms: i64,
}

/// The events of a row, one JSON object each.
#[derive(Debug, Default)]
pub struct Made {
    /// A profile, a transaction, a label: those of them that the row says, in this order.
    pub events: Vec<Vec<u8>>,
    /// The transaction among them.
    pub transaction: Option<NamedEvent>,
    /// The label among them.
    pub has_label: bool,
    /// The profile among them.
    pub has_profile: bool,
}

/// Why a row gives no event.
pub enum Unmade {
    /// The map's rules.
    Rule(Blame),
    /// The contract, and the column that its field came from.
    Contract(Option<PathId>, Refusal),
}

impl From<Blame> for Unmade {
    fn from(blame: Blame) -> Self {
        Self::Rule(blame)
    }
}

/// Makes all events of a row, or none.
pub(crate) fn make(kind: &KindRule, row: &RowView<'_>) -> Result<Made, Unmade> {
    let mut made = Made::default();
    let mut ids = Ids::default();
    if let Some(rule) = &kind.transaction {
        let (text, named, of_label) = transaction(rule, row)?;
        check(&text, named.occurred_at_ms).map_err(|refusal| blame_transaction(rule, row, refusal))?;
        made.events.push(text);
        made.transaction = Some(named);
        ids = of_label;
    }
    if let Some(rule) = &kind.profile {
        let card_id = made.transaction.as_ref().map(|named| named.card_id.as_str());
        let (text, known_ms) = profile::make(rule, row, card_id)?;
        check(&text, known_ms).map_err(|refusal| profile::blame(rule, kind, row, refusal))?;
        // A card's profile is known when its transaction is scored.
        made.events.insert(0, text);
        made.has_profile = true;
    }
    if let Some(rule) = &kind.label
        && let Some((text, known_since_ms)) = label(rule, row, made.transaction.as_ref(), ids)?
    {
        check(&text, known_since_ms).map_err(|refusal| blame_label(rule, kind, row, refusal))?;
        made.events.push(text);
        made.has_label = true;
    }
    Ok(made)
}

/// What a label says of its transaction besides card, id and time.
#[derive(Default)]
struct Ids {
    merchant_id: Option<String>,
    device_id: Option<String>,
    links: Vec<(String, String)>,
}

fn transaction(rule: &TransactionRule, row: &RowView<'_>) -> Result<(Vec<u8>, NamedEvent, Ids), Unmade> {
    let named = NamedEvent {
        event_id: rule.event_id.require(row)?,
        card_id: rule.card_id.require(row)?,
        occurred_at_ms: rule.occurred_at_ms.require(row, None)?,
    };
    let currency = currency(&rule.currency, row)?;
    let amount_minor = rule.amount_minor.require(row, currency)?;
    let mut ids = Ids {
        merchant_id: Some(rule.merchant_id.require(row)?),
        ..Ids::default()
    };
    let mut json = Object::new("transaction", rule.version);
    json.text("event_id", &named.event_id);
    json.text("card_id", &named.card_id);
    json.whole("occurred_at_ms", named.occurred_at_ms);
    json.whole("amount_minor", amount_minor);
    json.text("currency", currency.as_str());
    json.text("merchant_id", ids.merchant_id.as_deref().unwrap_or_default());
    json.whole("mcc", rule.mcc.require(row)?);
    json.text("country", &rule.country.require(row)?);
    json.text("channel", &rule.channel.require(row)?);
    json.plain("approved", if rule.approved.require(row)? { "true" } else { "false" });
    if let Some(id) = rule
        .device_id
        .as_ref()
        .map(|rule| rule.make(row))
        .transpose()?
        .flatten()
    {
        json.text("device_id", &id);
        ids.device_id = Some(id);
    }
    let degrees = |rule: Option<crate::rules::number::NumberRule>| rule.map(|rule| rule.make(row)).transpose();
    let place = (degrees(rule.latitude)?.flatten(), degrees(rule.longitude)?.flatten());
    if let (Some(latitude), Some(longitude)) = place {
        json.plain("latitude", &latitude.to_string());
        json.plain("longitude", &longitude.to_string());
    }
    for (name, rule) in &rule.links {
        if let Some(id) = rule.make(row)? {
            ids.links.push((name.clone(), id));
        }
    }
    json.links(&ids.links);
    let opened = rule
        .account_opened_at_ms
        .as_ref()
        .map(|rule| rule.make(row, None))
        .transpose()?;
    if let Some(opened_ms) = opened.flatten() {
        json.whole("account_opened_at_ms", opened_ms);
    }
    Ok((json.end(), named, ids))
}

fn currency(rule: &ChoiceRule<String>, row: &RowView<'_>) -> Result<Currency, Blame> {
    let code = rule.require(row)?;
    let why = "no currency of ISO 4217 that has a minor unit: three capital letters such as EUR";
    Currency::new(&code).ok_or_else(|| (rule.from, Wrong::of(MapCode::UnknownCurrency, &code, why)))
}

/// The label of a row, and since when it is known; `None` where the row says nothing.
fn label(
    rule: &LabelRule,
    row: &RowView<'_>,
    event: Option<&NamedEvent>,
    ids: Ids,
) -> Result<Option<(Vec<u8>, i64)>, Unmade> {
    let verdict = match rule.verdict.make(row)? {
        None => return Ok(None),
        Some(verdict) if verdict == NO_VERDICT => return Ok(None),
        Some(verdict) => verdict,
    };
    let own = |rule: &Option<IdRule>| {
        rule.as_ref()
            .map(|rule| rule.make(row))
            .transpose()
            .map(Option::flatten)
    };
    let required = |rule: &Option<IdRule>| rule.as_ref().map(|rule| rule.require(row)).transpose();
    let event_id = required(&rule.event_id)?.or_else(|| event.map(|event| event.event_id.clone()));
    let card_id = required(&rule.card_id)?.or_else(|| event.map(|event| event.card_id.clone()));
    let own_time = rule
        .occurred_at_ms
        .as_ref()
        .map(|rule| rule.make(row, None))
        .transpose()?;
    let occurred_at_ms = own_time.flatten().or_else(|| event.map(|event| event.occurred_at_ms));
    let known_since_ms = rule.known_since_ms.require(row, occurred_at_ms)?;
    let mut json = Object::new("label", if occurred_at_ms.is_some() { 2 } else { 1 });
    json.text("event_id", &event_id.unwrap_or_default());
    json.text("card_id", &card_id.unwrap_or_default());
    json.text("verdict", &verdict);
    json.whole("known_since_ms", known_since_ms);
    if let Some(occurred_at_ms) = occurred_at_ms {
        json.whole("occurred_at_ms", occurred_at_ms);
        if let Some(id) = own(&rule.merchant_id)?.or(ids.merchant_id) {
            json.text("merchant_id", &id);
        }
        if let Some(id) = own(&rule.device_id)?.or(ids.device_id) {
            json.text("device_id", &id);
        }
        json.links(&ids.links);
    }
    Ok(Some((json.end(), known_since_ms)))
}

/// Holds an event to the contract, as if it arrived at a time.
fn check(text: &[u8], arrival_ms: i64) -> Result<(), Refusal> {
    decode(text, arrival_ms, &Bounds::BUILT_IN).map(|_| ())
}

/// The column that a refused field came from.
fn blame_transaction(rule: &TransactionRule, row: &RowView<'_>, refusal: Refusal) -> Unmade {
    let path = match field_of(&refusal) {
        "event_id" => rule.event_id.path(),
        "card_id" => rule.card_id.path(),
        "occurred_at_ms" => rule.occurred_at_ms.from,
        "amount_minor" => Some(rule.amount_minor.from),
        "merchant_id" => rule.merchant_id.path(),
        "mcc" => rule.mcc.from,
        "country" => rule.country.from,
        "channel" => rule.channel.from,
        "device_id" => rule.device_id.as_ref().and_then(IdRule::path),
        "latitude" => rule.latitude.map(|rule| rule.from),
        "longitude" => rule.longitude.map(|rule| rule.from),
        "account_opened_at_ms" => rule.account_opened_at_ms.as_ref().and_then(|rule| rule.from),
        _ => None,
    };
    let path = if refusal.code == RefusalCode::CardNumber {
        card_number(rule, row)
    } else {
        path
    };
    Unmade::Contract(path, refusal)
}

/// The column that a label's refused field came from; what the label does not say itself is its transaction's.
fn blame_label(rule: &LabelRule, kind: &KindRule, row: &RowView<'_>, refusal: Refusal) -> Unmade {
    let of_event = kind.transaction.as_ref();
    let own = |rule: &Option<IdRule>| rule.as_ref().and_then(IdRule::path);
    let path = match field_of(&refusal) {
        "event_id" => own(&rule.event_id).or_else(|| of_event.and_then(|of| of.event_id.path())),
        "card_id" => own(&rule.card_id).or_else(|| of_event.and_then(|of| of.card_id.path())),
        "merchant_id" => own(&rule.merchant_id),
        "device_id" => own(&rule.device_id),
        "verdict" => rule.verdict.from,
        "known_since_ms" => rule.known_since_ms.from,
        "occurred_at_ms" => match &rule.occurred_at_ms {
            Some(rule) => rule.from,
            None => of_event.and_then(|of| of.occurred_at_ms.from),
        },
        _ => None,
    };
    let path = if refusal.code == RefusalCode::CardNumber {
        let own = [&rule.event_id, &rule.card_id, &rule.merchant_id, &rule.device_id];
        first_card_number(own.into_iter().flatten(), row)
    } else {
        path
    };
    Unmade::Contract(path, refusal)
}

/// The field that the contract names.
pub(crate) fn field_of(refusal: &Refusal) -> &str {
    refusal.detail.split('`').nth(1).unwrap_or_default()
}

/// The column of the first id that holds a card number.
fn card_number(rule: &TransactionRule, row: &RowView<'_>) -> Option<PathId> {
    let ids = [&rule.event_id, &rule.card_id, &rule.merchant_id];
    let ids = ids
        .into_iter()
        .chain(&rule.device_id)
        .chain(rule.links.iter().map(|(_, rule)| rule));
    first_card_number(ids, row)
}

fn first_card_number<'r>(mut ids: impl Iterator<Item = &'r IdRule>, row: &RowView<'_>) -> Option<PathId> {
    let holds = |id: &String| holds_card_number(id);
    let found = ids.find(|rule| rule.make(row).ok().flatten().is_some_and(|id| holds(&id)));
    found.and_then(IdRule::path)
}

/// A JSON object under way.
pub(crate) struct Object(String);

impl Object {
    pub(crate) fn new(schema: &str, version: u32) -> Self {
        Self(format!("{{\"schema\":\"{schema}\",\"version\":{version}"))
    }

    pub(crate) fn text(&mut self, name: &str, value: &str) {
        let value = serde_json::Value::from(value);
        self.plain(name, &value.to_string());
    }

    pub(crate) fn whole(&mut self, name: &str, value: impl std::fmt::Display) {
        // Writing to a string does not fail.
        let _ = write!(self.0, ",\"{name}\":{value}");
    }

    pub(crate) fn plain(&mut self, name: &str, value: &str) {
        self.whole(name, value);
    }

    fn links(&mut self, links: &[(String, String)]) {
        if links.is_empty() {
            return;
        }
        let links: serde_json::Map<String, serde_json::Value> = links
            .iter()
            .map(|(name, id)| (name.clone(), id.as_str().into()))
            .collect();
        self.plain("links", &serde_json::Value::Object(links).to_string());
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.push('}');
        self.0.into_bytes()
    }
}
