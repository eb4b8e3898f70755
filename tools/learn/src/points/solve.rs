//! Regularised logistic regression over bins, by Newton's method.
//!
//! Minimised is `−Σ log likelihood + ridge/2 · Σ β² + smoothness/2 · Σ (β_i − β_{i+1})²`, the last sum over neighbouring bins
//! of a feature (a quadratic fused penalty: P. Eilers and B. Marx, "Flexible smoothing with B-splines and penalties", 1996,
//! with differences of order one). Each step solves `H δ = −g` by Cholesky's decomposition; `H = Xᵀ W X + penalties` with
//! `W = p (1 − p)`: iteratively reweighted least squares (P. McCullagh and J. Nelder, *Generalized Linear Models*, 1989).

use nalgebra::{Cholesky, DMatrix, DVector};

use crate::refusal::LearnError;

use super::pattern::{Active, MISSING, Patterns};

/// Newton's steps; some eight are enough unless options are absurd.
const STEPS_MAX: usize = 100;
/// Halvings of one step that would go uphill.
const HALVINGS_MAX: usize = 30;
/// It has settled once a step gains less than this share of what is minimised.
const GAIN_SHARE_MIN: f64 = 1e-12;

/// How much bits are held back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Penalty {
    /// Toward zero.
    pub(super) ridge: f64,
    /// Toward the neighbouring bin.
    pub(super) smoothness: f64,
}

/// Where each feature's weights lie among all: first the prior, then for each active feature its bins, then its missing value.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    active: Active,
    starts: Vec<usize>,
    bins: Vec<usize>,
    len: usize,
}

impl Layout {
    /// For these features, of which each has so many edges.
    pub(super) fn new(active: &[usize], edges: &[Vec<f64>]) -> Self {
        let bins: Vec<usize> = active.iter().map(|feature| edges[*feature].len() + 1).collect();
        let mut len = 1;
        let mut starts = Vec::with_capacity(bins.len());
        for bins in &bins {
            starts.push(len);
            len += bins + 1;
        }
        Self {
            active: active.to_vec(),
            starts,
            bins,
            len,
        }
    }

    /// The weights of one active feature, by its place among them: bins, then missing.
    pub(super) fn of<'a>(&self, place: usize, weights: &'a [f64]) -> &'a [f64] {
        &weights[self.starts[place]..=self.starts[place] + self.bins[place]]
    }

    /// The places of the weights that a pattern adds up, pattern by pattern.
    pub(super) fn places(&self, patterns: &Patterns) -> Vec<u32> {
        let mut places = Vec::with_capacity(patterns.len() * self.active.len());
        for pattern in 0..patterns.len() {
            for ((feature, start), bins) in self.active.iter().zip(&self.starts).zip(&self.bins) {
                let bin = patterns.bin(pattern, *feature);
                places.push((start + if bin == MISSING { *bins } else { bin }) as u32);
            }
        }
        places
    }

    /// Pairs of weights of neighbouring bins.
    fn neighbours(&self) -> impl Iterator<Item = (usize, usize)> {
        let pairs = self.starts.iter().zip(&self.bins);
        pairs.flat_map(|(start, bins)| (1..*bins).map(move |bin| (start + bin - 1, start + bin)))
    }
}

/// The log odds of each pattern.
pub(super) fn log_odds(weights: &[f64], places: &[u32], patterns: usize) -> Vec<f64> {
    let width = places.len() / patterns.max(1);
    let sum = |at: usize| {
        let own = places[at * width..(at + 1) * width].iter();
        own.fold(weights[0], |sum, place| sum + weights[*place as usize])
    };
    (0..patterns).map(sum).collect()
}

/// `ln(1 + e^x)` without overflow.
pub(super) fn softplus(x: f64) -> f64 {
    x.max(0.0) + libm::log1p(libm::exp(-x.abs()))
}

/// What is minimised, for one set of patterns.
struct Problem<'a> {
    patterns: &'a Patterns,
    layout: &'a Layout,
    places: Vec<u32>,
    penalty: Penalty,
}

impl Problem<'_> {
    fn objective(&self, weights: &[f64]) -> f64 {
        let odds = log_odds(weights, &self.places, self.patterns.len());
        let labels = self.patterns.rows.iter().zip(&self.patterns.frauds);
        let loss: f64 = odds
            .iter()
            .zip(labels)
            .map(|(odds, (rows, frauds))| rows * softplus(*odds) - frauds * odds)
            .sum();
        let squares: f64 = weights[1..].iter().map(|weight| weight * weight).sum();
        let steps = self
            .layout
            .neighbours()
            .map(|(one, other)| weights[other] - weights[one]);
        let rough: f64 = steps.map(|step| step * step).sum();
        loss + (self.penalty.ridge * squares + self.penalty.smoothness * rough) / 2.0
    }

    /// The gradient, and the lower half of the matrix of second derivatives by rows.
    fn derivatives(&self, weights: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let len = self.layout.len;
        let (mut gradient, mut hessian) = (vec![0.0; len], vec![0.0; len * len]);
        let odds = log_odds(weights, &self.places, self.patterns.len());
        let width = self.layout.active.len();
        for (at, odds) in odds.iter().enumerate() {
            let share = 1.0 / (1.0 + libm::exp(-odds));
            let rows = self.patterns.rows[at];
            let (slope, curve) = (rows * share - self.patterns.frauds[at], rows * share * (1.0 - share));
            gradient[0] += slope;
            hessian[0] += curve;
            let own = &self.places[at * width..(at + 1) * width];
            for (nth, place) in own.iter().enumerate() {
                let row = *place as usize;
                gradient[row] += slope;
                hessian[row * len] += curve;
                // Places ascend, so these are in the lower half.
                for other in &own[..=nth] {
                    hessian[row * len + *other as usize] += curve;
                }
            }
        }
        self.penalise(weights, &mut gradient, &mut hessian);
        (gradient, hessian)
    }

    fn penalise(&self, weights: &[f64], gradient: &mut [f64], hessian: &mut [f64]) {
        let len = self.layout.len;
        for at in 1..len {
            gradient[at] += self.penalty.ridge * weights[at];
            hessian[at * len + at] += self.penalty.ridge;
        }
        let smoothness = self.penalty.smoothness;
        for (one, other) in self.layout.neighbours() {
            let pull = smoothness * (weights[other] - weights[one]);
            gradient[other] += pull;
            gradient[one] -= pull;
            hessian[one * len + one] += smoothness;
            hessian[other * len + other] += smoothness;
            hessian[other * len + one] -= smoothness;
        }
    }

    /// Newton's step at these weights.
    fn step(&self, weights: &[f64]) -> Option<Vec<f64>> {
        let (gradient, hessian) = self.derivatives(weights);
        let len = self.layout.len;
        // The decomposition reads the lower half only.
        let matrix = DMatrix::from_row_slice(len, len, &hessian);
        let downhill = DVector::from_iterator(len, gradient.iter().map(|slope| -slope));
        let step = Cholesky::new(matrix)?.solve(&downhill);
        Some(step.iter().copied().collect())
    }
}

/// The weights, natural logarithms, that the patterns give.
pub(super) fn solve(patterns: &Patterns, layout: &Layout, penalty: Penalty) -> Result<Vec<f64>, LearnError> {
    let problem = Problem {
        places: layout.places(patterns),
        patterns,
        layout,
        penalty,
    };
    let share = patterns.frauds_total() / patterns.rows_total();
    let mut weights = vec![0.0; layout.len];
    weights[0] = libm::log(share / (1.0 - share));
    let mut best = problem.objective(&weights);
    for _ in 0..STEPS_MAX {
        let step = problem.step(&weights).ok_or(LearnError::NotSettled { steps: 0 })?;
        let mut length = 1.0;
        let mut next = (best, weights.clone());
        for _ in 0..HALVINGS_MAX {
            let moved: Vec<f64> = weights
                .iter()
                .zip(&step)
                .map(|(weight, step)| weight + length * step)
                .collect();
            let value = problem.objective(&moved);
            if value <= best {
                next = (value, moved);
                break;
            }
            length /= 2.0;
        }
        let gain = best - next.0;
        (best, weights) = next;
        if gain <= GAIN_SHARE_MIN * best.abs() {
            return Ok(weights);
        }
    }
    Err(LearnError::NotSettled { steps: STEPS_MAX })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Row, Table};

    /// Events of two features, by a rule that anybody can repeat.
    fn rows() -> Vec<(Option<f64>, Option<f64>, bool)> {
        let row = |number: u32| {
            let a = (!number.is_multiple_of(7)).then(|| f64::from(number * 31 % 17));
            let b = Some(f64::from(number * 13 % 5));
            (
                a,
                b,
                number * 7919 % 101 < 8 + 3 * (number % 5) + if a.is_none() { 20 } else { 0 },
            )
        };
        (0..1_500).map(row).collect()
    }

    fn edges() -> Vec<Vec<f64>> {
        vec![vec![4.0, 9.0, 13.0], vec![2.0]]
    }

    fn patterns() -> Patterns {
        let mut table = Table::new(["a", "b"]).unwrap();
        for (a, b, fraud) in rows() {
            let row = Row {
                at_ms: 0,
                card: 0,
                amount_minor: 0,
                fraud,
            };
            table.push(row, &[a, b]).unwrap();
        }
        let all: Vec<u32> = (0..table.len() as u32).collect();
        Patterns::new(&table, &all, &edges())
    }

    fn weights(penalty: Penalty) -> Vec<f64> {
        let layout = Layout::new(&[0, 1], &edges());
        solve(&patterns(), &layout, penalty).unwrap()
    }

    /// What is minimised, row by row: weights are the prior, four bins and missing of `a`, two bins and missing of `b`.
    fn objective_naive(weights: &[f64], penalty: Penalty) -> f64 {
        let bin = |edges: &[f64], value: Option<f64>| {
            value.map_or(edges.len() + 1, |value| {
                edges.iter().filter(|edge| value >= **edge).count()
            })
        };
        let loss: f64 = rows()
            .iter()
            .map(|(a, b, fraud)| {
                let odds = weights[0] + weights[1 + bin(&[4.0, 9.0, 13.0], *a)] + weights[6 + bin(&[2.0], *b)];
                (1.0 + if *fraud { -odds } else { odds }.exp()).ln()
            })
            .sum();
        let squares: f64 = weights[1..].iter().map(|weight| weight.powi(2)).sum();
        let pairs = [(1, 2), (2, 3), (3, 4), (6, 7)];
        let rough: f64 = pairs
            .iter()
            .map(|(one, other)| (weights[*one] - weights[*other]).powi(2))
            .sum();
        loss + penalty.ridge / 2.0 * squares + penalty.smoothness / 2.0 * rough
    }

    #[test]
    fn nothing_near_the_solution_is_better_by_the_naive_objective() {
        for (ridge, smoothness) in [(0.01, 0.0), (0.1, 1.0), (3.0, 20.0)] {
            let penalty = Penalty { ridge, smoothness };
            let weights = weights(penalty);
            let best = objective_naive(&weights, penalty);
            for at in 0..weights.len() {
                for by in [-1e-3, 1e-3] {
                    let mut moved = weights.clone();
                    moved[at] += by;
                    assert!(
                        objective_naive(&moved, penalty) > best,
                        "{penalty:?}: weight {at} by {by}"
                    );
                }
            }
        }
    }

    /// scikit-learn 1.9.1: `LogisticRegression(C=1 / ridge, solver="newton-cholesky", tol=1e-14)` on the bins of [`rows`] as
    /// columns of 0 and 1: the intercept, `a` below 4, 9, 13, from 13 on and missing, `b` below 2 and from 2 on.
    #[test]
    fn without_smoothness_it_is_scikit_learns_regression() {
        let expected = [
            (
                0.1,
                [
                    -1.652_372_684_401,
                    -0.060_469_305_327,
                    -0.353_007_885_521,
                    -0.306_792_994_201,
                    -0.221_185_841_972,
                    0.941_456_027_02,
                    -0.189_472_884_726,
                    0.189_472_884_725,
                ],
            ),
            (
                3.0,
                [
                    -1.647_375_457_609,
                    -0.059_110_299_521,
                    -0.332_482_510_518,
                    -0.285_342_294_151,
                    -0.207_361_439_682,
                    0.884_296_543_871,
                    -0.182_609_705_15,
                    0.182_609_705_15,
                ],
            ),
        ];
        for (ridge, expected) in expected {
            let weights = weights(Penalty { ridge, smoothness: 0.0 });
            let off = weights
                .iter()
                .zip(expected)
                .map(|(weight, other)| (weight - other).abs());
            assert!(off.fold(0.0, f64::max) < 1e-8, "{weights:?}");
        }
    }

    #[test]
    fn a_single_binary_feature_has_its_log_odds() {
        let mut table = Table::new(["a"]).unwrap();
        // Below 1: 10 of 1,000. From 1 on: 100 of 300.
        for (count, value, fraud) in [(990, 0.0, false), (10, 0.0, true), (200, 1.0, false), (100, 1.0, true)] {
            for _ in 0..count {
                let row = Row {
                    at_ms: 0,
                    card: 0,
                    amount_minor: 0,
                    fraud,
                };
                table.push(row, &[Some(value)]).unwrap();
            }
        }
        let all: Vec<u32> = (0..table.len() as u32).collect();
        let edges = [vec![1.0]];
        let patterns = Patterns::new(&table, &all, &edges);
        let weak = Penalty {
            ridge: 1e-9,
            smoothness: 0.0,
        };
        let weights = solve(&patterns, &Layout::new(&[0], &edges), weak).unwrap();
        assert!(
            (weights[0] + weights[1] - (10.0_f64 / 990.0).ln()).abs() < 1e-6,
            "{weights:?}"
        );
        assert!((weights[0] + weights[2] - 0.5_f64.ln()).abs() < 1e-6, "{weights:?}");
    }

    #[test]
    fn smoothness_draws_neighbours_together_and_ridge_draws_to_zero() {
        let spread = |penalty| {
            let weights = weights(penalty);
            let steps = weights[1..5]
                .windows(2)
                .map(|pair| (pair[1] - pair[0]).abs())
                .sum::<f64>();
            (steps, weights[1..].iter().map(|weight| weight.abs()).sum::<f64>())
        };
        let (loose, firm) = (0.01, 1_000.0);
        let (free, _) = spread(Penalty {
            ridge: loose,
            smoothness: loose,
        });
        let (smooth, whole) = spread(Penalty {
            ridge: loose,
            smoothness: firm,
        });
        let (_, small) = spread(Penalty {
            ridge: firm,
            smoothness: loose,
        });
        assert!(smooth < free / 10.0, "{free} {smooth}");
        assert!(small < whole / 5.0, "{whole} {small}");
    }

    #[test]
    fn softplus_does_not_overflow() {
        assert_eq!((softplus(1e4), softplus(-1e4)), (1e4, 0.0));
        assert!((softplus(0.0) - std::f64::consts::LN_2).abs() < 1e-15);
    }
}
