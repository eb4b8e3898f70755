//! `tidemark send` as its users meet it: order whatever fails, lines that can't be sent, other files than JSON lines.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Output;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use localcloud::{FaultKind, FaultPlan, LocalCloud, LocalConfig, Names, Service};
use serde_json::{Value, json};
use tidemark_aws::admin::ReadFrom;
use tidemark_domain::contract::aggregate::take_apart;

pub struct Bench {
    pub cloud: LocalCloud,
    pub names: Names,
    pub folder: tempfile::TempDir,
}

impl Bench {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = LocalConfig::new(folder.path()).with_faults(3);
        let cloud = LocalCloud::start(config).await.unwrap();
        let names = Names {
            shards: 2,
            ..Names::default()
        };
        cloud.provision(&names).await.unwrap();
        Self { cloud, names, folder }
    }

    fn file(&self, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join("events.jsonl");
        std::fs::write(&path, bytes).unwrap();
        path
    }

    async fn send(&self, code: i32, bytes: &[u8], more: &[&str]) -> Value {
        let path = self.file(bytes);
        let input = ["--json", "send", "-i", path.to_str().unwrap()];
        let output = command(&[&input, more].concat(), self.cloud.endpoint()).await;
        document(code, &output)
    }

    /// The events of the stream, in the order of their shards.
    pub async fn payloads(&self) -> Vec<Value> {
        let admin = self.cloud.admin();
        let stream = &self.names.transactions_stream;
        let mut payloads = Vec::new();
        for shard in admin.list_shards(stream).await.unwrap() {
            let mut next = Some(admin.iterator(stream, &shard.id, &ReadFrom::Oldest).await.unwrap());
            while let Some(iterator) = next {
                let page = admin.records(&iterator, 10_000).await.unwrap();
                next = page.next.filter(|_| page.behind_ms > 0);
                for record in &page.records {
                    let parts = match take_apart(&record.data).unwrap() {
                        Some(parts) => parts.into_iter().map(|part| part.data).collect(),
                        None => vec![record.data.as_slice()],
                    };
                    payloads.extend(
                        parts
                            .into_iter()
                            .map(|part| serde_json::from_slice::<Value>(part).unwrap()),
                    );
                }
            }
        }
        payloads
    }

    /// The numbers of the events, by card, in the order of their shards.
    async fn events(&self) -> BTreeMap<String, Vec<u64>> {
        let mut events: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for event in self.payloads().await {
            let card = event["card_id"].as_str().unwrap().to_owned();
            events.entry(card).or_default().push(event["n"].as_u64().unwrap());
        }
        events
    }
}

pub async fn command(arguments: &[&str], endpoint: &str) -> Output {
    tokio::process::Command::new(env!("CARGO_BIN_EXE_tidemark"))
        .args(arguments)
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env_remove("TIDEMARK_PREFIX")
        .output()
        .await
        .unwrap()
}

pub fn document(code: i32, output: &Output) -> Value {
    let stdout = String::from_utf8(output.stdout.clone()).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stdout} {stderr}");
    serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{e}: {stdout} {stderr}"))
}

fn event(card: u64, number: u64) -> String {
    format!(r#"{{"card_id":"card-{card}","n":{number},"x":"{}"}}"#, "x".repeat(300))
}

/// Events of 33 cards, one of them with every fifth event.
fn stream(events: u64) -> String {
    let card = |number: u64| if number.is_multiple_of(5) { 0 } else { number * 7 % 40 };
    (0..events).fold(String::new(), |mut text, number| {
        writeln!(text, "{}", event(card(number), number)).unwrap();
        text
    })
}

/// The order in which each event came first.
fn first_ones(numbers: &[u64]) -> Vec<u64> {
    let mut seen = std::collections::BTreeSet::new();
    numbers.iter().copied().filter(|number| seen.insert(*number)).collect()
}

#[tokio::test]
async fn a_cards_events_keep_their_order_whatever_kinesis_refuses() {
    for aggregate in [false, true] {
        let bench = Bench::start().await;
        let faults = bench.cloud.faults().unwrap();
        faults.add(FaultPlan::new(Service::Kinesis, FaultKind::Partial { share: 0.3 }, 0.8).on("PutRecords"));
        faults.add(FaultPlan::new(Service::Kinesis, FaultKind::Throttle, 0.1).on("PutRecords"));
        faults.add(FaultPlan::new(Service::Kinesis, FaultKind::DropAfterApply, 0.1).on("PutRecords"));
        let more: &[&str] = if aggregate { &["--aggregate"] } else { &[] };
        let sent = bench.send(0, stream(900).as_bytes(), more).await;
        assert_eq!(sent["sent"], 900, "{sent}");
        faults.clear();
        let events = bench.events().await;
        assert_eq!(events.len(), 33);
        let mut total = 0;
        for (card, numbers) in events {
            let numbers = first_ones(&numbers);
            total += numbers.len();
            assert!(numbers.is_sorted(), "{card}, aggregated {aggregate}: {numbers:?}");
        }
        assert_eq!(total, 900, "aggregated {aggregate}");
    }
}

#[tokio::test]
async fn lines_that_no_record_can_hold_are_named_and_all_others_are_sent() {
    const LIMIT: usize = 1 << 20;
    let bench = Bench::start().await;
    let mut text = b"\xef\xbb\xbf".to_vec();
    text.extend(event(1, 1).as_bytes());
    text.extend(b"\r\n\r\n");
    // Line 3 is too long by itself, line 4 with its key.
    let padded = |bytes: usize| {
        let start = r#"{"card_id":"card-2","n":2,"x":""#;
        format!("{start}{}\"}}", "x".repeat(bytes - start.len() - 2))
    };
    for bytes in [LIMIT + 1, LIMIT - 3, LIMIT - 6] {
        text.extend(padded(bytes).as_bytes());
        text.push(b'\n');
    }
    text.extend(event(1, 6).as_bytes());
    for more in [&[][..], &["--aggregate"]] {
        let sent = bench.send(1, &text, more).await;
        let mut refused = vec![
            json!({"line": 3, "code": "too_large", "why": format!("{} bytes, at most {LIMIT} are taken", LIMIT + 1)}),
            json!({"line": 4, "code": "too_large"}),
        ];
        if more.len() == 1 {
            // There the key is its lane's, which is longer than the card.
            refused.push(json!({"line": 5, "code": "too_large"}));
        }
        assert_eq!(sent["sent"], 5 - refused.len());
        assert_eq!(sent["refused_total"], refused.len());
        assert_eq!(sent["refused"], Value::from(refused));
    }
    assert_eq!(bench.events().await["card-1"], [1, 6, 1, 6]);
}

#[tokio::test]
async fn other_files_than_json_lines_are_called_by_their_name_and_nothing_is_sent() {
    let bench = Bench::start().await;
    let utf16: Vec<u8> = "\u{feff}{\"a\":1}\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    for (bytes, name) in [
        (
            &b"event_id,card_id,amount\ne1,c1,12\n"[..],
            "looks like CSV: event_id,card_id,amount",
        ),
        (&utf16, "UTF-16"),
        (b"[\n{}\n]", "JSON array"),
    ] {
        let error = &bench.send(5, bytes, &[]).await["error"];
        assert_eq!(error["code"], "not_json_lines");
        assert!(error["what"].as_str().unwrap().contains(name), "{error}");
    }
    assert!(bench.events().await.is_empty());
}

#[tokio::test]
async fn a_stream_that_is_not_there_ends_it_and_says_from_which_line_on() {
    let bench = Bench::start().await;
    let error = &bench.send(4, stream(700).as_bytes(), &["--prefix", "absent"]).await["error"];
    assert_eq!(error["code"], "send");
    let what = error["what"].as_str().unwrap();
    assert!(what.contains("stream absent-transactions"), "{what}");
    assert!(
        what.ends_with("; 0 events were sent, and line 1 is the first that was not"),
        "{what}"
    );
}

/// A Kinesis that refuses calls by what is in them.
async fn picky(refuses: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> (String, Arc<Mutex<Vec<Vec<u8>>>>) {
    let taken: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let (kept, refuses) = (Arc::clone(&taken), Arc::new(refuses));
    let app = axum::Router::new().fallback(move |body: axum::body::Bytes| {
        let (kept, refuses) = (Arc::clone(&kept), Arc::clone(&refuses));
        async move {
            let request: Value = serde_json::from_slice(&body).unwrap();
            let data = |record: &Value| {
                let text = record["Data"].as_str().unwrap();
                base64::engine::general_purpose::STANDARD.decode(text).unwrap()
            };
            let records: Vec<Vec<u8>> = request["Records"].as_array().unwrap().iter().map(data).collect();
            let json = [("content-type", "application/x-amz-json-1.1")];
            if records.iter().any(|record| refuses(record)) {
                let body = json!({"__type": "ValidationException", "message": "a record"}).to_string();
                return (axum::http::StatusCode::BAD_REQUEST, json, body);
            }
            let each = json!({"SequenceNumber": "1", "ShardId": "shardId-000000000000"});
            let body = json!({"FailedRecordCount": 0, "Records": vec![each; records.len()]}).to_string();
            kept.lock().unwrap().extend(records);
            (axum::http::StatusCode::OK, json, body)
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (endpoint, taken)
}

#[tokio::test]
async fn a_record_that_kinesis_refuses_is_named_by_its_line_and_the_others_are_taken() {
    let (endpoint, taken) = picky(|record| record.windows(8).any(|part| part == b"\"n\":777,")).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    std::fs::write(&path, stream(1_500)).unwrap();
    let output = command(&["--json", "send", "-i", path.to_str().unwrap()], &endpoint).await;
    let sent = document(1, &output);
    assert_eq!(sent["sent"], 1_499);
    assert_eq!(sent["refused"], json!([{"line": 778, "code": "ValidationException"}]));
    assert_eq!(taken.lock().unwrap().len(), 1_499);
    // And for a person.
    let output = command(&["send", "-i", path.to_str().unwrap()], &endpoint).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("line 778 was left out: ValidationException"),
        "{stderr}"
    );
}

#[tokio::test]
async fn when_every_record_is_refused_it_is_not_for_what_they_hold() {
    let (endpoint, _) = picky(|_| true).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let lines: String = (0..400).map(|card| event(card, card) + "\n").collect();
    std::fs::write(&path, lines).unwrap();
    let output = command(&["--json", "send", "-i", path.to_str().unwrap()], &endpoint).await;
    let error = &document(4, &output)["error"];
    assert!(
        error["what"]
            .as_str()
            .unwrap()
            .contains("every record is refused (ValidationException)"),
        "{error}"
    );
}
