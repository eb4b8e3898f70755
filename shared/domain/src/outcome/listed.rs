//! Which lists an outcome was made with.

use std::sync::Arc;

use crate::catalogue::KeyName;
use crate::lists::ListVersion;

/// At most so many lists may a policy declare.
pub const POLICY_LISTS_MAX: usize = 8;

/// A list that a policy declares, as it was when an event was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListRead {
    /// The list's name.
    pub name: KeyName,
    /// What its content was; `None`: it could not be read.
    pub version: Option<ListVersion>,
}

/// The lists that an outcome was made with, in the policy's order; none where the policy declares none. All outcomes of a batch share
/// them.
#[derive(Clone, Debug, Default, Eq)]
pub struct ListReads(Option<Arc<[ListRead]>>);

impl ListReads {
    /// No list.
    pub const NONE: Self = Self(None);

    /// These lists.
    #[must_use]
    pub fn new(reads: Vec<ListRead>) -> Self {
        Self((!reads.is_empty()).then(|| reads.into()))
    }

    /// Each of them, in the policy's order.
    #[must_use]
    pub fn all(&self) -> &[ListRead] {
        self.0.as_deref().unwrap_or_default()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether one could not be read.
    #[must_use]
    pub fn is_one_unread(&self) -> bool {
        self.all().iter().any(|read| read.version.is_none())
    }
}

impl PartialEq for ListReads {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(own), Some(others)) => Arc::ptr_eq(own, others) || own == others,
            _ => false,
        }
    }
}
