//! Lists as they are, and how they came to be so.

use serde_json::{Value, json};
use terminal::error::{CliError, Exit};
use terminal::list_file;
use terminal::ui::{grouped, shown};
use tidemark_domain::catalogue::KeyName;
use tidemark_domain::control::item::CHANGE_PREFIX;
use tidemark_domain::control::lists::NamedList;
use tidemark_domain::control::{Change, ControlItem};
use tidemark_domain::lists::{ListDraft, ListEntry};

use crate::control::plane::Plane;
use crate::control::{print, until};
use crate::lists;

/// All lists.
pub(super) async fn all(plane: &Plane<'_>, json: bool) -> Result<Exit, CliError> {
    let named = lists::named(plane.admin(), plane.table()).await;
    let named = named.map_err(|error| error.into_cli(|error| plane.failed(error)))?;
    let mut text = String::new();
    for list in named.all() {
        text += &format!(
            "{:<16} of {:<9} {:>9} entries  version {}  {} changes\n",
            list.name.as_str(),
            list.of.as_str(),
            grouped(list.entries),
            list.version,
            grouped(list.revision)
        );
    }
    if named.all().is_empty() {
        text += "there is no list; tidemark list add makes one\n";
    }
    let value: Vec<Value> = named.all().iter().map(document).collect();
    Ok(print(json, &json!({ "lists": value }), &text))
}

fn document(list: &NamedList) -> Value {
    json!({
        "list": list.name.as_str(), "of": list.of.as_str(), "version": list.version.to_string(), "entries": list.entries,
        "revision": list.revision,
    })
}

fn entry_document(entry: &ListEntry) -> Value {
    json!({
        "value": entry.value, "until_ms": entry.until_ms, "reason": entry.note.reason, "who": entry.note.who,
        "at_ms": entry.note.at_ms,
    })
}

/// The entries of a list; of those that are named, with who, when and why.
pub(super) async fn one(plane: &Plane<'_>, name: KeyName, values: &[String], json: bool) -> Result<Exit, CliError> {
    let failed = |error: lists::NoList| error.into_cli(|error| plane.failed(error));
    let named = lists::named(plane.admin(), plane.table()).await.map_err(failed)?;
    let list = named.find(name).ok_or_else(|| failed(lists::NoList::Absent(name)))?;
    let manifest = lists::manifest(plane.admin(), plane.table(), list)
        .await
        .map_err(failed)?;
    let mut draft = ListDraft::stored(&manifest);
    // An entry that can't be in the list is not in it.
    let spelt: Vec<Option<String>> = values.iter().map(|value| list.of.spelt(value).ok()).collect();
    let wanted = if values.is_empty() {
        draft.unread()
    } else {
        draft.wanted(spelt.iter().flatten().map(String::as_str))
    };
    let parts = lists::all_bytes(plane.admin(), plane.table(), wanted)
        .await
        .map_err(failed)?;
    for (key, bytes) in parts {
        draft
            .take(key, &bytes)
            .map_err(|error| failed(lists::NoList::Damaged(error)))?;
    }
    let mut value = document(list);
    if values.is_empty() {
        let mut entries: Vec<&ListEntry> = draft.entries().collect();
        entries.sort_by(|one, other| one.value.cmp(&other.value));
        let rows = entries
            .iter()
            .map(|entry| (entry.value.as_str(), entry.until_ms, entry.note.reason.as_str()));
        let text = if json { String::new() } else { list_file::render(rows) };
        value["all"] = entries.iter().map(|entry| entry_document(entry)).collect();
        return Ok(print(json, &value, &text));
    }
    let (mut text, mut found, mut absent) = (String::new(), Vec::new(), Vec::new());
    for (value, spelt) in values.iter().zip(&spelt) {
        match spelt.as_ref().and_then(|spelt| draft.find(spelt)) {
            Some(entry) => {
                text += &words(entry);
                found.push(entry_document(entry));
            }
            None => {
                text += &format!("{} is not in {name}\n", shown(value));
                absent.push(value.as_str());
            }
        }
    }
    value["found"] = found.into();
    value["absent"] = json!(absent);
    let is_whole = absent.is_empty();
    print(json, &value, &text);
    Ok(if is_whole { Exit::Ok } else { Exit::Nothing })
}

fn words(entry: &ListEntry) -> String {
    let until = entry.until_ms.map_or_else(
        || "for ever".to_owned(),
        |until_ms| format!("until {}", until::show(until_ms)),
    );
    format!(
        "{}  {until}  since {} by {}: {}\n",
        shown(&entry.value),
        until::show(entry.note.at_ms),
        shown(&entry.note.who),
        shown(&entry.note.reason)
    )
}

/// The changes of a list, or of all.
pub(super) async fn history(
    plane: &Plane<'_>,
    name: Option<KeyName>,
    limit: usize,
    json: bool,
) -> Result<Exit, CliError> {
    let items = plane
        .admin()
        .control_items(plane.table(), CHANGE_PREFIX, true, limit)
        .await
        .map_err(|error| plane.failed(&error))?;
    let prefix = name.map_or_else(String::new, |name| format!("{name}: "));
    let changes = items.iter().filter_map(|(_, fields)| Change::from_fields(fields).ok());
    let changes: Vec<Change> = changes
        .filter(|change| change.item == ControlItem::Lists && change.detail.starts_with(&prefix))
        .collect();
    let mut text = String::new();
    for change in &changes {
        text += &format!(
            "{}  {:<6} {}  by {}: {}\n",
            until::show(change.stamp.at_ms),
            change.action,
            shown(&change.detail),
            shown(&change.stamp.who),
            shown(&change.stamp.reason)
        );
    }
    if changes.is_empty() {
        text += &format!(
            "no change of it among the newest {} of the control plane\n",
            grouped(items.len() as u64)
        );
    }
    let value = json!({ "changes": changes, "looked_through": items.len() });
    Ok(print(json, &value, &text))
}
