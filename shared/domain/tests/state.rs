//! A state's bytes: exact both ways, total on any input, within their limits.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

pub mod arbitrary;
mod version_5;
mod version_6;
mod version_7;

use proptest::prelude::*;

use tidemark_domain::catalogue::{FeatureKey, FeatureKind, KeyName};
use tidemark_domain::event::{Country, Place, Verdict};
use tidemark_domain::history::codec::{DECODE_BYTES_MAX, ENTRIES_MAX, InvalidState};
use tidemark_domain::history::{CodecError, Entry, History, STATE_BYTES_MAX, Truncation};
use tidemark_domain::outcome::{Decision, KeyRead, Missing, Reason, StoredOutcome, Tier};
use tidemark_domain::trees::TreeModelKey;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_state_comes_back_bit_for_bit(state in arbitrary::state()) {
        let bytes = state.encode();
        let back = History::decode(&bytes).unwrap();
        prop_assert_eq!(&back, &state);
        // Equality of floats lets -0 and 0 pass for one another; the bytes don't.
        prop_assert_eq!(back.encode(), bytes);
    }

    #[test]
    fn bytes_cut_short_or_lengthened_are_refused(state in arbitrary::state(), cut in any::<prop::sample::Index>(), more in any::<u8>()) {
        let mut bytes = state.encode();
        let cut = cut.index(bytes.len());
        prop_assert!(History::decode(&bytes[..cut]).is_err());
        bytes.push(more);
        prop_assert_eq!(History::decode(&bytes), Err(CodecError::Trailing));
    }

    #[test]
    fn a_flipped_bit_gives_another_state_or_an_error(state in arbitrary::state(), at in any::<prop::sample::Index>()) {
        let mut bytes = state.encode();
        let at = at.index(bytes.len() * 8);
        bytes[at / 8] ^= 1 << (at % 8);
        let read = History::decode(&bytes);
        prop_assert_eq!(&History::decode_noted(&bytes), &read);
        if let Ok(other) = read {
            prop_assert_ne!(&other, &state);
            prop_assert_eq!(other.encode(), bytes);
        }
    }

    #[test]
    fn a_state_that_was_read_to_be_written_again_is(state in arbitrary::state()) {
        let bytes = state.encode();
        let mut noted = History::decode_noted(&bytes).unwrap();
        prop_assert_eq!(&noted, &state);
        prop_assert!(bytes.len() < noted.spelling_bytes());
        prop_assert_eq!(noted.encode_again(), bytes);
    }
}

/// A state has one spelling: with any bit flipped, its bytes are another state's, or none's.
fn assert_one_spelling(state: &History) {
    let bytes = state.encode();
    assert_eq!(&History::decode(&bytes).unwrap(), state);
    let mut refused = 0;
    for at in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[at / 8] ^= 1 << (at % 8);
        let read = History::decode_noted(&flipped);
        assert_eq!(read, History::decode(&flipped), "bit {at} flipped");
        match read {
            Ok(mut other) => {
                assert_eq!(other.encode(), flipped, "bit {at} flipped gives {other:?}");
                assert_eq!(other.encode_again(), flipped, "bit {at} flipped gives {other:?}");
            }
            Err(CodecError::Invalid(InvalidState::Spelling)) => refused += 1,
            Err(_) => {}
        }
    }
    assert!(
        refused > 0,
        "no bit of {state:?} leads to another spelling: it shows nothing"
    );
}

/// The property above found it: one bit announced a rare part that said what was expected anyway.
#[test]
fn a_flag_over_a_part_that_says_nothing_is_refused() {
    let mut first = plain_entry(1_780_745_091_150, 0);
    first.outcome.tier = Tier::NoProfile;
    let second = Entry {
        merchant_fp: 10,
        place: Some(Place {
            latitude_e4: 0,
            longitude_e4: 0,
        }),
        ..plain_entry(1_781_013_526_606, 1)
    };
    assert_one_spelling(&History::from_parts(vec![first, second], 2, Some(1_779_671_349_326), None).unwrap());
}

#[test]
fn a_fingerprint_a_place_and_a_list_that_are_known_are_not_spelt_again() {
    let key = |window_minutes| FeatureKey {
        kind: FeatureKind::Count,
        window_minutes,
        of: None,
    };
    let visit = |seq: u64, merchant_fp: u32, latitude_e4: i32| {
        let mut entry = plain_entry(1_000 * seq as i64, seq);
        entry.merchant_fp = merchant_fp;
        entry.device_fp = Some(merchant_fp ^ 1);
        entry.place = Some(Place {
            latitude_e4,
            longitude_e4: 0,
        });
        entry.outcome.features = vec![(key(1 + merchant_fp % 2), Some(f64::from(latitude_e4) / 2.0))];
        entry
    };
    // Numbers that are a bit apart, so that a flip meets what is known.
    let entries = vec![
        visit(0, 0, 0),
        visit(1, 1, 1),
        visit(2, 2, 2),
        visit(3, 0, 1),
        visit(4, 3, 3),
        visit(5, 1, 1),
    ];
    assert_one_spelling(&History::from_parts(entries, 6, None, None).unwrap());
}

#[test]
fn a_whole_value_has_one_spelling() {
    // In bits from the end of an empty state's features on: 10 and the 64 bits of a number that is whole.
    let key = FeatureKey {
        kind: FeatureKind::Count,
        window_minutes: 5,
        of: None,
    };
    for value in [
        f64::from_bits(1.0_f64.to_bits() ^ 1),
        f64::from_bits(1),
        4_294_967_296.0,
        -0.0,
    ] {
        let mut entry = plain_entry(1, 0);
        entry.outcome.features = vec![(key, Some(value))];
        assert_one_spelling(&History::from_parts(vec![entry], 1, None, None).unwrap());
    }
}

fn plain_outcome() -> StoredOutcome {
    StoredOutcome {
        score: 0,
        decision: Decision::Pass,
        tier: Tier::Full,
        missing: Missing(0),
        reasons: Vec::new(),
        policy_version: 1,
        profile_version: None,
        features: Vec::new(),
        approximate: Vec::new(),
        explained: false,
        keys: Vec::new(),
        model: None,
        rules: Vec::new(),
        lists: tidemark_domain::outcome::ListReads::NONE,
    }
}

pub fn plain_entry(time_ms: i64, seq: u64) -> Entry {
    Entry {
        time_ms,
        seq,
        event_fp: 7,
        event_fp_high: None,
        amount_base_minor: 1,
        merchant_fp: 9,
        country: Country::new("FR").unwrap(),
        device_fp: None,
        device_fp_high: None,
        merchant_fp_high: None,
        links: Vec::new(),
        category: None,
        place: None,
        approved: true,
        outcome: plain_outcome(),
        label: None,
    }
}

/// Everything new in every entry, every number at its longest.
fn worst_entry(index: u64) -> Entry {
    // Adaptive widths are at their worst when short and long numbers take turns.
    let long = index.is_multiple_of(2);
    let key = FeatureKey {
        kind: FeatureKind::Count,
        window_minutes: u16::MAX.into(),
        of: None,
    };
    let sign = if long { 1 } else { -1 };
    Entry {
        time_ms: index as i64 + if long { 0 } else { i64::MAX / 2 },
        seq: u64::from(u32::MAX) << 24 | (ENTRIES_MAX as u64 - index),
        event_fp: u32::MAX,
        event_fp_high: Some(u32::MAX),
        amount_base_minor: if long { u64::MAX } else { 0 },
        merchant_fp: u32::MAX - index as u32,
        country: Country::new(if long { "ZW" } else { "FR" }).unwrap(),
        device_fp: Some(u32::MAX - index as u32),
        device_fp_high: None,
        merchant_fp_high: None,
        links: Vec::new(),
        category: None,
        place: Some(Place {
            latitude_e4: sign * 900_000,
            longitude_e4: sign * 1_800_000,
        }),
        approved: true,
        outcome: StoredOutcome {
            score: if long { 1000 } else { 0 },
            decision: Decision::Alert,
            tier: if long { Tier::Neutral } else { Tier::Full },
            missing: Missing(if long { 63 } else { 0 }),
            reasons: vec![Reason { key, share_pct: 100 }; 4],
            policy_version: u32::MAX - index as u32,
            profile_version: Some(u64::MAX - index),
            features: Vec::new(),
            approximate: Vec::new(),
            explained: false,
            keys: Vec::new(),
            model: None,
            rules: Vec::new(),
            lists: tidemark_domain::outcome::ListReads::NONE,
        },
        label: Some((Verdict::Cleared, i64::MIN)),
    }
}

fn worst_state(features: usize) -> History {
    let mut entries: Vec<Entry> = (0..ENTRIES_MAX as u64).map(worst_entry).collect();
    entries.sort_by_key(|entry| (entry.time_ms, entry.seq));
    for (index, entry) in (0_u16..).zip(&mut entries) {
        let key = FeatureKey {
            kind: FeatureKind::Count,
            window_minutes: index.into(),
            of: None,
        };
        entry.outcome.features = vec![(key, Some(0.1)); features];
    }
    let truncation = Some(Truncation {
        events: u64::MAX,
        floor_ms: i64::MIN,
    });
    History::from_parts(entries, u64::MAX, Some(-1), truncation).unwrap()
}

#[test]
fn the_worst_state_without_features_is_a_fraction_of_an_item() {
    let state = worst_state(0);
    let bytes = state.encode();
    assert_eq!(History::decode(&bytes).unwrap(), state);
    // 120 bytes and four reasons of four bytes each, by the sums in the codec.
    assert!(bytes.len() <= 72 + ENTRIES_MAX * (120 + 16), "{} bytes", bytes.len());
}

/// What a head may seal by is an upper bound of what it takes: also where every entry says all that it can of keys.
#[test]
fn the_worst_state_of_keys_fits_what_its_head_is_sealed_by() {
    let mut state = worst_state(3).entries().to_vec();
    let names = [
        "aaaaaaaaaaaaaaaa",
        "bbbbbbbbbbbbbbbb",
        "cccccccccccccccc",
        "dddddddddddddddd",
    ];
    let names = names.map(|name| KeyName::new(name).unwrap());
    for (index, entry) in (0_u32..).zip(&mut state) {
        (entry.merchant_fp_high, entry.device_fp_high) = (Some(u32::MAX - index), Some(index));
        entry.outcome.tier = Tier::NoKeys;
        entry.outcome.explained = true;
        entry.outcome.model = Some(TreeModelKey(u64::MAX - u64::from(index)));
        entry.outcome.keys = names
            .map(|name| KeyRead {
                name,
                version: Some(u64::MAX),
            })
            .to_vec();
        for (reason, name) in entry.outcome.reasons.iter_mut().zip(names) {
            reason.key = FeatureKey::of_key(name, FeatureKind::Frauds, (1 << 18) - 1);
        }
    }
    let worst = History::from_parts(state, u64::MAX, Some(-1), None).unwrap();
    let bytes = worst.encode();
    assert_eq!(bytes[0], 5);
    assert_eq!(History::decode(&bytes).as_ref(), Ok(&worst));
    let an_entry = 121 + 18 + 10 + 4 * (4 + 19) + 3 * 11 + 4 * (18 + 16);
    assert!(bytes.len() <= 72 + ENTRIES_MAX * an_entry, "{} bytes", bytes.len());
}

#[test]
fn states_that_say_something_of_keys_have_one_spelling() {
    let mut entries: Vec<Entry> = (0..6).map(|seq| plain_entry(1_000 * seq as i64, seq)).collect();
    for (at, entry) in entries.iter_mut().enumerate() {
        entry.merchant_fp = at as u32 / 3;
        entry.merchant_fp_high = (at != 2).then_some(at as u32 / 3);
        entry.device_fp = (at % 2 == 0).then_some(9);
        entry.device_fp_high = entry.device_fp.filter(|_| at > 2);
        entry.outcome.explained = at == 4;
    }
    let name = KeyName::new("ip").unwrap();
    entries[1].outcome.keys = vec![KeyRead { name, version: Some(1) }, KeyRead { name, version: None }];
    entries[3].outcome.tier = Tier::NoKeys;
    entries[5].outcome.features = vec![(FeatureKey::of_key(name, FeatureKind::SinceFraud, 0), Some(0.5))];
    assert_one_spelling(&History::from_parts(entries, 6, None, None).unwrap());
}

#[test]
fn the_worst_state_of_the_built_in_features_fits() {
    let policy = tidemark_domain::policy::Policy::default_policy();
    let bytes = worst_state(policy.features().len()).encode();
    assert!(bytes.len() < STATE_BYTES_MAX, "{} bytes", bytes.len());
    assert!(History::decode(&bytes).is_ok());
}

#[test]
fn bytes_that_are_no_state_say_why() {
    let bytes = History::default().encode();
    assert_eq!(bytes[0], 1);
    assert_eq!(History::decode(&[]), Err(CodecError::Empty));
    assert_eq!(History::decode(&[0]), Err(CodecError::UnknownVersion(0)));
    assert_eq!(History::decode(&[8, 0, 0]), Err(CodecError::UnknownVersion(8)));
    assert_eq!(History::decode(&[1]), Err(CodecError::Truncated));
    assert_eq!(
        History::decode(&vec![1; DECODE_BYTES_MAX + 1]),
        Err(CodecError::TooLong)
    );
    // 511 entries are announced.
    let too_many = History::decode(&[1, 0xFF, 0xFF, 0xFF, 0xFF]);
    assert_eq!(too_many, Err(CodecError::Invalid(InvalidState::TooManyEntries)));
    // 400 entries are announced, none are there: memory for one is all that may be taken.
    assert_eq!(History::decode(&[1, 0x90, 0xFF]), Err(CodecError::Truncated));
}

#[test]
fn states_that_can_not_be_are_refused() {
    let state = |entries, next_seq| History::from_parts(entries, next_seq, None, None).map(|_| ());
    assert_eq!(state(vec![plain_entry(1, 0), plain_entry(1, 1)], 2), Ok(()));
    assert_eq!(
        state(vec![plain_entry(1, 1), plain_entry(1, 0)], 2),
        Err(InvalidState::Order)
    );
    assert_eq!(
        state(vec![plain_entry(2, 0), plain_entry(1, 1)], 2),
        Err(InvalidState::Order)
    );
    assert_eq!(
        state(vec![plain_entry(1, 0), plain_entry(1, 0)], 2),
        Err(InvalidState::Order)
    );
    assert_eq!(state(vec![plain_entry(1, 2)], 2), Err(InvalidState::Seq));
    let many = (0..=ENTRIES_MAX as u64).map(|seq| plain_entry(1, seq)).collect();
    assert_eq!(state(many, 1_000), Err(InvalidState::TooManyEntries));
    let floors = |floor_ms, cut_ms: Option<i64>| {
        let truncation = cut_ms.map(|floor_ms| Truncation { events: 1, floor_ms });
        History::from_parts(vec![plain_entry(5, 3)], 4, floor_ms, truncation).map(|_| ())
    };
    assert_eq!(floors(Some(5), Some(5)), Ok(()));
    assert_eq!(floors(Some(6), None), Err(InvalidState::Floor));
    assert_eq!(floors(Some(4), Some(5)), Err(InvalidState::Floor));
    assert_eq!(floors(None, Some(5)), Err(InvalidState::Floor));
    let outcome = |change: fn(&mut Entry)| {
        let mut entry = plain_entry(1, 0);
        change(&mut entry);
        state(vec![entry], 1)
    };
    assert_eq!(outcome(|entry| entry.outcome.score = 1001), Err(InvalidState::Score));
    assert_eq!(
        outcome(|entry| entry.outcome.missing = Missing(128)),
        Err(InvalidState::Missing)
    );
    let not_a_number = |entry: &mut Entry| {
        entry.outcome.features = vec![(
            FeatureKey {
                kind: FeatureKind::Count,
                window_minutes: 5,
                of: None,
            },
            Some(f64::NAN),
        )];
    };
    assert_eq!(outcome(not_a_number), Err(InvalidState::Features));
    let over_all = |entry: &mut Entry| {
        let key = FeatureKey {
            kind: FeatureKind::Count,
            window_minutes: 5,
            of: None,
        };
        entry.outcome.reasons = vec![Reason { key, share_pct: 101 }];
    };
    assert_eq!(outcome(over_all), Err(InvalidState::Reasons));
    let off_the_globe = |entry: &mut Entry| {
        entry.place = Some(Place {
            latitude_e4: 900_001,
            longitude_e4: 0,
        });
    };
    assert_eq!(outcome(off_the_globe), Err(InvalidState::Place));
}

/// With how many of its bits changed, one at a time, a state is refused; with any other it is another state that is written so.
fn refused_with_a_bit_changed(bytes: &[u8]) -> usize {
    let is_refused = |bit: &usize| {
        let mut changed = bytes.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        match History::decode(&changed) {
            Ok(other) => {
                assert_eq!(other.encode(), changed, "bit {bit}");
                false
            }
            Err(CodecError::Invalid(_) | CodecError::Truncated | CodecError::Trailing) => true,
            Err(CodecError::UnknownNumber { .. } | CodecError::NumberRange) => true,
            Err(other) => panic!("bit {bit}: {other:?}"),
        }
    };
    (8..bytes.len() * 8).filter(is_refused).count()
}
