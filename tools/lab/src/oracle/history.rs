//! A card as a plain list of what was accepted, in the order of arrival.

use std::collections::HashMap;

use tidemark_domain::event::{Country, Label, Links, Place, Transaction};
use tidemark_domain::id::{LinkId, fingerprint32};
use tidemark_domain::policy::{KeyField, Policy};

use super::Labelled;
use super::amount::base_amount;

/// An accepted transaction, whole.
#[derive(Clone, Debug)]
pub(super) struct Past {
    pub(super) event_id: String,
    pub(super) time_ms: i64,
    pub(super) seq: u64,
    /// Base minor units, where there is a rate.
    pub(super) amount: Option<u64>,
    /// The merchant's number among the card's.
    pub(super) merchant: usize,
    pub(super) country: Country,
    /// The device's number among the card's.
    pub(super) device: Option<usize>,
    pub(super) place: Option<Place>,
    pub(super) approved: bool,
    pub(super) mcc: u16,
    pub(super) links: Links,
    pub(super) label: Option<Labelled>,
    /// Whether the card's own features made it improbable.
    pub(super) explained: bool,
}

/// A kept event, in the words of the decoded state.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedEvent {
    /// The event's id.
    pub event_id: String,
    /// Event time, ms.
    pub time_ms: i64,
    /// Events of the card accepted before it.
    pub seq: u64,
    /// Fingerprint of the event's id.
    pub event_fp: u32,
    /// Amount, base minor units; 0 where there was no rate.
    pub amount_base_minor: u64,
    /// Fingerprint of the merchant's id.
    pub merchant_fp: u32,
    /// The merchant's country.
    pub country: Country,
    /// Fingerprint of the device's id.
    pub device_fp: Option<u32>,
    /// Where it was.
    pub place: Option<Place>,
    /// Whether the issuer approved it.
    pub approved: bool,
    /// The verdict and since when it is known, ms.
    pub label: Option<Labelled>,
}

/// Names as they were first seen: whole strings, each with its number, so that none is mistaken for another.
#[derive(Debug, Default)]
pub(super) struct Names {
    numbers: HashMap<String, usize>,
    names: Vec<String>,
}

impl Names {
    /// The number of a name that was seen.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.numbers.get(name).copied()
    }

    /// How many were seen.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    fn note(&mut self, name: &str) -> usize {
        if let Some(number) = self.find(name) {
            return number;
        }
        let number = self.names.len();
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }
}

/// Whether an event is known.
pub(super) enum Known {
    Duplicate,
    Beyond,
    New,
}

/// What putting a label on its event changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    /// The label that the event had.
    pub(super) before: Option<Labelled>,
    /// Whether it has another one now.
    pub(super) is_new: bool,
}

/// One card.
#[derive(Debug, Default)]
pub(super) struct NaiveCard {
    /// What is kept, in the order of arrival.
    pub(super) events: Vec<Past>,
    pub(super) merchants: Names,
    pub(super) devices: Names,
    /// Accepted so far.
    pub(super) accepted: u64,
    /// The newest profile version that was sent.
    pub(super) profile_version: Option<u64>,
    /// Times up to this one are forgotten.
    forgotten_to_ms: Option<i64>,
}

impl NaiveCard {
    fn newest_ms(&self) -> Option<i64> {
        self.events.iter().map(|past| past.time_ms).max()
    }

    pub(super) fn known(&self, event_id: &str, time_ms: i64, policy: &Policy) -> Known {
        if self
            .events
            .iter()
            .any(|past| past.time_ms == time_ms && past.event_id == event_id)
        {
            return Known::Duplicate;
        }
        let forgotten = self.forgotten_to_ms.is_some_and(|to| time_ms <= to);
        let behind = self
            .newest_ms()
            .is_some_and(|newest| time_ms <= newest - policy.dedupe_horizon_ms);
        if forgotten || behind { Known::Beyond } else { Known::New }
    }

    /// Keeps a transaction, explained by its card or not, and forgets what is too old.
    pub(super) fn accept(&mut self, tx: &Transaction, explained: bool, policy: &Policy) {
        let merchant = self.merchants.note(tx.merchant_id.as_str());
        let device = tx.device_id.as_ref().map(|device| self.devices.note(device.as_str()));
        self.events.push(Past {
            event_id: tx.event_id.as_str().to_owned(),
            time_ms: tx.occurred_at_ms,
            seq: self.accepted,
            amount: base_amount(tx, policy),
            merchant,
            country: tx.country,
            device,
            place: tx.place,
            approved: tx.approved,
            mcc: tx.mcc,
            links: tx.links.clone(),
            label: None,
            explained,
        });
        self.accepted += 1;
        if let Some(newest) = self.newest_ms() {
            let to = newest - policy.retention_ms();
            let gone = self
                .events
                .iter()
                .map(|past| past.time_ms)
                .filter(|time_ms| *time_ms <= to)
                .max();
            self.forgotten_to_ms = self.forgotten_to_ms.max(gone);
            self.events.retain(|past| past.time_ms > to);
        }
    }

    /// Puts a label on its event: what that changed, and the event's place among the kept; `None` when the event is not kept.
    pub(super) fn label(&mut self, label: &Label) -> Option<(Change, usize)> {
        let is_meant = |past: &Past| {
            past.event_id == label.event_id.as_str()
                && label.occurred_at_ms.is_none_or(|time_ms| past.time_ms == time_ms)
        };
        let named = self.events.iter_mut().enumerate().filter(|(_, past)| is_meant(past));
        // Of several events with one id the latest is meant; of two verdicts the one that is known since later holds.
        let (at, past) = named.max_by_key(|(_, past)| (past.time_ms, past.seq))?;
        // Known since the same time, `cleared` holds.
        let rank = |(verdict, since_ms): Labelled| (since_ms, verdict as u8);
        let (before, said) = (past.label, (label.verdict, label.known_since_ms));
        let is_new = before.is_none_or(|known| rank(known) < rank(said));
        if is_new {
            past.label = Some(said);
        }
        Some((Change { before, is_new }, at))
    }

    /// Whether an event of this time (ms) is past what is kept, as of a label that is known since then (ms).
    pub(super) fn has_forgotten(&self, time_ms: i64, known_since_ms: i64, policy: &Policy) -> bool {
        let newest_ms = self.newest_ms().unwrap_or(i64::MIN).max(known_since_ms);
        time_ms <= newest_ms.saturating_sub(policy.retention_ms())
            || self.forgotten_to_ms.is_some_and(|to| time_ms <= to)
    }

    /// The id by which an event names a key.
    pub(super) fn id_of<'a>(&'a self, past: &'a Past, field: KeyField) -> Option<&'a str> {
        match field {
            KeyField::Merchant => self.merchants.names.get(past.merchant).map(String::as_str),
            KeyField::Device => self.devices.names.get(past.device?).map(String::as_str),
            KeyField::Link(name) => past.links.get(name).map(LinkId::as_str),
        }
    }

    /// What is kept, ordered by (event time, arrival).
    pub(super) fn kept(self) -> Vec<ExpectedEvent> {
        let fingerprints = |names: &Names| -> Vec<u32> { names.names.iter().map(|name| fingerprint32(name)).collect() };
        let (merchants, devices) = (fingerprints(&self.merchants), fingerprints(&self.devices));
        let mut kept: Vec<ExpectedEvent> = self
            .events
            .into_iter()
            .map(|past| ExpectedEvent {
                time_ms: past.time_ms,
                seq: past.seq,
                event_fp: fingerprint32(&past.event_id),
                event_id: past.event_id,
                amount_base_minor: past.amount.unwrap_or(0),
                merchant_fp: merchants[past.merchant],
                country: past.country,
                device_fp: past.device.map(|device| devices[device]),
                place: past.place,
                approved: past.approved,
                label: past.label,
            })
            .collect();
        kept.sort_by_key(|event| (event.time_ms, event.seq));
        kept
    }
}
