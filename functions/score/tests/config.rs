//! Settings: every problem in one list, and a reference that says what the code does.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::io;

use score_function::Config;
use score_function::config::SettingProblem;
use tidemark_domain::policy::Policy;
use tidemark_engine::EngineConfig;

fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

const GOOD: &[(&str, &str)] = &[
    ("TIDEMARK_TABLE", "tidemark-cards"),
    ("TIDEMARK_SCORES_STREAM", "tidemark-scores"),
    (
        "TIDEMARK_QUARANTINE_QUEUE_URL",
        "http://127.0.0.1:4566/000000000000/tidemark-quarantine",
    ),
    ("AWS_REGION", "eu-west-1"),
];

fn no_file(_: &str) -> io::Result<String> {
    Err(io::Error::from(io::ErrorKind::NotFound))
}

fn read(extra: &[(&str, &str)]) -> Result<Config, Vec<SettingProblem>> {
    let mut all = variables(GOOD);
    all.extend(variables(extra));
    Config::read(&all, no_file)
}

fn named(problems: &[SettingProblem]) -> Vec<&str> {
    problems.iter().map(|problem| problem.variable.as_str()).collect()
}

#[test]
fn the_least_that_is_needed_gives_the_defaults() {
    let config = read(&[]).unwrap();
    assert_eq!(config.engine, EngineConfig::default());
    assert_eq!(config.policy.version, Policy::default_policy().version);
    assert_eq!(config.log_level, tracing::Level::INFO);
    assert!(config.unknown.is_empty());
}

#[test]
fn every_problem_is_reported_together() {
    let mut all = variables(&[
        ("TIDEMARK_TABLE", "a table"),
        ("TIDEMARK_QUARANTINE_QUEUE_URL", "tidemark-quarantine"),
        ("TIDEMARK_ATTEMPTS_MAX", "0"),
        ("TIDEMARK_CACHE_CARDS_MAX", "many"),
        ("TIDEMARK_LOG_LEVEL", "loud"),
        ("TIDEMARK_POLICY_FILE", "policy.toml"),
        ("AWS_ENDPOINT_URL", "localhost:4566"),
    ]);
    let problems = Config::read(&all, no_file).unwrap_err();
    let mut found = named(&problems);
    found.sort_unstable();
    let mut expected: Vec<&str> = all.keys().map(String::as_str).collect();
    expected.extend(["AWS_REGION", "TIDEMARK_SCORES_STREAM"]);
    expected.sort_unstable();
    assert_eq!(found, expected);
    let policy = problems
        .iter()
        .find(|problem| problem.variable == "TIDEMARK_POLICY_FILE")
        .unwrap();
    assert_eq!(policy.code.as_str(), "TM-1002");
    all.clear();
    assert_eq!(
        Config::read(&all, no_file).unwrap_err().len(),
        4,
        "the four that must be set"
    );
}

#[test]
fn every_problem_of_a_policy_file_is_reported_with_its_place() {
    let mut all = variables(GOOD);
    all.extend(variables(&[("TIDEMARK_POLICY_FILE", "policy.toml")]));
    let problems = Config::read(&all, |_| Ok("version = \"one\"\nnonsense = 1\n".to_owned())).unwrap_err();
    assert!(problems.len() >= 2, "{problems:?}");
    assert!(
        problems
            .iter()
            .all(|problem| problem.message.starts_with("policy.toml:")),
        "{problems:?}"
    );
}

#[test]
fn a_policy_file_takes_the_place_of_the_default() {
    let mut all = variables(GOOD);
    all.extend(variables(&[("TIDEMARK_POLICY_FILE", "policy.toml")]));
    let config = Config::read(&all, |path| {
        assert_eq!(path, "policy.toml");
        Ok(Policy::default_text().to_owned())
    });
    assert_eq!(config.unwrap().policy, Policy::default_policy());
}

#[test]
fn knobs_reach_the_engine_and_their_ranges_hold() {
    for knob in Config::knobs() {
        let (least, most) = (knob.least.to_string(), knob.most.to_string());
        let over = (knob.most + 1).to_string();
        assert!((knob.least..=knob.most).contains(&knob.default), "{knob:?}");
        assert_eq!(
            named(&read(&[(knob.variable, &over)]).unwrap_err()),
            [knob.variable],
            "{over}"
        );
        // At the ends of a range two knobs may contradict each other; the range itself must not be the complaint.
        for end in [least, most] {
            if let Err(problems) = read(&[(knob.variable, &end)]) {
                assert!(
                    problems.iter().all(|problem| !problem.message.contains("whole number")),
                    "{problems:?}"
                );
            }
        }
    }
    let config = read(&[
        ("TIDEMARK_COMMITS_CONCURRENT_MAX", "7"),
        ("TIDEMARK_DEADLINE_MARGIN_MS", "9000"),
    ])
    .unwrap();
    assert_eq!(
        (config.engine.commits_concurrent_max, config.engine.deadline_margin_ms),
        (7, 9_000)
    );
}

#[test]
fn margins_that_contradict_each_other_are_refused() {
    let problems = read(&[("TIDEMARK_DEADLINE_MARGIN_MS", "500")]).unwrap_err();
    assert_eq!(named(&problems), ["TIDEMARK_ANSWER_MARGIN_MS"]);
    let problems = read(&[("TIDEMARK_BACKOFF_BASE_MS", "2000")]).unwrap_err();
    assert_eq!(named(&problems), ["TIDEMARK_BACKOFF_BASE_MS"]);
}

#[test]
fn a_misspelt_setting_is_told() {
    let config = read(&[("TIDEMARK_CACHE_CARD_MAX", "5"), ("TIDEMARK_LOG_LEVEL", "")]).unwrap();
    assert_eq!(config.unknown, ["TIDEMARK_CACHE_CARD_MAX"]);
}

#[test]
fn endpoints_are_taken_from_the_environment() {
    let config = read(&[
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:4566"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:8000"),
    ]);
    let endpoints = config.unwrap().aws.endpoints;
    assert_eq!(endpoints.all.as_deref(), Some("http://127.0.0.1:4566"));
    assert_eq!(endpoints.dynamodb.as_deref(), Some("http://127.0.0.1:8000"));
}

/// docs/reference/configuration.md has a row for every setting, with its range and default.
#[test]
fn the_reference_lists_every_setting_as_it_is() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/configuration.md");
    let page = std::fs::read_to_string(path).unwrap();
    for knob in Config::knobs() {
        let row = format!(
            "| `{}` | {} to {} | {} |",
            knob.variable, knob.least, knob.most, knob.default
        );
        assert!(page.contains(&row), "docs/reference/configuration.md should say: {row}");
    }
    let others = [
        "TIDEMARK_POLICY_FILE",
        "TIDEMARK_LOG_LEVEL",
        "AWS_ENDPOINT_URL_KINESIS",
        "AWS_ENDPOINT_URL_SQS",
    ];
    for variable in GOOD.iter().map(|(name, _)| *name).chain(others) {
        assert!(
            page.contains(&format!("`{variable}`")),
            "docs/reference/configuration.md should name {variable}"
        );
    }
}
