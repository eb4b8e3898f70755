//! What was learned, and is wrong: keys, tables of points, the population's amounts, how often a policy is to decide.

use tidemark_domain::policy::{ExpectedShares, Policy};

use super::{LEAST, refused_table};

const KEY: &str = "[[keys]]\nname = \"terminal\"\nfield = \"merchant_id\"\nkeeps = \"labelled\"\n";

#[test]
fn wrong_keys_are_refused() {
    refused_table(&format!("{KEY}{KEY}"), 5, 1, &["`terminal` is declared twice"]);
    let of = |at: usize| KEY.replace("terminal", &format!("key_{at}"));
    refused_table(&(0..5).map(of).collect::<String>(), 1, 1, &["at most 4 keys, found 5"]);
    for name in ["card", "surprise", "Terminal", "9", "", "a_name_of_17_byte"] {
        let with_name = KEY.replace("terminal", name);
        refused_table(&with_name, 2, 8, &["keys.name", "neither `card` nor `surprise`"]);
    }
    let field = KEY.replace("merchant_id", "city");
    refused_table(&field, 3, 9, &["merchant_id, device_id", "`city`"]);
    refused_table(&KEY.replace("labelled", "all"), 4, 9, &["\"labelled\"", "`all`"]);
}

#[test]
fn wrong_points_are_refused() {
    let points = |feature: &str, edges: &str, bits: &str| {
        format!(
            "[points]\nprior_bits = -6\n[[points.tables]]\nfeature = \"{feature}\"\nedges = {edges}\nbits = {bits}\n"
        )
    };
    let good = points("amount_z", "[1, 2]", "[0, 1, 2]");
    assert!(Policy::parse(&format!("{LEAST}{good}"), "my.toml").is_ok());
    refused_table(
        &points("amount_z", "[2, 1]", "[0, 1, 2]"),
        5,
        9,
        &["each above the one before"],
    );
    refused_table(
        &points("amount_z", "[1, 1]", "[0, 1, 2]"),
        5,
        9,
        &["each above the one before"],
    );
    refused_table(
        &points("amount_z", "[1, 2]", "[0, 1]"),
        6,
        8,
        &["expected 3 bits", "found 2"],
    );
    refused_table(&points("amount_z", "[nan]", "[0, 1]"), 5, 10, &["edges", "nan"]);
    refused_table(&points("amount_z", "[1]", "[0, inf]"), 6, 12, &["bits", "inf"]);
    refused_table(&points("count_1h", "[1]", "[0, 101]"), 6, 12, &["-100 to 100", "101"]);
    refused_table(
        &points("max_1h", "[1]", "[0, 1]"),
        4,
        11,
        &["`max_1h` has points", "in `features` too"],
    );
    refused_table(
        "[points]\nprior_bits = -6\ntables = []\n",
        3,
        10,
        &["1 to 64 tables, found 0"],
    );
    let (_, table) = good.split_once("[[").unwrap();
    refused_table(&format!("{good}[[{table}"), 7, 1, &["`amount_z` has two tables"]);
}

#[test]
fn a_wrong_population_is_refused() {
    let population = |amounts: &str, bits: &str| format!("[population]\namounts_minor = {amounts}\nbits = {bits}\n");
    let good = population("[100, 200]", "[0, 3]");
    assert!(Policy::parse(&format!("{LEAST}{good}"), "my.toml").is_ok());
    refused_table(&population("[]", "[]"), 2, 17, &["1 to 64 amounts"]);
    refused_table(
        &population("[200, 100]", "[0, 3]"),
        2,
        17,
        &["each above the one before"],
    );
    refused_table(
        &population("[100, 200]", "[3, 0]"),
        3,
        8,
        &["none below the one before"],
    );
    refused_table(&population("[100, 200]", "[3]"), 3, 8, &["as many bits as amounts"]);
}

#[test]
fn what_a_policy_expects_of_itself_are_two_shares() {
    let expected = |alert: &str, review: &str| format!("[expected]\nalert_share = {alert}\nreview_share = {review}\n");
    let policy = Policy::parse(&format!("{LEAST}{}", expected("0.002", "0.01")), "my.toml").unwrap();
    let shares = ExpectedShares {
        alert_share: 0.002,
        review_share: 0.01,
    };
    assert_eq!(policy.expected, Some(shares));
    assert_eq!(Policy::parse(LEAST, "my.toml").unwrap().expected, None);
    refused_table(&expected("1.5", "0"), 2, 15, &["alert_share", "0 to 1", "1.5"]);
    refused_table(&expected("-0.1", "0"), 2, 15, &["alert_share", "0 to 1"]);
    refused_table(&expected("nan", "0"), 2, 15, &["alert_share", "nan"]);
    refused_table(&expected("0.6", "0.6"), 3, 16, &["1 together at most"]);
    refused_table("[expected]\nalert_share = 0.1\n", 1, 1, &["review_share"]);
    refused_table(&(expected("0", "0") + "alerts = 5\n"), 4, 1, &["unknown key `alerts`"]);
}
