//! `tidemark explain --key NAME ID`: what labels say of a key beyond the card.

use std::fmt::Write as _;

use serde_json::json;
use terminal::error::{CliError, Exit};
use terminal::ui;
use terminal::when;
use tidemark_aws::admin::{Admin, ItemValue};
use tidemark_aws::item;
use tidemark_domain::catalogue::KeyName;
use tidemark_domain::id::fingerprint64;
use tidemark_domain::labelled::{LabelledEvent, LabelledHistory};
use tidemark_engine::port::KeyId;

/// Labels that are listed, the newest events first.
const LABELS_LISTED_MAX: usize = 40;

/// Shows a key's labelled history.
///
/// # Errors
/// When the table can't be read, or holds no such key.
pub async fn run(admin: &Admin, table: &str, name: &str, id: &str, json: bool) -> Result<Exit, CliError> {
    let Some(key_name) = KeyName::new(name) else {
        let what = format!("--key {name}: not the name of a key");
        return Err(CliError::input(
            "no_such_key",
            what,
            "Give the name that the policy's [[keys]] has.",
        ));
    };
    let key = KeyId {
        name: key_name,
        identity: identity(name, id),
    };
    let found = super::get(admin, table, &item::key_partition(key), item::LABELLED).await?;
    let bytes = match found.as_ref().and_then(|item| item.get(item::BYTES)) {
        Some(ItemValue::Binary(bytes)) => bytes,
        _ => {
            let what = format!("no label has taught the {name} of this id anything");
            return Err(CliError::input(
                "no_such_key",
                what,
                "Check the name and the id; only what labels called fraud is kept.",
            ));
        }
    };
    let history = LabelledHistory::decode(bytes).map_err(|error| {
        CliError::input(
            "state_corrupt",
            format!("the {name}'s item: {error}"),
            "Restore the item from the table's point-in-time recovery.",
        )
    })?;
    ui::out(&if json {
        as_json(name, &history)
    } else {
        as_text(name, id, &history)
    });
    Ok(Exit::Ok)
}

/// What stands for a key: the fingerprint of its id, or the one that a log's line has, as in `terminal#0123456789abcdef`.
fn identity(name: &str, id: &str) -> u64 {
    let logged = id.strip_prefix(name).and_then(|rest| rest.strip_prefix('#'));
    let logged = logged.filter(|digits| digits.len() == 16);
    let logged = logged.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    logged.unwrap_or_else(|| fingerprint64(id))
}

fn explained(label: &LabelledEvent) -> &'static str {
    match label.explained {
        Some(true) => "explained by its card",
        Some(false) => "not explained by its card",
        None => "its card had forgotten it",
    }
}

fn as_text(name: &str, id: &str, history: &LabelledHistory) -> String {
    let mut text = format!("{name} {id}\n  {} labels", history.version());
    if history.forgotten() > 0 {
        let _ = write!(text, ", {} of them forgotten", history.forgotten());
    }
    text.push('\n');
    for label in history.labels().iter().rev().take(LABELS_LISTED_MAX) {
        let _ = writeln!(
            text,
            "  {}  {:<8} known since {}  {}",
            when::instant(label.time_ms),
            label.verdict.as_str(),
            when::instant(label.known_since_ms),
            explained(label)
        );
    }
    text
}

fn as_json(name: &str, history: &LabelledHistory) -> String {
    let labels = history.labels().iter().map(|label| {
        json!({
            "occurred_at_ms": label.time_ms,
            "event": format!("{:016x}", label.event),
            "verdict": label.verdict,
            "known_since_ms": label.known_since_ms,
            "explained": label.explained,
        })
    });
    let labels: Vec<serde_json::Value> = labels.collect();
    json!({"key": name, "version": history.version(), "forgotten": history.forgotten(), "labels": labels}).to_string()
        + "\n"
}
