//! Lambda's event source mappings over HTTP: list them, look at one, turn it off or on. Nothing else of them can be changed here.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use axum::http::{Method, StatusCode, request};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::error::LocalError;
use crate::esm::StartingPosition;
use crate::mapping::MappingSwitch;

use super::{lambda, uri};

/// How the paths begin.
const PATH: &str = "/2015-03-31/event-source-mappings";

/// The mappings of this cloud, by id.
#[derive(Debug, Default)]
pub(crate) struct Mappings(Mutex<BTreeMap<String, MappingSwitch>>);

impl Mappings {
    /// Offers a mapping; one of the same function and stream is no longer offered.
    pub(crate) fn add(&self, switch: MappingSwitch) {
        let mut mappings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        mappings.insert(switch.uuid.clone(), switch);
    }

    fn find(&self, uuid: &str) -> Option<MappingSwitch> {
        let mappings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        mappings.get(uuid).cloned()
    }

    /// Those of a function (by its name, with or without an alias, or by its ARN) and of a source, where they are given.
    fn of(&self, function: Option<&str>, source: Option<&str>) -> Vec<Value> {
        let mappings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = mappings.values().filter(|switch| {
            let of_function =
                function.is_none_or(|given| uri::function_name(given) == uri::function_name(&switch.function_arn));
            of_function && source.is_none_or(|source| source == switch.source_arn)
        });
        wanted.map(describe).collect()
    }
}

/// Answers a request about mappings; nothing when it is about something else, or nothing that is here.
pub(super) fn answer(mappings: &Mappings, parts: &request::Parts, body: &Bytes) -> Option<Response> {
    let path = uri::parts_after(&parts.uri, PATH)?;
    match (&parts.method, path.as_slice()) {
        (&Method::GET, []) => {
            let query = parts.uri.query().unwrap_or_default();
            let (function, source) = (uri::field(query, "FunctionName"), uri::field(query, "EventSourceArn"));
            let list = mappings.of(function.as_deref(), source.as_deref());
            Some(axum::Json(json!({ "EventSourceMappings": list })).into_response())
        }
        (&Method::GET, [uuid]) => Some(match mappings.find(uuid) {
            Some(switch) => axum::Json(describe(&switch)).into_response(),
            None => no_such_mapping(),
        }),
        (&Method::PUT, [uuid]) => Some(update(mappings, uuid, body)),
        _ => None,
    }
}

fn update(mappings: &Mappings, uuid: &str, body: &Bytes) -> Response {
    let Some(switch) = mappings.find(uuid) else {
        return no_such_mapping();
    };
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let others = request.as_object().into_iter().flatten();
    let mut others = others
        .map(|(name, _)| name)
        .filter(|name| !matches!(name.as_str(), "Enabled" | "MaximumRecordAgeInSeconds" | "FunctionName"));
    if let Some(other) = others.next() {
        let message = format!("The local AWS can change whether a mapping is enabled, and its record age, not {other}");
        return lambda::refused(StatusCode::BAD_REQUEST, "InvalidParameterValueException", &message);
    }
    match change(&switch, &request) {
        Ok(()) => axum::Json(describe(&switch)).into_response(),
        Err(error) => lambda::refused(
            StatusCode::BAD_REQUEST,
            "InvalidParameterValueException",
            &error.to_string(),
        ),
    }
}

/// Changes what the body names.
fn change(switch: &MappingSwitch, body: &Value) -> Result<(), LocalError> {
    if let Some(age_s) = body["MaximumRecordAgeInSeconds"].as_i64() {
        // -1 is without limit; what is no number of seconds is refused as one that is too great.
        let age_s = (age_s != -1).then(|| u32::try_from(age_s).unwrap_or(u32::MAX));
        switch.set_record_age(age_s)?;
    }
    if let Some(enabled) = body["Enabled"].as_bool() {
        switch.set(enabled);
    }
    Ok(())
}

fn no_such_mapping() -> Response {
    lambda::refused(StatusCode::NOT_FOUND, "ResourceNotFoundException", "no such mapping")
}

/// A mapping in Lambda's words.
fn describe(switch: &MappingSwitch) -> Value {
    let (options, setting) = (&switch.options, switch.setting());
    let or_endless = |limit: Option<u32>| limit.map_or(-1, i64::from);
    let types: &[&str] = if options.report_item_failures {
        &["ReportBatchItemFailures"]
    } else {
        &[]
    };
    let mut value = json!({
        "UUID": switch.uuid,
        "State": if setting.enabled { "Enabled" } else { "Disabled" },
        "StateTransitionReason": "User action",
        "LastProcessingResult": "OK",
        "LastModified": 0,
        "EventSourceArn": switch.source_arn,
        "FunctionArn": switch.function_arn,
        "BatchSize": options.batch_size,
        "MaximumBatchingWindowInSeconds": options.batching_window_ms.div_ceil(1_000),
        "ParallelizationFactor": options.parallelization_factor,
        "BisectBatchOnFunctionError": options.bisect_on_error,
        "MaximumRetryAttempts": or_endless(options.retries_max),
        "MaximumRecordAgeInSeconds": or_endless(setting.record_age_s_max),
        "TumblingWindowInSeconds": 0,
        "FunctionResponseTypes": types,
        "DestinationConfig": { "OnFailure": switch.on_failure_arn.as_ref().map_or(json!({}), |arn| json!({ "Destination": arn })) },
    });
    match options.starting_position {
        StartingPosition::TrimHorizon => value["StartingPosition"] = json!("TRIM_HORIZON"),
        StartingPosition::Latest => value["StartingPosition"] = json!("LATEST"),
        StartingPosition::AtTimestamp(time_ms) => {
            value["StartingPosition"] = json!("AT_TIMESTAMP");
            value["StartingPositionTimestamp"] = json!(time_ms / 1_000);
        }
    }
    value
}
