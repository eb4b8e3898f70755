//! One service whose requests are built and signed here: where it is, and how an answer is read or refused.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::{HttpConnector as _, SharedHttpConnector};
use aws_smithy_types::byte_stream::ByteStream;
use serde_json::Value;
use tidemark_engine::port::PortError;

use super::AdminError;
use super::error::is_expired;
use super::signed::{Unsigned, connector, public_endpoint};
use super::xml::Element;
use crate::client::AwsSettings;
use crate::error::{is_passing, is_throttling};

/// Time for one call; a function's code of some megabytes is sent within it.
const CALL_WAIT: Duration = Duration::from_secs(120);
/// Characters of a service's message that are told: some repeat what was sent.
const MESSAGE_CHARS_MAX: usize = 500;
/// How forms are sent.
const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// A service of AWS.
#[derive(Clone, Debug)]
pub(super) struct Rim {
    service: &'static str,
    endpoint: Option<String>,
    region: String,
    credentials: Option<SharedCredentialsProvider>,
    http: SharedHttpConnector,
}

/// A request to one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask<'a> {
    /// Names it in errors.
    pub(super) operation: &'a str,
    pub(super) method: &'a str,
    pub(super) uri: &'a str,
    pub(super) content_type: &'a str,
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) payload: &'a [u8],
}

impl Rim {
    /// No network call.
    pub(super) fn new(service: &'static str, settings: &AwsSettings, shared: &SdkConfig) -> Self {
        let endpoint = settings.endpoints.all.clone();
        let url = endpoint
            .clone()
            .unwrap_or_else(|| public_endpoint(service, &settings.region));
        Self {
            http: connector(&url),
            service,
            endpoint,
            region: settings.region.clone(),
            credentials: shared.credentials_provider(),
        }
    }

    /// The endpoint that was set, if one was.
    pub(super) fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref().map(|url| url.trim_end_matches('/'))
    }

    /// The region.
    pub(super) fn region(&self) -> &str {
        &self.region
    }

    /// Calls an operation of the query protocol: a form in, XML out.
    pub(super) async fn query(&self, version: &str, operation: &str, form: &Form) -> Result<Element, AdminError> {
        let own = public_endpoint(self.service, &self.region);
        let uri = format!("{}/", self.endpoint().unwrap_or(&own));
        let payload = format!("Action={operation}&Version={version}{}", form.0);
        let ask = Ask {
            operation,
            method: "POST",
            uri: &uri,
            content_type: FORM,
            headers: &[],
            payload: payload.as_bytes(),
        };
        let (_, body) = self.send(ask).await?;
        Element::read(&String::from_utf8_lossy(&body)).ok_or_else(|| {
            let text = format!("{operation}: the answer could not be read");
            AdminError::Call(PortError::Unavailable(text))
        })
    }

    /// Sends a request; the answer's status, and its body when the status says that it was done.
    pub(super) async fn send(&self, ask: Ask<'_>) -> Result<(u16, Vec<u8>), AdminError> {
        let operation = ask.operation;
        let unsigned = Unsigned {
            service: self.service,
            method: ask.method,
            uri: ask.uri,
            content_type: ask.content_type,
            headers: ask.headers,
            payload: ask.payload,
        };
        let request = unsigned.sign(self.credentials.as_ref(), &self.region).await?;
        let unavailable = |why: &str| AdminError::Call(PortError::Unavailable(format!("{operation}: {why}")));
        let answered = tokio::time::timeout(CALL_WAIT, async {
            let response = self.http.call(request).await;
            let mut response = response.map_err(|_| unavailable("connection failed"))?;
            let status = response.status().as_u16();
            let body = ByteStream::new(response.take_body()).collect().await;
            let body = body.map_err(|_| unavailable("the answer broke off"))?;
            Ok::<_, AdminError>((status, body.to_vec()))
        });
        let (status, body) = answered.await.map_err(|_| {
            let text = format!("{operation}: no answer within {} s", CALL_WAIT.as_secs());
            AdminError::Call(PortError::Timeout(text))
        })??;
        if (200..300).contains(&status) {
            return Ok((status, body));
        }
        Err(refusal(operation, status, &String::from_utf8_lossy(&body)))
    }
}

/// What an answer that is no success says.
pub(super) fn refusal(operation: &str, status: u16, body: &str) -> AdminError {
    let root = Element::read(body);
    let error = root.as_ref().and_then(|root| root.find("Error"));
    let of = |name: &str| error.and_then(|error| error.text_of(name)).unwrap_or_default();
    // The services that speak JSON have their code there, behind the name of their model.
    let json: Value = serde_json::from_str(body).unwrap_or_default();
    let of_json = |name: &str| json[name].as_str().unwrap_or_default();
    let json_code = of_json("__type").rsplit('#').next().unwrap_or_default();
    let code = match (of("Code"), json_code) {
        ("", "") => format!("HTTP {status}"),
        ("", code) | (code, _) => code.to_owned(),
    };
    let passes =
        |error: fn(String) -> PortError| AdminError::Call(error(format!("{operation}: {code} (HTTP {status})")));
    if is_throttling(&code) || status == 429 {
        passes(PortError::Throttled)
    } else if status >= 500 || (is_passing(&code) && !is_expired(&code)) {
        passes(PortError::Unavailable)
    } else {
        // Some emulators answer in another form: their words are better than none.
        let told = if root.is_some() {
            of("Message")
        } else {
            of_json("message")
        };
        let message = if root.is_some() || !told.is_empty() {
            told
        } else {
            body.trim()
        };
        AdminError::Refused {
            operation: operation.to_owned(),
            message: message.chars().take(MESSAGE_CHARS_MAX).collect(),
            code,
        }
    }
}

/// The parameters of a call, as a form.
#[derive(Clone, Debug, Default)]
pub(super) struct Form(String);

impl Form {
    /// Adds a parameter.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.add(name, value);
        self
    }

    pub(super) fn add(&mut self, name: &str, value: &str) {
        self.0.push('&');
        self.0 += &encoded(name);
        self.0.push('=');
        self.0 += &encoded(value);
    }
}

/// Text as it stands in a form or a path: every byte but letters, digits and `-_.~` as `%XX`.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_sorted_by_code_and_status() {
        let body = |code: &str| {
            format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>why &amp; what</Message></Error></ErrorResponse>"
            )
        };
        let error = refusal("DescribeStacks", 400, &body("ValidationError"));
        assert_eq!(error.to_string(), "DescribeStacks: ValidationError: why & what");
        assert!(!error.is_transient());
        assert!(refusal("o", 400, &body("Throttling")).is_transient());
        assert!(refusal("o", 503, "").is_transient());
        for code in ["ExpiredToken", "ExpiredTokenException", "RequestExpired"] {
            let error = refusal("o", 403, &body(code));
            assert!(error.is_expired() && !error.is_transient(), "{code}");
        }
        assert_eq!(refusal("o", 403, "{\"why\"}").to_string(), "o: HTTP 403: {\"why\"}");
        let of_json = "{\"__type\":\"com.amazonaws.states#StateMachineDoesNotExist\",\"message\":\"why\"}";
        assert_eq!(
            refusal("o", 400, of_json).to_string(),
            "o: StateMachineDoesNotExist: why"
        );
        assert!(refusal("o", 400, "{\"__type\":\"ThrottlingException\"}").is_transient());
        let long = refusal("o", 400, &body(&"x".repeat(9)).replace("why", &"y".repeat(5_000)));
        assert!(long.to_string().len() < 600, "a message may repeat a whole template");
    }

    #[test]
    fn a_form_is_encoded_byte_by_byte() {
        let form = Form::default().with("a.1", "x y&z=ü~").with("b", "");
        assert_eq!(form.0, "&a.1=x%20y%26z%3D%C3%BC~&b=");
    }
}
