//! Intervals by the bootstrap (B. Efron, 1979): percentiles of a figure over samples that are drawn with replacement.

use std::collections::BTreeMap;

use super::interval::Interval;
use super::rank::{Case, Ranked, Resample, Sample};

/// Samples that are usually enough for an interval of 95 %.
pub const REPLICATES: usize = 500;

/// The interval of each figure that `figures` takes from a sample, over so many samples.
///
/// `draw` gives numbers that are uniform over all 64 bits; the same numbers give the same intervals. A figure that most samples
/// lack (no fraud was drawn) has no interval.
pub fn intervals<const N: usize>(
    ranked: &Ranked<'_>,
    by: Resample,
    replicates: usize,
    draw: &mut dyn FnMut() -> u64,
    figures: impl Fn(&Sample<'_>) -> [Option<f64>; N],
) -> [Option<Interval>; N] {
    let (groups, count) = groups(ranked.cases, by);
    let mut found: [Vec<f64>; N] = std::array::from_fn(|_| Vec::with_capacity(replicates));
    for _ in 0..replicates {
        let mut times = vec![0_u32; count];
        for _ in 0..count {
            times[below(count, draw())] += 1;
        }
        let copies = groups.iter().map(|group| times[*group as usize]).collect();
        let sample = Sample {
            ranked,
            drawn: Some((by, copies)),
        };
        for (found, figure) in found.iter_mut().zip(figures(&sample)) {
            found.extend(figure);
        }
    }
    found.map(|values| percentiles(values, replicates))
}

/// The group of each case, and how many groups there are.
fn groups(cases: &[Case], by: Resample) -> (Vec<u32>, usize) {
    let mut numbers: BTreeMap<u64, u32> = BTreeMap::new();
    let number = |case: &Case| {
        let key = match by {
            Resample::Card => case.card,
            Resample::Day => case.day as u64,
        };
        let next = numbers.len() as u32;
        *numbers.entry(key).or_insert(next)
    };
    let groups = cases.iter().map(number).collect();
    (groups, numbers.len())
}

/// A number below `count` from one that is uniform over 64 bits, by multiplication (D. Lemire, 2019); for counts below 2³² the
/// greatest bias is 2⁻³².
fn below(count: usize, drawn: u64) -> usize {
    ((u128::from(drawn) * count as u128) >> 64) as usize
}

/// The 2.5 % and 97.5 % percentiles, by nearest rank.
fn percentiles(mut values: Vec<f64>, replicates: usize) -> Option<Interval> {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let at = |share: f64| values[libm::round(share * last as f64) as usize];
    (values.len() * 2 > replicates).then(|| Interval {
        low: at(0.025),
        high: at(0.975),
    })
}
