//! The trees of `detection`: XGBoost trains on the rows that `tidemark export` writes of the training range, and the product scores by
//! the model that comes of it.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;

use tidemark_cli::learning::export::{ExportOptions, RowFormat, export};
use tidemark_cli::learning::train::{TrainOptions, Trained};
use tidemark_domain::policy::{Policy, PolicyProblem};
use tidemark_domain::trees::{TreeModel, TreeModelKey, join, split};
use toml::{Table, Value};

/// What the trees are trained on. Chosen on the three weeks that choices are made by.
const FEATURES: [&str; 7] = [
    "amount_median_ratio",
    "amount_population",
    "max_ratio_14d",
    "surprise.sum_7d",
    "terminal.fraud_run",
    "terminal.fraud_run_age",
    "terminal.since_fraud",
];
/// The script, from the workspace's folder.
const SCRIPT: &str = "tests/bench/python/train_trees.py";

/// A policy that scores by trees: all else as in the one with points, which says what cards explain.
///
/// # Errors
/// When a file can't be written, XGBoost can't be installed or run, or its model is none of ours.
pub fn train(options: &TrainOptions, trained: &Trained, folder: &Path) -> Result<Policy, String> {
    let (rows, saved) = (folder.join("rows.csv"), folder.join("model.json"));
    let wide = policy(&trained.text, None)?;
    write_rows(
        options,
        Policy::parse(&wide, "wide.toml").map_err(|problems| words(&problems))?,
        &rows,
    )?;
    let venv = e2e::venv("xgboost").map_err(|error| error.to_string())?;
    let mut command = venv.command("python");
    command.arg(e2e::workspace_root().join(SCRIPT)).arg(&rows).arg(&saved);
    e2e::run(command.arg("--features").arg(FEATURES.join(","))).map_err(|error| error.to_string())?;

    let json = std::fs::read(&saved).map_err(|error| format!("{}: {error}", saved.display()))?;
    let (key, model) = by_its_chunks(&json)?;
    let text = policy(&trained.text, Some(key))?;
    let models = |named| (named == key).then(|| Arc::clone(&model));
    Policy::parse_with(&text, "trees.toml", &models).map_err(|problems| words(&problems))
}

/// The model by the way that it takes in life: its bytes, in chunks.
fn by_its_chunks(json: &[u8]) -> Result<(TreeModelKey, Arc<TreeModel>), String> {
    let imported = TreeModel::from_xgboost(json).map_err(|error| error.to_string())?;
    let bytes = imported.encode();
    let key = TreeModelKey::of(&bytes);
    let chunks = split(&bytes).map_err(|error| error.to_string())?;
    let joined = join(key, &chunks).map_err(|error| error.to_string())?;
    let model = TreeModel::decode(&joined).map_err(|error| error.to_string())?;
    eprintln!(
        "model {key}: {} trees, {} deep, {} nodes, {} bytes",
        model.trees(),
        model.depth(),
        model.nodes(),
        bytes.len()
    );
    Ok((key, Arc::new(model)))
}

fn write_rows(options: &TrainOptions, policy: Policy, rows: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", rows.display());
    let mut output = BufWriter::new(File::create(rows).map_err(failed)?);
    let options = ExportOptions {
        input: options.input.clone(),
        policy,
        from_ms: options.from_ms.unwrap_or(i64::MIN),
        // As for points: what happened later has no label yet that could be known.
        until_ms: options.until_ms - options.label_delay_ms + 1,
        labels_as_of_ms: options.until_ms,
        label_delay_ms: options.label_delay_ms,
        format: RowFormat::Csv,
    };
    export(&options, &mut output).map_err(|error| error.to_string())?;
    output.flush().map_err(failed)
}

/// The text of a policy with all features that trees are trained on; with a model, it scores by that.
fn policy(text: &str, model: Option<TreeModelKey>) -> Result<String, String> {
    let mut table: Table = toml::from_str(text).map_err(|error| error.to_string())?;
    let known = table.get("features").and_then(Value::as_array).into_iter().flatten();
    let mut features: Vec<String> = known.filter_map(Value::as_str).map(str::to_owned).collect();
    features.extend(FEATURES.map(str::to_owned));
    features.sort_unstable();
    features.dedup();
    table.insert("features".to_owned(), features.into());
    if let Some(key) = model {
        table.remove("points");
        let named = [("model".to_owned(), Value::from(key.to_string()))];
        table.insert("trees".to_owned(), Value::Table(named.into_iter().collect()));
    }
    toml::to_string(&table).map_err(|error| error.to_string())
}

fn words(problems: &[PolicyProblem]) -> String {
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    problems.join("; ")
}
