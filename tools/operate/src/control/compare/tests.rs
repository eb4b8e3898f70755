//! The comparison on figures that a person can check.

use tidemark_domain::control::trial::{Arm, Trial};
use tidemark_domain::event::Currency;
use tidemark_domain::event::Verdict;
use tidemark_domain::outcome::{Decision, Tier};

use super::measure::{LabelledTrial, Limits, RecordedBatch, Samples, compare};
use super::{html, text};

fn arm(score: u16) -> Arm {
    let decision = match score {
        800.. => Decision::Alert,
        600.. => Decision::Review,
        _ => Decision::Pass,
    };
    Arm {
        score,
        decision,
        tier: Tier::Full,
    }
}

fn sample(event: &str, card: &str, active: u16, candidate: u16, label: Option<Verdict>) -> LabelledTrial {
    LabelledTrial {
        trial: Trial {
            event_id: event.to_owned(),
            card_id: card.to_owned(),
            occurred_at_ms: 0,
            active: arm(active),
            candidate: arm(candidate),
            active_rules: 0,
            candidate_rules: 0,
        },
        label,
        amount_minor: 1_000,
        rules: [Vec::new(), Vec::new()],
    }
}

fn samples(events: Vec<LabelledTrial>) -> Samples {
    Samples {
        candidate: 2,
        active_limits: Some(Limits {
            review: 600,
            alert: 800,
        }),
        candidate_limits: Some(Limits {
            review: 610,
            alert: 800,
        }),
        batches: vec![RecordedBatch {
            active: 1,
            at_ms: 1_790_000_000_000,
            events: events.len(),
            timed: events.len() as u64,
            active_ns: 4_000 * i64::try_from(events.len()).unwrap(),
            candidate_ns: 3_000 * i64::try_from(events.len()).unwrap(),
            write_units: 1,
        }],
        events,
        ..Samples::default()
    }
}

fn example() -> Samples {
    samples(vec![
        sample("e1", "a", 100, 100, None),
        sample("e2", "a", 100, 650, Some(Verdict::Cleared)),
        sample("e3", "b", 900, 500, Some(Verdict::Fraud)),
        sample("e4", "b", 820, 990, Some(Verdict::Fraud)),
        sample("e5", "<img src=x onerror=alert(1)>", 850, 300, Some(Verdict::Cleared)),
    ])
}

#[test]
fn agreement_and_flips_are_counted_in_both_directions() {
    let c = compare(&example(), 0);
    assert_eq!(c.matrix, [[1, 1, 0], [0, 0, 0], [2, 0, 1]]);
    assert!((c.agreement_pct - 40.0).abs() < 1e-9);
    assert_eq!((c.flips_stricter, c.flips_lenient), (1, 2));
    let first: Vec<&str> = c.examples.iter().map(|flip| flip.event_id.as_str()).collect();
    assert_eq!(first, ["e2", "e5", "e3"], "differences of 550, 550 and 400; ties by id");
    assert_eq!((c.events, c.cards, c.active.as_slice()), (5, 3, [1].as_slice()));
}

#[test]
fn precision_counts_only_what_is_labelled() {
    let c = compare(&example(), 0);
    let (active, candidate) = (c.active_precision, c.candidate_precision);
    assert_eq!((active.alerts, active.alerts_labelled, active.alerts_fraud), (3, 3, 2));
    assert!((active.alert_precision_pct.unwrap() - 200.0 / 3.0).abs() < 1e-9);
    assert_eq!(
        (candidate.flagged, candidate.flagged_labelled, candidate.flagged_fraud),
        (2, 2, 1)
    );
    let unlabelled = compare(&samples(vec![sample("e", "c", 900, 900, None)]), 0);
    assert_eq!(
        unlabelled.active_precision.alert_precision_pct, None,
        "no labels is not 0 %"
    );
}

#[test]
fn recall_and_money_are_of_the_frauds_that_labels_know_and_one_of_one_is_not_sure() {
    let mut samples = example();
    samples.events.push(sample("e6", "c", 100, 900, Some(Verdict::Fraud)));
    samples.currency = Currency::new("EUR");
    let c = compare(&samples, 0);
    let (active, candidate) = (&c.active_found, &c.candidate_found);
    assert_eq!(
        (active.alerts.found, active.alerts.frauds, active.alerts.labelled),
        (2, 3, 3)
    );
    assert_eq!((candidate.alerts.found, candidate.flagged.labelled), (2, 3));
    assert_eq!(
        (
            active.alerts.found_minor,
            active.alerts.frauds_minor,
            active.alerts.false_minor
        ),
        (2_000, 3_000, 1_000)
    );
    assert!((active.alerts.recall_pct.unwrap() - 200.0 / 3.0).abs() < 1e-9);
    let [low, high] = candidate.alerts.precision_interval_pct.unwrap();
    assert_eq!(candidate.alerts.precision_pct, Some(100.0));
    assert!(low < 40.0 && high == 100.0, "2 of 2 is not sure: {low} to {high}");
    let text = text::render(&c);
    assert!(
        text.contains("alerts 2 of 3, 66.7 % (") && text.contains("20.00 EUR of 30.00 EUR"),
        "{text}"
    );
    let page = html::render(&c, &samples);
    assert!(
        page.contains("66.7 % (2 of 3) (") && page.contains("(20.00 EUR)"),
        "{page}"
    );
    let unlabelled = compare(&self::samples(vec![sample("e", "c", 900, 900, None)]), 0);
    assert_eq!(unlabelled.active_found.alerts.recall_pct, None, "no labels is not 0 %");
}

#[test]
fn a_rule_is_worth_what_labels_say_of_the_events_for_which_it_held() {
    let mut samples = example();
    samples.currency = Currency::new("EUR");
    samples.rules = [["dear", "never"], ["dear", "new"]].map(|names| names.map(str::to_owned).into());
    for (at, active, candidate) in [(1, "dear", "new"), (2, "dear", "new"), (3, "dear", "dear")] {
        samples.events[at].rules = [vec![active.to_owned()], vec![candidate.to_owned()]];
    }
    let c = compare(&samples, 0);
    let worth = |rules: &[learn::metrics::RuleWorth]| -> Vec<(String, u64, u64, u64, u64)> {
        let worth = rules.iter();
        worth
            .map(|one| (one.rule.clone(), one.hits, one.found, one.found_minor, one.false_minor))
            .collect()
    };
    assert_eq!(
        worth(&c.active_rules),
        [
            ("dear".to_owned(), 3, 2, 2_000, 1_000),
            ("never".to_owned(), 0, 0, 0, 0)
        ]
    );
    assert_eq!(
        worth(&c.candidate_rules),
        [
            ("dear".to_owned(), 1, 1, 1_000, 0),
            ("new".to_owned(), 2, 1, 1_000, 1_000)
        ]
    );
    let text = text::render(&c);
    assert!(
        text.contains(
            "rule dear: held for 3 events; 2 of 3 labelled are fraud, 66.7 %; 20.00 EUR of fraud, 10.00 EUR cleared"
        ),
        "{text}"
    );
    assert!(text.contains("rule never: held for 0 events; no labels yet"), "{text}");
    let page = html::render(&c, &samples);
    assert!(page.contains("<h2>Rules</h2>") && page.contains(">never<"), "{page}");
    assert!(!html::render(&compare(&example(), 0), &example()).contains("<h2>Rules</h2>"));
}

#[test]
fn equal_policies_have_no_drift_and_disjoint_ones_all_of_it() {
    let same = compare(
        &samples(
            (0..100)
                .map(|n| sample(&format!("e{n}"), "c", n * 10, n * 10, None))
                .collect(),
        ),
        0,
    );
    let d = same.drift;
    assert!(d.ks == 0.0 && d.psi.abs() < 1e-12 && d.mean_difference == 0.0, "{d:?}");
    let apart = compare(
        &samples(
            (0..100)
                .map(|n| sample(&format!("e{n}"), "c", n, 900 + n, None))
                .collect(),
        ),
        0,
    );
    let d = apart.drift;
    assert!(
        (d.ks - 1.0).abs() < 1e-12 && d.ks_score == 99 && d.psi > 0.25 && (d.mean_difference - 900.0).abs() < 1e-9,
        "{d:?}"
    );
}

#[test]
fn percentiles_time_and_cost_are_by_the_event() {
    let c = compare(
        &samples(
            (0..100)
                .map(|n| sample(&format!("e{n}"), "c", n * 10, 0, None))
                .collect(),
        ),
        0,
    );
    let s = &c.active_scores;
    assert_eq!((s.p50, s.p95, s.p99), (490, 940, 980));
    assert_eq!(s.histogram.iter().sum::<u64>(), 100);
    assert!((c.cost.active_us_per_event - 4.0).abs() < 1e-9 && (c.cost.candidate_us_per_event - 3.0).abs() < 1e-9);
    assert!((c.cost.trial_write_units_per_event - 0.01).abs() < 1e-9);
}

#[test]
fn a_batch_in_which_the_machine_did_something_else_does_not_carry_the_time_away() {
    let mut samples = samples(vec![sample("e", "c", 1, 1, None)]);
    let usual = samples.batches[0];
    let interrupted = RecordedBatch {
        candidate_ns: 10_000_000,
        ..usual
    };
    let untimed = RecordedBatch {
        timed: 0,
        ..interrupted
    };
    samples.batches = vec![interrupted, usual, usual, untimed];
    let cost = compare(&samples, 0).cost;
    assert!((cost.candidate_us_per_event - 3.0).abs() < 1e-9, "{cost:?}");
    assert_eq!(cost.timed_events, 3);
}

#[test]
fn the_page_is_whole_fetches_nothing_and_takes_no_markup_from_a_card() {
    let samples = example();
    let page = html::render(&compare(&samples, 0), &samples);
    assert!(
        !page.contains("<img") && page.contains("&lt;img src=x onerror=alert(1)&gt;"),
        "markup of a card id"
    );
    for outside in ["http://", "https://", "<script", "src=\"", "@import", "url("] {
        let inside = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!inside.contains(outside), "{outside}");
    }
    assert_eq!(page.matches("<svg").count(), 3);
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    assert!(!page.contains("NaN") && !page.contains("inf"));
}

#[test]
fn the_text_has_each_part() {
    let text = text::render(&compare(&example(), 0));
    for part in [
        "candidate 2 beside version 1",
        "agreement 40.00 %",
        "66.7 % (2 of 3 labelled",
        "PSI",
        "write units",
        "e2",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn one_event_makes_no_figure_that_is_none() {
    let samples = samples(vec![sample("e", "c", 0, 1000, None)]);
    let page = html::render(&compare(&samples, 0), &samples);
    assert!(!page.contains("NaN"), "{page}");
}

#[test]
fn what_was_not_looked_at_is_said_beside_the_text_and_on_the_page() {
    let whole = compare(&example(), 0);
    assert_eq!(whole.not_looked_at(), Vec::<String>::new());
    let mut samples = example();
    (samples.unreadable, samples.cards_without_label_read) = (3, 70_000);
    let compared = compare(&samples, 0);
    let said = compared.not_looked_at();
    assert_eq!(said.len(), 2);
    assert!(said[0].contains("3 recorded batches") && said[1].contains("70000 cards") && said[1].contains("too high"));
    for (text, place) in [
        (text::render(&compared), "text"),
        (html::render(&compared, &samples), "page"),
    ] {
        assert!(said.iter().all(|what| text.contains(what)), "{place}: {text}");
    }
}
