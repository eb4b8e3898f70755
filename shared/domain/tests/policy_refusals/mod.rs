//! Every refusal of a policy, with its place.
#![allow(clippy::unwrap_used, clippy::panic)]

mod keys;
mod learned;
mod low_risk;
mod rules;

use tidemark_domain::catalogue::{FeatureKey, FeatureKind, KeyName, Subject};
use tidemark_domain::policy::{Policy, PolicyProblem};

/// The least that a policy must say.
const LEAST: &str = r#"version = 7
windows_minutes = [60, 5, 1440]
features = ["count_5m", "count_1h", "mean_1d", "amount_z", "profile_count_ratio"]

[weights]
amount_z = 2
count_1h = 0.5
count_5m = 0

[thresholds]
review = 500
alert = 900
"#;

fn problems(text: &str) -> Vec<PolicyProblem> {
    match Policy::parse(text, "my.toml") {
        Ok(policy) => panic!("accepted: {policy:?}"),
        Err(problems) => problems,
    }
}

/// Replaces a piece of the least policy and expects exactly one problem, at a place and with words.
fn refused(from: &str, to: &str, line: usize, column: usize, words: &[&str]) {
    assert!(LEAST.contains(from), "{from:?} is not in the policy");
    let found = problems(&LEAST.replacen(from, to, 1));
    let [problem] = found.as_slice() else {
        panic!("{to:?}: {found:#?}")
    };
    assert_eq!(
        (problem.file.as_str(), problem.line, problem.column),
        ("my.toml", line, column),
        "{to:?}: {problem}"
    );
    for word in words {
        assert!(problem.message.contains(word), "{to:?}: expected {word:?} in {problem}");
    }
}

/// Adds a table to the least policy and expects exactly one problem, at a line of the addition.
fn refused_table(addition: &str, line: usize, column: usize, words: &[&str]) {
    let text = format!("{LEAST}{addition}");
    let found = problems(&text);
    let [problem] = found.as_slice() else {
        panic!("{addition:?}: {found:#?}")
    };
    let before = LEAST.lines().count();
    assert_eq!(
        (problem.line, problem.column),
        (before + line, column),
        "{addition:?}: {problem}"
    );
    for word in words {
        assert!(
            problem.message.contains(word),
            "{addition:?}: expected {word:?} in {problem}"
        );
    }
}

#[test]
fn the_least_policy_is_read() {
    let policy = Policy::parse(LEAST, "my.toml").unwrap();
    assert_eq!(policy.version, 7);
    assert_eq!(policy.windows(), [5, 60, 1440]);
    assert_eq!(policy.features().len(), 5);
    // In the order of `features`; a weight of 0 counts as no weight.
    let weights: Vec<(String, f64)> = policy
        .weights()
        .map(|(key, weight)| (key.to_string(), weight))
        .collect();
    assert_eq!(weights, [("count_1h".to_owned(), 0.5), ("amount_z".to_owned(), 2.0)]);
    assert_eq!(policy.retention_ms(), 86_400_000 + 7 * 86_400_000);
    assert_eq!(policy.head_events_max, 400);
    assert!(!policy.outcome_features);
}

#[test]
fn the_default_policy_is_read_and_says_its_defaults() {
    let default = Policy::default_policy();
    assert_eq!(Policy::parse(Policy::default_text(), "default.toml").unwrap(), default);
    // What it writes out is what an absent table means.
    let least = Policy::parse(LEAST, "my.toml").unwrap();
    assert_eq!((default.bounds, default.scoring), (least.bounds, least.scoring));
    assert_eq!(
        (
            default.dedupe_horizon_ms,
            default.head_events_max,
            default.head_bytes_max
        ),
        (least.dedupe_horizon_ms, least.head_events_max, least.head_bytes_max)
    );
    assert_eq!(default.currency.base, least.currency.base);
    assert!(default.dedupe_horizon_ms >= default.bounds.lateness_ms + default.bounds.skew_ms);
}

#[test]
fn syntax_is_refused_with_its_place() {
    let found = problems("version = \nwindows_minutes = [1\n");
    assert!(!found.is_empty());
    assert_eq!(found.first().unwrap().line, 1);
    refused("version = 7", "version = 7\nversion = 8", 2, 1, &["duplicate key"]);
}

#[test]
fn wrong_top_level_keys_are_refused() {
    refused(
        "version = 7",
        "version = 0",
        1,
        11,
        &["`version`", "from 1 to 4294967295", "found 0"],
    );
    refused(
        "version = 7",
        "version = \"7\"",
        1,
        11,
        &["whole number", "found a string"],
    );
    refused("version = 7", "version = 7.5", 1, 11, &["whole number", "found 7.5"]);
    refused("version = 7\n", "", 1, 1, &["`version` is missing"]);
    refused(
        "version = 7",
        "version = 7\ncolour = 1",
        2,
        1,
        &["unknown key `colour`", "windows_minutes"],
    );
    refused(
        "version = 7",
        "version = 7\nhead_events_max = 401",
        2,
        19,
        &["from 1 to 400", "found 401"],
    );
    refused(
        "version = 7",
        "version = 7\nhead_events_max = 0",
        2,
        19,
        &["from 1 to 400"],
    );
    refused(
        "version = 7",
        "version = 7\nhead_bytes_max = 255",
        2,
        18,
        &["from 256 to 307200", "found 255"],
    );
}

#[test]
fn wrong_windows_are_refused() {
    refused(
        "[60, 5, 1440]",
        "[60, 5, 1440, 0]",
        2,
        33,
        &["from 1 to 43200", "found 0"],
    );
    refused(
        "[60, 5, 1440]",
        "[60, 5, 1440, 43201]",
        2,
        33,
        &["from 1 to 43200", "found 43201"],
    );
    refused(
        "[60, 5, 1440]",
        "[60, 5, 1440, \"1h\"]",
        2,
        33,
        &["whole number", "found a string"],
    );
    refused("[60, 5, 1440]", "[60, 5, 1440, 5]", 2, 33, &["named twice"]);
    refused("[60, 5, 1440]", "60", 2, 19, &["to be a list", "found a whole number"]);
    let many: Vec<String> = (0..20).map(|i| (i * 60 + 60).to_string()).collect();
    let text = LEAST.replacen("[60, 5, 1440]", &format!("[5, 1440, {}]", many.join(", ")), 1);
    // 1440 comes twice: that and the number of windows, together.
    let found = problems(&text);
    assert!(
        found
            .iter()
            .any(|problem| problem.message.contains("1 to 16 windows, found 22")),
        "{found:#?}"
    );
    let found = problems(&LEAST.replacen("[60, 5, 1440]", "[]", 1));
    assert!(
        found
            .iter()
            .any(|problem| problem.message.contains("1 to 16 windows, found 0")),
        "{found:#?}"
    );
}

#[test]
fn wrong_features_are_refused() {
    refused(
        "\"mean_1d\"",
        "\"median_1d\"",
        3,
        37,
        &["unknown feature `median_1d`", "count_<window>", "foreign_to_profile"],
    );
    refused("\"mean_1d\"", "\"mean\"", 3, 37, &["needs a window"]);
    refused("\"mean_1d\"", "\"mean_1x\"", 3, 37, &["needs a window"]);
    refused("\"mean_1d\"", "\"mean_24h\"", 3, 37, &["largest whole unit"]);
    refused("\"mean_1d\"", "\"mean_31d\"", 3, 37, &["1 minute to 30 days"]);
    refused("\"mean_1d\"", "\"mean_0m\"", 3, 37, &["1 minute to 30 days"]);
    refused(
        "\"mean_1d\"",
        "\"mean_2h\"",
        3,
        37,
        &["window of 120 minutes", "windows_minutes: 5, 60, 1440"],
    );
    refused("\"mean_1d\"", "\"count_5m\"", 3, 37, &["named twice"]);
    refused("\"mean_1d\"", "5", 3, 37, &["name in quotes", "found a whole number"]);
    let found = problems(
        &LEAST
            .replacen("[60, 5, 1440]", "[60, 5]", 1)
            .replacen("\"mean_1d\", ", "", 1),
    );
    assert!(
        matches!(found.as_slice(), [one] if one.message.contains("1440 minutes or more")),
        "{found:#?}"
    );
}

#[test]
fn wrong_weights_are_refused() {
    for wrong in ["-0.5", "nan", "inf", "-inf", "100.5", "1e999"] {
        refused(
            "count_1h = 0.5",
            &format!("count_1h = {wrong}"),
            7,
            12,
            &["`weights.count_1h`", "from 0 to 100"],
        );
    }
    refused("count_1h = 0.5", "count_1h = true", 7, 12, &["found a boolean"]);
    refused(
        "count_1h = 0.5",
        "mean_1d = 0.5",
        7,
        1,
        &["`mean_1d` is not scored", "count_<window>"],
    );
    refused("count_1h = 0.5", "count_1d = 0.5", 7, 1, &["expected it in `features`"]);
    refused(
        "count_1h = 0.5",
        "cuont_1h = 0.5",
        7,
        1,
        &["unknown feature `cuont_1h`"],
    );
    refused(
        "[weights]\namount_z = 2\ncount_1h = 0.5\ncount_5m = 0\n",
        "",
        1,
        1,
        &["[weights] is missing"],
    );
}

#[test]
fn wrong_thresholds_are_refused() {
    refused(
        "review = 500",
        "review = 900",
        11,
        10,
        &["below thresholds.alert", "900 and 900"],
    );
    refused("review = 500", "review = 0", 11, 10, &["from 1 to 1000"]);
    refused("alert = 900", "alert = 1001", 12, 9, &["from 1 to 1000", "found 1001"]);
    refused("review = 500\n", "", 10, 1, &["`thresholds.review` is missing"]);
    refused(
        "review = 500",
        "reveiw = 1\nreview = 500",
        11,
        1,
        &["unknown key `reveiw` in [thresholds]"],
    );
    refused(
        "[thresholds]\nreview = 500\nalert = 900\n",
        "",
        1,
        1,
        &["[thresholds] is missing"],
    );
}

#[test]
fn wrong_tables_are_refused() {
    refused_table(
        "[scoring]\nhalf_bits = 0",
        2,
        13,
        &["`scoring.half_bits`", "from 0.1 to 1000"],
    );
    refused_table("[scoring]\nquiet_bits = -1", 2, 14, &["from 0 to 100"]);
    refused_table("[scoring]\nfeature_bits_max = nan", 2, 20, &["from 0.1 to 1000"]);
    refused_table("[scoring]\nreasons_min_score = 0", 2, 21, &["from 1 to 1000"]);
    refused_table("[scoring]\nreasons_min_share_pct = 101", 2, 25, &["from 1 to 100"]);
    refused_table("[scoring]\nhalf = 1", 2, 1, &["unknown key `half` in [scoring]"]);
    refused_table("[bounds]\npayload_bytes_max = 65537", 2, 21, &["from 1024 to 65536"]);
    refused_table("[bounds]\nnesting_max = 65", 2, 15, &["from 1 to 64"]);
    refused_table("[bounds]\nskew_ms = -1", 2, 11, &["`bounds.skew_ms`"]);
    refused_table("[bounds]\nlateness_ms = 1.5", 2, 15, &["whole number"]);
    refused_table("[bounds]\namount_minor_max = 0", 2, 20, &["from 1"]);
    refused_table("[bounds]\nlate = 0", 2, 1, &["unknown key `late` in [bounds]"]);
    refused_table("[outcome]\nfeatures = 1", 2, 12, &["true or false"]);
    refused_table(
        "[outcome]\nfeature = true",
        2,
        1,
        &["unknown key `feature` in [outcome]"],
    );
    refused_table(
        "[currency]\nbase = \"EURO\"",
        2,
        8,
        &["unknown currency `EURO`", "ISO 4217"],
    );
    refused_table("[currency]\nbase = 978", 2, 8, &["a string"]);
    refused_table("[currency]\nbases = \"EUR\"", 2, 1, &["unknown key `bases`"]);
    refused_table("[currency.rates]\nUSD = 0", 2, 7, &["`currency.rates.USD`"]);
    refused_table("[currency.rates]\nUSD = inf", 2, 7, &["`currency.rates.USD`"]);
    refused_table("[currency.rates]\nusd = 1", 2, 1, &["unknown currency `usd`"]);
    refused_table("[currency.rates]\nEUR = 1", 2, 1, &["base currency"]);
    refused_table(
        "[[outcome]]\nfeatures = true",
        1,
        1,
        &["`outcome` to be a table", "a list"],
    );
}

#[test]
fn a_dedupe_horizon_below_lateness_and_skew_is_refused() {
    let text = format!("dedupe_horizon_ms = 172_800_000\n{LEAST}[bounds]\nskew_ms = 1\nlateness_ms = 172_800_000\n");
    let found = problems(&text);
    let [problem] = found.as_slice() else {
        panic!("{found:#?}")
    };
    assert_eq!((problem.line, problem.column), (1, 21));
    assert!(problem.message.contains("172800001"), "{problem}");
    assert!(Policy::parse(&text.replace("skew_ms = 1", "skew_ms = 0"), "my.toml").is_ok());
}

#[test]
fn all_problems_come_together_in_the_order_of_the_file() {
    let text = LEAST
        .replace("version = 7", "version = -7")
        .replace("amount_z = 2", "amount_z = -2")
        .replace("alert = 900", "alert = 1");
    let found = problems(&format!("{text}[bounds]\nwhat = 1\n"));
    let places: Vec<usize> = found.iter().map(|problem| problem.line).collect();
    assert_eq!(places, [1, 6, 11, 14], "{found:#?}");
    assert_eq!(
        found.first().unwrap().to_string(),
        format!("my.toml:1:11: {}", found.first().unwrap().message)
    );
}

#[test]
fn columns_count_characters() {
    let found = problems(&LEAST.replacen("\"count_5m\"", "\"zähler\", \"x\"", 1));
    let places: Vec<(usize, usize)> = found.iter().map(|problem| (problem.line, problem.column)).collect();
    assert_eq!(places.get(..2), Some(&[(3, 13), (3, 23)][..]), "{found:#?}");
}

#[test]
fn names_of_features_are_read_as_they_are_written() {
    for kind in FeatureKind::ALL {
        assert_eq!(FeatureKind::from_number(kind.number()), Some(kind));
        let windows: &[u32] = if kind.is_windowed() {
            &[1, 5, 59, 60, 61, 120, 1439, 1440, 2880, 43_200]
        } else {
            &[0]
        };
        for minutes in windows {
            let names: &[Option<&str>] = match (kind.subject(), kind.is_scored()) {
                (Subject::Card, true) => &[None, Some("surprise")],
                (Subject::Card, false) => &[None],
                (Subject::Key, _) => &[Some("terminal"), Some("ip")],
                (Subject::KeyOrCard, _) => &[Some("terminal"), Some("card")],
            };
            for name in names {
                let key = FeatureKey {
                    of: name.and_then(KeyName::new),
                    ..FeatureKey::new(kind, *minutes)
                };
                assert_eq!(FeatureKey::parse(&key.to_string()), Ok(key));
            }
        }
    }
    assert_eq!(FeatureKey::new(FeatureKind::Count, 10_080).to_string(), "count_7d");
    assert_eq!(
        FeatureKey::new(FeatureKind::Sum, 60).window_label().as_deref(),
        Some("1h")
    );
    assert_eq!(FeatureKey::new(FeatureKind::Speed, 0).window_label(), None);
    for wrong in [
        "",
        "_",
        "count_",
        "count_é",
        "amount_z_1h",
        "count_1h_1h",
        "count_+1h",
        "count_99999999999d",
    ] {
        assert!(FeatureKey::parse(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn the_reference_names_every_feature_and_key() {
    let reference = include_str!("../../../../docs/reference/policy.md");
    for kind in FeatureKind::ALL {
        let of = if kind.subject() == Subject::Card { "" } else { "<key>." };
        let name = format!(
            "`{of}{}{}`",
            kind.name(),
            if kind.is_windowed() { "_<window>" } else { "" }
        );
        let line = reference
            .lines()
            .find(|line| line.starts_with('|') && line.contains(&name));
        let line = line.unwrap_or_else(|| panic!("{name} is not in docs/reference/policy.md"));
        assert!(
            line.contains(&format!("`{}`", kind.reason_code())),
            "{name}: its reason code is not in {line:?}"
        );
        let windowless = FeatureKey::new(kind, 0).sentence();
        assert!(line.contains(&windowless), "{name}: {windowless:?} is not in {line:?}");
        let (unit, scored) = (kind.unit().as_str(), if kind.is_scored() { "yes" } else { "no" });
        let columns = format!("| {name} | {unit} | {scored} |");
        assert!(
            line.starts_with(&columns),
            "{name}: {columns:?} is not how {line:?} begins"
        );
        assert_eq!(
            line.ends_with("| none |"),
            !kind.is_scored(),
            "{name}: its model in {line:?}"
        );
    }
    let least = problems(
        "x = 1\n[scoring]\nx=1\n[bounds]\nx=1\n[outcome]\nx=1\n[currency]\nx=1\n[low_risk]\nx=1\n[thresholds]\nx=1\n[expected]\nx=1\n",
    );
    let lists = least
        .iter()
        .filter_map(|problem| problem.message.split_once("expected one of: "));
    let keys: Vec<&str> = lists.flat_map(|(_, list)| list.split(", ")).collect();
    assert!(keys.len() > 20, "{keys:?}");
    for key in keys {
        assert!(
            reference.contains(&format!("`{key}`")) || reference.contains(&format!("[{key}")),
            "{key} is not in docs/reference/policy.md"
        );
    }
}
