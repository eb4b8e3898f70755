//! What version 5 of a state has places for: links, merchant categories, models of trees.

use tidemark_domain::catalogue::KeyName;
use tidemark_domain::history::codec::{ENTRIES_MAX, InvalidState};
use tidemark_domain::history::{CodecError, Entry, History};
use tidemark_domain::trees::TreeModelKey;

use super::{assert_one_spelling, plain_entry, worst_state};

#[test]
fn states_with_links_and_categories_have_one_spelling() {
    let name = |name| KeyName::new(name).unwrap();
    let mut entries: Vec<Entry> = (0..6).map(|seq| plain_entry(1_000 * seq as i64, seq)).collect();
    for (at, entry) in entries.iter_mut().enumerate() {
        entry.merchant_fp = at as u32 / 3;
        entry.category = (at != 4).then_some(at as u16 / 2);
        entry.links = match at {
            0 | 5 => Vec::new(),
            3 => vec![(name("ip"), 9)],
            _ => vec![(name("account"), 9), (name("ip"), 7)],
        };
    }
    assert_one_spelling(&History::from_parts(entries, 6, None, None).unwrap());
}

/// The bits of a state, and a state of them.
fn bits_of(state: &History) -> Vec<bool> {
    let bytes = state.encode();
    (0..bytes.len() * 8)
        .map(|at| bytes[at / 8] >> (at % 8) & 1 == 1)
        .collect()
}

fn bytes_of(bits: &[bool]) -> Vec<u8> {
    let byte = |bits: &[bool]| (0..).zip(bits).fold(0, |byte, (at, bit)| byte | u8::from(*bit) << at);
    bits.chunks(8).map(byte).collect()
}

/// Fuzzing found it: what a merchant or a device that is new says itself was said otherwise by a rare part.
#[test]
fn a_rare_part_can_not_say_otherwise_what_is_new() {
    const KEY_IDENTITIES: usize = 10;
    const EXPLAINED: usize = 11;
    const CATEGORY: usize = 14;
    let number = |width: usize| (0..width).map(|at| at % 3 == 0);
    let half: Vec<bool> = [true].into_iter().chain(number(32)).collect();
    let parts: [(&str, usize, Vec<bool>); 3] = [
        ("merchant", KEY_IDENTITIES, [&half[..], &[false]].concat()),
        ("device", KEY_IDENTITIES, [&[false], &half[..]].concat()),
        ("category", CATEGORY, [true].into_iter().chain(number(14)).collect()),
    ];
    for (what, part, says) in parts {
        // Another entry takes care that the format has a place for it.
        let mut first = plain_entry(1_000, 0);
        first.category = (part == CATEGORY).then_some(7);
        let mut last = plain_entry(2_000, 1);
        (last.merchant_fp, last.device_fp, last.outcome.explained) = (77, Some(78), true);
        let state = History::from_parts(vec![first, last], 2, None, None).unwrap();
        let mut bits = bits_of(&state);
        // The flags of rare parts are the last that is written; that of `explained` is the highest that is set.
        let flags = bits.iter().rposition(|bit| *bit).unwrap() - EXPLAINED;
        bits.truncate(flags + if part == CATEGORY { 16 } else { 13 });
        assert!(
            History::decode(&bytes_of(&bits)).as_ref() == Ok(&state),
            "{what}: the flags are elsewhere"
        );
        assert!(!bits[flags + part]);
        bits[flags + part] = true;
        bits.extend(says);
        let found = History::decode(&bytes_of(&bits));
        assert_eq!(found, Err(CodecError::Invalid(InvalidState::Spelling)), "{what}");
    }
}

/// As of keys: an upper bound where every entry has as many links as may be, all of them new, a category that it does not
/// share, and a model of its own.
#[test]
fn the_worst_state_of_links_fits_what_its_head_is_sealed_by() {
    let mut state = worst_state(0).entries().to_vec();
    let names = [
        "aaaaaaaaaaaaaaaa",
        "bbbbbbbbbbbbbbbb",
        "cccccccccccccccc",
        "dddddddddddddddd",
    ];
    for (index, entry) in (0_u32..).zip(&mut state) {
        let links = names.iter().zip(0_u64..);
        entry.links = links
            .map(|(name, at)| (KeyName::new(name).unwrap(), u64::from(index) * 4 + at))
            .collect();
        entry.category = Some(9_999 - index as u16);
        entry.outcome.model = Some(TreeModelKey(u64::from(index)));
    }
    let worst = History::from_parts(state, u64::MAX, Some(-1), None).unwrap();
    let bytes = worst.encode();
    assert_eq!(bytes[0], 5);
    assert_eq!(History::decode(&bytes).as_ref(), Ok(&worst));
    let an_entry = 121 + 18 + 3 + 4 * 4 + 4 * (18 + 10) + 10;
    assert!(bytes.len() <= 72 + ENTRIES_MAX * an_entry, "{} bytes", bytes.len());
}

#[test]
fn links_out_of_order_or_too_many_and_no_categories_are_no_state() {
    let of = |links: &[&str], category| {
        let links = links.iter().map(|name| (KeyName::new(name).unwrap(), 1)).collect();
        let entry = Entry {
            links,
            category,
            ..plain_entry(1_000, 0)
        };
        History::from_parts(vec![entry], 1, None, None).err()
    };
    assert_eq!(of(&["a", "b", "c", "d"], Some(9_999)), None);
    assert_eq!(of(&["b", "a"], None), Some(InvalidState::Links));
    assert_eq!(of(&["a", "a"], None), Some(InvalidState::Links));
    assert_eq!(of(&["a", "b", "c", "d", "e"], None), Some(InvalidState::Links));
    assert_eq!(of(&[], Some(10_000)), Some(InvalidState::Category));
}

#[test]
fn states_whose_scores_are_of_models_have_one_spelling_and_cost_little() {
    let plain: Vec<Entry> = (0..40).map(|seq| plain_entry(1_000 * seq as i64, seq)).collect();
    let without = History::from_parts(plain.clone(), 40, None, None).unwrap().encode();
    let mut entries = plain;
    for (at, entry) in entries.iter_mut().enumerate() {
        let model = TreeModelKey([7, 7, 9, 7][at / 10]);
        entry.outcome.model = (at != 25).then_some(model);
    }
    let state = History::from_parts(entries, 40, None, None).unwrap();
    assert_one_spelling(&state);
    let bytes = state.encode();
    assert_eq!((without[0], bytes[0]), (1, 5));
    // Two names of eight bytes, flags of five entries, and of each merchant whether there is more of it.
    assert!(
        bytes.len() <= without.len() + 2 * 8 + 5 * 3 + 40 / 8 + 1,
        "{} and {}",
        bytes.len(),
        without.len()
    );
}
