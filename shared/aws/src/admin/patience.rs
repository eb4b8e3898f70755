//! How a tool's reads outlive what passes: throttles, failures of a service, lost answers, iterators that grew too old.
//!
//! One budget a call and growing waits with jitter; and a pace, so that a tool never takes a whole shard from those who live off
//! it. Without patience (the default) a call is tried once and nothing is paced: for what drives a local AWS itself.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tidemark_engine::port::{Clock, PortError};
use tidemark_engine::retry::Backoff;

use super::{Admin, AdminError};
use crate::clock::SystemClock;

/// How long one read waits for a failure to pass, all its waits together, in milliseconds.
pub const READ_BUDGET_MS: u64 = 30_000;
/// The wait before the second try of a read, in milliseconds. It doubles up to [`READ_BACKOFF_MAX_MS`]; half of it is jitter.
pub const READ_BACKOFF_FIRST_MS: u64 = 200;
/// The longest wait between two tries of a read, in milliseconds.
pub const READ_BACKOFF_MAX_MS: u64 = 5_000;
/// The waits between the tries of a read. Half of each is by chance: many tools that were refused together do not come back together.
const BACKOFF: Backoff = Backoff::new(READ_BACKOFF_FIRST_MS, READ_BACKOFF_MAX_MS);
/// From so long a wait on it is told, in milliseconds.
pub const WAIT_TOLD_MS: u64 = 1_000;
/// Reads of one shard within a second, at most: Kinesis gives five, to all who read the shard, and the function's mapping takes one.
pub const SHARD_READS_PER_SECOND: usize = 4;
/// Bytes a second of one shard, all its readers together (Kinesis's limit): a page is followed by the time that it takes.
pub const SHARD_BYTES_PER_SECOND: u64 = 2 * 1024 * 1024;
/// New iterators for one read, in place of ones that had expired.
pub(super) const ITERATORS_MAX: u32 = 3;

const MS_PER_S: u64 = 1_000;

/// A wait of a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// What it waits for, in words.
    pub why: String,
    /// How long it waits now, in milliseconds.
    pub wait_ms: u64,
    /// How long it would wait afterwards before it gives up, in milliseconds; `None`: it does not give up for this.
    pub left_ms: Option<u64>,
}

/// Who hears of waits.
type Told = Box<dyn Fn(&Waiting) + Send + Sync>;

/// Patience of a tool's reads; none by default. Cheap to clone: clones share their pace.
#[derive(Clone, Default)]
pub(super) struct Patience(Option<Arc<Inner>>);

struct Inner {
    budget_ms: u64,
    told: Told,
    clock: SystemClock,
    paces: Mutex<BTreeMap<(String, String), Pace>>,
}

impl fmt::Debug for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let budget_ms = self.0.as_ref().map(|inner| inner.budget_ms);
        f.debug_struct("Patience").field("budget_ms", &budget_ms).finish()
    }
}

impl Admin {
    /// The same tool with patience: each read is tried again for up to `budget_ms` of waiting while its failure may pass, takes a new
    /// iterator in place of an expired one, and keeps to a shard's pace. `told` hears of waits from [`WAIT_TOLD_MS`] on.
    ///
    /// Writes are still tried once: whether one may be repeated is for the caller to say.
    #[must_use]
    pub fn patient(mut self, budget_ms: u64, told: impl Fn(&Waiting) + Send + Sync + 'static) -> Self {
        self.patience = Patience(Some(Arc::new(Inner {
            budget_ms,
            told: Box::new(told),
            clock: SystemClock::new(),
            paces: Mutex::default(),
        })));
        self
    }

    /// Makes a call that may be repeated, until it succeeds, fails for good, or the budget is used up.
    pub(super) async fn patiently<T, F, Fut>(&self, call: F) -> Result<T, AdminError>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<T, AdminError>>,
    {
        let Some(inner) = &self.patience.0 else {
            return call().await;
        };
        let mut tries = Tries::default();
        loop {
            let error = match call().await {
                Err(error) if error.is_transient() => error,
                other => return other,
            };
            let Some(wait_ms) = tries.next_wait_ms(inner.budget_ms, inner.clock.random()) else {
                return Err(tries.given_up(error));
            };
            if tries.waited_ms >= WAIT_TOLD_MS {
                (inner.told)(&Waiting {
                    why: error.to_string(),
                    wait_ms,
                    left_ms: Some(inner.budget_ms.saturating_sub(tries.waited_ms)),
                });
            }
            inner.clock.sleep_ms(wait_ms).await;
        }
    }

    /// Waits until a shard may be read again.
    pub(super) async fn pace(&self, stream: &str, shard_id: &str) {
        let Some(inner) = &self.patience.0 else { return };
        loop {
            let now_ms = inner.clock.now_ms();
            let wait_ms = inner.with_pace(stream, shard_id, |pace| pace.admit(now_ms));
            if wait_ms == 0 {
                return;
            }
            if wait_ms >= WAIT_TOLD_MS {
                (inner.told)(&Waiting {
                    why: format!("{stream} {shard_id}: a shard gives 2 MB and five reads a second to all its readers"),
                    wait_ms,
                    left_ms: None,
                });
            }
            inner.clock.sleep_ms(wait_ms).await;
        }
    }

    /// Notes what a read took of a shard.
    pub(super) fn took(&self, stream: &str, shard_id: &str, bytes: u64) {
        if let Some(inner) = &self.patience.0 {
            let now_ms = inner.clock.now_ms();
            inner.with_pace(stream, shard_id, |pace| pace.took(now_ms, bytes));
        }
    }

    /// Whether its reads are patient.
    pub(super) fn is_patient(&self) -> bool {
        self.patience.0.is_some()
    }
}

impl Inner {
    fn with_pace<T>(&self, stream: &str, shard_id: &str, use_it: impl FnOnce(&mut Pace) -> T) -> T {
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        use_it(paces.entry((stream.to_owned(), shard_id.to_owned())).or_default())
    }
}

/// How often a call has failed, and how long was waited for it.
#[derive(Clone, Copy, Debug, Default)]
struct Tries {
    failed: u32,
    waited_ms: u64,
}

impl Tries {
    /// Notes a failure: how long to wait before the next try, in milliseconds; `None` when the budget is used up.
    fn next_wait_ms(&mut self, budget_ms: u64, random: u64) -> Option<u64> {
        self.failed += 1;
        let left_ms = budget_ms.saturating_sub(self.waited_ms);
        if left_ms == 0 {
            return None;
        }
        let wait_ms = BACKOFF.equal_jitter_ms(self.failed, random).min(left_ms);
        self.waited_ms += wait_ms;
        Some(wait_ms)
    }

    /// The last failure, and how much was tried.
    fn given_up(self, error: AdminError) -> AdminError {
        let AdminError::Call(error) = error else { return error };
        let seconds = self.waited_ms / MS_PER_S;
        let said = |text: String| format!("{text}; tried {} times in {seconds} s", self.failed);
        AdminError::Call(match error {
            PortError::Throttled(text) => PortError::Throttled(said(text)),
            PortError::Timeout(text) => PortError::Timeout(said(text)),
            PortError::Unavailable(text) => PortError::Unavailable(said(text)),
            PortError::Permanent(text) => PortError::Permanent(text),
        })
    }
}

/// The reads of one shard within the last second, and until when its bytes are used up.
#[derive(Debug, Default)]
struct Pace {
    reads_ms: VecDeque<i64>,
    bytes_until_ms: i64,
}

impl Pace {
    /// Takes a place for a read now, and answers 0; or answers how long to wait before asking again, in milliseconds.
    fn admit(&mut self, now_ms: i64) -> u64 {
        let second = MS_PER_S.cast_signed();
        // A clock that was set back must not hold anybody up.
        while self
            .reads_ms
            .front()
            .is_some_and(|at_ms| !(0..second).contains(&(now_ms - at_ms)))
        {
            self.reads_ms.pop_front();
        }
        let for_bytes_ms = self.bytes_until_ms - now_ms;
        let for_reads_ms = match self.reads_ms.front() {
            Some(first_ms) if self.reads_ms.len() >= SHARD_READS_PER_SECOND => first_ms + second - now_ms,
            _ => 0,
        };
        let wait_ms = u64::try_from(for_bytes_ms.max(for_reads_ms)).unwrap_or(0);
        if wait_ms == 0 {
            self.reads_ms.push_back(now_ms);
        }
        wait_ms
    }

    /// A page of so many bytes was read: the shard's next one waits for as long as they take.
    fn took(&mut self, now_ms: i64, bytes: u64) {
        let takes_ms = bytes.saturating_mul(MS_PER_S) / SHARD_BYTES_PER_SECOND;
        self.bytes_until_ms = now_ms.saturating_add_unsigned(takes_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_with_jitter_and_end_with_the_budget() {
        for random in [0, u64::MAX, 77_777_777] {
            let mut tries = Tries::default();
            let mut waits = Vec::new();
            while let Some(wait_ms) = tries.next_wait_ms(READ_BUDGET_MS, random) {
                waits.push(wait_ms);
            }
            assert_eq!(waits.iter().sum::<u64>(), READ_BUDGET_MS, "{waits:?}");
            assert!(
                (100..=200).contains(&waits[0]) && (200..=400).contains(&waits[1]),
                "{waits:?}"
            );
            assert!(waits.iter().all(|wait_ms| *wait_ms <= READ_BACKOFF_MAX_MS), "{waits:?}");
            assert!(waits.len() >= 8, "{waits:?}");
        }
        let mut none = Tries::default();
        assert_eq!(none.next_wait_ms(0, 1), None, "no budget: once");
        let error = AdminError::Call(PortError::Throttled("GetRecords: SlowDown (HTTP 400)".to_owned()));
        let text = none.given_up(error).to_string();
        assert!(text.ends_with("tried 1 times in 0 s"), "{text}");
    }

    #[test]
    fn a_shard_is_read_four_times_a_second_at_most() {
        let mut pace = Pace::default();
        let mut now_ms = 1_000;
        let mut read_at = Vec::new();
        for _ in 0..20 {
            loop {
                match pace.admit(now_ms) {
                    0 => break,
                    wait_ms => now_ms += wait_ms.cast_signed(),
                }
            }
            read_at.push(now_ms);
            now_ms += 10;
        }
        for from in &read_at {
            let within = read_at.iter().filter(|at| (*from..*from + 1_000).contains(at)).count();
            assert!(within <= SHARD_READS_PER_SECOND, "{read_at:?}");
        }
        assert!(read_at[19] - read_at[0] < 5_000, "and no slower than that: {read_at:?}");
        assert_eq!(pace.admit(0), 0, "a clock that was set back holds nobody up");
    }

    #[test]
    fn a_page_is_followed_by_the_time_that_its_bytes_take() {
        let mut pace = Pace::default();
        assert_eq!(pace.admit(0), 0);
        pace.took(100, 10 * 1024 * 1024);
        assert_eq!(pace.admit(100), 5_000, "10 MB are five seconds of a shard");
        assert_eq!(pace.admit(5_100), 0);
        pace.took(5_100, 0);
        assert_eq!(pace.admit(5_101), 0, "an empty page costs no bytes");
    }
}
