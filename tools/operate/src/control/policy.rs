//! `tidemark policy`: validate, diff, publish, activate, rollback, history.

use std::path::Path;

use serde_json::json;
use terminal::clock::now_ms;
use terminal::error::{CliError, Exit};
use terminal::files;
use terminal::ui::{self, paint, shown};
use tidemark_aws::admin::{Admin, Expected};
use tidemark_domain::control::diff::{Difference, Effect, diff, may_follow};
use tidemark_domain::control::item::{ACTIVE, CHANGE_PREFIX, policy_key};
use tidemark_domain::control::{
    ActivePointer, Change, ControlItem, OWN_POLICY, POLICY_TEXT_BYTES_MAX, PolicyVersion, text_hash,
};
use tidemark_domain::lifetime;
use tidemark_domain::policy::Policy;

use super::args::{PolicyCommand, StreamArgs};
use super::plane::{Plane, Stored};
use super::{print, until};

const MS_PER_HOUR: i64 = 3_600_000;

/// Runs a verb. `login` is who is logged in.
///
/// # Errors
/// When a file, a version or the table is not what it should be, or somebody else was first.
pub async fn run(admin: &Admin, command: &PolicyCommand, login: Option<&str>, json: bool) -> Result<Exit, CliError> {
    let plane = |args| Plane::new(admin, args, login);
    match command {
        PolicyCommand::Validate { file } => validate(file, json),
        PolicyCommand::Diff {
            before,
            after,
            plane: args,
        } => show_diff(&plane(args), before, after, json).await,
        PolicyCommand::Publish {
            file,
            reason,
            plane: args,
            stream,
        } => publish(&plane(args), stream, file, reason, json).await,
        PolicyCommand::Activate {
            version,
            reason,
            plane: args,
            stream,
        } => activate(&plane(args), stream, *version, reason, json).await,
        PolicyCommand::Rollback { reason, plane: args } => rollback(&plane(args), reason, json).await,
        PolicyCommand::History { limit, plane: args } => history(&plane(args), *limit as usize, json).await,
    }
}

fn validate(file: &Path, json: bool) -> Result<Exit, CliError> {
    let policy = files::policy(Some(file))?;
    let text = read(file)?;
    let value = json!({ "version": policy.version, "hash": text_hash(&text), "features": policy.features().len() });
    let words = format!(
        "{} version {}, {} features, {} of them weighed; hash {}\n",
        paint(ui::GOOD, "sound:"),
        policy.version,
        policy.features().len(),
        policy.weights().len(),
        text_hash(&text)
    );
    Ok(print(json, &value, &words))
}

fn read(file: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(file).map_err(|e| {
        CliError::input(
            "policy_file",
            format!("{}: {e}", file.display()),
            "Name a readable policy file (TOML).",
        )
    })
}

/// A policy by what a person calls it.
async fn named(plane: &Plane<'_>, name: &str) -> Result<Policy, CliError> {
    if name == "built-in" {
        return Ok(Policy::default_policy());
    }
    if name == "active" {
        let stored = plane.pointer().await?;
        return plane
            .usable(stored.good().map_or(OWN_POLICY, |pointer| pointer.active))
            .await;
    }
    match name.parse() {
        Ok(version) => plane.usable(version).await,
        Err(_) => files::policy(Some(Path::new(name))),
    }
}

async fn show_diff(plane: &Plane<'_>, before: &str, after: &str, json: bool) -> Result<Exit, CliError> {
    let (old, new) = (named(plane, before).await?, named(plane, after).await?);
    let differences = diff(&old, &new);
    let value = json!({ "before": old.version, "after": new.version, "differences": differences });
    let mut text = format!("version {} → version {}\n", old.version, new.version);
    text += &render(&differences);
    Ok(print(json, &value, &text))
}

fn render(differences: &[Difference]) -> String {
    let mut text = String::new();
    for difference in differences {
        text += &format!("  {:<32} {}", difference.key, change_of(difference));
        if difference.effect != Effect::Scores {
            text += &format!("   {}", paint(ui::WARN, difference.effect.as_str()));
        }
        text.push('\n');
    }
    if differences.is_empty() {
        text += "  no difference\n";
    }
    text
}

/// What became of a value: of a list, only what was added and what was taken out.
fn change_of(difference: &Difference) -> String {
    let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "—".to_owned());
    let whole = || format!("{} → {}", side(&difference.before), side(&difference.after));
    let (Some(before), Some(after)) = (&difference.before, &difference.after) else {
        return whole();
    };
    let (before, after) = (members(before), members(after));
    if before.len().max(after.len()) < 2 {
        return whole();
    }
    let added = after.iter().filter(|member| !before.contains(member));
    let gone = before.iter().filter(|member| !after.contains(member));
    let changes: Vec<String> = gone
        .map(|member| format!("- {member}"))
        .chain(added.map(|member| format!("+ {member}")))
        .collect();
    if changes.is_empty() {
        return "the same in another order".to_owned();
    }
    changes.join("  ")
}

/// The members of a list or of a group as [`diff`] writes them: `a b`, `[1, 2]` or `Name { a: 1, b: 2 }`.
fn members(value: &str) -> Vec<&str> {
    let inner = |open, close| {
        value
            .split_once(open)
            .and_then(|(_, rest)| rest.trim_end().strip_suffix(close))
    };
    match inner('{', '}').or_else(|| inner('[', ']')) {
        Some(list) => list
            .split(", ")
            .map(str::trim)
            .filter(|member| !member.is_empty())
            .collect(),
        None => value.split(' ').collect(),
    }
}

async fn publish(
    plane: &Plane<'_>,
    stream: &StreamArgs,
    file: &Path,
    reason: &str,
    json: bool,
) -> Result<Exit, CliError> {
    let text = read(file)?;
    let name = file.display().to_string();
    // With the model that it names as the functions will find it, not as it lies beside the file.
    let policy = plane.policy_of(&text, &name).await?;
    let Published { hash, is_known } = publish_text(plane, stream, (&name, text), &policy, reason).await?;
    let version = policy.version;
    let text = if is_known {
        format!("version {version} is published already, with the same text\n")
    } else {
        format!(
            "version {version} is published (hash {hash}); it is not in force.\n  try it:    tidemark rollout 10 --candidate {version} --reason TEXT\n  activate:  tidemark policy activate {version} --reason TEXT\n"
        )
    };
    Ok(print(json, &json!({ "version": version, "hash": hash }), &text))
}

/// A version that is kept for ever.
pub(super) struct Published {
    /// The text's hash.
    hash: String,
    /// It was published before, with the same text.
    is_known: bool,
}

/// Keeps a policy's text, of a file of this name, under its version.
pub(super) async fn publish_text(
    plane: &Plane<'_>,
    stream: &StreamArgs,
    (name, text): (&str, String),
    policy: &Policy,
    reason: &str,
) -> Result<Published, CliError> {
    if text.len() > POLICY_TEXT_BYTES_MAX {
        let what = format!("{name} has more than {POLICY_TEXT_BYTES_MAX} bytes");
        return Err(CliError::input("policy_too_large", what, "Take comments out."));
    }
    let version = policy.version;
    let taken = || {
        CliError::refused(
            "policy_exists",
            format!("version {version} is another text already: outcomes that name it must mean one policy for ever"),
            "Give the text a version of its own, and publish that.",
        )
    };
    if version == Policy::default_policy().version && text != Policy::default_text() {
        return Err(taken());
    }
    check_stream(plane, stream, policy).await?;
    plane.check_lists(policy).await?;
    let stamp = plane.stamp(reason, now_ms()).await?;
    let published = PolicyVersion {
        version,
        text,
        stamp: stamp.clone(),
    };
    let hash = published.hash();
    match plane.published(version).await? {
        Some(known) if known.text == published.text => return Ok(Published { hash, is_known: true }),
        Some(_) => return Err(taken()),
        None => {}
    }
    let change = Change {
        item: ControlItem::Policy,
        revision: version.into(),
        action: "publish".to_owned(),
        detail: format!("version {version}, hash {hash}"),
        stamp,
    };
    plane
        .change(&policy_key(version), published.to_fields(), Expected::Absent, &change)
        .await?;
    Ok(Published { hash, is_known: false })
}

/// Whether everything that is stored outlives the records of the stream, by the lateness that the policy allows. Where the
/// stream can't be looked at, that is said and holds nobody up.
async fn check_stream(plane: &Plane<'_>, stream: &StreamArgs, policy: &Policy) -> Result<(), CliError> {
    let stream = &plane.stream(stream);
    match plane.admin().stream_info(stream).await {
        Ok(info) => check_retention(stream, info.retention_h, policy),
        Err(error) => {
            ui::note(&format!(
                "the retention of stream {stream} can't be read, so it was not held against the policy: {error}"
            ));
            Ok(())
        }
    }
}

fn check_retention(stream: &str, retention_h: u32, policy: &Policy) -> Result<(), CliError> {
    let kept_ms = i64::from(retention_h) * MS_PER_HOUR;
    let kept_ms_max = lifetime::stream_retention_ms_max(policy.bounds.lateness_ms);
    if kept_ms <= kept_ms_max {
        return Ok(());
    }
    Err(CliError::refused(
        "policy_retention",
        format!(
            "stream {stream} keeps records for {retention_h} h, and with events up to {} h late they could come again after the cards that know them have expired: at most {} h fit this policy",
            policy.bounds.lateness_ms / MS_PER_HOUR,
            kept_ms_max / MS_PER_HOUR
        ),
        "Lower bounds.lateness_ms in the policy, or the stream's retention.",
    ))
}

async fn activate(
    plane: &Plane<'_>,
    stream: &StreamArgs,
    version: u32,
    reason: &str,
    json: bool,
) -> Result<Exit, CliError> {
    let policy = plane.usable(version).await?;
    let stored = plane.pointer().await?;
    let current = stored.good().map_or(OWN_POLICY, |pointer| pointer.active);
    if current == version && !matches!(stored, Stored::Broken(_)) {
        let text = format!("{} is in force already\n", name_of(version));
        return Ok(print(json, &json!({ "active": version, "changed": false }), &text));
    }
    let before = plane.usable(current).await.ok();
    if let Some(before) = &before
        && !may_follow(before, &policy)
    {
        return Err(CliError::refused(
            "policy_base_currency",
            format!(
                "{} counts in {}, the stored amounts are in {}",
                name_of(version),
                policy.currency.base.as_str(),
                before.currency.base.as_str()
            ),
            "Amounts in histories would be taken for another currency. Use another table for it.",
        ));
    }
    check_stream(plane, stream, &policy).await?;
    plane.check_lists(&policy).await?;
    let stamp = plane.stamp(reason, now_ms()).await?;
    let pointer = repaired(&stored, ActivePointer::activated(stored.good(), version, stamp));
    point(
        plane,
        &stored,
        pointer,
        "activate",
        before.as_ref().map(|before| diff(before, &policy)),
        json,
    )
    .await
}

/// A broken item has no revision to count on from: the time is above every count.
fn repaired(stored: &Stored<ActivePointer>, pointer: ActivePointer) -> ActivePointer {
    match stored {
        Stored::Broken(_) => ActivePointer {
            revision: pointer.stamp.at_ms.unsigned_abs(),
            previous: None,
            ..pointer
        },
        Stored::Absent | Stored::Good(..) => pointer,
    }
}

async fn rollback(plane: &Plane<'_>, reason: &str, json: bool) -> Result<Exit, CliError> {
    let stored = plane.pointer().await?;
    let stamp = plane.stamp(reason, now_ms()).await?;
    let back = stored.good().and_then(|pointer| pointer.rolled_back(stamp));
    let Some(pointer) = back else {
        return Err(CliError::refused(
            "no_previous_policy",
            "there is no version before to go back to",
            "Name the version: tidemark policy history, then tidemark policy activate V --reason TEXT.",
        ));
    };
    plane.usable(pointer.active).await?;
    point(plane, &stored, pointer, "rollback", None, json).await
}

async fn point(
    plane: &Plane<'_>,
    stored: &Stored<ActivePointer>,
    pointer: ActivePointer,
    action: &str,
    differences: Option<Vec<Difference>>,
    json: bool,
) -> Result<Exit, CliError> {
    let from = stored.good().map_or(OWN_POLICY, |pointer| pointer.active);
    let change = Change {
        item: ControlItem::Active,
        revision: pointer.revision,
        action: action.to_owned(),
        detail: format!("{from} -> {}", pointer.active),
        stamp: pointer.stamp.clone(),
    };
    let expected = stored.expected();
    plane.change(ACTIVE, pointer.to_fields(), expected, &change).await?;
    let value = json!({
        "active": pointer.active, "before": from, "revision": pointer.revision, "changed": true,
        "rollout": pointer.rollout, "differences": differences,
    });
    let mut text = format!(
        "{} is in force within 15 seconds (before: {})\n",
        name_of(pointer.active),
        name_of(from)
    );
    text += &differences.map_or_else(String::new, |differences| render(&differences));
    if pointer.previous.is_some() {
        text += "  back:  tidemark policy rollback --reason TEXT\n";
    }
    Ok(print(json, &value, &text))
}

/// A version for a person.
pub(super) fn name_of(version: u32) -> String {
    if version == OWN_POLICY {
        "the functions' own policy".to_owned()
    } else {
        format!("version {version}")
    }
}

async fn history(plane: &Plane<'_>, limit: usize, json: bool) -> Result<Exit, CliError> {
    let stored = plane.pointer().await?;
    let items = plane
        .admin()
        .control_items(plane.table(), CHANGE_PREFIX, true, limit)
        .await
        .map_err(|e| plane.failed(&e))?;
    let changes: Vec<Change> = items
        .iter()
        .filter_map(|(_, fields)| Change::from_fields(fields).ok())
        .collect();
    let active = stored.good().map_or(OWN_POLICY, |pointer| pointer.active);
    let rollout = stored.good().and_then(|pointer| pointer.rollout);
    let value = json!({
        "active": active, "previous": stored.good().and_then(|pointer| pointer.previous), "rollout": rollout, "changes": changes,
    });
    let mut text = format!("{} {}", paint(ui::HEADING, "in force:"), name_of(active));
    if let Some(rollout) = rollout {
        text += &format!(
            "; version {} is tried on {} % of the cards",
            rollout.candidate, rollout.share_pct
        );
    }
    text.push('\n');
    for change in &changes {
        text += &format!(
            "  {}  {:<9} {:<9} {:<28} {}: {}\n",
            until::show(change.stamp.at_ms),
            change.item.as_str(),
            shown(&change.action),
            shown(&change.detail),
            shown(&change.stamp.who),
            shown(&change.stamp.reason)
        );
    }
    Ok(print(json, &value, &text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(before: &str, after: &str) -> String {
        let text = Policy::default_text();
        assert!(text.contains(before), "{before}");
        let parse = |text: &str| Policy::parse(text, "test").unwrap();
        render(&diff(&parse(text), &parse(&text.replacen(before, after, 1))))
    }

    #[test]
    fn one_addition_to_a_list_is_said_as_one() {
        let policy = Policy::default_policy();
        let feature = policy.features().last().unwrap().to_string();
        let difference = Difference {
            key: "features".to_owned(),
            before: Some("count_1h sum_1h".to_owned()),
            after: Some(format!("count_1h sum_1h {feature}")),
            effect: Effect::Scores,
        };
        assert_eq!(change_of(&difference), format!("+ {feature}"));
        let list = |before: &str, after: &str| {
            change_of(&Difference {
                key: "windows_minutes".to_owned(),
                before: Some(before.to_owned()),
                after: Some(after.to_owned()),
                effect: Effect::History,
            })
        };
        assert_eq!(list("[60, 1440]", "[60, 1440, 10080]"), "+ 10080");
        assert_eq!(list("[60, 1440]", "[1440]"), "- 60");
        assert_eq!(list("800", "850"), "800 → 850");
        assert_eq!(list("[60]", "[70]"), "[60] → [70]");
        let bounds = changed("alert = 800", "alert = 850");
        assert_eq!(bounds.lines().count(), 1, "{bounds}");
    }

    #[test]
    fn of_the_bounds_only_what_differs_is_said() {
        let text = render(&[Difference {
            key: "bounds".to_owned(),
            before: Some("Bounds { skew_ms: 1, lateness_ms: 2 }".to_owned()),
            after: Some("Bounds { skew_ms: 1, lateness_ms: 3 }".to_owned()),
            effect: Effect::Accepts,
        }]);
        assert!(text.contains(" - lateness_ms: 2  + lateness_ms: 3 "), "{text}");
    }

    #[test]
    fn a_stream_that_outlives_what_is_stored_is_refused() {
        let mut policy = Policy::default_policy();
        let year_h = 365 * 24;
        assert!(check_retention("s", year_h, &policy).is_ok(), "Kinesis keeps no longer");
        policy.bounds.lateness_ms = lifetime::HORIZON_MS_MAX;
        let most_h = u32::try_from(lifetime::stream_retention_ms_max(lifetime::HORIZON_MS_MAX) / MS_PER_HOUR).unwrap();
        assert!(check_retention("s", most_h, &policy).is_ok());
        let error = check_retention("s", most_h + 1, &policy).unwrap_err();
        assert_eq!((error.code, error.exit), ("policy_retention", Exit::Failed));
    }
}
