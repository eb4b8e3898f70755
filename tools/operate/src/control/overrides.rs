//! `tidemark override`: decide for one card, until a time.

use serde_json::json;
use terminal::clock::now_ms;
use terminal::error::{CliError, Exit};
use terminal::ui::{self, shown};
use tidemark_aws::admin::Admin;
use tidemark_domain::contract::mask_card_numbers;
use tidemark_domain::control::item::OVERRIDES;
use tidemark_domain::control::{
    Change, ControlItem, OVERRIDES_BYTES_MAX, OVERRIDES_MAX, Override, OverrideAction, Overrides, Stamp,
};
use tidemark_domain::id::CardId;

use super::args::{OverrideCommand, OverrideName};
use super::plane::{Plane, Stored};
use super::{print, until};

/// How often a change is made again on top of another operator's: changes of different cards do not contradict.
const ATTEMPTS_MAX: u32 = 5;

/// Runs a verb. `login` is who is logged in.
///
/// # Errors
/// When card, end or table are not what they should be, or others change overrides all the time.
pub async fn run(admin: &Admin, command: &OverrideCommand, login: Option<&str>, json: bool) -> Result<Exit, CliError> {
    match command {
        OverrideCommand::List { plane } => list(&Plane::new(admin, plane, login), json).await,
        OverrideCommand::Card {
            card,
            action,
            until,
            reason,
            plane,
        } => {
            let plane = Plane::new(admin, plane, login);
            let card = card_of(card)?;
            let now_ms = now_ms();
            let stamp = plane.stamp(reason, now_ms).await?;
            let action = match action {
                OverrideName::Allow => Some(OverrideAction::Allow),
                OverrideName::Block => Some(OverrideAction::Block),
                OverrideName::Clear => None,
            };
            let new = match action {
                None => None,
                Some(action) => Some(Override {
                    card_id: card.clone(),
                    action,
                    until_ms: until::parse(until.as_deref(), now_ms)?,
                    stamp: stamp.clone(),
                }),
            };
            set(&plane, &card, new, &stamp, json).await
        }
    }
}

fn card_of(text: &str) -> Result<CardId, CliError> {
    let advice = "Give the card_id as the producer writes it: a token, never a card number.";
    let card =
        CardId::new(text).ok_or_else(|| CliError::input("card_id", "a card's token has 1 to 128 bytes", advice))?;
    // The contract accepts no such card, and what is stored here is shown to everybody (I9).
    match mask_card_numbers(text.as_bytes()) {
        std::borrow::Cow::Borrowed(_) => Ok(card),
        std::borrow::Cow::Owned(_) => Err(CliError::input("card_id", "that is a card number, not a token", advice)),
    }
}

async fn stored(plane: &Plane<'_>) -> Result<Stored<Overrides>, CliError> {
    let stored = plane.read(OVERRIDES, Overrides::from_fields).await?;
    if matches!(stored, Stored::Broken(_)) {
        return Err(CliError::refused(
            "control_item",
            "the list of overrides was broken by hand; setting one would lose the others",
            "Mend or delete the item (pk control, sk overrides), then set them again; functions keep the last good list until then.",
        ));
    }
    Ok(stored)
}

async fn set(
    plane: &Plane<'_>,
    card: &CardId,
    new: Option<Override>,
    stamp: &Stamp,
    json: bool,
) -> Result<Exit, CliError> {
    let mut attempt = 1;
    loop {
        let stored = stored(plane).await?;
        let before = stored.good().cloned().unwrap_or_default();
        let mut next = before.changed(card, new.clone(), stamp.at_ms);
        if new.is_none() && !before.knows(card) {
            let what = format!("card {} has no override", shown(card.as_str()));
            return Err(CliError::input("no_override", what, "See tidemark override list."));
        }
        let fitted = next.fit();
        if new.is_some() && (next.list().len() > OVERRIDES_MAX || fitted.is_none()) {
            return Err(CliError::refused(
                "override_limit",
                format!(
                    "there is no room for another override: {OVERRIDES_MAX}, or {OVERRIDES_BYTES_MAX} bytes of them"
                ),
                "Clear some. More cards are a list that the policy declares with `overrides`.",
            ));
        }
        let detail = match &new {
            Some(new) => format!("{card} {} until {}", new.action.as_str(), until::show(new.until_ms)),
            None => format!("{card} clear"),
        };
        let change = Change {
            item: ControlItem::Overrides,
            revision: next.revision,
            action: "override".to_owned(),
            detail: detail.clone(),
            stamp: stamp.clone(),
        };
        let expected = stored.expected();
        match plane.change(OVERRIDES, next.to_fields(stamp), expected, &change).await {
            Err(error) if error.code == "control_conflict" && attempt < ATTEMPTS_MAX => attempt += 1,
            Err(error) => return Err(error),
            Ok(()) => {
                let left_out = fitted.unwrap_or(0);
                if left_out > 0 {
                    ui::note(&format!(
                        "{left_out} overrides that ended first are no longer kept: records that arrived before their end and still wait are judged without them"
                    ));
                }
                let value = json!({
                    "card_id": card, "override": new, "overrides": next.list().len(),
                    "ended_kept": next.ended().len(), "ended_left_out": left_out,
                });
                let text = format!("{}, within 10 seconds\n", shown(&detail));
                return Ok(print(json, &value, &text));
            }
        }
    }
}

async fn list(plane: &Plane<'_>, json: bool) -> Result<Exit, CliError> {
    let stored = stored(plane).await?;
    let now_ms = now_ms();
    let list = stored
        .good()
        .map_or_else(Vec::new, |overrides| overrides.list().to_vec());
    let ended_now = list.iter().filter(|found| found.until_ms <= now_ms).count();
    let ended = stored.good().map_or(0, |overrides| overrides.ended().len()) + ended_now;
    let list: Vec<Override> = list.into_iter().filter(|found| found.until_ms > now_ms).collect();
    let mut text = String::new();
    for found in &list {
        text += &format!(
            "{:<32} {:<5} until {}  {}: {}\n",
            shown(found.card_id.as_str()),
            found.action.as_str(),
            until::show(found.until_ms),
            shown(&found.stamp.who),
            shown(&found.stamp.reason)
        );
    }
    if list.is_empty() {
        text += "no override is in force\n";
    }
    if ended > 0 {
        text += &format!("{ended} ended and are kept for records that arrived before their end and still wait\n");
    }
    Ok(print(json, &json!({ "overrides": list, "ended_kept": ended }), &text))
}
