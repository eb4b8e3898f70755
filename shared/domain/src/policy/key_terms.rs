//! Keys beyond the card, whose labelled histories are kept.

use std::fmt;

use crate::catalogue::KeyName;
use crate::event::{Label, Transaction};
use crate::history::Entry;
use crate::id::{DeviceId, LinkId, fingerprint64};

/// What a field of a key begins with that is one of a transaction's links.
const LINKS: &str = "links.";

/// A key beyond the card: which member of a transaction names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyTerms {
    /// What features and outcomes call it.
    pub name: KeyName,
    /// The member.
    pub field: KeyField,
}

/// The member of a transaction that names a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyField {
    /// `merchant_id`.
    Merchant,
    /// `device_id`.
    Device,
    /// A member of `links`: `links.ip`.
    Link(KeyName),
}

impl KeyField {
    /// The field that a policy writes like that.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "merchant_id" => Some(Self::Merchant),
            "device_id" => Some(Self::Device),
            _ => KeyName::new(text.strip_prefix(LINKS)?).map(Self::Link),
        }
    }

    /// What stands for the key that a transaction names by this member: `fingerprint64` of the id; `None` where it names none.
    #[must_use]
    pub fn identity_of(self, tx: &Transaction) -> Option<u64> {
        let id = match self {
            Self::Merchant => Some(tx.merchant_id.as_str()),
            Self::Device => tx.device_id.as_ref().map(DeviceId::as_str),
            Self::Link(name) => tx.links.get(name).map(LinkId::as_str),
        };
        id.map(fingerprint64)
    }

    /// The keys that an event of a history is known to name: the member of each, and `fingerprint64` of its id.
    pub fn kept_in(entry: &Entry) -> impl Iterator<Item = (Self, u64)> {
        let merchant = entry.merchant_identity().map(|identity| (Self::Merchant, identity));
        let device = entry.device_identity().map(|identity| (Self::Device, identity));
        let links = entry.links.iter();
        let links = links.map(|(name, identity)| (Self::Link(*name), *identity));
        merchant.into_iter().chain(device).chain(links)
    }

    /// The keys that a label names itself: the member of each, and `fingerprint64` of its id.
    pub fn named_by(label: &Label) -> impl Iterator<Item = (Self, u64)> {
        let merchant = label.merchant_id.as_ref().map(|id| (Self::Merchant, id.as_str()));
        let device = label.device_id.as_ref().map(|id| (Self::Device, id.as_str()));
        let links = label.links.iter();
        let links = links.map(|(name, id)| (Self::Link(*name), id.as_str()));
        let named = merchant.into_iter().chain(device).chain(links);
        named.map(|(field, id)| (field, fingerprint64(id)))
    }
}

impl fmt::Display for KeyField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Merchant => f.write_str("merchant_id"),
            Self::Device => f.write_str("device_id"),
            Self::Link(name) => write!(f, "{LINKS}{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_read_as_it_is_written() {
        for text in ["merchant_id", "device_id", "links.ip", "links.email_hash"] {
            assert_eq!(KeyField::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "ip",
            "link.ip",
            "links",
            "links.",
            "links.IP",
            "links.ip.v4",
            "links. ip",
            "card_id",
            "Links.ip",
        ] {
            assert_eq!(KeyField::parse(text), None, "{text}");
        }
    }
}
