//! The lists that a policy declares, and those of them that are at hand.

use std::sync::Arc;

use crate::catalogue::KeyName;
use crate::id::CardId;
use crate::lists::{List, ListTerms};
use crate::outcome::{ListRead, ListReads, OverrideAction};

/// What a policy says of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Declared {
    pub(super) terms: ListTerms,
    /// What it does to the decisions of the cards whose ids are in it.
    pub(super) overrides: Option<OverrideAction>,
}

/// The lists that a policy declares, in its order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyLists {
    terms: Vec<ListTerms>,
    /// Those that decide for cards: their places, and what they decide.
    overrides: Vec<(usize, OverrideAction)>,
    /// One for each; `None`: it could not be read.
    at_hand: Vec<Option<Arc<List>>>,
    reads: ListReads,
}

impl PolicyLists {
    /// None of them is at hand yet.
    pub(super) fn new(declared: &[Declared]) -> Self {
        let overrides = declared.iter().enumerate();
        let overrides = overrides.filter_map(|(at, list)| Some((at, list.overrides?)));
        Self {
            overrides: overrides.collect(),
            ..Self::default()
        }
        .with(
            declared.iter().map(|list| list.terms).collect(),
            vec![None; declared.len()],
        )
    }

    fn with(&self, terms: Vec<ListTerms>, at_hand: Vec<Option<Arc<List>>>) -> Self {
        let read = |(terms, list): (&ListTerms, &Option<Arc<List>>)| ListRead {
            name: terms.name,
            version: list.as_ref().map(|list| list.version()),
        };
        let reads = ListReads::new(terms.iter().zip(&at_hand).map(read).collect());
        Self {
            terms,
            overrides: self.overrides.clone(),
            at_hand,
            reads,
        }
    }

    /// The same lists, as `find` has them by their names. One of another kind than is declared is none.
    pub(super) fn found(&self, find: impl Fn(KeyName) -> Option<Arc<List>>) -> Self {
        let found = self
            .terms
            .iter()
            .map(|terms| find(terms.name).filter(|list| list.of() == terms.of));
        self.with(self.terms.clone(), found.collect())
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

    /// Which lists decide for the cards whose ids are in them, and what they decide, in the policy's order.
    pub fn overrides(&self) -> impl Iterator<Item = (ListTerms, OverrideAction)> {
        let overrides = self.overrides.iter();
        overrides.filter_map(|(at, action)| Some((*self.terms.get(*at)?, *action)))
    }

    /// What the lists decide for an event of a card at this time (ms since 1970-01-01T00:00:00Z): the first of the policy's lists that has
    /// it. One that is not at hand decides nothing.
    #[must_use]
    pub fn decided(&self, card_id: &CardId, at_ms: i64) -> Option<OverrideAction> {
        let mut overrides = self.overrides.iter();
        let found = overrides.find(|(at, _)| self.holds(*at, card_id.as_str(), at_ms) == Some(true));
        found.map(|(_, action)| *action)
    }

    /// Whether an entry of the list at this place holds for a text of an event of this time (ms since 1970-01-01T00:00:00Z); `None`: the
    /// list is not at hand.
    #[inline]
    pub(crate) fn holds(&self, at: usize, text: &str, at_ms: i64) -> Option<bool> {
        let list = self.at_hand.get(at)?.as_ref()?;
        Some(list.holds(text, at_ms))
    }
}
