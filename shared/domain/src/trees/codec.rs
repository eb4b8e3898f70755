//! A model as bytes, format version 1. Numbers are little-endian.
//!
//! ```text
//! ┌─────────┬──────────────┬────────────────────────────┬─────────────────┬───────────┬────────┬────────┬ ─ ─ ┬────────┐
//! │ version │ features:u16 │ a name each:               │ base margin:f32 │ trees:u16 │ node 0 │ node 1 │     │ node n │
//! │  = 1    │              │ length:u8, that much UTF-8 │                 │           │        │        │     │        │
//! └─────────┴──────────────┴────────────────────────────┴─────────────────┴───────────┴────────┴────────┴ ─ ─ ┴────────┘
//!
//! node    head:u16   then
//!   split  feature in bits 0 to 13, bit 14 where a missing value goes left     threshold:f32  expected:f32
//!   leaf   bit 15 and no other                                                 value:f32
//! ```
//!
//! Nodes stand tree by tree, each tree in preorder: a split, all that is left of it, all that is right of it. So a tree says
//! itself where it ends, and a model has one spelling.

use super::build::Builder;
use super::chunk::TreeModelKey;
use super::error::DecodeError;
use super::limits::{FEATURE_NAME_BYTES_MAX, FEATURES_MAX, MODEL_BYTES_MAX, NODES_MAX, TREES_MAX};
use super::model::{Node, Split, TreeModel};

const VERSION: u8 = 1;
const LEAF: u16 = 1 << 15;
const MISSING_LEFT: u16 = 1 << 14;
const SPLIT_BYTES: usize = 10;
const LEAF_BYTES: usize = 6;

// Whatever keeps the limits can be written and read: feature numbers fit their bits, lengths their bytes, and a model its own
// limit. A tree has one leaf more than splits.
const _: () = assert!(FEATURES_MAX <= MISSING_LEFT as usize && FEATURE_NAME_BYTES_MAX <= u8::MAX as usize);
const _: () = assert!(
    9 + FEATURES_MAX * (1 + FEATURE_NAME_BYTES_MAX)
        + NODES_MAX * (SPLIT_BYTES + LEAF_BYTES) / 2
        + TREES_MAX * LEAF_BYTES
        <= MODEL_BYTES_MAX
);

impl TreeModel {
    /// The model as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let names: usize = self.features.iter().map(|name| 1 + name.len()).sum();
        let mut bytes = Vec::with_capacity(9 + names + self.nodes.len() * SPLIT_BYTES);
        bytes.push(VERSION);
        // Numbers of features and trees, and lengths of names, are within their limits, which fit.
        bytes.extend((self.features.len() as u16).to_le_bytes());
        for name in &self.features {
            bytes.push(name.len() as u8);
            bytes.extend(name.as_bytes());
        }
        bytes.extend(self.base_margin.to_le_bytes());
        bytes.extend((self.roots.len() as u16).to_le_bytes());
        self.nodes.iter().for_each(|node| put_node(&mut bytes, node));
        bytes
    }

    /// Its name: that of its bytes.
    #[must_use]
    pub fn key(&self) -> TreeModelKey {
        TreeModelKey::of(&self.encode())
    }

    /// The model that the bytes stand for: the inverse of [`TreeModel::encode`]. A model has one spelling, and nothing else is
    /// read.
    ///
    /// Total: any bytes give a model or an error, in time and memory bounded by their length.
    ///
    /// # Errors
    /// When the bytes are not a whole and valid model of a known format.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match bytes {
            [] => Err(DecodeError::Empty),
            _ if bytes.len() > MODEL_BYTES_MAX => Err(DecodeError::TooLong),
            [VERSION, rest @ ..] => decode_model(rest),
            [version, ..] => Err(DecodeError::UnknownVersion(*version)),
        }
    }
}

fn put_node(bytes: &mut Vec<u8>, node: &Node) {
    match node {
        Node::Leaf(value) => {
            bytes.extend(LEAF.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        Node::Split(split) => {
            let missing_left = if split.missing_left { MISSING_LEFT } else { 0 };
            bytes.extend((split.feature | missing_left).to_le_bytes());
            bytes.extend(split.threshold.to_le_bytes());
            bytes.extend(split.expected.to_le_bytes());
        }
    }
}

fn decode_model(mut rest: &[u8]) -> Result<TreeModel, DecodeError> {
    let bytes = &mut rest;
    let features = get_names(bytes)?;
    let base_margin = get_f32(bytes)?;
    let mut builder = Builder::new(features, base_margin)?;
    for tree in 0..usize::from(get_u16(bytes)?) {
        builder.begin_tree()?;
        while !builder.take(get_node(bytes, tree)?)? {}
    }
    if !bytes.is_empty() {
        return Err(DecodeError::Trailing);
    }
    Ok(builder.finish()?)
}

fn get_names(bytes: &mut &[u8]) -> Result<Vec<String>, DecodeError> {
    let mut names = Vec::new();
    for index in 0..usize::from(get_u16(bytes)?) {
        let [length] = get(bytes)?;
        let (name, rest) = bytes
            .split_at_checked(usize::from(length))
            .ok_or(DecodeError::Truncated)?;
        *bytes = rest;
        let name = str::from_utf8(name).map_err(|_| DecodeError::NotText(index))?;
        names.push(name.to_owned());
    }
    Ok(names)
}

fn get_node(bytes: &mut &[u8], tree: usize) -> Result<Node, DecodeError> {
    let head = get_u16(bytes)?;
    let value = get_f32(bytes)?;
    if head == LEAF {
        return Ok(Node::Leaf(value));
    }
    if head & LEAF != 0 {
        return Err(DecodeError::Node { tree });
    }
    Ok(Node::Split(Split {
        threshold: value,
        expected: get_f32(bytes)?,
        right: 0,
        feature: head & !MISSING_LEFT,
        missing_left: head & MISSING_LEFT != 0,
    }))
}

fn get<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], DecodeError> {
    let (taken, rest) = bytes.split_first_chunk().ok_or(DecodeError::Truncated)?;
    *bytes = rest;
    Ok(*taken)
}

fn get_u16(bytes: &mut &[u8]) -> Result<u16, DecodeError> {
    get(bytes).map(u16::from_le_bytes)
}

fn get_f32(bytes: &mut &[u8]) -> Result<f32, DecodeError> {
    get(bytes).map(f32::from_le_bytes)
}
