//! Boosted trees: XGBoost itself trains models and says what they say, and our evaluation of the same files says the same.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "trees/training_set.rs"]
mod training_set;

use std::path::Path;

use e2e::{run, venv};
use serde_json::Value;
use tidemark_domain::trees::{ImportError, InvalidModel, TreeModel, input, join, split};

/// Rows of each model.
const ROWS: usize = 2_000;
/// How far a margin may be from XGBoost's, log odds.
const MARGIN_TOLERANCE: f64 = 1e-6;
/// How far a contribution may be: XGBoost adds up hundreds of steps in single precision.
const CONTRIBUTION_TOLERANCE: f64 = 1e-5;

fn numbers(list: &Value) -> Vec<Option<f64>> {
    list.as_array().unwrap().iter().map(Value::as_f64).collect()
}

/// Compares every row of a model; how many margins are the same to the bit.
fn compare(folder: &Path, name: &str) -> usize {
    let json = std::fs::read(folder.join(format!("{name}.json"))).unwrap();
    let imported = TreeModel::from_xgboost(&json).unwrap();
    // By the way that a model takes in life: its bytes, in chunks.
    let bytes = imported.encode();
    let chunks = split(&bytes).unwrap();
    let model = TreeModel::decode(&join(chunks[0].key, &chunks).unwrap()).unwrap();
    assert_eq!(model, imported, "{name}");

    let rows = std::fs::read_to_string(folder.join(format!("{name}.rows.jsonl"))).unwrap();
    let (mut seen, mut same, mut missing) = (0, 0, 0);
    for line in rows.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let values: Vec<f32> = numbers(&row["values"]).into_iter().map(input).collect();
        let theirs = row["margin"].as_f64().unwrap() as f32;
        let ours = model.margin(&values).unwrap().0;
        let apart = (f64::from(ours) - f64::from(theirs)).abs();
        assert!(apart <= MARGIN_TOLERANCE, "{name}: {ours} and {theirs} for {line}");

        let found = model.contributions(&values).unwrap();
        let found = found.parts.iter().chain([&found.expected]);
        let parts = numbers(&row["contributions"]);
        assert_eq!(parts.len(), values.len() + 1, "{name}");
        for (ours, theirs) in found.zip(parts) {
            let apart = (ours - theirs.unwrap()).abs();
            assert!(
                apart <= CONTRIBUTION_TOLERANCE,
                "{name}: {ours} and {theirs:?} in {line}"
            );
        }
        seen += 1;
        same += usize::from(ours.to_bits() == theirs.to_bits());
        missing += usize::from(values.iter().any(|value| value.is_nan()));
    }
    assert_eq!(seen, ROWS, "{name}");
    assert!(missing > ROWS / 2, "{name}: {missing} rows with a missing value");
    same
}

#[test]
fn margins_and_contributions_are_those_of_xgboost_itself() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    run(venv("xgboost").unwrap().script("xgboost_models.py").arg(folder)).unwrap();

    for name in ["hist", "pruned", "forest", "lossguide"] {
        assert_eq!(
            compare(folder, name),
            ROWS,
            "{name}: margins that are the same to the bit"
        );
    }
    let pruned = std::fs::read_to_string(folder.join("pruned.json")).unwrap();
    assert!(
        pruned.contains("2147483647"),
        "no node was deleted: pruning is not tested"
    );
    refused(&folder.join("refused"));
}

fn refused(folder: &Path) {
    let refusal = |file: &str| TreeModel::from_xgboost(&std::fs::read(folder.join(file)).unwrap()).unwrap_err();
    let named = |name: &str| name.to_owned();
    for (file, expected) in [
        ("booster-dart.json", ImportError::Booster(named("dart"))),
        ("booster-gblinear.json", ImportError::Booster(named("gblinear"))),
        (
            "objective-squarederror.json",
            ImportError::Objective(named("reg:squarederror")),
        ),
        (
            "objective-logitraw.json",
            ImportError::Objective(named("binary:logitraw")),
        ),
        ("names.json", ImportError::NoFeatureNames),
        ("classes.json", ImportError::MultiClass(3)),
        ("targets.json", ImportError::MultiTarget(2)),
        ("targets-vector.json", ImportError::MultiTarget(2)),
        ("categories.json", ImportError::CategoricalFeature(1)),
        ("depth.json", ImportError::Invalid(InvalidModel::TooDeep { tree: 0 })),
        ("binary.ubj", ImportError::Ubjson),
    ] {
        assert_eq!(refusal(file), expected, "{file}");
    }
}
