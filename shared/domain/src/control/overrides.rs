//! What somebody decided for single cards, in force and ended.

use serde::{Deserialize, Serialize};

use crate::id::CardId;
use crate::lifetime::RECORD_MS_MAX;
use crate::outcome::OverrideAction;

use super::stamp::Stamp;

/// Overrides at the same time, at most: all of them are in one item, which every function reads again and again.
pub const OVERRIDES_MAX: usize = 500;
/// Overrides that have ended and are kept for records that still wait, at most.
pub const ENDED_OVERRIDES_MAX: usize = 2_000;
/// Bytes of all overrides as they are stored, at most: a DynamoDB item holds 400 KiB, names and the last change included.
pub const OVERRIDES_BYTES_MAX: usize = 390 * 1024;
/// The longest that an override may last, days.
pub const OVERRIDE_DAYS_MAX: i64 = 90;

/// An override of one card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// The card that it is for.
    pub card_id: CardId,
    /// What was decided.
    pub action: OverrideAction,
    /// It holds for events that arrive before this, ms since 1970-01-01T00:00:00Z.
    pub until_ms: i64,
    /// Who decided it, when and why.
    #[serde(flatten)]
    pub stamp: Stamp,
}

/// What is kept of an override that has ended: records that arrived before its end may still wait in the stream or in a queue.
/// Who set it, when and why, the change says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedOverride {
    /// The card that it is for.
    pub card_id: CardId,
    /// What was decided.
    pub action: OverrideAction,
    /// It held for events that arrived before this, ms since 1970-01-01T00:00:00Z.
    pub until_ms: i64,
}

/// All overrides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Number of changes so far.
    pub revision: u64,
    /// Ascending by card, each card once. What has ended since the last change is among them.
    list: Vec<Override>,
    /// Ascending by card and end.
    ended: Vec<EndedOverride>,
}

impl Overrides {
    /// Overrides as they were stored; of several for one card the last counts.
    #[must_use]
    pub fn new(revision: u64, mut list: Vec<Override>) -> Self {
        list.reverse();
        list.sort_by(|a, b| a.card_id.cmp(&b.card_id));
        list.dedup_by(|a, b| a.card_id == b.card_id);
        Self {
            revision,
            list,
            ended: Vec::new(),
        }
    }

    /// The same with those that have ended.
    #[must_use]
    pub fn with_ended(self, ended: Vec<EndedOverride>) -> Self {
        Self { ended, ..self }.sorted()
    }

    fn sorted(mut self) -> Self {
        self.ended
            .sort_by(|a, b| (&a.card_id, a.until_ms).cmp(&(&b.card_id, b.until_ms)));
        self
    }

    /// The last one of each card, ascending by card; it may have ended since.
    #[must_use]
    pub fn list(&self) -> &[Override] {
        &self.list
    }

    /// Those that had ended when something was changed, ascending by card and end.
    #[must_use]
    pub fn ended(&self) -> &[EndedOverride] {
        &self.ended
    }

    /// What was decided for an event of `card` that arrived at `arrival_ms`. The arrival is the record's own, so that a
    /// retry and a redrive are judged as the first try was. Of several that end after it, the one that ends first was in force.
    #[must_use]
    pub fn find(&self, card: &CardId, arrival_ms: i64) -> Option<OverrideAction> {
        let first = self.ended.partition_point(|other| other.card_id < *card);
        let of_card = self.ended[first..].iter().take_while(|other| other.card_id == *card);
        let mut ended = of_card.filter(|other| arrival_ms < other.until_ms);
        ended
            .next()
            .map(|found| found.action)
            .or_else(|| self.in_force(card, arrival_ms).map(|found| found.action))
    }

    /// The last override of `card`, unless it had ended at `at_ms`.
    #[must_use]
    pub fn in_force(&self, card: &CardId, at_ms: i64) -> Option<&Override> {
        let at = self.list.binary_search_by(|other| other.card_id.cmp(card)).ok()?;
        self.list.get(at).filter(|found| at_ms < found.until_ms)
    }

    /// Whether there is anything of `card` that may count for a record that still waits.
    #[must_use]
    pub fn knows(&self, card: &CardId) -> bool {
        self.list.iter().any(|other| other.card_id == *card) || self.ended.iter().any(|other| other.card_id == *card)
    }

    /// The overrides once one is set (or, with `None`, all of the card's are taken back) at `now_ms`. One that is still in force
    /// gives way to the new one. One that has ended by itself is kept as long as a record can come that arrived before its end.
    #[must_use]
    pub fn changed(&self, card: &CardId, new: Option<Override>, now_ms: i64) -> Self {
        let is_cleared = |other: &CardId| new.is_none() && other == card;
        let (over, lasting): (Vec<&Override>, Vec<&Override>) =
            self.list.iter().partition(|other| other.until_ms <= now_ms);
        let over = over.into_iter().map(|other| EndedOverride {
            card_id: other.card_id.clone(),
            action: other.action,
            until_ms: other.until_ms,
        });
        let ended = self
            .ended
            .iter()
            .cloned()
            .chain(over)
            .filter(|other| !is_cleared(&other.card_id) && other.until_ms.saturating_add(RECORD_MS_MAX) > now_ms);
        let ended = ended.collect();
        let kept = lasting.into_iter().filter(|other| other.card_id != *card).cloned();
        Self::new(self.revision + 1, kept.chain(new).collect()).with_ended(ended)
    }

    /// Leaves out those that ended first, as many as are over the limits of number and bytes; answers how many. `None`: what is
    /// in force is over the limit of bytes by itself.
    pub fn fit(&mut self) -> Option<usize> {
        let mut room = OVERRIDES_BYTES_MAX.checked_sub(stored_bytes(&self.list))?;
        let before = self.ended.len();
        self.ended.sort_by_key(|ended| std::cmp::Reverse(ended.until_ms));
        self.ended.truncate(ENDED_OVERRIDES_MAX);
        let fits = self.ended.iter().take_while(|ended| {
            let left = room.checked_sub(stored_bytes(ended) + 1);
            room = left.unwrap_or(0);
            left.is_some()
        });
        let kept = fits.count();
        self.ended.truncate(kept);
        *self = std::mem::take(self).sorted();
        Some(before - kept)
    }
}

/// Bytes of what is stored as JSON.
fn stored_bytes(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(usize::MAX, |json| json.len())
}
