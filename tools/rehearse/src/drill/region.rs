//! The trouble of a region that does not come back: another local AWS takes its cards over from a copy of the table that is older
//! than what the first one did last, and gets the events again.

use std::collections::HashMap;

use operate::account::evidence::{StreamRange, each_item, walk};
use terminal::error::CliError;
use tidemark_aws::admin::PutRecord;
use tidemark_domain::id::EventKey;
use tidemark_telemetry::Metric;

use super::pipeline::{Left, Pipeline, Said};
use crate::demo::{read_evidence, usage};
use crate::stack::Stack;

/// The region that takes over.
const SECOND_REGION: &str = "eu-central-1";
/// How long the traffic of a drill may take, ms.
const SETTLE_MS_MAX: u64 = 60_000;

fn failed(what: impl std::fmt::Display) -> CliError {
    CliError::service("drill_trouble", what, "Look at the logs in the data directory.")
}

/// Copies the table, lets the first region go on for a while, and loses it; another one takes over, and the producers send again what
/// they sent to the first.
pub(super) async fn lose(pipeline: &Pipeline, traffic: impl Fn(u64) -> Vec<PutRecord>) -> Result<(), CliError> {
    let first = pipeline.stack();
    let mut copy = Vec::new();
    each_item(first.cloud.admin(), &first.names.table, |item| {
        copy.push(item.clone());
        Ok(())
    })
    .await?;
    let outcomes = outcomes(first).await?;
    pipeline.put(&traffic(pipeline.seed + 2)).await?;
    drained(first).await?;
    let later = self::outcomes(first).await?.len() - outcomes.len();
    // As the page says: nobody scores there any more.
    first.mapping.enable(false);
    let sent = sent(first).await?;
    let second = pipeline.start_elsewhere(SECOND_REGION).await?;
    for item in &copy {
        let written = second.cloud.admin().put_new_item(&second.names.table, item).await;
        if !written.map_err(failed)? {
            return Err(failed("the second region's table was not empty"));
        }
    }
    if !pipeline.take_over(second) {
        return Err(failed("a second region took over already"));
    }
    pipeline.leave(Left::Said(Said { outcomes, later }));
    pipeline.put(&sent).await
}

/// Whether the second region gave what the copy knows its old outcome, byte for byte, as a duplicate, and an outcome to the rest.
pub(super) async fn answers_as_before(pipeline: &Pipeline) -> Result<(), CliError> {
    let Some(Left::Said(said)) = pipeline.left() else {
        return Err(failed("nobody knows what the first region had said"));
    };
    let second = pipeline.stack();
    drained(second).await?;
    let now = outcomes(second).await?;
    let known = said.outcomes.len();
    let alike = said
        .outcomes
        .iter()
        .filter(|(key, bytes)| now.get(*key) == Some(*bytes))
        .count();
    let duplicates = usage::read(second.function.log_path(), 0)?
        .signals
        .sum(Metric::Duplicate);
    let found = format!(
        "of {known} outcomes that the first region had sent before its table was copied, the second one sent {alike} byte for byte, found {duplicates} events to be duplicates, and has {} outcomes altogether; {} came after the copy",
        now.len(),
        said.later
    );
    let all = known > 0 && said.later > 0 && alike == known && now.len() >= known + said.later;
    if all && duplicates >= known as f64 {
        return Ok(());
    }
    Err(failed(found))
}

async fn drained(stack: &Stack) -> Result<(), CliError> {
    stack.mapping.drained(SETTLE_MS_MAX).await.map_err(failed)
}

async fn outcomes(stack: &Stack) -> Result<HashMap<EventKey, Vec<u8>>, CliError> {
    let found = read_evidence(stack).await?;
    let outcomes = found.evidence.outcomes.into_iter();
    Ok(outcomes.map(|(key, copies)| (key, copies.bytes)).collect())
}

/// What the producers sent, shard by shard: each card's events in their order.
async fn sent(stack: &Stack) -> Result<Vec<PutRecord>, CliError> {
    let mut sent = Vec::new();
    let stream = &stack.names.transactions_stream;
    walk(stack.cloud.admin(), stream, &StreamRange::default(), |_, record| {
        sent.push(PutRecord {
            partition_key: record.partition_key,
            data: record.data,
        });
        Ok(())
    })
    .await?;
    Ok(sent)
}
