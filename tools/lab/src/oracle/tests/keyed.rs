//! Keys beyond the card: the oracle agrees with what labels teach, also where labels reach their keys late, and notices what is wrong.

use tidemark_domain::catalogue::KeyName;
use tidemark_domain::control::trial::{Arm, Trial, rules_held};
use tidemark_domain::fold::{FoldAnswer, LabelAnswer, Taught};
use tidemark_domain::labelled::{KeyInput, LabelledHistory};
use tidemark_domain::model::{Inputs, score};
use tidemark_domain::outcome::StoredOutcome;
use tidemark_domain::policy::KeyTerms;

use super::*;
use crate::simulate::Scenario;

const DAY_MS: i64 = 86_400_000;
/// Keys are read as they were so many records ago at most.
const STALE_RECORDS: usize = 120;

/// A policy with points of keys and of the card, and with what a card explains.
fn policy(explained_from: f64, run_gap_days: u32, more: &str) -> Policy {
    let text = format!(
        "version = 6\nwindows_minutes = [60, 1440, 20160, 43200]\ndedupe_horizon_ms = {}\n\
         features = [\"amount_ratio\", \"count_1d\", \"card.frauds_30d\", \"terminal.fraud_run\", \"terminal.fraud_run_age\", \
         \"terminal.since_fraud\", \"terminal.frauds_14d\", \"device.fraud_run\", \"device.frauds_30d\", \"ip.frauds_14d\"]\n\
         [labels]\nrun_gap_days = {run_gap_days}\n[bounds]\nlateness_ms = {}\n[thresholds]\nreview = 300\nalert = 500\n[scoring]\nreasons_min_score = 50\n\
         [currency]\nbase = \"EUR\"\n[currency.rates]\nGBP = 1.17\nUSD = 0.92\n\
         [[keys]]\nname = \"terminal\"\nfield = \"merchant_id\"\nkeeps = \"labelled\"\n\
         [[keys]]\nname = \"device\"\nfield = \"device_id\"\nkeeps = \"labelled\"\n\
         [[keys]]\nname = \"ip\"\nfield = \"links.ip\"\nkeeps = \"labelled\"\n\
         [explained]\nprior_bits = -4.0\nfrom_bits = {explained_from:?}\n\
         [[explained.tables]]\nfeature = \"amount_ratio\"\nedges = [1.5, 4.0]\nbits = [0.0, 2.0, 5.0]\nmissing_bits = 1.0\n\
         [points]\nprior_bits = -6.0\n{}{more}",
        71 * DAY_MS,
        70 * DAY_MS,
        [
            ("amount_ratio", "[1.5, 4.0]", "[0.0, 1.25, 3.0]"),
            ("card.frauds_30d", "[1.0, 2.0]", "[0.0, 0.75, 2.25]"),
            ("terminal.fraud_run", "[1.0, 2.0, 3.0]", "[0.0, 1.1, 2.3, 3.7]"),
            ("terminal.fraud_run_age", "[100000.0, 900000.0]", "[0.3, 0.7, 0.9]"),
            ("terminal.since_fraud", "[200000.0, 800000.0]", "[1.9, 0.8, 0.1]"),
            ("terminal.frauds_14d", "[1.0, 3.0]", "[0.0, 0.4, 0.6]"),
            ("device.fraud_run", "[1.0, 2.0]", "[0.0, 2.6, 4.1]"),
            ("device.frauds_30d", "[1.0]", "[0.0, 0.2]"),
            ("ip.frauds_14d", "[1.0, 2.0]", "[0.0, 1.7, 2.9]"),
        ]
        .map(|(feature, edges, bits)| format!(
            "[[points.tables]]\nfeature = \"{feature}\"\nedges = {edges}\nbits = {bits}\nmissing_bits = -0.15\n"
        ))
        .concat()
    );
    Policy::parse(&text, "keyed.toml").unwrap_or_else(|problems| panic!("{problems:?}"))
}

type Histories = HashMap<(KeyName, u64), LabelledHistory>;

/// What the system made of a stream with keys, and of a policy beside.
#[derive(Default)]
struct Keyed {
    system: System,
    trials: Vec<Trial>,
}

impl Keyed {
    /// What labels teach is read some records later, but for every second thousand of records.
    fn run(records: &[SimRecord], policy: &Policy, beside: &Policy) -> Self {
        let mut keyed = Self::default();
        let (mut taught, mut read) = (Histories::default(), Histories::default());
        for (at, record) in records.iter().enumerate() {
            let is_late = (at / 1_000) % 2 == 0;
            if !is_late || at % STALE_RECORDS == 0 {
                read.clone_from(&taught);
            }
            let Ok(decoded) = contract::decode(&record.payload, record.sent_at_ms, &policy.bounds) else {
                continue;
            };
            match &decoded.event {
                Event::Label(label) => {
                    let state = keyed
                        .system
                        .states
                        .entry(label.card_id.as_str().to_owned())
                        .or_default();
                    match fold::fold_label(state, label, policy) {
                        LabelAnswer::Recorded(lesson)
                        | LabelAnswer::Already(lesson)
                        | LabelAnswer::Forgotten(lesson) => {
                            learn(&mut taught, &lesson, policy);
                        }
                        _ => {}
                    }
                }
                Event::Transaction(tx) => keyed.score(tx, policy, beside, &read),
                event @ Event::Profile(_) => _ = keyed.system.apply(event, policy),
            }
        }
        keyed
    }

    fn score(&mut self, tx: &Transaction, policy: &Policy, beside: &Policy, read: &Histories) {
        let known = self.system.profiles.get(tx.card_id.as_str());
        let profile = known.map_or(ProfileInput::Absent, ProfileInput::Known);
        let input = |terms: &KeyTerms| match terms.field.identity_of(tx) {
            Some(identity) => read
                .get(&(terms.name, identity))
                .map_or(KeyInput::Absent, KeyInput::Known),
            None => KeyInput::Unnamed,
        };
        let keys: Vec<KeyInput<'_>> = policy.keys.iter().map(input).collect();
        let inputs = Inputs { profile, keys: &keys };
        let state = self.system.states.entry(tx.card_id.as_str().to_owned()).or_default();
        let other = score(state, tx, inputs, beside);
        let (entry, is_new) = match fold::fold_transaction(state, tx, inputs, policy) {
            FoldAnswer::Scored { entry } => (entry, true),
            FoldAnswer::Duplicate { entry } => (entry, false),
            _ => return,
        };
        let verdict = |outcome: &StoredOutcome| Arm {
            score: outcome.score,
            decision: outcome.decision,
            tier: outcome.tier,
        };
        if is_new {
            self.trials.push(Trial {
                event_id: tx.event_id.as_str().to_owned(),
                card_id: tx.card_id.as_str().to_owned(),
                occurred_at_ms: tx.occurred_at_ms,
                active: verdict(&entry.outcome),
                candidate: verdict(&other),
                active_rules: rules_held(policy, &entry.outcome),
                candidate_rules: rules_held(beside, &other),
            });
        }
        self.system
            .outcomes
            .push(render_json(&tx.card_id, &tx.event_id, &entry));
    }

    fn check(&self, records: &[SimRecord], policy: &Policy, beside: &Policy) -> Report {
        let sent: Vec<Sent<'_>> = records
            .iter()
            .map(|record| Sent {
                arrival_ms: record.sent_at_ms,
                payload: &record.payload,
            })
            .collect();
        let tried = TriedPolicy {
            policy: beside,
            trials: &self.trials,
        };
        let outcomes = self.system.outcomes.iter().map(Vec::as_slice);
        let states = |card: &str| self.system.states.get(card).cloned();
        check_tried(policy, &sent, outcomes, &states, Some(tried))
    }
}

fn learn(taught: &mut Histories, lesson: &Taught, policy: &Policy) {
    for terms in &policy.keys {
        if let Some(identity) = lesson.identity(terms.field) {
            let history = taught.entry((terms.name, identity)).or_default();
            history.learn(&lesson.labels);
        }
    }
}

fn records(seed: u64, policy: &Policy) -> Vec<SimRecord> {
    let config = SimConfig::new(seed, 8_000, 400, NOW_MS, policy).with_scenarios(&Scenario::ALL, 60 * DAY_MS);
    generate(&config.with_more_fraud(3.0).with_links()).collect()
}

fn fields(report: &Report) -> BTreeMap<&str, usize> {
    let mut fields = BTreeMap::new();
    for mismatch in &report.mismatches {
        *fields.entry(mismatch.field.as_str()).or_default() += 1;
    }
    fields
}

#[test]
fn oracle_and_fold_agree_on_keys_that_labels_reach_sooner_or_later() {
    for with_features in [false, true] {
        let more = if with_features {
            "[outcome]\nfeatures = true\n"
        } else {
            ""
        };
        let (policy, beside) = (policy(-2.5, 30, more), policy(9.0, 12, ""));
        let records = records(21, &policy);
        let keyed = Keyed::run(&records, &policy, &beside);
        let report = keyed.check(&records, &policy, &beside);
        let words: Vec<String> = report.mismatches.iter().take(10).map(ToString::to_string).collect();
        assert_eq!(report.mismatch_count, 0, "{}", words.join("\n"));
        for covered in [report.outcomes, report.trials] {
            assert_eq!(covered.compared, report.outcomes_unique);
            assert!(covered.with_labels > 1_000 && covered.before_label > 50, "{covered:?}");
            assert!(covered.untold * 5 < covered.with_labels, "{covered:?}");
        }
        let says = |word: &str| {
            let outcomes = keyed.system.outcomes.iter();
            outcomes
                .filter(|bytes| String::from_utf8_lossy(bytes).contains(word))
                .count()
        };
        let reasons = ["terminal", "device", "ip"].map(|key| says(&format!("\"key\":\"{key}\"")));
        assert!(reasons.iter().all(|count| *count > 100), "{reasons:?}");
        assert!(!with_features || says("\"card.frauds_30d\":1.0") > 50);
    }
}

#[test]
fn what_is_wrong_with_keys_is_noticed() {
    let (one, beside) = (policy(-2.5, 30, ""), policy(9.0, 12, ""));
    let records = records(22, &one);
    let keyed = Keyed::run(&records, &one, &beside);
    // Rows that end sooner, and frauds that no card explains.
    for other in [policy(-2.5, 4, ""), policy(99.0, 30, "")] {
        let report = keyed.check(&records, &other, &beside);
        let found = fields(&report);
        assert!(found.contains_key("score") && !found.contains_key("trial"), "{found:?}");
    }
    let report = keyed.check(&records, &one, &policy(9.0, 4, ""));
    assert!(fields(&report).contains_key("trial's score"), "{:?}", fields(&report));
    // More labels than were sent, and labels of a key that there is not.
    let edited = |from: &str, to: &str| {
        let mut keyed = Keyed::run(&records, &one, &beside);
        let named = |bytes: &&mut Vec<u8>| String::from_utf8_lossy(bytes).contains(from);
        let outcome = keyed.system.outcomes.iter_mut().rfind(named).unwrap();
        *outcome = String::from_utf8_lossy(outcome).replace(from, to).into_bytes();
        fields(&keyed.check(&records, &one, &beside))
            .into_keys()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert!(edited("\"terminal\":1", "\"terminal\":99").contains(&"key_versions".to_owned()));
    assert!(edited("{\"terminal\":1", "{\"other\":1").contains(&"key_versions".to_owned()));
    // A trial of no event, and one that says something else of the active policy.
    let mut changed = Keyed::run(&records, &one, &beside);
    changed.trials[5].active.score += 1;
    changed.trials[6].event_id = "of-nobody".to_owned();
    let report = changed.check(&records, &one, &beside);
    assert_eq!(fields(&report)["trial"], 3, "{:?}", report.mismatches);
}
