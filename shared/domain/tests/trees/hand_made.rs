//! Models made by hand, in XGBoost's JSON.

use serde_json::{Value, json};
use tidemark_domain::trees::TreeModel;

/// A tree of the file, node by node.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) left: Vec<i32>,
    pub(crate) right: Vec<i32>,
    pub(crate) feature: Vec<u32>,
    pub(crate) value: Vec<f32>,
    pub(crate) default_left: Vec<u8>,
    pub(crate) cover: Vec<f32>,
}

/// ```text
///        amount < 100, missing: left
///        ├ hour < 6, missing: right
///        │ ├ 0.5     cover 10
///        │ └ −0.25   cover 30
///        └ 1.5       cover 60
/// ```
pub(crate) fn small_tree() -> Tree {
    Tree {
        left: vec![1, 3, -1, -1, -1],
        right: vec![2, 4, -1, -1, -1],
        feature: vec![0, 1, 0, 0, 0],
        value: vec![100.0, 6.0, 1.5, 0.5, -0.25],
        default_left: vec![1, 0, 0, 0, 0],
        cover: vec![100.0, 40.0, 60.0, 10.0, 30.0],
    }
}

/// `amount < −1, missing: right`: 0.125, or −2.
pub(crate) fn stump() -> Tree {
    Tree {
        left: vec![1, -1, -1],
        right: vec![2, -1, -1],
        feature: vec![0, 0, 0],
        value: vec![-1.0, 0.125, -2.0],
        default_left: vec![0, 0, 0],
        cover: vec![4.0, 1.0, 3.0],
    }
}

/// A tree of one leaf.
pub(crate) fn leaf(value: f32) -> Tree {
    Tree {
        left: vec![-1],
        right: vec![-1],
        feature: vec![0],
        value: vec![value],
        default_left: vec![0],
        cover: vec![1.0],
    }
}

/// A tree that splits by the first feature again and again, always to the left.
pub(crate) fn chain(splits: usize) -> Tree {
    let nodes = 2 * splits + 1;
    // Split i is node 2 i; its left child is the next split, or the last leaf, and its right child a leaf.
    let is_split = |node: &usize| node.is_multiple_of(2) && *node < 2 * splits;
    let child = |node: usize, step: usize| if is_split(&node) { (node + step) as i32 } else { -1 };
    Tree {
        left: (0..nodes).map(|node| child(node, 2)).collect(),
        right: (0..nodes).map(|node| child(node, 1)).collect(),
        feature: vec![0; nodes],
        value: (0..nodes).map(|node| -(node as f32)).collect(),
        default_left: vec![0; nodes],
        cover: vec![1.0; nodes],
    }
}

impl Tree {
    fn json(&self, id: usize) -> Value {
        json!({
            "id": id,
            "base_weights": vec![0.0; self.left.len()],
            "categories": [], "categories_nodes": [], "categories_segments": [], "categories_sizes": [],
            "default_left": self.default_left,
            "left_children": self.left,
            "loss_changes": vec![0.0; self.left.len()],
            "parents": vec![0; self.left.len()],
            "right_children": self.right,
            "split_conditions": self.value,
            "split_indices": self.feature,
            "split_type": vec![0; self.left.len()],
            "sum_hessian": self.cover,
            "tree_param": {
                "num_deleted": "0",
                "num_feature": "2",
                "num_nodes": self.left.len().to_string(),
                "size_leaf_vector": "1",
            },
        })
    }
}

/// The file of a model of the features `amount` and `hour`, with base score 0.5.
pub(crate) fn document(trees: &[Tree]) -> Value {
    let written: Vec<Value> = trees.iter().enumerate().map(|(id, tree)| tree.json(id)).collect();
    json!({
        "version": [3, 2, 0],
        "learner": {
            "attributes": {},
            "feature_names": ["amount", "hour"],
            "feature_types": ["float", "int"],
            "gradient_booster": {
                "name": "gbtree",
                "model": {
                    "gbtree_model_param": { "num_parallel_tree": "1", "num_trees": trees.len().to_string() },
                    "iteration_indptr": (0..=trees.len()).collect::<Vec<_>>(),
                    "tree_info": vec![0; trees.len()],
                    "trees": written,
                },
            },
            "learner_model_param": {
                "base_score": "[5E-1]",
                "boost_from_average": "1",
                "num_class": "0",
                "num_feature": "2",
                "num_target": "1",
            },
            "objective": { "name": "binary:logistic", "reg_loss_param": { "scale_pos_weight": "1" } },
        },
    })
}

/// The model of these trees.
pub(crate) fn model(trees: &[Tree]) -> TreeModel {
    TreeModel::from_xgboost(document(trees).to_string().as_bytes()).unwrap()
}
