//! `tidemark audit`: reads a stream's range, the scores, the queues and the table, and shows that I1 and I3 hold, or which
//! events break them.
//!
//! The order of the readings matters: first the records, then the evidence. Whatever is finished meanwhile has its evidence
//! when that is read, so nothing that is done can look undone.

mod cards;
mod view;

use std::collections::BTreeSet;
use std::sync::Arc;

use indicatif::ProgressBar;
use serde::Serialize;
use tidemark_aws::admin::Admin;
use tidemark_domain::contract::Bounds;

use crate::account::evidence::{self, QueueRemarks, StreamRange, accepted};
use crate::account::{Account, Evidence, OutcomeCopies, Record};
use crate::audit::cards::CardCheck;
use crate::cli::AuditArgs;
use crate::clock::{now_ms, pause};
use crate::error::{CliError, Exit};
use crate::places::Places;
use crate::{files, ui, when};

/// Events that are named for each invariant.
const BREAKS_MAX: usize = 1_000;
/// How far the clocks of the two streams may be apart: outcomes are read from so long before the range, in milliseconds.
const SKEW_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;
/// Wait before the evidence is read again for a record that has none, in milliseconds; it doubles with each look.
const LOOK_AGAIN_MS: u64 = 500;
/// The same at most, in milliseconds.
const LOOK_AGAIN_MS_MAX: u64 = 4_000;

/// What the audit found. Field names are stable: scripts read them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AuditReport {
    /// The stream of transactions.
    pub stream: String,
    /// Only this shard.
    pub shard: Option<String>,
    /// Records that arrived then or later, ms since 1970-01-01T00:00:00Z; `None`: all that the stream holds.
    pub since_ms: Option<i64>,
    /// Records that arrived before, ms since 1970-01-01T00:00:00Z.
    pub until_ms: i64,
    /// A record without evidence that is younger, in seconds, is pending.
    pub pending_s: u64,
    /// The audit was to wait so long at most until every record has its end, in seconds.
    pub settle_s: Option<u64>,
    /// How long it waited for that, in milliseconds.
    pub waited_ms: i64,
    /// Where the records ended (I1).
    #[serde(flatten)]
    pub account: Account,
    /// What the outcomes show (I3).
    pub outcomes: OutcomeChecks,
    /// What the queues hold besides.
    pub queues: QueueRemarks,
    /// Whether I1 and I3 hold for every record that is not pending, and no stored history counts an event twice.
    pub holds: bool,
    /// What breaks them, in words.
    pub breaks: Vec<Break>,
}

/// What the outcomes of the range's events show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OutcomeChecks {
    /// Events with an outcome.
    pub events: u64,
    /// Outcome records of theirs, copies included.
    pub records: u64,
    /// Events whose copies differ.
    pub conflicting: u64,
    /// Outcomes that were held against the card's stored history.
    pub compared_with_state: u64,
    /// Of these, outcomes that the history gives differently.
    pub different_from_state: u64,
    /// Times that an event is in its card's stored history beyond the first: it counted again (I2).
    pub counted_again: u64,
    /// Alerts that were held against the recorded decision.
    pub compared_with_decision: u64,
    /// Of these, alerts whose decision is another.
    pub different_from_decision: u64,
    /// Alerts without a recorded decision (decisions expire, so this breaks nothing by itself).
    pub without_decision: u64,
}

/// One thing that breaks an invariant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Break {
    /// `I1`, `I2` or `I3`.
    pub invariant: &'static str,
    /// What, and of which record or event.
    pub what: String,
}

impl AuditReport {
    /// How the command ends: with success when both invariants hold and, where it was to wait, nothing is pending.
    fn exit(&self) -> Exit {
        if self.holds && !self.is_unsettled() {
            Exit::Ok
        } else {
            Exit::Failed
        }
    }

    /// Whether it waited in vain for records that are on their way.
    fn is_unsettled(&self) -> bool {
        self.settle_s.is_some() && self.account.pending > 0
    }
}

/// What is audited.
struct Question<'a> {
    places: &'a Places,
    range: StreamRange,
    records_max: u64,
    /// Records without evidence that arrived then or later are pending, ms since 1970-01-01T00:00:00Z.
    pending_from_ms: i64,
}

/// Audits.
///
/// # Errors
/// When something is not there or can't be read; a broken invariant is no error but [`Exit::Failed`].
pub async fn run(admin: &Admin, args: &AuditArgs, json: bool) -> Result<Exit, CliError> {
    let started_ms = now_ms();
    let (since_ms, until_ms) = when::range(args.since.as_deref(), args.until.as_deref(), started_ms)?;
    let until_ms = until_ms.unwrap_or(started_ms);
    let policy = files::policy(args.policy.as_deref())?;
    let places = args.places.resolve(admin).await?;
    known_shard(admin, &places, args.shard.as_deref()).await?;
    let question = Question {
        places: &places,
        range: StreamRange {
            shard_id: args.shard.clone(),
            since_ms,
            until_ms: Some(until_ms),
        },
        records_max: args.records_max,
        pending_from_ms: started_ms.saturating_sub(millis(args.pending)),
    };
    let bar = ui::step("reading the stream", json);
    let records = read_records(admin, &question, &policy.bounds).await?;
    let report = settled(admin, &question, &records, args.settle.unwrap_or(0), &bar).await?;
    bar.finish_and_clear();
    let report = AuditReport {
        stream: places.stream.clone(),
        shard: args.shard.clone(),
        since_ms,
        until_ms,
        pending_s: args.pending,
        settle_s: args.settle,
        ..report
    };
    ui::out(&ui::json_or(json, &report, view::render)?);
    Ok(report.exit())
}

fn millis(seconds: u64) -> i64 {
    i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX)
}

/// Looks until every record has its end, or it has taken so long; once at least.
async fn settled(
    admin: &Admin,
    question: &Question<'_>,
    records: &[Record],
    settle_s: u64,
    bar: &ProgressBar,
) -> Result<AuditReport, CliError> {
    let from_ms = now_ms();
    let mut wait_ms = LOOK_AGAIN_MS;
    loop {
        let report = look(admin, question, records, bar).await?;
        let waited_ms = now_ms() - from_ms;
        let open = report.account.pending + report.account.unaccounted;
        if open == 0 || waited_ms >= millis(settle_s) {
            return Ok(AuditReport { waited_ms, ..report });
        }
        bar.set_message(format!("waiting for {} records", ui::grouped(open)));
        pause(wait_ms).await;
        wait_ms = (2 * wait_ms).min(LOOK_AGAIN_MS_MAX);
    }
}

/// Reads all the evidence once, and judges.
async fn look(
    admin: &Admin,
    question: &Question<'_>,
    records: &[Record],
    bar: &ProgressBar,
) -> Result<AuditReport, CliError> {
    let places = question.places;
    let mut evidence = Evidence {
        pending_from_ms: Some(question.pending_from_ms),
        outcomes_since_ms: now_ms() - scores_kept_ms(admin, places).await?,
        ..Evidence::default()
    };
    bar.set_message("reading the outcomes");
    read_outcomes(admin, question, &mut evidence).await?;
    bar.set_message("reading the queues");
    let queues = evidence::read_queues(admin, &places.names(), &mut evidence).await?;
    bar.set_message("reading the cards");
    let check = cards::read(admin, &places.table, records, &mut evidence).await?;
    Ok(AuditReport {
        queues,
        ..judge(records, &evidence, check)
    })
}

async fn known_shard(admin: &Admin, places: &Places, shard: Option<&str>) -> Result<(), CliError> {
    let Some(shard) = shard else { return Ok(()) };
    let shards = admin.list_shards(&places.stream).await;
    let shards = shards.map_err(evidence::failed("listing shards"))?;
    if shards.iter().any(|known| known.id == shard) {
        return Ok(());
    }
    Err(CliError::usage(
        "unknown_shard",
        format!("stream {} has no shard {shard}", places.stream),
        "Leave --shard out, or take one that `tidemark dlq` or the stream's description names.",
    ))
}

async fn scores_kept_ms(admin: &Admin, places: &Places) -> Result<i64, CliError> {
    let info = admin.stream_info(&places.scores).await;
    Ok(i64::from(info.map_err(evidence::failed("reading the scores stream"))?.retention_h) * HOUR_MS)
}

async fn read_records(admin: &Admin, question: &Question<'_>, bounds: &Bounds) -> Result<Vec<Record>, CliError> {
    let (stream, records_max) = (&question.places.stream, question.records_max);
    let mut records = Vec::new();
    evidence::walk(admin, stream, &question.range, |shard_id: &Arc<str>, record| {
        if records.len() as u64 >= records_max {
            return Err(too_many(records_max));
        }
        records.extend(Record::all_of(&accepted(shard_id, record), bounds));
        Ok(())
    })
    .await?;
    Ok(records)
}

async fn read_outcomes(admin: &Admin, question: &Question<'_>, evidence: &mut Evidence) -> Result<(), CliError> {
    // An outcome comes after its record, however late: so there is no end to this range.
    let range = StreamRange {
        since_ms: question.range.since_ms.map(|since_ms| since_ms - SKEW_MS),
        ..StreamRange::default()
    };
    evidence::walk(admin, &question.places.scores, &range, |_, record| {
        if evidence.outcomes.len() as u64 > question.records_max {
            return Err(too_many(question.records_max));
        }
        evidence::take_outcome(&mut evidence.outcomes, record, false)
    })
    .await
}

fn too_many(records_max: u64) -> CliError {
    CliError::input(
        "range_too_large",
        format!("the range has more than {} records", ui::grouped(records_max)),
        "Audit it in parts (--since and --until, or --shard), or raise --records-max: it takes about 500 bytes of memory a record.",
    )
}

/// Puts the findings together.
fn judge(records: &[Record], evidence: &Evidence, check: CardCheck) -> AuditReport {
    let mut outcomes = check.counts;
    let mut breaks: BTreeSet<Break> = check.breaks;
    let of_range: BTreeSet<&str> = records.iter().filter_map(Record::event_id).collect();
    let of_range = of_range
        .into_iter()
        .filter_map(|id| Some((id, evidence.outcomes.get(id)?)));
    for (event_id, copies) in of_range {
        outcomes.events += 1;
        outcomes.records += copies.copies;
        if !copies.identical {
            outcomes.conflicting += 1;
            breaks.insert(conflict(event_id, copies));
        }
    }
    let account = Account::of(records.iter(), evidence);
    for record in account.unaccounted_examples.iter().take(BREAKS_MAX) {
        breaks.insert(Break {
            invariant: "I1",
            what: format!("record {record} is nowhere: no outcome, no effect, in no queue"),
        });
    }
    let broken = account.unaccounted
        + outcomes.conflicting
        + outcomes.different_from_state
        + outcomes.counted_again
        + outcomes.different_from_decision;
    AuditReport {
        holds: broken == 0,
        account,
        outcomes,
        breaks: breaks.into_iter().take(2 * BREAKS_MAX).collect(),
        ..AuditReport::default()
    }
}

fn conflict(event_id: &str, copies: &OutcomeCopies) -> Break {
    Break {
        invariant: "I3",
        what: format!(
            "event {event_id} of card {} has {} outcomes in the scores stream that differ",
            copies.card_id, copies.copies
        ),
    }
}

#[cfg(test)]
mod tests;
