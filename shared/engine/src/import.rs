//! History from elsewhere into cards: rows go through the fold and the writes of the score function, and nothing is sent.
//!
//! A row is one event or none. Each event is one of its card's distinct events, whoever brings it first: the stream, these rows, or others
//! at the same time. So rows of which something has to come again are taken again, and so is a file that broke off.

use std::sync::Arc;

use tidemark_domain::control::Mode;
use tidemark_domain::policy::Policy;

use crate::config::EngineConfig;
use crate::directives::Directives;
use crate::engine::Engine;
use crate::memory::{MemoryQuarantine, MemorySink};
use crate::port::{Clock, QuarantineMessage, StateStore, Units};
use crate::record::{InRecord, OfAggregate};
use crate::report::{BatchReport, End};

/// Time for one batch, milliseconds.
const BATCH_MS_MAX: i64 = 120_000;
/// Tries of a batch of which something has to come again.
const TRIES_MAX: u32 = 8;
/// The wait before the second try, milliseconds; it doubles up to [`TRY_WAIT_MS_MAX`].
const TRY_WAIT_MS: u64 = 250;
/// The longest wait between tries, milliseconds.
const TRY_WAIT_MS_MAX: u64 = 10_000;

/// What became of rows.
#[derive(Clone, Debug, Default)]
pub struct TakenRows {
    /// The end of each row, in their order; `None`: nothing is known of it.
    pub ends: Vec<Option<End>>,
    /// Rows that were refused, by their place among the rows, and why.
    pub refused: Vec<(usize, QuarantineMessage)>,
    /// What was written and read, by every try.
    pub units: Units,
    /// Labels of events that their cards have dropped.
    pub labels_without_card: u64,
}

impl TakenRows {
    /// Whether every row has an end.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let returned = |end: &Option<End>| matches!(end, Some(End::Returned(_)) | None);
        !self.ends.iter().any(returned)
    }
}

/// Takes rows of history into the cards of a store.
pub struct HistoryImport<S, C> {
    engine: Engine<S, MemorySink, MemoryQuarantine, C>,
    quarantine: MemoryQuarantine,
    directives: Directives,
}

impl<S: StateStore, C: Clock> HistoryImport<S, C> {
    /// An import under the policy in force, with its lists.
    pub fn new(store: S, clock: C, policy: &Policy) -> Self {
        let quarantine = MemoryQuarantine::default();
        let policy = Arc::new(policy.for_import());
        // Nobody acts on what happened long ago: outcomes stay with their cards.
        let directives = Directives {
            mode: Mode::Shadow,
            ..Directives::standing(Arc::clone(&policy))
        };
        let sink = MemorySink::default();
        Self {
            engine: Engine::new(store, sink, quarantine.clone(), clock, policy, EngineConfig::default()),
            quarantine,
            directives,
        }
    }

    /// The clock by which batches and waits are measured.
    pub const fn clock(&self) -> &C {
        &self.engine.clock
    }

    /// Takes rows, each the bytes of an event, and takes those again that the store did not take, with a wait in between.
    pub async fn take(&self, rows: &[&[u8]]) -> TakenRows {
        let numbers: Vec<String> = (0..rows.len()).map(|at| at.to_string()).collect();
        let mut taken = TakenRows {
            ends: vec![None; rows.len()],
            ..TakenRows::default()
        };
        let mut wait_ms = TRY_WAIT_MS;
        for tries in 1..=TRIES_MAX {
            let arrival_ms = self.engine.clock.now_ms();
            let records = records(rows, &numbers, arrival_ms);
            let directives = self.directives.clone();
            let deadline_ms = arrival_ms + BATCH_MS_MAX;
            let report = self.engine.process_by(&records, deadline_ms, directives).await;
            taken.units += report.units;
            taken.labels_without_card += report.labels_without_card;
            note_ends(&mut taken.ends, &report);
            if report.retry_from.is_none() {
                break;
            }
            if tries < TRIES_MAX {
                drop(self.quarantine.take());
                self.engine.clock.sleep_ms(wait_ms).await;
                wait_ms = (2 * wait_ms).min(TRY_WAIT_MS_MAX);
            }
        }
        let messages = self.quarantine.take().into_iter().filter(|message| message.part == 1);
        taken.refused = messages
            .filter_map(|message| Some((message.sequence_number.parse().ok()?, message)))
            .collect();
        taken
    }
}

/// Rows as records of no stream.
fn records<'r>(rows: &[&'r [u8]], numbers: &'r [String], arrival_ms: i64) -> Vec<InRecord<'r>> {
    let rows = rows.iter().zip(numbers);
    rows.map(|(row, number)| InRecord {
        stream: "",
        shard_id: "",
        sequence_number: number,
        // A row is one event or none: it is never taken apart.
        of_aggregate: Some(OfAggregate {
            sub_sequence_number: 0,
            partition_key: "",
        }),
        partition_key: "",
        arrival_ms,
        data: row,
    })
    .collect()
}

/// What counted at an earlier try stays counted: at a later one it is a duplicate.
fn note_ends(ends: &mut [Option<End>], report: &BatchReport) {
    for (known, end) in ends.iter_mut().zip(&report.ends) {
        let counted = matches!(known, Some(End::Scored | End::Applied));
        if !(counted && *end == End::Duplicate) {
            *known = Some(*end);
        }
    }
}
