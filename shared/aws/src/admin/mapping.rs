//! Lambda's event source mappings: find a function's, and let them poll or not.

use std::time::Duration;

use aws_smithy_types::byte_stream::ByteStream;
use serde_json::Value;
use tidemark_engine::port::PortError;

use super::function::is_name;
use super::{Admin, AdminError};

/// Time for one call.
const WAIT: Duration = Duration::from_secs(10);

/// The alias that the template's mapping invokes, so that a new version of the function takes over gradually.
pub const LIVE_ALIAS: &str = "live";

/// A mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingState {
    /// Its id.
    pub uuid: String,
    /// As Lambda tells it: `Enabled`, `Disabling`, `Disabled` …
    pub state: String,
    /// The ARN of the stream or queue.
    pub source: String,
    /// The age at which it gives a record up, seconds; `None`: never.
    pub record_age_s: Option<u32>,
}

/// What to change of a mapping; what is `None` stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MappingChange {
    /// Whether it polls.
    pub enabled: Option<bool>,
    /// The age at which it gives a record up, 60 to [`RECORD_AGE_S_MAX`] seconds.
    pub record_age_s: Option<u32>,
}

/// The greatest record age that a mapping can have, seconds: a week.
pub const RECORD_AGE_S_MAX: u32 = 604_800;

impl Admin {
    /// The mappings that invoke a function by its plain name or by [`LIVE_ALIAS`]; with a qualifier in the name, by that one only.
    ///
    /// # Errors
    /// When Lambda does not answer, or refuses.
    pub async fn mappings(&self, function: &str) -> Result<Vec<MappingState>, AdminError> {
        if !is_name(function) {
            return Err(AdminError::Call(PortError::Permanent(
                "not a function's name".to_owned(),
            )));
        }
        // Asked for a plain name, Lambda does not promise to list what invokes an alias of it.
        let aliased = (!function.contains(':')).then(|| format!("{function}:{LIVE_ALIAS}"));
        let mut found: Vec<MappingState> = Vec::new();
        for name in std::iter::once(function).chain(aliased.as_deref()) {
            let path = format!("event-source-mappings/?FunctionName={}", name.replace(':', "%3A"));
            let call = || self.call_mapping("ListEventSourceMappings", "GET", &path, &[]);
            let list = match self.patiently(call).await {
                Ok(answer) => answer["EventSourceMappings"].as_array().cloned().unwrap_or_default(),
                Err(AdminError::NotFound { .. }) => Vec::new(),
                Err(error) => return Err(error),
            };
            for state in list.iter().map(state_of) {
                if found.iter().all(|other| other.uuid != state.uuid) {
                    found.push(state);
                }
            }
        }
        Ok(found)
    }

    /// Changes a mapping. Its place in the stream is kept; what is under way is brought to its end.
    ///
    /// # Errors
    /// When Lambda does not answer, or refuses.
    pub async fn change_mapping(&self, uuid: &str, change: MappingChange) -> Result<MappingState, AdminError> {
        let path = format!("event-source-mappings/{uuid}");
        let mut body = serde_json::Map::new();
        if let Some(enabled) = change.enabled {
            body.insert("Enabled".to_owned(), enabled.into());
        }
        if let Some(age_s) = change.record_age_s {
            body.insert("MaximumRecordAgeInSeconds".to_owned(), age_s.into());
        }
        let body = Value::from(body).to_string();
        let answer = self
            .call_mapping("UpdateEventSourceMapping", "PUT", &path, body.as_bytes())
            .await?;
        Ok(state_of(&answer))
    }

    async fn call_mapping(&self, operation: &str, method: &str, path: &str, body: &[u8]) -> Result<Value, AdminError> {
        let request = self.lambda.signed(method, path, body).await?;
        let failed = |error: PortError| AdminError::Call(error);
        let called = tokio::time::timeout(WAIT, async {
            let response = self.lambda.call(request).await;
            let mut response =
                response.map_err(|_| failed(PortError::Unavailable(format!("{operation}: connection failed"))))?;
            let status = response.status().as_u16();
            let body = ByteStream::new(response.take_body()).collect().await;
            let body =
                body.map_err(|_| failed(PortError::Unavailable(format!("{operation}: the answer broke off"))))?;
            Ok::<_, AdminError>((status, body.to_vec()))
        });
        let (status, body) = called
            .await
            .map_err(|_| failed(PortError::Timeout(format!("{operation}: no answer in time"))))??;
        let text = format!("{operation}: HTTP {status}");
        match status {
            200..300 => serde_json::from_slice(&body).map_err(|_| failed(PortError::Unavailable(text))),
            404 => Err(AdminError::NotFound {
                operation: operation.to_owned(),
            }),
            429 => Err(failed(PortError::Throttled(text))),
            500.. => Err(failed(PortError::Unavailable(text))),
            _ => Err(failed(PortError::Permanent(text))),
        }
    }
}

fn state_of(value: &Value) -> MappingState {
    let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
    MappingState {
        uuid: text("UUID"),
        state: text("State"),
        source: text("EventSourceArn"),
        // -1 is without limit.
        record_age_s: value["MaximumRecordAgeInSeconds"]
            .as_i64()
            .and_then(|age_s| u32::try_from(age_s).ok()),
    }
}
