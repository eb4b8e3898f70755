//! `[low_risk]` and the bounds of tiers: what is read, and every refusal with its place.

use super::*;

#[test]
fn a_part_for_low_risk_is_read() {
    let text = format!(
        "{}\n[low_risk]\namount_max_minor = 2500\nmerchant_categories = [5814, 742]\nfeatures = [\"amount_z\", \"count_1h\"]\n",
        LEAST.replacen(
            "version = 7",
            "version = 7\nneutral_below_events = 3\nprofile_max_age_days = 90",
            1
        )
    );
    let policy = Policy::parse(&text, "my.toml").unwrap();
    assert_eq!(
        (policy.neutral_below_events, policy.profile_max_age_ms),
        (3, Some(90 * 86_400_000))
    );
    let low_risk = policy.low_risk.as_ref().unwrap();
    assert_eq!(
        (low_risk.amount_max_minor, low_risk.merchant_categories.as_slice()),
        (2500, &[742, 5814][..])
    );
    let weights = |policy: &Policy| policy.weights().map(|(key, _)| key.to_string()).collect::<Vec<_>>();
    assert_eq!(weights(&low_risk.policy), ["count_1h", "amount_z"]);
    assert_eq!((low_risk.policy.version, &low_risk.policy.low_risk), (7, &None));
    // Without categories every one is meant; without the table none is cheap, and the rest has its default.
    let text = format!("{LEAST}[low_risk]\namount_max_minor = 1\nfeatures = [\"count_1h\"]\n");
    let all = Policy::parse(&text, "my.toml").unwrap().low_risk.unwrap();
    assert!(all.merchant_categories.is_empty());
    let least = Policy::parse(LEAST, "my.toml").unwrap();
    assert_eq!(
        (least.low_risk, least.neutral_below_events, least.profile_max_age_ms),
        (None, 1, None)
    );
}

#[test]
fn a_wrong_part_for_low_risk_is_refused() {
    let features = "features = [\"count_1h\"]\n";
    let part = |rest: &str| format!("[low_risk]\namount_max_minor = 1\n{rest}");
    refused_table(
        &format!("[low_risk]\n{features}"),
        1,
        1,
        &["`low_risk.amount_max_minor` is missing, expected a whole number"],
    );
    refused_table(&part(""), 1, 1, &["`low_risk.features` is missing, expected a list"]);
    refused_table(
        &format!("[low_risk]\namount_max_minor = 0\n{features}"),
        2,
        20,
        &["from 1 to 1125899906842624", "found 0"],
    );
    refused_table(
        &part(&format!("{features}mcc = [1]\n")),
        4,
        1,
        &["unknown key `mcc` in [low_risk]", "merchant_categories"],
    );
    refused_table(
        &part(&format!("{features}merchant_categories = []\n")),
        4,
        23,
        &["1 to 1000 merchant categories", "found 0"],
    );
    refused_table(
        &part(&format!("{features}merchant_categories = [10000]\n")),
        4,
        24,
        &["from 0 to 9999", "found 10000"],
    );
    refused_table(
        &part(&format!("{features}merchant_categories = [1, 1]\n")),
        4,
        27,
        &["category 1 is named twice"],
    );
    refused_table(
        &part(&format!("{features}merchant_categories = [\"5814\"]\n")),
        4,
        24,
        &["whole number", "a string"],
    );
    refused_table(
        &part("features = [1]\n"),
        3,
        13,
        &["expected a feature's name", "a whole number"],
    );
    refused_table(
        &part("features = [\"speeed\"]\n"),
        3,
        13,
        &["unknown feature `speeed`", "speed"],
    );
    refused_table(
        &part("features = [\"count_1h\", \"count_1h\"]\n"),
        3,
        25,
        &["`count_1h` is named twice"],
    );
    refused_table(
        &part("features = [\"amount_ratio\"]\n"),
        3,
        13,
        &["`amount_ratio` is in low_risk.features, expected it in `features`"],
    );
    refused_table(
        &part("features = [\"profile_count_ratio\"]\n"),
        3,
        13,
        &["needs the profile", "without a profile"],
    );
    // count_5m has the weight 0 here.
    refused_table(
        &part("features = [\"count_5m\", \"mean_1d\"]\n"),
        3,
        12,
        &["at least one feature with a weight"],
    );
    refused_table(&part("features = []\n"), 3, 12, &["at least one feature with a weight"]);
    refused(
        "version = 7",
        "version = 7\nlow_risk = 5",
        2,
        12,
        &["`low_risk` to be a table", "found a whole number"],
    );
}

#[test]
fn wrong_bounds_of_tiers_are_refused() {
    let add = |line: &str| format!("version = 7\n{line}");
    refused(
        "version = 7",
        &add("neutral_below_events = 401"),
        2,
        24,
        &["from 0 to 400", "found 401"],
    );
    refused(
        "version = 7",
        &add("neutral_below_events = -1"),
        2,
        24,
        &["from 0 to 400", "found -1"],
    );
    refused(
        "version = 7",
        &add("profile_max_age_days = 0"),
        2,
        24,
        &["from 1 to 3650", "found 0"],
    );
    refused(
        "version = 7",
        &add("profile_max_age_days = \"90\""),
        2,
        24,
        &["whole number", "found a string"],
    );
}
