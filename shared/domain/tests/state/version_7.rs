//! What version 7 of a state has a place for: the lists that outcomes were made with.

use tidemark_domain::catalogue::KeyName;
use tidemark_domain::history::codec::InvalidState;
use tidemark_domain::history::{Entry, History};
use tidemark_domain::lists::ListVersion;
use tidemark_domain::outcome::{ListRead, ListReads, POLICY_LISTS_MAX};

use super::{assert_one_spelling, plain_entry, worst_state};

fn reads(reads: &[(&str, Option<u64>)]) -> ListReads {
    let read = |(name, version): &(&str, Option<u64>)| ListRead {
        name: KeyName::new(name).unwrap(),
        version: version.map(ListVersion),
    };
    ListReads::new(reads.iter().map(read).collect())
}

#[test]
fn states_of_lists_have_one_spelling_and_name_each_version_once() {
    let plain: Vec<Entry> = (0..40).map(|seq| plain_entry(1_000 * seq as i64, seq)).collect();
    let without = History::from_parts(plain.clone(), 40, None, None).unwrap().encode();
    let mut entries = plain;
    for (at, entry) in entries.iter_mut().enumerate() {
        entry.outcome.lists = reads(&[("mules", Some(if at < 20 { 7 } else { 8 }))]);
    }
    let state = History::from_parts(entries, 40, None, None).unwrap();
    assert_one_spelling(&state);
    let bytes = state.encode();
    assert_eq!((without[0], bytes[0]), (1, 7));
    // Two versions and a name once, the rare parts of two entries, and of each merchant whether there is more of it.
    assert!(
        bytes.len() <= without.len() + 2 * (8 + 4) + 6 + 40 / 8 + 1,
        "{} and {}",
        bytes.len(),
        without.len()
    );
    assert_one_spelling(&crate::listed::with_lists_of_every_kind());
}

#[test]
fn lists_that_can_not_be_are_no_state() {
    let of = |lists: ListReads| {
        let mut entry = plain_entry(1_000, 0);
        entry.outcome.lists = lists;
        History::from_parts(vec![entry], 1, None, None).err()
    };
    let names: Vec<String> = (0..=POLICY_LISTS_MAX).map(|at| format!("l{at}")).collect();
    let all: Vec<(&str, Option<u64>)> = names.iter().map(|name| (name.as_str(), Some(1))).collect();
    assert_eq!(of(reads(&all[1..])), None);
    assert_eq!(of(reads(&all)), Some(InvalidState::Lists));
    assert_eq!(of(reads(&[("a", Some(1)), ("a", None)])), Some(InvalidState::Lists));
}

/// An upper bound where every entry has as many lists as may be, each of another version.
#[test]
fn the_worst_state_of_lists_fits_what_its_head_is_sealed_by() {
    let mut entries = worst_state(0).entries().to_vec();
    for (index, entry) in entries.iter_mut().enumerate() {
        let names: Vec<String> = (0..POLICY_LISTS_MAX).map(|at| format!("l{at}{index:0>14}")).collect();
        let all: Vec<(&str, Option<u64>)> = names.iter().map(|name| (name.as_str(), Some(u64::MAX))).collect();
        entry.outcome.lists = reads(&all);
    }
    entries.truncate(100);
    let worst = History::from_parts(entries, u64::MAX, Some(-1), None).unwrap();
    let bytes = worst.encode();
    assert_eq!(bytes[0], 7);
    assert_eq!(History::decode(&bytes).as_ref(), Ok(&worst));
    let an_entry = 121 + 18 + 3 + 4 * 4 + 10 + 1 + 2 + POLICY_LISTS_MAX * 27;
    assert!(bytes.len() <= 72 + 100 * an_entry, "{} bytes", bytes.len());
}

/// A flipped bit may change a version into another; it never makes a state that is written otherwise.
#[test]
fn a_changed_bit_is_noticed_or_is_another_state() {
    let bytes = crate::listed::with_lists_of_every_kind().encode();
    let refused = super::refused_with_a_bit_changed(&bytes);
    assert!(refused > 100, "{refused}");
}
