//! Kinesis, SQS, Lambda, S3 and STS in the process, over HTTP on loopback, in the protocols that AWS's SDKs speak; what is for
//! DynamoDB goes on to its store.

mod fault;
mod kinesis;
mod kinesis_api;
mod kinesis_describe;
mod lambda;
mod mappings;
mod md5;
mod s3;
mod shard_limit;
mod sqs;
mod sts;
mod unknown;
mod uri;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::http::{StatusCode, request};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::clock::{now_ms, sleep_ms};
use crate::error::LocalError;
use crate::faults::{self, Backend, Faults};
use fault::Fault;
use kinesis::Streams;
use sqs::{Place, Queues};

pub(crate) use lambda::Functions;
pub(crate) use mappings::Mappings;

/// How often a receive that waits looks again, in milliseconds.
const RECEIVE_POLL_MS: u64 = 20;
/// The longest wait of a receive (SQS's 20 s), in milliseconds.
const RECEIVE_WAIT_MS_MAX: i64 = 20_000;

struct Shared {
    streams: Mutex<Streams>,
    queues: Mutex<Queues>,
    functions: Arc<Functions>,
    mappings: Arc<Mappings>,
    buckets: s3::Buckets,
    place: Place,
    faults: Option<Faults>,
}

/// A running server; it stops when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub endpoint: String,
    /// Where the cloud's own clients and its mappings come in: their reads do not count among the five that a shard gives all
    /// others in a second, as those of a consumer with enhanced fan-out do not.
    pub own_endpoint: String,
    /// What can be invoked.
    pub functions: Arc<Functions>,
    /// What can be turned off and on.
    pub mappings: Arc<Mappings>,
    _stop: [oneshot::Sender<()>; 2],
}

/// Starts the server on a port of 127.0.0.1 (0: a free one), for ARNs of that region; `store` is where the tables are.
pub(crate) async fn start(
    port: u16,
    region: &str,
    store: SocketAddr,
    faults: Option<&Faults>,
) -> Result<Server, LocalError> {
    let listener = listen(port).await?;
    let endpoint = format!("http://{}", listener.local_addr().map_err(LocalError::Listen)?);
    let functions = Arc::new(Functions::default());
    let mappings = Arc::new(Mappings::default());
    let own_listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(LocalError::Listen)?;
    let own_endpoint = format!("http://{}", own_listener.local_addr().map_err(LocalError::Listen)?);
    let streams = Streams {
        limited: faults.is_some_and(Faults::has_aws_limits),
        ..Streams::default()
    };
    let shared = Arc::new(Shared {
        streams: Mutex::new(streams),
        queues: Mutex::default(),
        functions: Arc::clone(&functions),
        mappings: Arc::clone(&mappings),
        buckets: s3::Buckets::default(),
        place: Place {
            endpoint: endpoint.clone(),
            region: region.to_owned(),
        },
        faults: faults.cloned(),
    });
    // A layer without plans costs nothing here: there is no second hop.
    let layer = faults.cloned().unwrap_or_else(|| Faults::new(0));
    let door = |listener, counts_reads| {
        let shared = Arc::clone(&shared);
        let answer: faults::Answer = Arc::new(move |parts, body| {
            let shared = Arc::clone(&shared);
            Box::pin(async move { answer(&shared, &parts, &body, counts_reads).await })
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let backend = Backend::Local { answer, store };
        tokio::spawn(faults::serve(listener, backend, layer.clone(), stopped));
        stop
    };
    let stop = [door(listener, true), door(own_listener, false)];
    Ok(Server {
        endpoint,
        own_endpoint,
        functions,
        mappings,
        _stop: stop,
    })
}

async fn listen(port: u16) -> Result<TcpListener, LocalError> {
    let listening = TcpListener::bind(("127.0.0.1", port)).await;
    listening.map_err(|source| match port {
        0 => LocalError::Listen(source),
        port => LocalError::Port { port, source },
    })
}

/// A poisoned lock means that a handler panicked; what it guards is still whole records and messages.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(shared: &Shared, parts: &request::Parts, body: &Bytes, counts_reads: bool) -> Response {
    let target = parts.headers.get("x-amz-target").and_then(|value| value.to_str().ok());
    match target.and_then(|target| target.split_once('.')) {
        Some(("Kinesis_20131202", operation)) => {
            let region = &shared.place.region;
            let own = shared.faults.as_ref().and_then(Faults::reads_limit);
            let mut streams = lock(&shared.streams);
            let reads_max = own.or_else(|| (counts_reads && streams.limited).then_some(shard_limit::READS_PER_SECOND));
            let result = kinesis_api::call(&mut streams, region, operation, body, reads_max, now_ms());
            drop(streams);
            return respond(result, "application/x-amz-json-1.1", "");
        }
        Some(("AmazonSQS", operation)) => {
            if operation == "ReceiveMessage" {
                wait_for_message(shared, body).await;
            }
            let result = sqs::call(&mut lock(&shared.queues), &shared.place, operation, body, now_ms());
            return respond(
                result.map(|value| value.to_string().into_bytes()),
                "application/x-amz-json-1.0",
                "com.amazonaws.sqs#",
            );
        }
        Some(_) => return unknown::answer(parts, body),
        None => {}
    }
    if let Some(answer) = s3::answer(&shared.buckets, parts, body) {
        return answer;
    }
    if let Some(answer) = mappings::answer(&shared.mappings, parts, body) {
        return answer;
    }
    if let Some(answer) = lambda::answer(&shared.functions, parts, body).await {
        return answer;
    }
    sts::answer(parts, body).unwrap_or_else(|| unknown::answer(parts, body))
}

async fn wait_for_message(shared: &Shared, body: &[u8]) {
    let wait_s = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|request| request["WaitTimeSeconds"].as_i64());
    let until_ms = now_ms() + (wait_s.unwrap_or(0) * 1000).clamp(0, RECEIVE_WAIT_MS_MAX);
    while now_ms() < until_ms && !lock(&shared.queues).has_message(body, now_ms()) {
        sleep_ms(RECEIVE_POLL_MS).await;
    }
}

fn respond(result: Result<Vec<u8>, Fault>, content_type: &'static str, namespace: &str) -> Response {
    match result {
        Ok(body) => ([("content-type", content_type)], body).into_response(),
        Err(Fault { code, message }) => {
            let status = if code == "InternalFailure" {
                StatusCode::INTERNAL_SERVER_ERROR
            } else {
                StatusCode::BAD_REQUEST
            };
            let body = json!({ "__type": format!("{namespace}{code}"), "message": message }).to_string();
            (
                status,
                [("content-type", content_type), ("x-amzn-errortype", code)],
                body,
            )
                .into_response()
        }
    }
}
