//! Models of trees: those at hand, and those that come chunk by chunk. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidemark_domain::control::item::{Fields, ItemError};
use tidemark_domain::trees::{CHUNKS_MAX, Chunk, ChunkError, DecodeError, TreeModel, TreeModelKey, join};

use crate::port::PortError;

/// Why a model that a policy names can't be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableModel {
    /// There is no such item.
    #[error("chunk {0} of it is not in the table")]
    Absent(u16),
    /// The table did not answer.
    #[error(transparent)]
    Unread(PortError),
    /// An item is not what it should be.
    #[error(transparent)]
    Item(ItemError),
    /// The chunks are not the model of that name.
    #[error("its chunks are not the model")]
    Chunks(#[source] ChunkError),
    /// The bytes are those of that name, and this build can't read them.
    #[error("its bytes can't be read")]
    Bytes(#[source] DecodeError),
}

/// What was read of models so far.
#[derive(Default)]
pub(super) struct Models {
    whole: BTreeMap<TreeModelKey, Arc<TreeModel>>,
    /// In the order of their places, from the first one on.
    chunks: BTreeMap<TreeModelKey, Vec<Chunk<'static>>>,
}

impl Models {
    pub(super) fn whole(&self, key: TreeModelKey) -> Option<Arc<TreeModel>> {
        self.whole.get(&key).cloned()
    }

    /// The chunk of a model that is to be read next; `None`: the model is at hand.
    pub(super) fn wanted(&self, key: TreeModelKey) -> Option<u16> {
        let next = self.chunks.get(&key).map_or(0, Vec::len);
        // Chunks are few.
        (!self.whole.contains_key(&key)).then(|| u16::try_from(next).unwrap_or(u16::MAX))
    }

    /// Takes the chunk that was wanted. Where it does not fit, the model is read anew from its first one.
    pub(super) fn take(&mut self, key: TreeModelKey, index: u16, fields: Option<&Fields>) -> Result<(), UnusableModel> {
        let mut chunks = self.chunks.remove(&key).unwrap_or_default();
        let fields = fields.ok_or(UnusableModel::Absent(index))?;
        let chunk = Chunk::from_fields(key, index, fields).map_err(UnusableModel::Item)?;
        let count = chunk.count;
        if usize::from(count) > CHUNKS_MAX {
            return Err(UnusableModel::Chunks(ChunkError::TooLong));
        }
        chunks.push(chunk.into_owned());
        if chunks.len() < usize::from(count) {
            self.chunks.insert(key, chunks);
            return Ok(());
        }
        let bytes = join(key, &chunks).map_err(UnusableModel::Chunks)?;
        let model = TreeModel::decode(&bytes).map_err(UnusableModel::Bytes)?;
        self.whole.insert(key, Arc::new(model));
        Ok(())
    }

    /// Lets go of all that is at hand but these.
    pub(super) fn keep_whole(&mut self, named: &BTreeSet<TreeModelKey>) {
        self.whole.retain(|key, _| named.contains(key));
    }
}
