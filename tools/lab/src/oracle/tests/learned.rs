//! Points and trees: the oracle agrees with the fold, and notices another model.

use std::fmt::Write as _;
use std::sync::Arc;

use tidemark_domain::trees::{TreeModel, TreeModelKey};

use super::*;

/// Features that the trees split by, and a threshold of each that divides the stream.
const SPLITS: [(&str, f32); 8] = [
    ("count_1h", 2.5),
    ("sum_1d", 9_000.5),
    ("since_last", 4_000.25),
    ("amount_ratio", 1.51),
    ("new_merchant", 0.5),
    ("distinct_countries_1d", 1.5),
    ("amount_z", 0.77),
    ("surprise.sum_1d", 2.03),
];

/// Bytes of a model of full trees, three splits deep, whose splits and leaves follow from a seed.
fn model(seed: u64) -> (TreeModelKey, Arc<TreeModel>) {
    let mut state = seed;
    let mut draw = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut bytes = vec![1, SPLITS.len() as u8, 0];
    for (name, _) in SPLITS {
        bytes.push(name.len() as u8);
        bytes.extend(name.as_bytes());
    }
    bytes.extend((-1.5_f32).to_le_bytes());
    bytes.extend(20_u16.to_le_bytes());
    for _ in 0..20 {
        // In preorder: levels of the fifteen nodes of a full tree.
        for level in [0, 1, 2, 3, 3, 2, 3, 3, 1, 2, 3, 3, 2, 3, 3] {
            let value = draw(2_000) as f32 / 2_000.0 - 0.5;
            if level == 3 {
                bytes.extend(0x8000_u16.to_le_bytes());
                bytes.extend(value.to_le_bytes());
            } else {
                let feature = draw(SPLITS.len() as u64) as usize;
                let missing_left = (draw(2) as u16) << 14;
                bytes.extend((feature as u16 | missing_left).to_le_bytes());
                bytes.extend(SPLITS[feature].1.to_le_bytes());
                bytes.extend(value.to_le_bytes());
            }
        }
    }
    (TreeModelKey::of(&bytes), Arc::new(TreeModel::decode(&bytes).unwrap()))
}

fn policy(more: &str, seed: u64) -> Policy {
    let features: Vec<&str> = SPLITS.iter().map(|(name, _)| *name).collect();
    let (key, model) = model(seed);
    let mut text = format!(
        "version = 4\nwindows_minutes = [60, 1440, 10080]\nfeatures = {features:?}\n[thresholds]\nreview = 400\nalert = 600\n\
         [scoring]\nreasons_min_score = 100\n[currency]\nbase = \"EUR\"\n[currency.rates]\nGBP = 1.17\nJPY = 0.0062\n\
         [outcome]\nfeatures = true\n[low_risk]\namount_max_minor = 1_000\nfeatures = [\"count_1h\", \"new_merchant\"]\n"
    );
    text += more;
    if more.is_empty() {
        let _ = write!(text, "[trees]\nmodel = \"{key}\"\n");
    }
    let models = |named| (named == key).then(|| Arc::clone(&model));
    Policy::parse_with(&text, "learned.toml", &models).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn points() -> String {
    let mut text = "[points]\nprior_bits = -3.0\n".to_owned();
    for (at, (name, edge)) in SPLITS.iter().enumerate() {
        let _ = write!(
            text,
            "[[points.tables]]\nfeature = \"{name}\"\nedges = [{edge:?}, {:?}]\nbits = [-0.75, {at}.25, 2.5]\nmissing_bits = 0.5\n",
            edge * 3.0
        );
    }
    text
}

#[test]
fn oracle_and_fold_agree_on_points_and_on_trees() {
    for policy in [policy("", 7), policy(&points(), 7)] {
        let records = stream(8, 6_000);
        let system = System::run(&records, &policy);
        let report = system.check(&records, &policy);
        let words: Vec<String> = report.mismatches.iter().take(10).map(ToString::to_string).collect();
        assert_eq!(report.mismatch_count, 0, "{}", words.join("\n"));
        let scores = report.expected.outcomes.values();
        let distinct: std::collections::BTreeSet<u64> =
            scores.map(|outcome| outcome.said[0].raw_score.to_bits()).collect();
        assert!(distinct.len() > 50, "{} different scores", distinct.len());
        let with_reasons = system
            .outcomes
            .iter()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        assert!(with_reasons.filter(|text| text.contains("share_pct")).count() > 1_000);
    }
}

#[test]
fn another_model_and_another_name_of_it_are_noticed() {
    let (records, policy_of_one) = (stream(9, 2_000), policy("", 1));
    let system = System::run(&records, &policy_of_one);
    let report = system.check(&records, &policy("", 2));
    let fields: std::collections::BTreeSet<&str> = report.mismatches.iter().map(|found| found.field.as_str()).collect();
    assert!(
        fields.contains("model") && fields.contains("score") && fields.contains("reasons"),
        "{fields:?}"
    );
}
