//! The table's part of the audit: every card of the range is read once and held against what was sent.

use futures_util::StreamExt as _;
use reconcile::Audit;
use terminal::error::CliError;
use tidemark_aws::admin::Admin;

use crate::account::evidence::{failed, not_ours, stored_card};

/// Cards that are read at the same time.
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
    Ok(())
}
