//! What the control plane says of the time that is audited: whose bounds were in force when, and when outcomes were withheld.

use std::collections::BTreeMap;

use terminal::error::CliError;
use terminal::ui;
use tidemark_aws::admin::Admin;
use tidemark_domain::contract::Bounds;
use tidemark_domain::control::item::{CHANGE_PREFIX, Fields, policy_key};
use tidemark_domain::control::{Change, ControlItem, Mode, OWN_POLICY, PolicyVersion};
use tidemark_domain::policy::{KeyTerms, Policy};
use tidemark_engine::control::SHADOW_COPY_MS_MAX;

use reconcile::KeysInForce;

use crate::account::BoundsInForce;
use crate::account::evidence::failed;
use crate::models;

/// Changes of the control plane that are read.
const CHANGES_MAX: usize = 100_000;
/// How long after a change a function may still work as before it, milliseconds: it keeps a copy, withholds nothing by an old one,
/// and finishes its batch; a minute is for clocks that differ.
const ADOPTED_AFTER_MS: i64 = SHADOW_COPY_MS_MAX + 60_000;

/// The changes of the control plane, as far as an audit needs it.
#[derive(Clone, Debug)]
pub(super) struct Steering {
    /// The bounds of the policies in force.
    pub(super) bounds: BoundsInForce,
    /// The keys that the policies in force keep.
    pub(super) keys: KeysInForce,
    /// From when to when outcomes were withheld, ms since 1970-01-01T00:00:00Z.
    pub(super) withheld: Vec<(i64, i64)>,
}

/// What an audit needs of a policy: what it refuses, and which keys it keeps.
type Terms = (Bounds, Vec<KeyTerms>);

/// Reads the changes. `own` is the policy that the functions were started with, as far as is known; with `is_told` it is that of every
/// time.
pub(super) async fn read(admin: &Admin, table: &str, own: &Policy, is_told: bool) -> Result<Steering, CliError> {
    let own = (own.bounds, own.keys.clone());
    let items = admin.control_items(table, CHANGE_PREFIX, false, CHANGES_MAX).await;
    let items = items.map_err(failed("reading the control plane's changes"))?;
    let changes: Vec<Change> = items
        .iter()
        .filter_map(|(_, fields)| Change::from_fields(fields).ok())
        .collect();
    let withheld = withheld(&changes);
    let maps = crate::maps::in_force(admin, table).await?;
    if is_told {
        return Ok(Steering {
            bounds: BoundsInForce::always(own.0).with_maps(maps),
            keys: KeysInForce::changing(own.1, Vec::new()),
            withheld,
        });
    }
    let mut published = BTreeMap::from([(OWN_POLICY, own.clone())]);
    let activations = activations(&changes);
    for (_, version) in &activations {
        if !published.contains_key(version) {
            let item = admin.control_item(table, &policy_key(*version)).await;
            let item = item.map_err(failed("reading a published policy"))?;
            published.insert(*version, terms_of(admin, table, *version, item.as_ref(), &own).await);
        }
    }
    let changes = || activations.iter().map(|(at_ms, version)| (*at_ms, &published[version]));
    let bounds = changes().map(|(at_ms, (bounds, _))| (at_ms, *bounds));
    let keys = changes().map(|(at_ms, (_, keys))| (at_ms, keys.clone()));
    Ok(Steering {
        bounds: BoundsInForce::changing(own.0, bounds.collect()).with_maps(maps),
        keys: KeysInForce::changing(own.1.clone(), keys.collect()),
        withheld,
    })
}

/// The terms of a published policy. One that can't be read was never taken by the functions either: the evidence has to tell.
async fn terms_of(admin: &Admin, table: &str, version: u32, item: Option<&Fields>, own: &Terms) -> Terms {
    let published = item.and_then(|fields| PolicyVersion::from_fields(version, fields).ok());
    let policy = match &published {
        Some(published) => models::published(admin, table, &published.text).await,
        None => None,
    };
    if policy.is_none() {
        ui::note(&format!(
            "policy {version} can't be read: records of its time are judged by the built-in policy's bounds and keys"
        ));
    }
    policy.map_or_else(|| own.clone(), |policy| (policy.bounds, policy.keys))
}

/// Which version came into force when.
fn activations(changes: &[Change]) -> Vec<(i64, u32)> {
    let pointed = changes
        .iter()
        .filter(|change| change.item == ControlItem::Active && change.action != "rollout");
    pointed
        .filter_map(|change| {
            let (_, to) = change.detail.rsplit_once(" -> ")?;
            Some((change.stamp.at_ms, to.parse().ok()?))
        })
        .collect()
}

/// From when to when the mode was `shadow`, and until when a function may have gone on so.
fn withheld(changes: &[Change]) -> Vec<(i64, i64)> {
    let mut spans: Vec<(i64, i64)> = Vec::new();
    let mut since_ms = None;
    for change in changes.iter().filter(|change| change.item == ControlItem::Mode) {
        let at_ms = change.stamp.at_ms;
        match (since_ms, change.action == Mode::Shadow.as_str()) {
            (None, true) => since_ms = Some(at_ms),
            (Some(from_ms), false) => {
                spans.push((from_ms, at_ms.saturating_add(ADOPTED_AFTER_MS)));
                since_ms = None;
            }
            _ => {}
        }
    }
    spans.extend(since_ms.map(|from_ms| (from_ms, i64::MAX)));
    spans
}

#[cfg(test)]
mod tests {
    use tidemark_domain::control::Stamp;

    use super::*;

    fn change(item: ControlItem, at_ms: i64, action: &str, detail: &str) -> Change {
        Change {
            item,
            revision: 1,
            action: action.to_owned(),
            detail: detail.to_owned(),
            stamp: Stamp::new(at_ms, "who", "why").unwrap(),
        }
    }

    #[test]
    fn the_policy_in_force_follows_activations_and_rollbacks() {
        let active = |at_ms, action: &str, detail: &str| change(ControlItem::Active, at_ms, action, detail);
        let changes = [
            change(ControlItem::Policy, 1, "publish", "version 7, hash 0"),
            active(10, "activate", "0 -> 7"),
            active(15, "rollout", "none -> 8 on 10 %"),
            active(20, "rollback", "7 -> 0"),
        ];
        assert_eq!(activations(&changes), [(10, 7), (20, OWN_POLICY)]);
    }

    #[test]
    fn outcomes_are_withheld_from_shadow_to_the_next_mode() {
        let mode = |at_ms, action: &str| change(ControlItem::Mode, at_ms, action, "");
        let changes = [
            mode(10, "shadow"),
            mode(12, "shadow"),
            mode(20, "paused"),
            mode(30, "live"),
            mode(40, "shadow"),
        ];
        assert_eq!(withheld(&changes), [(10, 20 + ADOPTED_AFTER_MS), (40, i64::MAX)]);
        assert_eq!(withheld(&changes[2..4]), []);
    }
}
