//! Rules and items of the control plane.

use std::collections::BTreeMap;

use super::diff::{Effect, diff, may_follow};
use super::item::{Field, Fields, change_key, policy_key};
use super::*;
use crate::lifetime::RECORD_MS_MAX;
use crate::policy::Policy;

fn stamp() -> Stamp {
    Stamp::new(1_790_000_000_000, "on-call", "a test").unwrap()
}

fn card(id: &str) -> CardId {
    CardId::new(id).unwrap()
}

fn over(card_id: &str, action: OverrideAction, until_ms: i64) -> Override {
    Override {
        card_id: card(card_id),
        action,
        until_ms,
        stamp: stamp(),
    }
}

fn pointer() -> ActivePointer {
    let first = ActivePointer::activated(None, 2, stamp());
    let rollout = Rollout {
        candidate: 3,
        share_pct: 20,
    };
    ActivePointer::with_rollout(Some(&first), Some(rollout), stamp())
}

#[test]
fn a_change_keeps_what_it_does_not_change_and_counts_revisions() {
    let pointer = pointer();
    assert_eq!(
        (pointer.revision, pointer.active, pointer.previous),
        (2, 2, Some(OWN_POLICY))
    );
    let promoted = ActivePointer::activated(Some(&pointer), 3, stamp());
    assert_eq!(
        (promoted.revision, promoted.active, promoted.previous, promoted.rollout),
        (3, 3, Some(2), None)
    );
    let other = ActivePointer::activated(Some(&pointer), 4, stamp());
    assert_eq!(
        other.rollout, pointer.rollout,
        "the candidate is tried beside the new one"
    );
}

#[test]
fn a_rollback_goes_back_once() {
    let promoted = ActivePointer::activated(Some(&pointer()), 3, stamp());
    let back = promoted.rolled_back(stamp()).unwrap();
    assert_eq!((back.revision, back.active, back.previous), (4, 2, None));
    assert_eq!(back.rolled_back(stamp()), None, "a second one must not go forth again");
}

#[test]
fn a_stamp_takes_no_empty_long_broken_or_secret_text() {
    let long = "x".repeat(REASON_BYTES_MAX + 1);
    for (who, reason, error) in [
        (" ", "r", StampError::Empty("who")),
        ("w", "", StampError::Empty("reason")),
        ("w", long.as_str(), StampError::TooLong("reason", REASON_BYTES_MAX)),
        ("w", "two\nlines", StampError::NotOneLine("reason")),
        ("w", "card 4111 1111 1111 1111 called", StampError::CardNumber("reason")),
    ] {
        assert_eq!(Stamp::new(0, who, reason), Err(error));
    }
}

#[test]
fn the_share_is_stable_monotone_and_about_right() {
    // Persisted by use: a change would move cards in and out of a running rollout.
    assert_eq!(share_place(&card("card-1")), fingerprint64("card-1") % 100);
    let cards: Vec<CardId> = (0..10_000).map(|number| card(&format!("card-{number}"))).collect();
    let mut before = 0;
    for share_pct in [1, 20, 50, 100] {
        let rollout = Rollout {
            candidate: 2,
            share_pct,
        };
        let held = cards.iter().filter(|card| rollout.holds(card)).count();
        let expected = usize::from(share_pct) * 100;
        assert!(held.abs_diff(expected) <= 150, "{held} of 10,000 at {share_pct} %");
        assert!(held >= before);
        before = held;
    }
}

#[test]
fn an_override_ends_by_itself_and_the_last_one_for_a_card_counts() {
    let overrides = Overrides::new(
        1,
        vec![
            over("b", OverrideAction::Allow, 100),
            over("a", OverrideAction::Block, 50),
            over("b", OverrideAction::Block, 200),
        ],
    );
    assert_eq!(overrides.list().len(), 2);
    assert_eq!(overrides.find(&card("b"), 199), Some(OverrideAction::Block));
    assert_eq!(overrides.find(&card("b"), 200), None, "it ends before until");
    assert_eq!(overrides.find(&card("c"), 0), None);
    let next = overrides.changed(&card("b"), None, 60);
    assert_eq!(
        (next.revision, next.list().len()),
        (2, 0),
        "a's has ended, b's is cleared"
    );
    assert_eq!(next.find(&card("b"), 0), None, "what is taken back counts no more");
}

/// An override that had ended was pruned when any other was set, though records that arrived before its end still waited: a
/// blocked card passed.
#[test]
fn an_override_that_has_ended_counts_for_records_that_arrived_before_its_end() {
    let overrides = Overrides::new(1, vec![over("a", OverrideAction::Block, 50)]);
    let other = overrides.changed(&card("b"), Some(over("b", OverrideAction::Block, 500)), 60);
    assert_eq!(other.list().len(), 1);
    assert_eq!(other.find(&card("a"), 49), Some(OverrideAction::Block));
    assert_eq!(other.find(&card("a"), 50), None);
    // A second one of the same card, and a third: each counts up to its own end.
    let second = other.changed(&card("a"), Some(over("a", OverrideAction::Allow, 100)), 70);
    let third = second.changed(&card("a"), Some(over("a", OverrideAction::Block, 200)), 110);
    let found = [49, 50, 99, 100, 199, 200].map(|arrival_ms| third.find(&card("a"), arrival_ms));
    let (block, allow) = (Some(OverrideAction::Block), Some(OverrideAction::Allow));
    assert_eq!(found, [block, allow, allow, block, block, None]);
    // One that is in force gives way to another decision: nobody means both.
    let changed_mind = third.changed(&card("a"), Some(over("a", OverrideAction::Allow, 300)), 150);
    assert_eq!(changed_mind.find(&card("a"), 149), allow);
    assert_eq!(changed_mind.find(&card("a"), 49), block);
    assert_eq!(
        Overrides::from_fields(&changed_mind.to_fields(&stamp())),
        Ok(changed_mind.clone())
    );
    let cleared = changed_mind.changed(&card("a"), None, 160);
    assert!(!cleared.knows(&card("a")) && cleared.knows(&card("b")));
    // No record of that time can come any more.
    let late = third.changed(&card("b"), None, 50 + RECORD_MS_MAX);
    assert_eq!(late.find(&card("a"), 49), allow);
    let later = late.changed(&card("b"), None, 200 + RECORD_MS_MAX);
    assert!(!later.knows(&card("a")));
}

#[test]
fn ended_overrides_make_room_the_first_first() {
    let ended = |number: usize| EndedOverride {
        card_id: card(&format!("card-{number}")),
        action: OverrideAction::Block,
        until_ms: i64::try_from(number).unwrap(),
    };
    let list = vec![over("a", OverrideAction::Block, i64::MAX)];
    let many = (0..ENDED_OVERRIDES_MAX + 3).map(ended).collect();
    let mut overrides = Overrides::new(1, list).with_ended(many);
    assert_eq!(overrides.fit(), Some(3));
    assert_eq!(overrides.ended().len(), ENDED_OVERRIDES_MAX);
    assert_eq!(overrides.find(&card("card-2"), 1), None);
    assert_eq!(overrides.find(&card("card-3"), 2), Some(OverrideAction::Block));
    assert_eq!(overrides.fit(), Some(0));
    let large = |number: usize| EndedOverride {
        card_id: card(&format!("{number:0>128}")),
        ..ended(number)
    };
    let mut overrides =
        Overrides::new(1, (0..400).map(longest).collect()).with_ended((0..ENDED_OVERRIDES_MAX).map(large).collect());
    assert!(overrides.fit().is_some_and(|left_out| left_out > 100));
    assert!(item_bytes(&overrides) <= 400 * 1024);
    assert!(overrides.knows(&card(&format!("{:0>128}", ENDED_OVERRIDES_MAX - 1))));
    let mut overrides = Overrides::new(1, (0..OVERRIDES_MAX).map(longest).collect());
    assert_eq!(overrides.fit(), None, "so many of the longest do not fit an item");
}

#[test]
fn every_item_comes_back_as_it_was_written() {
    let mode = ModeSetting {
        revision: 4,
        mode: Mode::Shadow,
        record_age_s: Some(21_600),
        stamp: stamp(),
    };
    let policy = PolicyVersion {
        version: 7,
        text: Policy::default_text().to_owned(),
        stamp: stamp(),
    };
    let change = Change {
        item: ControlItem::Active,
        revision: 3,
        action: "activate".to_owned(),
        detail: "2 -> 3".to_owned(),
        stamp: stamp(),
    };
    let overrides = Overrides::new(9, vec![over("a\"<b>", OverrideAction::Allow, 5)]);
    assert_eq!(ActivePointer::from_fields(&pointer().to_fields()), Ok(pointer()));
    assert_eq!(ModeSetting::from_fields(&mode.to_fields()), Ok(mode));
    assert_eq!(PolicyVersion::from_fields(7, &policy.to_fields()), Ok(policy));
    assert_eq!(Change::from_fields(&change.to_fields()), Ok(change.clone()));
    assert_eq!(Overrides::from_fields(&overrides.to_fields(&stamp())), Ok(overrides));
    assert_eq!(policy_key(7), "policy#0000000007");
    assert_eq!(change_key(&change), "history#001790000000000#active-3");
}

/// What a hand may do to an attribute.
fn damages() -> Vec<Option<Field>> {
    vec![
        None,
        Some(Field::Other("a map (M)")),
        Some(Field::Text("many".to_owned())),
        Some(Field::Text(String::new())),
        Some(Field::Number("-1".to_owned())),
        Some(Field::Number("1.5".to_owned())),
        Some(Field::Number("99999999999999999999999".to_owned())),
    ]
}

fn damaged(whole: &Fields, mut check: impl FnMut(&str, &Fields)) {
    for attribute in whole.keys() {
        for damage in damages() {
            let mut fields: BTreeMap<_, _> = whole.clone();
            match damage {
                Some(field) => drop(fields.insert(attribute.clone(), field)),
                None => drop(fields.remove(attribute)),
            }
            check(attribute, &fields);
        }
    }
}

#[test]
fn an_item_damaged_by_hand_is_an_error_that_names_the_attribute_or_is_harmless() {
    damaged(
        &pointer().to_fields(),
        |attribute, fields| match ActivePointer::from_fields(fields) {
            Err(error) => assert!(
                error.to_string().contains(attribute) || attribute == "share",
                "{attribute}: {error}"
            ),
            Ok(read) => assert!(
                ["previous", "candidate", "share", "at", "who", "reason"].contains(&attribute),
                "{read:?}"
            ),
        },
    );
    let mode = ModeSetting {
        revision: 1,
        mode: Mode::Live,
        record_age_s: None,
        stamp: stamp(),
    };
    damaged(&mode.to_fields(), |attribute, fields| {
        if ["mode", "rev"].contains(&attribute) {
            assert_eq!(ModeSetting::from_fields(fields).unwrap_err().attribute, attribute);
        }
    });
    let overrides = Overrides::new(1, vec![over("a", OverrideAction::Allow, 5)]);
    damaged(&overrides.to_fields(&stamp()), |attribute, fields| {
        if ["list", "rev"].contains(&attribute) {
            assert_eq!(Overrides::from_fields(fields).unwrap_err().attribute, attribute);
        }
    });
}

#[test]
fn a_share_over_100_and_a_policy_changed_by_hand_are_refused() {
    let mut fields = pointer().to_fields();
    fields.insert("share".to_owned(), Field::Number("101".to_owned()));
    assert_eq!(ActivePointer::from_fields(&fields).unwrap_err().attribute, "share");
    let policy = PolicyVersion {
        version: 7,
        text: "version = 7".to_owned(),
        stamp: stamp(),
    };
    let mut fields = policy.to_fields();
    fields.insert("text".to_owned(), Field::Text("version = 8".to_owned()));
    assert_eq!(PolicyVersion::from_fields(7, &fields).unwrap_err().attribute, "hash");
    assert_eq!(
        PolicyVersion::from_fields(8, &policy.to_fields())
            .unwrap_err()
            .attribute,
        "rev"
    );
}

#[test]
fn a_list_of_overrides_is_bounded_and_its_error_quotes_nothing() {
    let many: Vec<Override> = (0..=OVERRIDES_MAX)
        .map(|number| over(&format!("card-{number}"), OverrideAction::Allow, 1))
        .collect();
    let fields = Overrides::new(1, many).to_fields(&stamp());
    assert!(Overrides::from_fields(&fields).unwrap_err().problem.contains("at most"));
    let mut fields = fields;
    fields.insert(
        "list".to_owned(),
        Field::Text(r#"[{"card_id":"secret-card"}]"#.to_owned()),
    );
    let error = Overrides::from_fields(&fields).unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
}

/// The longest that the verb takes.
fn longest(number: usize) -> Override {
    Override {
        card_id: card(&format!("{number:0>128}")),
        action: OverrideAction::Block,
        until_ms: i64::MAX,
        stamp: Stamp {
            at_ms: i64::MAX,
            who: "\"".repeat(WHO_BYTES_MAX),
            reason: "r".repeat(REASON_BYTES_MAX),
        },
    }
}

fn item_bytes(overrides: &Overrides) -> usize {
    let fields = overrides.to_fields(&stamp());
    let bytes = |field: &Field| match field {
        Field::Text(text) | Field::Number(text) => text.len(),
        Field::Bytes(bytes) => bytes.len(),
        Field::Other(_) => 0,
    };
    fields.iter().map(|(name, field)| name.len() + bytes(field)).sum()
}

#[test]
fn the_largest_lists_fit_an_item() {
    let usual = |number: usize| Override {
        stamp: Stamp {
            reason: "r".repeat(200),
            ..longest(number).stamp
        },
        ..longest(number)
    };
    let mut overrides = Overrides::new(1, (0..OVERRIDES_MAX).map(usual).collect());
    assert_eq!(overrides.fit(), Some(0));
    assert!(item_bytes(&overrides) < 400 * 1024, "{} bytes", item_bytes(&overrides));
}

#[test]
fn a_diff_names_each_key_with_its_effect_and_nothing_for_equal_policies() {
    let policy = Policy::default_policy();
    assert_eq!(diff(&policy, &policy), []);
    let text = Policy::default_text()
        .replace("alert = 800", "alert = 900")
        .replace("head_events_max = 400", "head_events_max = 100")
        .replace("head_bytes_max = 900", "head_bytes_max = 2000")
        .replace("GBP = 1.17\n", "")
        .replace("version = 1\n", "version = 2\n");
    let text = text + "\n[expected]\nalert_share = 0.001\nreview_share = 0.004\n";
    let other = Policy::parse(&text, "other").unwrap();
    let found = diff(&policy, &other);
    let keys: Vec<_> = found
        .iter()
        .map(|difference| (difference.key.as_str(), difference.effect))
        .collect();
    assert_eq!(
        keys,
        [
            ("head_events_max", Effect::History),
            ("head_bytes_max", Effect::History),
            ("thresholds.alert", Effect::Scores),
            ("currency.rates.GBP", Effect::Scores),
            ("expected.alert_share", Effect::Alarms),
            ("expected.review_share", Effect::Alarms),
        ]
    );
    assert_eq!(
        (found[2].before.as_deref(), found[2].after.as_deref()),
        (Some("800"), Some("900"))
    );
    assert_eq!(found[3].after, None);
    assert!(may_follow(&policy, &other));
}
