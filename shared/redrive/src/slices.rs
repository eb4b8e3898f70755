//! How a run is cut, so that parts of it go side by side. Pure.
//!
//! ```text
//!            since                                             until
//! shard 0    │ slice │ slice │ slice │ slice │ slice │ slice │ sl │   a chain: one slice after the other
//! shard 1    │ slice │ slice │ slice │ slice │ slice │ slice │ sl │   another one, beside it
//!                                            └─ split ─┐
//! shard 2                                              begins when the chains of its parents are over: the next generation
//! ```
//!
//! A slice is one shard and one span of time. The slices of a shard make a chain and follow one another, since a card's events lie
//! in one shard and apply in its order (I4), and since what a shard gives to its readers is the shard's own: two walks over one
//! shard would only share it. Chains go side by side, children of a reshard after their parents.

use std::collections::BTreeMap;

use crate::api::{QueueShare, Request};
use crate::chain::Chain;
use crate::cursor::{CURSOR_VERSION, Cursor};
use crate::cut::first_cut;
use crate::limits::{CHAINS_MAX, CLOCK_SLACK_MS};
use crate::shards::ShardInfo;
use crate::source::Source;

/// The chains of a run, generation by generation: those of one go side by side, and begin when the one before is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunPlan {
    /// The generations.
    pub generations: Vec<Vec<Chain>>,
}

/// Why a run can't be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Uncut {
    /// Quarantined payloads are put together of parts that lie anywhere in their queue.
    #[error("payloads of the quarantine are put together of messages that lie anywhere in its queue")]
    Quarantine,
    /// A dry run of dead letters takes no message away.
    #[error("a dry run takes no message out of the queue, so each part would count all of them")]
    DryLetters,
    /// Each part would find so many.
    #[error("a bound of records is one of the whole run, and its parts do not know of each other")]
    RecordsMax,
    /// Only times can be cut.
    #[error("a range is cut by time: it needs a time at which it begins, and no sequence numbers")]
    NoTimes,
    /// The stream has no such shard.
    #[error("the stream has no such shard")]
    NoShard,
    /// More shards than a run takes.
    #[error("the stream has more than {CHAINS_MAX} shards")]
    TooMany,
}

/// Cuts a run that begins at `started_ms` (milliseconds since 1970-01-01T00:00:00Z) into chains; `parallel` of them are to go side
/// by side.
///
/// # Errors
/// When it is a run that can't be cut.
pub fn plan(request: &Request, shards: &[ShardInfo], parallel: u32, started_ms: i64) -> Result<RunPlan, Uncut> {
    if request.records_max.is_some() {
        return Err(Uncut::RecordsMax);
    }
    if shards.len() > CHAINS_MAX {
        return Err(Uncut::TooMany);
    }
    match request.source {
        Source::Quarantine => Err(Uncut::Quarantine),
        Source::DeadLetter if request.dry_run => Err(Uncut::DryLetters),
        Source::DeadLetter => Ok(letters(request, shards.len(), parallel, started_ms)),
        Source::Range => range(request, shards, started_ms),
    }
}

/// As many shares of the queue as there are shards at most: with more, several walks would read one shard.
fn letters(request: &Request, shards: usize, parallel: u32, started_ms: i64) -> RunPlan {
    let of = parallel.clamp(1, u32::try_from(shards.max(1)).unwrap_or(u32::MAX));
    let share = |index| Request {
        share: Some(QueueShare { index, of }),
        cursor: Some(begun(request.source, started_ms)),
        ..request.clone()
    };
    RunPlan {
        generations: vec![(0..of).map(|index| Chain::new(share(index))).collect()],
    }
}

/// What is left of the queue when its shares were taken: the same run once more, which has the queue to itself and counts what stayed.
#[must_use]
pub fn rest(request: &Request, started_ms: i64) -> Request {
    Request {
        cursor: Some(begun(request.source, started_ms)),
        ..request.clone()
    }
}

fn begun(source: Source, started_ms: i64) -> Cursor {
    Cursor {
        version: CURSOR_VERSION,
        source,
        started_ms,
        seen: Vec::new(),
        parts: Vec::new(),
        shards: Vec::new(),
    }
}

fn range(request: &Request, shards: &[ShardInfo], started_ms: i64) -> Result<RunPlan, Uncut> {
    let whole = request.range.clone().unwrap_or_default();
    let is_of_numbers = whole.from_sequence_number.is_some() || whole.to_sequence_number.is_some();
    let Some(since_ms) = whole.since_ms.filter(|_| !is_of_numbers && whole.cut.is_none()) else {
        return Err(Uncut::NoTimes);
    };
    let until_ms = whole
        .until_ms
        .unwrap_or_else(|| started_ms.saturating_add(CLOCK_SLACK_MS));
    let is_wanted = |shard: &&ShardInfo| whole.shard_id.as_ref().is_none_or(|wanted| *wanted == shard.id);
    let mut generations: BTreeMap<usize, Vec<Chain>> = BTreeMap::new();
    for (shard, generation) in by_generation(shards).iter().filter(|(shard, _)| is_wanted(shard)) {
        let mut of_shard = whole.clone();
        of_shard.shard_id = Some(shard.id.clone());
        of_shard.until_ms = Some(until_ms);
        of_shard.cut = first_cut(since_ms, until_ms);
        let chain = Chain::new(Request {
            range: Some(of_shard),
            ..request.clone()
        });
        generations.entry(*generation).or_default().push(chain);
    }
    if generations.is_empty() {
        return Err(Uncut::NoShard);
    }
    Ok(RunPlan {
        generations: generations.into_values().collect(),
    })
}

/// Each shard, and how many reshards lie between it and a shard without parents that are there.
fn by_generation(shards: &[ShardInfo]) -> Vec<(&ShardInfo, usize)> {
    let ids: BTreeMap<&str, &ShardInfo> = shards.iter().map(|shard| (shard.id.as_str(), shard)).collect();
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    for id in crate::shards::in_order(shards) {
        let Some((id, shard)) = ids.get_key_value(id.as_str()) else {
            continue;
        };
        let parents = shard.parents.iter().filter_map(|parent| known.get(parent.as_str()));
        known.insert(id, parents.max().map_or(0, |parent| parent + 1));
    }
    known
        .into_iter()
        .filter_map(|(id, generation)| ids.get(id).map(|shard| (*shard, generation)))
        .collect()
}
