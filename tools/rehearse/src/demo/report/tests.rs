//! The report fits a screen, and says what does not hold.

use super::*;

fn whole() -> DemoReport {
    DemoReport {
        seed: 1,
        cards: 2,
        sent: 10,
        account: Account {
            accepted: 10,
            scored: 8,
            duplicate: 2,
            ..Account::default()
        },
        outcomes_unique: 8,
        outcomes_total: 10,
        outcomes_conflicting: 0,
        oracle_mismatches: 0,
        oracle_examples: Vec::new(),
        decisions: Decisions::default(),
        write_units: 8.0,
        read_units: 1.0,
        write_units_per_scored: 1.0,
        read_units_per_scored: 0.125,
        arrival_to_outcome_ms: Percentiles::default(),
        events_per_second: 1.0,
        elapsed_ms: 1,
        top: Vec::new(),
        signals: Signals::default(),
        fraud: None,
        learning: None,
        nothing_learned: None,
    }
}

#[test]
fn percentiles_by_nearest_rank() {
    let percentiles = Percentiles::of((1..=100).rev().collect());
    assert_eq!(
        percentiles,
        Percentiles {
            p50: 50,
            p95: 95,
            p99: 99
        }
    );
    assert_eq!(Percentiles::of(vec![7]), Percentiles { p50: 7, p95: 7, p99: 7 });
    assert_eq!(Percentiles::of(vec![]), Percentiles::default());
}

/// The report of a large run with much of everything.
fn large() -> DemoReport {
    let words = "amount far above this card's own history 62 %".to_owned();
    let top = |number: u64| TopScore {
        card_id: format!("card-{number:06}"),
        event_id: "0192f0c1-7e5a-7c3e-9a41".to_owned(),
        score: 1_000 - number,
        decision: "alert".to_owned(),
        amount: "2,477.98 THB".to_owned(),
        reasons: vec![words.clone(); 4],
    };
    let pattern = |name| crate::demo::fraud::Pattern {
        name,
        events: 1_200,
        caught: 1_000,
        caught_minor: 123_456_789,
        missed_minor: 12_345_678,
        missed_because: [
            ("first of its kind", 100),
            ("no device or place", 90),
            ("few events yet", 10),
        ]
        .into(),
    };
    let compared = |name| crate::demo::learning::Compared {
        name,
        events: 12_000,
        minor: 123_456_700,
        before: 1_000,
        before_minor: 12_345_600,
        after: 10_000,
        after_minor: 102_345_600,
    };
    let mut report = DemoReport {
        top: (0..10).map(top).collect(),
        fraud: Some(Fraud {
            patterns: [
                "card testing",
                "account takeover",
                "impossible travel",
                "one big ticket",
                "compromised terminal",
                "device ring",
            ]
            .map(pattern)
            .into(),
            ordinary: 4_000_000,
            false_alarms: 100_000,
            currency: "EUR".to_owned(),
            minor_digits: 2,
        }),
        learning: Some(Learning {
            events: 3_000_000,
            frauds: 100_000,
            days: 12,
            patterns: [
                "account takeover",
                "card testing",
                "compromised terminal",
                "device ring",
                "impossible travel",
                "one big ticket",
            ]
            .map(compared)
            .into(),
            all: compared("all fraud"),
            ordinary: compared("false alarms"),
            currency: "EUR".to_owned(),
            minor_digits: 2,
            ..Learning::default()
        }),
        ..whole()
    };
    let mut log = tidemark_telemetry::EmfLine::new(1, "tidemark-score");
    log = log.metric(tidemark_telemetry::Metric::Scored, 8.0);
    report.signals = Signals::read(&log.to_json());
    for code in ["not_json", "too_late", "card_number", "time_unit", "empty_id"] {
        report.account.quarantined.insert(code.to_owned(), 7);
    }
    report
}

#[test]
fn the_report_fits_a_screen_and_a_flag_shows_the_rest() {
    let plain = |text: &str| anstream::adapter::strip_str(text).to_string();
    let short = plain(&large().render(false));
    assert!(short.lines().count() <= 40, "{} lines:\n{short}", short.lines().count());
    let longest = short.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(longest <= 80, "{longest} columns:\n{short}");
    assert!(short.contains("before → after learning"), "{short}");
    let unlearned = DemoReport {
        learning: None,
        nothing_learned: Some(
            "7 events labelled as fraud are too few to learn from: at least 50 are needed".to_owned(),
        ),
        ..large()
    };
    let unlearned = plain(&unlearned.render(false));
    assert!(
        unlearned.lines().count() <= 40 && unlearned.contains("nothing was learned: 7"),
        "{unlearned}"
    );
    let full = plain(&large().render(true));
    for part in [
        "Signals, from",
        "card_number",
        "card-000009",
        "62 %; amount",
        "missed: ",
    ] {
        assert!(full.contains(part) && !short.contains(part), "{part}");
    }
}

#[test]
fn a_whole_account_holds() {
    assert!(whole().holds(), "{:?}", whole().problems());
}

#[test]
fn each_thing_that_breaks_is_a_problem() {
    let breaks: [fn(&mut DemoReport); 6] = [
        |r| r.sent = 11,
        |r| r.account.unaccounted = 1,
        |r| r.account.dead_lettered = 1,
        |r| r.outcomes_unique = 7,
        |r| r.outcomes_conflicting = 1,
        |r| r.oracle_mismatches = 1,
    ];
    for (index, break_it) in breaks.iter().enumerate() {
        let mut report = whole();
        break_it(&mut report);
        assert_eq!(report.problems().len(), 1, "break {index}");
    }
}

#[test]
fn scripts_find_the_promised_fields() {
    let json = serde_json::to_value(whole()).unwrap();
    for field in [
        "sent",
        "accepted",
        "scored",
        "duplicate",
        "quarantined",
        "dead_lettered",
        "unaccounted",
        "outcomes_unique",
        "oracle_mismatches",
        "write_units",
        "read_units",
        "arrival_to_outcome_ms",
        "events_per_second",
    ] {
        assert!(json.get(field).is_some(), "{field}");
    }
}
