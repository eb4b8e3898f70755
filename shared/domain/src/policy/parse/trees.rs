//! `[trees]`: the model that scores, by its name, bound to the policy's features.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::DeTable;

use crate::catalogue::FeatureKey;
use crate::policy::compiled::Feature;
use crate::policy::key_terms::KeyTerms;
use crate::policy::learned::Trees;
use crate::policy::reader::{Problems, Section};
use crate::trees::{TreeModel, TreeModelKey};

use super::Models;
use super::features::feature;
use super::learned::{flipped, section};

/// The model that a policy's text names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedModel {
    /// Its name.
    pub key: TreeModelKey,
    /// The file that it is in, for the command on a machine: beside the policy's own, unless its path says otherwise.
    pub file: Option<String>,
}

impl NamedModel {
    /// The path of the model's file, where the policy says that it has one: from the folder of the policy's own.
    #[must_use]
    pub fn path_from(&self, policy: &Path) -> Option<PathBuf> {
        self.file.as_ref().map(|file| policy.with_file_name(file))
    }
}

/// The model that a text names, whatever else the text is.
pub(super) fn named(text: &str) -> Option<NamedModel> {
    let (document, _) = DeTable::parse_recoverable(text);
    let trees = document.get_ref().get("trees")?.get_ref().as_table()?;
    let text = |key: &str| trees.get(key).and_then(|value| value.get_ref().as_str());
    Some(NamedModel {
        key: TreeModelKey::from_name(text("model")?)?,
        file: text("file").filter(|file| !file.is_empty()).map(str::to_owned),
    })
}

/// The trees of a policy that has these keys, windows and features; `None`: they are wrong, and that has been said.
#[allow(clippy::option_option)] // there or not, and if there, right or not
pub(super) fn trees(
    top: &Section<'_, '_>,
    keys: &[KeyTerms],
    windows: &[u32],
    features: &[FeatureKey],
    models: Models<'_>,
    problems: &mut Problems,
) -> Option<Option<Trees>> {
    let found = section(top, "trees", problems).map(|section| {
        section.refuse_unknown(&["model", "file"], problems);
        if top.has("points") {
            let message = "[points] and [trees] both say what the score is, expected one of them";
            problems.push(&top.place("trees"), message);
        }
        let file = section.string("file", Some(""), problems);
        let (key, model) = model(&section, models, problems)?;
        let mut bound = Vec::with_capacity(model.features().len());
        for name in model.features() {
            match feature_of(name, features) {
                Ok(key) => bound.push(Some(Feature::new(key, windows, keys))),
                // All that can't be had are told.
                Err(message) => problems.push(&section.place("model"), message),
            }
        }
        let is_whole = bound.len() == model.features().len();
        file.filter(|_| is_whole).map(|_| Trees {
            key,
            model,
            features: bound,
        })
    });
    flipped(found)
}

fn model(
    section: &Section<'_, '_>,
    models: Models<'_>,
    problems: &mut Problems,
) -> Option<(TreeModelKey, Arc<TreeModel>)> {
    let (text, span) = section.string("model", None, problems)?;
    let Some(key) = TreeModelKey::from_name(text) else {
        let message = format!(
            "expected trees.model to be a model's name as `tidemark model show` prints it, 16 hexadecimal digits, found `{text}`"
        );
        problems.push(&span, message);
        return None;
    };
    let model = models(key);
    if model.is_none() {
        let message = format!(
            "the model {key} is not at hand, expected its file beside this one as `file = \"model.json\"`, or the model in the \
             table of the deployment"
        );
        problems.push(&span, message);
    }
    model.map(|model| (key, model))
}

/// The feature of a name that a model takes.
fn feature_of(name: &str, features: &[FeatureKey]) -> Result<FeatureKey, String> {
    let key = feature(name, None, None).map_err(|message| format!("the model: {message}"))?;
    if features.contains(&key) {
        Ok(key)
    } else {
        Err(format!("the model: `{name}` scores, expected it in `features` too"))
    }
}
