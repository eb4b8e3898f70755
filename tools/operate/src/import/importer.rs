//! The engine of the score function over rows of a file: it folds and commits, and sends nothing.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use terminal::chunk::LineChunk;
use terminal::clock::{now_ms, pause};
use terminal::glance::Kind;
use tidemark_aws::SystemClock;
use tidemark_domain::id::{CardId, EventId};
use tidemark_domain::labelled::event_identity;
use tidemark_domain::policy::Policy;
use tidemark_domain::refusal::RefusalCode;
use tidemark_engine::End;
use tidemark_engine::import::{HistoryImport, TakenRows};
use tidemark_engine::port::{QuarantineMessage, StateStore, Units};

use super::rows::{RefusedRow, RefusedRows, Row, Rows};

/// Events that are too old and whose labels are known to be so, too; a label of one beyond them is refused.
const TOO_OLD_HELD_MAX: usize = 2_000_000;
const SECOND_MS: f64 = 1_000.0;

/// What has become of rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tally {
    /// Lines that were read.
    pub(super) lines: u64,
    /// Transactions that count now.
    pub(super) imported: u64,
    /// Transactions that are in their card already.
    pub(super) known: u64,
    /// Profiles and labels that took effect now.
    pub(super) applied: u64,
    /// Labels among them of events that their cards have dropped: these keep nothing of them.
    pub(super) labels_without_card: u64,
    /// Profiles and labels that were there already.
    pub(super) applied_before: u64,
    /// Events further behind their card's newest than anything is kept.
    pub(super) too_old: u64,
    /// Labels of such events.
    pub(super) labels_too_old: u64,
    /// Lines that the contract or the map refuses, or a card's history for another reason.
    pub(super) refused: RefusedRows,
    /// Lines that the table did not take, by the engine's reason.
    pub(super) not_taken: BTreeMap<&'static str, u64>,
    /// What was written and read, units.
    pub(super) units: Units,
}

impl Tally {
    /// Lines that have no end.
    pub(super) fn not_taken_total(&self) -> u64 {
        self.not_taken.values().sum()
    }
}

/// A batch of which the table took nothing.
#[derive(Debug)]
pub(super) struct NothingTaken(pub(super) &'static str);

/// Takes rows into the cards of a store.
pub(super) struct Importer<S> {
    import: HistoryImport<S, SystemClock>,
    /// Events of the file that are too old, by card and id: what is said of them later is too old, too.
    too_old: HashSet<u64>,
    /// Write units a second; `None`: nothing is written.
    write_units: Option<f64>,
    pub(super) tally: Tally,
}

impl<S: StateStore> Importer<S> {
    pub(super) fn new(store: S, policy: &Policy, write_units: Option<f64>) -> Self {
        Self {
            import: HistoryImport::new(store, SystemClock::new(), policy),
            too_old: HashSet::new(),
            write_units,
            tally: Tally::default(),
        }
    }

    /// Takes a part of a file.
    ///
    /// # Errors
    /// When the table takes nothing of a batch, however often it is asked.
    pub(super) async fn take(&mut self, chunk: &LineChunk) -> Result<(), NothingTaken> {
        self.tally.lines += chunk.lines.len() as u64;
        let rows = Rows::of(chunk);
        let cards_max = self.write_units.map_or(usize::MAX, |units| (units as usize).max(1));
        for batch in rows.batches(cards_max) {
            let (began_ms, before) = (now_ms(), self.tally.units.write);
            self.take_batch(&rows.rows[batch]).await?;
            self.slow_down(began_ms, self.tally.units.write - before).await;
        }
        for refused in rows.refused {
            self.tally.refused.take(refused);
        }
        Ok(())
    }

    /// Waits until what was written is no more than a second's units allow.
    async fn slow_down(&self, began_ms: i64, written: f64) {
        let Some(units) = self.write_units else { return };
        let due_ms = began_ms + (written * SECOND_MS / units) as i64;
        if let Ok(wait_ms @ 1..) = u64::try_from(due_ms - now_ms()) {
            pause(wait_ms).await;
        }
    }

    async fn take_batch(&mut self, rows: &[Row<'_>]) -> Result<(), NothingTaken> {
        let payloads: Vec<&[u8]> = rows.iter().map(|row| row.payload).collect();
        let taken = self.import.take(&payloads).await;
        self.tally.units += taken.units;
        self.tally.labels_without_card += taken.labels_without_card;
        self.count(rows, taken)
    }

    /// Whether a label speaks of an event that is too old.
    fn is_too_old(&self, label: &Row<'_>) -> bool {
        event_of(label.payload).is_some_and(|event| self.too_old.contains(&event))
    }

    /// Counts the ends of a batch.
    fn count(&mut self, rows: &[Row<'_>], taken: TakenRows) -> Result<(), NothingTaken> {
        let mut returned = None;
        let mut has_end = false;
        for (row, end) in rows.iter().zip(&taken.ends) {
            has_end |= !matches!(end, Some(End::Returned(_)) | None);
            match end {
                Some(End::Scored) => self.tally.imported += 1,
                Some(End::Duplicate) if Kind::of(row.payload) == Kind::Transaction => self.tally.known += 1,
                Some(End::Duplicate) => self.tally.applied_before += 1,
                Some(End::Applied) => self.tally.applied += 1,
                Some(End::Quarantined(_)) | None => {}
                Some(End::Returned(why)) => {
                    returned = Some(why.as_str());
                    *self.tally.not_taken.entry(why.as_str()).or_default() += 1;
                }
            }
        }
        let refused: Vec<(&Row<'_>, QuarantineMessage)> = taken
            .refused
            .into_iter()
            .filter_map(|(at, message)| Some((rows.get(at)?, message)))
            .collect();
        let too_old = refused
            .iter()
            .filter(|(_, message)| message.code == RefusalCode::BeyondHorizon);
        for (row, _) in too_old {
            self.tally.too_old += 1;
            if self.too_old.len() < TOO_OLD_HELD_MAX {
                self.too_old.extend(event_of(row.payload));
            }
        }
        for (row, message) in refused {
            match message.code {
                RefusalCode::BeyondHorizon => {}
                RefusalCode::LabelWithoutEvent if self.is_too_old(row) => self.tally.labels_too_old += 1,
                code => self.tally.refused.take(RefusedRow {
                    number: row.number,
                    code: code.as_str(),
                    why: message.detail,
                }),
            }
        }
        match returned {
            Some(why) if !has_end => Err(NothingTaken(why)),
            _ => Ok(()),
        }
    }
}

/// Which event a transaction is, or a label speaks of.
fn event_of(payload: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Named {
        card_id: String,
        event_id: String,
    }
    let named: Named = serde_json::from_slice(payload).ok()?;
    Some(event_identity(
        &CardId::new(&named.card_id)?,
        &EventId::new(&named.event_id)?,
    ))
}
