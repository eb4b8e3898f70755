//! Intervals of figures.

use learn::metrics::{Case, Interval, REPLICATES, Ranked, Resample, intervals, wilson};

use crate::ranking::case;
use crate::world::Dice;

/// Events of 400 cards over ten days: each card has so many, one in five of the cards only frauds, and scores tell nothing.
fn grouped(events_a_card: u64) -> Vec<Case> {
    let mut dice = Dice::new(11);
    let mut cases = Vec::new();
    for card in 0..400 {
        for _ in 0..events_a_card {
            cases.push(Case {
                day: dice.below(10) as i64,
                card,
                ..case(dice.share(), card % 5 == 0)
            });
        }
    }
    cases
}

fn precision(cases: &[Case], by: Resample, seed: u64) -> Interval {
    let (ranked, mut dice) = (Ranked::new(cases).unwrap(), Dice::new(seed));
    let [found] = intervals(&ranked, by, REPLICATES, &mut || dice.draw(), |sample| {
        [sample.at(0.0).precision]
    });
    found.unwrap()
}

#[test]
fn independent_events_have_the_interval_of_a_binomial_share() {
    let cases = grouped(1);
    let (found, expected) = (precision(&cases, Resample::Card, 1), wilson(80, 400).unwrap());
    assert!((found.low - expected.low).abs() < 0.01, "{found:?} {expected:?}");
    assert!((found.high - expected.high).abs() < 0.01, "{found:?} {expected:?}");
}

#[test]
fn events_that_come_together_make_an_interval_no_narrower() {
    let width = |interval: Interval| interval.high - interval.low;
    let (one, many) = (
        precision(&grouped(1), Resample::Card, 1),
        precision(&grouped(25), Resample::Card, 1),
    );
    assert!((width(many) / width(one) - 1.0).abs() < 0.2, "{one:?} {many:?}");
    // Drawn by day, the same 10,000 events seem to be 10,000 pieces of evidence.
    let by_day = precision(&grouped(25), Resample::Day, 1);
    assert!(width(by_day) < width(many) / 2.0, "{by_day:?} {many:?}");
}

#[test]
fn the_same_numbers_give_the_same_interval_and_others_another_one() {
    let cases = grouped(3);
    let first = precision(&cases, Resample::Card, 1);
    assert_eq!(precision(&cases, Resample::Card, 1), first);
    assert_ne!(precision(&cases, Resample::Card, 2), first);
}

#[test]
fn figures_lie_in_their_intervals() {
    let mut cases = grouped(4);
    let mut dice = Dice::new(12);
    for case in &mut cases {
        case.score += if case.fraud { dice.share() } else { 0.0 };
    }
    let ranked = Ranked::new(&cases).unwrap();
    let figures = |sample: &learn::metrics::Sample<'_>| {
        let found = sample.card_precision(20).map(|found| found.mean);
        [sample.auc(), sample.average_precision(), found, sample.at(1.0).recall]
    };
    for by in [Resample::Card, Resample::Day] {
        let found = intervals(&ranked, by, REPLICATES, &mut || dice.draw(), figures);
        for (at, (figure, interval)) in figures(&ranked.all()).into_iter().zip(found).enumerate() {
            let (figure, interval) = (figure.unwrap(), interval.unwrap());
            // A card that is drawn twice is found twice, so card precision of a sample of cards is a little off.
            let slack = if (at, by) == (2, Resample::Card) { 0.05 } else { 0.0 };
            assert!(interval.low < interval.high, "{by:?} {at}: {interval:?}");
            assert!(
                interval.low - slack <= figure && figure <= interval.high + slack,
                "{by:?} {at}: {figure} {interval:?}"
            );
        }
    }
}

#[test]
fn a_figure_that_most_samples_lack_has_no_interval() {
    let cases = [case(1.0, false), case(2.0, false)];
    let (ranked, mut dice) = (Ranked::new(&cases).unwrap(), Dice::new(13));
    let found = intervals(&ranked, Resample::Card, 100, &mut || dice.draw(), |sample| {
        [sample.auc(), sample.at(2.0).precision]
    });
    assert_eq!(found[0], None);
    assert!(found[1].is_some());
    let nothing = Ranked::new(&[]).unwrap();
    let [none] = intervals(&nothing, Resample::Day, 100, &mut || dice.draw(), |sample| {
        [sample.auc()]
    });
    assert_eq!(none, None);
}

/// A card that was found on the first day is left out of the second one, whether the first was drawn or not.
#[test]
fn a_day_that_was_not_drawn_passed_nevertheless() {
    let on = |day, card, fraud| Case {
        day,
        card,
        ..case(1.0, fraud)
    };
    let cases = [on(0, 0, true), on(1, 0, true), on(1, 1, false)];
    let ranked = Ranked::new(&cases).unwrap();
    let seen = std::cell::RefCell::new(Vec::new());
    let [_] = intervals(&ranked, Resample::Day, 1, &mut || u64::MAX, |sample| {
        let found = sample.card_precision(1).unwrap();
        seen.borrow_mut()
            .push((found.mean, found.days.len(), found.days[0].day));
        [Some(found.mean)]
    });
    assert_eq!(seen.into_inner(), [(0.0, 1, 1)]);
}

/// Two days of which one is drawn twice in half of the samples: by hand, the figure is 0, 1/2 or 1.
#[test]
fn a_day_that_is_drawn_twice_counts_twice() {
    let cases = [
        case(1.0, true),
        Case {
            day: 1,
            card: 1,
            ..case(1.0, false)
        },
    ];
    let ranked = Ranked::new(&cases).unwrap();
    let mut numbers = [0, 0, 0, u64::MAX, u64::MAX, u64::MAX].into_iter().cycle();
    let seen = std::cell::RefCell::new(Vec::new());
    let [_] = intervals(&ranked, Resample::Day, 3, &mut || numbers.next().unwrap(), |sample| {
        let found = sample.card_precision(1).unwrap();
        seen.borrow_mut()
            .push((found.mean, sample.days(), sample.at(1.0).alerts));
        [Some(found.mean)]
    });
    assert_eq!(seen.into_inner(), [(1.0, 2, 2), (0.5, 2, 2), (0.0, 2, 2)]);
}
