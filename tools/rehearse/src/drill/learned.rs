//! The troubles of what was learned: a key whose history is damaged, and a policy that no longer fits its stream.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};
use terminal::clock::now_ms;
use terminal::error::CliError;
use tidemark_aws::admin::{Item, ItemValue, PutRecord};
use tidemark_aws::{AwsSettings, DynamoStore, connect, item};
use tidemark_domain::catalogue::KeyName;
use tidemark_domain::event::Verdict;
use tidemark_domain::id::fingerprint64;
use tidemark_domain::labelled::{LabelledEvent, LabelledHistory};
use tidemark_domain::policy::Policy;
use tidemark_engine::port::{Commit, KeyId, KeyWrite, StateItem, StateStore, StateVersion};

use super::pipeline::{Child, Pipeline};

const MS_PER_DAY: i64 = 86_400_000;
/// The key of the drill's policy.
const KEY: &str = "terminal";
/// The merchant whose history is damaged: the page names it.
const SHOP: &str = "shop-9";
/// Its card.
const CARD: &str = "card-at-shop-9";
/// Bytes that are no labelled history, as of a format that no release has.
const DAMAGED: &[u8] = &[0xff, 0x00, 0xff];
/// Days of the history that the page learns from.
const HISTORY_DAYS: i64 = 60;
/// Its cards, each with one event a day.
const HISTORY_CARDS: i64 = 60;
/// One event of so many is fraud, and can be told by its amount.
const FRAUD_OF: i64 = 10;

/// The built-in policy under another version, with merchants as keys.
pub(super) fn policy_with_keys(version: u32) -> String {
    let text = Policy::default_text().replacen("version = 1", &format!("version = {version}"), 1);
    let keys = format!("[[keys]]\nname = \"{KEY}\"\nfield = \"merchant_id\"\nkeeps = \"labelled\"\n");
    format!("{text}\n{keys}")
}

fn key() -> Result<KeyId, CliError> {
    let name = KeyName::new(KEY).ok_or_else(|| failed("the key's name"))?;
    Ok(KeyId {
        name,
        identity: fingerprint64(SHOP),
    })
}

fn failed(what: impl std::fmt::Display) -> CliError {
    CliError::service("drill_trouble", what, "Look at the logs in the data directory.")
}

/// Puts an item where the merchant's history belongs that nobody understands, then a transaction there, and a label for it.
pub(super) async fn damage_key(pipeline: &Pipeline) -> Result<(), CliError> {
    let item: Item = [
        (item::PARTITION_KEY, ItemValue::Text(item::key_partition(key()?))),
        (item::SORT_KEY, ItemValue::Text(item::LABELLED.to_owned())),
        (item::BYTES, ItemValue::Binary(DAMAGED.to_vec())),
        (item::VERSION, ItemValue::Number("1".to_owned())),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let (admin, table) = (pipeline.stack().cloud.admin(), &pipeline.stack().names.table);
    admin.put_new_item(table, &item).await.map_err(failed)?;
    let at_ms = now_ms() - 1_000;
    let events = [
        transaction("at-shop-9", CARD, SHOP, at_ms, 1_500),
        label("at-shop-9", CARD, at_ms),
    ];
    pipeline.put(&records(CARD, &events)).await
}

/// Puts the merchant's history back, as somebody would from a backup: on the version that is there, and no other.
pub(super) async fn restore_key(pipeline: &Pipeline) -> Result<(), CliError> {
    let mut history = LabelledHistory::default();
    let (at_ms, event) = (now_ms() - MS_PER_DAY, 1);
    let _ = history.add(LabelledEvent {
        time_ms: at_ms,
        event,
        known_since_ms: at_ms,
        verdict: Verdict::Fraud,
        explained: Some(false),
    });
    let write = KeyWrite {
        key: key()?,
        expected: Some(StateVersion { number: 1, tag: None }),
        item: StateItem::new(2, history.encode()),
        expires_at_s: KeyWrite::expires_at_s(&history),
    };
    let cloud = &pipeline.stack().cloud;
    let settings = AwsSettings::local(cloud.region(), cloud.endpoint(), Some(cloud.dynamodb_endpoint()));
    let store = DynamoStore::new(connect(&settings).await.dynamodb, &pipeline.stack().names.table);
    let answers = store.commit_keys(&[Arc::new(write)]).await.map_err(failed)?;
    match answers.value.into_iter().next() {
        Some(Ok(Commit::Written)) => Ok(()),
        Some(Err(error)) => Err(failed(error)),
        _ => Err(failed("somebody else wrote the item that was damaged")),
    }
}

/// Puts a policy in force that alerts on nearly everything, and lays out what the page works with: the policy's file, a history to
/// learn from, and labels that nobody sent.
pub(super) async fn drift(pipeline: &Pipeline) -> Result<(), CliError> {
    let policy = policy_with_keys(3).replacen("review = 600", "review = 1", 1);
    let policy =
        policy.replacen("alert = 800", "alert = 2", 1) + "\n[expected]\nalert_share = 0.001\nreview_share = 0.004\n";
    let at_ms = now_ms() - 1_000;
    write(pipeline, "policy.toml", &policy)?;
    write(pipeline, "history.jsonl", &history())?;
    write(
        pipeline,
        "labels.jsonl",
        &format!("{}\n", label("at-shop-9", CARD, at_ms)),
    )?;
    let event = transaction("at-shop-9", CARD, SHOP, at_ms, 1_500);
    pipeline.put(&records(CARD, &[event])).await?;
    for words in [
        ["policy", "publish", "policy.toml", "--reason", "drill"],
        ["policy", "activate", "3", "--reason", "drill"],
    ] {
        pipeline.run(Child::own(&words)).await?.must_succeed()?;
    }
    Ok(())
}

/// Writes a file into the folder in which commands run.
pub(super) fn write(pipeline: &Pipeline, name: &str, text: &str) -> Result<(), CliError> {
    std::fs::write(pipeline.folder.join(name), text)
        .map_err(|e| CliError::machine("local_aws", e, "Name a folder that can be written: --data-dir."))
}

/// Two months of events up to yesterday; the labels of a day are known a day later.
fn history() -> String {
    let first_ms = now_ms() - (HISTORY_DAYS + 1) * MS_PER_DAY;
    let mut text = String::new();
    for day in 0..HISTORY_DAYS {
        for card in 0..HISTORY_CARDS {
            let at_ms = first_ms + day * MS_PER_DAY + card * 60_000;
            let is_fraud = (day * 31 + card * 17) % FRAUD_OF == 0;
            let amount = if is_fraud { 60_000 } else { 1_000 } + (day * 7 + card * 13) % 900;
            let (event, name) = (format!("h{day}-{card}"), format!("card-{card}"));
            let shop = format!("shop-{}", (card * 7 + day) % 20);
            let _ = writeln!(text, "{}", transaction(&event, &name, &shop, at_ms, amount));
            if is_fraud {
                let _ = writeln!(text, "{}", label(&event, &name, at_ms + MS_PER_DAY));
            }
        }
    }
    text
}

fn transaction(event: &str, card: &str, shop: &str, at_ms: i64, amount_minor: i64) -> Value {
    json!({
        "schema": "transaction", "version": 2, "event_id": event, "card_id": card, "occurred_at_ms": at_ms,
        "amount_minor": amount_minor, "currency": "EUR", "merchant_id": shop, "mcc": 5411, "country": "FR",
        "channel": "point_of_sale", "approved": true,
    })
}

fn label(event: &str, card: &str, known_since_ms: i64) -> Value {
    json!({
        "schema": "label", "version": 1, "event_id": event, "card_id": card, "verdict": "fraud",
        "known_since_ms": known_since_ms,
    })
}

fn records(card: &str, events: &[Value]) -> Vec<PutRecord> {
    let record = |event: &Value| PutRecord {
        partition_key: card.to_owned(),
        data: event.to_string().into_bytes(),
    };
    events.iter().map(record).collect()
}
