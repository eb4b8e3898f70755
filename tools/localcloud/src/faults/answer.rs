//! Faults in each service's own words.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use serde_json::json;

use super::plan::{FaultKind, Service};

/// The error code with which a service asks to slow down.
pub(super) fn throttle_code(service: Service) -> &'static str {
    match service {
        Service::DynamoDb | Service::Kinesis => "ProvisionedThroughputExceededException",
        Service::Sqs => "ThrottlingException",
    }
}

fn internal_code(service: Service) -> &'static str {
    match service {
        Service::DynamoDb => "InternalServerError",
        Service::Kinesis | Service::Sqs => "InternalFailure",
    }
}

/// A receive's answer from a server that has none of the queue's messages.
pub(super) fn nothing_there(service: Service) -> Response<Body> {
    let mut response = Response::new(Body::from("{}"));
    response.headers_mut().insert("content-type", content_type(service));
    response
}

/// The answer for a request that was refused.
pub(super) fn refusal(service: Service, kind: FaultKind) -> Response<Body> {
    let (status, code) = match kind {
        FaultKind::Error500 => (StatusCode::INTERNAL_SERVER_ERROR, internal_code(service)),
        FaultKind::Down => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
        FaultKind::KmsThrottle => (StatusCode::BAD_REQUEST, "KMSThrottlingException"),
        FaultKind::ExpiredIterator => (StatusCode::BAD_REQUEST, "ExpiredIteratorException"),
        _ => (StatusCode::BAD_REQUEST, throttle_code(service)),
    };
    let namespace = match service {
        Service::DynamoDb => "com.amazonaws.dynamodb.v20120810#",
        Service::Kinesis => "",
        Service::Sqs => "com.amazonaws.sqs#",
    };
    let body = json!({ "__type": format!("{namespace}{code}"), "message": "injected by the local fault layer" });
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert("content-type", content_type(service));
    headers.insert("x-amzn-errortype", axum::http::HeaderValue::from_static(code));
    response
}

/// The content type of a service's answers.
pub(super) fn content_type(service: Service) -> axum::http::HeaderValue {
    axum::http::HeaderValue::from_static(match service {
        Service::Kinesis => "application/x-amz-json-1.1",
        Service::DynamoDb | Service::Sqs => "application/x-amz-json-1.0",
    })
}
