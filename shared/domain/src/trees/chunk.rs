//! A model's bytes in pieces that fit an item, and its name.

use std::borrow::Cow;

use crate::id::hash_of_name;

use super::error::ChunkError;
use super::limits::{CHUNK_BYTES_MAX, MODEL_BYTES_MAX};

/// A model's name: the hash of its bytes (XXH3-64, seed 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TreeModelKey(pub u64);

impl TreeModelKey {
    /// The name of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(xxhash_rust::xxh3::xxh3_64(bytes))
    }

    /// Reads a name as it is written: 16 hexadecimal digits, small letters.
    #[must_use]
    pub fn from_name(text: &str) -> Option<Self> {
        hash_of_name(text).map(Self)
    }
}

impl std::fmt::Display for TreeModelKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A piece of a model's bytes, with what tells where it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// The model's name.
    pub key: TreeModelKey,
    /// Its place, from 0.
    pub index: u16,
    /// How many the model has.
    pub count: u16,
    /// 1 to [`CHUNK_BYTES_MAX`] bytes.
    pub bytes: Cow<'a, [u8]>,
}

/// The chunks of a model's bytes, in their order.
///
/// # Errors
/// When there are no bytes, or more than [`MODEL_BYTES_MAX`].
pub fn split(bytes: &[u8]) -> Result<Vec<Chunk<'_>>, ChunkError> {
    if bytes.is_empty() {
        return Err(ChunkError::None);
    }
    if bytes.len() > MODEL_BYTES_MAX {
        return Err(ChunkError::TooLong);
    }
    let key = TreeModelKey::of(bytes);
    let count = bytes.len().div_ceil(CHUNK_BYTES_MAX) as u16;
    let chunks = (0..count).zip(bytes.chunks(CHUNK_BYTES_MAX));
    let chunk = |(index, bytes)| Chunk {
        key,
        index,
        count,
        bytes: Cow::Borrowed(bytes),
    };
    Ok(chunks.map(chunk).collect())
}

/// The bytes of the model of that name, from its chunks in any order.
///
/// # Errors
/// When chunks are missing, are there twice, or don't belong together, and when the bytes are not those of that name.
pub fn join(key: TreeModelKey, chunks: &[Chunk<'_>]) -> Result<Vec<u8>, ChunkError> {
    let count = chunks.first().ok_or(ChunkError::None)?.count;
    for chunk in chunks {
        check(chunk, key, count)?;
    }
    let mut ordered: Vec<&Chunk<'_>> = chunks.iter().collect();
    ordered.sort_by_key(|chunk| chunk.index);
    if let Some(pair) = ordered.windows(2).find(|pair| pair[0].index == pair[1].index) {
        return Err(ChunkError::Twice(pair[0].index));
    }
    // No two are equal and none is beyond the count: the first place that another one takes is free.
    if let Some(missing) = (0..count).find(|index| ordered.get(usize::from(*index)).is_none_or(|at| at.index != *index))
    {
        return Err(ChunkError::Missing(missing));
    }
    if ordered.iter().map(|chunk| chunk.bytes.len()).sum::<usize>() > MODEL_BYTES_MAX {
        return Err(ChunkError::TooLong);
    }
    let mut bytes = Vec::new();
    ordered.iter().for_each(|chunk| bytes.extend_from_slice(&chunk.bytes));
    if TreeModelKey::of(&bytes) != key {
        return Err(ChunkError::Hash(key.0));
    }
    Ok(bytes)
}

fn check(chunk: &Chunk<'_>, key: TreeModelKey, count: u16) -> Result<(), ChunkError> {
    let Chunk { index, bytes, .. } = chunk;
    if chunk.key != key {
        return Err(ChunkError::OfAnother(*index));
    }
    if chunk.count != count || *index >= count {
        return Err(ChunkError::Count {
            index: *index,
            count: chunk.count,
        });
    }
    if bytes.is_empty() || bytes.len() > CHUNK_BYTES_MAX {
        return Err(ChunkError::Length(*index));
    }
    Ok(())
}
