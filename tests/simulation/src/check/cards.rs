//! Card by card: its history is the plain fold of what it accepted, its outcomes are those of its history, every event of it
//! has one end, and they came in the stream's order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidemark_domain::control::Mode;
use tidemark_domain::event::{Label, Transaction};
use tidemark_domain::fold::{self, FoldAnswer};
use tidemark_domain::history::{Entry, History};
use tidemark_domain::id::{EventId, fingerprint32};
use tidemark_domain::invariant::Invariant;
use tidemark_domain::labelled::KeyInput;
use tidemark_domain::model::{Inputs, ProfileInput};
use tidemark_domain::outcome::Tier;
use tidemark_domain::policy::Policy;
use tidemark_domain::render::render_json;

use super::keys::KeySource;
use super::sent::{EventKey, SentEvent};
use super::{Evidence, contains};
use crate::draws::Draw;
use crate::lists;
use crate::violations::Violations;
use crate::world::known::{Accepted, Life};

/// An entry without what is learned or forgotten after it was accepted.
pub(crate) fn bare(entry: Entry) -> Entry {
    Entry {
        label: None,
        event_fp_high: None,
        ..entry
    }
}

/// The place of an accepted event: its card's which life, and its number there.
type Turn = (usize, u64);

/// What cards' events came to.
#[derive(Default)]
pub(super) struct Counted {
    /// By event: when it was accepted, more than once where something is wrong.
    turns: BTreeMap<EventKey, Vec<Turn>>,
}

impl Counted {
    /// Whether a card counts an event.
    pub(super) fn has(&self, key: &EventKey) -> bool {
        self.turns.contains_key(key)
    }
}

impl Evidence<'_> {
    pub(super) fn cards(&self, violations: &mut Violations) {
        let lives = &self.facts.stores.tables.lives;
        let mut counted = Counted::default();
        let is_seen = |card: &str| !self.facts.stores.known.unseen.contains(card);
        for (card, lives) in lives.iter().filter(|(card, _)| is_seen(card)) {
            for (number, life) in lives.iter().enumerate() {
                let is_last = number + 1 == lives.len();
                self.life(card, (number, is_last), life, &mut counted, violations);
            }
        }
        for (key, event) in self.sent.events.iter().filter(|(key, _)| is_seen(&key.0)) {
            self.one_end(key, event, counted.turns.get(key), violations);
        }
        for (key, emitted) in self.emitted.iter().filter(|(key, _)| is_seen(&key.0)) {
            let event = self.sent.events.get(key);
            let is_sent = event.is_some_and(|event| !event.copies.is_empty());
            violations.expect(Invariant::CountsOnce, is_sent, || {
                format!("an outcome for {key:?}, which nobody sent")
            });
            let is_counted = counted.turns.contains_key(key) || self.is_rolled_back(key) || self.has_twin(key);
            violations.expect(Invariant::CountsOnce, is_counted, || {
                format!("an outcome for {key:?}, which its card does not count")
            });
            violations.expect(
                Invariant::OneOutcome,
                !emitted.differs || self.is_rolled_back(key),
                || format!("event {key:?} has two outcomes"),
            );
        }
        self.imports(&counted, violations);
        self.order(&counted, violations);
    }

    /// Whether an event that counts was refused when it came again: a policy that takes it was in force first, and then one with
    /// other bounds or a shorter memory; or a file brought it, which may be as old as it likes. What came of it was not sent, and its
    /// record is in quarantine.
    fn is_refused_since(&self, key: &EventKey) -> bool {
        let is_changed = self.facts.draws.has(Draw::Policies);
        let event = self.sent.events.get(key).filter(|event| is_changed || event.in_file);
        event.is_some_and(|event| {
            let mut copies = event.copies.iter();
            copies.any(|copy| self.quarantined.contains_key(&copy.place))
        })
    }

    /// Whether a restore took an event back whose records were past the stream's retention then: nobody can redrive it.
    fn is_beyond_restore(&self, key: &EventKey, event: &SentEvent) -> bool {
        self.is_rolled_back(key) && event.copies.iter().all(|copy| self.was_gone(copy.arrival_ms))
    }

    /// Whether another id of the card has this one's fingerprint and time: once other events came in between, a history can't
    /// tell them apart any more (docs/concepts/exactly-once.md has the odds).
    pub(super) fn has_twin(&self, key: &EventKey) -> bool {
        let mark = (key.0.clone(), key.2, fingerprint32(&key.1));
        self.sent.by_mark.get(&mark).is_some_and(|keys| keys.len() > 1)
    }

    /// Whether a restore took an event back. It may have been scored twice then, with other inputs.
    pub(super) fn is_rolled_back(&self, key: &EventKey) -> bool {
        let rolled_back = self.facts.stores.known.rolled_back.get(&key.0);
        rolled_back.is_some_and(|marks| marks.contains(&(key.2, fingerprint32(&key.1))))
    }

    /// A transaction that the stream has counts once, or was refused: by the contract, by its card's history; or it is lost and named (I1, I2).
    fn one_end(&self, key: &EventKey, event: &SentEvent, turns: Option<&Vec<Turn>>, violations: &mut Violations) {
        let times = turns.map_or(0, Vec::len);
        violations.expect(Invariant::CountsOnce, times <= 1, || {
            format!("event {key:?} counts {times} times")
        });
        let has_end = || {
            event
                .copies
                .iter()
                .any(|copy| self.quarantined.contains_key(&copy.place) || self.is_lost(&copy.place))
        };
        violations.expect(
            Invariant::NothingLost,
            times > 0
                || event.copies.is_empty()
                || has_end()
                || self.has_twin(key)
                || self.is_beyond_restore(key, event),
            || {
                let copies: Vec<_> = event.copies.iter().map(|copy| (&copy.place, copy.arrival_ms)).collect();
                let taken_back = if self.is_rolled_back(key) {
                    "taken back by a restore"
                } else {
                    "never counted"
                };
                format!("event {key:?} has no end: {taken_back}; it came as {copies:?}")
            },
        );
    }

    /// A history, event by event: what each came to follows from its inputs (I6), what was sent of it is that (I3), and what is
    /// stored is all of it and nothing else (I2).
    fn life(
        &self,
        card: &str,
        (number, is_last): (usize, bool),
        life: &Life,
        counted: &mut Counted,
        violations: &mut Violations,
    ) {
        let mut state = History::default();
        let mut seen: BTreeSet<EventKey> = BTreeSet::new();
        for (at, accepted) in life.accepted.iter().enumerate() {
            let seq = accepted.entry.seq;
            if seq != at as u64 {
                violations.add(
                    Invariant::CountsOnce,
                    format!("card {card}: number {seq} follows {at} events"),
                );
                return;
            }
            let Some((key, tx)) = self.fold(card, accepted, &seen, &mut state, violations) else {
                return;
            };
            seen.insert(key.clone());
            counted.turns.entry(key.clone()).or_default().push((number, seq));
            self.outcome(&key, tx, &accepted.entry, violations);
            self.decided(&key, accepted, violations);
        }
        self.stored(card, is_last, life, state, violations);
    }

    /// The events that an entry may keep: two ids may have one fingerprint. The one whose outcome has its number comes first.
    fn events_of(&self, card: &str, entry: &Entry, seen: &BTreeSet<EventKey>) -> Vec<&EventKey> {
        let mark = (card.to_owned(), entry.time_ms, entry.event_fp);
        let id = |key: &EventKey| EventId::new(&key.1);
        let is_kept = |key: &EventKey| id(key).is_some_and(|id| entry.mark().is_of(&id, key.2));
        let named = self.sent.by_mark.get(&mark).into_iter().flatten();
        let mut named: Vec<&EventKey> = named.filter(|key| !seen.contains(*key) && is_kept(key)).collect();
        let is_other = |key: &EventKey| self.emitted.get(key).is_none_or(|emitted| emitted.seq != entry.seq);
        named.sort_by_key(|key| is_other(key));
        named
    }

    /// Folds an accepted event: which event it is, and what its record says. Of several contents of one event the first that
    /// came counts, and which that was is seen by what came of it.
    fn fold(
        &self,
        card: &str,
        accepted: &Accepted,
        seen: &BTreeSet<EventKey>,
        state: &mut History,
        violations: &mut Violations,
    ) -> Option<(EventKey, &Transaction)> {
        let (entry, judged) = (&bare(accepted.entry.clone()), &accepted.judged);
        let version = entry.outcome.policy_version;
        let policy = self.facts.policies.all.get(&version);
        let Some(policy) = policy.filter(|_| judged.policy_version == version) else {
            violations.add(
                Invariant::PureScore,
                format!(
                    "card {card}: event {} names policy {version}, and was judged by {}",
                    entry.seq, judged.policy_version
                ),
            );
            return None;
        };
        let policy = &self.with_lists(policy, entry);
        let of_import = judged.is_import.then(|| Arc::new(policy.for_import()));
        let policy = of_import.as_ref().unwrap_or(policy);
        let keys = self.events_of(card, &accepted.entry, seen);
        let contents: Vec<(&EventKey, &Transaction)> = keys
            .iter()
            .filter_map(|key| Some((*key, self.sent.events.get(*key)?)))
            .flat_map(|(key, event)| event.variants.iter().map(move |tx| (key, tx)))
            .collect();
        let profile = self.input(card, accepted);
        let decided = entry.outcome.override_action();
        let is_same = |applied: &FoldAnswer| matches!(applied, FoldAnswer::Scored { entry: made } if bare((**made).clone()) == *entry);
        let by = |state: &mut History, tx: &Transaction, sources: &[KeySource]| {
            let keys: Vec<KeyInput<'_>> = sources.iter().map(KeySource::input).collect();
            fold::fold_overridden(state, tx, Inputs { profile, keys: &keys }, policy, decided)
        };
        // Mostly there is one way to read what the outcome names.
        let sources = |state: &History, tx: &Transaction, violations: &mut Violations| {
            let mut choices = self.key_sources(tx, accepted, policy, violations);
            if choices.len() > 1 {
                let fits = |choice: &Vec<KeySource>| is_same(&by(&mut state.clone(), tx, choice));
                let at = choices.iter().position(fits).unwrap_or(0);
                choices.swap(0, at);
            }
            choices.into_iter().next().unwrap_or_default()
        };
        let mut unheard = Violations::default();
        let found = match contents.as_slice() {
            [only] => Some(only),
            all => all.iter().find(|(_, tx)| {
                let sources = sources(state, tx, &mut unheard);
                is_same(&by(&mut state.clone(), tx, &sources))
            }),
        };
        let Some((key, tx)) = found else {
            violations.add(
                Invariant::PureScore,
                format!(
                    "card {card}: nothing that was sent gives event {} ({} ids)",
                    entry.seq,
                    keys.len()
                ),
            );
            return None;
        };
        let sources = sources(state, tx, violations);
        self.features_of_keys(&sources, entry, policy, violations);
        let applied = by(state, tx, &sources);
        if !is_same(&applied) {
            let (invariant, words) = match applied {
                FoldAnswer::Scored { entry: made } => (
                    Invariant::PureScore,
                    format!(
                        "event {key:?}: another outcome than its inputs give: {:?}, and {:?} is what is kept",
                        made.outcome, entry.outcome
                    ),
                ),
                other => (
                    Invariant::CountsOnce,
                    format!("event {key:?} can't have been accepted: {other:?}"),
                ),
            };
            violations.add(invariant, words);
            return None;
        }
        Some(((*key).clone(), tx))
    }

    /// A policy with the lists that an entry names, as they were then.
    pub(super) fn with_lists(&self, policy: &Arc<Policy>, entry: &Entry) -> Arc<Policy> {
        if policy.lists.terms().is_empty() {
            return Arc::clone(policy);
        }
        let named = entry.outcome.lists.all();
        let version = |name| {
            named
                .iter()
                .find(|read| read.name == name)
                .and_then(|read| read.version)
        };
        let contents = &self.facts.stores.control.list_contents;
        Arc::new(policy.with_lists(|name| lists::of_version(contents, version(name))))
    }

    /// The profile that an event was scored with, by what its entry says.
    fn input(&self, card: &str, accepted: &Accepted) -> ProfileInput<'_> {
        let outcome = &accepted.entry.outcome;
        let profile = outcome.profile_version;
        let profile = profile.and_then(|version| self.sent.profiles.get(&(card.to_owned(), version)));
        match (profile, outcome.tier) {
            (Some(profile), _) => ProfileInput::Known(profile),
            (None, _) if accepted.judged.mode == Mode::Degraded => ProfileInput::Skipped,
            (None, Tier::NoProfile | Tier::Neutral) => ProfileInput::Unavailable,
            (None, Tier::HistoryOnly) => ProfileInput::Skipped,
            (None, Tier::Full | Tier::LowRisk | Tier::NoKeys | Tier::NoLists) => ProfileInput::Absent,
        }
    }

    /// An accepted event's outcome was sent as its card has it, unless the mode said not to; an alert is recorded like that.
    fn outcome(&self, key: &EventKey, tx: &Transaction, entry: &Entry, violations: &mut Violations) {
        if self.is_rolled_back(key) {
            return;
        }
        let stores = self.facts.stores;
        let Some(emitted) = self.emitted.get(key) else {
            let copies = self.sent.events.get(key).map_or(&[][..], |event| &event.copies);
            // It counted before its worker died, and its record is past retention since.
            let is_lost = || copies.iter().any(|copy| self.is_lost(&copy.place));
            let is_withheld = copies
                .iter()
                .any(|copy| stores.withheld.contains(&(copy.place.0.clone(), copy.place.1.clone())));
            violations.expect(
                Invariant::NothingLost,
                copies.is_empty() || is_withheld || is_lost() || self.is_refused_since(key),
                || format!("event {key:?} counts and has no outcome"),
            );
            return;
        };
        let bytes = render_json(&tx.card_id, &tx.event_id, entry);
        violations.expect(Invariant::OneOutcome, bytes == emitted.bytes, || {
            format!("event {key:?}: another outcome was sent than its card has")
        });
        if contains(&emitted.bytes, r#""decision":"alert""#) {
            let kept = stores.tables.decisions.get(&stores.decision_key(key));
            violations.expect(
                Invariant::OneOutcome,
                kept.is_some_and(|kept| kept.outcome_json == emitted.bytes),
                || format!("the alert of event {key:?} is not recorded as it was sent"),
            );
        }
    }

    /// The stored bytes are those of the fold. Where an id is used twice, a label's event depends on when the label came, so
    /// that entries are compared without their labels.
    fn stored(&self, card: &str, is_last: bool, life: &Life, mut state: History, violations: &mut Violations) {
        let tables = &self.facts.stores.tables;
        let stored = match (&life.ended, is_last) {
            (Some(bytes), _) => bytes.clone(),
            (None, true) => tables
                .states
                .get(card)
                .map(|item| item.now.bytes.clone())
                .unwrap_or_default(),
            (None, false) => return,
        };
        let draws = self.facts.draws;
        // Over long times an event may be too old for its label at the end, and was not when that came.
        // A hot card's label finds the newest leaves only.
        // Labels come weeks after: what a card has forgotten by then is a check of its own.
        let apart = [Draw::ReusedIds, Draw::Days, Draw::Restore, Draw::Hot, Draw::Labels];
        let plain = !apart.iter().any(|draw| draws.has(*draw));
        if plain {
            self.label(card, &mut state);
            violations.expect(Invariant::CountsOnce, stored == state.encode(), || {
                format!("card {card}: the stored state is not the fold of its events")
            });
            return;
        }
        let Ok(mut kept) = History::decode(&stored) else {
            violations.add(
                Invariant::CountsOnce,
                format!("card {card}: the stored state can't be decoded"),
            );
            return;
        };
        if !tables.supply(card, &mut kept) {
            violations.expect(Invariant::CountsOnce, life.ended.is_some(), || {
                format!("card {card}: a sealed segment is not there")
            });
            return;
        }
        let entries = |state: &History| -> Vec<Entry> { state.all_entries().into_iter().cloned().map(bare).collect() };
        violations.expect(Invariant::CountsOnce, entries(&kept) == entries(&state), || {
            format!("card {card}: the stored history is not the fold of its events")
        });
        self.labels_were_sent(card, &kept, violations);
    }

    fn label(&self, card: &str, state: &mut History) {
        let policy = self.facts.policies.own_policy();
        for (place, label) in self.sent.labels.get(card).into_iter().flatten() {
            if !self.quarantined.contains_key(place) || self.carries(card, label) {
                fold::fold_label(state, label, &policy);
            }
        }
    }

    /// Whether a stored state has just this label on its event. A label may come before its event (a redrive brings that
    /// later): it is put into quarantine, and when its worker dies before it has answered, the label comes again and may find
    /// the event.
    fn carries(&self, card: &str, label: &Label) -> bool {
        let event_fp = fingerprint32(label.event_id.as_str());
        let state = self.facts.stores.tables.whole_state(card);
        state.is_some_and(|state| {
            let mut entries = state.all_entries().into_iter();
            entries
                .any(|entry| entry.event_fp == event_fp && entry.label == Some((label.verdict, label.known_since_ms)))
        })
    }

    fn labels_were_sent(&self, card: &str, state: &History, violations: &mut Violations) {
        let sent = self.sent.labels.get(card).map_or(&[][..], Vec::as_slice);
        for entry in state.all_entries() {
            let Some(kept) = entry.label else { continue };
            let is_sent = |label: &Label| {
                fingerprint32(label.event_id.as_str()) == entry.event_fp
                    && (label.verdict, label.known_since_ms) == kept
            };
            violations.expect(
                Invariant::CountsOnce,
                sent.iter().any(|(_, label)| is_sent(label)),
                || format!("card {card}: event {} has a label that nobody sent", entry.seq),
            );
        }
    }

    /// A card's events were accepted in the stream's order, unless something took one of its records out of it: a dead letter,
    /// a second partition key, a restore, a redrive of what was refused, a file (I4).
    fn order(&self, counted: &Counted, violations: &mut Violations) {
        let (draws, known) = (self.facts.draws, &self.facts.stores.known);
        if draws.has(Draw::Keys) || known.quarantine_redriven {
            return;
        }
        let mut disordered: BTreeSet<&str> = known.restored.iter().map(String::as_str).collect();
        for at in self.facts.dead {
            let cards = self.sent.cards_of.get(at).into_iter().flatten();
            disordered.extend(cards.map(String::as_str));
        }
        let doubtful = self
            .sent
            .events
            .iter()
            .filter(|(_, event)| event.doubtful || event.in_file);
        disordered.extend(doubtful.map(|(key, _)| key.0.as_str()));
        let mut in_stream: Vec<(usize, Option<u32>, &EventKey)> = self
            .sent
            .events
            .iter()
            .filter(|(key, _)| !disordered.contains(key.0.as_str()))
            .filter_map(|(key, event)| event.copies.first().map(|copy| (copy.at, copy.place.2, key)))
            .collect();
        in_stream.sort_unstable();
        let mut last: BTreeMap<&str, (Turn, &EventKey)> = BTreeMap::new();
        for (_, _, key) in in_stream {
            let Some(turn) = counted.turns.get(key).and_then(|turns| turns.first()) else {
                continue;
            };
            if let Some((before, other)) = last.get(key.0.as_str()) {
                violations.expect(Invariant::CardOrder, before < turn, || {
                    format!("{key:?} before {other:?}")
                });
            }
            last.insert(&key.0, (*turn, key));
        }
    }
}
