//! A head that was written before is written again as if nothing were known of that.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::listed;
use crate::state::{arbitrary, plain_entry};
use tidemark_domain::catalogue::KeyName;
use tidemark_domain::event::{Channel, Country, Currency, Label, Links, Place, Transaction, Verdict};
use tidemark_domain::fold::{fold_label, fold_transaction};
use tidemark_domain::history::{Entry, History, STATE_BYTES_MAX};
use tidemark_domain::id::{CardId, DeviceId, EventId, MerchantId};
use tidemark_domain::lists::{List, ListOf, ListVersion};
use tidemark_domain::model::ProfileInput;
use tidemark_domain::outcome::{ListRead, ListReads};
use tidemark_domain::policy::Policy;

const START_MS: i64 = 1_780_000_000_000;
const HOUR_MS: i64 = 3_600_000;

fn card() -> CardId {
    CardId::new("card").unwrap()
}

fn event_id(number: usize) -> EventId {
    EventId::new(&format!("event-{number}")).unwrap()
}

/// What a transaction is made of: its merchant, its device, whether it is where its merchant usually is, its amount.
type Draw = (u8, u8, u8, u64);

fn transaction(number: usize, time_ms: i64, (merchant, device, place, amount_minor): Draw) -> Transaction {
    Transaction {
        event_id: event_id(number),
        card_id: card(),
        occurred_at_ms: time_ms,
        amount_minor,
        currency: Currency::new("EUR").unwrap(),
        merchant_id: MerchantId::new(&format!("merchant-{merchant}")).unwrap(),
        mcc: 5411,
        country: Country::new(if merchant % 5 == 0 && place < 8 { "DE" } else { "FR" }).unwrap(),
        channel: Channel::Ecommerce,
        approved: amount_minor % 7 > 0,
        device_id: (device < 3).then(|| DeviceId::new(&format!("device-{device}")).unwrap()),
        links: Links::NONE,
        account_opened_at_ms: None,
        place: match place {
            0 => None,
            1 => Some(Place {
                latitude_e4: 400_000 + i32::from(device) * 10_000,
                longitude_e4: 1,
            }),
            _ => (merchant % 4 > 0).then_some(Place {
                latitude_e4: 480_000 + i32::from(merchant) * 100,
                longitude_e4: -i32::from(merchant),
            }),
        },
    }
}

/// Policies without and with rules, and with lists of two contents, and with one that can't be had.
fn policies(head_events_max: usize, outcome_features: bool) -> Vec<Policy> {
    let rules = "[[rules]]\nname = 'small'\nwhen = 'event.amount_minor < 3000'\nthen = 'review'\nreason = 'A small one'\n\
                 [[rules]]\nname = 'german'\nwhen = \"\"\"event.country == 'DE'\"\"\"\nthen = 'alert'\nmode = 'observe'\nreason = 'From there'\n";
    let base = "version = 3\nwindows_minutes = [60, 1440]\nfeatures = ['count_1h']\n[weights]\ncount_1h = 1\n[thresholds]\nreview = 990\nalert = 995\n";
    let parse = |text: &str| Policy::parse(text, "policy.toml").unwrap_or_else(|problems| panic!("{problems:#?}"));
    let (ruled, lists) = (parse(&format!("{base}{rules}")), parse(listed::POLICY));
    let mules = [
        listed::list(ListOf::Ids, &[("card-9", None)]),
        listed::list(ListOf::Ids, &[("card", None)]),
    ];
    let with_mules = |mules: &Arc<List>| {
        lists
            .clone()
            .with_lists(|name| (name.as_str() == "mules").then(|| Arc::clone(mules)))
    };
    let all = [
        Policy::default_policy(),
        ruled,
        with_mules(&mules[0]),
        with_mules(&mules[1]),
        lists.clone(),
    ];
    let all = all.into_iter().map(|policy| Policy {
        head_events_max,
        head_bytes_max: STATE_BYTES_MAX,
        outcome_features,
        ..policy
    });
    all.collect()
}

/// What happens to a card: an event so much later than the one before, which may itself be late; a label; a new process; another
/// policy.
#[derive(Clone, Debug)]
enum Step {
    Event(i64, i64, Draw),
    Policy(prop::sample::Index),
    Label(usize, bool),
    /// Whoever reads the state takes note of how it is written, or not.
    Restart(bool),
    Copy,
}

fn step() -> impl Strategy<Value = Step> {
    let later_ms = prop_oneof![6 => Just(12 * HOUR_MS), 2 => 0..72 * HOUR_MS, 1 => 0..2_i64, 1 => 0..900 * HOUR_MS];
    let late_ms = prop_oneof![9 => Just(0), 1 => 0..40 * HOUR_MS];
    let amount_minor = prop_oneof![5 => 1_000_u64..9_000, 1 => 1_u64..1_000_000_000_000];
    let draw = (
        prop_oneof![3 => 0..6_u8, 1 => 0..60_u8],
        0..6_u8,
        0..12_u8,
        amount_minor,
    );
    prop_oneof![
        30 => (later_ms, late_ms, draw).prop_map(|(later_ms, late_ms, draw)| Step::Event(later_ms, late_ms, draw)),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(which, is_fraud)| Step::Label(which, is_fraud)),
        2 => any::<bool>().prop_map(Step::Restart),
        1 => Just(Step::Copy),
        2 => any::<prop::sample::Index>().prop_map(Step::Policy),
    ]
}

/// Writes a state again; its bytes.
fn write(state: &mut History) -> Vec<u8> {
    let bytes = state.encode_again();
    assert_eq!(bytes, state.encode());
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(192) })]

    #[test]
    fn whatever_happens_in_between(
        steps in vec((step(), 0..4_u8), 1..260),
        head_events_max in prop_oneof![3 => Just(400_usize), 1 => 4..60_usize],
        outcome_features in prop_oneof![3 => Just(false), 1 => Just(true)],
    ) {
        let policies = policies(head_events_max, outcome_features);
        let mut policy = &policies[0];
        let (mut state, mut now_ms) = (History::default(), START_MS);
        for (number, (step, writes)) in steps.into_iter().enumerate() {
            match step {
                Step::Event(later_ms, late_ms, draw) => {
                    now_ms += later_ms;
                    let tx = transaction(number, now_ms - late_ms, draw);
                    fold_transaction(&mut state, &tx, ProfileInput::Absent, policy);
                }
                Step::Policy(which) => policy = which.get(&policies),
                Step::Label(which, is_fraud) => {
                    let label = Label {
                        event_id: event_id(which % (number + 1)),
                        card_id: card(),
                        verdict: if is_fraud { Verdict::Fraud } else { Verdict::Cleared },
                        known_since_ms: now_ms,
                        occurred_at_ms: None,
                        merchant_id: None,
                        device_id: None,
                        links: Links::NONE,
                    };
                    fold_label(&mut state, &label, policy);
                }
                Step::Restart(is_noted) => {
                    let bytes = state.encode();
                    let again = if is_noted { History::decode_noted(&bytes) } else { History::decode(&bytes) };
                    let mut again = again.unwrap();
                    prop_assert_eq!(&again, &state);
                    again.adopt_segments(state);
                    state = again;
                }
                Step::Copy => state = state.clone(),
            }
            for _ in 0..writes {
                write(&mut state);
            }
        }
        let bytes = write(&mut state);
        prop_assert_eq!(&History::decode(&bytes).unwrap(), &state);
    }

    /// Entries of every format, which are dropped from the oldest on.
    #[test]
    fn whatever_entries_say(state in arbitrary::state(), drops in vec((any::<prop::sample::Index>(), 0..3_u8), 0..8)) {
        let policy = Policy::default_policy();
        let mut state = History::decode_noted(&state.encode()).unwrap();
        for (number, (drop, writes)) in drops.into_iter().enumerate() {
            if state.entries().is_empty() {
                break;
            }
            let dropped = &state.entries()[drop.index(state.entries().len()) / 4];
            let time_ms = dropped.time_ms.saturating_add(policy.retention_ms());
            let tx = transaction(number, time_ms, (number as u8, 1, 2, 500));
            fold_transaction(&mut state, &tx, ProfileInput::Absent, &policy);
            for _ in 0..=writes {
                write(&mut state);
            }
        }
    }
}

/// The policies that cards are scored by in between have a place in the formats that they are to be seen in.
#[test]
fn policies_of_rules_and_of_lists_make_states_of_their_formats() {
    let formats = policies(400, false).into_iter().map(|policy| {
        let mut state = History::default();
        for number in 0..90_usize {
            let draw = (number as u8 % 7, 1, (number % 12) as u8, 2_000);
            let tx = transaction(number, START_MS + 24 * HOUR_MS * number as i64, draw);
            fold_transaction(&mut state, &tx, ProfileInput::Absent, &policy);
            write(&mut state);
        }
        write(&mut state)[0]
    });
    assert_eq!(formats.collect::<Vec<u8>>()[1..], [6, 7, 7, 7]);
}

/// The last index of the bytes before is changed wherever it lies in them.
#[test]
fn the_last_index_changes_at_any_bit() {
    let policy = Policy::default_policy();
    for count in 3..70_usize {
        for amount_minor in [1, 40, 1_000, 30_000, 1_000_000] {
            let mut state = History::default();
            for number in 0..count {
                // The first and the last share a device: it is the first one's that is known first, until that is dropped.
                let device = u8::from(number > 0 && number + 1 < count);
                let tx = transaction(
                    number,
                    START_MS + 12 * HOUR_MS * number as i64,
                    (1, device, 0, amount_minor),
                );
                fold_transaction(&mut state, &tx, ProfileInput::Absent, &policy);
            }
            write(&mut state);
            let tx = transaction(count, START_MS + policy.retention_ms(), (1, 5, 0, amount_minor));
            fold_transaction(&mut state, &tx, ProfileInput::Absent, &policy);
            assert_eq!(state.entries().len(), count);
            write(&mut state);
        }
    }
}

/// The first entry of a run of the same lists says which they are; when it is dropped, the next one has to, and the index of one that
/// comes later is another.
#[test]
fn lists_that_are_said_once_for_many_entries() {
    let policy = Policy {
        head_bytes_max: STATE_BYTES_MAX,
        ..Policy::default_policy()
    };
    let name = KeyName::new("mules").unwrap();
    let entries: Vec<Entry> = (0..60_u64)
        .map(|seq| {
            let mut entry = plain_entry(START_MS + 12 * HOUR_MS * seq as i64, seq);
            let version = Some(ListVersion(seq / 10 % 3));
            entry.outcome.lists = ListReads::new(vec![ListRead { name, version }]);
            entry
        })
        .collect();
    let mut state = History::from_parts(entries, 60, None, None).unwrap();
    write(&mut state);
    for number in 0..60 {
        let time_ms = START_MS + policy.retention_ms() + 12 * HOUR_MS * number as i64;
        let tx = transaction(number, time_ms, (number as u8 % 7, 1, 2, 500));
        fold_transaction(&mut state, &tx, ProfileInput::Absent, &policy);
        assert_eq!(state.entries().len(), 60);
        write(&mut state);
    }
}
