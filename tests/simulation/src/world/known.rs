//! What the simulator itself knows: which events a card accepted, in which order, by whom; and what operators did.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidemark_domain::control::{Mode, OverrideAction};
use tidemark_domain::history::{Entry, History};
use tidemark_domain::invariant::Invariant;
use tidemark_domain::labelled::LabelledHistory;
use tidemark_engine::port::KeyId;

use super::files::ImportFile;

/// A user record: shard, sequence number, place in the aggregate.
pub type Place = (String, String, Option<u32>);

/// By what a batch was judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// The policy in force.
    pub policy_version: u32,
    /// The revision of the overrides.
    pub overrides_revision: u64,
    /// The mode.
    pub mode: Mode,
    /// It is an import's.
    pub is_import: bool,
}

/// An event that a card accepted.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// What the card keeps of it, without its label.
    pub entry: Entry,
    /// By what its batch was judged.
    pub judged: Judged,
}

/// A card's history, from its first write until the store drops it.
#[derive(Clone, Debug, Default)]
pub struct Life {
    /// Its events in the order of their numbers.
    pub accepted: Vec<Accepted>,
    /// Its last bytes, once the store has dropped it.
    pub ended: Option<Vec<u8>>,
    /// The newest state, decoded, with every segment.
    pub last: Option<History>,
}

/// An override as an operator made it.
#[derive(Clone, Debug)]
pub struct Decided {
    /// For which card.
    pub card_id: String,
    /// What it does to the card's decisions.
    pub action: OverrideAction,
    /// The revision since which it is there.
    pub revision: u64,
    /// When it was made, ms since 1970-01-01T00:00:00Z.
    pub since_ms: i64,
    /// It holds for events that arrive before this, ms since 1970-01-01T00:00:00Z.
    pub until_ms: i64,
    /// The revision since which it is no longer there, because somebody cleared it or set another.
    pub ended: Option<u64>,
}

/// The simulator's knowledge beside the accepted events.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// What broke the rules of the store while it ran: lost updates, versions out of step.
    pub broken: Vec<(Invariant, String)>,
    /// Writes that the condition refused.
    pub conflicts: u64,
    /// States that the store dropped.
    pub dropped: u64,
    /// Cards of which one write accepted an event and forgot it for its age: a batch had events of the card that lie further apart
    /// than its policy remembers. What came of such an event can't be read from the state.
    pub unseen: BTreeSet<String>,
    /// When items were restored, ms since 1970-01-01T00:00:00Z.
    pub restored_ms: Option<i64>,
    /// When the redrive after a restore ended whose calls had died a hundred times, ms since 1970-01-01T00:00:00Z.
    pub redriven_ms: Option<i64>,
    /// Cards whose item was restored to an earlier one.
    pub restored: BTreeSet<String>,
    /// Events that a restore took back, by card: event time and fingerprint. They may be scored twice, with other outcomes.
    pub rolled_back: BTreeMap<String, BTreeSet<(i64, u32)>>,
    /// What operators decided for cards.
    pub decided: Vec<Decided>,
    /// From when to when the mode was `paused`, ms since 1970-01-01T00:00:00Z.
    pub pauses: Vec<(i64, i64)>,
    /// Whether refused payloads were redriven.
    pub quarantine_redriven: bool,
    /// Every labelled history that a key ever had, in the order in which they were written.
    pub key_histories: BTreeMap<KeyId, Vec<Arc<LabelledHistory>>>,
    /// The newest event's time (ms) of histories that the store dropped after their time.
    pub keys_dropped: BTreeMap<KeyId, i64>,
    /// Writes of keys that the condition refused.
    pub key_conflicts: u64,
    /// When the backup was made, and when the whole table was put back to it, ms since 1970-01-01T00:00:00Z.
    pub backup_ms: i64,
    /// The same.
    pub table_restored_ms: Option<i64>,
    /// Files that operators import.
    pub files: Vec<ImportFile>,
    /// User records that have an end other than the quarantine, each with the policy by which and when (ms since
    /// 1970-01-01T00:00:00Z).
    pub ends: BTreeMap<Place, Vec<(u32, i64)>>,
}
