//! Lists as they are read here: all entries one by one, as texts, and addresses bit by bit.

use std::collections::BTreeMap;
use std::net::IpAddr;

use tidemark_domain::lists::ListOf;
use tidemark_domain::policy::Policy;

use super::Named;

/// A list's entries: each with its end, ms since 1970-01-01T00:00:00Z, where it has one.
#[derive(Clone, Debug)]
pub struct PlainList {
    /// What it is of.
    pub of: ListOf,
    /// Its entries.
    pub entries: Vec<(String, Option<i64>)>,
}

/// What lists were, by the version that outcomes name.
#[derive(Clone, Debug, Default)]
pub struct PlainLists(pub BTreeMap<String, PlainList>);

impl PlainLists {
    /// Whether the list that an outcome names has a text as of a time; `None`: it names none, or one that there never was.
    pub(super) fn holds(&self, named: &Named, name: &str, text: &str, at_ms: i64) -> Option<bool> {
        let version = named.lists.get(name)?.as_ref()?;
        let list = self.0.get(version)?;
        let holds = |(entry, until_ms): &(String, Option<i64>)| {
            until_ms.is_none_or(|until_ms| at_ms < until_ms)
                && match list.of {
                    ListOf::Ids | ListOf::Countries => entry == text,
                    ListOf::Addresses => is_within(entry, text),
                }
        };
        Some(list.entries.iter().any(holds))
    }

    /// Lists that an outcome names and should not, or does not name and should, or of a version that there never was.
    pub(super) fn wrong(&self, named: &Named, policy: &Policy) -> Vec<String> {
        let declared: Vec<&str> = policy.lists.terms().iter().map(|terms| terms.name.as_str()).collect();
        let unnamed = declared.iter().filter(|name| !named.lists.contains_key(**name));
        let unnamed = unnamed.map(|name| (*name).to_owned());
        let is_wrong = |(name, version): &(&String, &Option<String>)| {
            let is_unknown = version.as_ref().is_some_and(|version| !self.0.contains_key(version));
            is_unknown || !declared.contains(&name.as_str())
        };
        let wrong = named.lists.iter().filter(is_wrong).map(|(name, _)| name.clone());
        unnamed.chain(wrong).collect()
    }
}

/// Whether the bits of an address begin with those of a prefix.
fn is_within(prefix: &str, address: &str) -> bool {
    let (first, length) = match prefix.split_once('/') {
        Some((first, length)) => (first, length.parse().ok()),
        None => (prefix, None),
    };
    let (Some(first), Some(address)) = (bits(first), bits(address)) else {
        return false;
    };
    let length = length.unwrap_or(first.len());
    first.len() == address.len() && first[..length] == address[..length]
}

fn bits(address: &str) -> Option<Vec<bool>> {
    let octets = match address.parse().ok()? {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => address.octets().to_vec(),
            None => address.octets().to_vec(),
        },
    };
    let bit = |octet: u8| (0..8).rev().map(move |at| octet >> at & 1 == 1);
    Some(octets.into_iter().flat_map(bit).collect())
}
