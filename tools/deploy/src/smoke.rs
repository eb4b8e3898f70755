//! One event through the whole path: stream, mapping, function, table, scores.
//!
//! Its card begins with [`CARD`]: that is how readers of outcomes know it and leave it alone. No producer has such a card, the
//! amount is the least that there is, and the card is a new one each time, so that nothing about it is unusual.

use std::collections::BTreeMap;

use operate::explain_ids::holds;
use operate::outcome::SentOutcome;
use serde_json::json;
use terminal::clock;
use terminal::error::CliError;
use terminal::ui;
use tidemark_aws::admin::{AdminError, PutRecord, ReadFrom, ShardIterator};
use tidemark_domain::id::CardId;

use crate::failure;
use crate::target::Target;

/// What the card of every smoke test begins with, and what its merchant is.
pub(crate) const CARD: &str = "tidemark-smoke-test";
/// How long its outcome may take, in milliseconds: a new mapping begins to poll within two minutes.
const WAIT_MS_MAX: u64 = 300_000;
/// Records asked for in one read of a shard.
const PAGE_RECORDS: u32 = 1_000;
/// Between two looks at the scores, in milliseconds.
const LOOK_MS: u64 = 1_000;

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Passed {
    pub(crate) event_id: String,
    pub(crate) card_id: String,
    pub(crate) outcome: SentOutcome,
    pub(crate) waited_ms: u64,
}

/// Sends the event and waits for its outcome.
pub(crate) async fn run(target: &Target, quiet: bool) -> Result<Passed, CliError> {
    let bar = ui::step("one event goes through, of a card tidemark-smoke-test", quiet);
    let passed = through(target).await;
    bar.finish_and_clear();
    passed
}

async fn through(target: &Target) -> Result<Passed, CliError> {
    let prefix = target.stage.prefix();
    let (transactions, scores) = (format!("{prefix}-transactions"), format!("{prefix}-scores"));
    let failed = |error: &AdminError| {
        failure::service(
            target,
            "deploy_smoke",
            "everything is deployed, but the smoke test broke off",
            error,
        )
    };
    let begun_ms = clock::now_ms();
    let event_id = format!("smoke-{begun_ms}");
    let card_id = format!("{CARD}-{begun_ms}");
    let mut places = places(target, &scores, &card_id)
        .await
        .map_err(|error| failed(&error))?;
    let record = PutRecord {
        partition_key: card_id.clone(),
        data: event(&event_id, &card_id, begun_ms).into_bytes(),
    };
    let sent = target.admin.put_records(&transactions, &[record]).await;
    sent.map_err(|error| failed(&error))?;
    loop {
        let found = look(target, &mut places, &event_id)
            .await
            .map_err(|error| failed(&error))?;
        let waited_ms = u64::try_from(clock::now_ms() - begun_ms).unwrap_or_default();
        if let Some(outcome) = found {
            return Ok(Passed {
                event_id,
                card_id,
                outcome,
                waited_ms,
            });
        }
        if waited_ms >= WAIT_MS_MAX {
            return Err(CliError::service(
                "deploy_smoke",
                format!(
                    "everything is deployed, but the event {event_id} of the card {card_id} has no outcome after {} s",
                    waited_ms / 1_000
                ),
                format!(
                    "Look at `{}` (does the mapping poll?), at `tidemark mode` (shadow and paused send nothing), `tidemark dlq`, and the \
                     function's log /aws/lambda/{prefix}-score.",
                    target.command("status")
                ),
            ));
        }
        clock::pause(LOOK_MS).await;
    }
}

/// Where to read on in each shard that may hold the outcome: from before the event was sent.
async fn places(target: &Target, scores: &str, card_id: &str) -> Result<BTreeMap<String, ShardIterator>, AdminError> {
    let card = CardId::new(card_id);
    let mut places = BTreeMap::new();
    for shard in target.admin.list_shards(scores).await? {
        if shard.closed || !card.as_ref().is_none_or(|card| holds(&shard, card)) {
            continue;
        }
        let iterator = target.admin.iterator(scores, &shard.id, &ReadFrom::Latest).await?;
        places.insert(shard.id, iterator);
    }
    Ok(places)
}

async fn look(
    target: &Target,
    places: &mut BTreeMap<String, ShardIterator>,
    event_id: &str,
) -> Result<Option<SentOutcome>, AdminError> {
    for iterator in places.values_mut() {
        let page = target.admin.records(iterator, PAGE_RECORDS).await?;
        if let Some(next) = page.next {
            *iterator = next;
        }
        let outcomes = page
            .records
            .iter()
            .filter_map(|record| serde_json::from_slice::<SentOutcome>(&record.data).ok());
        for outcome in outcomes {
            if outcome.event_id == event_id && outcome.card_id.starts_with(CARD) {
                return Ok(Some(outcome));
            }
        }
    }
    Ok(None)
}

/// The event: the least amount, at a merchant that there is not.
fn event(event_id: &str, card_id: &str, now_ms: i64) -> String {
    json!({
        "schema": "transaction", "version": 2, "event_id": event_id, "card_id": card_id, "occurred_at_ms": now_ms,
        "amount_minor": 1, "currency": "EUR", "merchant_id": CARD, "mcc": 5411, "country": "FR", "channel": "ecommerce",
        "approved": true,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use tidemark_domain::contract;
    use tidemark_domain::policy::Policy;

    use super::*;

    #[test]
    fn the_contract_takes_the_event() {
        let now_ms = 1_790_000_000_000;
        let event = event("smoke-1", CARD, now_ms);
        assert!(
            contract::decode(event.as_bytes(), now_ms, &Policy::default_policy().bounds).is_ok(),
            "{event}"
        );
    }
}
