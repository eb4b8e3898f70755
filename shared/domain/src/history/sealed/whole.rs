//! Events of a segment, all of which count, and who can list them.

use std::borrow::Cow;

use crate::event::Country;
use crate::history::sketch::{Distinct, EXACT_MAX};

use super::known::{Listed, ListedCountries, Lists, added_up, union};
use super::node::{Inner, Node, Nodes};
use super::segment::SealedRef;
use super::summary::Summary;

/// Events of a segment, all of which count: what they add up to, and what lists them if that was needed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whole<'s> {
    pub(crate) summary: &'s Summary,
    pub(crate) lister: Lister<'s>,
}

/// What can list the events of a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lister<'s> {
    /// The segment itself.
    Node(&'s Node),
    /// The inner node above it, and its place there.
    Above(&'s Inner, usize),
    /// Nothing that is at hand, or that was needed.
    None,
}

impl<'s> Whole<'s> {
    /// Every merchant, in any order, perhaps repeated; `None` when nobody can name all of them.
    pub(crate) fn merchants(self) -> Option<Cow<'s, [u32]>> {
        match (&self.summary.merchants, self.lister) {
            (Distinct::Exact(list), _) => Some(Cow::Borrowed(list)),
            (_, Lister::Node(Node::Leaf(entries))) => Some(entries.iter().map(|entry| entry.merchant_fp).collect()),
            (_, Lister::Node(Node::Inner(inner))) => inner.known.merchants.as_ref().map(Listed::all),
            (_, Lister::Above(inner, at)) => inner.known.merchants.as_ref()?.part(at),
            (_, Lister::None) => None,
        }
    }

    /// Every device, likewise.
    pub(crate) fn devices(self) -> Option<Cow<'s, [u32]>> {
        match (&self.summary.devices, self.lister) {
            (Distinct::Exact(list), _) => Some(Cow::Borrowed(list)),
            (_, Lister::Node(Node::Leaf(entries))) => {
                Some(entries.iter().filter_map(|entry| entry.device_fp).collect())
            }
            (_, Lister::Node(Node::Inner(inner))) => inner.known.devices.as_ref().map(Listed::all),
            (_, Lister::Above(inner, at)) => inner.known.devices.as_ref()?.part(at),
            (_, Lister::None) => None,
        }
    }

    /// Every country and events in it, likewise.
    pub(crate) fn countries(self) -> Option<Cow<'s, [(Country, u32)]>> {
        match (&self.summary.countries, self.lister) {
            (countries, _) if countries.more.is_none() => Some(Cow::Borrowed(&countries.counts)),
            (_, Lister::Node(Node::Leaf(entries))) => Some(entries.iter().map(|entry| (entry.country, 1)).collect()),
            (_, Lister::Node(Node::Inner(inner))) => inner.known.countries.as_ref().map(ListedCountries::all),
            (_, Lister::Above(inner, at)) => inner.known.countries.as_ref()?.part(at),
            (_, Lister::None) => None,
        }
    }

    /// So many merchants, or devices, can come of it.
    pub(crate) fn distinct_max(self) -> usize {
        let listed = match self.lister {
            Lister::Node(Node::Leaf(entries)) => entries.len(),
            Lister::Node(Node::Inner(inner)) | Lister::Above(inner, _) => inner.known.fingerprints_max(),
            Lister::None => 0,
        };
        listed.max(EXACT_MAX)
    }

    /// Everything that can be named of it.
    fn lists(self) -> Lists {
        Lists {
            merchants: self.merchants().map(|list| union(list.into_owned())),
            countries: self.countries().map(|list| added_up(list.into_owned())),
            devices: self.devices().map(|list| union(list.into_owned())),
        }
    }
}

impl Lists {
    /// Of segments of which those whose sums leave something open are at hand.
    pub(in crate::history) fn of_segments(nodes: &Nodes, refs: &[SealedRef]) -> Vec<Self> {
        let whole = |segment: &SealedRef| {
            let lister = nodes.get(segment.key).map_or(Lister::None, Lister::Node);
            Whole {
                summary: &segment.summary,
                lister,
            }
            .lists()
        };
        refs.iter().map(whole).collect()
    }

    /// Of the segments of an inner node, as far as it names them.
    pub(in crate::history) fn of_inner(inner: &Inner) -> Vec<Self> {
        let whole = |(at, segment): (usize, &SealedRef)| {
            let lister = Lister::Above(inner, at);
            Whole {
                summary: &segment.summary,
                lister,
            }
            .lists()
        };
        inner.refs.iter().enumerate().map(whole).collect()
    }
}
