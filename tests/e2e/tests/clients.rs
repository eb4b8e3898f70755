//! The local AWS as people's own tools see it: the real boto3 and awscli against `tidemark local up`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "clients/operator.rs"]
mod operator;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use e2e::{binary_folder, run, venv};
use serde_json::{Value, json};

/// A `local up` of our own; it ends with the value.
struct LocalUp {
    process: Child,
    said: Value,
    _folder: tempfile::TempDir,
}

impl LocalUp {
    fn start(port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = command(port, &folder).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        Self {
            said: serde_json::from_str(&line).expect("one line of JSON"),
            process,
            _folder: folder,
        }
    }
}

impl Drop for LocalUp {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn command(port: u16, folder: &tempfile::TempDir) -> Command {
    let binaries = binary_folder().unwrap();
    let mut command = Command::new(binaries.join("tidemark"));
    command
        .args(["--json", "local", "up", "--shards", "3"])
        .args(["--port", &port.to_string()])
        .arg("--score-binary")
        .arg(binaries.join("score"))
        .arg("--data-dir")
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn the_calls_that_people_make_first_work_and_others_say_what_is_missing() {
    let port = free_port();
    let up = LocalUp::start(port);
    let endpoint = format!("http://127.0.0.1:{port}");
    assert_eq!(up.said["endpoint"], endpoint, "the port that was asked for");
    let mut doctor = Command::new(binary_folder().unwrap().join("tidemark"));
    let known = run(doctor.args(["--json", "doctor", "--endpoint", &endpoint])).unwrap();
    assert!(known.contains("the local AWS of tidemark"), "{known}");
    // Nothing but the one endpoint is named: DynamoDB is behind it too.
    let mut script = venv("clients").unwrap().script("first_calls.py");
    let found = run(script.env("AWS_ENDPOINT_URL", &endpoint)).unwrap();
    let found: Value = serde_json::from_str(&found).unwrap();

    let expected = json!({
        "account": "000000000000",
        "streams": ["tidemark-scores", "tidemark-transactions"],
        "stream_status": "ACTIVE",
        "pages_of_shards": [1, true, 2, false],
        "open_shards": 3,
        "shards_listed": 3,
        "read": ["no event"],
        "tables": ["tidemark-cards"],
        "table_status": "ACTIVE",
        "items": 0,
        "functions": ["tidemark-redrive", "tidemark-score"],
        "function_state": "Active",
        "handler": "bootstrap",
        "mappings": 1,
        "mappings_of_nobody": 0,
        "batch_size": 500,
        "paused": "Disabled",
        "resumed": "Enabled",
        "invoked": [200, null],
        "queues": 3,
        "messages": "arn:aws:sqs:eu-west-1:000000000000:tidemark-quarantine",
    });
    assert_eq!(found["boto3"], expected);

    for (service, code) in [
        ("kinesis", "UnknownOperationException"),
        ("sqs", "InvalidAction"),
        ("lambda", "UnknownOperationException"),
        ("lambda_nobody", "ResourceNotFoundException"),
        ("sts", "UnknownOperationException"),
        ("iam", "UnknownOperationException"),
        ("logs", "UnknownOperationException"),
        ("cloudwatch", "UnknownOperationException"),
        ("cloudformation", "UnknownOperationException"),
        ("s3", "UnknownOperationException"),
    ] {
        let words = &found["refused"][service];
        assert!(words["code"].as_str().unwrap().ends_with(code), "{service}: {words}");
        let message = words["message"].as_str().unwrap().to_lowercase();
        assert!(
            message.contains("the local ") || message.contains("not found: nobody"),
            "{service}: {words}"
        );
    }

    for (call, answer) in found["awscli"].as_object().unwrap() {
        let fails = call == "logs";
        assert_eq!(answer["status"] != 0, fails, "aws {call}: {answer}");
        let says = answer["stderr"].as_str().unwrap();
        assert!(!fails || says.contains("DescribeLogGroups of logs"), "{answer}");
    }
}

#[test]
fn a_port_that_is_taken_is_said_and_another_host_is_turned_away() {
    let up = LocalUp::start(0);
    let endpoint = up.said["endpoint"].as_str().unwrap();
    let address = endpoint.strip_prefix("http://").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let port = address.rsplit(':').next().unwrap().parse().unwrap();
    let output = command(port, &folder).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success());
    assert!(
        words.contains("local_port") && words.contains(&format!("port {port} of 127.0.0.1")),
        "{words}"
    );

    // The page, its data, and the endpoint: by loopback's own names only.
    let page = up.said["page"].as_str().unwrap();
    let page = page.trim_start_matches("http://").trim_end_matches('/');
    for (address, path) in [(page, "/"), (page, "/api/snapshot"), (address, "/2015-03-31/functions")] {
        for (host, status) in [
            ("evil.example", "421"),
            ("localhost.evil.example:80", "421"),
            (address, "200"),
            ("localhost", "200"),
        ] {
            let mut stream = TcpStream::connect(address).unwrap();
            write!(
                stream,
                "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            )
            .unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")),
                "{path} for {host}: {answer}"
            );
        }
    }
}
