//! Rules in a backtest, and in a policy that is learned from one with rules.

use super::*;

const RULES: &str = r#"
[[rules]]
name = "dear"
when = "event.amount_minor >= 3000 && features.share_declined_1h < 1"
then = "review"
reason = "Three thousand or more"
[[rules]]
name = "watched"
when = "event.merchant_id == 't7'"
then = "alert"
reason = "The seventh terminal"
mode = "observe"
[[rules]]
name = "never"
when = "score > 1000"
then = "alert"
reason = "Never"
"#;

fn policy() -> Policy {
    Policy::parse(&format!("{}{RULES}", Policy::default_text()), "rules.toml").unwrap()
}

#[test]
fn a_backtest_says_of_each_rule_how_often_it_held_and_what_of_that_was_fraud() {
    let folder = tempfile::tempdir().unwrap();
    let (events, labels) = stream();
    let all: Vec<&Value> = events.iter().chain(&labels).collect();
    let file = write(folder.path(), "history.jsonl", &all);
    let (from_ms, until_ms) = (START_MS + 40 * DAY_MS, START_MS + 54 * DAY_MS);
    let options = BacktestOptions {
        input: file.into(),
        policies: vec![
            ("plain".to_owned(), Policy::default_policy()),
            ("ruled".to_owned(), policy()),
        ],
        from_ms,
        until_ms,
        label_delay_ms: 2 * DAY_MS,
        cards_a_day: 10,
        leave_out_compromised: false,
        delays_ms: Vec::new(),
    };
    let found = backtest(&options).unwrap();
    assert!(found.policies[0].rules.is_empty());
    // Counted once more from the rows themselves.
    let is_fraud = |event: &Value| labels.iter().any(|label| label["event_id"] == event["event_id"]);
    let within = |event: &&Value| (from_ms..until_ms).contains(&event["occurred_at_ms"].as_i64().unwrap());
    let count = |holds: &dyn Fn(&Value) -> bool| {
        let hit: Vec<&Value> = events.iter().filter(within).filter(|event| holds(event)).collect();
        let (frauds, genuine): (Vec<&Value>, Vec<&Value>) = hit.iter().partition(|event| is_fraud(event));
        let money = |of: &[&Value]| {
            of.iter()
                .map(|event| event["amount_minor"].as_u64().unwrap())
                .sum::<u64>()
        };
        (hit.len() as u64, frauds.len() as u64, money(&frauds), money(&genuine))
    };
    let expected = [
        ("dear", count(&|event| event["amount_minor"].as_u64().unwrap() >= 3_000)),
        ("watched", count(&|event| event["merchant_id"] == "t7")),
        ("never", (0, 0, 0, 0)),
    ];
    let rules = found.policies[1].rules.iter();
    let worth: Vec<_> = rules
        .map(|one| {
            (
                one.rule.as_str(),
                (one.hits, one.found, one.found_minor, one.false_minor),
            )
        })
        .collect();
    assert_eq!(worth, expected);
    assert!(expected[0].1.1 > 10, "{expected:?}");
    let text = super::super::backtest::text::render(&found);
    assert!(
        text.contains("rule dear") && text.contains("of genuine money"),
        "{text}"
    );
    assert!(super::super::backtest::page(&found).contains("rule never"));
    // What the rule sends to a person, the flips show.
    assert!(found.flips[0].events[0][1] >= expected[0].1.0 / 2, "{:?}", found.flips);
}

#[test]
fn what_is_learned_from_a_policy_with_rules_keeps_them_and_what_they_read() {
    let folder = tempfile::tempdir().unwrap();
    let (events, labels) = stream();
    let all: Vec<&Value> = events.iter().chain(&labels).collect();
    let file = write(folder.path(), "history.jsonl", &all);
    let base = format!("{}{RULES}", Policy::default_text());
    let trained = train(&TrainOptions { base, ..options(&file) }).unwrap();
    assert_eq!(trained.policy.rules.all(), policy().rules.all());
    assert!(
        trained
            .policy
            .features()
            .any(|key| key.to_string() == "share_declined_1h")
    );
}
