//! What version 6 of a state has a place for: what rules said.

use std::sync::Arc;

use tidemark_domain::history::codec::{ENTRIES_MAX, InvalidState};
use tidemark_domain::history::{Entry, History};
use tidemark_domain::outcome::{Decision, RULES_MAX, RuleEnd, RuleHit, RuleSays};

use super::{assert_one_spelling, plain_entry, worst_state};

fn hit(name: &str, reason: &str, end: RuleEnd) -> RuleHit {
    let says = Arc::new(RuleSays::new(name, reason).unwrap());
    RuleHit { says, end }
}

#[test]
fn states_of_which_rules_said_something_have_one_spelling_and_name_each_rule_once() {
    let plain: Vec<Entry> = (0..40).map(|seq| plain_entry(1_000 * seq as i64, seq)).collect();
    let without = History::from_parts(plain.clone(), 40, None, None).unwrap().encode();
    let mut entries = plain;
    let held = hit(
        "gift_cards",
        "Gift cards over 200 € on a young card",
        RuleEnd::Held(Decision::Alert),
    );
    for at in [3, 4, 20, 39] {
        entries[at].outcome.rules = vec![held.clone()];
    }
    entries[20].outcome.rules.push(hit("b", "b", RuleEnd::Undefined));
    let state = History::from_parts(entries, 40, None, None).unwrap();
    assert_one_spelling(&state);
    let bytes = state.encode();
    assert_eq!((without[0], bytes[0]), (1, 6));
    // Both rules' words once, the rare parts of four entries, and of each merchant whether there is more of it.
    let words = 10 + 39 + 2 + 4;
    assert!(
        bytes.len() <= without.len() + words + 4 * 5 + 40 / 8 + 1,
        "{} and {}",
        bytes.len(),
        without.len()
    );
}

#[test]
fn rules_that_can_not_be_are_no_state() {
    let of = |rules: Vec<RuleHit>| {
        let mut entry = plain_entry(1_000, 0);
        entry.outcome.rules = rules;
        History::from_parts(vec![entry], 1, None, None).err()
    };
    let end = RuleEnd::Held(Decision::Pass);
    let many = |count: usize| (0..count).map(|at| hit(&format!("r{at}"), "words", end)).collect();
    assert_eq!(of(many(RULES_MAX)), None);
    assert_eq!(of(many(RULES_MAX + 1)), Some(InvalidState::Rules));
    assert_eq!(
        of(vec![hit("a", "one", end), hit("a", "two", end)]),
        Some(InvalidState::Rules)
    );
}

/// An upper bound where every entry has as many rules as may be, with words that no other has.
#[test]
fn the_worst_state_of_rules_fits_what_its_head_is_sealed_by() {
    let mut entries = worst_state(0).entries().to_vec();
    for (index, entry) in entries.iter_mut().enumerate() {
        let hit = |at: usize| {
            let reason = format!("{index:0>120}");
            hit(
                &format!("r{at:0>15}{index:0>16}"),
                &reason,
                RuleEnd::Observed(Decision::Alert),
            )
        };
        entry.outcome.rules = (0..RULES_MAX).map(hit).collect();
    }
    // So many are never in one state: it is sealed before. A few of them say the same.
    entries.truncate(20);
    let worst = History::from_parts(entries, u64::MAX, Some(-1), None).unwrap();
    let bytes = worst.encode();
    assert_eq!(bytes[0], 6);
    assert_eq!(History::decode(&bytes).as_ref(), Ok(&worst));
    let a_rule = 5 + 28 + 120;
    let an_entry = 121 + 18 + 3 + 4 * 4 + 10 + 1 + RULES_MAX * a_rule;
    assert!(bytes.len() <= 72 + 20 * an_entry, "{} bytes", bytes.len());
    assert!(RULES_MAX * a_rule < 10_000 && ENTRIES_MAX == 400);
}

/// A flipped bit may change a word into another; it never makes a state that is written otherwise.
#[test]
fn a_changed_bit_is_noticed_or_is_another_state() {
    let mut entry = plain_entry(1_000, 0);
    entry.outcome.rules = vec![
        hit("ab", "words", RuleEnd::Observed(Decision::Review)),
        hit("b", "words", RuleEnd::Undefined),
    ];
    let state = History::from_parts(vec![entry], 1, None, None).unwrap();
    let bytes = state.encode();
    let refused = super::refused_with_a_bit_changed(&bytes);
    assert!(refused > 30, "{refused}");
}
