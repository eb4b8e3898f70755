//! The control plane: which policy is in force, in what mode, for which cards somebody has decided otherwise. Pure types
//! and rules; `control/item.rs` has their items.
//!
//! Every change says who made it, when and why ([`Stamp`]), names the revision it was made on, and leaves a [`Change`]
//! that is kept for ever.

pub mod diff;
pub mod item;
pub mod lists;
pub mod maps;
pub mod model;
mod overrides;
mod stamp;
pub mod trial;

use serde::{Deserialize, Serialize};

use crate::id::{CardId, fingerprint64};

pub use crate::outcome::OverrideAction;
pub use overrides::{
    ENDED_OVERRIDES_MAX, EndedOverride, OVERRIDE_DAYS_MAX, OVERRIDES_BYTES_MAX, OVERRIDES_MAX, Override, Overrides,
};
pub use stamp::{REASON_BYTES_MAX, Stamp, StampError, WHO_BYTES_MAX};

/// The version that stands for the policy which a function was started with: its file, or the built-in one.
pub const OWN_POLICY: u32 = 0;
/// Bytes of a policy's text at most: a DynamoDB item holds 400 KiB.
pub const POLICY_TEXT_BYTES_MAX: usize = 256 * 1024;

/// How the functions work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Events are scored, outcomes are sent.
    #[default]
    Live,
    /// Events are scored, states and outcomes are kept; nothing is sent and no decision is recorded.
    Shadow,
    /// Nothing is touched: records stay in the stream.
    Paused,
    /// Events are scored on their history only: nothing but the card's state is read.
    Degraded,
}

impl Mode {
    /// Every mode, in the order of the reference.
    pub const ALL: [Self; 4] = [Self::Live, Self::Shadow, Self::Paused, Self::Degraded];

    /// As it is written in items, metrics and documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Shadow => "shadow",
            Self::Paused => "paused",
            Self::Degraded => "degraded",
        }
    }

    /// Reads a mode.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == name)
    }
}

/// A published policy. Its version is published once: no other text ever has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyVersion {
    /// As the text says, at least 1.
    pub version: u32,
    /// The file (TOML).
    pub text: String,
    /// Who published it, when and why.
    pub stamp: Stamp,
}

impl PolicyVersion {
    /// The text's hash as it is stored and shown: 16 hexadecimal digits of XXH3-64. It finds damage, not forgery.
    #[must_use]
    pub fn hash(&self) -> String {
        text_hash(&self.text)
    }
}

/// The hash of a policy's text.
#[must_use]
pub fn text_hash(text: &str) -> String {
    format!("{:016x}", fingerprint64(text))
}

/// A policy that is tried beside the active one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rollout {
    /// The version that is tried.
    pub candidate: u32,
    /// For so many of the cards, percent, 1 to 100.
    pub share_pct: u8,
}

impl Rollout {
    /// Whether a card is among those that the candidate scores, too: by a stable hash, so that a card stays in while the
    /// share grows, and every function and every replay agrees.
    #[must_use]
    pub fn holds(&self, card: &CardId) -> bool {
        share_place(card) < u64::from(self.share_pct)
    }
}

/// Where a card stands among the hundred parts of all cards, 0 to 99. Not to be changed while a rollout runs.
#[must_use]
pub fn share_place(card: &CardId) -> u64 {
    fingerprint64(card.as_str()) % 100
}

/// Which policy is in force, and which is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivePointer {
    /// Number of changes so far, at least 1: a change names the revision that it was made on.
    pub revision: u64,
    /// The version in force, or [`OWN_POLICY`].
    pub active: u32,
    /// What `rollback` goes back to; nothing once that was done, so that a second one does not go forth again.
    pub previous: Option<u32>,
    /// What is tried beside it.
    pub rollout: Option<Rollout>,
    /// The last change.
    pub stamp: Stamp,
}

impl ActivePointer {
    /// The pointer once `version` is in force. A rollout of that version has come to its end.
    #[must_use]
    pub fn activated(current: Option<&Self>, version: u32, stamp: Stamp) -> Self {
        let active = current.map_or(OWN_POLICY, |pointer| pointer.active);
        let rollout = current.and_then(|pointer| pointer.rollout);
        Self {
            revision: current.map_or(0, |pointer| pointer.revision) + 1,
            active: version,
            previous: Some(active),
            rollout: rollout.filter(|rollout| rollout.candidate != version),
            stamp,
        }
    }

    /// The pointer once it is back at the version before; `None` when there is none to go back to.
    #[must_use]
    pub fn rolled_back(&self, stamp: Stamp) -> Option<Self> {
        let version = self.previous?;
        Some(Self {
            previous: None,
            ..Self::activated(Some(self), version, stamp)
        })
    }

    /// The pointer once a candidate is tried (or, with `None`, no longer).
    #[must_use]
    pub fn with_rollout(current: Option<&Self>, rollout: Option<Rollout>, stamp: Stamp) -> Self {
        Self {
            revision: current.map_or(0, |pointer| pointer.revision) + 1,
            active: current.map_or(OWN_POLICY, |pointer| pointer.active),
            previous: current.and_then(|pointer| pointer.previous),
            rollout,
            stamp,
        }
    }
}

/// The mode, as it was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModeSetting {
    /// Number of changes so far, at least 1.
    pub revision: u64,
    /// How the functions work.
    pub mode: Mode,
    /// The mapping's own record age, seconds, while it is lifted so that a backlog is not given up; `None`: it is not lifted.
    pub record_age_s: Option<u32>,
    /// The last change.
    pub stamp: Stamp,
}

/// A change of the control plane, kept for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The item that changed.
    pub item: ControlItem,
    /// The item's revision since; the version of a published policy.
    pub revision: u64,
    /// What was done, such as `activate`.
    pub action: String,
    /// From what to what.
    pub detail: String,
    /// Who, when and why.
    #[serde(flatten)]
    pub stamp: Stamp,
}

/// The kinds of items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlItem {
    /// [`ActivePointer`].
    Active,
    /// [`ModeSetting`].
    Mode,
    /// [`Overrides`].
    Overrides,
    /// [`PolicyVersion`].
    Policy,
    /// A model of trees.
    Model,
    /// The lists: [`lists::NamedLists`].
    Lists,
    /// Which map is in force since when: [`maps::MapTimeline`].
    Maps,
    /// A published map: [`maps::MapText`].
    Map,
}

impl ControlItem {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Active,
        Self::Mode,
        Self::Overrides,
        Self::Policy,
        Self::Model,
        Self::Lists,
        Self::Maps,
        Self::Map,
    ];

    /// As it is written in items, logs and documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Mode => "mode",
            Self::Overrides => "overrides",
            Self::Policy => "policy",
            Self::Model => "model",
            Self::Lists => "lists",
            Self::Maps => "maps",
            Self::Map => "map",
        }
    }
}

#[cfg(test)]
mod tests;
