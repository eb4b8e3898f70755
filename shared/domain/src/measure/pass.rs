//! The sweep's memory: what the open windows hold so far, and what has been seen.

use crate::event::{Country, Place, Profile, Verdict};
use crate::history::sealed::{Lister, Placed, Whole, country_fp};
use crate::history::sketch::{Distinct, ERROR_SHARE, Sketch};
use crate::history::{BASE_AMOUNT_MAX, Entry, Piece, UNPRICED};
use crate::policy::Policy;

use super::calendar::{HOURS, hour_of_day, is_weekend};
use super::distinct::{Countries, Fingerprints};
use super::edges::MS_PER_DAY;
use super::geo;
use super::measured::{Measured, Travel};
use super::observed::Observed;
use super::pane::Pane;
use super::watch::Watch;

/// Beside the exact sets: sketches of everything that is in them and of what could not be listed. Only for sealed events.
#[derive(Default)]
struct Sketches {
    merchants: Option<Box<Sketch>>,
    countries: Option<Box<Sketch>>,
    devices: Option<Box<Sketch>>,
}

/// The sweep's memory.
pub(super) struct Pass<'a> {
    watch: Watch,
    pane: Pane,
    merchants: Fingerprints,
    devices: Fingerprints,
    countries: Countries,
    categories: Fingerprints,
    sketches: Sketches,
    /// The device counted last.
    device_last: Option<u32>,
    merchant_fp: u32,
    country: Country,
    device_fp: Option<u32>,
    /// Where the event is, if that is asked for, and the latest placed one before it.
    here: Option<Place>,
    there: Option<Placed>,
    /// The profile's; without one this event's, and nobody reads what is counted by it.
    usual_country: Country,
    day_start_ms: i64,
    zone_offset_ms: i64,
    category: u16,
    /// Known amounts of earlier events, where each is wanted.
    amounts: Vec<u64>,
    pub(super) measured: Measured<'a>,
}

impl<'a> Pass<'a> {
    /// Begins with the event itself. There will be so many distinct merchants at most, and devices.
    pub(super) fn new(event: &Observed<'_>, profile: Option<&'a Profile>, watch: Watch, distinct_max: usize) -> Self {
        let (tx, amount, merchant_fp) = (event.tx, event.amount, event.merchant_fp);
        let device_fp = event.device_fp.filter(|_| watch.devices);
        let usual_country = profile.map_or(tx.country, |profile| profile.usual_country);
        let (time_ms, zone_offset_ms) = (event.key.time_ms, event.judge.zone_offset_ms);
        let mut pass = Self {
            merchants: Fingerprints::new(if watch.merchants { distinct_max + 1 } else { 0 }),
            devices: Fingerprints::new(if device_fp.is_some() { distinct_max } else { 0 }),
            countries: Countries::default(),
            categories: Fingerprints::new(if watch.categories { distinct_max } else { 0 }),
            sketches: Sketches::default(),
            device_last: None,
            here: tx.place.filter(|_| watch.travel),
            there: None,
            watch,
            pane: Pane {
                min: u64::MAX,
                ..Pane::default()
            },
            merchant_fp,
            country: tx.country,
            device_fp,
            usual_country,
            day_start_ms: time_ms.saturating_sub(MS_PER_DAY),
            zone_offset_ms,
            category: tx.mcc,
            amounts: Vec::new(),
            measured: Measured {
                time_ms,
                amount,
                panes: [Pane::default(); Policy::WINDOWS_LIMIT],
                longest: Pane::default(),
                count_day: 1,
                first_ms: None,
                previous_ms: None,
                merchant_seen: false,
                country_seen: false,
                device_seen: false,
                merchant_unsure: false,
                country_unsure: false,
                device_unsure: false,
                blurred: false,
                truncated: false,
                devices_error: 0,
                foreign_unsure: false,
                has_device: event.device_fp.is_some(),
                devices: 0,
                device_events: 0,
                foreign_events: 0,
                foreign: usual_country != tx.country,
                travel: None,
                frauds_ms: Vec::new(),
                median: None,
                hours: [0; HOURS],
                hour: hour_of_day(time_ms, zone_offset_ms),
                weekend: is_weekend(time_ms, zone_offset_ms),
                opened_ms: tx
                    .account_opened_at_ms
                    .or(profile.map(|profile| profile.account_opened_at_ms)),
                categories: 0,
                category_events: 0,
                category_seen: false,
                category_unsure: false,
                summed: false,
                unlisted: 0,
                unlisted_last_ms: i64::MIN,
                profile,
                keys: &[],
            },
        };
        pass.count(amount.unwrap_or(UNPRICED), tx.approved, merchant_fp, tx.country);
        pass
    }

    /// Adds earlier events.
    pub(super) fn add(&mut self, piece: Piece<'_>) {
        match piece {
            Piece::One(entry) => self.add_entries(std::slice::from_ref(entry)),
            Piece::Whole(whole) => self.add_whole(whole),
            Piece::Unread(summary) => {
                self.measured.blurred = true;
                self.add_whole(Whole {
                    summary,
                    lister: Lister::None,
                });
            }
        }
    }

    /// Adds events in the order of a head, all of them to every window that is still open: what each of the features needs in a
    /// loop of its own, so that one that is not asked for costs nothing.
    pub(super) fn add_entries(&mut self, entries: &[Entry]) {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return;
        };
        self.count_entries(entries);
        self.see_countries(entries);
        let of_day = if last.time_ms <= self.day_start_ms {
            0
        } else if first.time_ms > self.day_start_ms {
            entries.len()
        } else {
            entries.len() - entries.partition_point(|entry| entry.time_ms <= self.day_start_ms)
        };
        self.measured.count_day = self.measured.count_day.saturating_add(number(of_day));
        if self.here.is_some() && self.there.is_none_or(|there| there.time_ms <= last.time_ms) {
            let placed = |entry: &Entry| {
                entry.place.map(|place| Placed {
                    time_ms: entry.time_ms,
                    seq: entry.seq,
                    place,
                })
            };
            // The latest of these is the last one.
            if let Some(placed) = entries.iter().rev().find_map(placed) {
                self.see_place(placed);
            }
        }
        if self.watch.one_by_one() {
            entries.iter().rev().for_each(|entry| self.look_at(entry));
        }
        if let Some(device) = self.device_fp {
            self.see_devices(entries, device);
        }
    }

    /// Adds up amounts and merchants. Sums of a head's amounts stay far below what their numbers hold.
    fn count_entries(&mut self, entries: &[Entry]) {
        let (mut declined, mut unpriced, mut sum, mut squares) = (0, 0, 0_u64, 0_u128);
        let (mut min, mut max) = (self.pane.min, self.pane.max);
        for entry in entries {
            let amount = entry.amount_base_minor.min(BASE_AMOUNT_MAX);
            declined += u32::from(!entry.approved);
            if amount == UNPRICED {
                unpriced += 1;
            } else {
                sum += amount;
                squares += u128::from(amount) * u128::from(amount);
                (min, max) = (min.min(amount), max.max(amount));
            }
        }
        let pane = &mut self.pane;
        // A sealed segment's sums may be anything that its bytes can say.
        pane.count = pane.count.saturating_add(number(entries.len()));
        pane.declined = pane.declined.saturating_add(declined);
        pane.unpriced = pane.unpriced.saturating_add(unpriced);
        pane.sum = pane.sum.saturating_add(sum);
        pane.squares = pane.squares.saturating_add(squares);
        (pane.min, pane.max) = (min, max);
        if self.watch.merchants {
            let mut seen = false;
            for entry in entries {
                seen |= entry.merchant_fp == self.merchant_fp;
                self.see_merchant(entry.merchant_fp);
            }
            self.measured.merchant_seen |= seen;
        }
    }

    /// Runs of one country are the rule: they cost a comparison.
    fn see_countries(&mut self, entries: &[Entry]) {
        let (mut run, mut is_abroad, mut abroad) = (None, false, 0);
        for entry in entries {
            if run != Some(entry.country) {
                run = Some(entry.country);
                is_abroad = entry.country != self.usual_country;
                self.measured.country_seen |= entry.country == self.country;
                if self.watch.countries {
                    self.see_country(entry.country);
                }
            }
            abroad += u32::from(is_abroad);
        }
        self.measured.foreign_events = self.measured.foreign_events.saturating_add(abroad);
    }

    fn see_devices(&mut self, entries: &[Entry], device_fp: u32) {
        for other in entries.iter().rev().filter_map(|entry| entry.device_fp) {
            self.measured.device_seen |= device_fp == other;
            self.measured.device_events = self.measured.device_events.saturating_add(1);
            if self.device_last != Some(other) {
                self.device_last = Some(other);
                self.see_device(other);
            }
        }
    }

    /// What few policies ask of every event.
    fn look_at(&mut self, entry: &Entry) {
        if self.watch.labels
            && let Some((Verdict::Fraud, known_since_ms)) = entry.label
            && known_since_ms <= self.measured.time_ms
        {
            self.measured.frauds_ms.push(entry.time_ms);
        }
        if self.watch.amounts && entry.amount_base_minor != UNPRICED {
            self.amounts.push(entry.amount_base_minor.min(BASE_AMOUNT_MAX));
        }
        if self.watch.hours {
            let hour = hour_of_day(entry.time_ms, self.zone_offset_ms);
            self.measured.hours[hour] = self.measured.hours[hour].saturating_add(1);
        }
        if self.watch.categories {
            self.see_category(entry.category);
        }
    }

    /// Counts the event itself. An amount that is not known counts in no sum.
    fn count(&mut self, amount: u64, approved: bool, merchant_fp: u32, country: Country) {
        let pane = &mut self.pane;
        pane.count = 1;
        pane.declined = u32::from(!approved);
        if amount == UNPRICED {
            pane.unpriced = 1;
        } else {
            pane.sum = amount;
            pane.squares = u128::from(amount) * u128::from(amount);
            (pane.min, pane.max) = (amount, amount);
        }
        if self.watch.merchants {
            self.see_merchant(merchant_fp);
        }
        if self.watch.countries {
            self.see_country(country);
        }
    }

    #[inline]
    fn see_merchant(&mut self, merchant_fp: u32) {
        self.pane.merchants += u32::from(self.merchants.insert(merchant_fp));
        if let Some(sketch) = &mut self.sketches.merchants {
            sketch.insert(merchant_fp);
        }
    }

    #[inline]
    fn see_country(&mut self, country: Country) {
        self.pane.countries += u32::from(self.countries.insert(country));
        if let Some(sketch) = &mut self.sketches.countries {
            sketch.insert(country_fp(country));
        }
    }

    #[inline]
    fn see_device(&mut self, device_fp: u32) {
        self.measured.devices += u32::from(self.devices.insert(device_fp));
        if let Some(sketch) = &mut self.sketches.devices {
            sketch.insert(device_fp);
        }
    }

    /// An event of which the category is not known may have had any.
    fn see_category(&mut self, category: Option<u16>) {
        let measured = &mut self.measured;
        let Some(category) = category else {
            measured.category_unsure = true;
            return;
        };
        measured.category_events = measured.category_events.saturating_add(1);
        measured.category_seen |= category == self.category;
        measured.categories += u32::from(self.categories.insert(u32::from(category)));
    }

    /// Only the latest placed event counts; of equal times, the later arrival.
    fn see_place(&mut self, placed: Placed) {
        let is_later = |there: Placed| (placed.time_ms, placed.seq) > (there.time_ms, there.seq);
        if self.there.is_none_or(is_later) {
            self.there = Some(placed);
        }
    }

    /// Counts sealed events in every window that is still open: all of them are in all of those.
    fn add_whole(&mut self, whole: Whole<'_>) {
        let summary = whole.summary;
        self.measured.summed = true;
        self.measured.unlisted = self.measured.unlisted.saturating_add(summary.count);
        self.measured.category_unsure |= self.watch.categories;
        self.measured.unlisted_last_ms = self.measured.unlisted_last_ms.max(summary.last_ms);
        let pane = &mut self.pane;
        pane.count = pane.count.saturating_add(summary.count);
        pane.declined = pane.declined.saturating_add(summary.declined);
        pane.unpriced = pane.unpriced.saturating_add(summary.unpriced);
        pane.sum = pane.sum.saturating_add(summary.sum);
        pane.squares = pane.squares.saturating_add(summary.squares);
        if summary.unpriced < summary.count {
            pane.min = pane.min.min(summary.min);
            pane.max = pane.max.max(summary.max);
        }
        if summary.last_ms > self.day_start_ms {
            self.measured.count_day = self.measured.count_day.saturating_add(summary.count);
        }
        if let Some(placed) = summary.placed {
            self.see_place(placed);
        }
        if self.watch.merchants {
            self.add_merchants(whole);
        }
        self.add_countries(whole);
        if let Some(device_fp) = self.device_fp {
            self.add_devices(whole, device_fp);
        }
    }

    fn add_merchants(&mut self, whole: Whole<'_>) {
        if let Some(merchants) = whole.merchants() {
            for merchant_fp in &*merchants {
                self.measured.merchant_seen |= *merchant_fp == self.merchant_fp;
                self.see_merchant(*merchant_fp);
            }
        } else if let Distinct::Sketch(theirs) = &whole.summary.merchants {
            self.measured.merchant_unsure |= theirs.may_hold(self.merchant_fp);
            let known = self.merchants.iter();
            sketch_of(&mut self.sketches.merchants, known).merge(theirs);
        }
    }

    fn add_countries(&mut self, whole: Whole<'_>) {
        if let Some(countries) = whole.countries() {
            self.add_counts(&countries);
            return;
        }
        let countries = &whole.summary.countries;
        self.add_counts(&countries.counts);
        if let Some((events, theirs)) = &countries.more {
            // The countries of few events: the usual one is hardly among them.
            self.measured.foreign_events = self.measured.foreign_events.saturating_add(*events);
            self.measured.foreign_unsure |= theirs.may_hold(country_fp(self.usual_country));
            self.measured.country_unsure |= theirs.may_hold(country_fp(self.country));
            if self.watch.countries {
                let known = self.countries.iter().map(country_fp);
                sketch_of(&mut self.sketches.countries, known).merge(theirs);
            }
        }
    }

    fn add_counts(&mut self, counts: &[(Country, u32)]) {
        for (country, events) in counts {
            self.measured.country_seen |= *country == self.country;
            if *country != self.usual_country {
                self.measured.foreign_events = self.measured.foreign_events.saturating_add(*events);
            }
            if self.watch.countries {
                self.see_country(*country);
            }
        }
    }

    fn add_devices(&mut self, whole: Whole<'_>, device_fp: u32) {
        let events = self.measured.device_events;
        self.measured.device_events = events.saturating_add(whole.summary.device_events);
        if let Some(devices) = whole.devices() {
            for other in &*devices {
                self.measured.device_seen |= *other == device_fp;
                self.see_device(*other);
            }
        } else if let Distinct::Sketch(theirs) = &whole.summary.devices {
            self.measured.device_unsure |= theirs.may_hold(device_fp);
            let known = self.devices.iter();
            sketch_of(&mut self.sketches.devices, known).merge(theirs);
        }
    }

    /// What the open windows hold so far.
    pub(super) fn pane(&self) -> Pane {
        let mut pane = self.pane;
        if let Some(sketch) = &self.sketches.merchants {
            (pane.merchants, pane.merchants_error) = estimate(sketch, pane.merchants, pane.count);
        }
        if let Some(sketch) = &self.sketches.countries {
            (pane.countries, pane.countries_error) = estimate(sketch, pane.countries, pane.count);
        }
        pane
    }

    /// The end of the sweep.
    pub(super) fn finish(mut self) -> Measured<'a> {
        self.measured.median = median(&mut self.amounts);
        let mut measured = self.measured;
        if let Some(sketch) = &self.sketches.devices {
            (measured.devices, measured.devices_error) = estimate(sketch, measured.devices, measured.device_events);
        }
        measured.merchant_unsure &= !measured.merchant_seen;
        measured.country_unsure &= !measured.country_seen;
        measured.device_unsure &= !measured.device_seen;
        measured.category_unsure &= !measured.category_seen;
        measured.merchant_seen |= measured.merchant_unsure;
        measured.country_seen |= measured.country_unsure;
        measured.device_seen |= measured.device_unsure;
        measured.category_seen |= measured.category_unsure;
        if let Some(here) = self.here
            && let Some(there) = self.there
        {
            measured.travel = Some(Travel {
                km: geo::distance_km(here, there.place),
                elapsed_ms: measured.time_ms.saturating_sub(there.time_ms).max(1),
            });
        }
        measured
    }
}

/// A number of a head's entries.
fn number(entries: usize) -> u32 {
    u32::try_from(entries).unwrap_or(u32::MAX)
}

/// The median: of an even number the mean of the two in the middle.
fn median(amounts: &mut [u64]) -> Option<f64> {
    let middle = amounts.len() / 2;
    if amounts.is_empty() {
        return None;
    }
    let is_even = amounts.len().is_multiple_of(2);
    let (below, upper, _) = amounts.select_nth_unstable(middle);
    let upper = *upper as f64;
    let lower = if is_even {
        below.iter().max().map_or(upper, |lower| *lower as f64)
    } else {
        upper
    };
    Some(f64::midpoint(lower, upper))
}

/// The sketch beside an exact set; it begins with what the set holds.
fn sketch_of(sketch: &mut Option<Box<Sketch>>, known: impl Iterator<Item = u32>) -> &mut Sketch {
    sketch.get_or_insert_with(|| {
        let mut sketch = Box::<Sketch>::default();
        known.for_each(|fingerprint| sketch.insert(fingerprint));
        sketch
    })
}

/// How many distinct things there are, and how far off that may be: three standard errors, as far as the count of those
/// that are known and of all events leave room for it.
fn estimate(sketch: &Sketch, at_least: u32, at_most: u32) -> (u32, u32) {
    let value = sketch.count().max(at_least).min(at_most.max(at_least));
    // A share of a number of 32 bits fits.
    let error = libm::ceil(f64::from(value) * ERROR_SHARE) as u32;
    let room = value.abs_diff(at_least).max(at_most.abs_diff(value));
    (value, error.min(room))
}
