//! What is learned from, and what is compared.

use lab::simulate::Scenario;
use tidemark_domain::control::trial::Arm;
use tidemark_domain::outcome::Tier;

use super::super::fraud::transaction;
use super::*;

fn config(events: u32) -> (SimConfig, Policy) {
    let (_, policy) = policy().unwrap();
    let config = SimConfig::new(3, events, events / 30, 1_790_000_000_000, &policy);
    (config.with_scenarios(&Scenario::ALL, STREAM_DAYS * DAY_MS), policy)
}

#[test]
fn the_history_holds_what_was_accepted_in_the_order_of_its_times() {
    let (config, policy) = config(6_000);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(HISTORY_FILE);
    write_history(&config, &path).unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    let (mut newest_ms, mut kinds) = (i64::MIN, BTreeMap::<String, u64>::new());
    for line in text.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        *kinds.entry(event["schema"].to_string()).or_default() += 1;
        if event["schema"] == "transaction" {
            let time_ms = event["occurred_at_ms"].as_i64().unwrap();
            assert!(time_ms >= newest_ms, "out of order");
            newest_ms = time_ms;
            assert!(time_ms < split_ms(&config));
        }
    }
    let sent = simulate::generate(&config).take_while(|record| record.sent_at_ms < split_ms(&config));
    let wanted = sent
        .filter(|record| matches!(record.expect, Expect::Transaction { .. }) && transaction(record, &policy).is_some());
    assert_eq!(kinds["\"transaction\""], wanted.count() as u64);
    assert!(kinds["\"label\""] > 50, "{kinds:?}");
}

#[test]
fn what_was_caught_before_and_after_adds_up() {
    let (config, policy) = config(6_000);
    // The policy in force catches every third event, the other one all fraud.
    let trials: Vec<Trial> = told(simulate::generate(&config), &policy)
        .enumerate()
        .map(|(number, (name, tx))| {
            let arm = |caught: bool| Arm {
                score: 0,
                decision: if caught { Decision::Review } else { Decision::Pass },
                tier: Tier::Full,
            };
            Trial {
                event_id: tx.event_id.as_str().to_owned(),
                card_id: tx.card_id.as_str().to_owned(),
                occurred_at_ms: tx.occurred_at_ms,
                active: arm(number.is_multiple_of(3)),
                candidate: arm(name.is_some()),
                active_rules: 0,
                candidate_rules: 0,
            }
        })
        .collect();
    let learning = Learning::compared(simulate::generate(&config), &trials, &policy);
    assert_eq!(learning.tried, learning.all.events + learning.ordinary.events);
    assert!(learning.patterns.len() >= 5, "{learning:?}");
    let sum = |of: &dyn Fn(&Compared) -> u64| learning.patterns.iter().map(of).sum::<u64>();
    assert_eq!(
        (sum(&|row| row.events), sum(&|row| row.minor)),
        (learning.all.events, learning.all.minor)
    );
    assert_eq!((learning.all.after, learning.ordinary.after), (learning.all.events, 0));
    assert!(
        learning.all.before * 2 < learning.all.after && learning.ordinary.before > 1_000,
        "{learning:?}"
    );
    assert_eq!(learning.all.after_minor, learning.all.minor);
    let text = learning.render();
    assert!(
        text.contains("compromised terminal") && text.contains("device ring"),
        "{text}"
    );
}
