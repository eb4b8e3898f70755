//! Lists that rules ask: ids, countries, and ranges of addresses, each entry with an end where it has one. A list lives beside the
//! policies, is changed entry by entry, and has a version that names what it says: `docs/concepts/lists.md`.
//!
//! ```text
//! limits    how much of everything
//! problem   what can be wrong with an entry
//! kind      what a list is of, and the one spelling of an entry
//! address   ranges of addresses as prefixes, and the prefixes that an address lies in
//! member    what of an entry a rule can see: a fingerprint and an end; sums of them, and a list's version
//! entry     an entry with who put it there, when and why
//! codec     parts and manifests as bytes
//! part      a part of a list as a function holds it
//! list      a list as a function holds it
//! draft     a list that is being changed, as far as it was read
//! ```

mod address;
mod codec;
mod draft;
mod entry;
mod error;
mod kind;
mod limits;
mod list;
mod member;
mod part;
mod problem;
#[cfg(test)]
mod tests;

pub use codec::{ListManifest, ListPartKey};
pub use draft::{ListChange, ListDraft, ListPut};
pub use entry::{ListEntry, ListNote, NewEntry};
pub use error::ListError;
pub use kind::{ListOf, ListTerms};
pub use limits::{
    LIST_ENTRIES_MAX, LIST_PART_BYTES_MAX, LIST_PART_ENTRIES_MAX, LIST_PARTS_MAX, LIST_REASON_BYTES_MAX,
    LIST_WHO_BYTES_MAX, LISTED_ENTRIES_MAX, LISTS_MAX,
};
pub use list::List;
pub use member::ListVersion;
pub use part::ListPart;
pub use problem::EntryProblem;
