//! What a list is of, and the one spelling of an entry.

use crate::catalogue::KeyName;
use crate::event::Country;
use crate::id::{ID_BYTES_MAX, fingerprint64, is_id_character};

use super::address::Prefix;
use super::problem::EntryProblem;

/// What a list is of. Numbers are persisted: keep them stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ListOf {
    /// Ids as the producer writes them: of cards, merchants, devices, accounts.
    Ids = 0,
    /// Countries, by ISO 3166-1.
    Countries = 1,
    /// Addresses and ranges of them, of IPv4 and IPv6.
    Addresses = 2,
}

impl ListOf {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Ids, Self::Countries, Self::Addresses];

    /// As it is written in policies, items and documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ids => "ids",
            Self::Countries => "countries",
            Self::Addresses => "addresses",
        }
    }

    /// Reads a kind.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|of| of.as_str() == name)
    }

    pub(super) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|of| *of as u8 == number)
    }

    /// An entry in its one spelling.
    ///
    /// # Errors
    /// When the text can't be an entry of such a list.
    pub fn spelt(self, text: &str) -> Result<String, EntryProblem> {
        if text.is_empty() {
            return Err(EntryProblem::Empty);
        }
        if text.len() > ID_BYTES_MAX {
            return Err(EntryProblem::TooLong(text.len()));
        }
        match self {
            Self::Ids if text.trim() != text || !text.chars().all(is_id_character) => Err(EntryProblem::Character),
            Self::Ids => Ok(text.to_owned()),
            Self::Countries => match Country::new(text) {
                Some(country) => Ok(country.as_str().to_owned()),
                None => Err(EntryProblem::Country),
            },
            Self::Addresses => Prefix::parse(text).map(|prefix| prefix.to_string()),
        }
    }

    /// What stands for an entry in its one spelling; `None` where it is not spelt so.
    pub(super) fn fingerprint(self, spelt: &str) -> Option<u64> {
        match self {
            Self::Ids | Self::Countries => Some(fingerprint64(spelt)),
            Self::Addresses => Prefix::parse(spelt).ok().map(Prefix::fingerprint),
        }
    }
}

/// A list that a policy declares: its name, and what it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListTerms {
    /// Its name.
    pub name: KeyName,
    /// What it is of.
    pub of: ListOf,
}
