//! The ids of a card's events. A state keeps fingerprints of them only; the ids themselves are in the outcomes: those of alerts in
//! the table, all others in the scores stream for as long as that keeps them.

use std::collections::{BTreeMap, HashMap};

use md5::{Digest, Md5};
use serde::Deserialize;
use tidemark_aws::admin::{Admin, AdminError, Item, ItemValue, ReadFrom, Shard};
use tidemark_aws::item;
use tidemark_domain::history::Entry;
use tidemark_domain::id::{CardId, fingerprint64};

/// What the sort keys of a card's recorded decisions begin with, in every form that there was.
const DECISIONS: &str = "d";
/// Records asked for in one read of a shard.
const PAGE_RECORDS: u32 = 10_000;
/// Reads of the scores stream for one card: what they do not reach is said to be unknown.
const PAGES_MAX: u32 = 12;
/// How long before its event's time an outcome is looked for, in milliseconds: clocks of producers are ahead by as much.
const SKEW_MS: i64 = 300_000;

/// Ids by event time, each with its fingerprint.
#[derive(Clone, Debug, Default)]
pub struct EventIds {
    ids: HashMap<i64, BTreeMap<u64, String>>,
}

#[derive(Deserialize)]
struct Head<'a> {
    event_id: std::borrow::Cow<'a, str>,
    card_id: std::borrow::Cow<'a, str>,
    occurred_at_ms: i64,
}

impl EventIds {
    /// The id of an event that the card keeps.
    #[must_use]
    pub fn of(&self, entry: &Entry) -> Option<&str> {
        let of_time = self.ids.get(&entry.time_ms)?;
        of_time
            .iter()
            .find(|(fingerprint, _)| entry.is_of(**fingerprint))
            .map(|(_, id)| id.as_str())
    }

    fn take(&mut self, card: &CardId, outcome: &[u8]) {
        let Ok(head) = serde_json::from_slice::<Head<'_>>(outcome) else {
            return;
        };
        if head.card_id == card.as_str() {
            let of_time = self.ids.entry(head.occurred_at_ms).or_default();
            of_time.insert(fingerprint64(&head.event_id), head.event_id.into_owned());
        }
    }

    fn has_all(&self, wanted: &[&Entry]) -> bool {
        wanted.iter().all(|entry| self.of(entry).is_some())
    }
}

/// Looks for the ids of these events.
///
/// # Errors
/// When the table or the scores stream can't be read; what was found until then is lost with it.
pub async fn find(
    admin: &Admin,
    (table, scores): (&str, &str),
    card: &CardId,
    wanted: &[&Entry],
) -> Result<EventIds, AdminError> {
    let mut found = EventIds::default();
    let decisions = admin
        .partition_from(table, &item::partition_key(card), DECISIONS)
        .await?;
    for outcome in decisions.iter().filter_map(outcome_of) {
        found.take(card, outcome.as_bytes());
    }
    let Some(oldest_ms) = wanted.iter().map(|entry| entry.time_ms).min() else {
        return Ok(found);
    };
    if found.has_all(wanted) {
        return Ok(found);
    }
    let from = ReadFrom::Time((oldest_ms - SKEW_MS).max(0));
    let mut pages = 0;
    for shard in admin.list_shards(scores).await? {
        if !holds(&shard, card) {
            continue;
        }
        let mut next = Some(admin.iterator(scores, &shard.id, &from).await?);
        while let Some(iterator) = next {
            if pages >= PAGES_MAX || found.has_all(wanted) {
                return Ok(found);
            }
            pages += 1;
            let page = admin.records(&iterator, PAGE_RECORDS).await?;
            for record in &page.records {
                found.take(card, &record.data);
            }
            next = page.next.filter(|_| page.behind_ms > 0);
        }
    }
    Ok(found)
}

fn outcome_of(item: &Item) -> Option<&String> {
    match item.get(item::OUTCOME) {
        Some(ItemValue::Text(outcome)) => Some(outcome),
        _ => None,
    }
}

/// Whether outcomes of a card are in a shard: they are put under the card as their key, and Kinesis goes by its MD5.
#[must_use]
pub fn holds(shard: &Shard, card: &CardId) -> bool {
    let hash = u128::from_be_bytes(Md5::digest(card.as_str().as_bytes()).into());
    let within = |from: u128, to: u128| (from..=to).contains(&hash);
    match (shard.hash_from.parse(), shard.hash_to.parse()) {
        (Ok(from), Ok(to)) => within(from, to),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_has_one_of_the_open_shards() {
        let half = u128::MAX / 2;
        let shard = |from: u128, to: u128| Shard {
            id: String::new(),
            parents: Vec::new(),
            closed: false,
            hash_from: from.to_string(),
            hash_to: to.to_string(),
        };
        let shards = [shard(0, half), shard(half + 1, u128::MAX)];
        for number in 0..100 {
            let card = CardId::new(&format!("card-{number}")).unwrap();
            assert_eq!(shards.iter().filter(|shard| holds(shard, &card)).count(), 1);
        }
    }

    #[test]
    fn an_outcome_gives_its_id_to_its_own_card_and_time_only() {
        let card = CardId::new("c").unwrap();
        let mut ids = EventIds::default();
        ids.take(
            &card,
            br#"{"event_id":"e-1","card_id":"c","occurred_at_ms":5,"score":1}"#,
        );
        ids.take(&card, br#"{"event_id":"e-2","card_id":"other","occurred_at_ms":5}"#);
        ids.take(&card, b"no outcome");
        assert_eq!(ids.ids.len(), 1);
        assert_eq!(ids.ids[&5].values().collect::<Vec<_>>(), ["e-1"]);
    }
}
