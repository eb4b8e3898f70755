//! `tidemark explain`: a card's stored state, its windows and outcomes, and why.

use serde_json::json;
use tidemark_aws::admin::{Admin, Item, ItemValue};
use tidemark_aws::item;
use tidemark_domain::card::{CardState, Entry};
use tidemark_domain::event::{Profile, Verdict};
use tidemark_domain::id::{CardId, EventId, fingerprint32};
use tidemark_domain::outcome::render_json;

use crate::cli::ExplainArgs;
use crate::error::{CliError, Exit};
use crate::explain_view::{self, CardView};
use crate::files;
use crate::ui;

/// Shows a card, or one event of it.
///
/// # Errors
/// When the table can't be read, or holds no such card or event.
pub async fn run(admin: &Admin, args: &ExplainArgs, json: bool) -> Result<Exit, CliError> {
    let policy = files::policy(args.policy.as_deref())?;
    let card = CardId::new(&args.card).ok_or_else(|| {
        CliError::input(
            "card_id",
            "a card's token has 1 to 128 bytes",
            "Give the card_id as the producer writes it.",
        )
    })?;
    let key = item::partition_key(&card);
    let (state, version, state_bytes) = stored_state(admin, &args.table, &key, &card).await?;
    let profile = stored_profile(admin, &args.table, &key, &card).await?;
    let view = CardView {
        card_id: card.as_str(),
        state: &state,
        version,
        state_bytes,
        profile: profile.as_ref(),
        policy: &policy,
    };
    let text = match (&args.event, json) {
        (Some(event), false) => explain_view::render_event(&view, event).ok_or_else(|| no_event(&card))?,
        (Some(event), true) => event_json(&card, &state, event).ok_or_else(|| no_event(&card))?,
        (None, false) => explain_view::render_card(&view),
        (None, true) => card_json(&view),
    };
    ui::out(&text);
    Ok(Exit::Ok)
}

fn no_event(card: &CardId) -> CliError {
    CliError::input(
        "no_such_event",
        format!("card {card} has no such event in its kept history"),
        "Check the event id; `tidemark explain CARD` lists the newest events. Events past retention are gone.",
    )
}

async fn stored_state(
    admin: &Admin,
    table: &str,
    key: &str,
    card: &CardId,
) -> Result<(CardState, u64, usize), CliError> {
    let item = get(admin, table, key, item::STATE).await?.ok_or_else(|| {
        CliError::input(
            "no_such_card",
            format!("table {table} has no state of card {card}"),
            "Check the card's token, --table, AWS_ENDPOINT_URL_DYNAMODB and AWS_REGION.",
        )
    })?;
    let (version, bytes) = parts(&item).ok_or_else(|| broken("state", card, "an attribute is missing"))?;
    let state = CardState::decode(bytes).map_err(|e| broken("state", card, &e.to_string()))?;
    Ok((state, version, bytes.len()))
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

fn event_json(card: &CardId, state: &CardState, event: &str) -> Option<String> {
    let id = EventId::new(event)?;
    let fingerprint = fingerprint32(event);
    let entry = state
        .entries()
        .iter()
        .rev()
        .find(|entry| entry.event_fp == fingerprint)?;
    let outcome: serde_json::Value = serde_json::from_slice(&render_json(card, &id, entry)).ok()?;
    Some(format!(
        "{}\n",
        json!({ "outcome": outcome, "entry": entry_json(entry) })
    ))
}

fn card_json(view: &CardView<'_>) -> String {
    let entries: Vec<_> = view.state.entries().iter().map(entry_json).collect();
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
        "amount_base_minor": entry.amount_base_minor,
        "country": entry.country.as_str(),
        "approved": entry.approved,
        "score": entry.outcome.score,
        "label": label,
    })
}
