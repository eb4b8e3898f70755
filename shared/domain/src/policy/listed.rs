//! The lists that a policy declares, and those of them that are at hand.

use std::sync::Arc;

use crate::catalogue::KeyName;
use crate::lists::{List, ListTerms};
use crate::outcome::{ListRead, ListReads};

/// The lists that a policy declares, in its order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyLists {
    terms: Vec<ListTerms>,
    /// One for each; `None`: it could not be read.
    at_hand: Vec<Option<Arc<List>>>,
    reads: ListReads,
}

impl PolicyLists {
    /// None of them is at hand yet.
    pub(super) fn new(terms: Vec<ListTerms>) -> Self {
        let at_hand = vec![None; terms.len()];
        Self::with(terms, at_hand)
    }

    fn with(terms: Vec<ListTerms>, at_hand: Vec<Option<Arc<List>>>) -> Self {
        let read = |(terms, list): (&ListTerms, &Option<Arc<List>>)| ListRead {
            name: terms.name,
            version: list.as_ref().map(|list| list.version()),
        };
        let reads = ListReads::new(terms.iter().zip(&at_hand).map(read).collect());
        Self { terms, at_hand, reads }
    }

    /// The same lists, as `find` has them by their names. One of another kind than is declared is none.
    pub(super) fn found(&self, find: impl Fn(KeyName) -> Option<Arc<List>>) -> Self {
        let found = self
            .terms
            .iter()
            .map(|terms| find(terms.name).filter(|list| list.of() == terms.of));
        Self::with(self.terms.clone(), found.collect())
    }

    /// What the policy declares.
    #[must_use]
    pub fn terms(&self) -> &[ListTerms] {
        &self.terms
    }

    /// What an outcome says of them.
    #[must_use]
    pub const fn reads(&self) -> &ListReads {
        &self.reads
    }

    /// Whether an entry of the list at this place holds for a text of an event of this time (ms since 1970-01-01T00:00:00Z); `None`: the
    /// list is not at hand.
    #[inline]
    pub(crate) fn holds(&self, at: usize, text: &str, at_ms: i64) -> Option<bool> {
        let list = self.at_hand.get(at)?.as_ref()?;
        Some(list.holds(text, at_ms))
    }
}
