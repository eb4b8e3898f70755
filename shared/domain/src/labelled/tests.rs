use proptest::prelude::*;

use super::*;

const DAY_MS: i64 = MS_PER_DAY;
const START_MS: i64 = 1_780_000_000_000;

fn fraud(event: u64, day: i64) -> LabelledEvent {
    LabelledEvent {
        time_ms: START_MS + day * DAY_MS,
        event,
        known_since_ms: START_MS + (day + 7) * DAY_MS,
        verdict: Verdict::Fraud,
        explained: Some(false),
    }
}

fn history(labels: &[LabelledEvent]) -> LabelledHistory {
    let mut history = LabelledHistory::default();
    for label in labels {
        let _ = history.add(*label);
    }
    history
}

fn at(day: i64) -> i64 {
    START_MS + day * DAY_MS
}

#[test]
fn a_label_counts_from_the_time_on_since_which_it_is_known() {
    let kept = history(&[fraud(1, 0)]);
    assert_eq!(kept.as_of(at(7) - 1).frauds_within(30 * DAY_MS), 0);
    assert_eq!(kept.as_of(at(7) - 1).version(), 0);
    assert_eq!(kept.as_of(at(7)).frauds_within(30 * DAY_MS), 1);
    assert_eq!(kept.as_of(at(7)).version(), 1);
    // The window is (t - w, t].
    assert_eq!(kept.as_of(at(8)).frauds_within(8 * DAY_MS), 0);
    assert_eq!(kept.as_of(at(8)).frauds_within(8 * DAY_MS + 1), 1);
}

#[test]
fn no_event_counts_for_itself() {
    let label = LabelledEvent {
        known_since_ms: at(0) - 5,
        ..fraud(1, 0)
    };
    assert_eq!(history(&[label]).as_of(at(0)).frauds_within(DAY_MS), 0);
    assert_eq!(history(&[label]).as_of(at(0) + 1).frauds_within(DAY_MS), 1);
}

#[test]
fn a_verdict_changes_and_changes_back() {
    let later = |verdict, day| LabelledEvent {
        known_since_ms: at(day),
        verdict,
        ..fraud(1, 0)
    };
    let kept = history(&[
        later(Verdict::Fraud, 20),
        later(Verdict::Cleared, 10),
        later(Verdict::Fraud, 7),
    ]);
    let known = |day| kept.as_of(at(day)).frauds_within(60 * DAY_MS);
    assert_eq!([6, 7, 9, 10, 19, 20, 40].map(known), [0, 1, 1, 0, 0, 1, 1]);
    let both = history(&[later(Verdict::Cleared, 7), later(Verdict::Fraud, 7)]);
    assert_eq!(both.as_of(at(8)).frauds_within(60 * DAY_MS), 0, "cleared wins");
}

#[test]
fn a_row_is_of_unexplained_frauds_and_ends_after_a_gap() {
    let explained = LabelledEvent {
        explained: Some(true),
        ..fraud(9, 12)
    };
    let unknown = LabelledEvent {
        explained: None,
        ..fraud(4, 13)
    };
    let kept = history(&[fraud(1, 0), fraud(2, 40), fraud(3, 45), explained, unknown]);
    let run = |day| {
        kept.as_of(at(day))
            .run(30 * DAY_MS)
            .map(|run| (run.frauds, run.first_ms))
    };
    assert_eq!(run(6), None);
    assert_eq!(run(7), Some((1, at(0))));
    assert_eq!(run(20), Some((2, at(0))), "the explained one does not count");
    // Day 40 is 27 days after day 13.
    assert_eq!(run(47), Some((3, at(0))));
    assert_eq!(run(74), Some((4, at(0))));
    assert_eq!(run(75), None, "30 days without one");
    let explained_only = history(&[explained]);
    assert_eq!(explained_only.as_of(at(20)).run(30 * DAY_MS), None);
    assert_eq!(explained_only.as_of(at(20)).latest_unexplained_ms(), None);
    assert_eq!(explained_only.as_of(at(20)).frauds_within(30 * DAY_MS), 1);
    assert_eq!(kept.as_of(at(60)).latest_unexplained_ms(), Some(at(45)));
}

#[test]
fn a_row_begins_anew_after_a_gap() {
    let kept = history(&[fraud(1, 0), fraud(2, 30), fraud(3, 31)]);
    let run = kept.as_of(at(40)).run(30 * DAY_MS).unwrap();
    assert_eq!((run.frauds, run.first_ms, run.last_ms), (2, at(30), at(31)));
}

#[test]
fn what_was_never_called_fraud_is_not_kept_and_a_label_that_says_less_is_no_other() {
    let cleared = |event| LabelledEvent {
        verdict: Verdict::Cleared,
        ..fraud(event, 0)
    };
    let mut kept = LabelledHistory::default();
    assert_eq!(kept.learn(&[cleared(1)]), [Added::NeverFraud]);
    // In whichever order one record hands them over.
    assert_eq!(
        kept.learn(&[cleared(1), fraud(1, 0), cleared(2)]),
        [Added::Now, Added::Now, Added::NeverFraud]
    );
    let less = |label: LabelledEvent| LabelledEvent {
        explained: None,
        ..label
    };
    assert_eq!(
        kept.learn(&[less(fraud(1, 0)), less(cleared(1)), less(fraud(2, 0)), less(cleared(2))]),
        [Added::Already, Added::Already, Added::Now, Added::Now]
    );
    assert_eq!(kept.version(), 4);
}

#[test]
fn the_oldest_events_are_forgotten_whole_and_stay_so() {
    let mut kept = LabelledHistory::default();
    let cleared = LabelledEvent {
        verdict: Verdict::Cleared,
        known_since_ms: at(30),
        ..fraud(0, 0)
    };
    let _ = kept.add(cleared);
    for event in 0..LABELS_MAX as i64 {
        let label = LabelledEvent {
            time_ms: at(0) + event,
            ..fraud(event as u64, 0)
        };
        assert_eq!(kept.add(label), Added::Now);
    }
    assert_eq!((kept.labels().len(), kept.forgotten()), (LABELS_MAX - 1, 2));
    assert_eq!(kept.version(), LABELS_MAX as u64 + 1);
    assert_eq!(kept.add(fraud(0, 0)), Added::Forgotten);
    assert_eq!(kept.add(fraud(1, 400)), Added::Now);
    assert_eq!(kept.labels().len(), 1, "a year has passed");
    assert_eq!(LabelledHistory::decode(&kept.encode()), Ok(kept));
}

/// However many labels a merchant gets, its item stays small, and what is kept no more is counted.
#[test]
fn a_million_labels_of_one_merchant_are_bounded_and_counted() {
    let mut kept = LabelledHistory::default();
    for event in 0..1_000_000 {
        let label = LabelledEvent {
            time_ms: START_MS + event,
            ..fraud(event.unsigned_abs(), 0)
        };
        assert_eq!(kept.learn(&[label]), [Added::Now]);
    }
    assert_eq!((kept.labels().len(), kept.version()), (LABELS_MAX, 1_000_000));
    assert_eq!(kept.forgotten(), 1_000_000 - LABELS_MAX as u64);
    let bytes = kept.encode();
    assert!(bytes.len() <= codec::BYTES_MAX, "{} bytes", bytes.len());
    assert_eq!(LabelledHistory::decode(&bytes), Ok(kept));
}

#[test]
fn two_labels_a_millisecond_apart_are_two() {
    let second = LabelledEvent {
        time_ms: at(0) + 1,
        known_since_ms: at(7) + 1,
        ..fraud(2, 0)
    };
    let kept = history(&[fraud(1, 0), second]);
    let frauds = |time_ms| kept.as_of(time_ms).run(30 * DAY_MS).map_or(0, |run| run.frauds);
    assert_eq!([at(7) - 1, at(7), at(7) + 1].map(frauds), [0, 1, 2]);
    // Of one event: the later one counts from its own millisecond on.
    let cleared = LabelledEvent {
        known_since_ms: at(7) + 1,
        verdict: Verdict::Cleared,
        ..fraud(1, 0)
    };
    let kept = history(&[fraud(1, 0), cleared]);
    let frauds = |time_ms| kept.as_of(time_ms).frauds_within(30 * DAY_MS);
    assert_eq!([at(7), at(7) + 1].map(frauds), [1, 0]);
}

#[test]
fn bytes_of_version_1_stay_as_they_are() {
    let kept = history(&[LabelledEvent {
        time_ms: 0x0102_0304_0506,
        event: 0x1122_3344_5566_7788,
        known_since_ms: 0x0102_0304_0507,
        verdict: Verdict::Cleared,
        explained: Some(true),
    }]);
    let hex: String = kept.encode().iter().map(|byte| format!("{byte:02x}")).collect();
    let golden = "0100000000000000000006050403020100008877665544332211070504030201000002\
                  02";
    assert_eq!(hex, golden);
}

fn label() -> impl Strategy<Value = LabelledEvent> {
    let explained = prop::option::of(any::<bool>());
    (0..6_i64, 0..4_u64, 0..6_i64, any::<bool>(), explained).prop_map(|(day, event, late, is_fraud, explained)| {
        LabelledEvent {
            time_ms: at(day * 20),
            event,
            known_since_ms: at(day * 20 + late),
            verdict: if is_fraud { Verdict::Fraud } else { Verdict::Cleared },
            explained,
        }
    })
}

proptest! {
    /// The set is the same whatever order its labels come in, and however often.
    #[test]
    fn order_and_repetition_change_nothing(labels in prop::collection::vec(label(), 0..40), seed in any::<u64>()) {
        let mut shuffled = labels.clone();
        shuffled.extend(labels.iter().rev().take(7));
        shuffled.sort_by_key(|label| fingerprint64(&format!("{label:?}{seed}")));
        prop_assert_eq!(history(&labels), history(&shuffled));
        prop_assert_eq!(history(&labels).version(), history(&shuffled).version());
    }

    /// Whatever is learned and forgotten, what was known as of a time is named by its number (I6).
    #[test]
    fn no_number_names_two_sets(labels in prop::collection::vec((label(), 0..4_i64), 0..40), at_day in 0..1_600_i64) {
        let mut kept = LabelledHistory::default();
        let mut named: std::collections::BTreeMap<u64, Vec<LabelledEvent>> = std::collections::BTreeMap::new();
        for (label, years) in labels {
            let far_ms = years * LABELLED_MS;
            let label = LabelledEvent {
                time_ms: label.time_ms + far_ms,
                known_since_ms: label.known_since_ms + far_ms,
                ..label
            };
            let _ = kept.add(label);
            let known = kept.labels().iter().filter(|label| label.known_since_ms <= at(at_day)).copied().collect();
            let version = kept.as_of(at(at_day)).version();
            let first: &Vec<LabelledEvent> = named.entry(version).or_insert_with(|| Vec::clone(&known));
            prop_assert_eq!(first, &known, "version {}", version);
        }
    }

    #[test]
    fn bytes_come_back(labels in prop::collection::vec(label(), 0..40)) {
        let kept = history(&labels);
        prop_assert_eq!(LabelledHistory::decode(&kept.encode()), Ok(kept));
    }

    #[test]
    fn any_bytes_are_a_history_in_its_own_spelling_or_an_error(
        mut bytes in prop::collection::vec(any::<u8>(), 0..200),
        labels in prop::collection::vec(label(), 0..5),
        at in any::<prop::sample::Index>(),
        bit in 0..8,
    ) {
        let mut near = history(&labels).encode();
        let at = at.index(near.len());
        near[at] ^= 1_u8 << bit;
        bytes.first_mut().into_iter().for_each(|first| *first = 1);
        for bytes in [bytes, near] {
            if let Ok(kept) = LabelledHistory::decode(&bytes) {
                prop_assert_eq!(kept.encode(), bytes);
            }
        }
    }
}
