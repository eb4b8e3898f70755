//! `tidemark mode`: show or set how the functions work.

use serde_json::{Value, json};
use terminal::clock::now_ms;
use terminal::error::{CliError, Exit};
use terminal::ui::{self, paint, shown};
use tidemark_aws::admin::{Admin, AdminError};
use tidemark_domain::control::item::MODE;
use tidemark_domain::control::{Change, ControlItem, Mode, ModeSetting};

use super::args::{ModeArgs, ModeName};
use super::plane::{Plane, Stored};
use super::{mapping, print, until};

/// Shows or sets the mode, or gives the mapping its own record age back. `login` is who is logged in.
///
/// # Errors
/// When the table or the mapping can't be changed, or somebody else was first.
pub async fn run(admin: &Admin, args: &ModeArgs, login: Option<&str>, json: bool) -> Result<Exit, CliError> {
    let plane = Plane::new(admin, &args.plane, login);
    let stored = plane.read(MODE, ModeSetting::from_fields).await?;
    if args.restore_record_age {
        return restore_record_age(&plane, args, &stored, json).await;
    }
    let Some(mode) = args.mode.map(mode_of) else {
        return Ok(show(&stored, json));
    };
    let before = stored.good().map_or(Mode::Live, |setting| setting.mode);
    let polls = mode != Mode::Paused;
    let function = args.function();
    let turns = !args.keep_mapping && (!polls || before == Mode::Paused);
    // What the mappings need is known before anything is changed: without it a backlog might be given up.
    let lifts = match turns && polls {
        true => {
            let lifts = mapping::lifts(admin, &function).await;
            Some(lifts.map_err(|e| not_begun(&function, &e))?)
        }
        false => None,
    };
    let lifted = lifts.as_deref().unwrap_or_default();
    let own_age_s = lifted.iter().filter(|lift| lift.age_s.is_some());
    let own_age_s = own_age_s.filter_map(|lift| lift.mapping.record_age_s).min();
    let record_age_s = stored.good().and_then(|setting| setting.record_age_s).or(own_age_s);
    let detail = format!("{} -> {}", before.as_str(), mode.as_str());
    let action = mode.as_str();
    let setting = change(&plane, args, &stored, (mode, record_age_s), (action, &detail)).await?;
    // The functions know first, the mapping follows: a batch that comes in between is held, not refused.
    let mappings = match &lifts {
        Some(lifts) => mapping::turn_on(admin, lifts).await,
        None if turns => mapping::turn_off(admin, &function).await,
        None => Ok(Value::Null),
    };
    let mappings = mappings.map_err(|e| mapping_failed(&function, mode, &e))?;
    let value = json!({
        "mode": mode.as_str(), "before": before.as_str(), "revision": setting.revision, "mappings": mappings,
        "own_record_age_s": record_age_s,
    });
    let mut text = format!(
        "{} (before: {}), within 10 seconds\n{}",
        mode.as_str(),
        before.as_str(),
        meaning(mode)
    );
    if let Some(age_s) = lifted.iter().filter_map(|lift| lift.age_s).min() {
        let paused_s = stored
            .good()
            .map_or(0, |paused| (setting.stamp.at_ms - paused.stamp.at_ms) / 1_000);
        text += &backlog(age_s, record_age_s.unwrap_or(age_s), paused_s);
    }
    Ok(print(json, &value, &text))
}

/// Writes the mode and the mapping's own record age, with a record of the change.
async fn change(
    plane: &Plane<'_>,
    args: &ModeArgs,
    stored: &Stored<ModeSetting>,
    (mode, record_age_s): (Mode, Option<u32>),
    (action, detail): (&str, &str),
) -> Result<ModeSetting, CliError> {
    let stamp = plane
        .stamp(args.reason.as_deref().unwrap_or_default(), now_ms())
        .await?;
    let revision = match stored {
        Stored::Broken(_) => stamp.at_ms.unsigned_abs(),
        Stored::Absent | Stored::Good(..) => stored.good().map_or(0, |setting| setting.revision) + 1,
    };
    let setting = ModeSetting {
        revision,
        mode,
        record_age_s,
        stamp: stamp.clone(),
    };
    let change = Change {
        item: ControlItem::Mode,
        revision,
        action: action.to_owned(),
        detail: detail.to_owned(),
        stamp,
    };
    plane
        .change(MODE, setting.to_fields(), stored.expected(), &change)
        .await?;
    Ok(setting)
}

/// What was done so that the backlog is not given up, and what is left to do.
fn backlog(age_s: u32, own_s: u32, paused_s: i64) -> String {
    let mut text = format!(
        "  the mapping gives records up at {} of age, not at its own {}, so that the backlog runs in order\n  once `tidemark watch` shows no shard behind:  tidemark mode --restore-record-age --reason TEXT\n",
        mapping::span(age_s),
        mapping::span(own_s)
    );
    if paused_s > i64::from(age_s) {
        text += &paint(
            ui::WARN,
            "  the pause was longer than that: its first records go to the dead-letter queue now. Redrive them while the stream has them: tidemark redrive\n",
        );
    }
    text
}

async fn restore_record_age(
    plane: &Plane<'_>,
    args: &ModeArgs,
    stored: &Stored<ModeSetting>,
    json: bool,
) -> Result<Exit, CliError> {
    let (mode, own_s) = match stored.good() {
        Some(ModeSetting { mode: Mode::Paused, .. }) => {
            return Err(CliError::refused(
                "record_age",
                "the mode is paused: a backlog is growing that a lower record age would give up",
                "Go back to live first, and restore the record age once `tidemark watch` shows no shard behind.",
            ));
        }
        Some(ModeSetting {
            mode,
            record_age_s: Some(own_s),
            ..
        }) => (*mode, *own_s),
        _ => {
            return Err(CliError::refused(
                "record_age",
                "no record age was lifted, so there is none to restore",
                "See tidemark mode, and tidemark policy history.",
            ));
        }
    };
    // The mapping first: a failure in between leaves the item as it was, and the same command finishes it.
    let function = args.function();
    let mappings = mapping::set_age(plane.admin(), &function, own_s)
        .await
        .map_err(|e| mapping_failed(&function, mode, &e))?;
    let detail = format!("the mapping's own {own_s} s again");
    let setting = change(plane, args, stored, (mode, None), ("record_age", &detail)).await?;
    let value = json!({
        "mode": mode.as_str(), "before": mode.as_str(), "revision": setting.revision, "mappings": mappings,
        "own_record_age_s": null,
    });
    let text = format!(
        "the mapping gives records up at its own {} of age again\n",
        mapping::span(own_s)
    );
    Ok(print(json, &value, &text))
}

const fn mode_of(name: ModeName) -> Mode {
    match name {
        ModeName::Live => Mode::Live,
        ModeName::Shadow => Mode::Shadow,
        ModeName::Paused => Mode::Paused,
        ModeName::Degraded => Mode::Degraded,
    }
}

fn show(stored: &Stored<ModeSetting>, json: bool) -> Exit {
    let mode = stored.good().map_or(Mode::Live, |setting| setting.mode);
    let stamp = stored.good().map(|setting| &setting.stamp);
    let mut text = format!("{}\n", paint(ui::HEADING, mode.as_str()));
    if let Some(stamp) = stamp {
        text += &format!(
            "  since {} by {}: {}\n",
            until::show(stamp.at_ms),
            shown(&stamp.who),
            shown(&stamp.reason)
        );
    }
    text += meaning(mode);
    let own_age_s = stored.good().and_then(|setting| setting.record_age_s);
    if let Some(own_s) = own_age_s {
        text += &format!(
            "  the mapping's record age is lifted for a backlog; its own is {}: tidemark mode --restore-record-age --reason TEXT\n",
            mapping::span(own_s)
        );
    }
    let value = json!({ "mode": mode.as_str(), "change": stamp, "own_record_age_s": own_age_s });
    print(json, &value, &text)
}

const fn meaning(mode: Mode) -> &'static str {
    match mode {
        Mode::Live => "  events are scored, outcomes are sent\n",
        Mode::Shadow => "  events are scored and kept, nothing is sent, no decision is recorded\n",
        Mode::Paused => "  records stay in the stream; they are kept there as long as its retention\n",
        Mode::Degraded => "  events are scored on their histories only; outcomes say so\n",
    }
}

fn not_begun(function: &str, error: &AdminError) -> CliError {
    CliError::service(
        "mapping",
        format!("the mapping of {function} and its stream can't be looked at, so the mode is still paused: {error}"),
        "Run it again. Where the mapping is turned on by other means, say --keep-mapping, and give it a record age some hours below the stream's retention first: aws lambda update-event-source-mapping --uuid ID --maximum-record-age-in-seconds N.",
    )
}

fn mapping_failed(function: &str, mode: Mode, error: &AdminError) -> CliError {
    let advice = if mode == Mode::Paused {
        "The functions hold their batches from now on, which keeps records for some minutes; for longer, turn the mapping off: aws lambda update-event-source-mapping --uuid ID --no-enabled. Batches that are given up on meanwhile can be redriven."
    } else {
        "If the mapping was turned off for the pause, turn it on, with a record age that does not give the backlog up (some hours below the stream's retention): aws lambda update-event-source-mapping --uuid ID --enabled --maximum-record-age-in-seconds N."
    };
    CliError::service(
        "mapping",
        format!(
            "the mode is {}, but the mapping of {function} could not be changed: {error}",
            mode.as_str()
        ),
        advice,
    )
}
