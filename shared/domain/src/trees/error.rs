//! Why something is not a model of trees, or can't be evaluated.

use super::limits::{
    BASE_SCORE_MIN, CHUNK_BYTES_MAX, DEPTH_MAX, FEATURE_NAME_BYTES_MAX, FEATURES_MAX, JSON_BYTES_MAX, LEAF_MAX,
    MODEL_BYTES_MAX, NODES_MAX, TREES_MAX,
};

/// Why a model can't be, wherever it comes from. Trees and features are counted from 0, as XGBoost does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidModel {
    /// There is nothing that a tree could split by.
    #[error("the model has no features")]
    NoFeatures,
    /// More than [`FEATURES_MAX`].
    #[error("{0} features, at most {FEATURES_MAX}")]
    TooManyFeatures(usize),
    /// A name that is empty, longer than [`FEATURE_NAME_BYTES_MAX`], or has control characters.
    #[error("the name of feature {0} is empty, longer than {FEATURE_NAME_BYTES_MAX} bytes, or has control characters")]
    FeatureName(usize),
    /// Two features of one name.
    #[error("two features are called {0:?}")]
    SameName(String),
    /// The base score's log odds are no finite number.
    #[error("the margin of the base score is not a finite number")]
    BaseMargin,
    /// A model of no trees has learned nothing.
    #[error("the model has no trees")]
    NoTrees,
    /// More than [`TREES_MAX`].
    #[error("{0} trees, at most {TREES_MAX}")]
    TooManyTrees(usize),
    /// More than [`NODES_MAX`].
    #[error("more than {NODES_MAX} nodes in all trees together")]
    TooManyNodes,
    /// More than [`DEPTH_MAX`] splits on one path.
    #[error("tree {tree} is deeper than {DEPTH_MAX} splits")]
    TooDeep {
        /// Which tree.
        tree: usize,
    },
    /// A split by a feature that the model does not have.
    #[error("tree {tree} splits by feature {feature}, which the model does not have")]
    FeatureRange {
        /// Which tree.
        tree: usize,
        /// By which feature.
        feature: u32,
    },
    /// A threshold that is infinite or not a number.
    #[error("tree {tree} has a threshold that is not a finite number")]
    Threshold {
        /// Which tree.
        tree: usize,
    },
    /// A leaf, or a split's expectation, that is not a number or beyond [`LEAF_MAX`].
    #[error("tree {tree} has a leaf or an expectation that is not a number or is beyond {LEAF_MAX}")]
    Leaf {
        /// Which tree.
        tree: usize,
    },
}

/// Why bytes are not a model's own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// There is not even a version.
    #[error("no bytes")]
    Empty,
    /// A format that this build does not know.
    #[error("format version {0} of a model is not known")]
    UnknownVersion(u8),
    /// More than a model can ever take.
    #[error("more than {MODEL_BYTES_MAX} bytes of a model")]
    TooLong,
    /// The bytes end within a field.
    #[error("the model's bytes end too early")]
    Truncated,
    /// Something follows the last node.
    #[error("bytes follow the model's last node")]
    Trailing,
    /// A feature's name is not text.
    #[error("the name of feature {0} is not UTF-8")]
    NotText(usize),
    /// A node's head has bits that no node has.
    #[error("tree {tree} has a node that is neither a split nor a leaf")]
    Node {
        /// Which tree.
        tree: usize,
    },
    /// The fields are readable, but no model has them.
    #[error(transparent)]
    Invalid(#[from] InvalidModel),
}

/// Why a file is not a model of XGBoost's that can be evaluated here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// More than [`JSON_BYTES_MAX`].
    #[error("{0} bytes, at most {JSON_BYTES_MAX}")]
    TooLong(usize),
    /// XGBoost's binary form.
    #[error("this is UBJSON: save the model as JSON, `booster.save_model(\"model.json\")`")]
    Ubjson,
    /// It is no JSON, or not of the shape that XGBoost writes.
    #[error("line {line}, column {column}: {problem}")]
    Json {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What is wrong there.
        problem: String,
    },
    /// `NaN` or `Infinity`, which XGBoost writes and JSON does not have.
    #[error("line {line}, column {column}: NaN or Infinity stands where a finite number has to")]
    NotFinite {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// It is not said which release wrote the model, or one that writes something else did.
    #[error("written by XGBoost {0}: models of versions 2 and 3 are read")]
    Version(String),
    /// Another booster than `gbtree`.
    #[error("the booster is {0:?}: only gbtree is evaluated here")]
    Booster(String),
    /// Another objective than `binary:logistic`.
    #[error("the objective is {0:?}: only binary:logistic is evaluated here")]
    Objective(String),
    /// More than one class.
    #[error("the model has {0} classes: only two outcomes, by one margin, are evaluated here")]
    MultiClass(u32),
    /// More than one target, or leaves that are vectors.
    #[error("the model has {0} targets: only one is evaluated here")]
    MultiTarget(u32),
    /// A feature that is a category.
    #[error("feature {0} is categorical: give it as numbers, for example one column a category")]
    CategoricalFeature(usize),
    /// A split by a set of categories.
    #[error("tree {tree} splits by categories: give the feature as numbers, for example one column a category")]
    CategoricalSplit {
        /// Which tree.
        tree: usize,
    },
    /// Without names nothing says which value goes where.
    #[error("the model has no feature names: train it from a DataFrame, or with DMatrix(…, feature_names=[…])")]
    NoFeatureNames,
    /// Another number of names than of features.
    #[error("{names} feature names for {features} features")]
    FeatureNames {
        /// So many names.
        names: usize,
        /// So many features.
        features: u32,
    },
    /// A base score that is no probability, or nearer to 0 or 1 than [`BASE_SCORE_MIN`].
    #[error("the base score {0:?} is not one probability between {BASE_SCORE_MIN:e} and 1 − {BASE_SCORE_MIN:e}")]
    BaseScore(String),
    /// The arrays of a tree don't have one element a node.
    #[error("tree {tree} has {nodes} nodes, and an array {array} of another length")]
    ArrayLength {
        /// Which tree.
        tree: usize,
        /// What its parameters say.
        nodes: u32,
        /// The array's name.
        array: &'static str,
    },
    /// Trees stand in another order than their numbers.
    #[error("tree {tree} is numbered {id}")]
    TreeOrder {
        /// Its place.
        tree: usize,
        /// What it says.
        id: u32,
    },
    /// A child that the tree does not have.
    #[error("node {node} of tree {tree} has the child {child}, which the tree does not have")]
    ChildRange {
        /// Which tree.
        tree: usize,
        /// Which node.
        node: u32,
        /// Which child.
        child: i32,
    },
    /// A node that two ways lead to: a circle, or a child of two parents.
    #[error("two ways lead to node {node} of tree {tree}")]
    Circle {
        /// Which tree.
        tree: usize,
        /// Which node.
        node: u32,
    },
    /// A node that no way leads to, and that is not marked as deleted.
    #[error("no way leads to node {node} of tree {tree}")]
    Unreachable {
        /// Which tree.
        tree: usize,
        /// Which node.
        node: u32,
    },
    /// A cover (`sum_hessian`) that is negative or not a finite number.
    #[error("node {node} of tree {tree} has a sum_hessian that is negative or not a finite number")]
    Cover {
        /// Which tree.
        tree: usize,
        /// Which node.
        node: u32,
    },
    /// The file can be read, but no model is like that.
    #[error(transparent)]
    Invalid(#[from] InvalidModel),
}

/// Why chunks are not a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// None was given.
    #[error("there are no chunks")]
    None,
    /// A chunk of another model.
    #[error("chunk {0} belongs to another model")]
    OfAnother(u16),
    /// Chunks don't agree on how many there are, or one is beyond that number.
    #[error("chunk {index} is said to be one of {count}, and others are not")]
    Count {
        /// Its place.
        index: u16,
        /// How many it says that there are.
        count: u16,
    },
    /// One is not there.
    #[error("chunk {0} is missing")]
    Missing(u16),
    /// One is there twice.
    #[error("chunk {0} is there twice")]
    Twice(u16),
    /// One is empty or longer than [`CHUNK_BYTES_MAX`].
    #[error("chunk {0} is empty or longer than {CHUNK_BYTES_MAX} bytes")]
    Length(u16),
    /// More than a model can take.
    #[error("more than {MODEL_BYTES_MAX} bytes of a model")]
    TooLong,
    /// The chunks are whole, and their bytes are not those that the name stands for.
    #[error("the bytes are not those of model {0:016x}")]
    Hash(u64),
}

/// Another number of values than the model has features.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given} values for a model of {wanted} features")]
pub struct WrongWidth {
    /// So many were given.
    pub given: usize,
    /// So many are wanted.
    pub wanted: usize,
}

/// Features of a model that its caller does not know, in the model's order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the model's features {0:?} are not known")]
pub struct UnknownFeatures(pub Vec<String>);
