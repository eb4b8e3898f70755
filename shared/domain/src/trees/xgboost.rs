//! Reads XGBoost's own JSON, as `Booster.save_model("model.json")` of versions 2 and 3 writes it.
//!
//! The format is described by XGBoost's `doc/model.schema`, and what counts is how XGBoost itself loads it (`src/learner.cc`,
//! `src/gbm/gbtree_model.cc`, `src/tree/tree_model.cc`). The file is read twice. The first time only names and numbers of
//! things are kept, and whatever can't be evaluated here, or is beyond a limit, is refused by its name. The second time the
//! trees are read, whose size is known by then.

mod bounded;
mod document;
mod grow;
mod text;

use super::build::Builder;
use super::error::{ImportError, InvalidModel};
use super::limits::{BASE_SCORE_MIN, FEATURES_MAX, JSON_BYTES_MAX, NODES_MAX, TREES_MAX};
use super::model::TreeModel;

use bounded::excerpt;
use document::{Booster, Document, Learner, ModelParam, RawTree, TreeOutline};
use grow::grow;
use text::{is_ubjson, parse, without_words};

const BOOSTER: &str = "gbtree";
const OBJECTIVE: &str = "binary:logistic";
const VERSIONS: std::ops::RangeInclusive<u32> = 2..=3;
/// The type of a feature that is a category.
const CATEGORICAL: &str = "c";

impl TreeModel {
    /// The model that XGBoost has saved as JSON: booster `gbtree`, objective `binary:logistic`, features with names, splits by
    /// numbers.
    ///
    /// # Errors
    /// When it is another kind of model, beyond a limit, or not what XGBoost writes. The error says which.
    pub fn from_xgboost(json: &[u8]) -> Result<Self, ImportError> {
        if json.len() > JSON_BYTES_MAX {
            return Err(ImportError::TooLong(json.len()));
        }
        if is_ubjson(json) {
            return Err(ImportError::Ubjson);
        }
        let outline: Document<TreeOutline> = parse(json).map_err(|error| match error {
            ImportError::NotFinite { .. } => kind_despite_words(json).unwrap_or(error),
            other => other,
        })?;
        check_kind(&outline)?;
        check_trees(&outline.learner.gradient_booster)?;
        let features = feature_names(&outline.learner)?;
        let base_margin = base_margin(&outline.learner.learner_model_param.base_score)?;
        let mut builder = Builder::new(features, base_margin)?;

        let whole: Document<RawTree> = parse(json)?;
        let trees = whole.learner.gradient_booster.model.and_then(|model| model.trees);
        for (tree, raw) in trees.unwrap_or_default().kept.iter().enumerate() {
            grow(&mut builder, tree, raw)?;
        }
        Ok(builder.finish()?)
    }
}

/// What else there is to say of a file that has `NaN` or an infinity in it: other kinds of models have them where nothing is to
/// be read, and are better refused by their name.
fn kind_despite_words(json: &[u8]) -> Option<ImportError> {
    let outline: Document<TreeOutline> = parse(&without_words(json)).ok()?;
    let kind = check_kind(&outline);
    kind.and_then(|()| check_trees(&outline.learner.gradient_booster)).err()
}

/// Refuses every other kind of model than the one that is evaluated here.
fn check_kind(document: &Document<TreeOutline>) -> Result<(), ImportError> {
    let version = &document.version.kept;
    if !version.first().is_some_and(|major| VERSIONS.contains(major)) {
        let said: Vec<String> = version.iter().map(u32::to_string).collect();
        return Err(ImportError::Version(said.join(".")));
    }
    let learner = &document.learner;
    if learner.gradient_booster.name != BOOSTER {
        return Err(ImportError::Booster(excerpt(&learner.gradient_booster.name)));
    }
    let ModelParam {
        num_class, num_target, ..
    } = &learner.learner_model_param;
    if num_class.0 > 1 {
        return Err(ImportError::MultiClass(num_class.0));
    }
    if num_target.0 > 1 {
        return Err(ImportError::MultiTarget(num_target.0));
    }
    if learner.objective.name != OBJECTIVE {
        return Err(ImportError::Objective(excerpt(&learner.objective.name)));
    }
    let types = &learner.feature_types.kept;
    match types.iter().position(|kind| kind == CATEGORICAL) {
        Some(feature) => Err(ImportError::CategoricalFeature(feature)),
        None => Ok(()),
    }
}

/// Refuses trees that are too many or too large, or that split by categories, before they are read.
fn check_trees(booster: &Booster<TreeOutline>) -> Result<(), ImportError> {
    let model = booster.model.as_ref();
    let Some((model, trees)) = model.and_then(|model| Some((model, model.trees.as_ref()?))) else {
        return Err(InvalidModel::NoTrees.into());
    };
    if trees.count > TREES_MAX {
        return Err(InvalidModel::TooManyTrees(trees.count).into());
    }
    // The group of each tree is the class that it speaks for.
    if let Some(group) = model.tree_info.kept.iter().find(|group| **group != 0) {
        return Err(ImportError::MultiClass(group.saturating_add(1)));
    }
    let mut nodes = 0;
    for (tree, outline) in trees.kept.iter().enumerate() {
        check_tree(tree, outline)?;
        nodes += outline.tree_param.num_nodes.0 as usize;
        if nodes > NODES_MAX {
            return Err(InvalidModel::TooManyNodes.into());
        }
    }
    Ok(())
}

fn check_tree(tree: usize, outline: &TreeOutline) -> Result<(), ImportError> {
    let param = &outline.tree_param;
    if param.size_leaf_vector.0 > 1 {
        return Err(ImportError::MultiTarget(param.size_leaf_vector.0));
    }
    if outline.categories_nodes.count > 0 {
        return Err(ImportError::CategoricalSplit { tree });
    }
    let nodes = param.num_nodes.0;
    for (array, length) in outline.lengths() {
        if nodes == 0 || length != nodes as usize {
            return Err(ImportError::ArrayLength { tree, nodes, array });
        }
    }
    Ok(())
}

/// The features' names: one each, or there is no telling which value goes where.
fn feature_names(learner: &Learner<TreeOutline>) -> Result<Vec<String>, ImportError> {
    let (names, features) = (&learner.feature_names, learner.learner_model_param.num_feature.0);
    if names.count == 0 {
        return Err(ImportError::NoFeatureNames);
    }
    if names.count > FEATURES_MAX {
        return Err(InvalidModel::TooManyFeatures(names.count).into());
    }
    if names.count != features as usize {
        let names = names.count;
        return Err(ImportError::FeatureNames { names, features });
    }
    Ok(names.kept.clone())
}

/// The log odds of the base score, which is a probability in the file: `−ln(1 / score − 1)`, in single precision but for the
/// logarithm itself (XGBoost's `src/objective/regression_loss.h`, `LogisticRegression::ProbToMargin`). Since version 3.1 the score
/// stands in brackets, as a list of one.
///
/// A score nearer to 0 or 1 than [`BASE_SCORE_MIN`] is refused: version 2 takes it as it is, version 3.2 as if it were no nearer.
fn base_margin(score: &str) -> Result<f32, ImportError> {
    let text = score.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let probability = text.unwrap_or(score).trim().parse::<f32>().unwrap_or(f32::NAN);
    if !(BASE_SCORE_MIN..=1.0 - BASE_SCORE_MIN).contains(&probability) {
        return Err(ImportError::BaseScore(excerpt(score)));
    }
    let odds_against = 1.0 / probability - 1.0;
    // Even odds are 0, not −0.
    Ok(0.0 - libm::log(f64::from(odds_against)) as f32)
}
