//! Hours and days in the zone of a policy: a fixed offset from UTC, so that no list of the world's zones can change what an event was
//! worth (I6).

/// Hours of a day.
pub(crate) const HOURS: usize = 24;
const MS_PER_HOUR: i64 = 3_600_000;
const MS_PER_DAY: i64 = 86_400_000;
/// 1970-01-01 was a Thursday, three days after a Monday.
const FIRST_WEEKDAY: i64 = 3;
/// Saturday, where Monday is 0.
const SATURDAY: i64 = 5;

/// The hour of the day, 0 to 23, of a time (ms since 1970-01-01T00:00:00Z) in a zone so far ahead of UTC.
pub(super) const fn hour_of_day(time_ms: i64, zone_offset_ms: i64) -> usize {
    let hour = time_ms.saturating_add(zone_offset_ms).rem_euclid(MS_PER_DAY) / MS_PER_HOUR;
    // 0 to 23.
    hour as usize
}

/// Whether a time (ms since 1970-01-01T00:00:00Z) is on a Saturday or a Sunday in a zone so far ahead of UTC.
pub(super) const fn is_weekend(time_ms: i64, zone_offset_ms: i64) -> bool {
    let day = time_ms.saturating_add(zone_offset_ms).div_euclid(MS_PER_DAY);
    day.saturating_add(FIRST_WEEKDAY).rem_euclid(7) >= SATURDAY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_and_weekends_are_those_of_the_calendar() {
        // 2026-11-30T23:30:00Z, a Monday; 2026-12-05 is a Saturday.
        let monday_ms = 1_796_081_400_000;
        let at = |days: i64, hours: i64| monday_ms + days * MS_PER_DAY + hours * MS_PER_HOUR;
        assert_eq!(hour_of_day(monday_ms, 0), 23);
        assert_eq!(hour_of_day(monday_ms, 30 * 60_000), 0);
        assert_eq!(hour_of_day(monday_ms, -24 * 60_000 * 60 / 2), 11);
        let weekend: Vec<bool> = (0..8).map(|day| is_weekend(at(day, 0), 0)).collect();
        assert_eq!(weekend, [false, false, false, false, false, true, true, false]);
        // Half an hour before midnight of Friday is Saturday further east, and of Sunday Monday.
        assert!(is_weekend(at(4, 0), MS_PER_HOUR) && !is_weekend(at(6, 0), MS_PER_HOUR));
        // Before 1970, and at the ends of time.
        assert_eq!(hour_of_day(-1, 0), 23);
        assert!(!is_weekend(-1, 0) && is_weekend(2 * MS_PER_DAY, 0));
        assert!(hour_of_day(i64::MAX, MS_PER_HOUR) < HOURS && hour_of_day(i64::MIN, -MS_PER_HOUR) < HOURS);
    }
}
