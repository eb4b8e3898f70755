//! A server on loopback that answers AWS's JSON protocols with what a test says.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tidemark_aws::{AwsSettings, Clients, connect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One request as the server saw it: operation and body.
pub type Seen = Arc<Mutex<Vec<(String, Value)>>>;

/// What the server does with a request.
pub enum Answer {
    /// Answers with this status and body.
    Json(u16, Value),
    /// Never answers.
    Silence,
    /// Closes the connection.
    Close,
}

/// Starts a server with clients of it; `answer` is called with the number of the request (from 0), its operation and its body.
pub async fn serve(answer: impl Fn(usize, &str, &Value) -> Answer + Send + Sync + 'static) -> (Clients, Seen) {
    let (endpoint, seen) = serve_at(answer).await;
    (connect(&AwsSettings::local("eu-west-1", &endpoint, None)).await, seen)
}

/// Starts a server; where it listens.
pub async fn serve_at(answer: impl Fn(usize, &str, &Value) -> Answer + Send + Sync + 'static) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (seen, answer) = (Seen::default(), Arc::new(answer));
    let shared = seen.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(talk(stream, shared.clone(), answer.clone()));
        }
    });
    (endpoint, seen)
}

async fn talk(
    mut stream: TcpStream,
    seen: Seen,
    answer: Arc<impl Fn(usize, &str, &Value) -> Answer + Send + Sync + 'static>,
) {
    while let Some((operation, body)) = read_request(&mut stream).await {
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push((operation.clone(), body.clone()));
            seen.len() - 1
        };
        match answer(number, &operation, &body) {
            Answer::Json(status, body) => {
                let body = body.to_string();
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all(head.as_bytes()).await.unwrap();
                stream.write_all(body.as_bytes()).await.unwrap();
            }
            Answer::Silence => std::future::pending().await,
            Answer::Close => return,
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<(String, Value)> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0_u8; 65_536];
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let header = |name: &str| {
                head.lines()
                    .filter_map(|line| line.split_once(':'))
                    .find(|(found, _)| found.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value.trim().to_owned())
            };
            assert_eq!(
                header("transfer-encoding"),
                None,
                "bodies go out with their length, not in chunks"
            );
            let length: usize = header("content-length").unwrap_or_default().parse().unwrap_or(0);
            if bytes.len() >= end + 4 + length {
                let operation = header("x-amz-target").unwrap_or_default();
                let operation = operation.rsplit('.').next().unwrap_or_default().to_owned();
                return Some((
                    operation,
                    serde_json::from_slice(&bytes[end + 4..end + 4 + length]).unwrap(),
                ));
            }
        }
        match stream.read(&mut buffer).await {
            Ok(read) if read > 0 => bytes.extend_from_slice(&buffer[..read]),
            _ => return None,
        }
    }
}
