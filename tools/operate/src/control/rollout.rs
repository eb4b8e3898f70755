//! `tidemark rollout`: try a candidate beside the active policy, for a share of the cards.

use serde_json::json;
use terminal::clock::now_ms;
use terminal::error::{CliError, Exit};
use tidemark_aws::admin::Admin;
use tidemark_domain::control::diff::may_follow;
use tidemark_domain::control::item::ACTIVE;
use tidemark_domain::control::{ActivePointer, Change, ControlItem, OWN_POLICY, Rollout};

use super::args::RolloutArgs;
use super::plane::{Plane, Stored};
use super::print;

/// Sets or ends the rollout. `login` is who is logged in.
///
/// # Errors
/// When the candidate can't be tried, the table can't be changed, or somebody else was first.
pub async fn run(admin: &Admin, args: &RolloutArgs, login: Option<&str>, json: bool) -> Result<Exit, CliError> {
    let plane = Plane::new(admin, &args.plane, login);
    let Set {
        active,
        rollout,
        before,
        revision,
    } = set(&plane, (args.share, args.candidate), &args.reason).await?;
    let value = json!({ "active": active, "rollout": rollout, "before": before, "revision": revision });
    let text = match rollout {
        Some(Rollout { candidate, share_pct }) => format!(
            "version {candidate} scores {share_pct} % of the cards beside the active policy, within 10 seconds; its outcomes are recorded, never sent\n  see:       tidemark compare --html compare.html\n  activate:  tidemark policy activate {candidate} --reason TEXT\n  end:       tidemark rollout 0 --reason TEXT\n"
        ),
        None => "no candidate is tried, within 10 seconds; what was recorded stays for 60 days\n".to_owned(),
    };
    Ok(print(json, &value, &text))
}

/// What is tried now, and what was tried before.
pub(super) struct Set {
    active: u32,
    rollout: Option<Rollout>,
    before: Option<Rollout>,
    revision: u64,
}

/// Tries a candidate on a share of the cards, percent; 0 ends it.
pub(super) async fn set(
    plane: &Plane<'_>,
    (share, candidate): (u8, Option<u32>),
    reason: &str,
) -> Result<Set, CliError> {
    let stored = plane.pointer().await?;
    if matches!(stored, Stored::Broken(_)) {
        return Err(CliError::refused(
            "control_item",
            "the pointer to the active policy was broken by hand",
            "Say which version is in force first: tidemark policy activate V --reason TEXT.",
        ));
    }
    let running = stored.good().and_then(|pointer| pointer.rollout);
    let active = stored.good().map_or(OWN_POLICY, |pointer| pointer.active);
    let rollout = match (share, candidate.or(running.map(|rollout| rollout.candidate))) {
        (0, _) => None,
        (_, None) => {
            let what = "no candidate is named, and none is tried now";
            return Err(CliError::usage(
                "rollout_candidate",
                what,
                "Name a published version: --candidate V.",
            ));
        }
        (share_pct, Some(candidate)) => Some(Rollout { candidate, share_pct }),
    };
    if let Some(rollout) = rollout {
        check(plane, rollout.candidate, active).await?;
    }
    let stamp = plane.stamp(reason, now_ms()).await?;
    let pointer = ActivePointer::with_rollout(stored.good(), rollout, stamp.clone());
    let name = |rollout: Option<Rollout>| {
        rollout.map_or_else(
            || "none".to_owned(),
            |rollout| format!("{} on {} %", rollout.candidate, rollout.share_pct),
        )
    };
    let change = Change {
        item: ControlItem::Active,
        revision: pointer.revision,
        action: "rollout".to_owned(),
        detail: format!("{} -> {}", name(running), name(rollout)),
        stamp,
    };
    let expected = stored.expected();
    plane.change(ACTIVE, pointer.to_fields(), expected, &change).await?;
    Ok(Set {
        active,
        rollout,
        before: running,
        revision: pointer.revision,
    })
}

async fn check(plane: &Plane<'_>, candidate: u32, active: u32) -> Result<(), CliError> {
    if candidate == OWN_POLICY || candidate == active {
        let what = format!("version {candidate} is no candidate: it is in force, or the functions' own policy");
        return Err(CliError::usage(
            "rollout_candidate",
            what,
            "Name another published version: --candidate V.",
        ));
    }
    let policy = plane.usable(candidate).await?;
    plane.check_lists(&policy).await?;
    if !may_follow(&plane.usable(active).await?, &policy) {
        return Err(CliError::refused(
            "policy_base_currency",
            format!(
                "version {candidate} counts in {}, the stored amounts do not",
                policy.currency.base.as_str()
            ),
            "Amounts in histories would be taken for another currency. Use another table for it.",
        ));
    }
    Ok(())
}
