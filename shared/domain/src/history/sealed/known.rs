//! What the sums of many events can't name: every merchant, country and device of a segment, exactly.
//!
//! A reference has room for a few of each, and for a sketch beyond. A leaf is its own list. An inner node lists all that is below
//! it and says which of its segments has which, so that one segment answers for thousands of events, and for parts of them.

use std::borrow::Cow;

use crate::event::Country;
use crate::history::error::InvalidState;
use crate::history::sketch::Distinct;

use super::segment::SealedRef;
use super::summary::Summary;

/// An inner node lists so many merchants at most, and so many devices; with more of them its sketch is all there is.
pub const KNOWN_MAX: usize = 4_096;
/// So many listed fingerprints take about as much memory as an event.
const FINGERPRINTS_AN_EVENT: usize = 32;

/// Which lists somebody needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wants {
    pub(crate) merchants: bool,
    pub(crate) countries: bool,
    pub(crate) devices: bool,
}

impl Wants {
    pub(crate) const ALL: Self = Self {
        merchants: true,
        countries: true,
        devices: true,
    };

    /// What of it the sums leave open.
    pub(crate) fn left_open_by(self, summary: &Summary) -> Self {
        let is_open = |set: &Distinct| matches!(set, Distinct::Sketch(_));
        Self {
            merchants: self.merchants && is_open(&summary.merchants),
            countries: self.countries && summary.countries.more.is_some(),
            devices: self.devices && is_open(&summary.devices),
        }
    }
}

/// What there is in one segment; `None`: nobody can name all of them.
#[derive(Clone, Debug)]
pub(in crate::history) struct Lists {
    pub(super) merchants: Option<Vec<u32>>,
    pub(super) countries: Option<Vec<(Country, u32)>>,
    pub(super) devices: Option<Vec<u32>>,
}

/// A list, and which of an inner node's segments has what of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// Fingerprints, ascending, each once.
    pub(crate) all: Vec<u32>,
    /// For each segment that its sums leave open, a bit for each of them; empty for the others.
    pub(crate) parts: Vec<Vec<u64>>,
}

impl Listed {
    pub(super) fn all(&self) -> Cow<'_, [u32]> {
        Cow::Borrowed(&self.all)
    }

    /// What the segment at that place has.
    pub(super) fn part(&self, at: usize) -> Option<Cow<'_, [u32]>> {
        let bits = self.parts.get(at)?;
        let has = |place: usize| bits.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1);
        let listed = self.all.iter().enumerate().filter(|(place, _)| has(*place));
        Some(listed.map(|(_, fingerprint)| *fingerprint).collect())
    }

    /// Of the lists of all segments, where all sums together leave it open.
    fn of(whole: &Distinct, parts: &[(&Distinct, Option<&Vec<u32>>)]) -> Option<Self> {
        if let Distinct::Exact(_) = whole {
            return None;
        }
        let mut all = Vec::new();
        for (_, list) in parts {
            all.extend_from_slice((*list)?);
        }
        let all = union(all);
        let bits = |(set, list): &(&Distinct, Option<&Vec<u32>>)| {
            let mut bits = Vec::new();
            if let (Distinct::Sketch(_), Some(list)) = (set, list) {
                bits.resize(all.len().div_ceil(64), 0_u64);
                for place in list
                    .iter()
                    .filter_map(|fingerprint| all.binary_search(fingerprint).ok())
                {
                    bits[place / 64] |= 1 << (place % 64);
                }
            }
            bits
        };
        let parts = parts.iter().map(bits).collect();
        (all.len() <= KNOWN_MAX).then_some(Self { all, parts })
    }
}

/// Every country with its events, and how many of them each of an inner node's segments has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListedCountries {
    /// Ascending by country, each once.
    pub(crate) all: Vec<(Country, u32)>,
    /// For each segment that its sums leave open, its events in each of them; empty for the others.
    pub(crate) parts: Vec<Vec<u32>>,
}

impl ListedCountries {
    pub(super) fn all(&self) -> Cow<'_, [(Country, u32)]> {
        Cow::Borrowed(&self.all)
    }

    /// What the segment at that place has.
    pub(super) fn part(&self, at: usize) -> Option<Cow<'_, [(Country, u32)]>> {
        let events = self.all.iter().zip(self.parts.get(at)?);
        let listed = events.filter(|(_, events)| **events > 0);
        Some(listed.map(|((country, _), events)| (*country, *events)).collect())
    }

    fn of(whole: &Summary, refs: &[SealedRef], lists: &[Lists]) -> Option<Self> {
        whole.countries.more.as_ref()?;
        let mut all = Vec::new();
        for list in lists {
            all.extend_from_slice(list.countries.as_ref()?);
        }
        let all = added_up(all);
        let counts = |(segment, list): (&SealedRef, &Lists)| {
            let mut counts = Vec::new();
            if let (Some(_), Some(list)) = (&segment.summary.countries.more, &list.countries) {
                counts.resize(all.len(), 0);
                for (country, events) in list {
                    if let Ok(place) = all.binary_search_by_key(country, |(known, _)| *known) {
                        counts[place] = *events;
                    }
                }
            }
            counts
        };
        let parts = refs.iter().zip(lists).map(counts).collect();
        Some(Self { all, parts })
    }
}

/// Lists of an inner node. `None`: the sums of the whole name all of them, or nobody can.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) merchants: Option<Listed>,
    pub(crate) countries: Option<ListedCountries>,
    pub(crate) devices: Option<Listed>,
}

impl Known {
    /// The lists of an inner node over references, of which what they hold is given.
    pub(in crate::history) fn of(refs: &[SealedRef], lists: &[Lists], whole: &Summary) -> Self {
        let each = || refs.iter().zip(lists);
        let merchants: Vec<_> = each()
            .map(|(segment, list)| (&segment.summary.merchants, list.merchants.as_ref()))
            .collect();
        let devices: Vec<_> = each()
            .map(|(segment, list)| (&segment.summary.devices, list.devices.as_ref()))
            .collect();
        Self {
            merchants: Listed::of(&whole.merchants, &merchants),
            countries: ListedCountries::of(whole, refs, lists),
            devices: Listed::of(&whole.devices, &devices),
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.merchants.is_none() && self.countries.is_none() && self.devices.is_none()
    }

    /// Whether it lists everything that is wanted.
    pub(crate) const fn has(&self, wants: Wants) -> bool {
        (!wants.merchants || self.merchants.is_some())
            && (!wants.countries || self.countries.is_some())
            && (!wants.devices || self.devices.is_some())
    }

    pub(super) fn fingerprints_max(&self) -> usize {
        let len = |list: &Option<Listed>| list.as_ref().map_or(0, |list| list.all.len());
        len(&self.merchants).max(len(&self.devices))
    }

    /// What the lists take in memory, in events.
    pub(crate) fn items(&self) -> usize {
        let len = |list: &Option<Listed>| list.as_ref().map_or(0, |list| list.all.len());
        (len(&self.merchants) + len(&self.devices)).div_ceil(FINGERPRINTS_AN_EVENT)
    }

    /// What must hold of lists beside these references: they are those that these references' events give.
    pub(in crate::history) fn check(&self, refs: &[SealedRef]) -> Result<(), InvalidState> {
        let whole = Summary::of_all(refs.iter().map(|segment| segment.summary.clone()));
        let whole = whole.ok_or(InvalidState::Segment)?;
        let lists = |at: usize, segment: &SealedRef| {
            let part = |listed: &Option<Listed>, set: &Distinct| match set {
                Distinct::Exact(list) => Some(list.clone()),
                Distinct::Sketch(_) => listed.as_ref()?.part(at).map(Cow::into_owned),
            };
            let countries = &segment.summary.countries;
            Lists {
                merchants: part(&self.merchants, &segment.summary.merchants),
                countries: match countries.more {
                    None => Some(countries.counts.clone()),
                    Some(_) => self
                        .countries
                        .as_ref()
                        .and_then(|listed| listed.part(at).map(Cow::into_owned)),
                },
                devices: part(&self.devices, &segment.summary.devices),
            }
        };
        let lists: Vec<Lists> = refs
            .iter()
            .enumerate()
            .map(|(at, segment)| lists(at, segment))
            .collect();
        let listed = Self::of(refs, &lists, &whole);
        let agrees = |said: bool, is: bool| !said || is;
        if agrees(self.merchants.is_some(), self.merchants == listed.merchants)
            && agrees(self.countries.is_some(), self.countries == listed.countries)
            && agrees(self.devices.is_some(), self.devices == listed.devices)
        {
            Ok(())
        } else {
            Err(InvalidState::Segment)
        }
    }
}

/// All of them, ascending, each once.
pub(super) fn union(mut all: Vec<u32>) -> Vec<u32> {
    all.sort_unstable();
    all.dedup();
    all
}

/// Events by country, ascending, each once.
pub(super) fn added_up(mut all: Vec<(Country, u32)>) -> Vec<(Country, u32)> {
    all.sort_by_key(|(country, _)| *country);
    all.dedup_by(|(country, events), (kept, sum)| {
        let is_same = country == kept;
        if is_same {
            *sum = sum.saturating_add(*events);
        }
        is_same
    });
    all
}
