//! Rules: the domain's reading and the oracle's agree over streams, and the oracle notices when they do not.

use super::*;

const RULES: &str = r#"
[[rules]]
name = "usual"
when = "has(profile.usual_country) && event.country == profile.usual_country && score < 40"
then = "pass"
reason = "At home, and nothing unusual"
[[rules]]
name = "young"
when = "features.card_age < 400 && event.amount_base_minor >= 2000 && event.mcc in [5411, 5812, 5999, 5732]"
then = "review"
reason = "A young card"
[[rules]]
name = "many"
when = 'features.count_1h >= 3 || event.merchant_id.endsWith("7") && !event.approved'
then = "alert"
reason = "Several within an hour"
[[rules]]
name = "no_result"
when = "event.amount_minor / (event.amount_minor % 7) > 10 && double(score) / 2.0 < 300.0"
then = "review"
reason = "No result for every seventh amount"
[[rules]]
name = "dear"
when = "!has(features.amount_ratio) ? event.amount_minor > 20000 : features.amount_ratio * 2.0 - 1.03 > 3.0"
then = "alert"
reason = "Many times the usual amount"
mode = "observe"
[[rules]]
name = "device"
when = "event.device_id != '' && size(event.device_id) % 2 == 0 == (event.channel == 'ecommerce')"
then = "pass"
reason = "A device of even length"
mode = "observe"
[[rules]]
name = "fast"
when = "features.speed > 313.37 || -score > -3 && (event.currency == 'EUR' ? 1 : 2) != 1"
then = "review"
reason = "Too far away, or in other money"
"#;

fn policy(rules: &str) -> Policy {
    let text = Policy::default_text().replacen("features = [", "features = [\"card_age\", ", 1);
    Policy::parse(&format!("{text}{rules}"), "ruled.toml").unwrap_or_else(|problems| panic!("{problems:#?}"))
}

#[test]
fn the_oracle_and_the_domain_read_rules_alike() {
    let policy = policy(RULES);
    let mut named: HashMap<String, u64> = HashMap::new();
    for seed in 1..=3 {
        let records = stream(seed, 4_000);
        let system = System::run(&records, &policy);
        let report = system.check(&records, &policy);
        assert_eq!(report.mismatch_count, 0, "{:#?}", report.mismatches);
        assert!(report.outcomes_unique > 2_000);
        for outcome in &system.outcomes {
            let outcome: serde_json::Value = serde_json::from_slice(outcome).unwrap();
            for (list, names) in outcome["rules"].as_object().into_iter().flatten() {
                for name in names.as_array().unwrap() {
                    *named.entry(format!("{list} {}", name.as_str().unwrap())).or_default() += 1;
                }
            }
        }
    }
    for what in [
        "held usual",
        "held young",
        "held many",
        "held no_result",
        "held fast",
        "observed dear",
        "observed device",
        "undefined no_result",
    ] {
        assert!(named.get(what).is_some_and(|count| *count > 20), "{what}: {named:?}");
    }
}

/// The oracle reads other rules than those that scored: each difference is noticed.
#[test]
fn a_rule_that_is_read_otherwise_is_noticed() {
    let records = stream(4, 3_000);
    let system = System::run(&records, &policy(RULES));
    for (from, to, field) in [
        ("features.count_1h >= 3", "features.count_1h >= 2", "rule many"),
        ("% 7) > 10", "% 7) > 1000", "rule no_result"),
        ("mode = \"observe\"", "mode = \"enforce\"", "rule dear"),
        ("Several within an hour", "Some within an hour", "reasons of rules"),
        (
            "then = \"alert\"\nreason = \"Several",
            "then = \"pass\"\nreason = \"Several",
            "decision",
        ),
        ("event.mcc in [5411, ", "event.mcc in [", "rule young"),
    ] {
        assert!(RULES.contains(from), "{from}");
        let report = system.check(&records, &policy(&RULES.replacen(from, to, 1)));
        let fields: HashSet<&str> = report
            .mismatches
            .iter()
            .map(|mismatch| mismatch.field.as_str())
            .collect();
        assert!(fields.contains(field), "{to}: {fields:?}");
    }
}
