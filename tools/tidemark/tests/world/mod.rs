//! A cloud on this machine with the command's environment for it: shared by the tests of the control plane.

#![allow(clippy::disallowed_methods, reason = "it waits in real time")]

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use localcloud::{
    EsmOptions, Function, FunctionSpec, LocalCloud, LocalConfig, Mapping, MappingSpec, Names, Provisioned,
};
use serde_json::{Value, json};
use terminal::clock::now_ms;
use tidemark_aws::admin::{PutRecord, ReadFrom};
use tidemark_domain::policy::Policy;

/// How often something is looked for before the test gives up; each look waits `LOOK_MS`.
pub const LOOKS_MAX: u32 = 600;
pub const LOOK_MS: u64 = 100;

/// The cloud, the function and its mapping.
pub struct World {
    pub cloud: LocalCloud,
    pub names: Names,
    pub provisioned: Provisioned,
    pub function: Function,
    pub mapping: Mapping,
    pub folder: tempfile::TempDir,
}

/// A record of a stream: when it arrived, and what it says.
pub struct Seen {
    pub arrival_ms: i64,
    pub value: Value,
    pub bytes: Vec<u8>,
}

impl World {
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// With a mapping that gives records up at this age, seconds.
    pub async fn start_with(record_age_s_max: Option<u32>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cloud = LocalCloud::start(LocalConfig::new(folder.path())).await.unwrap();
        let names = Names {
            shards: 2,
            ..Names::default()
        };
        let provisioned = cloud.provision(&names).await.unwrap();
        let binary = Path::new(env!("CARGO_BIN_EXE_tidemark")).with_file_name("score");
        let mut spec = FunctionSpec::new(names.function.clone(), binary);
        spec.env = cloud.function_env(&names, &provisioned);
        let function = cloud.start_function(spec).await.unwrap();
        let mut spec = MappingSpec::new(names.transactions_stream.clone(), function.clone());
        spec.options = EsmOptions {
            batch_size: 100,
            bisect_on_error: true,
            retries_max: Some(20),
            record_age_s_max,
            report_item_failures: true,
            ..EsmOptions::default()
        };
        spec.on_failure_queue_url = Some(provisioned.dead_letter_queue_url.clone());
        let mapping = cloud.start_mapping(spec).await.unwrap();
        Self {
            cloud,
            names,
            provisioned,
            function,
            mapping,
            folder,
        }
    }

    pub async fn stop(self) {
        self.mapping.stop().await;
        self.function.stop().await;
        self.cloud.stop().await;
    }

    /// The command, with the environment that this cloud takes.
    pub fn command(&self) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_tidemark"));
        command
            .env("AWS_ENDPOINT_URL", self.cloud.endpoint())
            .env("AWS_ENDPOINT_URL_DYNAMODB", self.cloud.dynamodb_endpoint())
            .env("AWS_REGION", self.cloud.region())
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("USER", "on-call");
        command
    }

    /// Runs the command against this cloud.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().await.unwrap()
    }

    /// Runs the command, which must end with this code, and gives its document.
    pub async fn json(&self, code: i32, arguments: &[&str]) -> Value {
        let output = self.run(&[&["--json"], arguments].concat()).await;
        let (stdout, stderr) = (
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        );
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stdout} {stderr}");
        serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {stdout} {stderr}"))
    }

    /// Publishes the built-in policy under another version, with other thresholds.
    pub async fn publish(&self, version: u32, alert: u16) -> PathBuf {
        let text = Policy::default_text()
            .replace("version = 1\n", &format!("version = {version}\n"))
            .replace("alert = 800", &format!("alert = {alert}"))
            .replace("review = 600", &format!("review = {}", alert / 2));
        let file = self.folder.path().join(format!("policy-{version}.toml"));
        std::fs::write(&file, text).unwrap();
        let path = file.to_str().unwrap();
        let published = self.json(0, &["policy", "publish", path, "--reason", "a test"]).await;
        assert_eq!(published["version"], version);
        file
    }

    pub async fn put(&self, events: &[Value]) {
        let records: Vec<PutRecord> = events
            .iter()
            .map(|event| PutRecord {
                partition_key: event["card_id"].as_str().unwrap().to_owned(),
                data: event.to_string().into_bytes(),
            })
            .collect();
        let stream = &self.names.transactions_stream;
        self.cloud.admin().put_records(stream, &records).await.unwrap();
    }

    pub async fn read(&self, stream: &str) -> Vec<Seen> {
        let admin = self.cloud.admin();
        let mut seen = Vec::new();
        for shard in admin.list_shards(stream).await.unwrap() {
            let mut next = Some(admin.iterator(stream, &shard.id, &ReadFrom::Oldest).await.unwrap());
            while let Some(iterator) = next {
                let page = admin.records(&iterator, 10_000).await.unwrap();
                next = page.next.filter(|_| page.behind_ms > 0);
                seen.extend(page.records.into_iter().map(|record| Seen {
                    arrival_ms: record.arrival_ms,
                    value: serde_json::from_slice(&record.data).unwrap(),
                    bytes: record.data,
                }));
            }
        }
        seen
    }

    pub async fn outcomes(&self) -> Vec<Seen> {
        self.read(&self.names.scores_stream).await
    }

    /// Waits until an outcome is as asked for.
    pub async fn wait_for(&self, what: &str, is: impl Fn(&Value) -> bool) {
        for _ in 0..LOOKS_MAX {
            if self.outcomes().await.iter().any(|seen| is(&seen.value)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
        }
        panic!("no outcome came with {what}");
    }

    pub async fn dead_letters(&self) -> usize {
        let url = &self.provisioned.dead_letter_queue_url;
        self.cloud.admin().receive(url, 10, 0, 1).await.unwrap().len()
    }
}

pub fn transaction(number: u64) -> Value {
    json!({
        "schema": "transaction", "version": 2, "event_id": format!("event-{number}"), "card_id": format!("card-{}", number % 50),
        "occurred_at_ms": now_ms(), "amount_minor": 500 + number % 90, "currency": "EUR", "merchant_id": format!("m{}", number % 7),
        "mcc": 5411, "country": "FR", "channel": "ecommerce", "approved": true,
    })
}
