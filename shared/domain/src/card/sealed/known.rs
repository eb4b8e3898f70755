//! What the sums of many events can't name: every merchant, country and device of a segment, exactly.
//!
//! A reference has room for a few of each, and for a sketch beyond. A leaf is its own list. An index keeps the lists of all
//! that is below it, so that one segment answers for thousands of events.

use std::borrow::Cow;

use crate::card::Entry;
use crate::card::codec::InvalidState;
use crate::card::sketch::{Distinct, EXACT_MAX};
use crate::event::Country;

use super::{Node, Nodes, SealedRef, Summary};

/// An index lists so many merchants at most, and so many devices; with more of them its sketch is all there is.
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

    /// Whether the sums leave something open that is needed.
    pub(crate) fn more_than(self, summary: &Summary) -> bool {
        let is_open = |set: &Distinct| matches!(set, Distinct::Sketch(_));
        (self.merchants && is_open(&summary.merchants))
            || (self.countries && summary.countries.more.is_some())
            || (self.devices && is_open(&summary.devices))
    }
}

/// Events of a segment, all of which count: what they add up to, and the segment if it was needed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whole<'s> {
    pub(crate) summary: &'s Summary,
    pub(crate) node: Option<&'s Node>,
}

impl<'s> Whole<'s> {
    /// Every merchant, in any order, perhaps repeated; `None` when nobody can name all of them.
    pub(crate) fn merchants(self) -> Option<Cow<'s, [u32]>> {
        match (&self.summary.merchants, self.node) {
            (Distinct::Exact(list), _) => Some(Cow::Borrowed(list)),
            (_, Some(Node::Leaf(entries))) => Some(entries.iter().map(|entry| entry.merchant_fp).collect()),
            (_, Some(Node::Index(index))) => index.known.merchants.as_deref().map(Cow::Borrowed),
            (_, None) => None,
        }
    }

    /// Every device, likewise.
    pub(crate) fn devices(self) -> Option<Cow<'s, [u32]>> {
        match (&self.summary.devices, self.node) {
            (Distinct::Exact(list), _) => Some(Cow::Borrowed(list)),
            (_, Some(Node::Leaf(entries))) => Some(entries.iter().filter_map(|entry| entry.device_fp).collect()),
            (_, Some(Node::Index(index))) => index.known.devices.as_deref().map(Cow::Borrowed),
            (_, None) => None,
        }
    }

    /// Every country and events in it, likewise.
    pub(crate) fn countries(self) -> Option<Cow<'s, [(Country, u32)]>> {
        match (&self.summary.countries, self.node) {
            (countries, _) if countries.more.is_none() => Some(Cow::Borrowed(&countries.counts)),
            (_, Some(Node::Leaf(entries))) => Some(entries.iter().map(|entry| (entry.country, 1)).collect()),
            (_, Some(Node::Index(index))) => index.known.countries.as_deref().map(Cow::Borrowed),
            (_, None) => None,
        }
    }

    /// So many merchants, or devices, can come of it.
    pub(crate) fn distinct_max(self) -> usize {
        match self.node {
            Some(Node::Leaf(entries)) => entries.len().max(EXACT_MAX),
            Some(Node::Index(index)) => index.known.fingerprints_max().max(EXACT_MAX),
            None => EXACT_MAX,
        }
    }
}

/// Lists of an index. `None`: the sums name all of them, or nobody can.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// Fingerprints, ascending, each once.
    pub(crate) merchants: Option<Vec<u32>>,
    /// Every country with its events, ascending by country, each once.
    pub(crate) countries: Option<Vec<(Country, u32)>>,
    /// Fingerprints, ascending, each once.
    pub(crate) devices: Option<Vec<u32>>,
}

impl Known {
    /// The lists of an index over these references. Segments below it whose sums leave something open must be at hand.
    pub(super) fn of_children(nodes: &Nodes, refs: &[SealedRef], whole: &Summary) -> Self {
        let parts = || {
            refs.iter().map(|segment| Whole {
                summary: &segment.summary,
                node: nodes.get(segment.key),
            })
        };
        Self {
            merchants: list(&whole.merchants, || union(parts().map(Whole::merchants))),
            countries: whole.countries.more.as_ref().and_then(|_| {
                let mut all = Vec::new();
                for part in parts() {
                    all.extend_from_slice(&part.countries()?);
                }
                Some(added_up(all))
            }),
            devices: list(&whole.devices, || union(parts().map(Whole::devices))),
        }
    }

    /// The lists once an event is added below: `before` and `whole` are the sums before and after it.
    pub(super) fn grown(&self, before: &Summary, whole: &Summary, entry: &Entry) -> Self {
        let grown = |set: &Distinct, known: &Option<Vec<u32>>, new: Option<u32>| {
            let mut all = match set {
                Distinct::Exact(list) => list.clone(),
                Distinct::Sketch(_) => known.clone()?,
            };
            if let Some(new) = new
                && let Err(at) = all.binary_search(&new)
            {
                all.insert(at, new);
            }
            (all.len() <= KNOWN_MAX).then_some(all)
        };
        Self {
            merchants: list(&whole.merchants, || {
                grown(&before.merchants, &self.merchants, Some(entry.merchant_fp))
            }),
            countries: whole.countries.more.as_ref().and_then(|_| {
                let countries = &before.countries;
                let mut all = match countries.more {
                    None => countries.counts.clone(),
                    Some(_) => self.countries.clone()?,
                };
                all.push((entry.country, 1));
                Some(added_up(all))
            }),
            devices: list(&whole.devices, || {
                grown(&before.devices, &self.devices, entry.device_fp)
            }),
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.merchants.is_none() && self.countries.is_none() && self.devices.is_none()
    }

    fn fingerprints_max(&self) -> usize {
        let len = |list: &Option<Vec<u32>>| list.as_ref().map_or(0, Vec::len);
        len(&self.merchants).max(len(&self.devices))
    }

    /// What the lists take in memory, in events.
    pub(crate) fn items(&self) -> usize {
        let len = |list: &Option<Vec<u32>>| list.as_ref().map_or(0, Vec::len);
        (len(&self.merchants) + len(&self.devices)).div_ceil(FINGERPRINTS_AN_EVENT)
    }

    /// What must hold of lists beside these references: each says something that the sums do not.
    pub(in crate::card) fn check(&self, refs: &[SealedRef]) -> Result<(), InvalidState> {
        let Some(whole) = Summary::of_all(refs.iter().map(|segment| segment.summary.clone())) else {
            return Err(InvalidState::Segment);
        };
        let is_list = |set: &Distinct, list: &Option<Vec<u32>>| {
            list.as_ref().is_none_or(|list| {
                let is_open = matches!(set, Distinct::Sketch(_));
                is_open && (EXACT_MAX + 1..=KNOWN_MAX).contains(&list.len()) && list.is_sorted_by(|a, b| a < b)
            })
        };
        let are_countries = self.countries.as_ref().is_none_or(|list| {
            whole.countries.more.is_some() && list.len() > EXACT_MAX && list.is_sorted_by(|a, b| a.0 < b.0)
        });
        if is_list(&whole.merchants, &self.merchants) && is_list(&whole.devices, &self.devices) && are_countries {
            Ok(())
        } else {
            Err(InvalidState::Segment)
        }
    }
}

/// A list where the set is no longer one itself.
fn list(set: &Distinct, all: impl FnOnce() -> Option<Vec<u32>>) -> Option<Vec<u32>> {
    match set {
        Distinct::Exact(_) => None,
        Distinct::Sketch(_) => all(),
    }
}

/// All of them, ascending, each once; `None` when one can't be named, or when they are too many.
fn union<'s>(lists: impl Iterator<Item = Option<Cow<'s, [u32]>>>) -> Option<Vec<u32>> {
    let mut all = Vec::new();
    for list in lists {
        all.extend_from_slice(&list?);
    }
    all.sort_unstable();
    all.dedup();
    (all.len() <= KNOWN_MAX).then_some(all)
}

/// Events by country, ascending, each once.
fn added_up(mut all: Vec<(Country, u32)>) -> Vec<(Country, u32)> {
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
