//! Sending records: as fast as they are scored, or evenly at a rate.

use lab::simulate::SimRecord;
use terminal::clock::{now_ms, pause};
use terminal::error::CliError;
use tidemark_aws::admin::PutRecord;

use crate::stack::Stack;

/// Records of one PutRecords call.
const BATCH_RECORDS: usize = 500;
/// How often the backlog is looked at, in milliseconds.
const BACKLOG_WATCH_MS: u64 = 5;
/// How long the mapping may go without any progress before the demo gives up, in milliseconds.
pub(crate) const STALLED_MS_MAX: u64 = 120_000;
/// How often records are sent at a rate, in milliseconds.
const TICK_MS: u64 = 10;

/// How fast records are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// So many a second.
    Rate(u64),
    /// As fast as they are scored: so many may wait.
    Backlog(u64),
}

/// Sends up to `records_max` records of a simulated stream; answers how many. `before` records were sent already.
pub(crate) async fn send(
    stack: &Stack,
    stream: &mut (impl Iterator<Item = SimRecord> + Send),
    bounds: (u64, u64),
    pace: Pace,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<u64, CliError> {
    let mut records = stream.map(|record| PutRecord {
        partition_key: record.partition_key,
        data: record.payload,
    });
    send_records(stack, &mut records, bounds, pace, progress).await
}

/// The same of records from anywhere.
pub(crate) async fn send_records(
    stack: &Stack,
    records: &mut (impl Iterator<Item = PutRecord> + Send),
    (before, records_max): (u64, u64),
    pace: Pace,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<u64, CliError> {
    let started_ms = now_ms();
    let mut sent = 0_u64;
    while sent < records_max {
        let due = match pace {
            Pace::Rate(rate) => due_now(rate, sent, started_ms).await,
            Pace::Backlog(_) => BATCH_RECORDS,
        };
        let room = usize::try_from(records_max - sent).unwrap_or(BATCH_RECORDS);
        let batch: Vec<PutRecord> = records.take(room.min(due)).collect();
        if batch.is_empty() {
            break;
        }
        let put = stack
            .cloud
            .admin()
            .put_records(&stack.names.transactions_stream, &batch)
            .await;
        put.map_err(|e| CliError::service("send", e, "Look at the logs in the data directory, then run it again."))?;
        sent += batch.len() as u64;
        progress(sent);
        if let Pace::Backlog(waiting_max) = pace {
            hold_backlog(stack, before + sent, waiting_max).await;
        }
    }
    Ok(sent)
}

/// How many records are due at a rate, so many milliseconds after the first; at most a call's.
fn due(rate: u64, sent: u64, elapsed_ms: u64) -> usize {
    let by_now = (u128::from(elapsed_ms) * u128::from(rate) / 1_000).saturating_add(1);
    let due = by_now.saturating_sub(u128::from(sent));
    usize::try_from(due).unwrap_or(BATCH_RECORDS).min(BATCH_RECORDS)
}

/// Waits until some records more than `sent` are due; answers how many. They come a few at a time, each tick those of the tick.
async fn due_now(rate: u64, sent: u64, started_ms: i64) -> usize {
    loop {
        let elapsed_ms = u64::try_from(now_ms() - started_ms).unwrap_or_default();
        match due(rate, sent, elapsed_ms) {
            0 => pause(TICK_MS).await,
            due => return due,
        }
    }
}

/// Waits until few enough records wait; not for ever, since [`drain`] tells a stall with its cause.
async fn hold_backlog(stack: &Stack, sent: u64, records_max: u64) {
    for _ in 0..STALLED_MS_MAX / BACKLOG_WATCH_MS {
        let stats = stack.mapping.stats().esm;
        if sent.saturating_sub(stats.records_done + stats.records_discarded) <= records_max {
            return;
        }
        pause(BACKLOG_WATCH_MS).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_a_rate_records_are_due_evenly_and_a_late_sender_makes_up_for_it() {
        let mut sent = 0;
        let mut most = 0;
        for elapsed_ms in (0..10_000).step_by(10) {
            let due = due(2_000, sent, elapsed_ms);
            most = most.max(due);
            sent += due as u64;
        }
        // The first at once, then 20 a tick: never a burst.
        assert!(most <= 20 && sent == 2_000 * 9_990 / 1_000 + 1, "{most}, {sent}");
        assert_eq!(due(100, 1, 9), 0, "the second is due after 10 ms");
        assert_eq!((due(100, 1, 10), due(100, 1, 1_000)), (1, 100));
        assert_eq!(due(1_000_000, 0, 10_000), BATCH_RECORDS, "no more than a call takes");
        assert_eq!(due(u64::MAX, u64::MAX, u64::MAX), BATCH_RECORDS);
    }
}
