//! Files that several verbs read and write.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use tidemark_domain::catalogue::FeatureKey;
use tidemark_domain::policy::Policy;
use tidemark_domain::trees::{JSON_BYTES_MAX, TreeModel, TreeModelKey};

use crate::error::CliError;

/// The policy of a file, or the built-in one. The model of trees that it may name is read from the file that it says.
///
/// # Errors
/// When a file can't be read, or is wrong: every problem with its line.
pub fn policy(path: Option<&Path>) -> Result<Policy, CliError> {
    let Some(path) = path else {
        return Ok(Policy::default_policy());
    };
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|e| {
        CliError::input(
            "policy_file",
            format!("{name}: {e}"),
            "Name a readable policy file (TOML).",
        )
    })?;
    let model = model_of(path, &text)?;
    parsed(&text, &name, model.as_ref())
}

/// The policy of a text, with the model of trees that it names.
///
/// # Errors
/// When it is wrong: every problem with its line.
pub fn parsed(text: &str, name: &str, model: Option<&Model>) -> Result<Policy, CliError> {
    let models = |key| {
        let found = model.filter(|model| model.key == key);
        found.map(|model| Arc::clone(&model.model))
    };
    Policy::parse_with(text, name, &models).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        CliError::input("policy", lines.join("\n"), "See docs/reference/policy.md.")
    })
}

/// A model of trees, by its name.
#[derive(Clone, Debug)]
pub struct Model {
    /// Its name.
    pub key: TreeModelKey,
    /// The model.
    pub model: Arc<TreeModel>,
}

/// The model of a file that XGBoost wrote; each of its features is one of ours.
///
/// # Errors
/// When the file can't be read, is no model that is evaluated here, or takes a feature that there is not.
pub fn model(path: &Path) -> Result<Model, CliError> {
    let name = path.display();
    let json = read(path).map_err(|e| {
        CliError::input(
            "model_file",
            format!("{name}: {e}"),
            "Name a readable file that XGBoost's save_model(\"model.json\") wrote.",
        )
    })?;
    let model = TreeModel::from_xgboost(&json).map_err(|e| {
        CliError::input(
            "model_format",
            format!("{name}: {e}"),
            "docs/concepts/learning.md says which models are evaluated here.",
        )
    })?;
    model.bind(|name| FeatureKey::parse(name).ok()).map_err(|unknown| {
        CliError::input(
            "model_feature",
            format!("{name}: {unknown}"),
            "Train on columns that bear the names of features, as `tidemark export` writes them; docs/reference/policy.md has all of them.",
        )
    })?;
    Ok(Model {
        key: model.key(),
        model: Arc::new(model),
    })
}

/// The bytes of a file, as far as a model's may reach and one further.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = JSON_BYTES_MAX as u64 + 1;
    std::fs::File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The model whose file a policy's text names; `None` where it names none.
fn model_of(path: &Path, text: &str) -> Result<Option<Model>, CliError> {
    let Some(named) = Policy::model_named(text) else {
        return Ok(None);
    };
    let Some(file) = named.path_from(path) else {
        return Ok(None);
    };
    let found = model(&file)?;
    if found.key == named.key {
        return Ok(Some(found));
    }
    Err(CliError::input(
        "model_name",
        format!(
            "{} is the model {}, and {} names the model {}",
            file.display(),
            found.key,
            path.display(),
            named.key
        ),
        "Name the model that the file holds, or the file that holds the model: `tidemark model show FILE` prints its name.",
    ))
}
