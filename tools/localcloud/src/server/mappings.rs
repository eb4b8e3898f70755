//! Lambda's event source mappings over HTTP: list a function's, turn one off or on. Nothing else of them can be changed here.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

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
    let enabled = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|body| body["Enabled"].as_bool());
    Some(match (mappings.find(uuid), enabled) {
        (Some(switch), Some(enabled)) => {
            switch.set(enabled);
            axum::Json(describe(&switch)).into_response()
        }
        (Some(switch), None) => axum::Json(describe(&switch)).into_response(),
        (None, _) => {
            let headers = [("x-amzn-errortype", "ResourceNotFoundException")];
            let body = json!({ "Type": "User", "Message": "no such mapping" }).to_string();
            (StatusCode::NOT_FOUND, headers, body).into_response()
        }
    })
}

fn describe(switch: &MappingSwitch) -> Value {
    json!({
        "UUID": switch.uuid,
        "State": if switch.is_enabled() { "Enabled" } else { "Disabled" },
        "EventSourceArn": switch.source_arn,
        "FunctionArn": switch.function_arn,
    })
}
