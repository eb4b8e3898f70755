//! Lists in the control plane: one item names all of them, and what they consist of is stored by the hash of its bytes. A part or a
//! manifest is never changed: another content has another name.

use serde::{Deserialize, Serialize};

use crate::catalogue::KeyName;
use crate::lists::{LISTS_MAX, ListOf, ListPartKey, ListVersion};

use super::Stamp;
use super::item::{Field, Fields, ItemError, Reader, fields};

/// Sort key of the item that names the lists.
pub const LISTS: &str = "lists";
/// How the sort keys of parts and manifests begin.
pub const LIST_PREFIX: &str = "list#";
/// Attribute: the bytes of a part or of a manifest.
const BYTES: &str = "bytes";
/// Attribute: the lists.
const LIST: &str = "list";

/// The sort key of a part or of a manifest.
#[must_use]
pub fn list_key(key: ListPartKey) -> String {
    format!("{LIST_PREFIX}{key}")
}

/// The part or the manifest that a sort key names; `None` where the key is of neither.
#[must_use]
pub fn list_part_of(sort: &str) -> Option<ListPartKey> {
    ListPartKey::from_name(sort.strip_prefix(LIST_PREFIX)?)
}

/// A part or a manifest as it is stored.
#[must_use]
pub fn list_part_fields(bytes: Vec<u8>, stamp: &Stamp) -> Fields {
    fields(1, stamp, [(BYTES, Field::Bytes(bytes))])
}

/// The bytes of a part or of a manifest. Whether they are those of its name, reading them says.
///
/// # Errors
/// When they are none.
pub fn list_part_bytes(fields: &Fields) -> Result<&[u8], ItemError> {
    Reader { item: "list", fields }.bytes(BYTES)
}

/// A list, and what it consists of now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedList {
    /// Its name.
    pub name: KeyName,
    /// What it is of.
    pub of: ListOf,
    /// Number of its changes so far.
    pub revision: u64,
    /// Where its manifest is.
    pub manifest: ListPartKey,
    /// What names its content.
    pub version: ListVersion,
    /// How many entries it has.
    pub entries: u64,
}

/// All lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedLists {
    /// Number of changes so far, of all lists together.
    pub revision: u64,
    /// Each name once, in their order.
    list: Vec<NamedList>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    name: String,
    of: String,
    revision: u64,
    manifest: String,
    version: String,
    entries: u64,
}

impl NamedLists {
    /// Each list, in the order of their names.
    #[must_use]
    pub fn all(&self) -> &[NamedList] {
        &self.list
    }

    /// The list of a name.
    #[must_use]
    pub fn find(&self, name: KeyName) -> Option<&NamedList> {
        self.list.iter().find(|list| list.name == name)
    }

    /// The lists once one has changed, or has come.
    #[must_use]
    pub fn changed(&self, list: NamedList) -> Self {
        let name = list.name;
        let others = self.list.iter().filter(|other| other.name != name).cloned();
        let mut all: Vec<NamedList> = others.chain([list]).collect();
        all.sort_by_key(|list| list.name);
        Self {
            revision: self.revision + 1,
            list: all,
        }
    }

    /// As they are stored, with the change that made them so.
    #[must_use]
    pub fn to_fields(&self, stamp: &Stamp) -> Fields {
        let written = self.list.iter().map(|list| Written {
            name: list.name.as_str().to_owned(),
            of: list.of.as_str().to_owned(),
            revision: list.revision,
            manifest: list.manifest.to_string(),
            version: list.version.to_string(),
            entries: list.entries,
        });
        // Texts and numbers only: they are always JSON.
        let list = serde_json::to_string(&written.collect::<Vec<_>>()).unwrap_or_default();
        fields(self.revision, stamp, [(LIST, Field::Text(list))])
    }

    /// Reads what is stored.
    ///
    /// # Errors
    /// Which attribute is not what it should be.
    pub fn from_fields(fields: &Fields) -> Result<Self, ItemError> {
        let reader = Reader { item: LISTS, fields };
        let written: Vec<Written> = serde_json::from_str(reader.text(LIST)?).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            reader.error(LIST, format!("expected a JSON array of lists ({place})"))
        })?;
        let read = |list: &Written| {
            Some(NamedList {
                name: KeyName::new(&list.name)?,
                of: ListOf::from_name(&list.of)?,
                revision: list.revision,
                manifest: ListPartKey::from_name(&list.manifest)?,
                version: ListVersion::from_name(&list.version)?,
                entries: list.entries,
            })
        };
        let list: Option<Vec<NamedList>> = written.iter().map(read).collect();
        let expected = "expected lists with a name, what they are of, and the names of their contents";
        let list = list.ok_or_else(|| reader.error(LIST, expected))?;
        if list.len() > LISTS_MAX {
            return Err(reader.error(LIST, format!("expected at most {LISTS_MAX} lists")));
        }
        if !list.is_sorted_by(|one, other| one.name < other.name) {
            return Err(reader.error(LIST, "expected each name once, in their order"));
        }
        Ok(Self {
            revision: reader.revision()?,
            list,
        })
    }
}
