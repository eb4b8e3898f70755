//! `tidemark mode`: show or set how the functions work.

use serde_json::{Value, json};
use tidemark_aws::admin::{Admin, AdminError};
use tidemark_domain::control::item::MODE;
use tidemark_domain::control::{Change, ControlItem, Mode, ModeSetting};

use super::args::{ModeArgs, ModeName};
use super::plane::{Plane, Stored};
use super::{print, until};
use crate::clock::now_ms;
use crate::error::{CliError, Exit};
use crate::ui::{self, paint, shown};

/// Shows or sets the mode. `login` is who is logged in.
///
/// # Errors
/// When the table or the mapping can't be changed, or somebody else was first.
pub async fn run(admin: &Admin, args: &ModeArgs, login: Option<&str>, json: bool) -> Result<Exit, CliError> {
    let plane = Plane::new(admin, &args.plane, login);
    let stored = plane.read(MODE, ModeSetting::from_fields).await?;
    let Some(mode) = args.mode.map(mode_of) else {
        return Ok(show(&stored, json));
    };
    let before = stored.good().map_or(Mode::Live, |setting| setting.mode);
    let stamp = plane
        .stamp(args.reason.as_deref().unwrap_or_default(), now_ms())
        .await?;
    let revision = match &stored {
        Stored::Broken => stamp.at_ms.unsigned_abs(),
        Stored::Absent | Stored::Good(_) => stored.good().map_or(0, |setting| setting.revision) + 1,
    };
    let setting = ModeSetting {
        revision,
        mode,
        stamp: stamp.clone(),
    };
    let change = Change {
        item: ControlItem::Mode,
        revision,
        action: mode.as_str().to_owned(),
        detail: format!("{} -> {}", before.as_str(), mode.as_str()),
        stamp,
    };
    plane
        .change(
            MODE,
            setting.to_fields(),
            stored.expected(|setting| setting.revision),
            &change,
        )
        .await?;
    // The functions know first, the mapping follows: a batch that comes in between is held, not refused.
    let polls = mode != Mode::Paused;
    let mapping = if args.keep_mapping || (polls && before != Mode::Paused) {
        Value::Null
    } else {
        let function = args.function();
        turn(admin, &function, polls)
            .await
            .map_err(|e| mapping_failed(&function, mode, &e))?
    };
    let value = json!({ "mode": mode.as_str(), "before": before.as_str(), "revision": revision, "mappings": mapping });
    let text = format!(
        "{} (before: {}), within 10 seconds\n{}",
        mode.as_str(),
        before.as_str(),
        meaning(mode)
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
    print(json, &json!({ "mode": mode.as_str(), "change": stamp }), &text)
}

const fn meaning(mode: Mode) -> &'static str {
    match mode {
        Mode::Live => "  events are scored, outcomes are sent\n",
        Mode::Shadow => "  events are scored and kept, nothing is sent, no decision is recorded\n",
        Mode::Paused => "  records stay in the stream; they are kept there as long as its retention\n",
        Mode::Degraded => "  events are scored on their histories only; outcomes say so\n",
    }
}

/// Turns the function's mappings on or off.
async fn turn(admin: &Admin, function: &str, polls: bool) -> Result<Value, AdminError> {
    let mappings = admin.mappings(function).await?;
    if mappings.is_empty() {
        return Err(AdminError::NotFound {
            operation: format!("ListEventSourceMappings of {function}"),
        });
    }
    let mut states = Vec::with_capacity(mappings.len());
    for mapping in mappings {
        let state = admin.enable_mapping(&mapping.uuid, polls).await?;
        states.push(json!({ "uuid": state.uuid, "state": state.state, "source": state.source }));
    }
    Ok(Value::from(states))
}

fn mapping_failed(function: &str, mode: Mode, error: &AdminError) -> CliError {
    let advice = if mode == Mode::Paused {
        "The functions hold their batches from now on, which keeps records for some minutes; for longer, turn the mapping off: aws lambda update-event-source-mapping --uuid ID --no-enabled. Batches that are given up on meanwhile can be redriven."
    } else {
        "If the mapping was turned off for the pause, turn it on: aws lambda update-event-source-mapping --uuid ID --enabled."
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
