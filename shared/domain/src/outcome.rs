//! What comes out of an event: score, decision, reasons, and everything that a replay needs to get the same (I6).

use serde::{Deserialize, Serialize};

use crate::catalogue::{FeatureKey, KeyName};
use crate::trees::TreeModelKey;

mod listed;
mod rule;

pub use listed::{ListRead, ListReads, POLICY_LISTS_MAX};
pub use rule::{RULE_NAME_BYTES_MAX, RULE_REASON_BYTES_MAX, RULES_MAX, RuleEnd, RuleHit, RuleSays, ruled};

/// The version of the outcome's schema.
pub const OUTCOME_VERSION: u16 = 1;
/// The highest score.
pub const SCORE_MAX: u16 = 1000;
/// At most so many reasons are kept and sent with an outcome.
pub const REASONS_MAX: usize = 4;
/// At most so many keys beyond the card may a policy declare.
pub const KEYS_MAX: usize = 4;

/// What to do with the transaction. Numbers are persisted: keep them stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Decision {
    /// Nothing unusual.
    Pass = 0,
    /// A person should look.
    Review = 1,
    /// Act now.
    Alert = 2,
}

/// Which inputs served the score (I8): `docs/concepts/fallback-tiers.md`. Numbers are persisted: keep them stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Tier {
    /// History and profile were at hand (a card without a profile is still full: it is named in `missing`).
    Full = 0,
    /// The profile could not be read, or the breaker spared the try.
    NoProfile = 1,
    /// The mode `degraded`: only the history was used.
    HistoryOnly = 2,
    /// The profile was not read and the card has too little history: a neutral score, to be reviewed.
    Neutral = 3,
    /// The policy holds the event for low risk: the history and a part of the features were used, as it says.
    LowRisk = 4,
    /// The labelled history of a key could not be read, or the breaker spared the try.
    NoKeys = 5,
    /// A list that the policy declares could not be read.
    NoLists = 6,
}

/// Inputs that were missing or stale, as a set of bits. Bits are persisted: keep them stable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Missing(pub u8);

impl Missing {
    /// The card has no profile.
    pub const PROFILE_ABSENT: u8 = 1;
    /// The profile was not read; the tier says why.
    pub const PROFILE_UNAVAILABLE: u8 = 2;
    /// The profile that was used is older than the policy allows.
    pub const PROFILE_STALE: u8 = 4;
    /// The head's limit cut history that a window of this event needed.
    pub const HISTORY_TRUNCATED: u8 = 8;
    /// The policy has no rate for the currency of this event, or of another one in its longest window: that amount is not known,
    /// and counts in no amount.
    pub const CURRENCY_RATE: u8 = 16;
    /// The override could not be read.
    pub const OVERRIDE_UNAVAILABLE: u8 = 32;

    /// Not an input that was missing: an override made the decision, which tells which one. It stands among these bits
    /// because it is stored with them; outcomes tell it as their first reason.
    pub const OVERRIDDEN: u8 = 64;

    /// What the name of a key that could not be read begins with; the key's name follows. No bit stands for it: what was read
    /// of keys is stored beside.
    pub const KEY_UNAVAILABLE: &'static str = "key_unavailable:";
    /// The same of a list that could not be read.
    pub const LIST_UNAVAILABLE: &'static str = "list_unavailable:";

    /// Every bit that has a meaning.
    pub const KNOWN: u8 = 127;

    /// Names of the bits, in the order they are written.
    pub const NAMES: [(u8, &'static str); 6] = [
        (Self::PROFILE_ABSENT, "profile_absent"),
        (Self::PROFILE_UNAVAILABLE, "profile_unavailable"),
        (Self::PROFILE_STALE, "profile_stale"),
        (Self::HISTORY_TRUNCATED, "history_truncated"),
        (Self::CURRENCY_RATE, "currency_rate"),
        (Self::OVERRIDE_UNAVAILABLE, "override_unavailable"),
    ];
}

/// What somebody decided for a card, whatever the score says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverrideAction {
    /// Every outcome is `pass`.
    Allow,
    /// Every outcome is `alert`.
    Block,
}

impl OverrideAction {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Allow, Self::Block];

    /// As it is written in items and documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Block => "block",
        }
    }

    /// The reason code in outcomes.
    #[must_use]
    pub const fn reason_code(self) -> &'static str {
        match self {
            Self::Allow => "override_allow",
            Self::Block => "override_block",
        }
    }

    /// The decision that it makes.
    #[must_use]
    pub const fn decision(self) -> Decision {
        match self {
            Self::Allow => Decision::Pass,
            Self::Block => Decision::Alert,
        }
    }
}

/// A reason: the feature that surprised, and its share of the whole surprise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reason {
    /// Which feature.
    pub key: FeatureKey,
    /// Its share of the surprise in percent, 1 to 100.
    pub share_pct: u8,
}

/// What a card's state keeps of an outcome: enough to write the same bytes again for a duplicate (I3).
#[derive(Clone, Debug, PartialEq)]
pub struct StoredOutcome {
    /// 0 to [`SCORE_MAX`].
    pub score: u16,
    /// What to do.
    pub decision: Decision,
    /// Which inputs served it.
    pub tier: Tier,
    /// What was missing or stale.
    pub missing: Missing,
    /// The greatest shares first, at most [`REASONS_MAX`].
    pub reasons: Vec<Reason>,
    /// The policy that scored it.
    pub policy_version: u32,
    /// The profile that was used, if any.
    pub profile_version: Option<u64>,
    /// Feature values, where the policy asks for them in outcomes; otherwise empty.
    pub features: Vec<(FeatureKey, Option<f64>)>,
    /// Features of the policy whose value may be off, and by how much at most, in the policy's order. Only a hot card has
    /// any: `docs/concepts/windows.md` says which and why.
    pub approximate: Vec<(FeatureKey, f64)>,
    /// Whether the card's own features alone made the event improbable, so that a fraud says little of its keys.
    pub explained: bool,
    /// The keys whose labelled histories said something, or could not be read, in the policy's order. At most
    /// [`KEYS_MAX`].
    pub keys: Vec<KeyRead>,
    /// The model of the policy's trees, where it has any.
    pub model: Option<TreeModelKey>,
    /// The rules that said something, in the policy's order; empty for nearly all events. At most [`RULES_MAX`].
    pub rules: Vec<RuleHit>,
    /// The lists that the policy declares, as they were.
    pub lists: ListReads,
}

/// What was read of a key for an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyRead {
    /// The key's name in the policy.
    pub name: KeyName,
    /// How many labels of it were known as of the event's time, at least 1; `None`: they could not be read.
    pub version: Option<u64>,
}

impl StoredOutcome {
    /// Lets an override make the decision. The score and the greatest reasons stay, so that a person sees both.
    pub fn override_by(&mut self, action: OverrideAction) {
        self.decision = action.decision();
        self.missing.0 |= Missing::OVERRIDDEN;
        self.reasons.truncate(REASONS_MAX - 1);
    }

    /// The override that made the decision, if one did.
    #[must_use]
    pub const fn override_action(&self) -> Option<OverrideAction> {
        match (self.missing.0 & Missing::OVERRIDDEN, self.decision) {
            (Missing::OVERRIDDEN, Decision::Pass) => Some(OverrideAction::Allow),
            (Missing::OVERRIDDEN, Decision::Alert) => Some(OverrideAction::Block),
            _ => None,
        }
    }
}

impl Decision {
    /// As it is written in outcomes and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Review => "review",
            Self::Alert => "alert",
        }
    }
}

impl Tier {
    /// Every tier.
    pub const ALL: [Self; 7] = [
        Self::Full,
        Self::NoProfile,
        Self::HistoryOnly,
        Self::Neutral,
        Self::LowRisk,
        Self::NoKeys,
        Self::NoLists,
    ];

    /// Whether an input was lost that the policy wanted. A low-risk event has all that it is to have.
    #[must_use]
    pub const fn is_degraded(self) -> bool {
        matches!(
            self,
            Self::NoProfile | Self::HistoryOnly | Self::Neutral | Self::NoKeys | Self::NoLists
        )
    }

    /// As it is written in outcomes and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::NoProfile => "no_profile",
            Self::HistoryOnly => "history_only",
            Self::Neutral => "neutral",
            Self::LowRisk => "low_risk",
            Self::NoKeys => "no_keys",
            Self::NoLists => "no_lists",
        }
    }
}
