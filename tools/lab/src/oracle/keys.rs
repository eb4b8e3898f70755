//! What labels say of a key, as of an event: the rules of `docs/concepts/learning.md`, read once more and carried out on a plain list.

use std::collections::BTreeSet;

use tidemark_domain::catalogue::{FeatureKey, FeatureKind};
use tidemark_domain::event::Verdict;
use tidemark_domain::labelled::LabelledEvent;

use super::measure::MS_PER_MINUTE;

/// What an outcome names a key by that had forgotten so many labels: how many of its labels were known at a time (ms since
/// 1970-01-01T00:00:00Z), the forgotten ones twice.
#[must_use]
pub fn named(labels: &[LabelledEvent], forgotten: u64, as_of_ms: i64) -> u64 {
    let known = labels.iter().filter(|label| label.known_since_ms <= as_of_ms);
    known.count() as u64 + forgotten + forgotten
}

/// An event that is known to be fraud.
struct Fraud {
    time_ms: i64,
    is_explained: bool,
}

/// The frauds that were known at a time, of the events before it, by their times.
fn frauds(labels: &[LabelledEvent], as_of_ms: i64) -> Vec<Fraud> {
    let known = || {
        labels
            .iter()
            .filter(|label| label.known_since_ms <= as_of_ms && label.time_ms < as_of_ms)
    };
    let events: BTreeSet<(i64, u64)> = known().map(|label| (label.time_ms, label.event)).collect();
    let of = |(time_ms, event): (i64, u64)| {
        let said = || known().filter(move |label| (label.time_ms, label.event) == (time_ms, event));
        let newest_ms = said().map(|label| label.known_since_ms).max()?;
        // Of labels that are known since the same time, one that clears has the last word.
        let is_cleared = said().any(|label| label.known_since_ms == newest_ms && label.verdict == Verdict::Cleared);
        (!is_cleared).then(|| Fraud {
            time_ms,
            is_explained: said().any(|label| label.explained == Some(true)),
        })
    };
    events.into_iter().filter_map(of).collect()
}

/// The value of a feature of a key whose labels are these; `None` where there is none, and for a feature of no key.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn value(key: FeatureKey, labels: &[LabelledEvent], as_of_ms: i64, run_gap_ms: i64) -> Option<f64> {
    let frauds = frauds(labels, as_of_ms);
    let seconds = |since_ms: i64| (as_of_ms - since_ms) as f64 / 1000.0;
    let telling: Vec<i64> = frauds
        .iter()
        .filter(|fraud| !fraud.is_explained)
        .map(|fraud| fraud.time_ms)
        .collect();
    // From now back, as long as no gap is as long as the policy's.
    let mut row: Vec<i64> = Vec::new();
    for time_ms in telling.iter().rev() {
        if row.last().copied().unwrap_or(as_of_ms) - time_ms >= run_gap_ms {
            break;
        }
        row.push(*time_ms);
    }
    match key.kind {
        FeatureKind::FraudRun => Some(row.len() as f64),
        FeatureKind::FraudRunAge => row.last().map(|first_ms| seconds(*first_ms)),
        FeatureKind::SinceFraud => telling.last().map(|last_ms| seconds(*last_ms)),
        FeatureKind::Frauds => {
            let start_ms = as_of_ms - i64::from(key.window_minutes) * MS_PER_MINUTE;
            Some(frauds.iter().filter(|fraud| fraud.time_ms > start_ms).count() as f64)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tidemark_domain::labelled::LabelledHistory;

    use super::*;
    use crate::dice::Dice;

    const DAY_MS: i64 = 86_400_000;

    fn feature(name: &str) -> FeatureKey {
        FeatureKey::parse(name).unwrap()
    }

    /// The labels that a seed makes: of a few events, known sooner or later, of changing minds, some known of at the same time.
    fn labels(dice: &mut Dice) -> Vec<LabelledEvent> {
        let label = |dice: &mut Dice| {
            let time_ms = i64::try_from(dice.below(60)).unwrap() * DAY_MS;
            LabelledEvent {
                time_ms,
                event: dice.below(3),
                known_since_ms: time_ms + i64::try_from(dice.below(4)).unwrap() * DAY_MS,
                verdict: if dice.chance(0.7) {
                    Verdict::Fraud
                } else {
                    Verdict::Cleared
                },
                explained: [None, Some(false), Some(false), Some(true)][dice.index(4)],
            }
        };
        (0..dice.below(30)).map(|_| label(dice)).collect()
    }

    #[test]
    fn the_oracle_and_the_history_agree_on_every_feature_of_a_key() {
        let mut dice = Dice::new(11, 0);
        let names = [
            "t.fraud_run",
            "t.fraud_run_age",
            "t.since_fraud",
            "t.frauds_1d",
            "t.frauds_30d",
            "t.frauds_120d",
        ];
        let mut told = 0;
        for _ in 0..3_000 {
            let made = labels(&mut dice);
            let mut history = LabelledHistory::default();
            for label in &made {
                let _ = history.add(*label);
            }
            let at_ms = i64::try_from(dice.below(70)).unwrap() * DAY_MS + i64::from(dice.chance(0.5));
            let gap_ms = dice.between(1, 40) * DAY_MS;
            let as_of = history.as_of(at_ms);
            let run = as_of.run(gap_ms);
            let since = |time_ms: i64| (at_ms - time_ms) as f64 / 1000.0;
            let expected = [
                Some(run.map_or(0.0, |run| f64::from(run.frauds))),
                run.map(|run| since(run.first_ms)),
                as_of.latest_unexplained_ms().map(since),
                Some(f64::from(as_of.frauds_within(DAY_MS))),
                Some(f64::from(as_of.frauds_within(30 * DAY_MS))),
                Some(f64::from(as_of.frauds_within(120 * DAY_MS))),
            ];
            // In any order, and twice: a plain list.
            let plain: Vec<LabelledEvent> = made.iter().rev().copied().collect();
            let found = names.map(|name| value(feature(name), &plain, at_ms, gap_ms));
            assert_eq!(found, expected, "{plain:?} at {at_ms}, gap {gap_ms}");
            assert_eq!(named(history.labels(), history.forgotten(), at_ms), as_of.version());
            told += usize::from(run.is_some_and(|run| run.frauds > 1));
        }
        assert!(told > 300, "{told} rows of several");
    }
}
