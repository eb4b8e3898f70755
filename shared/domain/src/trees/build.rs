//! Puts a model together, node by node in preorder, and lets nothing in that no model has.

use std::collections::BTreeSet;

use super::error::InvalidModel;
use super::limits::{DEPTH_MAX, FEATURE_NAME_BYTES_MAX, FEATURES_MAX, LEAF_MAX, NODES_MAX, TREES_MAX};
use super::model::{Node, Split, TreeModel};

/// A model that is not whole yet.
#[derive(Debug)]
pub(super) struct Builder {
    model: TreeModel,
    /// Splits of the tree whose right child is still to come, and that child's depth: at most one a depth.
    open: Vec<(usize, usize)>,
    /// The next node's depth.
    depth: usize,
}

impl Builder {
    pub(super) fn new(features: Vec<String>, base_margin: f32) -> Result<Self, InvalidModel> {
        check_features(&features)?;
        if !base_margin.is_finite() {
            return Err(InvalidModel::BaseMargin);
        }
        let model = TreeModel {
            features,
            base_margin,
            roots: Vec::new(),
            nodes: Vec::new(),
        };
        Ok(Self {
            model,
            open: Vec::new(),
            depth: 0,
        })
    }

    /// Begins the next tree. The one before is whole.
    pub(super) fn begin_tree(&mut self) -> Result<(), InvalidModel> {
        let trees = self.model.roots.len() + 1;
        if trees > TREES_MAX {
            return Err(InvalidModel::TooManyTrees(trees));
        }
        // Nodes are at most `NODES_MAX`.
        self.model.roots.push(self.model.nodes.len() as u32);
        self.open.clear();
        self.depth = 0;
        Ok(())
    }

    /// Takes the next node of the tree in preorder; where a split's right child is does not count yet. Whether the tree is
    /// whole now.
    pub(super) fn take(&mut self, node: Node) -> Result<bool, InvalidModel> {
        let at = self.model.nodes.len();
        if at >= NODES_MAX {
            return Err(InvalidModel::TooManyNodes);
        }
        self.check(&node)?;
        self.model.nodes.push(node);
        if let Node::Split(_) = node {
            self.depth += 1;
            self.open.push((at, self.depth));
            return Ok(false);
        }
        let Some((parent, depth)) = self.open.pop() else {
            return Ok(true);
        };
        if let Some(Node::Split(split)) = self.model.nodes.get_mut(parent) {
            split.right = (at + 1) as u32;
        }
        self.depth = depth;
        Ok(false)
    }

    fn check(&self, node: &Node) -> Result<(), InvalidModel> {
        let tree = self.model.roots.len().saturating_sub(1);
        if let Node::Split(Split { threshold, feature, .. }) = node {
            if usize::from(*feature) >= self.model.features.len() {
                let feature = u32::from(*feature);
                return Err(InvalidModel::FeatureRange { tree, feature });
            }
            if !threshold.is_finite() {
                return Err(InvalidModel::Threshold { tree });
            }
            if self.depth >= DEPTH_MAX {
                return Err(InvalidModel::TooDeep { tree });
            }
        }
        // A NaN is no less than anything.
        if node.expected().abs() <= LEAF_MAX {
            Ok(())
        } else {
            Err(InvalidModel::Leaf { tree })
        }
    }

    /// The model. Its last tree is whole.
    pub(super) fn finish(self) -> Result<TreeModel, InvalidModel> {
        if self.model.roots.is_empty() {
            return Err(InvalidModel::NoTrees);
        }
        Ok(self.model)
    }
}

fn check_features(features: &[String]) -> Result<(), InvalidModel> {
    if features.is_empty() {
        return Err(InvalidModel::NoFeatures);
    }
    if features.len() > FEATURES_MAX {
        return Err(InvalidModel::TooManyFeatures(features.len()));
    }
    let mut names = BTreeSet::new();
    for (index, name) in features.iter().enumerate() {
        if name.is_empty() || name.len() > FEATURE_NAME_BYTES_MAX || name.contains(char::is_control) {
            return Err(InvalidModel::FeatureName(index));
        }
        if !names.insert(name) {
            return Err(InvalidModel::SameName(name.clone()));
        }
    }
    Ok(())
}
