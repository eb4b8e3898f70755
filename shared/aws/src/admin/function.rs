//! Lambda: invoke a function and wait for its answer.
//!
//! One operation of one service: the request is built, signed and sent here. The generated client of Lambda has 12 MB of
//! source, as much as DynamoDB's, and everybody who builds Tidemark would pay for it.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::{HttpConnector as _, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::byte_stream::ByteStream;
use serde_json::Value;
use tidemark_engine::port::PortError;

use super::signed::{Unsigned, connector, public_endpoint};
use super::{Admin, AdminError};
use crate::client::AwsSettings;

/// The version of Lambda's API, as in its paths.
const API_VERSION: &str = "2015-03-31";
/// The version of the operations on the account.
pub(super) const ACCOUNT_API_VERSION: &str = "2016-08-19";
/// Characters of a function's error that are told.
const ERROR_CHARS_MAX: usize = 500;
/// Bytes of a function's name, with version or alias (Lambda's limit).
const NAME_BYTES_MAX: usize = 140;

/// Where functions are invoked.
#[derive(Clone, Debug)]
pub(super) struct Lambda {
    endpoint: String,
    region: String,
    credentials: Option<SharedCredentialsProvider>,
    http: SharedHttpConnector,
    is_apart: bool,
}

impl Lambda {
    /// No network call.
    pub(super) fn new(settings: &AwsSettings, shared: &SdkConfig) -> Self {
        let own = settings.endpoints.lambda.as_ref().or(settings.endpoints.all.as_ref());
        let endpoint = own
            .cloned()
            .unwrap_or_else(|| public_endpoint("lambda", &settings.region));
        Self {
            http: connector(&endpoint),
            is_apart: settings.endpoints.lambda.is_some() && settings.endpoints.lambda != settings.endpoints.all,
            endpoint,
            region: settings.region.clone(),
            credentials: shared.credentials_provider(),
        }
    }

    /// Whether functions are elsewhere than the other services.
    pub(super) fn is_apart(&self) -> bool {
        self.is_apart
    }

    pub(super) async fn call(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        self.http.call(request).await
    }

    pub(super) async fn signed(&self, method: &str, path: &str, payload: &[u8]) -> Result<HttpRequest, AdminError> {
        self.signed_by(API_VERSION, method, path, payload).await
    }

    /// Reads something; the answer's status and body.
    pub(super) async fn get(&self, version: &str, path: &str) -> Result<(u16, Vec<u8>), AdminError> {
        let request = self.signed_by(version, "GET", path, &[]).await?;
        let unavailable = |why: &str| AdminError::Call(PortError::Unavailable(format!("GET {path}: {why}")));
        let response = self.call(request).await;
        let mut response = response.map_err(|_| unavailable("connection failed"))?;
        let status = response.status().as_u16();
        let body = ByteStream::new(response.take_body()).collect().await;
        let body = body.map_err(|_| unavailable("the answer broke off"))?;
        Ok((status, body.to_vec()))
    }

    async fn signed_by(
        &self,
        version: &str,
        method: &str,
        path: &str,
        payload: &[u8],
    ) -> Result<HttpRequest, AdminError> {
        let uri = format!("{}/{version}/{path}", self.endpoint.trim_end_matches('/'));
        let unsigned = Unsigned {
            service: "lambda",
            method,
            uri: &uri,
            content_type: "application/json",
            headers: &[],
            payload,
        };
        unsigned.sign(self.credentials.as_ref(), &self.region).await
    }
}

impl Admin {
    /// Invokes a function and waits up to `wait` for its answer, which is JSON. It is tried once: whether the function may be
    /// invoked again is for the caller to say.
    ///
    /// # Errors
    /// [`AdminError::FunctionFailed`] when the function itself failed, and whatever keeps a call from an answer.
    pub async fn invoke(&self, function: &str, payload: &[u8], wait: Duration) -> Result<Vec<u8>, AdminError> {
        if !is_name(function) {
            return Err(failed(
                "a function's name has 1 to 140 letters, digits, - and _, and : before its alias",
            ));
        }
        let path = format!("functions/{}/invocations", function.replace(':', "%3A"));
        let request = self.lambda.signed("POST", &path, payload).await?;
        let answered = tokio::time::timeout(wait, async {
            let response = self.lambda.call(request).await;
            let response = response.map_err(|error| {
                let text = format!("Invoke {function}: connection failed");
                AdminError::Call(if error.is_timeout() {
                    PortError::Timeout(text)
                } else {
                    PortError::Unavailable(text)
                })
            })?;
            read(function, response).await
        });
        answered.await.unwrap_or_else(|_| {
            let text = format!("Invoke {function}: no answer within {} s", wait.as_secs());
            Err(AdminError::Call(PortError::Timeout(text)))
        })
    }
}

async fn read(function: &str, mut response: HttpResponse) -> Result<Vec<u8>, AdminError> {
    let status = response.status().as_u16();
    let header = |name: &str| response.headers().get(name).map(str::to_owned);
    let (function_error, error_type) = (header("x-amz-function-error"), header("x-amzn-errortype"));
    let body = ByteStream::new(response.take_body()).collect().await;
    let body = body.map_err(|_| {
        AdminError::Call(PortError::Unavailable(format!(
            "Invoke {function}: the answer broke off"
        )))
    })?;
    answer(
        function,
        status,
        function_error.as_deref(),
        error_type.as_deref(),
        body.to_vec(),
    )
}

/// What Lambda's answer means.
fn answer(
    function: &str,
    status: u16,
    function_error: Option<&str>,
    error_type: Option<&str>,
    body: Vec<u8>,
) -> Result<Vec<u8>, AdminError> {
    if (200..300).contains(&status) {
        return if function_error.is_some() {
            Err(function_failed(function, &body))
        } else {
            Ok(body)
        };
    }
    let code = error_type
        .and_then(|code| code.split(':').next())
        .unwrap_or("no error code");
    if code == "ResourceNotFoundException" {
        return Err(AdminError::NotFound {
            operation: format!("Invoke {function}"),
        });
    }
    let text = format!("Invoke {function}: {code} (HTTP {status})");
    Err(AdminError::Call(match status {
        429 => PortError::Throttled(text),
        500.. => PortError::Unavailable(text),
        _ => PortError::Permanent(text),
    }))
}

/// What Lambda says of a function that failed: the error's type and message, which our functions keep free of payloads (I9).
fn function_failed(function: &str, body: &[u8]) -> AdminError {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |field: &str| {
        let text = value[field].as_str().unwrap_or("unknown");
        text.chars().take(ERROR_CHARS_MAX).collect::<String>()
    };
    AdminError::FunctionFailed {
        function: function.to_owned(),
        error_type: text("errorType"),
        message: text("errorMessage"),
    }
}

pub(super) fn is_name(function: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&function.len())
        && function
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_:$".contains(&byte))
}

fn failed(why: &str) -> AdminError {
    AdminError::Call(PortError::Permanent(format!("Invoke: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sort(status: u16, function_error: Option<&str>, code: Option<&str>, body: &str) -> Result<Vec<u8>, AdminError> {
        answer("f", status, function_error, code, body.as_bytes().to_vec())
    }

    #[test]
    fn an_answer_is_the_functions_own_only_without_an_error() {
        assert_eq!(sort(200, None, None, "{}").unwrap(), b"{}");
        let body = r#"{"errorType":"TM-5001","errorMessage":"why"}"#;
        let error = sort(200, Some("Unhandled"), None, body).unwrap_err();
        assert_eq!(error.to_string(), "function f failed: TM-5001: why");
        assert!(!error.is_transient());
    }

    #[test]
    fn statuses_and_codes_decide_what_may_be_tried_again() {
        let throttled = sort(429, None, Some("TooManyRequestsException:http"), "").unwrap_err();
        assert!(throttled.is_transient());
        assert!(sort(503, None, None, "").unwrap_err().is_transient());
        let absent = sort(404, None, Some("ResourceNotFoundException"), "").unwrap_err();
        assert!(matches!(absent, AdminError::NotFound { .. }));
        assert!(
            !sort(403, None, Some("AccessDeniedException"), "")
                .unwrap_err()
                .is_transient()
        );
    }

    #[test]
    fn only_names_of_functions_go_into_a_path() {
        assert!(is_name("tidemark-redrive") && is_name("tidemark-redrive:live"));
        for wrong in ["", "a/b", "a b", "a%2f", "é", &"x".repeat(141)] {
            assert!(!is_name(wrong), "{wrong:?}");
        }
    }
}
