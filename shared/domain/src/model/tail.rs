//! Tail probabilities as surprise in bits: `-log2 P(at least as extreme)`, never below 0.
//!
//! Elementary functions come from `libm`, so that the bits are the same on every machine.

use std::f64::consts::{LN_2, SQRT_2};

/// Terms of a tail that are summed one by one. One that takes more is that of a busy card: hundreds of events a window, whose
/// terms fall slowly. It is a continued fraction then.
const TAIL_TERMS_MAX: u32 = 256;
/// Steps of the continued fraction: it takes some √k of them, for k events in a window.
const FRACTION_STEPS_MAX: u32 = 4_096;
/// The fraction stands once a step changes it by less than this share.
const FRACTION_SHARE_MIN: f64 = 1e-13;
/// Instead of a denominator of 0.
const FRACTION_TINY: f64 = 1e-300;
/// A term below this share of the sum no longer changes the bits.
const TAIL_TERM_SHARE_MIN: f64 = 1e-9;

/// Surprise of an event of that probability.
pub(super) fn bits(probability: f64) -> f64 {
    (-libm::log2(probability)).max(0.0)
}

/// Upper tail of the standard normal distribution: `Q(z) = erfc(z / √2) / 2`.
pub(super) fn normal(z: f64) -> f64 {
    if z <= 0.0 {
        0.0
    } else {
        bits(0.5 * libm::erfc(z / SQRT_2))
    }
}

/// Upper tail of Student's t with so many degrees of freedom, by Wallace's normal approximation (1959):
/// `z = (8ν + 1) / (8ν + 3) · √(ν · ln(1 + t² / ν))`.
pub(super) fn student(t: f64, freedom: f64) -> f64 {
    if t <= 0.0 {
        return 0.0;
    }
    let z = (8.0 * freedom + 1.0) / (8.0 * freedom + 3.0) * (freedom * libm::log1p(t * t / freedom)).sqrt();
    normal(z)
}

/// `P(N ≥ least)` for a count with that mean whose rate itself varies by a gamma distribution of that shape: the
/// negative binomial, the more like Poisson the greater the shape.
pub(super) fn count(least: u32, mean: f64, shape: f64) -> f64 {
    let k = f64::from(least);
    // A count up to the mean is no surprise, and the series below wants falling terms.
    if k <= mean || mean <= 0.0 {
        return 0.0;
    }
    let odds = mean / (mean + shape);
    let ln_first =
        libm::lgamma(k + shape) - libm::lgamma(shape) - libm::lgamma(k + 1.0) - shape * libm::log1p(mean / shape)
            + k * libm::log(odds);
    tail(ln_first, |step| (k + step + shape) / (k + step + 1.0) * odds)
        .unwrap_or_else(|| incomplete_beta(k, shape, odds, shape / (mean + shape)))
}

/// `P(D ≥ hits)` of so many trials, each a hit with that probability: the binomial tail.
pub(super) fn binomial(hits: u32, trials: u32, probability: f64) -> f64 {
    let (k, n) = (f64::from(hits), f64::from(trials));
    if k <= n * probability || hits > trials {
        return 0.0;
    }
    let ln_first = libm::lgamma(n + 1.0) - libm::lgamma(k + 1.0) - libm::lgamma(n - k + 1.0)
        + k * libm::log(probability)
        + (n - k) * libm::log1p(-probability);
    let odds = probability / (1.0 - probability);
    tail(ln_first, |step| (n - k - step).max(0.0) / (k + step + 1.0) * odds)
        .unwrap_or_else(|| incomplete_beta(k, n - k + 1.0, probability, 1.0 - probability))
}

/// Sums `first · (1 + r0 + r0 r1 + …)` with falling ratios, and gives its bits; `None` when there are too many terms.
fn tail(ln_first: f64, ratio: impl Fn(f64) -> f64) -> Option<f64> {
    let (mut sum, mut term) = (1.0, 1.0);
    for step in 0..TAIL_TERMS_MAX {
        term *= ratio(f64::from(step));
        sum += term;
        if term < sum * TAIL_TERM_SHARE_MIN {
            return Some((-(ln_first + libm::log(sum)) / LN_2).max(0.0));
        }
    }
    None
}

/// Bits of the regularised incomplete beta function `I_x(a, b)`, with `y` = 1 − x: the tail of a negative binomial count,
/// `P(N ≥ k) = I_odds(k, shape)`, and of a binomial one, `P(D ≥ k) = I_p(k, n − k + 1)`.
fn incomplete_beta(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let ln_front = libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b) + a * libm::log(x) + b * libm::log(y);
    if x < (a + 1.0) / (a + b + 2.0) {
        return (-(ln_front + libm::log(fraction(a, b, x) / a)) / LN_2).max(0.0);
    }
    // Near the middle: the other side is no smaller, and nothing is lost by the difference.
    bits(1.0 - libm::exp(ln_front) * fraction(b, a, y) / b)
}

/// The function's continued fraction by Lentz's method (1976), in the form of W. H. Press and others, *Numerical Recipes*.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    let whole = |number: f64| {
        if number.abs() < FRACTION_TINY {
            FRACTION_TINY
        } else {
            number
        }
    };
    let (mut c, mut d) = (1.0, 1.0 / whole(1.0 - (a + b) * x / (a + 1.0)));
    let mut value = d;
    for step in 1..=FRACTION_STEPS_MAX {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let before = value;
        for part in [even, odd] {
            d = 1.0 / whole(1.0 + part * d);
            c = whole(1.0 + part / c);
            value *= c * d;
        }
        if (value - before).abs() < value.abs() * FRACTION_SHARE_MIN {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tail by summing everything below it, the other way round.
    fn count_naive(least: u32, mean: f64, shape: f64) -> f64 {
        let odds = mean / (mean + shape);
        let mut term = (1.0 - odds).powf(shape);
        let mut below = 0.0;
        for k in 0..least {
            below += term;
            term *= (f64::from(k) + shape) / (f64::from(k) + 1.0) * odds;
        }
        -(1.0 - below).log2()
    }

    /// Tails of busy cards, summed to their end.
    #[test]
    fn a_tail_of_many_terms_is_the_sum_of_all_of_them() {
        let sum = |ln_first: f64, ratio: &dyn Fn(f64) -> f64| {
            let (mut sum, mut term, mut step) = (1.0, 1.0, 0.0);
            while term > sum * 1e-17 {
                term *= ratio(step);
                (sum, step) = (sum + term, step + 1.0);
            }
            -(ln_first + libm::log(sum)) / LN_2
        };
        let mut slow = 0;
        for mean in [300.0, 2_500.0, 14_000.0] {
            for shape in [2.1, 4.0, 30.0] {
                for share in [1.01, 1.3, 2.0, 6.0, 20.0] {
                    let (least, odds) = (libm::round(mean * share), mean / (mean + shape));
                    let ln_first = libm::lgamma(least + shape)
                        - libm::lgamma(shape)
                        - libm::lgamma(least + 1.0)
                        - shape * libm::log1p(mean / shape)
                        + least * libm::log(odds);
                    let ratio = |step: f64| (least + step + shape) / (least + step + 1.0) * odds;
                    let (found, whole) = (count(least as u32, mean, shape), sum(ln_first, &ratio));
                    slow += u32::from(tail(ln_first, ratio).is_none());
                    assert!(
                        (found - whole.max(0.0)).abs() < 1e-7,
                        "{least} {mean} {shape}: {found} {whole}"
                    );
                }
            }
        }
        for (n, p) in [(20_000.0_f64, 0.02_f64), (100_000.0, 0.3), (100_000.0, 0.6)] {
            for sigmas in [0.1_f64, 1.0, 4.0, 9.0] {
                let k = libm::round(n * p + sigmas * (n * p * (1.0 - p)).sqrt());
                let ln_first = libm::lgamma(n + 1.0) - libm::lgamma(k + 1.0) - libm::lgamma(n - k + 1.0)
                    + k * libm::log(p)
                    + (n - k) * libm::log1p(-p);
                let ratio = |step: f64| (n - k - step).max(0.0) / (k + step + 1.0) * p / (1.0 - p);
                let (found, whole) = (binomial(k as u32, n as u32, p), sum(ln_first, &ratio));
                slow += u32::from(tail(ln_first, ratio).is_none());
                assert!((found - whole).abs() < 1e-7, "{k} of {n}, {p}: {found} {whole}");
            }
        }
        assert!(slow > 20, "only {slow} tails have many terms");
    }

    #[test]
    fn count_equals_the_naive_sum() {
        for mean in [0.01, 0.3, 1.0, 4.5, 30.0] {
            for shape in [0.5, 1.0, 2.1, 16.0, 1e4] {
                for least in 1..60 {
                    let (fast, naive) = (count(least, mean, shape), count_naive(least, mean, shape));
                    // Beyond 25 bits the naive sum has lost its digits.
                    if f64::from(least) > mean && naive < 25.0 {
                        assert!((fast - naive).abs() < 1e-3, "{least} {mean} {shape}: {fast} {naive}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_great_shape_is_poisson() {
        // P(N >= 5 | 1) = 0.00365985 (tables of the Poisson distribution).
        assert!((count(5, 1.0, 1e7) - bits(0.003_659_85)).abs() < 1e-4);
    }

    #[test]
    fn binomial_equals_the_naive_sum() {
        for trials in 1..30_u32 {
            for hits in 1..=trials {
                for p in [0.01_f64, 0.05, 0.3] {
                    let mut upper = 0.0;
                    for k in hits..=trials {
                        let ways = (0..k).fold(1.0, |ways, i| ways * f64::from(trials - i) / f64::from(i + 1));
                        upper += ways * p.powi(k as i32) * (1.0 - p).powi((trials - k) as i32);
                    }
                    if f64::from(hits) > f64::from(trials) * p {
                        let fast = binomial(hits, trials, p);
                        assert!((fast + upper.log2()).abs() < 1e-6, "{hits} of {trials} at {p}: {fast}");
                    }
                }
            }
        }
    }

    #[test]
    fn normal_and_student_equal_their_tables() {
        for (z, probability) in [(1.0, 0.158_655), (1.959_964, 0.025), (3.090_232, 0.001)] {
            assert!((normal(z) - bits(probability)).abs() < 1e-4);
        }
        // Upper 5 % and 0.5 % points of t; Wallace's error stays below a tenth of a bit.
        for (t, freedom, probability) in [(2.132, 4.0, 0.05), (1.812, 10.0, 0.05), (3.169, 10.0, 0.005)] {
            assert!((student(t, freedom) - bits(probability)).abs() < 0.1);
        }
    }

    #[test]
    fn extremes_are_numbers() {
        assert_eq!(normal(1e9), f64::INFINITY);
        assert!(count(400, 1e-9, 1e-3).is_finite());
        assert!(count(400, 399.0, 1e6).is_finite());
        assert!(binomial(400, 400, 1e-9) > 1000.0);
    }
}
