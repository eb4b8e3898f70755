//! When a record arrived, in whole milliseconds: one rounding for everybody who reads a record.
//!
//! Kinesis and Lambda give the time as seconds with a fraction, which a double can't hold exactly for half of all
//! milliseconds: 1545084650.987 comes out as 1545084650.98699998…. Whoever cuts it off is a millisecond early, and the same
//! record would be another one on another path. So the time is rounded to the nearest millisecond, and only here.

use aws_smithy_types::DateTime;

/// Seconds of the year 9999's end, since 1970-01-01T00:00:00Z.
const SECONDS_MAX: f64 = 253_402_300_799.0;
const NANOS_PER_MS: i64 = 1_000_000;

/// The nearest millisecond since 1970-01-01T00:00:00Z of a time as the SDK gives it; `None` where it is out of range.
#[must_use]
pub fn arrival_ms(time: &DateTime) -> Option<i64> {
    let of_second = (i64::from(time.subsec_nanos()) + NANOS_PER_MS / 2) / NANOS_PER_MS;
    time.secs().checked_mul(1_000)?.checked_add(of_second)
}

/// The same for a time as Lambda's event gives it: seconds since 1970-01-01T00:00:00Z, with a fraction. `None` where it is
/// no time from 1970 to 9999.
#[must_use]
pub fn arrival_ms_of_seconds(seconds: f64) -> Option<i64> {
    // By way of the SDK's own reading of such a number, so that both can't but agree.
    let in_range = (0.0..=SECONDS_MAX).contains(&seconds);
    in_range.then(|| arrival_ms(&DateTime::from_secs_f64(seconds)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_millisecond_comes_back_as_it_was() {
        for base_ms in [0, 999, 1_545_084_650_000, 1_795_399_200_000, 253_402_300_000_000] {
            for ms in base_ms..base_ms + 2_000 {
                let text = format!("{}.{:03}", ms / 1_000, ms % 1_000);
                let seconds: f64 = text.parse().unwrap();
                let unpacked = tidemark_redrive::object::arrival_ms_of_payload(seconds);
                assert_eq!(unpacked, Some(ms), "a redrive from a payload");
                assert_eq!(
                    arrival_ms_of_seconds(seconds),
                    Some(ms).filter(|_| seconds <= SECONDS_MAX),
                    "{text}"
                );
                assert_eq!(arrival_ms(&DateTime::from_millis(ms)), Some(ms));
            }
        }
    }

    #[test]
    fn finer_times_are_rounded_alike_whoever_reads_them() {
        for micros in (0..2_000_000_i64).step_by(37) {
            let text = format!("1545084650.{micros:06}");
            let seconds: f64 = if micros < 1_000_000 {
                text.parse().unwrap()
            } else {
                continue;
            };
            assert_eq!(
                arrival_ms_of_seconds(seconds),
                arrival_ms(&DateTime::from_secs_f64(seconds)),
                "{text}"
            );
        }
        assert_eq!(arrival_ms(&DateTime::from_secs_and_nanos(7, 999_500_000)), Some(8_000));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for seconds in [-1.0, -0.001, f64::NAN, f64::INFINITY, 1e300] {
            assert_eq!(arrival_ms_of_seconds(seconds), None);
        }
        assert_eq!(arrival_ms(&DateTime::from_secs(i64::MAX)), None);
    }
}
