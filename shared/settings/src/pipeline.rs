//! The settings that every function of the pipeline has: the places it works on, the policy, the engine's limits.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tidemark_aws::{AwsSettings, CredentialSource, Endpoints, Writes};
use tidemark_domain::policy::Policy;
use tidemark_domain::trees::{TreeModel, TreeModelKey};
use tidemark_engine::EngineConfig;
use tidemark_engine::control::ControlConfig;
use tidemark_mapping::limits::SALT_BYTES_MIN;
use tidemark_mapping::{MapSalt, SALT_VARIABLE};
use tidemark_telemetry::price::Prices;
use tidemark_telemetry::{ErrorCode, Tariff};
use tracing::Level;

use crate::reader::{Knob, Reader, SettingProblem, Tuner, is_name, is_url};

/// The settings of the score function, which the redrive function has too.
#[derive(Clone, Debug)]
pub struct Config {
    /// Table of states, profiles and decisions.
    pub table: String,
    /// How conditional writes go to it.
    pub writes: Writes,
    /// Stream that outcomes go to, by name.
    pub scores_stream: String,
    /// Queue that refused records go to.
    pub quarantine_queue_url: String,
    /// The policy in force.
    pub policy: Policy,
    /// The engine's limits.
    pub engine: EngineConfig,
    /// When and how the control plane is read.
    pub control: ControlConfig,
    /// What published maps hash with.
    pub salt: Option<MapSalt>,
    /// Region, endpoints, credentials.
    pub aws: AwsSettings,
    /// From which level on our own crates log.
    pub log_level: Level,
    /// What its invocations cost.
    pub tariff: Tariff,
    /// The function's name, a dimension of its metrics.
    pub function_name: String,
    /// Variables that begin with `TIDEMARK_` and mean nothing.
    pub unknown: Vec<String>,
}

impl Config {
    /// Reads the settings out of `variables`; `read_file` gives a policy file's text.
    ///
    /// # Errors
    /// Every problem, in one list.
    pub fn read(
        variables: &BTreeMap<String, String>,
        read_file: impl Fn(&str) -> std::io::Result<String>,
    ) -> Result<Self, Vec<SettingProblem>> {
        let mut reader = Reader::new(variables);
        let config = Self::take(&mut reader, read_file, "score");
        let (mut config, unknown) = reader.finish(config)?;
        config.unknown = unknown;
        Ok(config)
    }

    /// Reads them through a reader that a function goes on with; `name` is the function's where Lambda gives none. `None`: the
    /// reader has the problems.
    pub fn take(
        reader: &mut Reader<'_>,
        read_file: impl Fn(&str) -> std::io::Result<String>,
        name: &str,
    ) -> Option<Self> {
        let table = reader.required("TIDEMARK_TABLE", |name| is_name(name, 3, 255), "a table's name");
        let scores_stream = reader.stream("TIDEMARK_SCORES_STREAM");
        let quarantine_queue_url = reader.queue_url("TIDEMARK_QUARANTINE_QUEUE_URL");
        let region = reader.required("AWS_REGION", |name| is_name(name, 1, 64), "a region, such as eu-west-1");
        let policy = policy(reader, read_file);
        let writes = writes(reader);
        let salt = salt(reader);
        let log_level = log_level(reader);
        let tariff = tariff(reader);
        let engine = engine(reader, None);
        let control = control(reader, None);
        let endpoints = endpoints(reader);
        let function_name = reader.optional("AWS_LAMBDA_FUNCTION_NAME").unwrap_or(name).to_owned();
        Some(Self {
            table: table?,
            writes,
            scores_stream: scores_stream?,
            quarantine_queue_url: quarantine_queue_url?,
            policy: policy?,
            engine,
            control,
            salt,
            aws: AwsSettings {
                region: region?,
                endpoints,
                credentials: CredentialSource::Chain,
            },
            log_level,
            tariff,
            function_name,
            unknown: Vec::new(),
        })
    }

    /// The variables for tuning, with their ranges and defaults.
    #[must_use]
    pub fn knobs() -> Vec<Knob> {
        let mut knobs = Vec::new();
        engine(&mut Reader::new(&BTreeMap::new()), Some(&mut knobs));
        control(&mut Reader::new(&BTreeMap::new()), Some(&mut knobs));
        knobs
    }
}

fn policy(reader: &mut Reader<'_>, read_file: impl Fn(&str) -> std::io::Result<String>) -> Option<Policy> {
    const VARIABLE: &str = "TIDEMARK_POLICY_FILE";
    let Some(path) = reader.optional(VARIABLE) else {
        return Some(Policy::default_policy());
    };
    match read_file(path) {
        Ok(text) => {
            let model = match model(&text, path, read_file) {
                Ok(model) => model,
                Err(problem) => {
                    reader.problem(ErrorCode::PolicyInvalid, VARIABLE, problem);
                    return None;
                }
            };
            let models = |key| model.clone().filter(|(known, _)| *known == key).map(|(_, model)| model);
            match Policy::parse_with(&text, path, &models) {
                Ok(policy) => return Some(policy),
                Err(problems) => {
                    for problem in problems {
                        reader.problem(ErrorCode::PolicyInvalid, VARIABLE, problem.to_string());
                    }
                }
            }
        }
        Err(error) => reader.problem(ErrorCode::PolicyInvalid, VARIABLE, format!("{path}: {error}")),
    }
    None
}

/// The model of trees whose file the policy names, under its own name.
fn model(
    text: &str,
    path: &str,
    read_file: impl Fn(&str) -> std::io::Result<String>,
) -> Result<Option<(TreeModelKey, Arc<TreeModel>)>, String> {
    let named = Policy::model_named(text).and_then(|named| named.path_from(Path::new(path)));
    let Some(file) = named else { return Ok(None) };
    let file = file.display().to_string();
    let json = read_file(&file).map_err(|error| format!("{file}: {error}"))?;
    let model = TreeModel::from_xgboost(json.as_bytes()).map_err(|error| format!("{file}: {error}"))?;
    Ok(Some((model.key(), Arc::new(model))))
}

fn writes(reader: &mut Reader<'_>) -> Writes {
    const VARIABLE: &str = "TIDEMARK_WRITES";
    match reader.optional(VARIABLE) {
        None | Some("statements") => Writes::Statements,
        Some("items") => Writes::Items,
        Some(other) => {
            let message = format!("expected statements or items, found {other:?}");
            reader.problem(ErrorCode::ConfigurationInvalid, VARIABLE, message);
            Writes::default()
        }
    }
}

/// The salt; what is wrong with it is said without it.
fn salt(reader: &mut Reader<'_>) -> Option<MapSalt> {
    let salt = reader.optional(SALT_VARIABLE)?;
    if salt.len() < SALT_BYTES_MIN {
        let message = format!("expected at least {SALT_BYTES_MIN} bytes: openssl rand -hex 16 makes them");
        reader.problem(ErrorCode::ConfigurationInvalid, SALT_VARIABLE, message);
        return None;
    }
    Some(MapSalt::new(salt))
}

fn log_level(reader: &mut Reader<'_>) -> Level {
    const VARIABLE: &str = "TIDEMARK_LOG_LEVEL";
    match reader.optional(VARIABLE) {
        None | Some("info") => Level::INFO,
        Some("error") => Level::ERROR,
        Some("warn") => Level::WARN,
        Some("debug") => Level::DEBUG,
        Some(other) => {
            let message = format!("expected error, warn, info or debug, found {other:?}");
            reader.problem(ErrorCode::ConfigurationInvalid, VARIABLE, message);
            Level::INFO
        }
    }
}

fn tariff(reader: &mut Reader<'_>) -> Tariff {
    const VARIABLE: &str = "TIDEMARK_PRICES";
    let prices = Prices::parse(reader.optional(VARIABLE).unwrap_or_default()).unwrap_or_else(|problem| {
        reader.problem(ErrorCode::ConfigurationInvalid, VARIABLE, problem.to_string());
        Prices::default()
    });
    let memory_mib = reader.optional("AWS_LAMBDA_FUNCTION_MEMORY_SIZE");
    Tariff {
        prices,
        // Lambda says it, or nobody does.
        memory_mib: memory_mib.and_then(|text| text.parse().ok()).unwrap_or_default(),
    }
}

fn endpoints(reader: &mut Reader<'_>) -> Endpoints {
    for variable in [
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_DYNAMODB",
        "AWS_ENDPOINT_URL_KINESIS",
        "AWS_ENDPOINT_URL_SQS",
    ] {
        if reader.optional(variable).is_some_and(|url| !is_url(url)) {
            reader.problem(
                ErrorCode::ConfigurationInvalid,
                variable,
                "expected a URL, http(s)://…".to_owned(),
            );
        }
    }
    Endpoints::from_variables(|name| reader.variable(name))
}

/// The engine's limits. With `knobs`, the list of variables is written down on the way.
fn engine(reader: &mut Reader<'_>, knobs: Option<&mut Vec<Knob>>) -> EngineConfig {
    const MINUTE_MS: u64 = 60_000;
    let mut config = EngineConfig::default();
    let mut tune = Tuner::new(reader, knobs);
    tune.set(
        "TIDEMARK_COMMITS_CONCURRENT_MAX",
        1,
        1_000,
        &mut config.commits_concurrent_max,
    );
    tune.set(
        "TIDEMARK_CONFLICTS_PER_CARD_MAX",
        1,
        100,
        &mut config.conflicts_per_card_max,
    );
    tune.set("TIDEMARK_ATTEMPTS_MAX", 1, 20, &mut config.attempts_max);
    tune.set(
        "TIDEMARK_RETRIES_PER_BATCH_MAX",
        0,
        10_000,
        &mut config.retries_per_batch_max,
    );
    tune.set("TIDEMARK_BACKOFF_BASE_MS", 1, 10_000, &mut config.backoff_base_ms);
    tune.set("TIDEMARK_BACKOFF_CAP_MS", 1, MINUTE_MS, &mut config.backoff_cap_ms);
    tune.set(
        "TIDEMARK_DEADLINE_MARGIN_MS",
        100,
        5 * MINUTE_MS,
        &mut config.deadline_margin_ms,
    );
    tune.set("TIDEMARK_ANSWER_MARGIN_MS", 50, MINUTE_MS, &mut config.answer_margin_ms);
    tune.set("TIDEMARK_CACHE_CARDS_MAX", 0, 10_000_000, &mut config.cache_cards_max);
    tune.set("TIDEMARK_CACHE_BYTES_MAX", 0, 8 << 30, &mut config.cache_bytes_max);
    tune.set(
        "TIDEMARK_PROFILE_CACHE_CARDS_MAX",
        0,
        10_000_000,
        &mut config.profile_cache_cards_max,
    );
    tune.set(
        "TIDEMARK_PROFILE_MAX_AGE_MS",
        0,
        24 * 60 * MINUTE_MS,
        &mut config.profile_max_age_ms,
    );
    tune.set("TIDEMARK_PROFILE_ATTEMPTS_MAX", 1, 20, &mut config.profile_attempts_max);
    tune.set(
        "TIDEMARK_BREAKER_FAILURES_MAX",
        1,
        1_000,
        &mut config.breaker_failures_max,
    );
    tune.set(
        "TIDEMARK_BREAKER_OPEN_MS",
        1,
        60 * MINUTE_MS,
        &mut config.breaker_open_ms,
    );
    if config.answer_margin_ms >= config.deadline_margin_ms {
        let message =
            "expected less than TIDEMARK_DEADLINE_MARGIN_MS: the answer comes after the last write".to_owned();
        tune.problem(ErrorCode::ConfigurationInvalid, "TIDEMARK_ANSWER_MARGIN_MS", message);
    }
    if config.backoff_base_ms > config.backoff_cap_ms {
        let message = "expected at most TIDEMARK_BACKOFF_CAP_MS".to_owned();
        tune.problem(ErrorCode::ConfigurationInvalid, "TIDEMARK_BACKOFF_BASE_MS", message);
    }
    config
}

/// When and how the control plane is read, likewise.
fn control(reader: &mut Reader<'_>, knobs: Option<&mut Vec<Knob>>) -> ControlConfig {
    let mut config = ControlConfig::default();
    let mut tune = Tuner::new(reader, knobs);
    tune.set("TIDEMARK_CONTROL_REFRESH_MS", 100, 60_000, &mut config.refresh_after_ms);
    tune.set(
        "TIDEMARK_CONTROL_WAIT_AFTER_MS",
        100,
        600_000,
        &mut config.wait_after_ms,
    );
    tune.set("TIDEMARK_CONTROL_TIMEOUT_MS", 10, 10_000, &mut config.timeout_ms);
    if config.refresh_after_ms > config.wait_after_ms {
        let message = "expected at most TIDEMARK_CONTROL_WAIT_AFTER_MS".to_owned();
        tune.problem(ErrorCode::ConfigurationInvalid, "TIDEMARK_CONTROL_REFRESH_MS", message);
    }
    config
}
