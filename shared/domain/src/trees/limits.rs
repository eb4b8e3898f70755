//! What a model of trees may take at most.

/// Trees of a model.
pub const TREES_MAX: usize = 2_000;
/// Splits between a tree's root and its deepest leaf.
pub const DEPTH_MAX: usize = 16;
/// Nodes of all trees together: 2,000 full trees of depth 6 have 254,000.
pub const NODES_MAX: usize = 500_000;
/// Features of a model.
pub const FEATURES_MAX: usize = 1_024;
/// A feature's name, bytes.
pub const FEATURE_NAME_BYTES_MAX: usize = 100;
/// The greatest value of a leaf, log odds. It is far beyond what a logistic model learns, and no sum of such leaves
/// overflows.
pub const LEAF_MAX: f32 = 1e6;
/// A base score is at least so far from 0 and from 1: what lies nearer is not the same margin in every version of XGBoost.
pub const BASE_SCORE_MIN: f32 = 1e-6;
/// XGBoost's JSON, bytes. Real files take 60 to 90 bytes a node.
pub const JSON_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A model's own bytes. What keeps the other limits always fits.
pub const MODEL_BYTES_MAX: usize = 4 * 1024 * 1024;
/// One chunk of a model's bytes: three quarters of what a DynamoDB item can hold, as for a card's state.
pub const CHUNK_BYTES_MAX: usize = 300 * 1024;
/// Chunks of a model.
pub const CHUNKS_MAX: usize = MODEL_BYTES_MAX.div_ceil(CHUNK_BYTES_MAX);
