//! The engine over a file: a chunk's lines become batches, and what became of them comes back line by line.
//!
//! A chunk is dealt to lanes by card, as Kinesis deals a stream to its shards, so that a batch holds few cards with several
//! events each: the engine writes a card's state once a batch. Lines of one card stay in their order; the ends are handed
//! back in the order of the lines.

use std::sync::Arc;

use futures_util::FutureExt;
use terminal::chunk::{CHUNK_LINES_MAX, LineChunk};
use terminal::glance::Kind;
use terminal::lines::Unread;
use tidemark_domain::id::CardId;
use tidemark_domain::policy::Policy;
use tidemark_engine::config::BATCH_RECORDS_MAX;
use tidemark_engine::memory::{ManualClock, MemoryQuarantine, MemorySink};
use tidemark_engine::record::OfAggregate;
use tidemark_engine::{BatchReport, End, Engine, EngineConfig, InRecord};

use super::store::FileStore;
use super::{Arrival, ScoreFileError, ScoreSummary};

/// With no arrival time, the contract's bounds on time are this wide, ms: no time that it can read is outside.
const UNBOUNDED_MS: i64 = i64::MAX / 4;
/// Lines of a lane in a full chunk, about: what a batch makes of so many stays in the processor's cache until it is written.
const LANE_LINES: usize = 1_024;
const LANES: usize = CHUNK_LINES_MAX / LANE_LINES;
/// Memory of the states that the engine keeps decoded from one batch to the next, bytes.
const WARM_BYTES_MAX: usize = 32 << 20;
/// Cards whose profile the engine keeps from one batch to the next.
const WARM_PROFILES_MAX: usize = 20_000;
/// Memory of what is stored of cards, bytes; the rest is in a file.
const STORED_BYTES_MAX: usize = 64 << 20;

/// What became of a line.
#[derive(Debug)]
pub(crate) enum LineEnd {
    /// Scored: its outcome is a line of the output.
    Outcome(Vec<u8>),
    /// Refused, by the contract or by the file's map.
    Refused { code: &'static str, detail: String },
    /// Its effect is in the card, or was there already.
    Silent,
}

/// Takes chunks to their ends, by the engine that the score function runs.
pub(crate) struct Scorer {
    engine: Engine<FileStore, MemorySink, MemoryQuarantine, ManualClock>,
    store: FileStore,
    sink: MemorySink,
    quarantine: MemoryQuarantine,
    arrival_ms: i64,
    /// What stands for a sequence number: the place in the batch.
    places: Vec<String>,
    summary: ScoreSummary,
}

impl Scorer {
    /// Nothing is known of any card. With `features` each outcome carries the value of every feature of the policy.
    pub(crate) fn new(policy: Policy, features: bool, arrival: Arrival) -> Self {
        Self::within(policy, features, arrival, STORED_BYTES_MAX)
    }

    /// The same with so much memory for what is stored of cards, bytes.
    pub(super) fn within(mut policy: Policy, features: bool, arrival: Arrival, stored_bytes_max: usize) -> Self {
        policy.outcome_features |= features;
        let arrival_ms = match arrival {
            Arrival::AtEventTime => {
                (policy.bounds.skew_ms, policy.bounds.lateness_ms) = (UNBOUNDED_MS, UNBOUNDED_MS);
                0
            }
            Arrival::At(arrival_ms) => arrival_ms,
        };
        let store = FileStore::new(policy.retention_ms(), stored_bytes_max);
        let (sink, quarantine) = (MemorySink::default(), MemoryQuarantine::default());
        let config = EngineConfig {
            commits_concurrent_max: 1, // nothing here waits
            cache_cards_max: usize::MAX,
            cache_bytes_max: WARM_BYTES_MAX,
            profile_cache_cards_max: WARM_PROFILES_MAX,
            ..EngineConfig::default()
        };
        let (clock, policy) = (ManualClock::at(0), Arc::new(policy));
        Self {
            engine: Engine::new(store.clone(), sink.clone(), quarantine.clone(), clock, policy, config),
            store,
            sink,
            quarantine,
            arrival_ms,
            places: (0..BATCH_RECORDS_MAX).map(|place| place.to_string()).collect(),
            summary: ScoreSummary::default(),
        }
    }

    /// Whether labels teach keys.
    pub(crate) fn learns(&self) -> bool {
        !self.engine.own_policy().keys.is_empty()
    }

    /// How many labels each key takes before it forgets one.
    pub(crate) fn room_in_keys(&self) -> usize {
        self.store.room_in_keys()
    }

    /// Whether a card has no sealed segment: its state holds all that is kept of it.
    pub(crate) fn keeps_whole(&self, card: &str) -> bool {
        CardId::new(card).is_some_and(|card| self.store.keeps_whole(&card))
    }

    /// What became of each line, in their order.
    ///
    /// # Errors
    /// When the engine does not finish a line, which in memory is a bug.
    pub(crate) fn score(&mut self, chunk: &LineChunk) -> Result<Vec<LineEnd>, ScoreFileError> {
        let mut ends: Vec<LineEnd> = Vec::with_capacity(chunk.lines.len());
        let mut lanes = vec![Vec::new(); LANES];
        for (at, line) in chunk.lines.iter().enumerate() {
            let end = match chunk.text(at) {
                Ok(_) => {
                    lanes[lane_of(line.card)].push(at);
                    LineEnd::Silent
                }
                Err(Unread { code, why }) => LineEnd::Refused {
                    code,
                    detail: why.clone(),
                },
            };
            ends.push(end);
        }
        for batch in lanes.iter().flat_map(|lane| lane.chunks(BATCH_RECORDS_MAX)) {
            self.score_batch(chunk, batch, &mut ends)?;
        }
        self.count(&ends);
        Ok(ends)
    }

    /// What became of all lines.
    pub(crate) fn into_summary(mut self) -> ScoreSummary {
        self.summary.cards = self.store.count_cards();
        self.summary
    }

    /// How often a card was moved out of memory.
    #[cfg(test)]
    pub(super) fn moved(&self) -> u64 {
        self.store.moved()
    }

    /// Bytes that are kept of a card's state, and of its segments.
    #[cfg(test)]
    pub(crate) fn bytes_of(&self, card: &CardId) -> (usize, usize) {
        self.store.bytes_of(card)
    }

    /// Takes some lines of a chunk to their ends, as one batch.
    fn score_batch(&mut self, chunk: &LineChunk, lines: &[usize], ends: &mut [LineEnd]) -> Result<(), ScoreFileError> {
        let records: Vec<InRecord<'_>> = lines
            .iter()
            .zip(&self.places)
            .map(|(line, place)| InRecord {
                stream: "",
                shard_id: "",
                sequence_number: place,
                // A line is one event or none: it is never taken apart.
                of_aggregate: Some(OfAggregate {
                    sub_sequence_number: 0,
                    partition_key: "",
                }),
                partition_key: "",
                arrival_ms: self.arrival_ms,
                data: chunk.text(*line).unwrap_or_default(),
            })
            .collect();
        // Every port is in memory and answers at once.
        let report = self.engine.process(&records, i64::MAX).now_or_never();
        if let Some(error) = self.store.failed() {
            return Err(ScoreFileError::Spill(error));
        }
        let report = report.filter(|report| report.retry_from.is_none());
        let report = report.ok_or(ScoreFileError::Unfinished)?;
        self.settle(chunk, lines, &report, ends);
        Ok(())
    }

    /// Hands the ends of a batch to its lines.
    fn settle(&mut self, chunk: &LineChunk, lines: &[usize], report: &BatchReport, ends: &mut [LineEnd]) {
        for (decision, count) in &report.decisions {
            *self.summary.decisions.entry(decision.as_str()).or_default() += count;
        }
        self.summary.unknown_fields += report.unknown_fields;
        let kind = |line: usize| Kind::of(chunk.text(line).unwrap_or_default());
        // A transaction that is known already has its outcome sent again; a file has one line for one event.
        let mut outcomes = self.sink.take().into_iter();
        let mut occurred_ms = report.occurred_ms.iter();
        for (line, end) in lines.iter().zip(&report.ends) {
            match end {
                End::Scored => {
                    if let Some((outcome, time_ms)) = outcomes.next().zip(occurred_ms.next()) {
                        self.count_scored(&outcome.card_id, *time_ms);
                        ends[*line] = LineEnd::Outcome(outcome.bytes);
                    }
                }
                End::Duplicate => {
                    self.summary.duplicate += 1;
                    if kind(*line) == Kind::Transaction {
                        outcomes.next();
                    }
                }
                End::Applied if kind(*line) == Kind::Profile => self.summary.profiles += 1,
                End::Applied => self.summary.labels += 1,
                End::Quarantined(_) | End::Returned(_) => {}
            }
        }
        for message in self.quarantine.take().into_iter().filter(|message| message.part == 1) {
            let line = message
                .sequence_number
                .parse()
                .ok()
                .and_then(|place: usize| lines.get(place));
            if let Some(line) = line {
                let (code, detail) = (message.code.as_str(), message.detail);
                ends[*line] = LineEnd::Refused { code, detail };
            }
        }
    }

    /// Counts a transaction that counts now, and whether it came after a later one of its card.
    fn count_scored(&mut self, card: &CardId, time_ms: i64) {
        self.summary.scored += 1;
        self.summary.out_of_order += u64::from(self.store.note(card, time_ms));
    }

    fn count(&mut self, ends: &[LineEnd]) {
        self.summary.lines += ends.len() as u64;
        for end in ends {
            if let LineEnd::Refused { code, .. } = end {
                *self.summary.refused.entry(*code).or_default() += 1;
            }
        }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "a remainder of a few lanes")]
fn lane_of(card: u64) -> usize {
    (card % LANES as u64) as usize
}
