//! Settings: the score function's and its own, every problem in one list, and a reference that says what the code does.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::io;

use redrive_function::Settings;
use tidemark_redrive::RedriveConfig;
use tidemark_settings::SettingProblem;

const GOOD: &[(&str, &str)] = &[
    ("TIDEMARK_TABLE", "tidemark-cards"),
    ("TIDEMARK_SCORES_STREAM", "tidemark-scores"),
    (
        "TIDEMARK_QUARANTINE_QUEUE_URL",
        "http://127.0.0.1:1/0/tidemark-quarantine",
    ),
    ("TIDEMARK_TRANSACTIONS_STREAM", "tidemark-transactions"),
    (
        "TIDEMARK_DEAD_LETTER_QUEUE_URL",
        "http://127.0.0.1:1/0/tidemark-dead-letter",
    ),
    (
        "TIDEMARK_UNRECOVERABLE_QUEUE_URL",
        "http://127.0.0.1:1/0/tidemark-unrecoverable",
    ),
    ("AWS_REGION", "eu-west-1"),
];

fn read(variables: &[(&str, &str)]) -> Result<Settings, Vec<SettingProblem>> {
    let variables: BTreeMap<String, String> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Settings::read(&variables, |_| Err(io::Error::from(io::ErrorKind::NotFound)))
}

#[test]
fn the_least_that_is_needed_gives_the_defaults() {
    let settings = read(GOOD).unwrap();
    assert_eq!(settings.redrive, RedriveConfig::default());
    assert_eq!(settings.pipeline.function_name, "redrive");
    assert_eq!(settings.transactions_stream, "tidemark-transactions");
    assert!(settings.pipeline.unknown.is_empty(), "{:?}", settings.pipeline.unknown);
}

#[test]
fn every_problem_is_reported_together_the_pipelines_and_its_own() {
    let problems = read(&[
        ("TIDEMARK_TABLE", "a table"),
        ("TIDEMARK_DEAD_LETTER_QUEUE_URL", "tidemark-dead-letter"),
        ("TIDEMARK_READS_PER_SECOND_MAX", "6"),
        ("TIDEMARK_RATE_PER_SECOND_MAX", "fast"),
    ])
    .unwrap_err();
    let named: Vec<&str> = problems.iter().map(|problem| problem.variable.as_str()).collect();
    for variable in GOOD.iter().map(|(name, _)| *name) {
        assert!(named.contains(&variable), "{variable}: {named:?}");
    }
    for variable in ["TIDEMARK_READS_PER_SECOND_MAX", "TIDEMARK_RATE_PER_SECOND_MAX"] {
        assert!(named.contains(&variable), "{variable}: {named:?}");
    }
}

#[test]
fn a_misspelt_variable_is_told() {
    let settings = read(&[GOOD, &[("TIDEMARK_RATE_MAX", "7")]].concat()).unwrap();
    assert_eq!(settings.pipeline.unknown, ["TIDEMARK_RATE_MAX"]);
}

/// docs/reference/configuration.md has a row for every setting, with its range and default.
#[test]
fn the_reference_lists_every_setting_as_it_is() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/configuration.md");
    let page = std::fs::read_to_string(path).unwrap();
    assert_eq!(Settings::knobs().len(), 5);
    for knob in Settings::knobs() {
        let row = format!(
            "| `{}` | {} to {} | {} |",
            knob.variable, knob.least, knob.most, knob.default
        );
        assert!(page.contains(&row), "docs/reference/configuration.md should say: {row}");
    }
    for (variable, _) in GOOD {
        assert!(page.contains(&format!("`{variable}`")), "{variable}");
    }
}
