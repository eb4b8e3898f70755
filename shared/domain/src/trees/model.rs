//! A model in memory.

use super::error::UnknownFeatures;

/// A model of boosted trees for one yes-or-no question, whole and within its limits.
#[derive(Clone, Debug, PartialEq)]
pub struct TreeModel {
    pub(super) features: Vec<String>,
    /// Log odds of the base score.
    pub(super) base_margin: f32,
    /// Where each tree begins in `nodes`.
    pub(super) roots: Vec<u32>,
    /// Tree after tree, each in preorder: a split, all that is left of it, all that is right of it.
    pub(super) nodes: Vec<Node>,
}

/// A node of a tree: 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Node {
    /// What the tree adds to the margin, log odds.
    Leaf(f32),
    Split(Split),
}

/// A split in two: its left child is the node after it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Split {
    /// A value below it goes left.
    pub(super) threshold: f32,
    /// What the tree adds on average, of those that came so far: the mean of the leaves below, weighted by their cover.
    pub(super) expected: f32,
    /// Where the right child is in the model's nodes: always after the split.
    pub(super) right: u32,
    pub(super) feature: u16,
    pub(super) missing_left: bool,
}

impl Node {
    /// What the tree adds on average from here on, log odds.
    pub(super) fn expected(&self) -> f32 {
        match self {
            Self::Leaf(value) => *value,
            Self::Split(split) => split.expected,
        }
    }
}

impl TreeModel {
    /// The features' names, in the order in which values are given.
    #[must_use]
    pub fn features(&self) -> &[String] {
        &self.features
    }

    /// Log odds of the base score, which every margin begins with.
    #[must_use]
    pub const fn base_margin(&self) -> f32 {
        self.base_margin
    }

    /// How many trees there are.
    #[must_use]
    pub const fn trees(&self) -> usize {
        self.roots.len()
    }

    /// How many nodes all trees have together.
    #[must_use]
    pub const fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Splits between a root and its deepest leaf, of all trees the most.
    #[must_use]
    pub fn depth(&self) -> usize {
        // A node's parent stands before it.
        let mut depths = vec![0; self.nodes.len()];
        for (at, node) in self.nodes.iter().enumerate() {
            if let Node::Split(split) = node {
                let below = depths[at] + 1;
                depths[at + 1] = below;
                depths[split.right as usize] = below;
            }
        }
        depths.into_iter().max().unwrap_or(0)
    }

    /// How often each feature splits, in their order.
    #[must_use]
    pub fn splits(&self) -> Vec<usize> {
        let mut splits = vec![0; self.features.len()];
        for node in &self.nodes {
            if let Node::Split(split) = node {
                splits[usize::from(split.feature)] += 1;
            }
        }
        splits
    }

    /// What `find` makes of each feature's name, in the model's order.
    ///
    /// # Errors
    /// When it does not know some of them; the error names them all.
    pub fn bind<T>(&self, mut find: impl FnMut(&str) -> Option<T>) -> Result<Vec<T>, UnknownFeatures> {
        let (mut bound, mut unknown) = (Vec::with_capacity(self.features.len()), Vec::new());
        for name in &self.features {
            match find(name) {
                Some(found) => bound.push(found),
                None => unknown.push(name.clone()),
            }
        }
        if unknown.is_empty() {
            Ok(bound)
        } else {
            Err(UnknownFeatures(unknown))
        }
    }
}
