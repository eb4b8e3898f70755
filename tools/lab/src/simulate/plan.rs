//! Draws the whole run: what the cards do, what is sent twice, late or broken, and the order of it all.

mod labels;

use tidemark_domain::refusal::RefusalCode;

use super::draft::{Draft, LabelDraft, ProfileDraft};
use super::links::Linked;
use super::world::{self, CITIES, Card};
use super::{
    Expect, HOUR_MS, MINUTE_MS, SECOND_MS, SPAN_MS_MAX, SimConfig, SimKind, SimRecord, faults, render, scenario,
    traffic,
};
use crate::dice::Dice;

pub(super) use labels::DELAY_MS_MAX;

/// Numbers of the generator's independent streams.
const STREAM_CARDS: u64 = 1;
const STREAM_TRANSACTIONS: u64 = 2;
const STREAM_EXTRAS: u64 = 3;
const STREAM_SCENARIOS: u64 = 4;
/// A day, for profiles.
const DAY_MS: i64 = 24 * HOUR_MS;

/// What is at a place of the stream; numbers point into the plan's lists.
#[derive(Clone, Copy, Debug)]
enum What {
    Transaction(u32),
    Duplicate(u32),
    /// A hot card's first event once more, long after its head sealed it.
    Sealed(u32),
    Profile(u32),
    Label(u32),
    DuplicateLabel(u32),
    Fault {
        fault: u16,
        variant: u32,
    },
}

/// A place of the stream.
struct Slot {
    sent_ms: i64,
    what: What,
}

/// The whole run, payloads not yet written.
pub(super) struct Plan {
    drafts: Vec<Draft>,
    profiles: Vec<ProfileDraft>,
    labels: Vec<LabelDraft>,
    slots: Vec<Slot>,
}

/// Draws the plan of a run.
pub(super) fn draw(config: &SimConfig) -> Plan {
    let cards = world::draw_cards(config, &mut Dice::new(config.seed, STREAM_CARDS));
    let mut dice = Dice::new(config.seed, STREAM_EXTRAS);
    let profiles = draw_profiles(config, &cards, &mut dice);
    let counts = Counts::of(config, profiles.len());
    let mut drafts = traffic::draw(
        config,
        &cards,
        counts.transactions,
        &mut Dice::new(config.seed, STREAM_TRANSACTIONS),
    );
    let ordinary = drafts.get_mut(..counts.transactions as usize).unwrap_or_default();
    let mut of_scenarios = Dice::new(config.seed, STREAM_SCENARIOS);
    let scenarios = (config.scenarios.as_slice(), config.scenario_factor);
    scenario::draw(scenarios, &cards, ordinary, &mut of_scenarios);
    let mut plan = Plan {
        drafts,
        profiles: Vec::new(),
        labels: Vec::new(),
        slots: Vec::new(),
    };
    plan.place_transactions(config, &mut dice);
    for (sent_ms, profile) in profiles {
        plan.slots.push(Slot {
            sent_ms,
            what: What::Profile(number(plan.profiles.len())),
        });
        plan.profiles.push(profile);
    }
    plan.place_extras(config, &counts, &mut dice);
    plan.slots.sort_by_key(|slot| slot.sent_ms);
    plan
}

/// How many records of each sort make up the run.
struct Counts {
    transactions: u32,
    duplicates: u32,
    labels: u32,
    broken: u32,
    /// Hot cards' events that come again from their sealed history.
    sealed: u32,
}

impl Counts {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn of(config: &SimConfig, profiles: usize) -> Self {
        let share = |share: f64| (f64::from(config.events) * share) as u32;
        let (labels, broken) = (share(config.label_share), share(config.broken_share));
        let (duplicates, sealed) = (share(config.duplicate_share), config.hot_cards);
        let other = number(profiles) + labels + broken + duplicates + sealed + traffic::hot_events(config);
        Self {
            transactions: config.events.saturating_sub(other),
            duplicates,
            labels,
            broken,
            sealed,
        }
    }
}

/// First profiles, changes, and now and then an old version that arrives after the new one.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
fn draw_profiles(config: &SimConfig, cards: &[Card], dice: &mut Dice) -> Vec<(i64, ProfileDraft)> {
    let (start_ms, span) = (config.now_ms - config.span_ms, config.span_ms as f64);
    // A simulated day is as busy as the run makes it, and a bank's profile would say so.
    let usual_per_day = f64::from(config.events) / f64::from(config.cards.max(1)) * DAY_MS as f64 / span;
    let mut profiles = Vec::new();
    for (card_number, card) in (0_u32..).zip(cards) {
        let Some(at) = card.profile_at else { continue };
        let usual = libm::exp(card.log_mean + card.log_deviation * card.log_deviation / 2.0);
        let mean = libm::round(usual * (0.8 + 0.4 * dice.unit()));
        let first = ProfileDraft {
            card: card_number,
            version: 1 + dice.below(5),
            city: card.city,
            mean_minor: mean,
            deviation_minor: libm::round(mean * (0.3 + 0.4 * dice.unit())),
            per_day: libm::round(card.activity * usual_per_day * (0.8 + 0.4 * dice.unit()) * 10.0) / 10.0,
            opened_at_ms: start_ms - dice.between(30 * DAY_MS, 3_000 * DAY_MS),
            outdated: false,
        };
        // Profiles "from the beginning" are sent in the span's first second, before most transactions.
        let sent_ms = start_ms + (span * at) as i64 + dice.between(0, SECOND_MS);
        if dice.chance(config.profile_update_share) {
            let later_ms = sent_ms + dice.between(SECOND_MS, config.now_ms - sent_ms);
            let newer = ProfileDraft {
                version: first.version + 1,
                mean_minor: mean * 1.25,
                ..first.clone()
            };
            if dice.chance(0.2) {
                let outdated = ProfileDraft {
                    outdated: true,
                    ..first.clone()
                };
                profiles.push((later_ms + 1, outdated));
            }
            profiles.push((later_ms, newer));
        }
        profiles.push((sent_ms, first));
    }
    profiles
}

impl Plan {
    /// Transactions are sent when they happen, but some minutes out of order and some hours late.
    #[allow(clippy::cast_possible_truncation)]
    fn place_transactions(&mut self, config: &SimConfig, dice: &mut Dice) {
        self.slots.reserve(config.events as usize);
        for (place, draft) in (0_u32..).zip(&self.drafts) {
            let delay = match () {
                () if draft.kind == SimKind::HotCard => 0,
                () if dice.chance(config.late_share) => {
                    dice.between(HOUR_MS / 2, config.span_ms.clamp(HOUR_MS, SPAN_MS_MAX))
                }
                () if dice.chance(config.reordered_share) => dice.between(SECOND_MS, 20 * MINUTE_MS),
                () => dice.exponential(config.delay_ms_mean) as i64,
            };
            let sent_ms = (draft.occurred_ms + delay).min(config.now_ms);
            self.slots.push(Slot {
                sent_ms,
                what: What::Transaction(place),
            });
        }
    }

    fn place_extras(&mut self, config: &SimConfig, counts: &Counts, dice: &mut Dice) {
        // Slots 0 to ordinary are the ordinary cards' transactions, still in the drafts' order.
        let ordinary = counts.transactions as usize;
        if ordinary == 0 {
            return;
        }
        for _ in 0..counts.duplicates {
            let of = dice.index(ordinary);
            let retry = if dice.chance(0.7) {
                dice.between(0, 3 * SECOND_MS)
            } else {
                dice.between(0, 6 * HOUR_MS)
            };
            // The slot comes after the first one in the list, so that equal times keep their order in the sort.
            let sent_ms = (self.slots[of].sent_ms + retry).min(config.now_ms);
            self.slots.push(Slot {
                sent_ms,
                what: What::Duplicate(number(of)),
            });
        }
        if config.scenarios.is_empty() {
            self.place_labels(config, counts, ordinary, dice);
        } else {
            self.place_late_labels(config, counts.labels, ordinary, dice);
        }
        for hot in 0..counts.sealed {
            let of = counts.transactions + hot * (traffic::hot_events(config) / config.hot_cards.max(1));
            self.slots.push(Slot {
                sent_ms: config.now_ms,
                what: What::Sealed(of),
            });
        }
        let first = dice.index(faults::FAULTS.len());
        for count in 0..counts.broken {
            let fault = (first + count as usize) % faults::FAULTS.len();
            let variant = count / number(faults::FAULTS.len());
            let what = What::Fault {
                fault: u16::try_from(fault).unwrap_or(0),
                variant,
            };
            let sent_ms = config.now_ms - dice.between(0, config.span_ms);
            self.slots.push(Slot { sent_ms, what });
        }
    }

    fn place_labels(&mut self, config: &SimConfig, counts: &Counts, ordinary: usize, dice: &mut Dice) {
        let mut labelled = vec![false; ordinary];
        for count in 0..counts.labels {
            let orphan = dice.chance(config.orphan_label_share);
            let mut of = dice.index(ordinary);
            // Half of the labels look for a fraud nearby; the others clear or confirm what they hit.
            if dice.chance(0.5) {
                let fraud = |at: &usize| self.drafts[*at].kind.is_fraud() && !labelled[*at];
                of = (of..ordinary).take(2_000).find(fraud).unwrap_or(of);
            }
            let fraud = self.drafts[of].kind.is_fraud();
            let earliest = self.slots[of].sent_ms;
            let sent_ms = (earliest + dice.between(0, 4 * HOUR_MS)).min(config.now_ms);
            let label = LabelDraft {
                of: if orphan {
                    number(self.drafts.len()) + count
                } else {
                    number(of)
                },
                card: self.drafts[of].card,
                fraud,
                known_since_ms: sent_ms,
                orphan,
                names_event: false,
            };
            let place = number(self.labels.len());
            let again = !orphan && std::mem::replace(&mut labelled[of], true);
            if again {
                // That event has its label: send the same verdict once more.
                let first = (0_u32..).zip(&self.labels).find(|(_, known)| known.of == label.of);
                let Some((first, known)) = first else { continue };
                let sent_ms = sent_ms.max(known.known_since_ms);
                self.slots.push(Slot {
                    sent_ms,
                    what: What::DuplicateLabel(first),
                });
                continue;
            }
            self.labels.push(label);
            self.slots.push(Slot {
                sent_ms,
                what: What::Label(place),
            });
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Writes the record at a place of the stream.
    pub(super) fn record(&self, config: &SimConfig, place: usize) -> SimRecord {
        let slot = &self.slots[place];
        let names = render::Names::new(config.names_seed);
        let transaction = |of: u32| {
            let draft = &self.drafts[of as usize];
            (
                names.card(draft.card),
                render::transaction(&names, of, draft, Linked::of(config, draft).as_ref()),
                names.event(of),
                draft.kind,
            )
        };
        let (partition_key, payload, kind, expect) = match slot.what {
            What::Transaction(of) => {
                let (key, payload, event_id, kind) = transaction(of);
                (key, payload, kind, Expect::Transaction { event_id })
            }
            What::Duplicate(of) | What::Sealed(of) => {
                let (key, payload, of, _) = transaction(of);
                (key, payload, SimKind::Duplicate, Expect::Duplicate { of })
            }
            What::Profile(of) => {
                let profile = &self.profiles[of as usize];
                let key = names.card(profile.card);
                let expect = if profile.outdated {
                    Expect::Duplicate { of: key.clone() }
                } else {
                    Expect::Profile
                };
                (
                    key,
                    render::profile(&names, CITIES[usize::from(profile.city)].country, profile),
                    SimKind::Profile,
                    expect,
                )
            }
            What::Label(of) | What::DuplicateLabel(of) => {
                let label = &self.labels[of as usize];
                let expect = match slot.what {
                    What::DuplicateLabel(_) => Expect::Duplicate {
                        of: names.event(label.of),
                    },
                    _ if label.orphan => Expect::Refused(RefusalCode::LabelWithoutEvent),
                    _ => Expect::Label,
                };
                (
                    names.card(label.card),
                    render::label(
                        &names,
                        label,
                        self.drafts
                            .get(label.of as usize)
                            .map(|draft| (draft, Linked::of(config, draft))),
                    ),
                    SimKind::Label,
                    expect,
                )
            }
            What::Fault { fault, variant } => {
                let on = self.fault_base(fault, variant);
                let (key, payload, code) = faults::write(config, &names, on, usize::from(fault), variant, slot.sent_ms);
                (key, payload, SimKind::Broken, Expect::Refused(code))
            }
        };
        SimRecord {
            partition_key,
            payload,
            sent_at_ms: slot.sent_ms,
            kind,
            expect,
        }
    }

    /// Some ordinary transaction for a fault to break.
    fn fault_base(&self, fault: u16, variant: u32) -> (u32, &Draft) {
        let of = (variant as usize * 7_919 + usize::from(fault) * 104_729) % self.drafts.len().max(1);
        (number(of), &self.drafts[of])
    }
}

/// A place in a list as a 32-bit number; lists are bounded by [`super::EVENTS_MAX`].
fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}
