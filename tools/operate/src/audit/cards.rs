//! The table's part of the audit: every card of the range is read once and held against what was sent, and then every key that its
//! cards' events and labels name.

use futures_util::StreamExt as _;
use reconcile::Audit;
use terminal::error::CliError;
use tidemark_aws::admin::{Admin, ItemValue};
use tidemark_aws::item;

use crate::account::evidence::{failed, not_ours, stored_card};

/// Cards, or keys, that are read at the same time.
const CARDS_IN_FLIGHT: usize = 16;

/// Reads every card that the audit is about, each after its outcomes.
pub(super) async fn read(admin: &Admin, table: &str, audit: &mut Audit) -> Result<(), CliError> {
    let reads = audit.cards().into_iter().map(|card| async move {
        let items = admin.items_of(table, &format!("c#{card}")).await;
        (card, items.map_err(failed("reading a card")))
    });
    // The futures are made one by one; the list of cards is all that is kept.
    let mut reads = futures_util::stream::iter(reads).buffer_unordered(CARDS_IN_FLIGHT);
    while let Some((card, items)) = reads.next().await {
        audit.take_card(&card, &stored_card(&items?)?).map_err(not_ours)?;
    }
    read_keys(admin, table, audit).await
}

/// Reads every key: after the cards, since a label is kept with its event first.
async fn read_keys(admin: &Admin, table: &str, audit: &mut Audit) -> Result<(), CliError> {
    let reads = audit.keys().into_iter().map(|key| async move {
        let item = admin.get_item(table, &item::key_partition(key), item::LABELLED).await;
        (key, item.map_err(failed("reading a key")))
    });
    let mut reads = futures_util::stream::iter(reads).buffer_unordered(CARDS_IN_FLIGHT);
    while let Some((key, item)) = reads.next().await {
        let item = item?;
        let bytes = item.as_ref().map(|item| match item.get(item::BYTES) {
            Some(ItemValue::Binary(bytes)) => bytes.as_slice(),
            // Nothing of ours: it can't be read, and is told.
            _ => &[],
        });
        audit.take_key(key, bytes);
    }
    Ok(())
}
