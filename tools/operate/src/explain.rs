//! `tidemark explain`: a card's stored state, its windows and outcomes, and why.

pub mod args;
mod key;

use std::collections::HashSet;

use serde_json::json;
use terminal::error::{CliError, Exit};
use terminal::files;
use terminal::ui;
use tidemark_aws::admin::{Admin, Item, ItemValue};
use tidemark_aws::item;
use tidemark_domain::event::{Profile, Verdict};
use tidemark_domain::history::{Entry, History, UNPRICED};
use tidemark_domain::id::{CardId, EventId};
use tidemark_domain::policy::Policy;
use tidemark_domain::render::render_json;

use crate::explain::args::ExplainArgs;
use crate::explain_ids::{self, EventIds};
use crate::explain_view::{self, CardView, Sought};

/// Shows a card, or one event of it.
///
/// # Errors
/// When the table can't be read, or holds no such card or event.
pub async fn run(admin: &Admin, args: &ExplainArgs, json: bool) -> Result<Exit, CliError> {
    if let Some(name) = &args.key {
        return key::run(admin, &args.table(), name, &args.card, json).await;
    }
    let policy = files::policy(args.policy.as_deref())?;
    let stored = Stored::read(admin, &args.table(), &args.card).await?;
    let at_ms = args.at;
    let event = args.event.as_deref();
    let sought = event.map(|event_id| Sought { event_id, at_ms });
    let text = match (sought, json) {
        (Some(event), true) => event_json(&stored.card, &stored.state, event).ok_or_else(|| no_event(&stored.card))?,
        (Some(event), false) => stored.text(Some(event), &policy)?,
        (None, _) => {
            let ids = ids_of(admin, args, &stored).await;
            let view = stored.view(&policy);
            if json {
                card_json(&view, &ids)
            } else {
                explain_view::render_card_with_ids(&view, &ids)
            }
        }
    };
    ui::out(&text);
    Ok(Exit::Ok)
}

/// The ids of the newest events. Without them the rest is still worth showing.
async fn ids_of(admin: &Admin, args: &ExplainArgs, stored: &Stored) -> EventIds {
    let entries = stored.state.all_entries();
    let newest: Vec<&Entry> = entries
        .iter()
        .rev()
        .take(explain_view::EVENTS_LISTED_MAX)
        .copied()
        .collect();
    let (table, scores) = (args.table(), args.scores());
    let places = (table.as_str(), scores.as_str());
    match explain_ids::find(admin, places, &stored.card, &newest).await {
        Ok(ids) => ids,
        Err(error) => {
            ui::note(&format!("  the events' ids can't be read: {error}"));
            EventIds::default()
        }
    }
}

/// A card, or one event of it, in words.
///
/// # Errors
/// When the table can't be read, or holds no such card or event.
pub async fn text(
    admin: &Admin,
    table: &str,
    card: &str,
    event: Option<Sought<'_>>,
    policy: &Policy,
) -> Result<String, CliError> {
    Stored::read(admin, table, card).await?.text(event, policy)
}

/// What the table holds of a card.
#[derive(Debug)]
pub struct Stored {
    /// The card.
    pub card: CardId,
    /// Its decoded state.
    pub state: History,
    /// The version of its item.
    pub version: u64,
    /// Size of the encoded state, bytes.
    pub state_bytes: usize,
    /// Its profile, if it has one.
    pub profile: Option<Profile>,
}

impl Stored {
    /// Reads a card's items.
    ///
    /// # Errors
    /// When the table can't be read, or holds no such card.
    pub async fn read(admin: &Admin, table: &str, card: &str) -> Result<Self, CliError> {
        let card = CardId::new(card).ok_or_else(|| {
            CliError::input(
                "card_id",
                "a card's token has 1 to 128 bytes",
                "Give the card_id as the producer writes it.",
            )
        })?;
        let key = item::partition_key(&card);
        let (state, version, state_bytes) = stored_state(admin, table, &key, &card).await?;
        let profile = stored_profile(admin, table, &key, &card).await?;
        Ok(Self {
            card,
            state,
            version,
            state_bytes,
            profile,
        })
    }

    /// For the views.
    #[must_use]
    pub fn view<'a>(&'a self, policy: &'a Policy) -> CardView<'a> {
        CardView {
            card_id: self.card.as_str(),
            state: &self.state,
            version: self.version,
            state_bytes: self.state_bytes,
            profile: self.profile.as_ref(),
            policy,
        }
    }

    fn text(&self, event: Option<Sought<'_>>, policy: &Policy) -> Result<String, CliError> {
        let view = self.view(policy);
        match event {
            Some(event) => explain_view::render_event(&view, event).ok_or_else(|| no_event(&self.card)),
            None => Ok(explain_view::render_card(&view)),
        }
    }
}

fn no_event(card: &CardId) -> CliError {
    CliError::input(
        "no_such_event",
        format!(
            "card {} has no such event in its kept history",
            ui::shown(card.as_str())
        ),
        "Check the event id; `tidemark explain CARD` lists the newest events with the ids that are still known. Events past retention are gone.",
    )
}

/// Sealed segments that are read to show a card: 50,000 events of the built-in policy's.
const SEGMENTS_READ_MAX: usize = 1_000;

async fn stored_state(admin: &Admin, table: &str, key: &str, card: &CardId) -> Result<(History, u64, usize), CliError> {
    let item = get(admin, table, key, item::STATE).await?.ok_or_else(|| {
        CliError::input(
            "no_such_card",
            format!("table {table} has no state of card {card}"),
            "Check the card's token, --table, AWS_ENDPOINT_URL_DYNAMODB and AWS_REGION.",
        )
    })?;
    let (version, bytes) = parts(&item).ok_or_else(|| broken("state", card, "an attribute is missing"))?;
    let mut state = History::decode(bytes).map_err(|e| broken("state", card, &e.to_string()))?;
    read_segments(admin, table, key, card, &mut state).await?;
    Ok((state, version, bytes.len()))
}

/// Reads the card's sealed segments, as many as may be. One that is not there is left out: an index is kept a while after
/// the oldest segments below it have expired.
async fn read_segments(
    admin: &Admin,
    table: &str,
    key: &str,
    card: &CardId,
    state: &mut History,
) -> Result<(), CliError> {
    let mut asked = HashSet::new();
    loop {
        let left = SEGMENTS_READ_MAX - asked.len();
        let missing = state.missing_segments().into_iter().rev();
        let missing: Vec<_> = missing.filter(|segment| !asked.contains(segment)).take(left).collect();
        if missing.is_empty() {
            return Ok(());
        }
        for segment in missing {
            asked.insert(segment);
            let item = get(admin, table, key, &item::segment_key(segment)).await?;
            let Some(ItemValue::Binary(bytes)) = item.as_ref().and_then(|item| item.get(item::BYTES)) else {
                continue;
            };
            let supplied = state.supply_segment(segment, bytes);
            supplied.map_err(|e| broken("history", card, &e.to_string()))?;
        }
    }
}

async fn stored_profile(admin: &Admin, table: &str, key: &str, card: &CardId) -> Result<Option<Profile>, CliError> {
    let Some(item) = get(admin, table, key, item::PROFILE).await? else {
        return Ok(None);
    };
    let profile = parts(&item).and_then(|(version, bytes)| item::decode_profile(card, version, bytes));
    profile
        .map(Some)
        .ok_or_else(|| broken("profile", card, "its bytes are none of a known format"))
}

async fn get(admin: &Admin, table: &str, pk: &str, sk: &str) -> Result<Option<Item>, CliError> {
    admin.get_item(table, pk, sk).await.map_err(|e| {
        CliError::service(
            "read_table",
            format!("table {table}: {e}"),
            "Check --table, AWS_ENDPOINT_URL and credentials.",
        )
    })
}

fn parts(item: &Item) -> Option<(u64, &[u8])> {
    match (item.get(item::VERSION), item.get(item::BYTES)) {
        (Some(ItemValue::Number(version)), Some(ItemValue::Binary(bytes))) => Some((version.parse().ok()?, bytes)),
        _ => None,
    }
}

fn broken(what: &str, card: &CardId, why: &str) -> CliError {
    CliError::service(
        "state_corrupt",
        format!("the {what} of card {card} can't be read: {why}"),
        "Nothing overwrites it. See docs/errors; restore the item from the table's point-in-time recovery.",
    )
}

fn event_json(card: &CardId, state: &History, event: Sought<'_>) -> Option<String> {
    let id = EventId::new(event.event_id)?;
    let (entry, others) = explain_view::find_event(state, event)?;
    let outcome: serde_json::Value = serde_json::from_slice(&render_json(card, &id, entry)).ok()?;
    Some(format!(
        "{}\n",
        json!({ "outcome": outcome, "entry": entry_json(entry), "others_of_id_at_ms": others })
    ))
}

fn card_json(view: &CardView<'_>, ids: &EventIds) -> String {
    let entry = |entry: &Entry| {
        let mut json = entry_json(entry);
        json["event_id"] = ids.of(entry).into();
        json
    };
    let entries: Vec<_> = view.state.all_entries().into_iter().map(entry).collect();
    let value = json!({
        "card_id": view.card_id,
        "version": view.version,
        "state_bytes": view.state_bytes,
        "profile_version": view.profile.map(|profile| profile.version),
        "accepted": view.state.next_seq(),
        "entries": entries,
    });
    format!("{value}\n")
}

fn entry_json(entry: &Entry) -> serde_json::Value {
    let label = entry.label.map(|(verdict, known_since_ms)| {
        let verdict = if verdict == Verdict::Fraud { "fraud" } else { "cleared" };
        json!({ "verdict": verdict, "known_since_ms": known_since_ms })
    });
    json!({
        "time_ms": entry.time_ms,
        "seq": entry.seq,
        "amount_base_minor": (entry.amount_base_minor != UNPRICED).then_some(entry.amount_base_minor),
        "country": entry.country.as_str(),
        "approved": entry.approved,
        "score": entry.outcome.score,
        "label": label,
    })
}
