//! What a model says of values, and what each feature gave to it.

use tidemark_domain::trees::{UnknownFeatures, WrongWidth, input};

use super::hand_made::{document, model, small_tree, stump};

const NAN: f32 = f32::NAN;

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() < 1e-6
}

#[test]
fn a_value_below_the_threshold_goes_left_and_a_missing_one_where_the_split_says() {
    let model = model(&[small_tree()]);
    for (values, margin) in [
        ([99.0, 5.0], 0.5),
        ([99.0, 6.0], -0.25),
        ([100.0, 5.0], 1.5),
        ([NAN, 5.0], 0.5),
        ([99.0, NAN], -0.25),
        ([NAN, NAN], -0.25),
        ([f32::INFINITY, 5.0], 1.5),
        ([f32::NEG_INFINITY, 5.0], 0.5),
        ([100.0_f32.next_down(), 6.0_f32.next_down()], 0.5),
        ([-0.0, 0.0], 0.5),
    ] {
        let found = model.margin(&values).unwrap();
        assert_eq!(found.0.to_bits(), f32::to_bits(margin), "{values:?}: {found:?}");
    }
}

#[test]
fn the_margin_begins_with_the_base_score_and_adds_tree_by_tree_in_single_precision() {
    let mut file = document(&[small_tree(), stump(), stump()]);
    file["learner"]["learner_model_param"]["base_score"] = "1E-1".into();
    let model = tidemark_domain::trees::TreeModel::from_xgboost(file.to_string().as_bytes()).unwrap();
    assert!(close(f64::from(model.base_margin()), (0.1_f64 / 0.9).ln()));
    let margin = model.margin(&[500.0, 1.0]).unwrap();
    let expected = model.base_margin() + 1.5 + -2.0 + -2.0;
    assert_eq!(margin.0.to_bits(), expected.to_bits());
    // Bits are log2 odds: the probability says the same.
    let probability = margin.probability();
    assert!(close(margin.bits(), (probability / (1.0 - probability)).log2()));
}

#[test]
fn contributions_are_what_the_expectation_changes_by_at_each_split() {
    let model = model(&[small_tree(), stump()]);
    // Below the first split: (0.5 · 10 − 0.25 · 30) / 40; at the root: that · 0.4 + 1.5 · 0.6. The stump: (0.125 − 6) / 4.
    let (below, root, other) = (-0.0625, 0.875, -1.46875);
    for (values, amount, hour) in [
        ([99.0, 5.0], below - root + (-2.0 - other), 0.5 - below),
        ([NAN, NAN], below - root + (-2.0 - other), -0.25 - below),
        ([-5.0, 9.0], below - root + (0.125 - other), -0.25 - below),
        ([200.0, 9.0], 1.5 - root + (-2.0 - other), 0.0),
    ] {
        let found = model.contributions(&values).unwrap();
        assert!(close(found.expected, root + other), "{found:?}");
        assert!(
            close(found.parts[0], amount) && close(found.parts[1], hour),
            "{values:?}: {found:?}"
        );
        let sum = found.expected + found.parts.iter().sum::<f64>();
        assert!(close(sum, f64::from(model.margin(&values).unwrap().0)), "{values:?}");
        assert!(close(found.bits(0), amount / std::f64::consts::LN_2));
        assert!(
            found.bits(2).abs() < f64::EPSILON,
            "a feature that the model does not have"
        );
    }
}

#[test]
fn where_no_cover_is_left_children_weigh_the_same() {
    let mut tree = stump();
    tree.cover = vec![0.0; 3];
    let found = model(&[tree]).contributions(&[-5.0, 0.0]).unwrap();
    assert!(close(found.expected, (0.125 - 2.0) / 2.0), "{found:?}");
}

#[test]
fn values_are_bound_by_name_and_counted() {
    let model = model(&[small_tree()]);
    assert_eq!(model.features(), ["amount", "hour"]);
    assert_eq!((model.trees(), model.nodes()), (1, 5));
    let known = |name: &str| ["hour", "amount"].iter().position(|known| *known == name);
    assert_eq!(model.bind(known), Ok(vec![1, 0]));
    let unknown = model.bind(|name| (name == "hour").then_some(()));
    assert_eq!(unknown, Err(UnknownFeatures(vec!["amount".to_owned()])));
    let (given, wanted) = (1, 2);
    assert_eq!(model.margin(&[1.0]).unwrap_err(), WrongWidth { given, wanted });
    assert_eq!(model.contributions(&[1.0]).unwrap_err(), WrongWidth { given, wanted });
}

#[test]
fn a_value_is_rounded_to_single_precision_and_a_missing_one_is_nan() {
    assert_eq!(input(Some(0.1)).to_bits(), 0.1_f32.to_bits());
    assert_eq!(
        input(Some(16_777_217.0)).to_bits(),
        16_777_216.0_f32.to_bits(),
        "to the even neighbour"
    );
    assert!(input(Some(1e300)).is_infinite());
    assert!(input(None).is_nan());
}
