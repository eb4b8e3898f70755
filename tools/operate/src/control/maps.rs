//! `tidemark map` on a deployment: publish, activate, rollback, deactivate, mend, history, show.

use std::path::Path;

use serde_json::json;
use terminal::clock::now_ms;
use terminal::error::{CliError, Exit};
use terminal::input::map_salt;
use terminal::ui::{self, paint, shown};
use tidemark_aws::admin::{Admin, Expected};
use tidemark_domain::control::item::CHANGE_PREFIX;
use tidemark_domain::control::maps::{
    MAP_LEAD_MS, MAP_TEXT_BYTES_MAX, MAPS, MapChangeError, MapText, MapTimeline, MapVersion, NO_MAP, map_key, map_name,
};
use tidemark_domain::control::{Change, ControlItem, Stamp};
use tidemark_mapping::{MapSalt, SALT_VARIABLE, StreamMap, StreamMapFault};

use super::map_args::{MapChangeArgs, PublishedMapCommand};
use super::plane::{Plane, Stored};
use super::{print, until};

/// A write of an activation that took longer may have come after somebody read the timeline before it, milliseconds.
pub const MAP_WRITE_MS_MAX: i64 = 30_000;
/// Changes that are read to find those of maps, at most.
const CHANGES_MAX: usize = 100_000;

/// Runs a verb. `login` is who is logged in.
///
/// # Errors
/// When a file, a version or the table is not what it should be, or somebody else was first.
pub async fn run(
    admin: &Admin,
    command: &PublishedMapCommand,
    login: Option<&str>,
    json: bool,
) -> Result<Exit, CliError> {
    let plane = |args| Plane::new(admin, args, login);
    match command {
        PublishedMapCommand::Publish {
            file,
            reason,
            plane: args,
        } => publish(&plane(args), file, reason, json).await,
        PublishedMapCommand::Activate {
            version,
            reason,
            plane: args,
        } => activate(&plane(args), version, reason, json).await,
        PublishedMapCommand::Rollback(MapChangeArgs { reason, plane: args }) => {
            rollback(&plane(args), reason, json).await
        }
        PublishedMapCommand::Deactivate(MapChangeArgs { reason, plane: args }) => {
            let plane = plane(args);
            let stored = timeline(&plane).await?;
            put_in_force(&plane, &stored, ("deactivate", None), reason, json).await
        }
        PublishedMapCommand::Mend {
            refused_by,
            then,
            reason,
            plane: args,
        } => mend(&plane(args), (refused_by, then), reason, json).await,
        PublishedMapCommand::History { limit, plane: args } => history(&plane(args), *limit as usize, json).await,
        PublishedMapCommand::Show { version, plane: args } => show(&plane(args), version, json).await,
    }
}

/// A map for the stream, of a text.
fn checked(text: &str, name: &str, salt: Option<&MapSalt>) -> Result<StreamMap, CliError> {
    StreamMap::parse(text, name, salt).map_err(|fault| match fault {
        StreamMapFault::NoSalt => CliError::input(
            "map_salt",
            format!("{name} hashes, and {SALT_VARIABLE} is not set here"),
            format!(
                "Export {SALT_VARIABLE} with the salt that the functions have (the parameter MapSalt of the template)."
            ),
        ),
        StreamMapFault::Text(problems) => {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            let advice = "docs/reference/map.md says what a published map is.";
            CliError::input("map", lines.join("\n"), advice)
        }
    })
}

async fn publish(plane: &Plane<'_>, file: &Path, reason: &str, json: bool) -> Result<Exit, CliError> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file)
        .map_err(|e| CliError::input("map_file", format!("{name}: {e}"), "Name a readable map (TOML)."))?;
    if text.len() > MAP_TEXT_BYTES_MAX {
        let what = format!("{name} has more than {MAP_TEXT_BYTES_MAX} bytes");
        return Err(CliError::input("map", what, "Take comments out."));
    }
    let salt = map_salt();
    let map = checked(&text, &name, salt.as_ref())?;
    let version = MapVersion::of(&text);
    let salt_mark = salt.filter(|_| map.is_salted()).and_then(|salt| salt.mark());
    if let Some(known) = stored_map(plane, version).await? {
        if known.text == text && known.salt_mark == salt_mark {
            let words = format!("map {version} is published already, with the same text\n");
            return Ok(print(
                json,
                &json!({ "version": version.to_string(), "changed": false }),
                &words,
            ));
        }
        return Err(CliError::refused(
            "map_exists",
            format!("map {version} is published already, with another salt or another text"),
            "With another salt every card is another card. If that is meant, change the text (a comment is enough), and publish that.",
        ));
    }
    let stamp = plane.stamp(reason, now_ms()).await?;
    let published = MapText {
        version,
        text,
        salt_mark,
        stamp: stamp.clone(),
    };
    let change = Change {
        item: ControlItem::Map,
        revision: 1,
        action: "publish".to_owned(),
        detail: format!("map {version}"),
        stamp,
    };
    let fields = published.to_fields();
    plane
        .change(&map_key(version), fields, Expected::Absent, &change)
        .await?;
    let words = format!(
        "map {version} is published; it is not in force.\n  activate:  tidemark map activate {version} --reason TEXT\n"
    );
    Ok(print(
        json,
        &json!({ "version": version.to_string(), "changed": true }),
        &words,
    ))
}

async fn stored_map(plane: &Plane<'_>, version: MapVersion) -> Result<Option<MapText>, CliError> {
    let fields = plane.raw(&map_key(version)).await?;
    let read = fields.map(|fields| MapText::from_fields(version, &fields)).transpose();
    read.map_err(|error| {
        let advice = "Delete the item (pk control, sk map#VERSION), and publish the text again.";
        CliError::refused("control_item", error, advice)
    })
}

/// A published map by its version.
async fn published(plane: &Plane<'_>, name: &str) -> Result<MapText, CliError> {
    let found = match MapVersion::from_name(name) {
        Some(version) => stored_map(plane, version).await?,
        None => None,
    };
    found.ok_or_else(|| {
        let what = format!("map {} was never published", shown(name));
        CliError::refused(
            "map_unknown",
            what,
            "Publish it first: tidemark map publish FILE --reason TEXT.",
        )
    })
}

async fn timeline(plane: &Plane<'_>) -> Result<Stored<MapTimeline>, CliError> {
    let stored = plane.read(MAPS, MapTimeline::from_fields).await?;
    if matches!(stored, Stored::Broken(_)) {
        return Err(CliError::refused(
            "control_item",
            "the item that says which map is in force since when can't be read",
            "Restore it (pk control, sk maps) from a backup of the table: records that arrived meanwhile wait, and are lost by no guess.",
        ));
    }
    Ok(stored)
}

fn unchanged(error: MapChangeError) -> CliError {
    let advice = match error {
        MapChangeError::ClockBehind => "Wait two minutes, and look whether this machine's clock is right.",
        MapChangeError::MendedAlready(_) => "Mend that map instead: tidemark map history shows the mends.",
        MapChangeError::MendsInCircle => "Publish a map of its own that judges them, and mend by that.",
        MapChangeError::TooManyActivations | MapChangeError::TooManyMaps => {
            "Change maps less often: docs/reference/map.md has the limits."
        }
    };
    CliError::refused("map_change", error, advice)
}

async fn activate(plane: &Plane<'_>, version: &str, reason: &str, json: bool) -> Result<Exit, CliError> {
    let map = published(plane, version).await?;
    let stored = timeline(plane).await?;
    put_in_force(plane, &stored, ("activate", Some(map.version)), reason, json).await
}

async fn rollback(plane: &Plane<'_>, reason: &str, json: bool) -> Result<Exit, CliError> {
    let stored = timeline(plane).await?;
    let activations = stored.good().map(MapTimeline::activations).unwrap_or_default();
    let Some((_, before)) = activations.split_last() else {
        return Err(CliError::refused(
            "no_previous_map",
            "no map was ever in force, so there is none to go back from",
            "tidemark map history shows what was in force.",
        ));
    };
    let map = before.last().and_then(|activation| activation.map);
    put_in_force(plane, &stored, ("rollback", map), reason, json).await
}

async fn put_in_force(
    plane: &Plane<'_>,
    stored: &Stored<MapTimeline>,
    (action, map): (&str, Option<MapVersion>),
    reason: &str,
    json: bool,
) -> Result<Exit, CliError> {
    let before = stored.good().cloned().unwrap_or_default();
    let last = before.activations().last().and_then(|activation| activation.map);
    if last == map {
        let words = format!("{} is in force already\n", in_words(map));
        return Ok(print(json, &json!({ "map": map_name(map), "changed": false }), &words));
    }
    let stamp = plane.stamp(reason, now_ms()).await?;
    // The time is taken last: the lead has to cover nothing but the write.
    let stamp = Stamp {
        at_ms: now_ms(),
        ..stamp
    };
    let after = before.activated(map, stamp.at_ms).map_err(unchanged)?;
    let change = Change {
        item: ControlItem::Maps,
        revision: after.revision,
        action: action.to_owned(),
        detail: format!("{} -> {}", map_name(last), map_name(map)),
        stamp: stamp.clone(),
    };
    plane
        .change(MAPS, after.to_fields(&stamp), stored.expected(), &change)
        .await?;
    let took_ms = now_ms() - stamp.at_ms;
    if !(0..=MAP_WRITE_MS_MAX).contains(&took_ms) {
        return Err(CliError::refused(
            "map_write_slow",
            format!(
                "the change took {took_ms} ms to be written, more than the {MAP_WRITE_MS_MAX} that its lead allows for"
            ),
            "It is made. Audit the minutes around it (tidemark audit): some records may have been judged by the map before.",
        ));
    }
    let since_ms = stamp.at_ms + MAP_LEAD_MS;
    let value = json!({
        "map": map_name(map), "before": map_name(last), "since_ms": since_ms, "revision": after.revision, "changed": true,
    });
    let words = format!(
        "{} is in force for records that arrive from {} on (before: {})\n  back:  tidemark map rollback --reason TEXT\n",
        in_words(map),
        until::show(since_ms),
        in_words(last)
    );
    Ok(print(json, &value, &words))
}

fn in_words(map: Option<MapVersion>) -> String {
    map.map_or_else(|| "no map".to_owned(), |version| format!("map {version}"))
}

async fn mend(plane: &Plane<'_>, (refused_by, then): (&str, &str), reason: &str, json: bool) -> Result<Exit, CliError> {
    let refused_by = match refused_by {
        NO_MAP => None,
        name => Some(published(plane, name).await?.version),
    };
    let then = published(plane, then).await?.version;
    let stored = timeline(plane).await?;
    let before = stored.good().cloned().unwrap_or_default();
    let after = before.mended(refused_by, then).map_err(unchanged)?;
    let stamp = plane.stamp(reason, now_ms()).await?;
    let change = Change {
        item: ControlItem::Maps,
        revision: after.revision,
        action: "mend".to_owned(),
        detail: format!("{} by {then}", map_name(refused_by)),
        stamp: stamp.clone(),
    };
    plane
        .change(MAPS, after.to_fields(&stamp), stored.expected(), &change)
        .await?;
    let value = json!({ "refused_by": map_name(refused_by), "then": then.to_string(), "revision": after.revision });
    let words = format!(
        "what {} refuses is judged by map {then} within 15 seconds\n  then:  tidemark redrive --source quarantine --reason unmapped\n",
        in_words(refused_by)
    );
    Ok(print(json, &value, &words))
}

async fn history(plane: &Plane<'_>, limit: usize, json: bool) -> Result<Exit, CliError> {
    let stored = timeline(plane).await?;
    let timeline = stored.good().cloned().unwrap_or_default();
    let items = plane
        .admin()
        .control_items(plane.table(), CHANGE_PREFIX, true, CHANGES_MAX)
        .await;
    let items = items.map_err(|e| plane.failed(&e))?;
    let changes = items.iter().filter_map(|(_, fields)| Change::from_fields(fields).ok());
    let changes = changes.filter(|change| matches!(change.item, ControlItem::Map | ControlItem::Maps));
    let changes: Vec<Change> = changes.take(limit).collect();
    let activations = timeline.activations().iter();
    let activations: Vec<_> = activations
        .map(|activation| json!({ "since_ms": activation.since_ms, "map": map_name(activation.map) }))
        .collect();
    let mends = timeline.mends().iter();
    let mends: Vec<_> = mends
        .map(|mend| json!({ "refused_by": map_name(mend.refused_by), "then": mend.then.to_string() }))
        .collect();
    let value = json!({ "activations": activations, "mends": mends, "changes": changes });
    let mut text = format!("{}\n", paint(ui::HEADING, "in force, by arrival:"));
    if timeline.activations().is_empty() {
        text += "  no map was ever in force\n";
    }
    for activation in timeline.activations() {
        text += &format!(
            "  from {}  {}\n",
            until::show(activation.since_ms),
            in_words(activation.map)
        );
    }
    for mend in timeline.mends() {
        text += &format!(
            "  what {} refuses, map {} judges\n",
            in_words(mend.refused_by),
            mend.then
        );
    }
    for change in &changes {
        text += &format!(
            "  {}  {:<11} {:<37} {}: {}\n",
            until::show(change.stamp.at_ms),
            shown(&change.action),
            shown(&change.detail),
            shown(&change.stamp.who),
            shown(&change.stamp.reason)
        );
    }
    Ok(print(json, &value, &text))
}

async fn show(plane: &Plane<'_>, version: &str, json: bool) -> Result<Exit, CliError> {
    let map = published(plane, version).await?;
    let value = json!({
        "version": map.version.to_string(), "text": map.text, "salted": map.salt_mark.is_some(), "at_ms": map.stamp.at_ms,
        "who": map.stamp.who, "reason": map.stamp.reason,
    });
    Ok(print(json, &value, &map.text))
}
