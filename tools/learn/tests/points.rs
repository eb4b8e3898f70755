//! What is learned from tables whose truth is known.

use std::f64::consts::LN_2;

use learn::points::{self, Criterion, LearnedPoints, Why};
use learn::{FitOptions, LearnError, Row, Table};
use proptest::prelude::*;

use crate::world::{self, DAY_MS, Dice};

#[test]
fn bits_are_those_of_the_truth_and_what_tells_nothing_is_dropped() {
    let fitted = points::fit(&world::table(60_000, 1), &world::options()).unwrap();
    let names: Vec<&str> = fitted
        .points
        .features
        .iter()
        .map(|feature| feature.name.as_str())
        .collect();
    assert_eq!(names, ["ratio", "run"]);
    let dropped: Vec<_> = fitted
        .report
        .dropped
        .iter()
        .map(|one| (one.feature.as_str(), one.why))
        .collect();
    assert_eq!(dropped, [("always", Why::Constant), ("noise", Why::EarnsNothing)]);
    assert_eq!(fitted.report.folds, 4);
    for ratio in [0.5, 3.0, 6.0, 8.0, 9.9] {
        for run in [None, Some(0.0), Some(1.0), Some(3.0), Some(5.0)] {
            let truth = world::log_odds(ratio, run) / LN_2;
            let score = fitted.points.score(&[Some(ratio), run]);
            assert!(
                (score - truth).abs() < 0.6,
                "{ratio} {run:?}: {score} bits, in truth {truth}"
            );
        }
    }
    // The step at 7 is found where it is, and no edge is where nothing happens.
    assert!(
        fitted.points.features[0]
            .edges
            .iter()
            .any(|edge| (edge - 7.0).abs() < 0.3),
        "{:?}",
        fitted.points
    );
    assert_eq!(fitted.points.features[1].edges, [2.0], "{:?}", fitted.points);
}

#[test]
fn the_prior_makes_as_many_frauds_as_there_are() {
    let table = world::table(30_000, 2);
    let fitted = points::fit(&table, &world::options()).unwrap();
    let expected: f64 = fitted
        .points
        .scores(&table)
        .iter()
        .map(|bits| 1.0 / (1.0 + (-bits * LN_2).exp()))
        .sum();
    let frauds = fitted.report.frauds as f64;
    assert!(
        (expected / frauds - 1.0).abs() < 0.01,
        "{expected} expected, {frauds} there"
    );
}

#[test]
fn the_same_events_in_any_order_give_the_same_bytes() {
    let mut events = world::events(8_000, 3);
    let bytes = |events: &[_]| {
        format!(
            "{:?}",
            points::fit(&world::table_of(events), &world::options()).unwrap()
        )
    };
    let first = bytes(&events);
    let mut dice = Dice::new(4);
    for at in (1..events.len()).rev() {
        events.swap(at, dice.below(at as u64 + 1) as usize);
    }
    assert_eq!(bytes(&events), first);
    events[0].0.fraud = !events[0].0.fraud;
    assert_ne!(bytes(&events), first, "a label that changes changes something");
}

/// What any platform's build must give: bits that depend on the processor or its libm would differ here.
#[test]
fn the_bits_are_these_on_every_machine() {
    let fitted = points::fit(&world::table(8_000, 3), &world::options()).unwrap();
    let losses = fitted.report.tried.iter().map(|tried| tried.loss.to_bits());
    let digest = losses.fold(0_u64, |digest, bits| digest.rotate_left(7) ^ bits);
    assert_eq!(digest, 3_002_547_418_666_639_722, "{:?}", fitted.points);
}

#[test]
fn a_range_too_short_for_validation_takes_the_most_cautious_options() {
    let options = FitOptions::new(90 * DAY_MS);
    let fitted = points::fit(&world::table(8_000, 5), &options).unwrap();
    assert_eq!((fitted.report.folds, fitted.report.tried.len()), (0, 0));
    // Of noise not even two bins can be told apart.
    let dropped: Vec<&str> = fitted.report.dropped.iter().map(|one| one.feature.as_str()).collect();
    assert_eq!(dropped, ["always", "noise"]);
    assert!(
        fitted
            .report
            .features
            .iter()
            .all(|feature| feature.earns.is_none() && feature.bins.len() <= 7)
    );
}

#[test]
fn either_criterion_takes_the_best_that_it_tried() {
    for criterion in [Criterion::Loss, Criterion::AveragePrecision] {
        let options = FitOptions {
            criterion,
            ..world::options()
        };
        let report = points::fit(&world::table(8_000, 6), &options).unwrap().report;
        let chosen = report.tried[report.chosen];
        assert_eq!(
            report.tried.len(),
            options.bins_max.len() * options.smoothness.len() * options.ridge.len()
        );
        for tried in &report.tried {
            match criterion {
                Criterion::Loss => assert!(chosen.loss <= tried.loss),
                Criterion::AveragePrecision => assert!(chosen.average_precision >= tried.average_precision),
            }
        }
        assert!(chosen.loss < report.loss_without, "{report:?}");
    }
}

/// The test's own reading of a report: each event lies in the one bin that the report says, and the bins' counts are right.
#[test]
fn the_report_counts_what_lies_in_each_bin() {
    let table = world::table(8_000, 7);
    let fitted = points::fit(&table, &world::options()).unwrap();
    for feature in &fitted.report.features {
        let at = table.names().iter().position(|name| *name == feature.feature).unwrap();
        for bin in &feature.bins {
            let inside = (0..table.len()).filter(|row| match table.values(*row).nth(at).unwrap() {
                None => bin.missing,
                Some(value) => {
                    !bin.missing
                        && bin.from.is_none_or(|from| value >= from)
                        && bin.below.is_none_or(|below| value < below)
                }
            });
            let frauds: Vec<bool> = inside.map(|row| table.row(row).unwrap().fraud).collect();
            assert_eq!(bin.events as usize, frauds.len(), "{}: {bin:?}", feature.feature);
            assert_eq!(bin.frauds as usize, frauds.iter().filter(|fraud| **fraud).count());
        }
        let fullest = feature.bins.iter().max_by_key(|bin| bin.events).unwrap();
        assert_eq!(fullest.bits, 0.0, "what is usual has no bits");
    }
}

#[test]
fn a_missing_value_that_was_never_seen_gets_the_mean() {
    let fitted = points::fit(&world::table(20_000, 8), &world::options()).unwrap();
    let (ratio, report) = (&fitted.points.features[0], &fitted.report.features[0]);
    let sum: f64 = report.bins.iter().map(|bin| bin.bits * bin.events as f64).sum();
    assert!((ratio.missing_bits - sum / 20_000.0).abs() < 0.01, "{ratio:?}");
    assert!(ratio.missing_bits > 0.5, "{ratio:?}");
    assert_eq!(ratio.bits_of(None), ratio.missing_bits);
    assert_eq!(ratio.bits_of(Some(f64::NAN)), ratio.missing_bits);
    // And each feature that stayed is missed by validation.
    let earns = fitted.report.features.iter().map(|feature| feature.earns.unwrap());
    assert!(earns.clone().all(|bits| bits > 0.05), "{:?}", earns.collect::<Vec<_>>());
}

/// A stream in which a feature told fraud in the first month only: validation looks at later events, so it is worth nothing.
#[test]
fn what_no_longer_tells_is_dropped() {
    let mut dice = Dice::new(9);
    let mut table = Table::new(["faded", "lasting"]).unwrap();
    for number in 0..20_000_i64 {
        let at_ms = number * 60 * DAY_MS / 20_000;
        let (faded, lasting) = (dice.share(), dice.share());
        let odds =
            0.01 + if at_ms < 20 * DAY_MS && faded > 0.9 { 0.3 } else { 0.0 } + if lasting > 0.9 { 0.2 } else { 0.0 };
        let row = Row {
            at_ms,
            card: 1,
            amount_minor: 1,
            fraud: dice.share() < odds,
        };
        table.push(row, &[Some(faded), Some(lasting)]).unwrap();
    }
    let fitted = points::fit(&table, &world::options()).unwrap();
    let names: Vec<&str> = fitted
        .points
        .features
        .iter()
        .map(|feature| feature.name.as_str())
        .collect();
    assert_eq!(names, ["lasting"], "{:?}", fitted.report);
    let kept = points::fit(
        &table,
        &FitOptions {
            keep_all: true,
            ..world::options()
        },
    )
    .unwrap();
    assert_eq!(kept.points.features.len(), 2);
}

#[test]
fn noise_alone_is_refused() {
    let mut dice = Dice::new(10);
    let mut table = Table::new(["noise"]).unwrap();
    for number in 0..5_000_i64 {
        let row = Row {
            at_ms: number * DAY_MS / 80,
            card: 1,
            amount_minor: 1,
            fraud: dice.share() < 0.05,
        };
        table.push(row, &[Some(dice.share())]).unwrap();
    }
    // Whether validation finds that out, or nothing can be validated.
    for options in [world::options(), FitOptions::new(90 * DAY_MS)] {
        assert_eq!(points::fit(&table, &options).unwrap_err(), LearnError::NothingLearned);
    }
}

fn scored(points: &LearnedPoints, table: &Table, row: usize) -> f64 {
    let values: Vec<Option<f64>> = table.values(row).collect();
    let of = |name: &str| values[table.names().iter().position(|other| other == name).unwrap()];
    points.features.iter().fold(points.prior_bits, |sum, feature| {
        let bin = of(&feature.name).map(|value| feature.edges.iter().filter(|edge| value >= **edge).count());
        sum + bin.map_or(feature.missing_bits, |bin| feature.bits[bin])
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_score_is_the_prior_and_the_sum_of_its_bits(seed in 0..u64::MAX) {
        let table = world::table(3_000, seed);
        let points = points::fit(&table, &world::options()).unwrap().points;
        let scores = points.scores(&table);
        for row in (0..table.len()).step_by(17) {
            prop_assert_eq!(scores[row], scored(&points, &table, row));
        }
        for feature in &points.features {
            prop_assert!(feature.edges.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert_eq!(feature.bits.len(), feature.edges.len() + 1);
            prop_assert!(feature.bits.len() <= 12);
            for bits in feature.bits.iter().chain([&feature.missing_bits]) {
                prop_assert_eq!((bits * 100.0).round() / 100.0, *bits);
            }
        }
    }
}

/// `noise` and `always` tell nothing: tried late, they leave every bit as it is without them.
#[test]
fn late_features_that_tell_nothing_change_nothing() {
    let events = world::events(20_000, 5);
    let mut without = Table::new(["ratio", "run"]).unwrap();
    for (row, values) in &events {
        without.push(*row, &values[..2]).unwrap();
    }
    let alone = points::fit(&without, &world::options()).unwrap();
    let late = FitOptions {
        late: vec!["noise".to_owned(), "always".to_owned()],
        ..world::options()
    };
    let fitted = points::fit(&world::table_of(&events), &late).unwrap();
    assert_eq!(fitted.points, alone.points);
    let mut dropped: Vec<_> = fitted
        .report
        .dropped
        .iter()
        .map(|one| (one.feature.as_str(), one.why))
        .collect();
    dropped.sort_unstable_by_key(|(name, _)| *name);
    assert_eq!(dropped, [("always", Why::Constant), ("noise", Why::EarnsNothing)]);
    assert_eq!(fitted.report.features, alone.report.features);
}

#[test]
fn a_late_feature_that_validation_gains_by_is_taken() {
    let late = FitOptions {
        late: vec!["run".to_owned(), "noise".to_owned()],
        ..world::options()
    };
    let fitted = points::fit(&world::table(20_000, 5), &late).unwrap();
    let names: Vec<&str> = fitted
        .points
        .features
        .iter()
        .map(|feature| feature.name.as_str())
        .collect();
    assert_eq!(names, ["ratio", "run"]);
    assert!(
        fitted
            .report
            .features
            .iter()
            .all(|feature| feature.earns.unwrap() > 0.002)
    );
    let at_once = points::fit(&world::table(20_000, 5), &world::options()).unwrap();
    assert_eq!(fitted.points.features.len(), at_once.points.features.len());
    // Without validation nothing shows that it earns something.
    let unseen = FitOptions { folds: 0, ..late };
    let fitted = points::fit(&world::table(20_000, 5), &unseen).unwrap();
    assert!(fitted.points.features.iter().all(|feature| feature.name != "run"));
}
