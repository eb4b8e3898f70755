//! What alerts find at every score that they could begin at.

use super::rank::Sample;

/// What happens when every event with at least this score is an alert.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// The score.
    pub threshold: f64,
    /// Alerts.
    pub alerts: u64,
    /// Alerts that are fraud.
    pub found: u64,
    /// Their amounts, base minor units.
    pub found_minor: u64,
}

impl Sample<'_> {
    /// One point for each score that occurs, from the highest down.
    #[must_use]
    pub fn curve(&self) -> Vec<CurvePoint> {
        let mut points: Vec<CurvePoint> = Vec::new();
        let (mut alerts, mut found, mut found_minor) = (0, 0, 0_u64);
        for at in &self.ranked.order {
            let case = &self.ranked.cases[*at as usize];
            let copies = self.copies(*at);
            alerts += copies;
            if case.fraud {
                found += copies;
                found_minor = found_minor.saturating_add(case.amount_minor.saturating_mul(copies));
            }
            let point = CurvePoint {
                threshold: case.score,
                alerts,
                found,
                found_minor,
            };
            match points.last_mut().filter(|last| last.threshold == case.score) {
                Some(last) => *last = point,
                None => points.push(point),
            }
        }
        points
    }
}
