#![allow(clippy::unwrap_used)]

use super::super::results::Machine;
use super::*;

fn results() -> Results {
    let spread = |median| Spread {
        median,
        least: 1.0,
        greatest: 9_999.5,
    };
    let one = Measurement {
        before: vec!["make it".to_owned()],
        command: "target/release/bench handler".to_owned(),
        profile: "release".to_owned(),
        date: "2026-12-01".to_owned(),
        rustc: "1.95.0".to_owned(),
        machine: Machine {
            cpu: "a processor".to_owned(),
            cores: 2,
            load: 0.42,
        },
        runs: 3,
        figures: [
            ("warm".to_owned(), spread(46_849.5)),
            ("share".to_owned(), spread(0.125)),
        ]
        .into(),
    };
    let other = Measurement {
        runs: 1,
        machine: Machine {
            load: 7.0,
            ..one.machine.clone()
        },
        ..one.clone()
    };
    Results {
        measurements: [("handler_50".to_owned(), one), ("handler_500".to_owned(), other)].into(),
    }
}

#[test]
fn placeholders_become_figures_of_the_results() {
    let rendered = |template: &str| render(template, &results(), &[]).unwrap();
    assert_eq!(
        rendered("{{handler_50.warm}} of {{handler_50.warm:-2}}"),
        "46,850 of 46,800"
    );
    assert_eq!(
        rendered("{{handler_50.share:2}}, {{handler_50.warm:1}}"),
        "0.13, 46,849.5"
    );
    assert_eq!(
        rendered("{{holds handler_50.warm 46850}}, {{holds handler_50.warm 45000}}"),
        "yes, **no**"
    );
    assert_eq!(
        rendered("({{when handler_50}})"),
        "(release profile, 1 December 2026, median of 3 runs each, load 0.4 before)"
    );
    assert_eq!(
        rendered("{{when handler*}}"),
        "release profile, 1 December 2026, median of 3 runs or one run each, load 0.4 to 7.0 before"
    );
    assert_eq!(rendered("{{command handler_50}}"), "target/release/bench handler");
    let table = rendered("{{measurements}}");
    assert!(
        table.contains(
            "| handler_500 | `make it`, then `target/release/bench handler` | release | 2026-12-01 | 1 | 7.0 |"
        )
    );
}

#[test]
fn what_the_results_do_not_have_is_told_all_together() {
    let problems = render(
        "{{handler_50.cold}} {{handler_9.warm}} {{x}} {{handler_50.warm:a}} {{open",
        &results(),
        &[],
    )
    .unwrap_err();
    assert_eq!(problems.lines().count(), 5, "{problems}");
}

#[test]
fn what_could_be_measured_and_is_not_yet_is_told_so() {
    let known = ["build".to_owned()];
    let page = render("{{build.wall_s}} ({{when build}})", &results(), &known).unwrap();
    assert_eq!(page, "not measured yet (not measured yet)");
    assert!(render("{{built.wall_s}}", &results(), &known).is_err());
}

#[test]
fn a_figure_by_hand_is_refused_in_tables_and_in_prose() {
    for template in [
        "| a | b |\n|---|---|\n| 50, 20 | 46,800 |\n",
        "| a | b |\n|---|---|\n| 50 | {{handler_50.warm}} of 7 |\n",
        "It takes 13.3 s.",
        "It takes 1,069 ms",
        "1.9 % of it",
        "and 1,060 to 1,670 events a second.",
    ] {
        assert!(render(template, &results(), &[]).is_err(), "{template}");
    }
    for template in [
        "| in 20 s | b |\n|---|---|\n| 50, 20 | {{handler_50.warm}} |\n",
        "A batch of 500 records, `--since 10 s`, section 5.",
        "```\n20 s\n```\n",
        "version 1.2s",
    ] {
        assert!(render(template, &results(), &[]).is_ok(), "{template}");
    }
}
