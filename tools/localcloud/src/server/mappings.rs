//! Lambda's event source mappings over HTTP: list a function's, turn one off or on. Nothing else of them can be changed here.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::error::LocalError;
use crate::mapping::MappingSwitch;

/// How the paths begin.
const PATH: &str = "/2015-03-31/event-source-mappings/";

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

    /// Those of a function by its name, with or without an alias, or by its ARN.
    fn of(&self, function: &str) -> Vec<Value> {
        let function = function.replace("%3A", ":");
        let name = function
            .split_once(":function:")
            .map_or(function.as_str(), |(_, name)| name);
        let name = name.split(':').next().unwrap_or_default();
        let mappings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_function = mappings.values().filter(|switch| {
            let own = switch.function_arn.rsplit_once(":function:").map(|(_, own)| own);
            own == Some(name)
        });
        of_function.map(describe).collect()
    }
}

/// Answers a request about mappings; nothing when it is about something else.
pub(super) fn answer(mappings: &Mappings, uri: &Uri, body: &Bytes) -> Option<Response> {
    let uuid = uri.path().strip_prefix(PATH)?;
    if uuid.is_empty() {
        let query = uri.query().unwrap_or_default();
        let name = query.split('&').find_map(|part| part.strip_prefix("FunctionName="));
        let list = mappings.of(name.unwrap_or_default());
        return Some(axum::Json(json!({ "EventSourceMappings": list })).into_response());
    }
    let body = serde_json::from_slice::<Value>(body).unwrap_or_default();
    Some(
        match mappings.find(uuid).map(|switch| (change(&switch, &body), switch)) {
            Some((Ok(()), switch)) => axum::Json(describe(&switch)).into_response(),
            Some((Err(error), _)) => failure(
                StatusCode::BAD_REQUEST,
                "InvalidParameterValueException",
                &error.to_string(),
            ),
            None => failure(StatusCode::NOT_FOUND, "ResourceNotFoundException", "no such mapping"),
        },
    )
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

fn failure(status: StatusCode, code: &'static str, message: &str) -> Response {
    let headers = [("x-amzn-errortype", code)];
    let body = json!({ "Type": "User", "Message": message }).to_string();
    (status, headers, body).into_response()
}

fn describe(switch: &MappingSwitch) -> Value {
    let setting = switch.setting();
    json!({
        "UUID": switch.uuid,
        "State": if setting.enabled { "Enabled" } else { "Disabled" },
        "MaximumRecordAgeInSeconds": setting.record_age_s_max.map_or(-1, i64::from),
        "EventSourceArn": switch.source_arn,
        "FunctionArn": switch.function_arn,
    })
}
