//! An audit under way: records, evidence and cards in, what holds and what does not out.

use std::collections::{BTreeSet, HashMap, HashSet};

use tidemark_domain::history::{Entry, EventMark, History};
use tidemark_domain::id::{CardId, EventKey};
use tidemark_domain::invariant::Invariant;
use tidemark_domain::render::render_json;
use tidemark_engine::port::KeyId;

use crate::Broken;
use crate::account::{Finding, finding_of};
use crate::card::StoredCard;
use crate::dead::DeadLetters;
use crate::evidence::{CardFacts, Effect, Evidence, OutcomeCopies, digest};
use crate::judgement::{BREAKS_MAX, Break, Judgement, OutcomeChecks};
use crate::keys::KeyAudit;
use crate::ledger::Ledger;
use crate::record::Record;

/// How long the table keeps what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon {
    /// When the table was read, ms since 1970-01-01T00:00:00Z.
    pub now_ms: i64,
    /// A state, segment or decision is there for at least so long after the event time of what it holds, ms: the least time to
    /// live that any of them was written with.
    pub kept_ms: i64,
}

impl Horizon {
    /// Whether what an event of that time left in the table can't have expired.
    const fn keeps(self, time_ms: i64) -> bool {
        time_ms.saturating_add(self.kept_ms) > self.now_ms
    }
}

/// An audit under way: it takes the cards one by one, so that no more than one of them is in memory.
#[derive(Debug)]
pub struct Audit {
    records: Vec<Record>,
    /// What is known of each record, by its place.
    effects: Vec<Effect>,
    /// Places of the records, by card.
    of_card: HashMap<CardId, Vec<usize>>,
    evidence: Evidence,
    horizon: Horizon,
    /// Events with an outcome, by card.
    sent: HashMap<CardId, Vec<EventKey>>,
    checks: OutcomeChecks,
    keys: KeyAudit,
    cards: u64,
    breaks: BTreeSet<Break>,
}

/// Judges at once, with every card and every key's item at hand.
///
/// # Errors
/// When something that was read back is none of ours.
pub fn judge(
    records: Vec<Record>,
    evidence: Evidence,
    cards: &HashMap<CardId, StoredCard>,
    keys: &HashMap<KeyId, Vec<u8>>,
    horizon: Horizon,
) -> Result<Judgement, Broken> {
    let mut audit = Audit::new(records, evidence, horizon);
    let none = StoredCard::default();
    for card in audit.cards() {
        audit.take_card(&card, cards.get(&card).unwrap_or(&none))?;
    }
    for key in audit.keys() {
        audit.take_key(key, keys.get(&key).map(Vec::as_slice));
    }
    Ok(audit.finish())
}

impl Audit {
    /// Begins with records in stream order and the evidence but for the cards. Every outcome in it is looked at, whether or not
    /// its record is among these.
    #[must_use]
    pub fn new(records: Vec<Record>, evidence: Evidence, horizon: Horizon) -> Self {
        let mut sent: HashMap<CardId, Vec<EventKey>> = HashMap::new();
        for event in evidence.outcomes.keys() {
            sent.entry(event.card_id.clone()).or_default().push(event.clone());
        }
        let mut of_card: HashMap<CardId, Vec<usize>> = HashMap::new();
        for (at, record) in records.iter().enumerate() {
            if let Some(card) = record.widest_claim().card_id() {
                of_card.entry(card.clone()).or_default().push(at);
            }
        }
        Self {
            effects: vec![Effect::Absent; records.len()],
            keys: KeyAudit::new(evidence.keys.clone()),
            records,
            of_card,
            evidence,
            horizon,
            sent,
            checks: OutcomeChecks::default(),
            cards: 0,
            breaks: BTreeSet::new(),
        }
    }

    /// The cards to take: those of the records and of the outcomes.
    #[must_use]
    pub fn cards(&self) -> Vec<CardId> {
        let cards: HashSet<&CardId> = self.of_card.keys().chain(self.sent.keys()).collect();
        cards.into_iter().cloned().collect()
    }

    /// Holds a card's stored items against its records and outcomes. One that the table does not know is taken without any.
    ///
    /// # Errors
    /// When something of it can't be read.
    pub fn take_card(&mut self, card: &CardId, stored: &StoredCard) -> Result<(), Broken> {
        let of_card = |broken: Broken| broken.of_card(card);
        let state = stored.whole_state().map_err(of_card)?;
        let decisions = stored.decisions().map_err(of_card)?;
        let facts = stored.facts_with(state.as_ref());
        let sent = self.sent.remove(card).unwrap_or_default();
        let entries = state.as_ref().map_or_else(Vec::new, History::all_entries);
        self.each_once(card, &entries, &sent);
        for event in &sent {
            let Some(copies) = self.evidence.outcomes.get(event).cloned() else {
                continue;
            };
            self.against_history(event, &copies, &entries, &facts);
            if copies.alert {
                self.against_decision(event, &copies, decisions.get(event));
            }
        }
        let of_card = self.of_card.remove(card).unwrap_or_default();
        let records = of_card.iter().map(|at| (*at, &self.records[*at]));
        self.keys.take_card(card, &entries, records);
        for at in of_card {
            self.effects[at] = self.evidence.effect_with(&self.records[at], Some(&facts));
        }
        self.cards += 1;
        Ok(())
    }

    /// The keys to take once every card was taken: those of the cards' events and labels.
    #[must_use]
    pub fn keys(&self) -> Vec<KeyId> {
        self.keys.keys()
    }

    /// Holds a key's item against the labels and the cards; `None`: the table has none.
    pub fn take_key(&mut self, key: KeyId, item: Option<&[u8]>) {
        for what in self.keys.take_key(key, item, self.horizon.now_ms) {
            self.broken(Invariant::CountsOnce, what);
        }
    }

    /// The history holds the event of every outcome, and gives the same bytes.
    fn against_history(&mut self, event: &EventKey, copies: &OutcomeCopies, entries: &[&Entry], facts: &CardFacts) {
        let from = entries.partition_point(|entry| entry.time_ms < event.occurred_at_ms);
        let same_time = entries[from..]
            .iter()
            .take_while(|entry| entry.time_ms == event.occurred_at_ms);
        let kept = same_time.filter(|entry| entry.mark().is_of(&event.event_id, event.occurred_at_ms));
        let digests: Vec<u128> = kept
            .map(|entry| digest(&render_json(&event.card_id, &event.event_id, entry)))
            .collect();
        if !digests.is_empty() {
            self.checks.compared_with_state += 1;
            if !digests.contains(&copies.digest) {
                self.checks.different_from_state += 1;
                let what = format!("{event}: the stored history gives another outcome than the one that was sent");
                self.broken(Invariant::OneOutcome, what);
            }
        } else if facts.would_keep(event.occurred_at_ms) && self.horizon.keeps(event.occurred_at_ms) {
            self.checks.without_history += 1;
            let what = format!(
                "{event}: an outcome was sent, and the card's stored history does not hold the event: the card was lost or put back, or the outcome is none of its own"
            );
            self.broken(Invariant::CountsOnce, what);
        }
    }

    /// Two entries of one identity are one event that counted twice.
    fn each_once(&mut self, card: &CardId, entries: &[&Entry], sent: &[EventKey]) {
        let mut marks: Vec<EventMark> = entries.iter().map(|entry| entry.mark()).collect();
        // Marks of one event stand side by side: they have their time and the lower half of the fingerprint in common.
        marks.sort_unstable();
        for same in marks
            .chunk_by(|one, next| one.is_same_event(*next))
            .filter(|same| same.len() > 1)
        {
            let (mark, times) = (same[0], same.len() as u64);
            self.checks.counted_again += times - 1;
            let known = sent
                .iter()
                .find(|event| mark.is_of(&event.event_id, event.occurred_at_ms));
            let event = known.map_or_else(
                || format!("an event of card {card} at {}", mark.time_ms()),
                ToString::to_string,
            );
            let what = format!("{event} counts {times} times in its card's stored history");
            self.broken(Invariant::CountsOnce, what);
        }
    }

    fn against_decision(&mut self, event: &EventKey, copies: &OutcomeCopies, recorded: Option<&Vec<u128>>) {
        let Some(recorded) = recorded else {
            if self.horizon.keeps(event.occurred_at_ms) {
                self.checks.decision_lost += 1;
                self.broken(
                    Invariant::OneOutcome,
                    format!("{event}: its alert has no recorded decision, and none can have expired"),
                );
            } else {
                self.checks.without_decision += 1;
            }
            return;
        };
        self.checks.compared_with_decision += 1;
        if recorded.iter().any(|digest| *digest != copies.digest) {
            self.checks.different_from_decision += 1;
            let what = format!("{event}: the recorded decision is another than the outcome that was sent");
            self.broken(Invariant::OneOutcome, what);
        }
    }

    fn broken(&mut self, invariant: Invariant, what: String) {
        if self.breaks.len() < BREAKS_MAX {
            self.breaks.insert(Break { invariant, what });
        }
    }

    /// Puts the findings together, once every card was taken.
    #[must_use]
    pub fn finish(self) -> Judgement {
        let mut ledger = Ledger::unbounded();
        self.close(&mut ledger, true);
        ledger.judgement()
    }

    /// Enters the findings into a ledger. Where more evidence may follow (`is_last` is false), records that have none yet stay
    /// open in it. Gives the evidence back, without outcomes.
    pub fn close(mut self, ledger: &mut Ledger, is_last: bool) -> Evidence {
        let outcomes = std::mem::take(&mut self.evidence.outcomes);
        for (event, copies) in &outcomes {
            self.checks.events += 1;
            self.checks.records += copies.copies;
            if !copies.identical {
                self.checks.conflicting += 1;
                let what = format!(
                    "{event} has {} outcomes in the scores stream that differ",
                    copies.copies
                );
                self.broken(Invariant::OneOutcome, what);
            }
        }
        for key in self.keys.untaken() {
            self.keys.checks.unread += 1;
            self.broken(
                Invariant::CountsOnce,
                format!("key {key} was not read, so that nothing is shown of it"),
            );
        }
        let dead = DeadLetters::of(&self.evidence.dead);
        ledger.take_said(&mut self.keys);
        let (taught, keys) = (self.keys.taught(), &self.keys);
        let mut checks = self.keys.checks;
        ledger.begins(self.records.iter().map(|record| record.arrival_ms).min());
        for (at, (record, effect)) in self.records.into_iter().zip(self.effects).enumerate() {
            let of_record = taught.get(&at).copied().unwrap_or_default();
            let effect = match (effect, of_record.lacking) {
                (Effect::Shown | Effect::NoLongerShown, Some(key)) => Effect::Untaught(key),
                // Its card does not know the event any more, or never did: a key does.
                (Effect::Absent | Effect::NoLongerShown, None) if of_record.is_there => Effect::Shown,
                (Effect::Absent, None) if of_record.may_be_unshown || keys.may_have_taught(&record) => {
                    Effect::NoLongerShown
                }
                (effect, _) => effect,
            };
            let finding = finding_of(&record, effect, &self.evidence, &dead, ledger.seen());
            if is_last || !matches!(finding, Finding::Pending | Finding::NoLongerShown | Finding::Nowhere(_)) {
                checks.labels += of_record.lessons;
                checks.missing += u64::from(matches!((effect, &finding), (Effect::Untaught(_), Finding::Nowhere(_))));
            }
            match finding {
                Finding::Pending | Finding::NoLongerShown | Finding::Nowhere(_) if !is_last => ledger.keep_open(record),
                finding => ledger.enter(&record, finding),
            }
        }
        ledger.add(&self.checks, &checks, self.cards, self.breaks);
        self.evidence
    }
}
