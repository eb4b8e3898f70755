//! Lambda's Invoke over HTTP, for the functions that this cloud serves.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::runtime_api::{Function, InvokeError, WeakFunction};

/// How the path of an invocation begins, and how it ends.
const INVOKE: (&str, &str) = ("/2015-03-31/functions/", "/invocations");

/// The function that a path invokes, if it does.
pub(super) fn function_name(path: &str) -> Option<&str> {
    path.strip_prefix(INVOKE.0)?.strip_suffix(INVOKE.1)
}

/// The functions that can be invoked, by name.
#[derive(Debug, Default)]
pub(crate) struct Functions(Mutex<BTreeMap<String, WeakFunction>>);

impl Functions {
    /// Offers a function; one of the same name is no longer offered.
    pub(crate) fn add(&self, name: &str, function: &Function) {
        let mut functions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        functions.insert(name.to_owned(), function.downgrade());
    }

    /// A function by its name, with or without an alias, or by its ARN.
    fn find(&self, name: &str) -> Option<Function> {
        let name = name.replace("%3A", ":");
        let name = name.split_once(":function:").map_or(name.as_str(), |(_, name)| name);
        let name = name.split(':').next().unwrap_or_default();
        let functions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        functions.get(name)?.upgrade()
    }
}

/// Answers an invocation as Lambda does: a function's own failure is a 200 with a header that says so.
pub(super) async fn invoke(functions: &Functions, name: &str, body: &Bytes) -> Response {
    let Some(function) = functions.find(name) else {
        let message = format!("Function not found: {name}");
        return refused(StatusCode::NOT_FOUND, "ResourceNotFoundException", &message);
    };
    // Lambda gives a function without a payload an empty object.
    let payload = if body.is_empty() { b"{}".to_vec() } else { body.to_vec() };
    let error = match function.invoke_bytes(payload).await.result {
        Ok(answer) => return ([("content-type", "application/json")], answer).into_response(),
        Err(error) => error,
    };
    let message = error.to_string();
    match error {
        InvokeError::PayloadTooLarge { .. } => {
            refused(StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException", &message)
        }
        InvokeError::Stopped => refused(StatusCode::NOT_FOUND, "ResourceNotFoundException", &message),
        InvokeError::Function { error_type, message } => unhandled(&error_type, &message),
        InvokeError::TimedOut { .. } => unhandled("Sandbox.Timedout", &message),
        InvokeError::Crashed { .. } | InvokeError::Init(_) => unhandled("Runtime.ExitError", &message),
    }
}

fn unhandled(error_type: &str, message: &str) -> Response {
    let body = json!({ "errorType": error_type, "errorMessage": message }).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("x-amz-function-error", "Unhandled"),
    ];
    (headers, body).into_response()
}

fn refused(status: StatusCode, code: &'static str, message: &str) -> Response {
    let body = json!({ "Type": "User", "Message": message }).to_string();
    let headers = [("content-type", "application/json"), ("x-amzn-errortype", code)];
    (status, headers, body).into_response()
}
