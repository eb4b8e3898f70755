//! `tidemark audit`: reads a stream's range, the scores, the queues and the table, and shows that I1 and I3 hold, or which
//! events break them.
//!
//! The order of the readings matters: first the records, then the evidence. Whatever is finished meanwhile has its evidence
//! when that is read, so nothing that is done can look undone.

pub mod args;
mod cards;
mod checkpoint;
mod merge;
mod slices;
mod steering;
mod view;

use reconcile::Judgement;
use serde::Serialize;
use terminal::clock::now_ms;
use terminal::error::{CliError, Exit};
use terminal::{files, ui, when};
use tidemark_aws::admin::Admin;

use self::args::AuditArgs;
use self::checkpoint::Checkpoint;
use self::slices::Slices;
use self::steering::Steering;
use crate::account::evidence::{self, QueueRemarks, StreamRange};
use crate::places::Places;

const HOUR_MS: i64 = 3_600_000;
/// How far back an audit goes that is not told otherwise, milliseconds.
const RANGE_MS: i64 = 24 * HOUR_MS;
/// What `--since` takes for all that the stream holds.
const OLDEST: &str = "oldest";

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
    /// In how many slices the range was read.
    pub slices: u64,
    /// Where the next audit with this checkpoint begins, ms since 1970-01-01T00:00:00Z; `None`: no checkpoint was asked for.
    pub checkpoint_ms: Option<i64>,
    /// What comes of it.
    pub verdict: Conclusion,
    /// Where the records ended, what their outcomes show, and whether it holds.
    #[serde(flatten)]
    pub found: Judgement,
    /// What the queues hold besides.
    pub queues: QueueRemarks,
}

/// What comes of an audit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// Every record that was looked at has its end, or may still be on its way.
    Holds,
    /// Something is named that breaks an invariant.
    Broken,
    /// It waited in vain for records that are on their way.
    Unsettled,
    /// The range has no record: nothing was shown.
    #[default]
    Nothing,
}

impl AuditReport {
    fn judged(self) -> Self {
        let conclusion = if self.found.broken() > 0 {
            Conclusion::Broken
        } else if self.found.saw_nothing() {
            Conclusion::Nothing
        } else if self.settle_s.is_some() && self.found.account.pending > 0 {
            Conclusion::Unsettled
        } else {
            Conclusion::Holds
        };
        Self {
            verdict: conclusion,
            ..self
        }
    }

    /// How the command ends: with success when something was looked at, the invariants hold and, where it was to wait, nothing
    /// is pending.
    const fn exit(&self) -> Exit {
        match self.verdict {
            Conclusion::Holds => Exit::Ok,
            Conclusion::Broken | Conclusion::Unsettled => Exit::Failed,
            Conclusion::Nothing => Exit::Nothing,
        }
    }
}

/// What is audited.
struct Question<'a> {
    places: &'a Places,
    range: StreamRange,
    /// Where the first slice begins, and where the last one ends, ms since 1970-01-01T00:00:00Z.
    from_ms: i64,
    until_ms: i64,
    records_max: usize,
    settle_ms: i64,
    /// Records without evidence that arrived then or later are pending, ms since 1970-01-01T00:00:00Z.
    pending_from_ms: i64,
    steering: Steering,
    args: &'a AuditArgs,
}

/// Audits a range of the stream: tells where every record ended, and whether the evidence holds.
///
/// # Errors
/// When something is not there or can't be read; a broken invariant is no error but [`Exit::Failed`].
pub async fn run(admin: &Admin, args: &AuditArgs, json: bool) -> Result<Exit, CliError> {
    let started_ms = now_ms();
    let policy = files::policy(args.policy.as_deref())?;
    let places = args.places.resolve(admin).await?;
    known_shard(admin, &places, args.shard.as_deref()).await?;
    let (since_ms, until_ms) = range(args, &places, started_ms)?;
    let oldest_ms = started_ms.saturating_sub(i64::from(places.retention_h) * HOUR_MS);
    let question = Question {
        range: StreamRange {
            shard_id: args.shard.clone(),
            since_ms,
            until_ms: Some(until_ms),
        },
        from_ms: since_ms.map_or(oldest_ms, |since_ms| since_ms.max(oldest_ms)),
        until_ms,
        records_max: usize::try_from(args.records_max).unwrap_or(usize::MAX),
        settle_ms: millis(args.settle.unwrap_or(0)),
        pending_from_ms: started_ms.saturating_sub(millis(args.pending)),
        steering: steering::read(admin, &places.table, &policy, args.policy.is_some()).await?,
        places: &places,
        args,
    };
    let report = Slices::open(admin, &question).await?.audit(json).await?;
    let report = AuditReport {
        stream: places.stream.clone(),
        shard: args.shard.clone(),
        since_ms,
        until_ms,
        pending_s: args.pending,
        settle_s: args.settle,
        ..report
    }
    .judged();
    ui::out(&ui::json_or(json, &report, view::render)?);
    Ok(report.exit())
}

/// From when to when: from the checkpoint where there is one, else as the arguments say.
fn range(args: &AuditArgs, places: &Places, now_ms: i64) -> Result<(Option<i64>, i64), CliError> {
    let since = args.since.as_deref().filter(|since| *since != OLDEST);
    let (since_ms, until_ms) = when::range(since, args.until.as_deref(), now_ms)?;
    let until_ms = until_ms.unwrap_or(now_ms);
    let checkpoint = args.checkpoint.as_deref();
    let checkpoint = checkpoint.map(|path| Checkpoint::read(path, &places.stream, args.shard.as_deref()));
    if let Some(checkpoint) = checkpoint.transpose()?.flatten() {
        return Ok((Some(checkpoint.done_until_ms.min(until_ms)), until_ms));
    }
    let since_ms = match args.since.as_deref() {
        Some(OLDEST) => None,
        Some(_) => since_ms,
        None => Some(until_ms.saturating_sub(RANGE_MS)),
    };
    Ok((since_ms, until_ms))
}

fn millis(seconds: u64) -> i64 {
    i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX)
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

#[cfg(test)]
mod tests;
