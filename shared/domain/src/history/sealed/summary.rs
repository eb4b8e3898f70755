//! What a segment's events add up to.

use crate::event::{Country, Place};
use crate::history::entry::{BASE_AMOUNT_MAX, Entry, UNPRICED};
use crate::history::sketch::{Distinct, EXACT_MAX, Sketch};

/// The latest event with a place, by time and arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) time_ms: i64,
    pub(crate) seq: u64,
    pub(crate) place: Place,
}

/// Events by country.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Countries {
    /// Ascending by country, at most [`EXACT_MAX`].
    pub(crate) counts: Vec<(Country, u32)>,
    /// Events in further countries, and a sketch of those; only where there are any.
    pub(crate) more: Option<(u32, Box<Sketch>)>,
}

/// What events add up to: enough for every window that holds all of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    pub(crate) count: u32,
    pub(crate) declined: u32,
    /// Events of which the amount is not known.
    pub(crate) unpriced: u32,
    /// Base minor units, of the known amounts; so are the least and the greatest one (0 where none is known).
    pub(crate) sum: u64,
    pub(crate) squares: u128,
    pub(crate) min: u64,
    pub(crate) max: u64,
    pub(crate) merchants: Distinct,
    pub(crate) countries: Countries,
    pub(crate) devices: Distinct,
    /// Events that name a device.
    pub(crate) device_events: u32,
    pub(crate) placed: Option<Placed>,
}

/// A country as a fingerprint.
pub(crate) const fn country_fp(country: Country) -> u32 {
    u16::from_be_bytes(country.0) as u32
}

impl Countries {
    pub(crate) fn add(&mut self, country: Country, events: u32) {
        match self.counts.binary_search_by_key(&country, |(known, _)| *known) {
            Ok(at) => self.counts[at].1 = self.counts[at].1.saturating_add(events),
            Err(at) if self.counts.len() < EXACT_MAX => self.counts.insert(at, (country, events)),
            Err(_) => self.more(events).insert(country_fp(country)),
        }
    }

    /// Counts events in countries that are not listed.
    fn more(&mut self, events: u32) -> &mut Sketch {
        let (others, sketch) = self.more.get_or_insert_with(|| (0, Box::default()));
        *others = others.saturating_add(events);
        sketch
    }

    fn merge(&mut self, other: &Self) {
        for (country, events) in &other.counts {
            self.add(*country, *events);
        }
        if let Some((others, theirs)) = &other.more {
            self.more(*others).merge(theirs);
        }
    }
}

impl Placed {
    /// The later of two: by time, then by arrival.
    fn later(self, other: Self) -> Self {
        if (other.time_ms, other.seq) > (self.time_ms, self.seq) {
            other
        } else {
            self
        }
    }
}

impl Summary {
    pub(crate) fn of_entry(entry: &Entry) -> Self {
        let amount = entry.amount_base_minor.min(BASE_AMOUNT_MAX);
        let mut summary = Self {
            first_ms: entry.time_ms,
            last_ms: entry.time_ms,
            count: 1,
            declined: u32::from(!entry.approved),
            unpriced: u32::from(amount == UNPRICED),
            sum: amount,
            squares: u128::from(amount) * u128::from(amount),
            min: amount,
            max: amount,
            merchants: Distinct::default(),
            countries: Countries::default(),
            devices: Distinct::default(),
            device_events: u32::from(entry.device_fp.is_some()),
            placed: entry.place.map(|place| Placed {
                time_ms: entry.time_ms,
                seq: entry.seq,
                place,
            }),
        };
        summary.merchants.insert(entry.merchant_fp);
        summary.countries.add(entry.country, 1);
        if let Some(device) = entry.device_fp {
            summary.devices.insert(device);
        }
        summary
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.first_ms = self.first_ms.min(other.first_ms);
        self.last_ms = self.last_ms.max(other.last_ms);
        let priced = [&*self, other].into_iter().filter(|part| part.unpriced < part.count);
        self.min = priced.map(|part| part.min).min().unwrap_or(UNPRICED);
        self.count = self.count.saturating_add(other.count);
        self.declined = self.declined.saturating_add(other.declined);
        self.unpriced = self.unpriced.saturating_add(other.unpriced);
        self.sum = self.sum.saturating_add(other.sum);
        self.squares = self.squares.saturating_add(other.squares);
        self.max = self.max.max(other.max);
        self.merchants.merge(&other.merchants);
        self.countries.merge(&other.countries);
        self.devices.merge(&other.devices);
        self.device_events = self.device_events.saturating_add(other.device_events);
        self.placed = match (self.placed, other.placed) {
            (Some(ours), Some(theirs)) => Some(ours.later(theirs)),
            (ours, theirs) => ours.or(theirs),
        };
    }

    /// What all of them add up to; `None` for none.
    pub(crate) fn of_all(mut parts: impl Iterator<Item = Self>) -> Option<Self> {
        let mut whole = parts.next()?;
        parts.for_each(|part| whole.merge(&part));
        Some(whole)
    }
}
