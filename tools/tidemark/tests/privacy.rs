//! I9: no card number, no payload and no secret reaches what the functions write or answer. The real functions run at their
//! loudest over seeded events, good and broken, while services fail, and everything that they emit is searched.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use localcloud::{FaultKind, FaultPlan, Function, InvokeError, Service};
use rehearse::demo::signals::Signals;
use rehearse::stack::{Stack, StackOptions};
use serde_json::{Value, json};
use tidemark_aws::admin::PutRecord;
use tidemark_domain::contract::aggregate;
use tidemark_domain::policy::Policy;
use tidemark_telemetry::Metric;

/// In every field of every event: a word that nothing else says.
const MARKER: &str = "xylographer";
/// Stands for a secret in the environment.
const SECRET: &str = "quokkasecret";
/// Card numbers that are seeded.
const CARDS: u64 = 40;
/// So many digits in a row of a card number are one too many.
const DIGITS: usize = 12;
/// When the batch of good events happened, before now.
const AGE_MS: i64 = 60_000;

fn binary(name: &str) -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_tidemark")).with_file_name(name);
    assert!(
        binary.is_file(),
        "{} is missing: run `cargo test --workspace`, which builds it",
        binary.display()
    );
    binary
}

/// Card number `at`: sixteen digits with a valid check digit.
fn card_number(at: u64) -> String {
    // Scattered without a generator: a multiplication spreads consecutive numbers over the range.
    let body = 400_000_000_000_000 + (at + 7).wrapping_mul(0x9E37_79B9_7F4A_7C15) % 99_999_999_999_999;
    let digits = body.to_string();
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0');
            let doubled = if place % 2 == 0 { digit * 2 } else { digit };
            if doubled > 9 { doubled - 9 } else { doubled }
        })
        .sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

fn spaced(number: &str, between: &str) -> String {
    let groups: Vec<&str> = (0..4).map(|group| &number[group * 4..group * 4 + 4]).collect();
    groups.join(between)
}

/// Everything that must not appear, with what it is.
fn forbidden() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for word in [MARKER, SECRET] {
        all.push((word.to_owned(), word.to_owned()));
        all.push((format!("{word} in hex"), hex(word)));
        let list: Vec<String> = word.bytes().map(|byte| byte.to_string()).collect();
        all.push((format!("{word} as a list of bytes"), list.join(", ")));
        all.push((format!("{word} as a dense list of bytes"), list.join(",")));
        all.extend(in_base64(word));
    }
    for number in (0..CARDS).map(card_number) {
        for from in 0..=number.len() - DIGITS {
            all.push(("a card number".to_owned(), number[from..from + DIGITS].to_owned()));
        }
        for between in [" ", "-", "."] {
            all.push(("a card number in groups".to_owned(), spaced(&number, between)));
        }
        all.extend(in_base64(&number));
    }
    all
}

fn hex(word: &str) -> String {
    word.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// The word as it looks inside of base64: at each of the three places where it may begin.
fn in_base64(word: &str) -> Vec<(String, String)> {
    let at = |before: usize| {
        let bytes = [&vec![b'x'; before][..], word.as_bytes()].concat();
        let whole = bytes.len() / 3 * 3;
        // What depends on the neighbours is cut off.
        let encoded = STANDARD.encode(&bytes[..whole]);
        let skipped = before.div_ceil(3) * 4;
        (format!("{word} in base64"), encoded[skipped..].to_owned())
    };
    (0..3).map(at).collect()
}

/// What of `forbidden` a text holds, in lower case or as it is.
fn leaks(text: &str, forbidden: &[(String, String)]) -> Vec<String> {
    let lower = text.to_lowercase();
    let found = forbidden
        .iter()
        .filter(|(_, what)| text.contains(what.as_str()) || lower.contains(what.as_str()));
    found.map(|(name, what)| format!("{name}: {what}")).collect()
}

#[test]
fn the_search_finds_each_form_of_a_leak() {
    let forbidden = forbidden();
    let number = card_number(3);
    for text in [
        format!("card {number}."),
        format!("card {}.", spaced(&number, " ")),
        format!("masked too little: ***{}", &number[3..15]),
        format!(
            "{{\"payload\":\"{}\"}}",
            STANDARD.encode(format!("{{\"card_id\":\"{number}\"}}"))
        ),
        format!("data: {}", URL_SAFE.encode(format!("..{MARKER}"))),
        format!("{:?}", format!("a{MARKER}").as_bytes()),
        format!("event {}", MARKER.to_uppercase()),
        format!("0x{}", hex(MARKER)),
        format!("key={SECRET}"),
    ] {
        assert!(!leaks(&text, &forbidden).is_empty(), "not found: {text}");
    }
    let harmless = "49590338271490256608559692538361571095921575989136588898 1760000000000 TM-2003 0.000123456789";
    assert_eq!(leaks(harmless, &forbidden), Vec::<String>::new());
}

/// A transaction that is accepted, with the marker wherever text may stand.
fn transaction(at: u64, now_ms: i64) -> Value {
    json!({
        "schema": "transaction", "version": 2, "event_id": format!("{MARKER}-event-{at}"),
        "card_id": format!("{MARKER}-card-{}", at % 20), "occurred_at_ms": now_ms - AGE_MS + i64::try_from(at).unwrap(),
        "amount_minor": 100 + at, "currency": "EUR", "merchant_id": format!("{MARKER}-{}", at % 7), "mcc": 5411,
        "country": "FR", "channel": "ecommerce", "approved": true, "device_id": format!("{MARKER}-device"),
        "note": format!("paid by {MARKER}"),
    })
}

fn with(mut event: Value, field: &str, value: Value) -> Vec<u8> {
    event[field] = value;
    event.to_string().into_bytes()
}

/// Payloads that are wrong in every way that tempts somebody to quote them.
fn broken(at: u64, now_ms: i64) -> Vec<Vec<u8>> {
    let (number, good) = (card_number(at), || transaction(10_000 + at, now_ms));
    let whole = good().to_string();
    let mut aggregate = vec![0xF3, 0x89, 0x9A, 0xC2];
    aggregate.extend(format!("{MARKER} {number}").as_bytes());
    vec![
        whole.as_bytes()[..whole.len() - 9].to_vec(),
        number.clone().into_bytes(),
        format!("\"{}\"", spaced(&number, " ")).into_bytes(),
        format!("{{\"{number}\":\"{MARKER}\"}}").into_bytes(),
        [b"\xff\xfe{\"card_id\":\"", number.as_bytes(), MARKER.as_bytes()].concat(),
        aggregate,
        with(good(), "card_id", json!(number)),
        with(good(), "card_id", json!(spaced(&number, "-"))),
        with(good(), "card_id", json!(format!("{MARKER} {number}").repeat(40))),
        with(good(), "event_id", json!(format!("{number}\u{0}{MARKER}"))),
        with(good(), "amount_minor", json!(number)),
        with(good(), "amount_minor", json!(-1)),
        with(good(), "occurred_at_ms", json!(format!("{MARKER} {number}"))),
        with(good(), "occurred_at_ms", json!(number.parse::<u64>().unwrap())),
        with(good(), "currency", json!(MARKER)),
        with(good(), "country", json!(number)),
        with(good(), "channel", json!(MARKER)),
        with(good(), "schema", json!(number)),
        with(good(), "schema", json!(MARKER)),
        with(good(), "version", json!(number.parse::<u64>().unwrap())),
        with(good(), "merchant_id", json!({ MARKER: number })),
        json!({
            "schema": "label", "version": 1, "event_id": format!("{MARKER}-none-{at}"), "card_id": format!("{MARKER}-card-1"),
            "verdict": "fraud", "known_since_ms": now_ms,
        })
        .to_string()
        .into_bytes(),
        json!({ "schema": "label", "version": 1, "event_id": number, "card_id": MARKER, "verdict": number })
            .to_string()
            .into_bytes(),
        json!({ "schema": "profile", "version": 1, "card_id": number, "profile_version": MARKER, "usual_country": number })
            .to_string()
            .into_bytes(),
    ]
}

/// A transaction with a card number in its text, which is refused.
fn with_number(at: u64, now_ms: i64) -> Vec<u8> {
    let note = format!("paid with {}", card_number(at % CARDS));
    with(transaction(20_000 + at, now_ms), "note", json!(note))
}

/// Good and broken events; partition keys are card numbers, as a careless producer's.
fn stream(now_ms: i64) -> Vec<PutRecord> {
    let good = (0..400).map(|at| transaction(at, now_ms).to_string().into_bytes());
    let numbers = (0..CARDS).map(|at| with_number(at, now_ms));
    let broken = (0..CARDS).flat_map(|at| broken(at, now_ms));
    let payloads = good.chain(numbers).chain(broken).enumerate();
    payloads
        .map(|(at, data)| PutRecord {
            partition_key: card_number(at as u64 % CARDS),
            data,
        })
        .collect()
}

/// Invocations that are no batch, or one that can't be told apart.
fn misshapen(now_ms: i64) -> Vec<Value> {
    let number = card_number(1);
    let data = STANDARD.encode(transaction(1, now_ms).to_string());
    let record = |sequence_number: Value, data: Value| {
        json!({ "Records": [{
            "kinesis": {
                "kinesisSchemaVersion": "1.0", "partitionKey": number, "sequenceNumber": sequence_number, "data": data,
                "approximateArrivalTimestamp": 1_760_000_000.0,
            },
            "eventSource": "aws:kinesis", "eventID": MARKER, "eventSourceARN": MARKER,
        }]})
    };
    vec![
        json!({ "card": number, "what": MARKER }),
        json!([MARKER, number]),
        json!(number),
        json!({ "Records": number }),
        json!({ "Records": [MARKER, number] }),
        record(json!(null), json!(data)),
        record(json!(format!("{number}{MARKER}")), json!(data)),
        record(json!(format!("1{number}")), json!({ MARKER: number })),
        record(json!(format!("2{number}")), json!(format!("{MARKER}!{number}"))),
    ]
}

/// What a function answers, errors in their own words.
async fn answers(function: &Function, payloads: &[Value]) -> String {
    let mut text = String::new();
    for payload in payloads {
        text += &match function.invoke(payload).await {
            Ok(answer) => answer.to_string(),
            Err(InvokeError::Function { error_type, message }) => format!("{error_type}: {message}"),
            Err(other) => panic!("{other}"),
        };
        text.push('\n');
    }
    text
}

/// Requests to the redrive function, some of them none, and messages that it has to look at.
async fn redrive(stack: &Stack) -> String {
    let admin = stack.cloud.admin();
    let number = card_number(2);
    for body in [
        format!("{MARKER} {number}"),
        json!({ "card": number, "what": MARKER }).to_string(),
        json!({ "KinesisBatchInfo": { "shardId": MARKER, "startSequenceNumber": MARKER, "batchSize": number } })
            .to_string(),
        json!({ "schema": "quarantine", "version": 1, "code": MARKER, "payload_base64": number }).to_string(),
    ] {
        for url in [
            &stack.provisioned.dead_letter_queue_url,
            &stack.provisioned.quarantine_queue_url,
        ] {
            admin.send(url, &body).await.unwrap();
        }
    }
    let requests = [
        // As the template's rule asks every five minutes.
        json!({ "source": "dead_letter", "look": true }),
        json!({ "source": "quarantine" }),
        json!({ "source": "dead_letter" }),
        json!({ "source": MARKER, "dry_run": number }),
        json!({ "source": "range", "range": { "shard_id": MARKER, "from_sequence_number": MARKER } }),
        json!(MARKER),
        json!({ "source": "quarantine", "cursor": { MARKER: number } }),
    ];
    match &stack.redrive {
        Some(function) => answers(function, &requests).await,
        None => panic!("the redrive function's binary is missing"),
    }
}

fn plans() -> [FaultPlan; 6] {
    [
        FaultPlan::new(Service::DynamoDb, FaultKind::Throttle, 0.1),
        FaultPlan::new(Service::DynamoDb, FaultKind::DropAfterApply, 0.1),
        FaultPlan::new(Service::Kinesis, FaultKind::Error500, 0.3).at("tidemark-scores"),
        FaultPlan::new(Service::Kinesis, FaultKind::Partial { share: 0.3 }, 0.3).at("tidemark-scores"),
        FaultPlan::new(Service::Sqs, FaultKind::Partial { share: 0.3 }, 0.3),
        FaultPlan::new(Service::Sqs, FaultKind::DropBefore, 0.1).on("SendMessageBatch"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_payload_reaches_what_the_functions_emit() {
    let (folder, score) = (tempfile::tempdir().unwrap(), binary("score"));
    binary("redrive");
    let mut options = StackOptions::new(folder.path(), 2, Some(&score), true);
    options.fault_seed = Some(9);
    options.mapping.batch_size = 60;
    options.mapping.batching_window_ms = 0;
    // With keys and a rule, so that labels and rules are told of, too.
    let policy = folder.path().join("keys.toml");
    let keys = "[[keys]]\nname = \"terminal\"\nfield = \"merchant_id\"\nkeeps = \"labelled\"\n";
    let rules = "[[rules]]\nname = \"large\"\nwhen = \"event.amount_minor > 100\"\nthen = \"review\"\nreason = \"Large\"\nmode = \"observe\"\n";
    let text = Policy::default_text().replacen("version = 1\n", "version = 2\n", 1);
    std::fs::write(&policy, format!("{text}\n{keys}\n{rules}")).unwrap();
    options.env = [
        ("TIDEMARK_POLICY_FILE", policy.to_str().unwrap()),
        ("TIDEMARK_LOG_LEVEL", "debug"),
        ("RUST_LOG", "trace"),
        ("RUST_BACKTRACE", "1"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_SESSION_TOKEN", SECRET),
        // Misspelt: the function warns of it by its name.
        ("TIDEMARK_TABEL", SECRET),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    let stack = Stack::start_with(options).await.unwrap();
    let now_ms = terminal::clock::now_ms();
    for plan in plans() {
        stack.cloud.faults().unwrap().add(plan);
    }
    let records = stream(now_ms);
    for batch in records.chunks(200) {
        let put = stack
            .cloud
            .admin()
            .put_records(&stack.names.transactions_stream, batch)
            .await;
        put.unwrap();
    }
    stack.mapping.drained(120_000).await.unwrap();
    stack.cloud.faults().unwrap().clear();
    let answered = answers(&stack.function, &misshapen(now_ms)).await + &redrive(&stack).await;
    stack.mapping.drained(60_000).await.unwrap();
    let logs = [&stack.function, stack.redrive.as_ref().unwrap()].map(|function| {
        let log = std::fs::read(function.log_path()).unwrap();
        String::from_utf8_lossy(&log).into_owned()
    });
    stack.stop().await;
    let forbidden = forbidden();
    for (what, text) in [
        ("answers", &answered),
        ("score's log", &logs[0]),
        ("redrive's log", &logs[1]),
    ] {
        assert_eq!(leaks(text, &forbidden), Vec::<String>::new(), "{what}:\n{text}");
    }
    // It was a run worth searching: refusals, repeated calls, records that came again, warnings, refused invocations.
    for word in [
        "TM-1001",
        "TM-2001",
        "TM-2002",
        "\"_aws\"",
        "batch done",
        "\"WARN\"",
        "\"ERROR\"",
    ] {
        assert!(logs[0].contains(word), "no {word} in the log:\n{}", logs[0]);
    }
    assert!(
        logs[1].contains("redrive call done") && logs[1].contains("TM-50"),
        "{}",
        logs[1]
    );
    assert_every_metric_is_written(&logs);
}

/// Between the two functions, each metric of the enum is in a line of metrics: alarms watch no name that nothing writes.
fn assert_every_metric_is_written(logs: &[String; 2]) {
    let [score, redrive] = logs.each_ref().map(|log| Signals::read(log));
    let missing: Vec<&str> = Metric::ALL
        .iter()
        .map(|metric| metric.name())
        .filter(|name| !score.metrics.contains_key(*name) && !redrive.metrics.contains_key(*name))
        .collect();
    assert!(missing.is_empty(), "nothing wrote {missing:?}");
    // The good events were accepted, the others refused for every kind of reason, and calls failed on the way.
    let done = score.sum(Metric::Scored) + score.sum(Metric::Duplicate);
    assert!(done >= 400.0 && score.sum(Metric::Scored) > 0.0, "{score:#?}");
    for trouble in [Metric::UnknownFields, Metric::Retries, Metric::Throttles] {
        assert!(score.sum(trouble) > 0.0, "{trouble:?}: {score:#?}");
    }
    let reasons: Vec<&String> = score.metrics.keys().filter(|name| name.contains("{reason=")).collect();
    assert!(reasons.len() >= 10, "{reasons:?}");
    assert!(redrive.sum(Metric::RedriveUnrecoverable) > 0.0, "{redrive:#?}");
}

/// The magic number above is the one that the contract looks for.
#[test]
fn the_broken_aggregate_is_taken_for_one() {
    let payload = &broken(0, 0)[5];
    assert!(aggregate::take_apart(payload).is_err());
}
