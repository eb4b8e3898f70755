//! The oracle agrees with the fold, and notices when something is wrong.

mod keyed;
mod learned;
mod listed;
mod ruled;

use std::collections::HashMap;

use tidemark_domain::contract;
use tidemark_domain::event::{Event, Profile};
use tidemark_domain::fold::{self, FoldAnswer, LabelAnswer};
use tidemark_domain::history::History;
use tidemark_domain::model::ProfileInput;
use tidemark_domain::policy::{Compiled, Policy};
use tidemark_domain::refusal::RefusalCode;
use tidemark_domain::render::render_json;

use super::*;
use crate::simulate::{Expect, SimConfig, SimRecord, generate};

const NOW_MS: i64 = 1_760_000_000_000;

/// What the system made of a stream: the domain's fold with a map for a store.
#[derive(Default)]
struct System {
    states: HashMap<String, History>,
    profiles: HashMap<String, Profile>,
    outcomes: Vec<Vec<u8>>,
    fates: Vec<Fate>,
}

impl System {
    fn run(records: &[SimRecord], policy: &Policy) -> Self {
        let mut system = Self::default();
        for record in records {
            let fate = match contract::decode(&record.payload, record.sent_at_ms, &policy.bounds) {
                Ok(decoded) => system.apply(&decoded.event, policy),
                Err(refusal) => Fate::Refused(refusal.code),
            };
            system.fates.push(fate);
        }
        system
    }

    fn apply(&mut self, event: &Event, policy: &Policy) -> Fate {
        let card = event.card_id().as_str().to_owned();
        let known = self.profiles.get(&card);
        match event {
            Event::Profile(profile) if known.is_some_and(|known| known.version >= profile.version) => Fate::Duplicate,
            Event::Profile(profile) => {
                self.profiles.insert(card, profile.clone());
                Fate::Applied
            }
            Event::Label(label) => match fold::fold_label(self.states.entry(card).or_default(), label, policy) {
                LabelAnswer::Recorded(_) | LabelAnswer::Forgotten(_) => Fate::Applied,
                LabelAnswer::Already(_) => Fate::Duplicate,
                LabelAnswer::UnknownEvent => Fate::Refused(RefusalCode::LabelWithoutEvent),
                LabelAnswer::NeedsSegments(keys) => panic!("everything is at hand, but not {keys:?}"),
            },
            Event::Transaction(tx) => {
                let profile = known.map_or(ProfileInput::Absent, ProfileInput::Known);
                let state = self.states.entry(card).or_default();
                let applied = fold::fold_transaction(state, tx, profile, policy);
                let (entry, fate) = match applied {
                    FoldAnswer::Scored { entry } => (entry, Fate::Scored(tx.event_id.as_str().to_owned())),
                    FoldAnswer::Duplicate { entry } => (entry, Fate::Duplicate),
                    FoldAnswer::Refused(refusal) => return Fate::Refused(refusal.code),
                    FoldAnswer::NeedsSegments(keys) => panic!("everything is at hand, but not {keys:?}"),
                };
                self.outcomes.push(render_json(&tx.card_id, &tx.event_id, &entry));
                fate
            }
        }
    }

    fn check(&self, records: &[SimRecord], policy: &Policy) -> Report {
        let sent: Vec<Sent<'_>> = records
            .iter()
            .map(|record| Sent {
                arrival_ms: record.sent_at_ms,
                payload: &record.payload,
            })
            .collect();
        check(policy, &sent, self.outcomes.iter().map(Vec::as_slice), &|card| {
            self.states.get(card).cloned()
        })
    }
}

fn stream(seed: u64, events: u32) -> Vec<SimRecord> {
    generate(&SimConfig::new(
        seed,
        events,
        events / 30,
        NOW_MS,
        &Policy::default_policy(),
    ))
    .collect()
}

/// A policy with every feature, all of those that can be scored weighed, and features in outcomes.
fn everything() -> Policy {
    let text = r#"
        version = 9
        windows_minutes = [3, 60, 600, 1440, 43200]
        features = [
          "count_3m", "count_1h", "count_10h", "count_1d", "count_30d", "sum_1h", "sum_1d", "mean_30d", "deviation_30d",
          "deviation_1h", "min_1d", "max_1d", "share_declined_1h", "share_declined_30d", "distinct_merchants_1h",
          "distinct_countries_1d", "since_last", "amount_z", "amount_ratio", "profile_amount_z", "profile_count_ratio",
          "new_merchant", "new_country", "new_device", "speed", "foreign_to_profile",
        ]
        [weights]
        count_3m = 0.3
        count_10h = 0.2
        sum_1d = 0.7
        share_declined_1h = 1.0
        distinct_merchants_1h = 0.4
        distinct_countries_1d = 0.5
        since_last = 0.2
        amount_z = 1.0
        amount_ratio = 0.3
        profile_amount_z = 0.5
        profile_count_ratio = 0.3
        new_merchant = 0.3
        new_country = 1.0
        new_device = 0.5
        speed = 1.0
        foreign_to_profile = 0.5
        [thresholds]
        review = 500
        alert = 750
        [scoring]
        quiet_bits = 1.5
        reasons_min_score = 100
        [currency]
        base = "EUR"
        [currency.rates]
        GBP = 1.17
        JPY = 0.0062
        [outcome]
        features = true
    "#;
    match Policy::parse(text, "everything.toml") {
        Ok(policy) => policy,
        Err(problems) => panic!("{problems:?}"),
    }
}

#[test]
fn oracle_and_fold_agree_on_twenty_thousand_events() {
    for (seed, policy) in [(1, Policy::default_policy()), (2, everything())] {
        let records = stream(seed, 20_000);
        let system = System::run(&records, &policy);
        let report = system.check(&records, &policy);
        let words: Vec<String> = report.mismatches.iter().take(10).map(ToString::to_string).collect();
        assert_eq!(report.mismatch_count, 0, "{}", words.join("\n"));
        assert_eq!(report.expected.fates, system.fates);
        // The comparison must have had something to compare.
        assert!(
            report.outcomes_unique > 18_000 && report.outcomes_repeated > 200,
            "{}",
            report.outcomes_unique
        );
        // Busy cards too are scored on what they did, not on estimates of it.
        let of_busy = system.states.values().filter(|state| state.sealed_events() > 4_000);
        assert_eq!(of_busy.count(), 1);
        let marked = |bytes: &&Vec<u8>| String::from_utf8_lossy(bytes).contains("\"approximate\"");
        assert_eq!(system.outcomes.iter().filter(marked).count(), 0);
        let told = report
            .expected
            .outcomes
            .values()
            .filter(|outcome| outcome.said[0].raw_score > 500.0)
            .count();
        assert!(told > 50, "{told} high scores");
    }
}

/// Hours and categories of sealed events are not known one by one: a busy card says so, every other is scored on all of its own.
#[test]
fn oracle_and_fold_agree_on_hours_ages_and_categories() {
    let text = r#"
        version = 9
        windows_minutes = [60, 43200]
        features = ["card_age", "hour_of_day", "weekend", "new_merchant_category"]
        zone_offset_minutes = -570
        [weights]
        hour_of_day = 0.6
        new_merchant_category = 0.4
        [scoring]
        quiet_bits = 0
        reasons_min_score = 1
        [thresholds]
        review = 500
        alert = 700
        [outcome]
        features = true
    "#;
    let policy = Policy::parse(text, "later.toml").unwrap_or_else(|problems| panic!("{problems:?}"));
    let records = stream(4, 6_000);
    let system = System::run(&records, &policy);
    let report = system.check(&records, &policy);
    let words: Vec<String> = report.mismatches.iter().take(10).map(ToString::to_string).collect();
    assert_eq!(report.mismatch_count, 0, "{}", words.join("\n"));
    let says = |word: &str| {
        let outcomes = system.outcomes.iter();
        outcomes
            .filter(|bytes| String::from_utf8_lossy(bytes).contains(word))
            .count()
    };
    let (all, marked) = (system.outcomes.len(), says("\"approximate\""));
    assert!(marked < all / 2, "{marked} of {all} outcomes are made of estimates");
    assert!(says("\"code\":\"hour_rare\"") > 500 && says("\"code\":\"category_new\"") > 100);
    let ageless = says("\"card_age\":null");
    assert!(ageless > 100 && ageless < all, "{ageless} of {all}");
}

/// As `demo --events 60000 --cards 120` has them, which once ended with 288 scores that the oracle did not have: windows of
/// hundreds of events, on cards that seal.
#[test]
fn cards_of_hundreds_of_events_a_day_are_scored_exactly() {
    let policy = Policy::default_policy();
    let records: Vec<SimRecord> = generate(&SimConfig::new(1, 12_000, 24, NOW_MS, &policy)).collect();
    let system = System::run(&records, &policy);
    let sealed = system.states.values().filter(|state| state.sealed_events() > 0);
    assert!(sealed.count() > 5);
    let report = system.check(&records, &policy);
    let words: Vec<String> = report.mismatches.iter().take(10).map(ToString::to_string).collect();
    assert_eq!(report.mismatch_count, 0, "{}", words.join("\n"));
    let marked = |bytes: &&Vec<u8>| String::from_utf8_lossy(bytes).contains("\"approximate\"");
    assert_eq!(system.outcomes.iter().filter(marked).count(), 0);
}

#[test]
fn what_the_simulation_expects_is_what_becomes_of_it() {
    let (records, policy) = (stream(4, 20_000), Policy::default_policy());
    let system = System::run(&records, &policy);
    for (record, fate) in records.iter().zip(&system.fates) {
        let expected = match &record.expect {
            Expect::Transaction { event_id } => Fate::Scored(event_id.clone()),
            Expect::Duplicate { .. } => Fate::Duplicate,
            Expect::Profile | Expect::Label => Fate::Applied,
            Expect::Refused(code) => Fate::Refused(*code),
        };
        assert_eq!(*fate, expected, "{}", String::from_utf8_lossy(&record.payload));
    }
}

#[test]
fn a_wrong_score_a_lost_event_and_changed_bytes_are_noticed() {
    let (records, policy) = (stream(3, 3_000), Policy::default_policy());
    let system = System::run(&records, &policy);
    assert_eq!(system.check(&records, &policy).mismatch_count, 0);
    let fields = |outcomes: Vec<Vec<u8>>, policy: &Policy| {
        let states = system.states.clone();
        let changed = System {
            states,
            outcomes,
            ..System::default()
        };
        let report = changed.check(&records, policy);
        let fields: Vec<String> = report
            .mismatches
            .iter()
            .map(|mismatch| mismatch.field.clone())
            .collect();
        fields
    };
    let edit = |at: usize, from: &str, to: &str| {
        let mut outcomes = system.outcomes.clone();
        let text = String::from_utf8(outcomes[at].clone()).unwrap();
        assert!(text.contains(from), "{text}");
        outcomes[at] = text.replacen(from, to, 1).into_bytes();
        outcomes
    };
    // The first event of a card: nothing is known of it, so its score is low.
    assert!(fields(edit(0, "\"score\":", "\"score\":9"), &policy).contains(&"score".to_owned()));
    assert!(fields(edit(5, "\"tier\":\"full\"", "\"tier\":\"neutral\""), &policy).contains(&"tier".to_owned()));
    assert!(
        fields(edit(5, "\"decision\":\"pass\"", "\"decision\":\"alert\""), &policy).contains(&"decision".to_owned())
    );
    // One outcome missing, one from nowhere, one in two versions.
    assert_eq!(fields(system.outcomes[1..].to_vec(), &policy), ["outcome"]);
    assert_eq!(
        fields(edit(0, "\"event_id\":\"", "\"event_id\":\"x"), &policy),
        ["outcome", "outcome"]
    );
    let mut twice = edit(0, "\"policy_version\":1", "\"policy_version\":2");
    twice.push(system.outcomes[0].clone());
    assert!(fields(twice, &policy).contains(&"bytes".to_owned()));
}

/// The built-in policy with a part for low risk, and with an age for profiles that none of the simulated ones has.
fn policy_with_low_risk() -> Policy {
    let text = Policy::default_text().replace("version = 1\n", "version = 1\nprofile_max_age_days = 1\n");
    let section = "\n[low_risk]\namount_max_minor = 4_000\nfeatures = [\"count_5m\", \"sum_7d\", \"amount_z\", \"new_country\"]\n";
    Policy::parse(&format!("{text}{section}"), "low.toml").unwrap()
}

#[test]
fn events_of_low_risk_are_recomputed_too() {
    let (records, policy) = (stream(5, 3_000), policy_with_low_risk());
    let system = System::run(&records, &policy);
    let report = system.check(&records, &policy);
    assert_eq!((report.mismatch_count, report.mismatches), (0, Vec::new()));
    let of_low_risk = system
        .outcomes
        .iter()
        .filter(|outcome| String::from_utf8_lossy(outcome).contains("\"low_risk\""));
    let share = of_low_risk.count() * 100 / system.outcomes.len();
    assert!((5..95).contains(&share), "{share} % are of low risk");
    // Held against the policy without that part, they are noticed.
    let fields = system.check(&records, &Policy::default_policy()).mismatches;
    assert!(fields.iter().any(|mismatch| mismatch.field == "tier"), "{fields:?}");
}

#[test]
fn a_state_that_lost_or_gained_an_event_is_noticed() {
    let (records, policy) = (stream(3, 2_000), Policy::default_policy());
    let mut system = System::run(&records, &policy);
    let (card, state) = system
        .states
        .iter()
        .find(|(_, state)| state.entries().len() > 3)
        .unwrap();
    let (card, other) = (card.clone(), state.clone());
    // One more transaction on the card, whose outcome never went out.
    let extra = records
        .iter()
        .find(|record| record.partition_key != card && matches!(record.expect, Expect::Transaction { .. }));
    let decoded = contract::decode(&extra.unwrap().payload, NOW_MS, &policy.bounds).unwrap();
    let Event::Transaction(tx) = decoded.event else {
        panic!("a transaction")
    };
    let mut more = other;
    fold::fold_transaction(&mut more, &tx, ProfileInput::Absent, &policy);
    system.states.insert(card.clone(), more);
    let report = system.check(&records, &policy);
    assert_eq!(report.mismatch_count, 1);
    assert_eq!(
        (report.mismatches[0].field.as_str(), &report.mismatches[0].card_id),
        ("state", &card)
    );
    system.states.remove(&card);
    assert_eq!(system.check(&records, &policy).mismatch_count, 1);
}

#[test]
fn another_policy_than_the_one_that_scored_is_noticed() {
    let (records, policy) = (stream(6, 3_000), Policy::default_policy());
    let system = System::run(&records, &policy);
    let features: Vec<_> = policy.features().collect();
    let weights: Vec<_> = policy.weights().map(|(key, weight)| (key, weight * 1.3)).collect();
    let other = Policy {
        compiled: Compiled::new(policy.windows().to_vec(), &features, &weights),
        ..policy.clone()
    };
    assert!(system.check(&records, &other).mismatch_count > 20);
}
