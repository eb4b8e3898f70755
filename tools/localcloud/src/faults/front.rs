//! The door that every request comes through: the fault layer, then the service behind it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use axum::http::{HeaderMap, Request, Response, StatusCode, request};
use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self as client, SendRequest};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinSet;

use super::partial::Cut;
use super::plan::{FaultKind, Service};
use super::table_limit::{Admission, TableLimit};
use super::{Faults, Treatment, answer, partial};
use crate::clock::{now_ms, sleep_ms};
use crate::loopback;

/// Bytes of a request: a PutRecords of 5 MiB in base64, and its keys; DynamoDB's 16 MB.
const BODY_BYTES_MAX: usize = 16 << 20;
/// Bytes of an answer that is put together with refused items: a BatchGetItem's 16 MB.
const ANSWER_BYTES_MAX: usize = 32 << 20;

/// Answers requests in this process.
pub(crate) type Answer = Arc<dyn Fn(request::Parts, Bytes) -> BoxFuture<'static, Response<Body>> + Send + Sync>;

/// What stands behind the door.
#[derive(Clone)]
pub(crate) enum Backend {
    /// A function of this process; what is for DynamoDB goes to the store on loopback.
    Local { answer: Answer, store: SocketAddr },
    /// A server on loopback. Each connection in front has one of its own behind.
    Upstream(SocketAddr),
}

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is dropped without an answer, as a fault plan says")]
struct Dropped;

/// Serves until `stopped` resolves; connections end with it.
pub(crate) async fn serve(listener: TcpListener, backend: Backend, faults: Faults, mut stopped: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => return,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, backend.clone(), faults.clone()));
                }
                // Out of file handles, mostly: others are closed soon.
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    sleep_ms(10).await;
                }
            },
        }
    }
}

async fn connection(stream: TcpStream, backend: Backend, faults: Faults) {
    let _ = stream.set_nodelay(true);
    let door = Arc::new(Door {
        backend,
        faults,
        upstream: Mutex::default(),
    });
    let service = service_fn(move |request| {
        let door = Arc::clone(&door);
        async move { door.pass(request).await }
    });
    if let Err(error) = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await
    {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// One connection's way through the fault layer.
struct Door {
    backend: Backend,
    faults: Faults,
    upstream: Mutex<Option<SendRequest<Body>>>,
}

impl Door {
    async fn pass(&self, request: Request<Incoming>) -> Result<Response<Body>, Dropped> {
        let (parts, body) = request.into_parts();
        if !loopback::is_named(&parts.headers) {
            return Ok(misdirected());
        }
        let Ok(body) = axum::body::to_bytes(Body::new(body), BODY_BYTES_MAX).await else {
            return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE));
        };
        let Some((service, operation)) = target(&parts.headers) else {
            return Ok(self.forward(&parts, body).await);
        };
        let treatment = self.faults.decide(service, &operation, &body);
        if treatment.delay_ms > 0 {
            sleep_ms(treatment.delay_ms).await;
        }
        match treatment.fault {
            None | Some(FaultKind::Delay { .. }) => Ok(match self.faults.table_limit() {
                Some(limit) if service == Service::DynamoDb => self.within(limit, &operation, &parts, body).await,
                _ => self.forward(&parts, body).await,
            }),
            Some(FaultKind::DropBefore) => Err(Dropped),
            Some(FaultKind::DropAfterApply) => {
                let _ = self.forward(&parts, body).await;
                Err(Dropped)
            }
            Some(FaultKind::Partial { share }) => {
                Ok(self.partly(service, &operation, (&parts, body), share, treatment).await)
            }
            Some(FaultKind::NothingThere) => Ok(answer::nothing_there(service)),
            Some(kind) => Ok(answer::refusal(service, kind)),
        }
    }

    async fn forward(&self, parts: &request::Parts, body: Bytes) -> Response<Body> {
        let address = match &self.backend {
            Backend::Local { store, .. } if is_for_table(&parts.headers) => *store,
            Backend::Local { answer, .. } => return answer(parts.clone(), body).await,
            Backend::Upstream(address) => *address,
        };
        self.send(address, parts, body).await.unwrap_or_else(|error| {
            tracing::error!(%error, "the service behind the door does not answer");
            plain(StatusCode::BAD_GATEWAY)
        })
    }

    async fn send(
        &self,
        address: SocketAddr,
        parts: &request::Parts,
        body: Bytes,
    ) -> Result<Response<Body>, SendError> {
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = parts.uri.clone();
        *request.headers_mut() = parts.headers.clone();
        // The body is whole here, and may be another than the one that came.
        request.headers_mut().remove(CONTENT_LENGTH);
        request.headers_mut().remove(TRANSFER_ENCODING);
        let mut upstream = self.upstream.lock().await;
        let sender = match &mut *upstream {
            Some(sender) if !sender.is_closed() => sender,
            none => none.insert(connect(address).await?),
        };
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        Ok(response.map(Body::new))
    }

    /// Applies a part of a batch request, and refuses the rest in the answer's own way.
    async fn partly(
        &self,
        service: Service,
        operation: &str,
        (parts, body): (&request::Parts, Bytes),
        share: f64,
        treatment: Treatment,
    ) -> Response<Body> {
        let Some(cut) = partial::cut(operation, &body, share, treatment.seed) else {
            let has_items = matches!(
                operation,
                "BatchGetItem" | "BatchWriteItem" | "BatchExecuteStatement" | "PutRecords" | "SendMessageBatch"
            );
            return if has_items {
                self.forward(parts, body).await
            } else {
                answer::refusal(service, FaultKind::Throttle)
            };
        };
        self.rest_of(service, parts, cut).await
    }

    /// Applies what is left of a request that was cut, and puts the answer together.
    async fn rest_of(&self, service: Service, parts: &request::Parts, cut: Cut) -> Response<Body> {
        let mut answered: Option<Value> = None;
        if let Some(rest) = &cut.rest {
            let response = self.forward(parts, Bytes::from(rest.to_string())).await;
            if !response.status().is_success() {
                return response;
            }
            answered = axum::body::to_bytes(response.into_body(), ANSWER_BYTES_MAX)
                .await
                .ok()
                .and_then(|bytes| serde_json::from_slice(&bytes).ok());
            if answered.is_none() {
                return plain(StatusCode::BAD_GATEWAY);
            }
        }
        let mut response = Response::new(Body::from(partial::join(cut, answered).to_string()));
        response
            .headers_mut()
            .insert("content-type", answer::content_type(service));
        response
    }

    /// Applies a request to the table as far as the capacity of its partitions goes.
    async fn within(&self, limit: &TableLimit, operation: &str, parts: &request::Parts, body: Bytes) -> Response<Body> {
        let (response, consistent) = match limit.admit(operation, &body, now_ms()) {
            Admission::Pass => return self.forward(parts, body).await,
            Admission::Refuse => return answer::refusal(Service::DynamoDb, FaultKind::Throttle),
            Admission::Count => {
                let consistent = is_consistent(&body);
                (self.forward(parts, body).await, consistent)
            }
            Admission::Cut(cut) if operation != "BatchGetItem" => {
                return self.rest_of(Service::DynamoDb, parts, cut).await;
            }
            Admission::Cut(cut) => (self.rest_of(Service::DynamoDb, parts, cut).await, is_consistent(&body)),
        };
        let (head, body) = response.into_parts();
        let Ok(body) = axum::body::to_bytes(body, ANSWER_BYTES_MAX).await else {
            return plain(StatusCode::BAD_GATEWAY);
        };
        if let Ok(answer) = serde_json::from_slice(&body) {
            limit.count(&answer, consistent, now_ms());
        }
        Response::from_parts(head, Body::from(body))
    }
}

/// Why the service behind did not answer.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error(transparent)]
    Connect(#[from] std::io::Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Body>, SendError> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = client::handshake(TokioIo::new(stream)).await?;
    // It ends when the sender is dropped, which is with the connection in front.
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to the service behind ended early");
        }
    });
    Ok(sender)
}

/// The answer to a request that names another host.
fn misdirected() -> Response<Body> {
    let mut response = plain(StatusCode::MISDIRECTED_REQUEST);
    *response.body_mut() = Body::from("The local AWS answers to localhost, 127.0.0.1 and [::1] only.\n");
    response
}

/// Whether a request asks for strongly consistent reads.
fn is_consistent(body: &[u8]) -> bool {
    const ASKED: &[u8] = br#""ConsistentRead":true"#;
    body.windows(ASKED.len()).any(|window| window == ASKED)
}

fn plain(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn is_for_table(headers: &HeaderMap) -> bool {
    target(headers).is_some_and(|(service, _)| service == Service::DynamoDb)
}

/// The service and operation that a request's headers name.
fn target(headers: &HeaderMap) -> Option<(Service, String)> {
    let (prefix, operation) = headers.get("x-amz-target")?.to_str().ok()?.split_once('.')?;
    let service = match prefix {
        "DynamoDB_20120810" => Service::DynamoDb,
        "Kinesis_20131202" => Service::Kinesis,
        "AmazonSQS" => Service::Sqs,
        _ => return None,
    };
    Some((service, operation.to_owned()))
}
