//! The troubles of a function that dies, of dead letters that nobody wrote, and of a state that somebody damaged.

use std::sync::Arc;

use serde_json::{Value, json};
use terminal::clock::now_ms;
use terminal::error::CliError;
use tidemark_aws::admin::PutRecord;
use tidemark_aws::{AwsSettings, DynamoStore, connect};
use tidemark_domain::id::CardId;
use tidemark_engine::port::{Commit, StateItem, StateStore, StateWrite};

use super::pipeline::{Left, Pipeline};
use crate::chaos::Killer;

/// The card whose state is damaged: the page names it.
const CARD: &str = "card-damaged";
/// Bytes that are no state, as of a format that no release has.
const DAMAGED: &[u8] = &[0xff, 0x00, 0xff];
/// How long the damaged item may stay in the table: longer than any drill, seconds.
const KEPT_S: i64 = 86_400;
/// Messages of one receive, and how long it waits and hides them, seconds.
const RECEIVE: (usize, u32, u32) = (10, 1, 60);
/// How long ordinary events may take, ms.
const SETTLE_MS_MAX: u64 = 60_000;

fn failed(what: impl std::fmt::Display) -> CliError {
    CliError::service("drill_trouble", what, "Look at the logs in the data directory.")
}

/// Kills every process of the score function, until the trouble ends.
pub(super) fn crash(pipeline: &Pipeline) {
    let killer = Killer::start(pipeline.stack().function.clone(), pipeline.seed, u64::MAX);
    pipeline.leave(Left::Killer(killer));
}

/// Ends what [`crash`] began.
pub(super) async fn crash_no_more(pipeline: &Pipeline) {
    if let Some(Left::Killer(killer)) = pipeline.left() {
        killer.stop().await;
    }
}

/// Takes every dead letter away, as if the mapping could not have written them.
pub(super) async fn lose_letters(pipeline: &Pipeline) -> Result<(), CliError> {
    let (admin, url) = (
        pipeline.stack().cloud.admin(),
        &pipeline.stack().provisioned.dead_letter_queue_url,
    );
    let (most, wait_s, hidden_s) = RECEIVE;
    loop {
        let letters = admin.receive(url, most, wait_s, hidden_s).await.map_err(failed)?;
        if letters.is_empty() {
            return Ok(());
        }
        let receipts: Vec<String> = letters.into_iter().map(|letter| letter.receipt).collect();
        admin.delete_all(url, &receipts).await.map_err(failed)?;
    }
}

/// Writes what is no state over the state of a card that has one, then puts a transaction of that card.
pub(super) async fn damage_state(pipeline: &Pipeline) -> Result<(), CliError> {
    pipeline.put(&[transaction("before", 3_000)]).await?;
    pipeline.stack().mapping.drained(SETTLE_MS_MAX).await.map_err(failed)?;
    let state = state(pipeline).await?;
    replace(pipeline, &state, DAMAGED.to_vec()).await?;
    pipeline.leave(Left::State(state));
    pipeline.put(&[transaction("while-damaged", 1_000)]).await
}

/// Puts the state back, as somebody would from a backup: on the version that is there, and no other.
pub(super) async fn restore_state(pipeline: &Pipeline) -> Result<(), CliError> {
    let Some(Left::State(before)) = pipeline.left() else {
        return Err(failed("nobody knows the state as it was"));
    };
    let damaged = state(pipeline).await?;
    replace(pipeline, &damaged, before.bytes).await
}

fn card() -> Result<CardId, CliError> {
    CardId::new(CARD).ok_or_else(|| failed("the card of the drill"))
}

async fn store(pipeline: &Pipeline) -> DynamoStore {
    let cloud = &pipeline.stack().cloud;
    let settings = AwsSettings::local(cloud.region(), cloud.endpoint(), Some(cloud.dynamodb_endpoint()));
    DynamoStore::new(connect(&settings).await.dynamodb, &pipeline.stack().names.table)
}

async fn state(pipeline: &Pipeline) -> Result<StateItem, CliError> {
    let states = store(pipeline).await.load_states(&[card()?]).await.map_err(failed)?;
    let state = states.value.into_iter().next().flatten();
    state.ok_or_else(|| failed("the card has no state"))
}

async fn replace(pipeline: &Pipeline, read: &StateItem, bytes: Vec<u8>) -> Result<(), CliError> {
    let write = StateWrite {
        card_id: card()?,
        expected: Some(read.version),
        item: StateItem::new(read.version.number + 1, bytes),
        expires_at_s: now_ms() / 1_000 + KEPT_S,
    };
    let answers = store(pipeline).await.commit(&[Arc::new(write)]).await.map_err(failed)?;
    match answers.value.into_iter().next() {
        Some(Ok(Commit::Written)) => Ok(()),
        Some(Err(error)) => Err(failed(error)),
        _ => Err(failed("somebody else wrote the card meanwhile")),
    }
}

fn transaction(event: &str, ago_ms: i64) -> PutRecord {
    let event: Value = json!({
        "schema": "transaction", "version": 2, "event_id": event, "card_id": CARD, "occurred_at_ms": now_ms() - ago_ms,
        "amount_minor": 1_500, "currency": "EUR", "merchant_id": "m", "mcc": 5411, "country": "FR",
        "channel": "point_of_sale", "approved": true,
    });
    PutRecord {
        partition_key: CARD.to_owned(),
        data: event.to_string().into_bytes(),
    }
}
