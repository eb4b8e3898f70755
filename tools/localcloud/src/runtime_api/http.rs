//! The HTTP side of the Runtime API. Each process has a listener of its own, so a call tells by itself whose it is.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use super::{InvokeError, PAYLOAD_BYTES_MAX};

/// The version of the Runtime API, as in its paths.
const VERSION: &str = "2018-06-01";
/// Bytes of a request: an answer of 6 MB, and as much again so that a larger one is told apart from a broken call.
const BODY_BYTES_MAX: usize = 2 * PAYLOAD_BYTES_MAX;

/// An invocation on its way to a process.
#[derive(Debug)]
pub(super) struct Job {
    pub request_id: String,
    pub payload: Vec<u8>,
    pub deadline_ms: i64,
    pub done: oneshot::Sender<Result<Vec<u8>, InvokeError>>,
}

type Done = oneshot::Sender<Result<Vec<u8>, InvokeError>>;

/// What a listener and its process share.
#[derive(Debug)]
pub(super) struct Channel {
    jobs: tokio::sync::Mutex<mpsc::Receiver<Job>>,
    current: Mutex<Option<(String, Done)>>,
    /// An error that the process reported while it started.
    init_error: mpsc::Sender<String>,
    arn: String,
}

impl Channel {
    pub(super) fn new(jobs: mpsc::Receiver<Job>, init_error: mpsc::Sender<String>, arn: String) -> Self {
        Self {
            jobs: tokio::sync::Mutex::new(jobs),
            current: Mutex::default(),
            init_error,
            arn,
        }
    }

    /// Ends the current invocation if it is the one named.
    fn finish(&self, request_id: &str, result: Result<Vec<u8>, InvokeError>) -> StatusCode {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match current.take() {
            Some((id, done)) if id == request_id => {
                let _ = done.send(result);
                StatusCode::ACCEPTED
            }
            other => {
                *current = other;
                StatusCode::BAD_REQUEST
            }
        }
    }
}

/// Serves one process until `stopped`.
pub(super) fn serve(listener: TcpListener, channel: Arc<Channel>, stopped: oneshot::Receiver<()>) {
    let app = Router::new()
        .route(&format!("/{VERSION}/runtime/invocation/next"), get(next))
        .route(
            &format!("/{VERSION}/runtime/invocation/{{id}}/response"),
            post(response),
        )
        .route(&format!("/{VERSION}/runtime/invocation/{{id}}/error"), post(error))
        .route(&format!("/{VERSION}/runtime/init/error"), post(init_error))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(channel);
    tokio::spawn(async move {
        let serve = axum::serve(listener, app);
        tokio::select! {
            _ = serve => {}
            _ = stopped => {}
        }
    });
}

async fn next(State(channel): State<Arc<Channel>>) -> Response {
    let Some(job) = channel.jobs.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let headers = [
        ("lambda-runtime-aws-request-id", job.request_id.clone()),
        ("lambda-runtime-deadline-ms", job.deadline_ms.to_string()),
        ("lambda-runtime-invoked-function-arn", channel.arn.clone()),
        (
            "lambda-runtime-trace-id",
            format!("Root=1-{:08x}-{:024x};Sampled=0", 0, 0),
        ),
        ("content-type", "application/json".to_owned()),
    ];
    *channel.current.lock().unwrap_or_else(PoisonError::into_inner) = Some((job.request_id, job.done));
    (headers, job.payload).into_response()
}

async fn response(State(channel): State<Arc<Channel>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    if body.len() > PAYLOAD_BYTES_MAX {
        let message = format!("the answer has {} bytes, more than 6 MB", body.len());
        let error_type = "Function.ResponseSizeTooLarge".to_owned();
        channel.finish(&id, Err(InvokeError::Function { error_type, message }));
        return StatusCode::PAYLOAD_TOO_LARGE;
    }
    channel.finish(&id, Ok(body.to_vec()))
}

async fn error(State(channel): State<Arc<Channel>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    let (error_type, message) = error_from(&body);
    channel.finish(&id, Err(InvokeError::Function { error_type, message }))
}

async fn init_error(State(channel): State<Arc<Channel>>, body: Bytes) -> StatusCode {
    let (error_type, message) = error_from(&body);
    let _ = channel.init_error.try_send(format!("{error_type}: {message}"));
    StatusCode::ACCEPTED
}

fn error_from(body: &[u8]) -> (String, String) {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |field: &str| value[field].as_str().unwrap_or("unknown").to_owned();
    (text("errorType"), text("errorMessage"))
}
