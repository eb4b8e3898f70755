//! `[[rules]]`: what is read, and every refusal with its place.

use tidemark_domain::outcome::{Decision, RULES_MAX};
use tidemark_domain::rules::RuleMode;

use super::*;

fn rule(name: &str, when: &str) -> String {
    format!("[[rules]]\nname = \"{name}\"\nwhen = '{when}'\nthen = \"alert\"\nreason = \"Words for a person\"\n")
}

#[test]
fn rules_are_read_in_their_order() {
    let watched = rule("b", "features.amount_z > 2").replace("\"alert\"", "\"review\"") + "mode = \"observe\"\n";
    let text = format!("{LEAST}{}{watched}", rule("a", "event.mcc == 5947 && score < 10"));
    let policy = Policy::parse(&text, "my.toml").unwrap();
    let rules = policy.rules.all();
    assert_eq!(rules.len(), 2);
    assert_eq!(
        (rules[0].says.name(), rules[0].says.reason()),
        ("a", "Words for a person")
    );
    assert_eq!((rules[0].then, rules[0].mode), (Decision::Alert, RuleMode::Enforce));
    assert_eq!(&*rules[0].when, "event.mcc == 5947 && score < 10");
    assert_eq!((rules[1].then, rules[1].mode), (Decision::Review, RuleMode::Observe));
    assert!(Policy::parse(LEAST, "my.toml").unwrap().rules.all().is_empty());
}

#[test]
fn what_is_wrong_with_a_rule_itself_is_refused() {
    let good = rule("a", "true");
    let without = |line: &str| good.replace(line, "");
    refused_table(&without("name = \"a\"\n"), 1, 1, &["`rules.name` is missing"]);
    refused_table(&without("when = 'true'\n"), 1, 1, &["`rules.when` is missing"]);
    refused_table(&without("then = \"alert\"\n"), 1, 1, &["`rules.then` is missing"]);
    refused_table(
        &without("reason = \"Words for a person\"\n"),
        1,
        1,
        &["`rules.reason` is missing"],
    );
    refused_table(
        &good.replace("\"a\"", "\"Gift cards\""),
        2,
        8,
        &["rules.name", "1 to 32", "found \"Gift cards\""],
    );
    refused_table(
        &good.replace("\"alert\"", "\"block\""),
        4,
        8,
        &["\"pass\", \"review\", \"alert\"", "found \"block\""],
    );
    refused_table(
        &good.replace("\"Words for a person\"", "\"\""),
        5,
        10,
        &["1 to 120 bytes", "found 0"],
    );
    let shadow = format!("{good}mode = \"shadow\"\n");
    refused_table(&shadow, 6, 8, &["\"enforce\", \"observe\"", "found \"shadow\""]);
    refused_table(
        &format!("{good}priority = 1\n"),
        6,
        1,
        &["unknown key `priority` in [rules]", "mode"],
    );
    refused_table(
        &good.replace("'true'", "5"),
        3,
        8,
        &["expected `rules.when` to be a string"],
    );
    let twice = format!("{good}{}", rule("a", "false"));
    refused_table(&twice, 7, 8, &["two rules have the name `a`"]);
}

#[test]
fn more_rules_than_there_may_be_are_refused_at_the_first_one_too_many() {
    let many = |count: usize| (0..count).map(|at| rule(&format!("r{at}"), "true")).collect::<String>();
    assert!(Policy::parse(&format!("{LEAST}{}", many(RULES_MAX)), "my.toml").is_ok());
    refused_table(
        &many(RULES_MAX + 1),
        5 * RULES_MAX + 1,
        1,
        &["expected at most 64 rules, found 65"],
    );
}

#[test]
fn what_is_wrong_in_an_expression_is_refused_at_its_place_in_the_file() {
    refused_table(
        &rule("a", "event.country == 5"),
        3,
        23,
        &["the rule `a`: `==` compares a text with a whole number"],
    );
    refused_table(
        &rule("a", "score / 0 > 1"),
        3,
        17,
        &["the rule `a`: this divides by zero"],
    );
    refused_table(
        &rule("a", "event.amout_minor > 5"),
        3,
        9,
        &["did you mean `event.amount_minor`?"],
    );
    refused_table(
        &rule("a", "features.sum_1h > 5"),
        3,
        9,
        &["`sum_1h`, expected it in `features`"],
    );
    let deep = format!("{}true{}", "(".repeat(10_000), ")".repeat(10_000));
    refused_table(&rule("a", &deep), 3, 9 + 2_000, &["20004 bytes, expected at most 2000"]);
    let deep = format!("{}true{}", "(".repeat(500), ")".repeat(500));
    refused_table(&rule("a", &deep), 3, 9 + 32, &["nested deeper than 32 levels"]);
}

/// Whatever way TOML has to write a text.
#[test]
fn a_place_is_found_in_every_kind_of_string() {
    for (written, line, column) in [
        ("'score > 5 && x'", 3, 22),
        ("\"score > 5 && x\"", 3, 22),
        ("\"event.country == \\\"DE\\\" && x\"", 3, 36),
        ("\"event.country == '\\u0044E' && x\"", 3, 39),
        ("\"\"\"score > 5 &&\n  x\"\"\"", 4, 3),
        ("\"\"\"\nscore > 5 &&\n  x\"\"\"", 5, 3),
        ("'''\nscore > 5\n&& x'''", 5, 4),
        ("\"\"\"score > 5 && \\\n     x\"\"\"", 4, 6),
        ("\"event.merchant_id == 'köln' && x\"", 3, 40),
    ] {
        let text = rule("a", "true").replace("'true'", written);
        refused_table(&text, line, column, &["unknown name `x`"]);
    }
}

#[test]
fn all_problems_of_all_rules_come_together() {
    let text = format!("{LEAST}{}{}", rule("A", "score >"), rule("b", "x"));
    let found = problems(&text);
    let before = LEAST.lines().count();
    let places: Vec<usize> = found.iter().map(|problem| problem.line - before).collect();
    assert_eq!(places, [2, 3, 8], "{found:#?}");
}

#[test]
fn a_policy_of_low_risk_keeps_the_rules_and_misses_features_that_are_left_out() {
    let low = "[low_risk]\namount_max_minor = 5000\nfeatures = [\"amount_z\"]\n";
    let text = format!(
        "{LEAST}{low}{}",
        rule("a", "features.amount_z > 1 || features.count_1h > 2")
    );
    let policy = Policy::parse(&text, "my.toml").unwrap();
    let cheap = &policy.low_risk.as_ref().unwrap().policy;
    assert_eq!(cheap.rules.all(), policy.rules.all());
    assert_ne!(cheap.rules, policy.rules);
}
