//! The parts of XGBoost's JSON that count, with XGBoost's names. All others are passed over.

use serde::Deserialize;

use crate::trees::limits::{FEATURES_MAX, TREES_MAX};

use super::bounded::{Kept, Length, Quoted};

/// The file, with as much of each tree as `T` holds.
#[derive(Debug, Deserialize)]
pub(super) struct Document<T> {
    /// Major, minor, patch.
    #[serde(default)]
    pub(super) version: Kept<u32, 3>,
    pub(super) learner: Learner<T>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Learner<T> {
    #[serde(default)]
    pub(super) feature_names: Kept<String, FEATURES_MAX>,
    #[serde(default)]
    pub(super) feature_types: Kept<String, FEATURES_MAX>,
    pub(super) gradient_booster: Booster<T>,
    pub(super) learner_model_param: ModelParam,
    pub(super) objective: Objective,
}

#[derive(Debug, Deserialize)]
pub(super) struct Booster<T> {
    pub(super) name: String,
    /// Boosters of other names have something else, or nothing.
    pub(super) model: Option<Trees<T>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Trees<T> {
    pub(super) trees: Option<Kept<T, TREES_MAX>>,
    /// The group that each tree belongs to.
    #[serde(default)]
    pub(super) tree_info: Kept<u32, TREES_MAX>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ModelParam {
    pub(super) base_score: String,
    #[serde(default)]
    pub(super) num_class: Quoted,
    pub(super) num_feature: Quoted,
    #[serde(default)]
    pub(super) num_target: Quoted,
}

#[derive(Debug, Deserialize)]
pub(super) struct Objective {
    pub(super) name: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct TreeParam {
    pub(super) num_nodes: Quoted,
    #[serde(default)]
    pub(super) size_leaf_vector: Quoted,
}

/// How large a tree is.
#[derive(Debug, Deserialize)]
pub(super) struct TreeOutline {
    pub(super) tree_param: TreeParam,
    #[serde(default)]
    left_children: Length,
    #[serde(default)]
    right_children: Length,
    #[serde(default)]
    split_indices: Length,
    #[serde(default)]
    split_conditions: Length,
    #[serde(default)]
    default_left: Length,
    #[serde(default)]
    sum_hessian: Length,
    #[serde(default)]
    split_type: Length,
    #[serde(default)]
    pub(super) categories_nodes: Length,
}

impl TreeOutline {
    /// The arrays that have one element a node.
    pub(super) const fn lengths(&self) -> [(&'static str, usize); 7] {
        [
            ("left_children", self.left_children.count),
            ("right_children", self.right_children.count),
            ("split_indices", self.split_indices.count),
            ("split_conditions", self.split_conditions.count),
            ("default_left", self.default_left.count),
            ("sum_hessian", self.sum_hessian.count),
            ("split_type", self.split_type.count),
        ]
    }
}

/// A tree: one element a node in every array, the root first.
#[derive(Debug, Deserialize)]
pub(super) struct RawTree {
    pub(super) id: u32,
    /// −1: the node is a leaf.
    pub(super) left_children: Vec<i32>,
    pub(super) right_children: Vec<i32>,
    pub(super) split_indices: Vec<u32>,
    /// A split's threshold, a leaf's value.
    pub(super) split_conditions: Vec<f32>,
    /// 1: a missing value goes left.
    pub(super) default_left: Vec<u8>,
    /// A node's cover.
    pub(super) sum_hessian: Vec<f32>,
    /// 0: by a number. 1: by a set of categories.
    pub(super) split_type: Vec<u8>,
}
