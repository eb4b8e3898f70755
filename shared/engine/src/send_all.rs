//! Sending many items through a port that may take some of them: in portions, paced to what the service takes, until all are
//! taken or it is too late.

use std::collections::VecDeque;
use std::future::Future;

use crate::call::BatchContext;
use crate::config::{SEND_BACKOFF_BASE_MS, SEND_BACKOFF_CAP_MS};
use crate::port::{Clock, PortError};
use crate::portion::{CallLimit, next_portion};
use crate::report::Returned;
use crate::retry::{Backoff, ends_ms};

/// The pauses between calls that are throttled. Limits count by the second: in the upper half of this range, so many calls as
/// may take nothing one after the other always span one.
const BACKOFF: Backoff = Backoff::new(SEND_BACKOFF_BASE_MS, SEND_BACKOFF_CAP_MS);

/// Items that were not sent.
pub(crate) struct NotSent {
    /// Their indexes, ascending.
    items: Vec<usize>,
    /// What kept them from being sent.
    why: Why,
}

/// Why items were not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// It was too late.
    TooLate,
    /// The service refused for good.
    Refused,
    /// The service did not take them.
    Failed,
}

impl NotSent {
    fn new<T>(left: &VecDeque<(usize, T)>, why: Why) -> Self {
        let mut items: Vec<usize> = left.iter().map(|(at, _)| *at).collect();
        items.sort_unstable();
        Self { items, why }
    }

    /// Whether all were sent.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether the service refused for good.
    pub(crate) fn is_refused(&self) -> bool {
        !self.is_empty() && self.why == Why::Refused
    }

    /// Why an item was not sent; `None`: it was.
    pub(crate) fn of(&self, item: usize, otherwise: Returned) -> Option<Returned> {
        self.items
            .binary_search(&item)
            .is_ok()
            .then_some(if self.why == Why::TooLate {
                Returned::Deadline
            } else {
                otherwise
            })
    }
}

/// How the calls went so far.
#[derive(Debug, Default)]
struct Pace {
    /// Calls in a row that did not take all they were given.
    short: u32,
    /// Calls in a row that took nothing.
    fruitless: u32,
    /// Whether any call took anything.
    took_some: bool,
}

impl Pace {
    /// Notes what a call took of its items.
    fn note(&mut self, taken: usize, given: usize) {
        self.took_some |= taken > 0;
        self.short = if taken == given { 0 } else { self.short + 1 };
        self.fruitless = if taken > 0 { 0 } else { self.fruitless + 1 };
    }

    /// The pause after a call that was throttled, milliseconds.
    fn pause_ms(&self, random: u64) -> u64 {
        BACKOFF.equal_jitter_ms(self.short, random)
    }
}

/// Sends items, and those again that were not taken, until all are or it is too late: `until_ms`, milliseconds since
/// 1970-01-01T00:00:00Z. A call that took anything is progress: only calls in a row that took nothing count as attempts.
pub(crate) async fn send_all<T, C, F, R>(
    context: &BatchContext<'_, C>,
    until_ms: i64,
    limit: &CallLimit<T>,
    items: Vec<T>,
    call: F,
) -> NotSent
where
    C: Clock,
    F: Fn(Vec<T>) -> R,
    R: Future<Output = (Result<Vec<usize>, PortError>, Vec<T>)>,
{
    let mut left: VecDeque<(usize, T)> = items.into_iter().enumerate().collect();
    let mut pace = Pace::default();
    while !left.is_empty() {
        if context.clock.now_ms() >= until_ms {
            return NotSent::new(&left, Why::TooLate);
        }
        let (places, portion) = next_portion(&mut left, limit);
        let given = places.len();
        let (answer, portion) = call(portion).await;
        let (not_taken, error) = match answer {
            // Kinesis and SQS leave items out when they are throttled.
            Ok(not_taken) => (Some(not_taken), PortError::Throttled("items were not taken".to_owned())),
            Err(error) => (None, error),
        };
        let returned = put_back(&mut left, places, portion, not_taken.as_deref());
        pace.note(given - returned, given);
        if returned == 0 {
            continue;
        }
        let may_go_on = pace.fruitless < context.config.attempts_max;
        let until_ms = if may_go_on { until_ms } else { i64::MIN };
        let pause = match &error {
            PortError::Throttled(_) => pause_throttled(context, &pace, until_ms),
            _ => context.pause_after(Some(&error), pace.fruitless, until_ms),
        };
        let Some(pause_ms) = pause else {
            let why = match &error {
                PortError::Permanent(_) => Why::Refused,
                // A service that takes some at a time was only too slow for this batch's time.
                PortError::Throttled(_) if may_go_on && pace.took_some => Why::TooLate,
                _ => Why::Failed,
            };
            return NotSent::new(&left, why);
        };
        context.clock.sleep_ms(pause_ms).await;
    }
    NotSent::new(&left, Why::Failed)
}

/// Counts a call that was throttled, wholly or in part; the pause after it, unless it would end too late.
fn pause_throttled<C: Clock>(context: &BatchContext<'_, C>, pace: &Pace, until_ms: i64) -> Option<u64> {
    let mut report = context.report();
    report.throttles += 1;
    let pause_ms = pace.pause_ms(context.clock.random());
    if ends_ms(context.clock.now_ms(), pause_ms) >= until_ms {
        return None;
    }
    report.retries += 1;
    Some(pause_ms)
}

/// Puts items that were not taken, given by their place in the portion, back to the front in their order; `None`: all of them.
/// Answers how many.
fn put_back<T>(
    left: &mut VecDeque<(usize, T)>,
    places: Vec<usize>,
    portion: Vec<T>,
    not_taken: Option<&[usize]>,
) -> usize {
    let mut keep = vec![not_taken.is_none(); places.len()];
    for at in not_taken.unwrap_or_default() {
        // An index that was never asked for says nothing.
        if let Some(slot) = keep.get_mut(*at) {
            *slot = true;
        }
    }
    let mut returned = 0;
    for ((place, item), keep) in places.into_iter().zip(portion).zip(keep).rev() {
        if keep {
            left.push_front((place, item));
            returned += 1;
        }
    }
    returned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_taken_comes_first_and_in_order() {
        let mut left: VecDeque<(usize, &str)> = VecDeque::from([(7, "h")]);
        let returned = put_back(&mut left, vec![3, 4, 5], vec!["d", "e", "f"], Some(&[2, 0, 99]));
        assert_eq!(
            (returned, left.iter().map(|(at, _)| *at).collect::<Vec<_>>()),
            (2, vec![3, 5, 7])
        );
        assert_eq!(put_back(&mut left, vec![1, 2], vec!["b", "c"], None), 2);
        assert_eq!(left, [(1, "b"), (2, "c"), (3, "d"), (5, "f"), (7, "h")]);
    }

    #[test]
    fn six_calls_that_take_nothing_span_a_second() {
        let mut pace = Pace::default();
        let mut least_ms = 0;
        for _ in 1..6 {
            pace.note(0, 5);
            least_ms += pace.pause_ms(0);
            assert!(pace.pause_ms(u64::MAX) <= SEND_BACKOFF_CAP_MS);
        }
        assert!(least_ms > 1_000, "{least_ms}");
        pace.note(1, 5);
        assert_eq!((pace.fruitless, pace.short), (0, 6));
        pace.note(5, 5);
        assert_eq!(pace.short, 0);
    }
}
