//! A range of any length in bounded memory: slice by slice, the records of a slice first, then their outcomes, then their cards.
//!
//! What has no evidence yet stays open: its outcome comes with a later slice, its message is read at the end.

use std::collections::HashSet;
use std::sync::Arc;

use indicatif::ProgressBar;
use reconcile::{Audit, Evidence, Horizon, KeysInForce, Ledger, Outcome};
use terminal::clock::{now_ms, pause};
use terminal::error::CliError;
use terminal::ui;
use tidemark_aws::admin::{Admin, ShardRecord};
use tidemark_domain::id::{CardId, EventKey};

use super::checkpoint::Checkpoint;
use super::merge::Shards;
use super::{AuditReport, HOUR_MS, Question, cards};
use crate::account::evidence::{self, QueueRemarks, StreamRange, accepted};
use crate::account::{Claim, Record};

/// How far the clocks of the two streams may be apart: an outcome may seem so much older than its record, milliseconds.
const SKEW_MS: i64 = 60_000;
/// The first slice, milliseconds of arrival; as long as slices are small, each is twice as long as the one before.
const SLICE_MS_FIRST: i64 = 5 * 60_000;
/// The longest slice, milliseconds of arrival.
const SLICE_MS_MAX: i64 = 6 * HOUR_MS;
/// Wait before the evidence is read again for a record that has none, in milliseconds; it doubles with each look.
const LOOK_AGAIN_MS: u64 = 500;
/// The same at most, in milliseconds.
const LOOK_AGAIN_MS_MAX: u64 = 4_000;
/// What the table holds of an event is there for at least so long after its time, milliseconds: every release wrote states,
/// segments and decisions with a longer time to live.
const TABLE_KEEPS_MS: i64 = 7 * 24 * HOUR_MS;

/// An audit under way.
pub(super) struct Slices<'a> {
    admin: &'a Admin,
    question: &'a Question<'a>,
    records: Shards<'a, Record>,
    outcomes: Shards<'a, Outcome>,
    scores_kept_ms: i64,
    /// Every record that arrived before was taken, ms since 1970-01-01T00:00:00Z.
    taken_until_ms: i64,
    slice_ms: i64,
    slices: u64,
    evidence: Evidence,
    queues: QueueRemarks,
    ledger: Ledger,
    checkpoint_ms: Option<i64>,
}

impl<'a> Slices<'a> {
    pub(super) async fn open(admin: &'a Admin, question: &'a Question<'a>) -> Result<Self, CliError> {
        let places = question.places;
        let info = admin.stream_info(&places.scores).await;
        let info = info.map_err(evidence::failed("reading the scores stream"))?;
        // An outcome comes after its record, however late: so there is no end to this range.
        let outcomes = StreamRange {
            since_ms: question.range.since_ms.map(|since_ms| since_ms - SKEW_MS),
            ..StreamRange::default()
        };
        Ok(Self {
            admin,
            question,
            records: Shards::open(admin, &places.stream, &question.range).await?,
            outcomes: Shards::open(admin, &places.scores, &outcomes).await?,
            scores_kept_ms: i64::from(info.retention_h) * HOUR_MS,
            taken_until_ms: question.from_ms,
            slice_ms: SLICE_MS_FIRST,
            slices: 0,
            evidence: Evidence {
                withheld: question.steering.withheld.clone(),
                // A card's labels may lie in other shards than its events: of one shard alone nothing is said of keys.
                keys: match question.range.shard_id {
                    Some(_) => KeysInForce::default(),
                    None => question.steering.keys.clone(),
                },
                pending_from_ms: Some(question.pending_from_ms),
                ..Evidence::default()
            },
            queues: QueueRemarks::default(),
            ledger: Ledger::default(),
            checkpoint_ms: None,
        })
    }

    pub(super) async fn audit(mut self, quiet: bool) -> Result<AuditReport, CliError> {
        let (from_ms, until_ms) = (self.question.from_ms, self.question.until_ms);
        let seconds = |length_ms: i64| u64::try_from(length_ms / 1_000).unwrap_or_default();
        let bar = ui::bar(seconds(until_ms - from_ms).max(1), "seconds of the stream", quiet);
        while self.taken_until_ms < until_ms {
            let mut records = self.next_records().await?;
            self.slices += 1;
            loop {
                // The records come with the first of their outcomes: what has none among these stays open for the rest.
                let is_whole = self.next_outcomes().await?;
                self.round(std::mem::take(&mut records), false).await?;
                if is_whole {
                    break;
                }
            }
            if self.ledger.open().len() > self.question.records_max {
                self.look_ahead().await?;
            }
            self.note_checkpoint()?;
            bar.set_position(seconds(self.taken_until_ms - from_ms));
        }
        bar.finish_and_clear();
        let bar = ui::step("reading the queues", quiet);
        let waited_ms = self.settle(&bar).await?;
        bar.finish_and_clear();
        self.note_checkpoint()?;
        Ok(AuditReport {
            waited_ms,
            slices: self.slices,
            checkpoint_ms: self.checkpoint_ms,
            queues: self.queues,
            found: self.ledger.judgement(),
            ..AuditReport::default()
        })
    }

    /// The records of the next slice, at most as many as may be held.
    async fn next_records(&mut self) -> Result<Vec<Record>, CliError> {
        let Question {
            steering,
            until_ms,
            records_max,
            ..
        } = self.question;
        let target_ms = self.taken_until_ms.saturating_add(self.slice_ms).min(*until_ms);
        let keep = |shard_id: &Arc<str>, record: ShardRecord| {
            Ok(Record::all_of(&accepted(shard_id, record), &steering.bounds))
        };
        let mut is_cut = false;
        while self.records.advance(target_ms, &keep).await? {
            is_cut = self.records.held() >= *records_max;
            // What arrived in one millisecond is never cut.
            if is_cut && self.records.read_until_ms(target_ms) > self.taken_until_ms {
                break;
            }
        }
        self.slice_ms = if is_cut {
            (self.slice_ms / 2).max(1)
        } else if self.records.held() < records_max / 4 {
            (2 * self.slice_ms).min(SLICE_MS_MAX)
        } else {
            self.slice_ms
        };
        self.taken_until_ms = self.records.read_until_ms(target_ms);
        Ok(self.records.take_before(self.taken_until_ms))
    }

    /// Reads the outcomes of the slice; whether that is all of them, or only as many as may be held.
    async fn next_outcomes(&mut self) -> Result<bool, CliError> {
        let target_ms = if self.taken_until_ms < self.question.until_ms {
            self.taken_until_ms - SKEW_MS
        } else {
            i64::MAX
        };
        loop {
            let was_behind = self.outcomes.advance(target_ms, &outcome).await?;
            for outcome in self.outcomes.take_before(target_ms) {
                self.evidence.take(outcome);
            }
            if !was_behind {
                return Ok(true);
            }
            if self.evidence.outcomes.len() >= self.question.records_max {
                return Ok(false);
            }
        }
    }

    /// Judges records, those that are open, and the outcomes at hand.
    async fn round(&mut self, records: Vec<Record>, is_last: bool) -> Result<(), CliError> {
        let mut all = self.ledger.take_open();
        all.extend(records);
        let mut evidence = std::mem::take(&mut self.evidence);
        evidence.outcomes_since_ms = now_ms() - self.scores_kept_ms;
        if self.question.range.shard_id.is_some() {
            // The other shards' outcomes are nothing to this one.
            let cards: HashSet<&CardId> = all
                .iter()
                .filter_map(|record| record.widest_claim().card_id())
                .collect();
            evidence.outcomes.retain(|event, _| cards.contains(&event.card_id));
        }
        let horizon = Horizon {
            now_ms: now_ms(),
            kept_ms: TABLE_KEEPS_MS,
        };
        let mut audit = Audit::new(all, evidence, horizon);
        cards::read(self.admin, &self.question.places.table, &mut audit).await?;
        self.evidence = audit.close(&mut self.ledger, is_last);
        Ok(())
    }

    /// Too much is open: the path was far behind. Reads on in the scores stream for those events alone, and comes back. What has
    /// no end in all of it and in no queue is judged as it stands.
    async fn look_ahead(&mut self) -> Result<(), CliError> {
        let mut wanted: HashSet<EventKey> = HashSet::new();
        for record in self.ledger.open() {
            if let Claim::Transaction(event) = record.widest_claim() {
                wanted.insert(event.clone());
            }
        }
        let range = StreamRange {
            since_ms: Some(self.taken_until_ms - SKEW_MS),
            ..StreamRange::default()
        };
        let mut ahead = Shards::open(self.admin, &self.question.places.scores, &range).await?;
        while !wanted.is_empty() && ahead.advance(i64::MAX, &outcome).await? {
            for outcome in ahead.take_before(i64::MAX) {
                if wanted.remove(&outcome.event) {
                    self.evidence.take(outcome);
                }
            }
        }
        self.read_queues().await?;
        self.round(Vec::new(), false).await?;
        if self.ledger.open().len() > self.question.records_max {
            self.round(Vec::new(), true).await?;
        }
        Ok(())
    }

    async fn read_queues(&mut self) -> Result<(), CliError> {
        self.evidence.quarantined = reconcile::Quarantined::default();
        self.evidence.dead.clear();
        self.evidence.unrecoverable.clear();
        let names = self.question.places.names();
        self.queues = evidence::read_queues(self.admin, &names, &mut self.evidence).await?;
        Ok(())
    }

    /// Looks until every record has its end, or it has taken so long; once at least. How long it waited, in milliseconds.
    async fn settle(&mut self, bar: &ProgressBar) -> Result<i64, CliError> {
        let from_ms = now_ms();
        let mut wait_ms = LOOK_AGAIN_MS;
        loop {
            self.read_queues().await?;
            self.outcomes.again();
            while !self.next_outcomes().await? {
                self.round(Vec::new(), false).await?;
            }
            self.round(Vec::new(), false).await?;
            let waited_ms = now_ms() - from_ms;
            let open = self.ledger.open().len();
            if open == 0 || waited_ms >= self.question.settle_ms {
                self.round(Vec::new(), true).await?;
                return Ok(waited_ms);
            }
            bar.set_message(format!("waiting for {} records", ui::grouped(open as u64)));
            pause(wait_ms).await;
            wait_ms = (2 * wait_ms).min(LOOK_AGAIN_MS_MAX);
        }
    }

    /// Notes how far everything has its end and holds.
    fn note_checkpoint(&mut self) -> Result<(), CliError> {
        let args = self.question.args;
        let Some(path) = &args.checkpoint else { return Ok(()) };
        let found_ms = self.ledger.done_until_ms(self.taken_until_ms);
        let done_ms = found_ms.or(self.checkpoint_ms).unwrap_or(self.question.from_ms);
        self.checkpoint_ms = Some(done_ms);
        let stream = &self.question.places.stream;
        Checkpoint::new(stream, args.shard.as_deref(), done_ms, now_ms()).write(path)
    }
}

#[allow(clippy::needless_pass_by_value)] // as a walk gives it
fn outcome(_: &Arc<str>, record: ShardRecord) -> Result<Vec<Outcome>, CliError> {
    let outcome = Outcome::read(record.arrival_ms, &record.data);
    outcome.map(|outcome| vec![outcome]).map_err(evidence::not_ours)
}
