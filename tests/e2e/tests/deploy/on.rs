//! `tidemark local up --on`: streams, table and queues of an emulator, functions and mapping of our own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use serde_json::Value;

use super::emulator::{Emulator, said, tidemark};

/// Events that are sent.
const EVENTS: usize = 300;
/// Looks at the account until it holds, each of which waits for what is under way.
const LOOKS_MAX: u32 = 60;

/// A pipeline that stays up until this is dropped.
struct Up {
    process: Child,
    told: Value,
    emulator: Emulator,
}

impl Up {
    fn start(emulator: Emulator) -> Self {
        let mut command = tidemark();
        command
            .args([
                "--json",
                "local",
                "up",
                "--on",
                &emulator.endpoint,
                "--shards",
                "2",
                "--data-dir",
            ])
            .arg(emulator.folder())
            .arg("--score-binary")
            .arg(e2e::binary_folder().unwrap().join("score"))
            .stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let told = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}\n{}", emulator.log()));
        Self {
            process,
            told,
            emulator,
        }
    }

    fn audit(&self) -> Value {
        let mut command = tidemark();
        command
            .args(["--json", "audit", "--since", "1h"])
            .env("AWS_ENDPOINT_URL", &self.emulator.endpoint)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test");
        said(&mut command).json
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[allow(clippy::disallowed_methods, reason = "a test waits for a pipeline")]
fn pause() {
    std::thread::sleep(std::time::Duration::from_millis(500));
}

/// Everything that is sent has its end, and a redrive by the same functions finds it done.
fn the_pipeline_works_on(emulator: Emulator) {
    let up = Up::start(emulator);
    assert_eq!(up.told["endpoint"], up.emulator.endpoint.as_str());
    let stream = up.emulator.run(&["simulate", "--events", &EVENTS.to_string()], "");
    let sent: Value = serde_json::from_str(&up.emulator.run(&["--json", "send"], &stream)).unwrap();
    let sent = sent["sent"].as_u64().unwrap_or_else(|| panic!("{sent}"));
    let mut audit = up.audit();
    for _ in 0..LOOKS_MAX {
        if audit["verdict"] == "holds" {
            break;
        }
        pause();
        audit = up.audit();
    }
    assert_eq!(audit["verdict"], "holds", "{audit}\n{}", up.emulator.log());
    assert!(sent >= EVENTS as u64, "{sent}");
    let mut redrive = tidemark();
    redrive
        .args([
            "--json", "redrive", "--source", "range", "--since", "1h", "--who", "test",
        ])
        .env("AWS_ENDPOINT_URL", &up.emulator.endpoint)
        .env("AWS_ENDPOINT_URL_LAMBDA", up.told["lambda_endpoint"].as_str().unwrap())
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test");
    let redriven = said(&mut redrive);
    assert_eq!(redriven.code, 0, "{redriven:?}");
}

#[test]
fn ministack_has_the_services_and_we_the_functions() {
    the_pipeline_works_on(Emulator::ministack());
}

#[test]
fn moto_has_the_services_and_we_the_functions() {
    let moto = Emulator::moto();
    moto.is_known_as("moto");
    the_pipeline_works_on(moto);
}

#[test]
fn an_emulator_that_moves_the_records_itself_or_is_not_there_is_refused() {
    let up = |url: &str, folder: &std::path::Path| {
        let mut command = tidemark();
        command
            .args(["--json", "local", "up", "--on", url, "--data-dir"])
            .arg(folder);
        command
            .arg("--score-binary")
            .arg(e2e::binary_folder().unwrap().join("score"));
        said(&mut command)
    };
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = up("http://192.0.2.1:4566", folder.path());
    assert_eq!((elsewhere.code, elsewhere.error()), (2, "local_on"), "{elsewhere:?}");
    // Nothing listens on port 1.
    let silent = up("http://127.0.0.1:1", folder.path());
    assert_eq!((silent.code, silent.error()), (4, "local_on"), "{silent:?}");
    let cloud = Emulator::ministack();
    let binaries = e2e::binary_folder().unwrap();
    let deployed = cloud.deploy(&["--yes", "--no-smoke-test", "--bootstraps", binaries.to_str().unwrap()]);
    assert_eq!(deployed.code, 0, "{deployed:?}");
    let doubled = up(&cloud.endpoint, folder.path());
    assert_eq!((doubled.code, doubled.error()), (1, "local_on"), "{doubled:?}");
    assert!(doubled.text().contains("MappingEnabled=false"), "{doubled:?}");
}
