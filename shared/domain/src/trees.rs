//! Boosted trees: a model that a team has trained with XGBoost, with the same answer, bit for bit, on every machine.
//!
//! ```text
//!  XGBoost's JSON ──from_xgboost──► TreeModel ──margin, contributions──► log odds, and what each feature gave to them
//!                                    │    ▲
//!                               encode    decode
//!                                    ▼    │
//!                                    bytes ──split──► chunks, each below what an item can hold ──join──► bytes
//! ```
//!
//! A model is named by the hash of its bytes ([`TreeModelKey`]), as a sealed segment of a history is.
//!
//! The margin is the log odds of fraud: that of the base score plus one leaf of each tree, added in single precision in the order
//! of the trees, which is how XGBoost does it (`src/predictor/cpu_predictor.cc`, `PredictByAllTrees`). At a split a value
//! below the threshold goes left, a missing one where the split says. All trees count, as in `Booster.predict`: who trained with
//! early stopping saves `booster[: booster.best_iteration + 1]`.
//!
//! Nothing here recurses, and each number of things has its limit, so that hostile bytes cost time and memory in proportion to
//! their length and end in an error.

mod build;
mod chunk;
mod codec;
mod error;
mod evaluate;
mod limits;
mod model;
mod xgboost;

#[cfg(test)]
mod tests;

pub use chunk::{Chunk, TreeModelKey, join, split};
pub use error::{ChunkError, DecodeError, ImportError, InvalidModel, UnknownFeatures, WrongWidth};
pub use evaluate::{Contributions, Margin, input};
pub use limits::{
    BASE_SCORE_MIN, CHUNK_BYTES_MAX, CHUNKS_MAX, DEPTH_MAX, FEATURE_NAME_BYTES_MAX, FEATURES_MAX, JSON_BYTES_MAX,
    LEAF_MAX, MODEL_BYTES_MAX, NODES_MAX, TREES_MAX,
};
pub use model::TreeModel;
