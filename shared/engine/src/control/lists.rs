//! Lists: those at hand, and those that come part by part. Pure.
//!
//! A list is taken whole or not at all: until the last part of a new content has come, the one before stays in force. Parts that are the
//! same in both are read once.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidemark_domain::catalogue::KeyName;
use tidemark_domain::control::item::{Fields, ItemError};
use tidemark_domain::control::lists::{NamedList, NamedLists, list_part_bytes};
use tidemark_domain::lists::{
    LISTED_ENTRIES_MAX, List, ListError, ListManifest, ListOf, ListPart, ListPartKey, ListTerms,
};

use crate::port::PortError;

/// Parts that are read in one call at most: a call answers with 16 MB.
pub const LIST_PARTS_IN_READ_MAX: usize = 40;

/// Why a list that a policy declares can't be had. Its last good copy stays in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableList {
    /// There is none of that name.
    #[error("there is no list of that name")]
    Absent,
    /// It is of something else than the policy says.
    #[error("it is of {}, and the policy declares one of {}", .found.as_str(), .declared.as_str())]
    OtherKind {
        /// What it is of.
        found: ListOf,
        /// What the policy says.
        declared: ListOf,
    },
    /// With it, all lists would have more entries than a function holds.
    #[error("with it, the lists have more than {LISTED_ENTRIES_MAX} entries")]
    NoRoom,
    /// A part or the manifest is not in the table.
    #[error("part {0} of it is not in the table")]
    PartAbsent(ListPartKey),
    /// The table did not answer.
    #[error(transparent)]
    Unread(PortError),
    /// An item is not what it should be.
    #[error(transparent)]
    Item(ItemError),
    /// What is stored is not the list.
    #[error("what is stored of it is not the list")]
    Wrong(#[source] ListError),
}

/// A list that rules can ask, and what it was made of.
struct AtHand {
    list: Arc<List>,
    manifest: ListPartKey,
    parts: BTreeMap<ListPartKey, Arc<ListPart>>,
}

/// A list whose content is on its way.
struct Coming {
    key: ListPartKey,
    of: ListOf,
    manifest: Option<ListManifest>,
    parts: BTreeMap<ListPartKey, Arc<ListPart>>,
}

/// What was read of lists so far.
#[derive(Default)]
pub(super) struct Lists {
    at_hand: BTreeMap<KeyName, AtHand>,
    coming: BTreeMap<KeyName, Coming>,
    problems: BTreeMap<KeyName, UnusableList>,
    /// Whether anything has come since the read began.
    has_progress: bool,
}

impl Lists {
    /// Begins a read: which of the declared lists have another content than that at hand. `named` is what the control plane says of
    /// lists; `None`: nothing that can be read.
    pub(super) fn begin(&mut self, declared: &[ListTerms], named: Option<&NamedLists>) {
        self.problems.clear();
        self.has_progress = false;
        let is_declared = |name: &KeyName| declared.iter().any(|terms| terms.name == *name);
        self.at_hand.retain(|name, _| is_declared(name));
        self.coming.retain(|name, _| is_declared(name));
        let mut entries = 0;
        for terms in declared {
            let found = named.and_then(|named| named.find(terms.name));
            let usable = found.ok_or(UnusableList::Absent).and_then(|found| {
                entries += usize::try_from(found.entries).unwrap_or(usize::MAX / 2);
                usable(*terms, found, entries)
            });
            match usable {
                Ok(found) => self.want(found),
                Err(why) => {
                    self.problems.insert(terms.name, why);
                }
            }
        }
    }

    fn want(&mut self, found: &NamedList) {
        let name = found.name;
        let is_there = self
            .at_hand
            .get(&name)
            .is_some_and(|list| list.manifest == found.manifest);
        let is_coming = self.coming.get(&name).is_some_and(|list| list.key == found.manifest);
        if is_there {
            self.coming.remove(&name);
        } else if !is_coming {
            let coming = Coming {
                key: found.manifest,
                of: found.of,
                manifest: None,
                // What had come of another content may be a part of this one, too.
                parts: self.coming.remove(&name).map(|coming| coming.parts).unwrap_or_default(),
            };
            self.coming.insert(name, coming);
        }
    }

    /// What is to be read next, of one list; nothing once every list is whole, or can't be had.
    pub(super) fn wanted(&self) -> Option<(KeyName, Vec<ListPartKey>)> {
        let mut coming = self.coming.iter().filter(|(name, _)| !self.is_given_up(name));
        let (name, list) = coming.next()?;
        let keys = match &list.manifest {
            None => vec![list.key],
            Some(manifest) => {
                let missing = manifest.parts().filter(|key| self.part(*name, list, *key).is_none());
                missing.take(LIST_PARTS_IN_READ_MAX).collect()
            }
        };
        Some((*name, keys))
    }

    fn part(&self, name: KeyName, coming: &Coming, key: ListPartKey) -> Option<Arc<ListPart>> {
        let at_hand = || self.at_hand.get(&name).and_then(|list| list.parts.get(&key));
        coming.parts.get(&key).or_else(at_hand).cloned()
    }

    /// Takes what was wanted of a list; with the last part the list is at hand.
    pub(super) fn take(&mut self, name: KeyName, keys: &[ListPartKey], mut found: BTreeMap<ListPartKey, Fields>) {
        let Some(mut coming) = self.coming.remove(&name) else {
            return;
        };
        for key in keys {
            let taken = match found.remove(key) {
                None => Err(UnusableList::PartAbsent(*key)),
                Some(fields) => take_one(&mut coming, *key, &fields),
            };
            match taken {
                Ok(()) => self.has_progress = true,
                Err(why) => {
                    self.problems.insert(name, why);
                }
            }
        }
        match self.whole(name, &coming) {
            None => {
                self.coming.insert(name, coming);
            }
            Some(Ok(list)) => {
                self.at_hand.insert(name, list);
            }
            Some(Err(why)) => {
                self.problems.insert(name, UnusableList::Wrong(why));
            }
        }
    }

    /// The list, once every part of it is at hand.
    fn whole(&self, name: KeyName, coming: &Coming) -> Option<Result<AtHand, ListError>> {
        let manifest = coming.manifest.as_ref()?;
        let parts = manifest.parts().map(|key| Some((key, self.part(name, coming, key)?)));
        let parts: BTreeMap<ListPartKey, Arc<ListPart>> = parts.collect::<Option<_>>()?;
        let ordered = manifest.parts().filter_map(|key| parts.get(&key).cloned());
        let list = List::of_parts(manifest, ordered.collect::<Vec<_>>());
        Some(list.map(|list| AtHand {
            list: Arc::new(list),
            manifest: coming.key,
            parts,
        }))
    }

    /// The table did not answer: what has come is kept, and the next read goes on from there.
    pub(super) fn unread(&mut self, error: &PortError) {
        for name in self.coming.keys() {
            let why = UnusableList::Unread(error.clone());
            self.problems.entry(*name).or_insert(why);
        }
    }

    /// Whether this read can bring nothing more of a list.
    fn is_given_up(&self, name: &KeyName) -> bool {
        let why = self.problems.get(name);
        // Another policy may declare it as what it is.
        why.is_some_and(|why| !matches!(why, UnusableList::OtherKind { .. }))
    }

    /// Whether a list without a copy at hand is on its way, and the read has brought something of it.
    pub(super) fn is_under_way(&self) -> bool {
        let is_late = |name: &KeyName| matches!(self.problems.get(name), Some(UnusableList::Unread(_)));
        let is_first = |name: &KeyName| !self.at_hand.contains_key(name);
        self.has_progress && self.coming.keys().any(|name| is_first(name) && is_late(name))
    }

    /// The list of a name, if it is at hand.
    pub(super) fn find(&self, name: KeyName) -> Option<Arc<List>> {
        self.at_hand.get(&name).map(|list| Arc::clone(&list.list))
    }

    /// What is wrong with each list.
    pub(super) fn problems(&self) -> impl Iterator<Item = (KeyName, UnusableList)> {
        self.problems.iter().map(|(name, why)| (*name, why.clone()))
    }
}

const fn usable(terms: ListTerms, found: &NamedList, entries: usize) -> Result<&NamedList, UnusableList> {
    if found.of as u8 != terms.of as u8 {
        let (found, declared) = (found.of, terms.of);
        Err(UnusableList::OtherKind { found, declared })
    } else if entries > LISTED_ENTRIES_MAX {
        Err(UnusableList::NoRoom)
    } else {
        Ok(found)
    }
}

fn take_one(coming: &mut Coming, key: ListPartKey, fields: &Fields) -> Result<(), UnusableList> {
    let bytes = list_part_bytes(fields).map_err(UnusableList::Item)?;
    if key == coming.key && coming.manifest.is_none() {
        let manifest = ListManifest::decode(key, bytes).map_err(UnusableList::Wrong)?;
        if manifest.of != coming.of {
            let (found, expected) = (manifest.of, coming.of);
            return Err(UnusableList::Wrong(ListError::OtherKind { found, expected }));
        }
        coming.parts.retain(|key, _| manifest.parts().any(|part| part == *key));
        coming.manifest = Some(manifest);
    } else {
        let part = ListPart::decode(key, coming.of, bytes).map_err(UnusableList::Wrong)?;
        coming.parts.insert(key, Arc::new(part));
    }
    Ok(())
}
