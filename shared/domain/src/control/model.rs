//! Models of trees in the control plane: each in chunks, an item a chunk, named by the model and the chunk's place. A model is never
//! changed: another one has another name.

use std::borrow::Cow;

use crate::trees::{Chunk, TreeModelKey};

use super::Stamp;
use super::item::{Field, Fields, ItemError, Reader, fields};

/// How the sort keys of models begin.
pub const MODEL_PREFIX: &str = "model#";
/// Attribute: the chunk's bytes.
const BYTES: &str = "bytes";
/// Attribute: how many chunks the model has.
const COUNT: &str = "count";

/// The sort key of a chunk: with leading zeros, so that text order is the chunks' order.
#[must_use]
pub fn chunk_key(model: TreeModelKey, index: u16) -> String {
    format!("{MODEL_PREFIX}{model}#{index:05}")
}

/// The model and the place that a sort key names; `None` where the key is not a chunk's.
#[must_use]
pub fn chunk_of(sort: &str) -> Option<(TreeModelKey, u16)> {
    let (model, index) = sort.strip_prefix(MODEL_PREFIX)?.split_once('#')?;
    let (model, index) = (TreeModelKey::from_name(model)?, index.parse().ok()?);
    (chunk_key(model, index) == sort).then_some((model, index))
}

impl<'a> Chunk<'a> {
    /// As it is stored.
    #[must_use]
    pub fn to_fields(&self, stamp: &Stamp) -> Fields {
        let own = [
            (COUNT, Field::Number(self.count.to_string())),
            (BYTES, Field::Bytes(self.bytes.to_vec())),
        ];
        fields(1, stamp, own)
    }

    /// Reads what is stored under the key of `model` and `index`. Whether the bytes are the model's, joining them says.
    ///
    /// # Errors
    /// Which attribute is not what it should be.
    pub fn from_fields(key: TreeModelKey, index: u16, fields: &'a Fields) -> Result<Self, ItemError> {
        let reader = Reader { item: "model", fields };
        let bytes = Cow::Borrowed(reader.bytes(BYTES)?);
        Ok(Self {
            key,
            index,
            count: reader.number(COUNT)?,
            bytes,
        })
    }

    /// Who stored it, when and why; `None` where that can't be read.
    #[must_use]
    pub fn stamp_of(fields: &Fields) -> Option<Stamp> {
        Reader { item: "model", fields }.stamp().ok()
    }

    /// The same with bytes of its own.
    #[must_use]
    pub fn into_owned(self) -> Chunk<'static> {
        Chunk {
            bytes: Cow::Owned(self.bytes.into_owned()),
            ..self
        }
    }
}
