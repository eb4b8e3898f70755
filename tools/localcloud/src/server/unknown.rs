//! What the local AWS does not have, refused as AWS refuses: in the protocol of the request, so that a client's own error
//! says what is missing and what is there.

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, request};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::uri;

/// The id of every request that is refused or answered in XML.
pub(super) const REQUEST_ID: &str = "00000000-0000-4000-8000-000000000000";
const CODE: &str = "UnknownOperationException";
/// What is served.
const SERVED: &str = "The local AWS has DynamoDB, Kinesis, SQS, Lambda, objects of S3 and STS's GetCallerIdentity; docs/reference/local-aws.md lists their operations";

/// Refuses a request.
pub(super) fn answer(parts: &request::Parts, body: &Bytes) -> Response {
    let service = service(&parts.headers);
    let target = parts.headers.get("x-amz-target").and_then(|value| value.to_str().ok());
    if let Some(target) = target {
        let operation = target.rsplit('.').next().unwrap_or(target);
        return json_error(&parts.headers, &words(service, operation));
    }
    if parts.headers.contains_key("smithy-protocol") {
        let operation = parts.uri.path().rsplit('/').next().unwrap_or_default();
        return cbor_error(&words(service, operation));
    }
    if let Some(form) = form(parts, body) {
        let operation = uri::field(&form, "Action").unwrap_or_default();
        return xml_error(&words(service, &operation), "ErrorResponse");
    }
    let operation = format!("{} {}", parts.method, parts.uri.path());
    match service {
        Some("s3" | "route53" | "cloudfront") => xml_error(&words(service, &operation), "Error"),
        _ => rest_error(&words(service, &operation)),
    }
}

/// The form of a request in the query protocol.
pub(super) fn form(parts: &request::Parts, body: &Bytes) -> Option<String> {
    let kind = parts.headers.get("content-type")?.to_str().ok()?;
    let is_form = kind.starts_with("application/x-www-form-urlencoded");
    is_form.then(|| String::from_utf8_lossy(body).into_owned())
}

/// The service that a request is signed for.
pub(super) fn service(headers: &HeaderMap) -> Option<&str> {
    let signature = headers.get("authorization")?.to_str().ok()?;
    let scope = signature.split_once("Credential=")?.1.split(',').next()?;
    scope.split('/').nth(3)
}

fn words(service: Option<&str>, operation: &str) -> String {
    match service {
        Some(service) => format!("there is no {operation} of {service} here. {SERVED}"),
        None => format!("there is no {operation} here. {SERVED}"),
    }
}

fn json_error(headers: &HeaderMap, message: &str) -> Response {
    // In the version of the protocol that was spoken.
    let is_1_0 = headers
        .get("content-type")
        .is_some_and(|kind| kind == "application/x-amz-json-1.0");
    let kind = if is_1_0 {
        "application/x-amz-json-1.0"
    } else {
        "application/x-amz-json-1.1"
    };
    let body = json!({ "__type": CODE, "message": message }).to_string();
    refused(StatusCode::BAD_REQUEST, kind, body.into_bytes())
}

fn rest_error(message: &str) -> Response {
    let body = json!({ "Type": "User", "Code": CODE, "Message": message, "message": message }).to_string();
    refused(StatusCode::NOT_FOUND, "application/json", body.into_bytes())
}

/// The query protocol's error, or that of S3 and its kin, which is the inner part alone.
fn xml_error(message: &str, root: &str) -> Response {
    let message: String = message.chars().filter(|c| !matches!(c, '<' | '>' | '&')).collect();
    let inner = format!("<Type>Sender</Type><Code>{CODE}</Code><Message>{message}</Message>");
    let body = match root {
        "Error" => format!("<Error>{inner}<RequestId>{REQUEST_ID}</RequestId></Error>"),
        root => format!("<{root}><Error>{inner}</Error><RequestId>{REQUEST_ID}</RequestId></{root}>"),
    };
    refused(StatusCode::BAD_REQUEST, "text/xml", body.into_bytes())
}

/// The error in CBOR: a map of two texts.
fn cbor_error(message: &str) -> Response {
    let mut body = vec![0xA2];
    for text in ["__type", CODE, "message", message] {
        // A text with its length in two bytes.
        let bytes = &text.as_bytes()[..text.len().min(usize::from(u16::MAX))];
        body.push(0x79);
        body.extend(u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes());
        body.extend(bytes);
    }
    let mut response = refused(StatusCode::BAD_REQUEST, "application/cbor", body);
    let protocol = axum::http::HeaderValue::from_static("rpc-v2-cbor");
    response.headers_mut().insert("smithy-protocol", protocol);
    response
}

fn refused(status: StatusCode, kind: &'static str, body: Vec<u8>) -> Response {
    let headers = [
        ("content-type", kind),
        ("x-amzn-errortype", CODE),
        ("x-amzn-requestid", REQUEST_ID),
    ];
    (status, headers, body).into_response()
}
