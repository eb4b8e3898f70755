//! Models that XGBoost itself has written: `tests/e2e/python/xgboost_models.py DIR --fixture` with XGBoost 2.1.4 and 3.2.0.

use serde_json::Value;
use tidemark_domain::trees::{TreeModel, input};

use super::hand_made::{document, small_tree, stump};

const XGBOOST_2: (&[u8], &str) = (include_bytes!("xgboost-2.json"), include_str!("xgboost-2.rows.jsonl"));
const XGBOOST_3: (&[u8], &str) = (include_bytes!("xgboost-3.json"), include_str!("xgboost-3.rows.jsonl"));

fn numbers(list: &Value) -> Vec<Option<f64>> {
    list.as_array().unwrap().iter().map(Value::as_f64).collect()
}

#[test]
fn margins_are_those_of_xgboost_to_the_bit() {
    for (json, rows) in [XGBOOST_2, XGBOOST_3] {
        let model = TreeModel::from_xgboost(json).unwrap();
        assert_eq!(model.trees(), 8);
        assert_eq!(model.features().len(), 8);
        let mut seen = 0;
        for line in rows.lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            let values: Vec<f32> = numbers(&row["values"]).into_iter().map(input).collect();
            let (ours, theirs) = (model.margin(&values).unwrap().0, row["margin"].as_f64().unwrap() as f32);
            assert_eq!(ours.to_bits(), theirs.to_bits(), "{ours} and {theirs} for {line}");

            let found = model.contributions(&values).unwrap();
            let parts = numbers(&row["contributions"]);
            assert_eq!(parts.len(), 9);
            for (ours, theirs) in found.parts.iter().chain([&found.expected]).zip(&parts) {
                assert!((ours - theirs.unwrap()).abs() < 1e-5, "{ours} and {theirs:?} in {line}");
            }
            let sum = found.expected + found.parts.iter().sum::<f64>();
            assert!((sum - f64::from(ours)).abs() < 1e-5, "{sum} and {ours}");
            seen += 1;
        }
        assert_eq!(seen, 60);
    }
}

#[test]
fn deleted_nodes_are_left_out() {
    let mut tree = stump();
    tree.left.extend([-1, -1]);
    tree.right.extend([-1, -1]);
    tree.feature.extend([2_147_483_647; 2]);
    tree.value.extend([0.0, 0.0]);
    tree.default_left.extend([1, 1]);
    tree.cover.extend([f32::MAX, 0.0]);
    let read = |trees: &[_]| TreeModel::from_xgboost(document(trees).to_string().as_bytes()).unwrap();
    assert_eq!(read(&[tree]), read(&[stump()]));
}

#[test]
fn the_order_of_nodes_in_the_file_does_not_count() {
    let mut tree = small_tree();
    // The same tree with nodes 1 and 2 in each other's place.
    tree.left = vec![2, -1, 3, -1, -1];
    tree.right = vec![1, -1, 4, -1, -1];
    tree.feature = vec![0, 0, 1, 0, 0];
    tree.value.swap(1, 2);
    tree.cover.swap(1, 2);
    let read = |trees: &[_]| TreeModel::from_xgboost(document(trees).to_string().as_bytes()).unwrap();
    assert_eq!(read(&[tree]).encode(), read(&[small_tree()]).encode());
}

#[test]
fn a_base_score_stands_alone_or_in_brackets() {
    let margin = |score: &str| {
        let mut file = document(&[stump()]);
        file["learner"]["learner_model_param"]["base_score"] = score.into();
        TreeModel::from_xgboost(file.to_string().as_bytes())
            .unwrap()
            .base_margin()
    };
    assert_eq!(margin("5E-1").to_bits(), 0, "even odds, and no negative zero");
    assert_eq!(margin("[5E-1]").to_bits(), 0);
    assert_eq!(margin("2.5E-1").to_bits(), margin("[2.5E-1]").to_bits());
    assert!((margin("2.5E-1") + 3.0_f32.ln()).abs() < 1e-6);
}
