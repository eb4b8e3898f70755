//! The population's amounts against a count of them.

use learn::LearnError;
use learn::quantiles::{KNOTS_MAX, Knot, LearnedPopulation};
use proptest::prelude::*;

use crate::world::Dice;

/// Amounts with a long tail: Pareto's distribution with exponent 2, from 10.00 on.
fn amounts(count: usize) -> Vec<u64> {
    let mut dice = Dice::new(21);
    (0..count)
        .map(|_| (1_000.0 / dice.share().max(1e-12).sqrt()) as u64)
        .collect()
}

fn bits_naive(amounts: &[u64], amount: u64) -> f64 {
    let above = amounts.iter().filter(|other| **other >= amount).count();
    -(above as f64 / amounts.len() as f64).log2()
}

#[test]
fn bits_are_those_of_a_count() {
    let amounts = amounts(100_000);
    let population = LearnedPopulation::fit(amounts.clone(), KNOTS_MAX).unwrap();
    assert!(population.knots().len() > 60, "{}", population.knots().len());
    for amount in [1_000, 1_100, 1_500, 2_000, 5_000, 10_000, 30_000] {
        let (bits, naive) = (population.bits_of(amount), bits_naive(&amounts, amount));
        assert!((bits - naive).abs() < 0.03, "{amount}: {bits}, by a count {naive}");
    }
    for knot in population.knots() {
        assert!(
            (knot.bits - bits_naive(&amounts, knot.amount_minor)).abs() < 0.000_6,
            "{knot:?}"
        );
    }
    // The table ends where ten amounts are left, and says no more beyond.
    let last = population.knots().last().unwrap();
    assert!((last.bits - 10_000.0_f64.log2()).abs() < 0.01, "{last:?}");
    assert_eq!(population.bits_of(u64::MAX), last.bits);
    assert_eq!(population.bits_of(0), 0.0);
}

/// Half as many again at each step, by hand: of 40 amounts 1 to 40, knots have 40, 20 and 10 of them from them on.
#[test]
fn knots_by_hand() {
    let population = LearnedPopulation::fit((1..=40).rev().collect(), 3).unwrap();
    let knots: Vec<_> = population
        .knots()
        .iter()
        .map(|knot| (knot.amount_minor, knot.bits))
        .collect();
    assert_eq!(knots, [(1, 0.0), (21, 1.0), (31, 2.0)]);
    assert_eq!(
        [1, 11, 21, 26, 31, 40].map(|amount| population.bits_of(amount)),
        [0.0, 0.5, 1.0, 1.5, 2.0, 2.0]
    );
}

#[test]
fn equal_amounts_and_none() {
    let equal = LearnedPopulation::fit(vec![500; 1_000], KNOTS_MAX).unwrap();
    assert_eq!(
        equal.knots(),
        [Knot {
            amount_minor: 500,
            bits: 0.0
        }]
    );
    assert_eq!([0, 500, 501].map(|amount| equal.bits_of(amount)), [0.0; 3]);
    assert_eq!(
        LearnedPopulation::fit(Vec::new(), KNOTS_MAX).unwrap_err(),
        LearnError::NoAmounts
    );
}

#[test]
fn a_table_of_a_policy_is_checked() {
    let knot = |amount_minor, bits| Knot { amount_minor, bits };
    let good = vec![knot(1, 0.0), knot(2, 0.0), knot(9, 3.5)];
    assert_eq!(LearnedPopulation::new(good.clone()).unwrap().knots(), good);
    let refused = |knots: Vec<Knot>| LearnedPopulation::new(knots).unwrap_err().to_string();
    assert_eq!(refused(vec![]), "there is no amount to make quantiles of");
    let many = (0..=KNOTS_MAX as u64).map(|amount| knot(amount, 1.0)).collect();
    assert_eq!(refused(many), "knot 64 of the quantiles: is one too many");
    for bits in [f64::NAN, f64::INFINITY, -0.1] {
        assert!(refused(vec![knot(1, 0.0), knot(2, bits)]).contains("knot 1 of the quantiles: its bits are not"));
    }
    assert!(refused(vec![knot(2, 0.0), knot(2, 1.0)]).contains("its amount is not above"));
    assert!(refused(vec![knot(1, 1.0), knot(2, 0.5)]).contains("its bits are below"));
}

proptest! {
    #[test]
    fn greater_amounts_never_have_fewer_bits(
        amounts in prop::collection::vec(0..5_000_u64, 1..400), knots in 2..=KNOTS_MAX, one in 0..6_000_u64, other in 0..6_000_u64
    ) {
        let population = LearnedPopulation::fit(amounts, knots).unwrap();
        prop_assert!(population.knots().len() <= knots);
        prop_assert!(population.bits_of(one.min(other)) <= population.bits_of(one.max(other)));
        // What is fitted is a table that a policy may hold.
        prop_assert_eq!(&LearnedPopulation::new(population.knots().to_vec()).unwrap(), &population);
    }
}
