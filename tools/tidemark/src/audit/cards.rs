//! The table's part of the audit: every card of the range is read once, what its history gives is held against what was
//! sent (I3), and no event may be in it twice (I2).

use std::collections::{BTreeSet, HashMap, HashSet};

use futures_util::StreamExt as _;
use tidemark_aws::admin::{Admin, Item};
use tidemark_domain::card::{CardState, Entry};
use tidemark_domain::id::{CardId, EventId, fingerprint32};
use tidemark_domain::outcome::render_json;
use xxhash_rust::xxh3::xxh3_128;

use super::{BREAKS_MAX, Break, OutcomeChecks};
use crate::account::evidence::{CardItem, Segments, failed, read_item, supply};
use crate::account::{CardFacts, Evidence, OutcomeCopies, Record};
use crate::error::CliError;
use crate::when;

/// Cards that are read at the same time.
const CARDS_IN_FLIGHT: usize = 16;

/// What the cards show.
#[derive(Clone, Debug, Default)]
pub(super) struct CardCheck {
    pub(super) counts: OutcomeChecks,
    pub(super) breaks: BTreeSet<Break>,
}

/// Reads every card that the records are about, into the evidence.
pub(super) async fn read(
    admin: &Admin,
    table: &str,
    records: &[Record],
    evidence: &mut Evidence,
) -> Result<CardCheck, CliError> {
    let cards: HashSet<&str> = records.iter().filter_map(Record::card_id).collect();
    let mut outcomes: HashMap<&str, Vec<(&str, &OutcomeCopies)>> = HashMap::new();
    let events: HashSet<&str> = records.iter().filter_map(Record::event_id).collect();
    for (event_id, copies) in evidence.outcomes.iter().filter(|(id, _)| events.contains(id.as_str())) {
        outcomes.entry(&copies.card_id).or_default().push((event_id, copies));
    }
    let mut check = CardCheck::default();
    let mut facts_by_card = HashMap::new();
    let reads = cards.into_iter().map(|card| async move {
        let items = admin.items_of(table, &format!("c#{card}")).await;
        (card, items.map_err(failed("reading a card")))
    });
    // The futures are made one by one; the list of cards is all that is kept.
    let mut reads = futures_util::stream::iter(reads).buffer_unordered(CARDS_IN_FLIGHT);
    while let Some((card, items)) = reads.next().await {
        let sent = outcomes.get(card).map_or(&[][..], Vec::as_slice);
        facts_by_card.insert(card.to_owned(), check.take_card(card, &items?, sent)?);
    }
    evidence.cards.extend(facts_by_card);
    Ok(check)
}

impl CardCheck {
    /// Holds a card's items against the outcomes that were sent.
    pub(super) fn take_card(
        &mut self,
        card: &str,
        items: &[Item],
        sent: &[(&str, &OutcomeCopies)],
    ) -> Result<CardFacts, CliError> {
        let mut facts = CardFacts::default();
        let mut state: Option<Box<CardState>> = None;
        let mut segments = Segments::new();
        let mut decisions: HashMap<String, u128> = HashMap::new();
        for item in items {
            match read_item(item)?.map(|(_, found)| found) {
                Some(CardItem::State(found)) => state = Some(found),
                Some(CardItem::Segment(key, bytes)) => _ = segments.insert(key, bytes),
                Some(CardItem::Profile(version)) => facts.profile_version = Some(version),
                Some(CardItem::Decision(event_id, digest)) => {
                    decisions.insert(event_id, digest);
                }
                None => {}
            }
        }
        if let Some(state) = &mut state {
            supply(card, state, &segments)?;
            facts.take_state(state);
            self.against_state(card, state, sent);
        }
        for (event_id, copies) in sent.iter().filter(|(_, copies)| copies.alert) {
            self.against_decision(card, event_id, copies, decisions.get(*event_id));
        }
        Ok(facts)
    }

    /// The history gives the same bytes for every event that it still keeps.
    fn against_state(&mut self, card: &str, state: &CardState, sent: &[(&str, &OutcomeCopies)]) {
        let Some(card_id) = CardId::new(card) else { return };
        let entries = state.all_entries();
        self.each_once(card, &entries, sent);
        let mut kept: HashMap<u32, Vec<&Entry>> = HashMap::new();
        for entry in entries {
            kept.entry(entry.event_fp).or_default().push(entry);
        }
        for (event_id, copies) in sent {
            let Some(id) = EventId::new(event_id) else { continue };
            let kept = kept.get(&fingerprint32(event_id)).into_iter().flatten();
            // Two events of a card may share a fingerprint: one of them has to give these bytes.
            let digests: Vec<u128> = kept.map(|entry| xxh3_128(&render_json(&card_id, &id, entry))).collect();
            if digests.is_empty() {
                continue;
            }
            self.counts.compared_with_state += 1;
            if !digests.contains(&copies.digest) {
                self.counts.different_from_state += 1;
                self.broken(
                    "I3",
                    format!(
                        "event {event_id} of card {card}: the stored history gives another outcome than the one that was sent"
                    ),
                );
            }
        }
    }

    /// An event is known by its fingerprint and its exact time: two entries that share both, as far as they are kept, are one
    /// event that counted twice.
    pub(super) fn each_once(&mut self, card: &str, entries: &[&Entry], sent: &[(&str, &OutcomeCopies)]) {
        let mut times: HashMap<(u32, i64), Vec<&Entry>> = HashMap::new();
        for entry in entries {
            times.entry((entry.event_fp, entry.time_ms)).or_default().push(entry);
        }
        for ((event_fp, time_ms), kept) in times.into_iter().filter(|(_, kept)| kept.len() > 1) {
            let is_again = |at: &usize| kept[..*at].iter().any(|before| before.is_same_event(kept[*at]));
            let again = (1..kept.len()).filter(is_again).count() as u64;
            if again == 0 {
                continue;
            }
            let counted = again + 1;
            self.counts.counted_again += again;
            let known = sent.iter().find(|(id, _)| fingerprint32(id) == event_fp);
            let event = known.map_or_else(|| "an event".to_owned(), |(id, _)| format!("event {id}"));
            let at = when::instant(time_ms);
            self.broken(
                "I2",
                format!("{event} of {at} of card {card} counts {counted} times in its stored history"),
            );
        }
    }

    fn against_decision(&mut self, card: &str, event_id: &str, copies: &OutcomeCopies, recorded: Option<&u128>) {
        let Some(digest) = recorded else {
            self.counts.without_decision += 1;
            return;
        };
        self.counts.compared_with_decision += 1;
        if *digest != copies.digest {
            self.counts.different_from_decision += 1;
            self.broken(
                "I3",
                format!(
                    "event {event_id} of card {card}: the recorded decision is another than the outcome that was sent"
                ),
            );
        }
    }

    fn broken(&mut self, invariant: &'static str, what: String) {
        if self.breaks.len() < BREAKS_MAX {
            self.breaks.insert(Break { invariant, what });
        }
    }
}
