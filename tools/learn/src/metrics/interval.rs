//! How far a figure may be off.

use serde::Serialize;

/// The 97.5 % point of the standard normal distribution: intervals hold 95 %.
const NORMAL_POINT: f64 = 1.959_963_984_540_054;

/// Where a figure lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The interval of a share, by E. B. Wilson's score (1927): one of one is from 21 % to 100 %. `None` of nothing.
///
/// Its events are taken for independent; where they come in bouts (a card's, a day's), [`super::intervals`] is wider and right.
#[must_use]
pub fn wilson(hits: u64, trials: u64) -> Option<Interval> {
    if trials == 0 || hits > trials {
        return None;
    }
    let (n, share) = (trials as f64, hits as f64 / trials as f64);
    let square = NORMAL_POINT * NORMAL_POINT;
    let middle = share + square / (2.0 * n);
    let half = NORMAL_POINT * (share * (1.0 - share) / n + square / (4.0 * n * n)).sqrt();
    let scale = 1.0 + square / n;
    Some(Interval {
        // At the ends the formula gives 0 and 1 but for rounding.
        low: if hits == 0 { 0.0 } else { (middle - half) / scale },
        high: if hits == trials { 1.0 } else { (middle + half) / scale },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By SciPy 1.17: `binomtest(hits, trials).proportion_ci(0.95, "wilson")`.
    #[test]
    fn wilson_equals_scipy() {
        for (hits, trials, low, high) in [
            (1, 1, 0.206_549_314_377_237_45, 1.0),
            (0, 10, 0.0, 0.277_532_799_862_889_26),
            (30, 100, 0.218_948_852_949_327_64, 0.395_848_546_333_466_67),
        ] {
            let interval = wilson(hits, trials).unwrap();
            assert!((interval.low - low).abs() < 1e-12, "{interval:?}");
            assert!((interval.high - high).abs() < 1e-12, "{interval:?}");
        }
        assert_eq!((wilson(0, 0), wilson(2, 1)), (None, None));
    }
}
