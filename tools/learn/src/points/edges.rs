//! The edges of a feature's bins: round numbers between quantiles, then merged while little is lost.

use crate::round::roundest;

/// Quantiles between which an edge is looked for: so many of all events' values, and so many of the frauds'.
const QUANTILES: usize = 48;
/// A bin has at least so many frauds, or as many rows as would hold so many at the usual share.
const FRAUDS_MIN: f64 = 10.0;
/// Two bins are one unless telling them apart makes this much deviance (twice the log likelihood, natural logarithm), which is
/// χ² with one degree of freedom by chance, as in ChiMerge (R. Kerber, 1992). It is the upper 0.1 % point: of some fifty
/// candidates the luckiest is looked at.
const DEVIANCE_MIN: f64 = 10.83;

/// Events and frauds of a bin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) rows: u64,
    pub(super) frauds: u64,
}

impl Count {
    fn plus(self, other: Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            frauds: self.frauds + other.frauds,
        }
    }

    /// Log likelihood of the labels at the bin's own share.
    fn log_likelihood(self) -> f64 {
        let (rows, frauds) = (self.rows as f64, self.frauds as f64);
        let part = |count: f64| {
            if count > 0.0 {
                count * libm::log(count / rows)
            } else {
                0.0
            }
        };
        part(frauds) + part(rows - frauds)
    }
}

/// The finest bins of a feature in some rows, with what lies in them.
#[derive(Clone, Debug)]
pub(super) struct Fine {
    edges: Vec<f64>,
    counts: Vec<Count>,
    /// Share of frauds among all rows, those without a value too.
    share: f64,
}

impl Fine {
    /// Bins of these rows of a column.
    pub(super) fn new(column: &[f64], fraud: &[bool], rows: &[u32]) -> Self {
        let pairs = rows.iter().map(|row| (column[*row as usize], fraud[*row as usize]));
        // Adding zero makes −0 and 0 one number.
        let known = pairs
            .filter(|(value, _)| !value.is_nan())
            .map(|(value, fraud)| (value + 0.0, fraud));
        let mut all = Vec::with_capacity(rows.len());
        let mut frauds = Vec::new();
        for (value, is_fraud) in known {
            all.push(value);
            if is_fraud {
                frauds.push(value);
            }
        }
        all.sort_unstable_by(f64::total_cmp);
        frauds.sort_unstable_by(f64::total_cmp);
        let edges = candidates(&all, &frauds);
        let total = rows.iter().filter(|row| fraud[**row as usize]).count();
        Self {
            counts: counts(&all, &frauds, &edges),
            edges,
            share: total as f64 / rows.len().max(1) as f64,
        }
    }

    /// Edges of at most so many bins. `edges[i]` is the least value of bin `i + 1`.
    pub(super) fn merged(&self, bins_max: usize) -> Vec<f64> {
        let (mut edges, mut counts) = (self.edges.clone(), self.counts.clone());
        while let Some(at) = self.next_merge(&counts, bins_max) {
            counts[at] = counts[at].plus(counts[at + 1]);
            counts.remove(at + 1);
            edges.remove(at);
        }
        edges
    }

    /// Which bin is merged with the one above it: first those with too little in them, then those that tell least.
    fn next_merge(&self, counts: &[Count], bins_max: usize) -> Option<usize> {
        let is_thin = |count: &Count| (count.frauds as f64).max(count.rows as f64 * self.share) < FRAUDS_MIN;
        let lost = |at: usize| {
            let (one, other) = (counts[at], counts[at + 1]);
            2.0 * (one.log_likelihood() + other.log_likelihood() - one.plus(other).log_likelihood())
        };
        let cheapest = |least: Option<(usize, f64)>, (at, lost): (usize, f64)| match least {
            Some((_, before)) if before <= lost => least,
            _ => Some((at, lost)),
        };
        let pairs = || (0..counts.len().saturating_sub(1)).map(|at| (at, lost(at)));
        let thin = pairs().filter(|(at, _)| is_thin(&counts[*at]) || is_thin(&counts[*at + 1]));
        if let Some((at, _)) = thin.fold(None, cheapest) {
            return Some(at);
        }
        let (at, lost) = pairs().fold(None, cheapest)?;
        (counts.len() > bins_max || lost < DEVIANCE_MIN).then_some(at)
    }
}

/// The bin of a value: how many edges are not above it.
pub(crate) fn bin_of(edges: &[f64], value: f64) -> usize {
    edges.partition_point(|edge| *edge <= value)
}

/// A round number between each two neighbouring quantiles. Both lists are sorted.
fn candidates(all: &[f64], frauds: &[f64]) -> Vec<f64> {
    let quantiles = |sorted: &[f64]| -> Vec<f64> {
        let at = |step: usize| sorted.get(step * sorted.len().saturating_sub(1) / QUANTILES).copied();
        (0..=QUANTILES).filter_map(at).collect()
    };
    let mut cuts = quantiles(all);
    cuts.extend(quantiles(frauds));
    cuts.sort_unstable_by(f64::total_cmp);
    cuts.dedup();
    cuts.windows(2).map(|pair| roundest(pair[0], pair[1])).collect()
}

fn counts(all: &[f64], frauds: &[f64], edges: &[f64]) -> Vec<Count> {
    let below = |sorted: &[f64], edge: f64| sorted.partition_point(|value| *value < edge) as u64;
    let mut before = Count::default();
    let ends = edges.iter().copied().chain([f64::INFINITY]);
    ends.map(|end| {
        let upto = Count {
            rows: below(all, end),
            frauds: below(frauds, end),
        };
        let inside = Count {
            rows: upto.rows - before.rows,
            frauds: upto.frauds - before.frauds,
        };
        before = upto;
        inside
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn edges(values: &[(f64, bool)], bins_max: usize) -> Vec<f64> {
        let column: Vec<f64> = values.iter().map(|(value, _)| *value).collect();
        let fraud: Vec<bool> = values.iter().map(|(_, fraud)| *fraud).collect();
        let rows: Vec<u32> = (0..values.len() as u32).collect();
        Fine::new(&column, &fraud, &rows).merged(bins_max)
    }

    #[test]
    fn a_step_in_the_share_gets_a_round_edge() {
        // Frauds are one in a hundred below 220, and one in two from there on.
        let values: Vec<(f64, bool)> = (0..20_000)
            .map(|number| {
                let value = f64::from(number % 250);
                (value, number % if value >= 220.0 { 2 } else { 100 } == 0)
            })
            .collect();
        let edges = edges(&values, 12);
        let nearest = edges
            .iter()
            .map(|edge| (edge - 220.0).abs())
            .fold(f64::INFINITY, f64::min);
        assert!(nearest <= 5.0, "{edges:?}");
    }

    #[test]
    fn noise_gets_no_edge_and_neither_does_a_constant() {
        let noise: Vec<(f64, bool)> = (0..10_000)
            .map(|number| (f64::from(number % 10), number % 97 == 0))
            .collect();
        assert_eq!(edges(&noise, 12), Vec::<f64>::new());
        let constant: Vec<(f64, bool)> = (0..1_000).map(|number| (7.0, number % 10 == 0)).collect();
        assert_eq!(edges(&constant, 12), Vec::<f64>::new());
        assert_eq!(edges(&[(f64::NAN, true), (f64::NAN, false)], 12), Vec::<f64>::new());
    }

    #[test]
    fn a_value_on_the_edge_lies_above_it() {
        let edges = [1.0, 2.0];
        let bins = [0.5, 1.0, 1.5, 2.0, 9.0].map(|value| bin_of(&edges, value));
        assert_eq!(bins, [0, 1, 1, 2, 2]);
    }

    proptest! {
        #[test]
        fn bins_hold_enough_and_edges_ascend(
            values in prop::collection::vec((-50..50_i32, 0..8_u32), 60..600), bins_max in 1..12_usize
        ) {
            let values: Vec<(f64, bool)> = values.into_iter()
                .map(|(value, luck)| (f64::from(value) / 4.0, luck == 0 || value > 30)).collect();
            let edges = edges(&values, bins_max);
            prop_assert!(edges.len() < bins_max);
            prop_assert!(edges.windows(2).all(|pair| pair[0] < pair[1]));
            let frauds = values.iter().filter(|(_, fraud)| *fraud).count() as f64;
            let share = frauds / values.len() as f64;
            for bin in (0..=edges.len()).filter(|_| !edges.is_empty()) {
                let inside: Vec<bool> = values.iter()
                    .filter(|(value, _)| bin_of(&edges, *value) == bin).map(|(_, fraud)| *fraud).collect();
                let found = inside.iter().filter(|fraud| **fraud).count() as f64;
                prop_assert!(found.max(inside.len() as f64 * share) >= FRAUDS_MIN);
            }
        }
    }
}
