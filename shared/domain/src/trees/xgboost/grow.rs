//! One tree of the file becomes one of the model.

use crate::trees::build::Builder;
use crate::trees::error::{ImportError, InvalidModel};
use crate::trees::limits::DEPTH_MAX;
use crate::trees::model::{Node, Split};

use super::document::RawTree;

/// The index of the feature that a deleted node splits by. Pruning leaves such nodes behind (`gamma` with
/// `tree_method=exact`), with no way to them; XGBoost tells them by this number.
const DELETED: u32 = i32::MAX as u32;

/// Adds a tree of the file to the model. Its arrays have the same length, which is not 0.
pub(super) fn grow(builder: &mut Builder, tree: usize, raw: &RawTree) -> Result<(), ImportError> {
    if raw.id as usize != tree {
        return Err(ImportError::TreeOrder { tree, id: raw.id });
    }
    let shape = Shape { tree, raw };
    let order = shape.preorder()?;
    let means = shape.means(&order)?;
    builder.begin_tree()?;
    for node in order {
        builder.take(shape.node(node, &means)?)?;
    }
    Ok(())
}

/// A tree of the file, and its place.
struct Shape<'a> {
    tree: usize,
    raw: &'a RawTree,
}

impl Shape<'_> {
    fn is_leaf(&self, node: usize) -> bool {
        self.raw.left_children[node] == -1
    }

    /// A split's children, left and right. They are checked by [`Shape::preorder`].
    fn children(&self, node: usize) -> [usize; 2] {
        [self.raw.left_children[node], self.raw.right_children[node]].map(|child| child as usize)
    }

    /// The nodes that ways lead to, each before what is below it and its left side before its right one.
    fn preorder(&self) -> Result<Vec<usize>, ImportError> {
        let (tree, nodes) = (self.tree, self.raw.left_children.len());
        let mut order = Vec::with_capacity(nodes);
        let mut seen = vec![false; nodes];
        // Nodes to visit and their depth, the next one last.
        let mut open = vec![(0, 0)];
        while let Some((node, depth)) = open.pop() {
            if std::mem::replace(&mut seen[node], true) {
                return Err(ImportError::Circle {
                    tree,
                    node: node as u32,
                });
            }
            order.push(node);
            if self.is_leaf(node) {
                continue;
            }
            if depth >= DEPTH_MAX {
                return Err(InvalidModel::TooDeep { tree }.into());
            }
            for children in [&self.raw.right_children, &self.raw.left_children] {
                open.push((self.child(node, children[node])?, depth + 1));
            }
        }
        let left_out = (0..nodes).find(|node| !seen[*node] && self.raw.split_indices[*node] != DELETED);
        match left_out {
            Some(node) => Err(ImportError::Unreachable {
                tree,
                node: node as u32,
            }),
            None => Ok(order),
        }
    }

    fn child(&self, node: usize, child: i32) -> Result<usize, ImportError> {
        let index = usize::try_from(child).ok();
        let index = index.filter(|index| *index < self.raw.left_children.len());
        index.ok_or(ImportError::ChildRange {
            tree: self.tree,
            node: node as u32,
            child,
        })
    }

    /// What the tree adds on average from each node on: a leaf its value, a split the mean of its children's, weighted by their
    /// cover. Where no cover is left, they weigh the same.
    fn means(&self, order: &[usize]) -> Result<Vec<f32>, ImportError> {
        let mut means = vec![0.0; self.raw.left_children.len()];
        // Children come after their parent.
        for node in order.iter().rev() {
            let cover = self.raw.sum_hessian[*node];
            if !cover.is_finite() || cover < 0.0 {
                let (tree, node) = (self.tree, *node as u32);
                return Err(ImportError::Cover { tree, node });
            }
            means[*node] = if self.is_leaf(*node) {
                self.raw.split_conditions[*node]
            } else {
                self.mean_of(self.children(*node), &means)
            };
        }
        Ok(means)
    }

    fn mean_of(&self, children: [usize; 2], means: &[f32]) -> f32 {
        let [left, right] = children.map(|child| f64::from(means[child]));
        let [cover_left, cover_right] = children.map(|child| f64::from(self.raw.sum_hessian[child]));
        let cover = cover_left + cover_right;
        if cover > 0.0 {
            ((left * cover_left + right * cover_right) / cover) as f32
        } else {
            ((left + right) / 2.0) as f32
        }
    }

    fn node(&self, node: usize, means: &[f32]) -> Result<Node, ImportError> {
        let (tree, raw) = (self.tree, self.raw);
        if raw.split_type[node] != 0 {
            return Err(ImportError::CategoricalSplit { tree });
        }
        if self.is_leaf(node) {
            return Ok(Node::Leaf(raw.split_conditions[node]));
        }
        let feature = raw.split_indices[node];
        Ok(Node::Split(Split {
            threshold: raw.split_conditions[node],
            expected: means[node],
            right: 0,
            feature: u16::try_from(feature).map_err(|_| InvalidModel::FeatureRange { tree, feature })?,
            missing_left: raw.default_left[node] != 0,
        }))
    }
}
