//! What is refused, by its name.

use serde_json::{Value, json};
use tidemark_domain::trees::{
    DEPTH_MAX, FEATURE_NAME_BYTES_MAX, FEATURES_MAX, ImportError, InvalidModel, JSON_BYTES_MAX, LEAF_MAX, NODES_MAX,
    TREES_MAX, TreeModel,
};

use super::hand_made::{Tree, chain, document, leaf, model, small_tree, stump};

fn read(file: &Value) -> Result<TreeModel, ImportError> {
    TreeModel::from_xgboost(file.to_string().as_bytes())
}

/// Why the model is refused once it is changed like this. Before it is not.
fn refusal(change: impl FnOnce(&mut Value)) -> ImportError {
    let mut file = document(&[small_tree(), stump()]);
    read(&file).unwrap();
    change(&mut file);
    read(&file).unwrap_err()
}

fn refused_tree(change: impl FnOnce(&mut Tree)) -> ImportError {
    let mut tree = small_tree();
    change(&mut tree);
    read(&document(&[stump(), tree])).unwrap_err()
}

fn trees(file: &mut Value) -> &mut Vec<Value> {
    file["learner"]["gradient_booster"]["model"]["trees"]
        .as_array_mut()
        .unwrap()
}

#[test]
fn other_kinds_of_models() {
    let param = |name: &'static str, value: &'static str| {
        refusal(|file| file["learner"]["learner_model_param"][name] = value.into())
    };
    for name in ["dart", "gblinear"] {
        let found = refusal(|file| file["learner"]["gradient_booster"] = json!({ "name": name, "gbtree": {} }));
        assert_eq!(found, ImportError::Booster(name.to_owned()));
    }
    let found = refusal(|file| file["learner"]["objective"]["name"] = "rank:ndcg".into());
    assert_eq!(found, ImportError::Objective("rank:ndcg".to_owned()));
    assert_eq!(param("num_class", "3"), ImportError::MultiClass(3));
    assert_eq!(param("num_target", "2"), ImportError::MultiTarget(2));
    let found = refusal(|file| file["learner"]["gradient_booster"]["model"]["tree_info"] = json!([0, 1]));
    assert_eq!(found, ImportError::MultiClass(2));
    let found = refusal(|file| trees(file)[1]["tree_param"]["size_leaf_vector"] = "4".into());
    assert_eq!(found, ImportError::MultiTarget(4));
    for (version, said) in [(json!([1, 7, 6]), "1.7.6"), (json!([4]), "4"), (json!([]), "")] {
        assert_eq!(
            refusal(|file| file["version"] = version),
            ImportError::Version(said.to_owned())
        );
    }
}

/// XGBoost 2 writes `NaN` for the threshold of a split by categories.
#[test]
fn another_kind_of_model_is_named_even_where_it_has_words_for_numbers() {
    let mut file = document(&[stump(), small_tree()]);
    file["learner"]["feature_types"] = json!(["float", "c"]);
    file["learner"]["feature_names"] = json!(["NaN", "a \\\"Infinity\\"]);
    let with_words = |file: &Value| {
        let text = file.to_string().replace("-1.0,", "NaN,").replace("-2.0]", "-Infinity]");
        assert!(text.contains("[NaN,0.125,-Infinity]"), "{text}");
        TreeModel::from_xgboost(text.as_bytes()).unwrap_err()
    };
    assert_eq!(with_words(&file), ImportError::CategoricalFeature(1));
    file["learner"]["feature_types"] = json!([]);
    assert!(matches!(with_words(&file), ImportError::NotFinite { line: 1, .. }));
    trees(&mut file)[0]["categories_nodes"] = json!([0]);
    assert_eq!(with_words(&file), ImportError::CategoricalSplit { tree: 0 });
    file["learner"]["objective"]["name"] = "NaN".into();
    assert_eq!(with_words(&file), ImportError::Objective("NaN".to_owned()));
}

#[test]
fn categories() {
    let found = refusal(|file| file["learner"]["feature_types"] = json!(["float", "c"]));
    assert_eq!(found, ImportError::CategoricalFeature(1));
    let found = refusal(|file| trees(file)[1]["split_type"] = json!([1, 0, 0]));
    assert_eq!(found, ImportError::CategoricalSplit { tree: 1 });
    let found = refusal(|file| trees(file)[1]["categories_nodes"] = json!([0]));
    assert_eq!(found, ImportError::CategoricalSplit { tree: 1 });
}

#[test]
fn features() {
    let named = |names: Value| refusal(|file| file["learner"]["feature_names"] = names);
    assert_eq!(named(json!([])), ImportError::NoFeatureNames);
    let found = refusal(|file| {
        file["learner"].as_object_mut().unwrap().remove("feature_names");
    });
    assert_eq!(found, ImportError::NoFeatureNames);
    let (names, features) = (3, 2);
    assert_eq!(
        named(json!(["a", "b", "c"])),
        ImportError::FeatureNames { names, features }
    );
    let invalid = |names: Value| match named(names) {
        ImportError::Invalid(invalid) => invalid,
        other => panic!("{other}"),
    };
    assert_eq!(invalid(json!(["a", "a"])), InvalidModel::SameName("a".to_owned()));
    let long = "a".repeat(FEATURE_NAME_BYTES_MAX + 1);
    for name in ["", "a\nb", &long] {
        assert_eq!(invalid(json!(["a", name])), InvalidModel::FeatureName(1), "{name:?}");
    }
    let many: Vec<String> = (0..=FEATURES_MAX).map(|index| index.to_string()).collect();
    assert_eq!(invalid(json!(many)), InvalidModel::TooManyFeatures(FEATURES_MAX + 1));
    for feature in [2, 70_000] {
        let found = refused_tree(|tree| tree.feature[1] = feature);
        assert_eq!(found, InvalidModel::FeatureRange { tree: 1, feature }.into());
    }
}

#[test]
fn trees_that_are_none() {
    let (tree, child) = (1, 5);
    let found = refused_tree(|tree| tree.right[1] = 5);
    assert_eq!(found, ImportError::ChildRange { tree, node: 1, child });
    let found = refused_tree(|tree| tree.right[0] = -1);
    assert_eq!(
        found,
        ImportError::ChildRange {
            tree,
            node: 0,
            child: -1
        }
    );
    let found = refused_tree(|tree| tree.left[0] = -2);
    assert_eq!(
        found,
        ImportError::ChildRange {
            tree,
            node: 0,
            child: -2
        }
    );
    // Back to the root, to the same node twice, and to a node of the other side.
    assert_eq!(
        refused_tree(|tree| tree.left[1] = 0),
        ImportError::Circle { tree, node: 0 }
    );
    assert_eq!(
        refused_tree(|tree| tree.left[1] = 1),
        ImportError::Circle { tree, node: 1 }
    );
    assert_eq!(
        refused_tree(|tree| tree.right[1] = 3),
        ImportError::Circle { tree, node: 3 }
    );
    assert_eq!(
        refused_tree(|tree| tree.right[0] = 3),
        ImportError::Circle { tree, node: 3 }
    );
    // Cut off, and not marked as deleted.
    assert_eq!(
        refused_tree(|tree| tree.left[1] = -1),
        ImportError::Unreachable { tree, node: 3 }
    );
    let found = refusal(|file| trees(file).swap(0, 1));
    assert_eq!(found, ImportError::TreeOrder { tree: 0, id: 1 });
    for cover in [-1.0, f32::MAX * 2.0] {
        let mut hurt = small_tree();
        hurt.cover[3] = cover;
        let mut file = document(&[stump(), hurt]);
        if cover > 0.0 {
            // JSON has no infinity, but numbers that become one in single precision.
            trees(&mut file)[1]["sum_hessian"][3] = json!(1e39);
        }
        assert_eq!(read(&file).unwrap_err(), ImportError::Cover { tree, node: 3 });
    }
}

#[test]
fn arrays_of_another_length() {
    for array in [
        "left_children",
        "right_children",
        "split_indices",
        "split_conditions",
        "default_left",
        "sum_hessian",
        "split_type",
    ] {
        let (tree, nodes) = (1, 3);
        let expected = ImportError::ArrayLength { tree, nodes, array };
        let shorter = refusal(|file| {
            trees(file)[1][array].as_array_mut().unwrap().pop();
        });
        assert_eq!(shorter, expected);
        let longer = refusal(|file| trees(file)[1][array].as_array_mut().unwrap().push(json!(0)));
        assert_eq!(longer, expected);
        let gone = refusal(|file| {
            trees(file)[1].as_object_mut().unwrap().remove(array);
        });
        assert_eq!(gone, expected);
    }
    let empty = Tree {
        left: vec![],
        right: vec![],
        feature: vec![],
        value: vec![],
        default_left: vec![],
        cover: vec![],
    };
    let (tree, nodes, array) = (0, 0, "left_children");
    let found = read(&document(&[empty])).unwrap_err();
    assert_eq!(found, ImportError::ArrayLength { tree, nodes, array });
}

#[test]
fn numbers_that_are_none() {
    let with = |node: usize, number: &str| {
        let text = document(&[stump(), small_tree()]).to_string();
        let values = serde_json::to_string(&small_tree().value).unwrap();
        let mut numbers: Vec<String> = values.trim_matches(['[', ']']).split(',').map(str::to_owned).collect();
        number.clone_into(&mut numbers[node]);
        let changed = text.replace(&values, &format!("[{}]", numbers.join(",")));
        assert_ne!(changed, text);
        TreeModel::from_xgboost(changed.as_bytes()).unwrap_err()
    };
    for word in ["NaN", "Infinity", "-Infinity"] {
        assert!(
            matches!(with(0, word), ImportError::NotFinite { line: 1, .. }),
            "{word}: {}",
            with(0, word)
        );
    }
    // JSON has these, and single precision does not.
    assert_eq!(with(0, "1E39"), InvalidModel::Threshold { tree: 1 }.into());
    assert_eq!(with(1, "-1E39"), InvalidModel::Threshold { tree: 1 }.into());
    assert_eq!(with(4, "1E39"), InvalidModel::Leaf { tree: 1 }.into());
    assert!(matches!(with(4, "1E400"), ImportError::Json { .. }));
    let beyond = f64::from(LEAF_MAX.next_up()).to_string();
    assert_eq!(with(4, &beyond), InvalidModel::Leaf { tree: 1 }.into());
    model(&[leaf(LEAF_MAX), leaf(-LEAF_MAX)]);

    for score in [
        "0",
        "1",
        "-0.5",
        "1.5",
        "nan",
        "inf",
        "",
        "[]",
        "[5E-1",
        "[5E-1,5E-1]",
        "9.9E-7",
        "9.999995E-1",
        "1E-45",
        "x",
    ] {
        let found = refusal(|file| file["learner"]["learner_model_param"]["base_score"] = score.into());
        assert_eq!(found, ImportError::BaseScore(score.to_owned()));
    }
}

#[test]
fn what_is_beyond_a_limit() {
    assert_eq!(read(&document(&[])).unwrap_err(), InvalidModel::NoTrees.into());
    let found = refusal(|file| {
        file["learner"]["gradient_booster"]
            .as_object_mut()
            .unwrap()
            .remove("model");
    });
    assert_eq!(found, InvalidModel::NoTrees.into());
    assert_eq!(model(&vec![leaf(0.5); TREES_MAX]).trees(), TREES_MAX);
    let found = read(&document(&vec![leaf(0.5); TREES_MAX + 7])).unwrap_err();
    assert_eq!(found, InvalidModel::TooManyTrees(TREES_MAX + 7).into());

    assert_eq!(model(&[chain(DEPTH_MAX)]).nodes(), 2 * DEPTH_MAX + 1);
    let found = read(&document(&[stump(), chain(DEPTH_MAX + 1)])).unwrap_err();
    assert_eq!(found, InvalidModel::TooDeep { tree: 1 }.into());

    // One tree of so many nodes, whatever they are.
    let nodes = NODES_MAX + 1;
    let mut wide = leaf(0.0);
    wide.left = vec![-1; nodes];
    wide.right = vec![-1; nodes];
    wide.feature = vec![2_147_483_647; nodes];
    wide.value = vec![0.0; nodes];
    wide.default_left = vec![0; nodes];
    wide.cover = vec![0.0; nodes];
    assert_eq!(read(&document(&[wide])).unwrap_err(), InvalidModel::TooManyNodes.into());

    let long = vec![b' '; JSON_BYTES_MAX + 1];
    assert_eq!(
        TreeModel::from_xgboost(&long).unwrap_err(),
        ImportError::TooLong(JSON_BYTES_MAX + 1)
    );
}

#[test]
fn what_is_not_xgboost_s_json() {
    assert_eq!(
        TreeModel::from_xgboost(b"{L\0\0\0\0\0\0\0\x07learner").unwrap_err(),
        ImportError::Ubjson
    );
    for (text, words) in [
        ("", "EOF"),
        ("[1]", "invalid type"),
        ("{}", "missing field `learner`"),
        ("{\"learner\": 1}", "invalid type"),
        ("{\"learner\": {}, \"learner\": {}}", "missing field"),
        ("\u{feff}{}", "expected value"),
    ] {
        let found = TreeModel::from_xgboost(text.as_bytes()).unwrap_err();
        assert!(
            matches!(&found, ImportError::Json { problem, .. } if problem.contains(words)),
            "{text}: {found}"
        );
    }
    // Nesting costs no stack, neither where it is passed over nor where something else is expected.
    for (before, after) in [("{\"x\":", "}"), ("", ""), ("{\"learner\":{\"feature_names\":", "}}")] {
        let deep = format!("{before}{}{}{after}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert!(matches!(
            TreeModel::from_xgboost(deep.as_bytes()),
            Err(ImportError::Json { .. })
        ));
    }
    let found = refusal(|file| file["learner"]["objective"]["name"] = "x".repeat(10_000).into());
    assert!(found.to_string().len() < 300, "a message shows the beginning: {found}");
    let found = refusal(|file| file["learner"]["learner_model_param"]["num_class"] = "-1".into());
    assert!(found.to_string().contains("is not a whole number"), "{found}");
}
