//! What AWS allows by the second: a shard's or a partition's capacity, as a bucket that holds a second's worth. Pure.

/// A bucket that is full at the start, holds what one second allows, and fills up evenly.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    per_second: u64,
    /// Until when what was taken uses the capacity up, microseconds since 1970-01-01T00:00:00Z.
    used_until_us: i64,
}

const SECOND_US: i64 = 1_000_000;

impl Allowance {
    /// So much a second, at least one.
    #[must_use]
    pub const fn new(per_second: u64) -> Self {
        Self {
            per_second: if per_second == 0 { 1 } else { per_second },
            used_until_us: i64::MIN,
        }
    }

    /// Takes an amount whole, or leaves it: a write is refused when there is not enough for it. An amount over a second's
    /// worth needs the full bucket. The time is in milliseconds since 1970-01-01T00:00:00Z.
    pub fn take(&mut self, amount: u64, now_ms: i64) -> bool {
        let (begins_us, takes_us) = self.use_of(amount, now_ms);
        let fits = begins_us.saturating_add(takes_us.min(SECOND_US)) <= now_us(now_ms).saturating_add(SECOND_US);
        if fits {
            self.used_until_us = begins_us.saturating_add(takes_us);
        }
        fits
    }

    /// Whether there is anything left: what a read will take is known after it only.
    #[must_use]
    pub fn has_any(&self, now_ms: i64) -> bool {
        self.used_until_us < now_us(now_ms).saturating_add(SECOND_US)
    }

    /// Takes an amount whatever is there; what goes beyond has to fill up before there is anything again.
    pub fn draw(&mut self, amount: u64, now_ms: i64) {
        let (begins_us, takes_us) = self.use_of(amount, now_ms);
        self.used_until_us = begins_us.saturating_add(takes_us);
    }

    /// When the use of an amount begins, and how much of the capacity's time it takes, microseconds.
    fn use_of(&self, amount: u64, now_ms: i64) -> (i64, i64) {
        let takes_us = u128::from(amount) * 1_000_000 / u128::from(self.per_second);
        let takes_us = i64::try_from(takes_us).unwrap_or(i64::MAX);
        (self.used_until_us.max(now_us(now_ms)), takes_us)
    }
}

const fn now_us(now_ms: i64) -> i64 {
    now_ms.saturating_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seconds_worth_at_once_and_then_what_the_second_brings() {
        let mut records = Allowance::new(1_000);
        assert_eq!((0..1_500).filter(|_| records.take(1, 5_000)).count(), 1_000);
        assert!(!records.take(1, 5_000));
        assert_eq!((0..1_500).filter(|_| records.take(1, 5_250)).count(), 250);
        assert_eq!(
            (0..1_500).filter(|_| records.take(1, 60_000)).count(),
            1_000,
            "no more is saved up"
        );
    }

    #[test]
    fn an_amount_over_a_seconds_worth_needs_the_full_bucket_and_is_paid_for() {
        let mut bytes = Allowance::new(1_000);
        assert!(bytes.take(3_000, 0));
        assert!(!bytes.take(1, 1_999));
        assert!(bytes.take(1, 2_001));
        assert!(!bytes.take(1_500, 2_500), "not full");
    }

    #[test]
    fn a_large_read_is_paid_for_afterwards() {
        let mut bytes = Allowance::new(2_000_000);
        assert!(bytes.has_any(0));
        bytes.draw(10_000_000, 0);
        assert!(!bytes.has_any(3_999));
        assert!(bytes.has_any(4_001));
    }
}
