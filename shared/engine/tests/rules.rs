//! Rules in a batch: what they decide, what is counted of them, and what a trial records.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use futures_util::FutureExt;
use serde_json::{Value, json};
use tidemark_domain::control::Rollout;
use tidemark_domain::outcome::Decision;
use tidemark_domain::policy::Policy;
use tidemark_engine::report::RuleCounts;
use tidemark_engine::{BatchReport, Candidate, Directives, InRecord};

use crate::common::{FAR_MS, Record, World, assert_adds_up, records, tx};

/// Rules over the amount: above 300 is an alert, above 100 is watched, 400 divides by zero.
const RULES: &str = r#"
[[rules]]
name = "dear"
when = "event.amount_minor > 300"
then = "alert"
reason = "More than three"
[[rules]]
name = "watched"
when = "event.amount_minor > 100"
then = "review"
reason = "More than one"
mode = "observe"
[[rules]]
name = "broken"
when = "1000 / (event.amount_minor - 400) > 0"
then = "pass"
reason = "Divides"
"#;

fn policy(version: u32, rules: &str) -> Arc<Policy> {
    let text = Policy::default_text().replace("version = 1\n", &format!("version = {version}\n"));
    Arc::new(Policy::parse(&format!("{text}{rules}"), "rules.toml").unwrap())
}

fn run(world: &World, records: &[Record], directives: &Directives) -> BatchReport {
    let batch: Vec<InRecord<'_>> = records.iter().map(Record::as_in).collect();
    let report = world
        .engine()
        .process_by(&batch, FAR_MS, directives.clone())
        .now_or_never()
        .unwrap();
    assert_adds_up(&report, &batch);
    report
}

#[test]
fn rules_decide_and_are_counted_once_an_event_and_told_to_a_duplicate_when_they_are_gone() {
    let world = World::new();
    let batch = records([
        tx("a", "a1", 10, 50),
        tx("b", "b1", 9, 200),
        tx("c", "c1", 8, 400),
        tx("d", "d1", 7, 500),
    ]);
    let report = run(&world, &batch, &Directives::standing(policy(1, RULES)));
    let counts = |held, observed, undefined| RuleCounts {
        held,
        observed,
        undefined,
    };
    let found: Vec<(&str, RuleCounts)> = report
        .rules
        .iter()
        .map(|(name, counts)| (name.as_str(), *counts))
        .collect();
    assert_eq!(
        found,
        [
            ("broken", counts(1, 0, 1)),
            ("dear", counts(2, 0, 0)),
            ("watched", counts(0, 3, 0))
        ]
    );
    assert_eq!(report.decisions[&Decision::Alert], 2);
    assert_eq!(
        world.store.decisions().len(),
        2,
        "an alert by a rule is recorded like any other"
    );
    let outcome: Value = serde_json::from_slice(&world.outcomes()["d1"]).unwrap();
    assert_eq!(
        outcome["rules"],
        json!({"held": ["dear", "broken"], "observed": ["watched"]})
    );
    // Again, when the policy has no rules: World::outcomes panics if a duplicate's bytes differ (I3).
    let again = run(&world, &batch, &Directives::standing(policy(2, "")));
    assert_eq!((again.duplicate, again.rules.len()), (4, 0));
    assert_eq!(
        serde_json::from_slice::<Value>(&world.outcomes()["d1"]).unwrap(),
        outcome
    );
}

#[test]
fn a_trial_records_which_rules_of_either_policy_held() {
    let world = World::new();
    let batch = records([tx("a", "a1", 10, 200), tx("b", "b1", 9, 500)]);
    let mut directives = Directives::standing(policy(1, RULES));
    let other = "[[rules]]\nname = \"all\"\nwhen = \"true\"\nthen = \"review\"\nreason = \"All\"\n";
    directives.candidate = Some(Candidate {
        policy: policy(2, other),
        rollout: Rollout {
            candidate: 2,
            share_pct: 100,
        },
    });
    let report = run(&world, &batch, &directives);
    assert_eq!((report.trials.scored, report.trials.flips), (2, 2));
    let trials = world.store.trials();
    let (_, item) = trials.first().unwrap();
    assert_eq!(
        (&item.active_rules[..], &item.candidate_rules[..]),
        (
            &["dear", "watched", "broken"].map(String::from)[..],
            &["all".to_owned()][..]
        )
    );
    let held: Vec<(u64, u64)> = item
        .trials
        .iter()
        .map(|trial| (trial.active_rules, trial.candidate_rules))
        .collect();
    assert_eq!(held, [(0b010, 0b1), (0b111, 0b1)]);
    let decisions: Vec<(Decision, Decision)> = item
        .trials
        .iter()
        .map(|trial| (trial.active.decision, trial.candidate.decision))
        .collect();
    assert_eq!(
        decisions,
        [(Decision::Pass, Decision::Review), (Decision::Alert, Decision::Review)]
    );
}
