//! Keys beyond the card: each labelled event is in each of its keys once (I2), a label's record has its end only then (I1), and what a
//! key adds to a score follows from the number of its labels that the outcome names (I6).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use lab::oracle;
use tidemark_domain::event::{Label, Transaction, Verdict};
use tidemark_domain::history::Entry;
use tidemark_domain::id::{DeviceId, LinkId, fingerprint32, fingerprint64};
use tidemark_domain::invariant::Invariant;
use tidemark_domain::labelled::{KeyInput, LabelledEvent, LabelledHistory, event_identity};
use tidemark_domain::outcome::KeyRead;
use tidemark_domain::policy::{KeyField, KeyTerms, Policy};
use tidemark_engine::port::KeyId;

use super::{Evidence, Place};
use crate::draws::Draw;
use crate::traffic::twins;
use crate::violations::Violations;
use crate::world::known::Accepted;

/// Whatever was under way when the table was restored is over by so much later, ms.
const RESTORE_SLACK_MS: i64 = 20 * 60_000;

/// What a key was for an event.
#[derive(Clone, Debug)]
pub(super) enum KeySource {
    /// The event names none.
    Unnamed,
    /// It could not be read.
    Unavailable,
    /// What was read: nothing, where no label was known.
    Read(Arc<LabelledHistory>),
}

impl KeySource {
    pub(super) fn input(&self) -> KeyInput<'_> {
        match self {
            Self::Unnamed => KeyInput::Unnamed,
            Self::Unavailable => KeyInput::Unavailable,
            Self::Read(history) => KeyInput::Known(history),
        }
    }
}

/// Whether a label speaks of one of two ids of one 32-bit fingerprint: once other events came, its card can't tell them apart.
fn is_twin(label: &Label) -> bool {
    let (one, other) = twins();
    [one, other].into_iter().any(|id| *id == label.event_id.as_str())
}

/// A label's rank among those of its event: the highest one has the last word.
const fn rank(label: &LabelledEvent) -> (i64, u8) {
    (label.known_since_ms, label.verdict as u8)
}

/// What a label says that was sent, and which record of which card it is.
struct Said<'e> {
    place: &'e Place,
    label: &'e Label,
    /// The events of its card that it may mean.
    entries: Vec<&'e Entry>,
    /// When events happened that it may have meant, and that a restore took back from its card: ms since 1970-01-01T00:00:00Z. One whose
    /// record was past the stream's retention by then does not come again, and what it taught its keys stays.
    taken_back_ms: BTreeSet<i64>,
}

impl Said<'_> {
    fn named(&self, field: KeyField) -> Option<u64> {
        match field {
            KeyField::Merchant => self.label.merchant_id.as_ref().map(|id| fingerprint64(id.as_str())),
            KeyField::Device => self.label.device_id.as_ref().map(|id| fingerprint64(id.as_str())),
            KeyField::Link(name) => self.label.links.get(name).map(|id| fingerprint64(id.as_str())),
        }
    }

    /// The keys of a field that it may teach, and whether it must teach one of them: what its card knew of the event goes first, and
    /// the card may have forgotten all of it.
    fn identities(&self, field: KeyField) -> (BTreeSet<u64>, bool) {
        let named = self.named(field);
        let of_entry = |entry: &&Entry| match field {
            KeyField::Merchant => entry.merchant_identity(),
            KeyField::Device => entry.device_identity(),
            KeyField::Link(name) => entry.link_identity(name),
        };
        let with_card: Vec<Option<u64>> = self.entries.iter().map(|entry| of_entry(entry).or(named)).collect();
        let may_be_forgotten = self.label.occurred_at_ms.is_some();
        let is_sure = with_card.iter().all(Option::is_some) && (!may_be_forgotten || named.is_some());
        let all = with_card.into_iter().chain(may_be_forgotten.then_some(named)).flatten();
        (all.collect(), is_sure)
    }

    /// Whether it is the one that a key holds.
    fn is(&self, kept: &LabelledEvent, has_other_minds: bool) -> bool {
        let label = self.label;
        let is_time = label.occurred_at_ms == Some(kept.time_ms)
            || self.taken_back_ms.contains(&kept.time_ms)
            || self.entries.iter().any(|entry| entry.time_ms == kept.time_ms);
        let is_mind = match kept.explained {
            None => label.occurred_at_ms.is_some(),
            Some(explained) => {
                let mut minds = self.entries.iter().map(|entry| entry.outcome.explained);
                has_other_minds || minds.any(|mind| mind == explained)
            }
        };
        (label.verdict, label.known_since_ms) == (kept.verdict, kept.known_since_ms) && is_time && is_mind
    }
}

impl Evidence<'_> {
    /// Checks what labels taught.
    pub(super) fn keys(&self, violations: &mut Violations) {
        if !self.facts.draws.has(Draw::Labels) {
            return;
        }
        let histories = self.histories();
        let said = self.said();
        let mut by_event: HashMap<u64, Vec<&Said<'_>>> = HashMap::new();
        for one in &said {
            let event = event_identity(&one.label.card_id, &one.label.event_id);
            by_event.entry(event).or_default().push(one);
            self.label_end(one, violations);
            self.card_has(one, violations);
            self.keys_have(one, &histories, violations);
        }
        for (key, history) in &histories {
            self.nothing_else(*key, history, &by_event, violations);
        }
    }

    fn histories(&self) -> BTreeMap<KeyId, LabelledHistory> {
        let keys = self.facts.stores.tables.keys.iter();
        keys.filter_map(|(key, item)| Some((*key, LabelledHistory::decode(&item.now.bytes).ok()?)))
            .collect()
    }

    fn said(&self) -> Vec<Said<'_>> {
        let stores = self.facts.stores;
        let mut all = Vec::new();
        for (card, labels) in self
            .sent
            .labels
            .iter()
            .filter(|(card, _)| !stores.known.unseen.contains(*card))
        {
            let lives = stores.tables.lives.get(card).into_iter().flatten();
            let accepted: Vec<&Entry> = lives
                .flat_map(|life| life.accepted.iter().map(|one| &one.entry))
                .collect();
            for (place, label) in labels.iter().filter(|(_, label)| !is_twin(label)) {
                let fingerprint = fingerprint64(label.event_id.as_str());
                let is_meant = |entry: &&Entry| {
                    entry.is_of(fingerprint) && label.occurred_at_ms.is_none_or(|time_ms| entry.time_ms == time_ms)
                };
                let taken_back = stores.known.rolled_back.get(card).into_iter().flatten();
                let taken_back_ms = taken_back
                    .filter(|(time_ms, mark)| {
                        *mark == fingerprint32(label.event_id.as_str())
                            && label.occurred_at_ms.is_none_or(|at_ms| at_ms == *time_ms)
                    })
                    .map(|(time_ms, _)| *time_ms);
                all.push(Said {
                    place,
                    label,
                    entries: accepted.iter().copied().filter(is_meant).collect(),
                    taken_back_ms: taken_back_ms.collect(),
                });
            }
        }
        all
    }

    /// Each label's record has its end, is in quarantine, or is lost and named.
    fn label_end(&self, said: &Said<'_>, violations: &mut Violations) {
        let stores = self.facts.stores;
        let arrival_ms = || {
            let shard = stores.stream.shard(&said.place.0);
            let record = shard.and_then(|shard| shard.records.get(shard.at(&said.place.1)));
            record.map_or(i64::MAX, |(_, record)| record.arrival_ms)
        };
        let has_end = stores.known.ends.contains_key(said.place) || self.quarantined.contains_key(said.place);
        let holds = has_end || self.is_lost(said.place) || self.was_gone(arrival_ms());
        violations.expect(Invariant::NothingLost, holds, || {
            format!("the label {:?} of event {} has no end", said.place, said.label.event_id)
        });
    }

    /// The ends that stand: what the table had then was not taken back by a restore.
    fn ends(&self, place: &Place) -> impl Iterator<Item = u32> {
        let known = &self.facts.stores.known;
        let restored = known
            .table_restored_ms
            .map(|restored_ms| known.backup_ms..restored_ms + RESTORE_SLACK_MS);
        let ends = known.ends.get(place).into_iter().flatten();
        let stand =
            ends.filter(move |(_, at_ms)| restored.as_ref().is_none_or(|taken_back| !taken_back.contains(at_ms)));
        stand.map(|(version, _)| *version)
    }

    /// The card keeps a label that ended, or one that outranks it, as long as it keeps the event.
    fn card_has(&self, said: &Said<'_>, violations: &mut Violations) {
        let (stores, label) = (self.facts.stores, said.label);
        let card = label.card_id.as_str();
        let [entry] = said.entries.as_slice() else { return };
        if stores.known.restored.contains(card) || self.ends(said.place).next().is_none() {
            return;
        }
        let Some(state) = stores.tables.whole_state(card) else {
            return;
        };
        let kept = state.all_entries().into_iter().find(|other| other.is_same_event(entry));
        let least = (label.known_since_ms, label.verdict as u8);
        // An event past its policy's memory may lie in a sealed segment still: for a label it is forgotten.
        let policies = self.facts.policies.all.values();
        let retention_ms = policies.map(|policy| policy.retention_ms()).min().unwrap_or(0);
        let newest_ms = state.newest_ms().unwrap_or(i64::MIN).max(label.known_since_ms);
        let may_be_forgotten = label.occurred_at_ms.is_some() && entry.time_ms <= newest_ms - retention_ms;
        let is_it = |(verdict, since_ms): (Verdict, i64)| (since_ms, verdict as u8) >= least;
        let holds = kept.is_none_or(|kept| kept.label.is_some_and(is_it)) || may_be_forgotten;
        violations.expect(Invariant::CountsOnce, holds, || {
            format!("card {card}: event {} lost the label {:?}", label.event_id, said.place)
        });
    }

    /// The keys of the policy by which a label ended have it, and what it takes back stays so.
    fn keys_have(&self, said: &Said<'_>, histories: &BTreeMap<KeyId, LabelledHistory>, violations: &mut Violations) {
        let label = said.label;
        let versions: BTreeSet<u32> = self.ends(said.place).collect();
        let declared = versions
            .iter()
            .filter_map(|version| self.facts.policies.all.get(version));
        for terms in declared.flat_map(|policy| &policy.keys) {
            let (identities, is_sure) = said.identities(terms.field);
            if !is_sure || identities.is_empty() {
                continue;
            }
            let event = event_identity(&label.card_id, &label.event_id);
            let times = said
                .entries
                .iter()
                .map(|entry| entry.time_ms)
                .chain(label.occurred_at_ms);
            let times: BTreeSet<i64> = times.collect();
            let mut places = identities
                .iter()
                .flat_map(|identity| times.iter().map(move |time_ms| (*identity, *time_ms)));
            let has = |(identity, time_ms): (u64, i64)| {
                let key = KeyId {
                    name: terms.name,
                    identity,
                };
                let dropped = self.facts.stores.known.keys_dropped.get(&key);
                if dropped.is_some_and(|dropped_ms| time_ms <= *dropped_ms) {
                    return true;
                }
                let none = LabelledHistory::default();
                let history = histories.get(&key).unwrap_or(&none);
                let one = LabelledEvent {
                    time_ms,
                    event,
                    known_since_ms: label.known_since_ms,
                    verdict: label.verdict,
                    explained: None,
                };
                let latest = history.of_event((time_ms, event)).iter().max_by_key(|kept| rank(kept));
                let is_there = match label.verdict {
                    Verdict::Fraud => history
                        .of_event((time_ms, event))
                        .iter()
                        .any(|kept| rank(kept) == rank(&one)),
                    // Who was never called fraud is not there; who was, is cleared by this or a later label.
                    Verdict::Cleared => latest.is_none_or(|latest| {
                        latest.verdict == Verdict::Cleared
                            || rank(latest) > rank(&one)
                            || self.came_when_forgotten(said, latest)
                    }),
                };
                is_there || history.is_forgotten(one.event_key())
            };
            violations.expect(Invariant::CountsOnce, places.any(has), || {
                format!(
                    "key {} of {identities:?}: the label {:?} ({} of event {} of card {}) has its end, and the key does not have it",
                    terms.name,
                    said.place,
                    label.verdict.as_str(),
                    label.event_id,
                    label.card_id
                )
            });
        }
    }

    /// Whether a fraud came after a label that takes it back, when their card had forgotten the event and with it that label
    /// (docs/concepts/learning.md, what a key does not learn). A fraud that is in the quarantine without an end came later, too: the redrive
    /// died that had taught the key by it.
    fn came_when_forgotten(&self, cleared: &Said<'_>, fraud: &LabelledEvent) -> bool {
        let card = cleared.label.card_id.as_str();
        let first_end_ms = |place: &Place| {
            let ends = self.facts.stores.known.ends.get(place).into_iter().flatten();
            ends.map(|(_, at_ms)| *at_ms).min()
        };
        let is_it = |label: &Label| {
            label.event_id == cleared.label.event_id
                && label.occurred_at_ms == Some(fraud.time_ms)
                && (label.verdict, label.known_since_ms) == (fraud.verdict, fraud.known_since_ms)
        };
        let of_card = self.sent.labels.get(card).into_iter().flatten();
        let mut frauds = of_card.filter(|(_, label)| is_it(label));
        let cleared_ms = first_end_ms(cleared.place);
        fraud.explained.is_none()
            && frauds.any(|(place, _)| match first_end_ms(place) {
                None => self.quarantined.contains_key(place),
                ended_ms => ended_ms > cleared_ms,
            })
    }

    /// A key holds what labels of its events said, each once, and nothing else.
    fn nothing_else(
        &self,
        key: KeyId,
        history: &LabelledHistory,
        by_event: &HashMap<u64, Vec<&Said<'_>>>,
        violations: &mut Violations,
    ) {
        let has_other_minds = self.facts.draws.has(Draw::Restore);
        let labels = self.sent.labels.values().flatten().filter(|(_, label)| is_twin(label));
        let twins: BTreeSet<u64> = labels
            .map(|(_, label)| event_identity(&label.card_id, &label.event_id))
            .collect();
        let of_field = |said: &Said<'_>, field: KeyField| said.identities(field).0.contains(&key.identity);
        let declared = self.facts.policies.all.values().flat_map(|policy| &policy.keys);
        let fields: BTreeSet<KeyField> = declared
            .filter(|terms| terms.name == key.name)
            .map(|terms| terms.field)
            .collect();
        for kept in history.labels().iter().filter(|kept| !twins.contains(&kept.event)) {
            let said = || by_event.get(&kept.event).into_iter().flatten();
            let is_said = said().any(|said| said.is(kept, has_other_minds));
            // Which key an event has, its card knows, or some label of it says: whose record that is hands over the card's label, too.
            let is_of_key = || said().any(|said| fields.iter().any(|field| of_field(said, *field)));
            let is_said = is_said && (has_other_minds || is_of_key());
            violations.expect(Invariant::CountsOnce, is_said || self.has_unseen_cards(), || {
                format!("key {key} holds {kept:?}, which nobody sent")
            });
        }
        // One label is there in two minds only where its card had forgotten the event before it had it.
        let twice = history
            .labels()
            .iter()
            .zip(history.labels().iter().skip(1))
            .find(|(one, next)| {
                one.event_key() == next.event_key() && rank(one) == rank(next) && one.explained.is_some()
            });
        violations.expect(Invariant::CountsOnce, twice.is_none() || has_other_minds, || {
            format!("key {key} holds a label twice: {twice:?}")
        });
    }

    fn has_unseen_cards(&self) -> bool {
        !self.facts.stores.known.unseen.is_empty()
    }

    /// What the keys of an event may have been, by what its outcome names: for each key of the policy what was read. Several, where a
    /// key's numbers began anew.
    pub(super) fn key_sources(
        &self,
        tx: &Transaction,
        accepted: &Accepted,
        policy: &Policy,
        violations: &mut Violations,
    ) -> Vec<Vec<KeySource>> {
        let mut choices: Vec<Vec<KeySource>> = vec![Vec::new()];
        for terms in &policy.keys {
            let of_key = self.sources_of(tx, accepted, terms, violations);
            let longer = choices.iter().flat_map(|choice| {
                of_key
                    .iter()
                    .map(|source| choice.iter().cloned().chain([source.clone()]).collect::<Vec<_>>())
            });
            choices = longer.collect();
        }
        choices
    }

    fn sources_of(
        &self,
        tx: &Transaction,
        accepted: &Accepted,
        terms: &KeyTerms,
        violations: &mut Violations,
    ) -> Vec<KeySource> {
        let named = match terms.field {
            KeyField::Merchant => Some(tx.merchant_id.as_str()),
            KeyField::Device => tx.device_id.as_ref().map(DeviceId::as_str),
            KeyField::Link(name) => tx.links.get(name).map(LinkId::as_str),
        };
        let Some(id) = named else {
            return vec![KeySource::Unnamed];
        };
        let read: Option<&KeyRead> = accepted.entry.outcome.keys.iter().find(|read| read.name == terms.name);
        let version = match read.map(|read| read.version) {
            Some(None) => return vec![KeySource::Unavailable],
            None => return vec![KeySource::Read(Arc::default())],
            Some(Some(version)) => version,
        };
        let key = KeyId {
            name: terms.name,
            identity: fingerprint64(id),
        };
        let (time_ms, known) = (accepted.entry.time_ms, &self.facts.stores.known);
        let begins_anew = known.keys_dropped.contains_key(&key) || known.table_restored_ms.is_some();
        let mut found: Vec<&Arc<LabelledHistory>> = Vec::new();
        let named = |history: &LabelledHistory| oracle::keys::named(history.labels(), history.forgotten(), time_ms);
        let all = known.key_histories.get(&key).map_or(&[][..], Vec::as_slice);
        // The numbers of one set that grows never fall: the first and the last of a number say whether it names one set.
        let (from, to) = if begins_anew {
            (0, all.len())
        } else {
            (
                all.partition_point(|history| named(history) < version),
                all.partition_point(|history| named(history) <= version),
            )
        };
        let ends = [
            all.get(from..to).and_then(<[_]>::first),
            all.get(from..to).and_then(<[_]>::last),
        ];
        let candidates: Vec<_> = if begins_anew {
            all.iter().collect()
        } else {
            ends.into_iter().flatten().collect()
        };
        for history in candidates {
            let at = |history: &LabelledHistory| -> Vec<LabelledEvent> {
                let labels = history.labels().iter().copied();
                labels.filter(|label| label.known_since_ms <= time_ms).collect()
            };
            let is_it = named(history) == version;
            if is_it && !found.iter().any(|other| at(other) == at(history)) {
                found.push(history);
            }
        }
        violations.expect(Invariant::PureScore, found.len() <= 1 || begins_anew, || {
            format!(
                "key {key}: {} different histories are named {version} as of {time_ms}",
                found.len()
            )
        });
        violations.expect(Invariant::PureScore, !found.is_empty(), || {
            format!("key {key}: no history of it has {version} labels that are known at {time_ms}")
        });
        found
            .into_iter()
            .map(|history| KeySource::Read(Arc::clone(history)))
            .collect()
    }

    /// The values of an outcome's features of keys are what the oracle reads in what was read of the keys.
    pub(super) fn features_of_keys(
        &self,
        sources: &[KeySource],
        entry: &Entry,
        policy: &Policy,
        violations: &mut Violations,
    ) {
        for (feature, value) in &entry.outcome.features {
            let Some(at) = policy.keys.iter().position(|terms| Some(terms.name) == feature.key()) else {
                continue;
            };
            let expected = match sources.get(at) {
                Some(KeySource::Read(history)) => {
                    oracle::keys::value(*feature, history.labels(), entry.time_ms, policy.run_gap_ms)
                }
                _ => None,
            };
            violations.expect(Invariant::PureScore, *value == expected, || {
                format!(
                    "{feature} at {} is {value:?}, the oracle has {expected:?}",
                    entry.time_ms
                )
            });
        }
    }
}
