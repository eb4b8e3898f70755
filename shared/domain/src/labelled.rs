//! The labelled history of a key beyond the card: which events of a merchant, a device … labels have called fraud.
//!
//! It is a set that only grows: a label that comes twice, or in another order, leaves it as it is. So a label may be delivered
//! any number of times, and the conditional write of the item is all that it needs. A label counts for an event from the time
//! on since which it is known, whenever it came: [`LabelledHistory::as_of`] is a pure function of the set and the time, so that
//! the live path, a file and a redrive agree (I6).

pub mod codec;

use crate::event::Verdict;
use crate::id::{CardId, EventId, fingerprint64};

const MS_PER_DAY: i64 = 86_400_000;

/// The most labels that one key keeps, those of the newest events: 512 labels are 13 KB, four read units at most. A merchant
/// with more frauds than that is past telling apart; what was forgotten is counted.
pub const LABELS_MAX: usize = 512;
/// How far behind its newest event a key keeps a labelled event, ms: a year, three times the longest window.
pub const LABELLED_MS: i64 = 365 * MS_PER_DAY;

/// One label of one event, as a key keeps it. The order of the fields is that of the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelledEvent {
    /// Event time, milliseconds since 1970-01-01T00:00:00Z.
    pub time_ms: i64,
    /// Which event: [`event_identity`].
    pub event: u64,
    /// Since when the verdict is known, milliseconds since 1970-01-01T00:00:00Z.
    pub known_since_ms: i64,
    /// What was found.
    pub verdict: Verdict,
    /// Whether the card's own features alone made the event improbable; `None`: the card has forgotten the event.
    pub explained: Option<bool>,
}

impl LabelledEvent {
    /// What orders events (time in ms, identity): all labels of one event stand together.
    #[must_use]
    pub const fn event_key(&self) -> (i64, u64) {
        (self.time_ms, self.event)
    }

    /// Whether it is the other label but for what its card could say of the event.
    fn is_less_of(&self, other: &Self) -> bool {
        self.explained.is_none()
            && Self {
                explained: other.explained,
                ..*self
            } == *other
    }
}

/// What stands for an event in the histories of keys: XXH3-64 of its card and id, a line feed between. Persisted.
#[must_use]
pub fn event_identity(card: &CardId, event: &EventId) -> u64 {
    // No identifier holds a line feed.
    fingerprint64(&format!("{card}\n{event}"))
}

/// What adding a label did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is part of the set now.
    Now,
    /// It was part of the set.
    Already,
    /// Its event is older than those that the key still keeps.
    Forgotten,
    /// It says `cleared` of an event that no label of the set calls fraud: there is nothing to take back.
    NeverFraud,
}

/// The labelled history of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelledHistory {
    /// In order, each once.
    labels: Vec<LabelledEvent>,
    /// Labels that were part of the set and are kept no more.
    forgotten: u64,
    /// The newest event (time and identity) of those.
    floor: Option<(i64, u64)>,
}

impl LabelledHistory {
    /// The labels, by event time.
    #[must_use]
    pub fn labels(&self) -> &[LabelledEvent] {
        &self.labels
    }

    /// Labels that were part of the set and are kept no more.
    #[must_use]
    pub const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Labels that the set ever took. It grows with every change: a writer names it as what it read (I5).
    #[must_use]
    pub fn version(&self) -> u64 {
        self.forgotten + self.labels.len() as u64
    }

    /// The newest event's time, milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn newest_ms(&self) -> Option<i64> {
        self.labels.last().map(|label| label.time_ms)
    }

    /// Learns what the record of a label says: frauds first, then what takes them back. A label that says `cleared` enters only where
    /// one that says `fraud` of its event is there: a key keeps what was ever called fraud. A label that comes again after its card has
    /// forgotten the event is the one that is there. What became of each, in their order.
    pub fn learn(&mut self, labels: &[LabelledEvent]) -> Vec<Added> {
        let mut added = vec![Added::NeverFraud; labels.len()];
        for verdict in [Verdict::Fraud, Verdict::Cleared] {
            let of_verdict = labels
                .iter()
                .zip(&mut added)
                .filter(|(label, _)| label.verdict == verdict);
            for (label, added) in of_verdict {
                let kept = self.of_event(label.event_key());
                let is_fraud = |other: &LabelledEvent| other.verdict == Verdict::Fraud;
                *added = if kept.iter().any(|other| label.is_less_of(other)) {
                    Added::Already
                } else if is_fraud(label) || kept.iter().any(is_fraud) {
                    self.add(*label)
                } else {
                    Added::NeverFraud
                };
            }
        }
        added
    }

    /// The labels of one event.
    #[must_use]
    pub fn of_event(&self, event: (i64, u64)) -> &[LabelledEvent] {
        let from = self.labels.partition_point(|label| label.event_key() < event);
        let until = self.labels.partition_point(|label| label.event_key() <= event);
        &self.labels[from..until]
    }

    /// Adds a label, and forgets the oldest events beyond the limits.
    pub fn add(&mut self, label: LabelledEvent) -> Added {
        if self.is_forgotten(label.event_key()) {
            return Added::Forgotten;
        }
        match self.labels.binary_search(&label) {
            Ok(_) => Added::Already,
            Err(at) => {
                self.labels.insert(at, label);
                self.forget();
                Added::Now
            }
        }
    }

    /// Whole events go, never some labels of one: half of them would say something else.
    fn forget(&mut self) {
        let oldest_ms = self
            .newest_ms()
            .map_or(i64::MIN, |newest| newest.saturating_sub(LABELLED_MS));
        while let Some(first) = self.labels.first().map(LabelledEvent::event_key) {
            if self.labels.len() <= LABELS_MAX && first.0 >= oldest_ms {
                return;
            }
            let of_event = self.labels.partition_point(|label| label.event_key() <= first);
            self.labels.drain(..of_event);
            self.forgotten += of_event as u64;
            self.floor = Some(first);
        }
    }

    /// Whether an event (time in ms, identity) is past what is kept.
    #[must_use]
    pub fn is_forgotten(&self, event: (i64, u64)) -> bool {
        self.floor.is_some_and(|floor| event <= floor)
    }

    /// What was known as of a time (ms since 1970-01-01T00:00:00Z) of the events before it.
    #[must_use]
    pub const fn as_of(&self, time_ms: i64) -> AsOf<'_> {
        AsOf { history: self, time_ms }
    }
}

/// What is known of a key for an event.
#[derive(Clone, Copy, Debug, Default)]
pub enum KeyInput<'a> {
    /// The event does not name one, or it was left out on purpose.
    #[default]
    Unnamed,
    /// Its labelled history.
    Known(&'a LabelledHistory),
    /// No label has come for it yet.
    Absent,
    /// It could not be read.
    Unavailable,
}

impl<'a> KeyInput<'a> {
    /// What was known as of a time (ms since 1970-01-01T00:00:00Z); `None` where the key could not be read.
    #[must_use]
    pub const fn as_of(self, time_ms: i64) -> Option<AsOf<'a>> {
        static EMPTY: LabelledHistory = LabelledHistory {
            labels: Vec::new(),
            forgotten: 0,
            floor: None,
        };
        match self {
            Self::Known(history) => Some(history.as_of(time_ms)),
            Self::Absent => Some(EMPTY.as_of(time_ms)),
            Self::Unnamed | Self::Unavailable => None,
        }
    }
}

/// A labelled history as it was known at a time.
#[derive(Clone, Copy, Debug)]
pub struct AsOf<'h> {
    history: &'h LabelledHistory,
    time_ms: i64,
}

/// Frauds in a row that their cards did not explain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FraudRun {
    /// How many.
    pub frauds: u32,
    /// Time of the first, milliseconds since 1970-01-01T00:00:00Z.
    pub first_ms: i64,
    /// Time of the last, milliseconds since 1970-01-01T00:00:00Z.
    pub last_ms: i64,
}

impl<'h> AsOf<'h> {
    /// How many labels were known: what an outcome names as this input's version. Labels that came later but were known
    /// before count, since whoever scores again finds them, too. One that the key has forgotten counts twice: whichever of them was
    /// known, the number rises when it goes, and no number names two sets (I6).
    #[must_use]
    pub fn version(self) -> u64 {
        let known = self.history.labels.iter().filter(|label| self.is_known(label));
        2 * self.history.forgotten + known.count() as u64
    }

    fn is_known(self, label: &LabelledEvent) -> bool {
        label.known_since_ms <= self.time_ms
    }

    /// Events that were known as frauds, in their order: time, and whether their card explained them. Of an event's labels
    /// the one that is known since latest counts; of two since the same time, `cleared`. What happened at the very
    /// time does not count, so that no event ever counts for itself.
    fn frauds(self) -> impl Iterator<Item = (i64, bool)> + 'h {
        let before = self
            .history
            .labels
            .partition_point(|label| label.time_ms < self.time_ms);
        let events = self.history.labels[..before].chunk_by(|a, b| a.event_key() == b.event_key());
        events.filter_map(move |labels| {
            let known = || labels.iter().filter(|label| self.is_known(label));
            let latest = known().max_by_key(|label| (label.known_since_ms, label.verdict as u8))?;
            let is_explained = known().any(|label| label.explained == Some(true));
            (latest.verdict == Verdict::Fraud).then_some((latest.time_ms, is_explained))
        })
    }

    /// Known frauds of the last so many milliseconds, explained ones included.
    #[must_use]
    pub fn frauds_within(self, window_ms: i64) -> u32 {
        let start_ms = self.time_ms.saturating_sub(window_ms);
        let within = self.frauds().filter(|(time_ms, _)| *time_ms > start_ms).count();
        u32::try_from(within).unwrap_or(u32::MAX)
    }

    /// The row that lasts: known frauds that their cards did not explain, with less than `gap_ms` from one to the next and
    /// from the last to now.
    #[must_use]
    pub fn run(self, gap_ms: i64) -> Option<FraudRun> {
        let mut run: Option<FraudRun> = None;
        for (time_ms, _) in self.frauds().filter(|(_, is_explained)| !is_explained) {
            run = match run {
                Some(run) if time_ms.saturating_sub(run.last_ms) < gap_ms => Some(FraudRun {
                    frauds: run.frauds + 1,
                    last_ms: time_ms,
                    ..run
                }),
                _ => Some(FraudRun {
                    frauds: 1,
                    first_ms: time_ms,
                    last_ms: time_ms,
                }),
            };
        }
        run.filter(|run| self.time_ms.saturating_sub(run.last_ms) < gap_ms)
    }

    /// Time of the latest known fraud that its card did not explain, milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn latest_unexplained_ms(self) -> Option<i64> {
        let unexplained = self.frauds().filter(|(_, is_explained)| !is_explained);
        unexplained.map(|(time_ms, _)| time_ms).last()
    }

    /// The time as of which this is, milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn time_ms(self) -> i64 {
        self.time_ms
    }
}

#[cfg(test)]
mod tests;
