//! The labels of a history: what they say, and from when on they count.

use std::collections::HashMap;
use std::io::BufRead;

use serde::Deserialize;
use serde_json::Value;
use terminal::glance::Kind;
use terminal::lines::{Lines, LinesError};
use tidemark_domain::event::Verdict;
use tidemark_domain::id::fingerprint64;

/// A label line, as far as it is looked at here. The contract judges it when it is replayed.
#[derive(Deserialize)]
struct Wire {
    event_id: String,
    card_id: String,
    verdict: Verdict,
    known_since_ms: i64,
    occurred_at_ms: Option<i64>,
    #[serde(flatten)]
    ids: Ids,
}

/// What a label may say of its event besides, handed on as it stands: it teaches the keys of an event that its card has forgotten.
#[derive(Clone, Debug, Default, Deserialize)]
struct Ids {
    merchant_id: Option<Value>,
    device_id: Option<Value>,
    links: Option<Value>,
}

#[derive(Deserialize)]
struct Transaction<'a> {
    #[serde(borrow)]
    event_id: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    card_id: std::borrow::Cow<'a, str>,
    occurred_at_ms: i64,
}

/// One label.
#[derive(Clone, Debug)]
pub struct Known {
    event_id: String,
    card_id: String,
    /// What was found.
    pub verdict: Verdict,
    /// From when on it counts, ms since 1970-01-01T00:00:00Z: it was known, and the delay had passed since its event.
    pub from_ms: i64,
    occurred_at_ms: Option<i64>,
    /// When its event happened, ms since 1970-01-01T00:00:00Z, as far as the label or the file says so.
    happened_ms: Option<i64>,
    /// Whether it is the only label of its event.
    is_only: bool,
    ids: Ids,
}

impl Known {
    /// Whether the card's own label and its event's place in the card's history are the same whether it comes now (the time of the next
    /// event, ms) or when it counts: its event was before, it is young enough that no card forgets it until then, and no other label
    /// speaks of it. What keys and cards say of it goes by `known_since_ms` either way.
    #[must_use]
    pub(super) fn may_come_early(&self, now_ms: i64, retention_ms: i64) -> bool {
        let is_kept = |happened_ms| happened_ms < now_ms && self.from_ms.saturating_sub(happened_ms) < retention_ms;
        self.is_only && self.happened_ms.is_some_and(is_kept)
    }

    /// The card.
    #[must_use]
    pub(super) fn card_id(&self) -> &str {
        &self.card_id
    }

    /// As an event of the stream that says so then.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        let mut label = serde_json::json!({
            "schema": "label", "version": 1, "event_id": self.event_id, "card_id": self.card_id,
            "verdict": self.verdict, "known_since_ms": self.from_ms,
        });
        if let (Some(occurred_at_ms), Some(label)) = (self.occurred_at_ms, label.as_object_mut()) {
            label.insert("version".to_owned(), 2.into());
            label.insert("occurred_at_ms".to_owned(), occurred_at_ms.into());
            let Ids {
                merchant_id,
                device_id,
                links,
            } = self.ids.clone();
            let ids = [("merchant_id", merchant_id), ("device_id", device_id), ("links", links)];
            label.extend(ids.into_iter().filter_map(|(name, id)| Some((name.to_owned(), id?))));
        }
        label.to_string().into_bytes()
    }
}

/// An event by what names it, as a number that stands for it.
#[must_use]
pub fn event_number(card_id: &str, event_id: &str) -> u64 {
    fingerprint64(&format!("{card_id}\n{event_id}"))
}

/// All labels of a history.
#[derive(Debug, Default)]
pub struct Labels {
    /// By when they count.
    pub all: Vec<Known>,
    /// By event: when each verdict counts from.
    of_event: HashMap<u64, Vec<(i64, Verdict)>>,
}

impl Labels {
    /// The labels among the lines of a file. One counts from so long after its event on, at the earliest, ms; the times of events
    /// are looked up in the file where labels don't say them.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn read<R: BufRead>(
        open: impl Fn() -> Result<Lines<R>, LinesError>,
        delay_ms: i64,
    ) -> Result<Self, LinesError> {
        let mut labels = Self::default();
        let mut lines = open()?;
        while let Some((_, line)) = lines.next()? {
            let Ok(payload) = line else { continue };
            if !Kind::is_label(payload) {
                continue;
            }
            if let Ok(wire) = serde_json::from_slice::<Wire>(payload) {
                labels.all.push(Known {
                    event_id: wire.event_id,
                    card_id: wire.card_id,
                    verdict: wire.verdict,
                    from_ms: wire.known_since_ms,
                    occurred_at_ms: wire.occurred_at_ms,
                    happened_ms: wire.occurred_at_ms,
                    is_only: false,
                    ids: wire.ids,
                });
            }
        }
        let times = labels.times(open()?)?;
        for label in &mut labels.all {
            let event = event_number(&label.card_id, &label.event_id);
            label.happened_ms = label.occurred_at_ms.or_else(|| times.get(&event).copied());
            if let Some(happened_ms) = label.happened_ms {
                label.from_ms = label.from_ms.max(happened_ms.saturating_add(delay_ms));
            }
            let of_event = labels.of_event.entry(event).or_default();
            of_event.push((label.from_ms, label.verdict));
        }
        for label in &mut labels.all {
            let event = event_number(&label.card_id, &label.event_id);
            label.is_only = labels.of_event.get(&event).is_some_and(|known| known.len() == 1);
        }
        labels.all.sort_by_key(|label| label.from_ms);
        labels.of_event.values_mut().for_each(|known| known.sort_unstable());
        Ok(labels)
    }

    /// When the events of labels happened that don't say so.
    fn times<R: BufRead>(&self, mut lines: Lines<R>) -> Result<HashMap<u64, i64>, LinesError> {
        let without = self.all.iter().filter(|label| label.occurred_at_ms.is_none());
        let wanted: HashMap<u64, ()> = without
            .map(|label| (event_number(&label.card_id, &label.event_id), ()))
            .collect();
        let mut times = HashMap::new();
        if wanted.is_empty() {
            return Ok(times);
        }
        while let Some((_, line)) = lines.next()? {
            let Ok(payload) = line else { continue };
            let Ok(tx) = serde_json::from_slice::<Transaction<'_>>(payload) else {
                continue;
            };
            let event = event_number(&tx.card_id, &tx.event_id);
            if wanted.contains_key(&event) {
                times.insert(event, tx.occurred_at_ms);
            }
        }
        Ok(times)
    }

    /// Cards with a fraud, by their number, and from when on that counts, ms since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn compromised(&self) -> HashMap<u64, i64> {
        let mut cards = HashMap::new();
        // The earliest comes first.
        for label in self.all.iter().filter(|label| label.verdict == Verdict::Fraud) {
            cards.entry(fingerprint64(&label.card_id)).or_insert(label.from_ms);
        }
        cards
    }

    /// Whether an event counted as fraud as of a time (ms since 1970-01-01T00:00:00Z): of its labels that count by then the latest
    /// says so; of two from the same time on, `cleared` wins.
    #[must_use]
    pub fn is_fraud(&self, event: u64, as_of_ms: i64) -> bool {
        let mut known = self.of_event.get(&event).into_iter().flatten();
        let latest = known.rfind(|(from_ms, _)| *from_ms <= as_of_ms);
        latest.is_some_and(|(_, verdict)| *verdict == Verdict::Fraud)
    }
}
