//! Lambda's functions over HTTP: invoke one, look at them. Nothing of them can be changed here.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use axum::http::{Method, StatusCode, request};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::runtime_api::{Function, InvokeError, WeakFunction};

use super::uri;
use crate::account::ACCOUNT;

/// How the paths begin.
const PATH: &str = "/2015-03-31/functions";
/// The hash of no bytes, as Lambda writes the hash of a function's code.
const NO_CODE_SHA256: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

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
        let functions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        functions.get(uri::function_name(name))?.upgrade()
    }

    fn all(&self) -> Vec<Function> {
        let functions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        functions.values().filter_map(WeakFunction::upgrade).collect()
    }
}

/// Answers a request about functions; nothing when it is about something else, or nothing that is here.
pub(super) async fn answer(functions: &Functions, parts: &request::Parts, body: &Bytes) -> Option<Response> {
    let path = uri::parts_after(&parts.uri, PATH)?;
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let found = |name: &str, answer: &dyn Fn(&Function) -> Value| match functions.find(name) {
        Some(function) => axum::Json(answer(&function)).into_response(),
        None => not_found(name),
    };
    Some(match (&parts.method, path.as_slice()) {
        (&Method::POST, [name, "invocations"]) => invoke(functions, name, body).await,
        (&Method::GET, []) => {
            let all: Vec<Value> = functions.all().iter().map(configuration).collect();
            axum::Json(json!({ "Functions": all })).into_response()
        }
        (&Method::GET, [name]) => found(name, &|function| {
            json!({
                "Configuration": configuration(function),
                "Code": { "RepositoryType": "S3", "Location": format!("file://{}", function.spec().binary.display()) },
                "Tags": {},
            })
        }),
        (&Method::GET, [name, "configuration"]) => found(name, &configuration),
        (&Method::GET, [name, "versions"]) => found(name, &|function| json!({ "Versions": [configuration(function)] })),
        (&Method::GET, [name, "aliases"]) => found(name, &|_| json!({ "Aliases": [] })),
        _ => return None,
    })
}

/// A function in Lambda's words.
fn configuration(function: &Function) -> Value {
    let spec = function.spec();
    let variables: BTreeMap<&str, &str> = spec.env.iter().map(|(name, value)| (&**name, &**value)).collect();
    json!({
        "FunctionName": spec.name, "FunctionArn": function.arn(), "Version": "$LATEST", "Description": "",
        "Runtime": "provided.al2023", "Handler": "bootstrap", "PackageType": "Zip",
        "Role": format!("arn:aws:iam::{ACCOUNT}:role/local"), "Architectures": [architecture()],
        "Timeout": spec.timeout_ms.div_ceil(1_000), "MemorySize": spec.memory_mb,
        "CodeSize": 0, "CodeSha256": NO_CODE_SHA256, "LastModified": "1970-01-01T00:00:00.000+0000",
        "State": "Active", "LastUpdateStatus": "Successful", "TracingConfig": { "Mode": "PassThrough" },
        "Environment": { "Variables": variables }, "EphemeralStorage": { "Size": 512 },
        "LoggingConfig": { "LogFormat": "Text", "LogGroup": format!("/aws/lambda/{}", spec.name) },
    })
}

const fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "x86_64"
    }
}

/// Answers an invocation as Lambda does: a function's own failure is a 200 with a header that says so.
async fn invoke(functions: &Functions, name: &str, body: &Bytes) -> Response {
    let Some(function) = functions.find(name) else {
        return not_found(name);
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

fn not_found(name: &str) -> Response {
    let message = format!("Function not found: {name}");
    refused(StatusCode::NOT_FOUND, "ResourceNotFoundException", &message)
}

pub(super) fn refused(status: StatusCode, code: &'static str, message: &str) -> Response {
    let body = json!({ "Type": "User", "Message": message }).to_string();
    let headers = [("content-type", "application/json"), ("x-amzn-errortype", code)];
    (status, headers, body).into_response()
}
