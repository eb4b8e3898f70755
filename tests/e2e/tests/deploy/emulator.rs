//! An emulator's process on a free port of 127.0.0.1, and the command against it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

/// Looks at whether it is ready, a tenth of a second apart.
const LOOKS_MAX: u32 = 600;

/// The process; it ends when this is dropped.
pub(crate) struct Emulator {
    process: Child,
    pub(crate) endpoint: String,
    folder: tempfile::TempDir,
}

impl Emulator {
    pub(crate) fn ministack() -> Self {
        let python = |folder: &Path, port: u16, endpoint: &str| {
            let mut command = e2e::venv("deploy").unwrap().command("python");
            command
                .args(["-m", "ministack"])
                .env("HOME", folder)
                .env("TMPDIR", folder)
                .env("S3_DATA_DIR", folder.join("s3"))
                // It listens on every interface otherwise.
                .env("BIND_HOST", "127.0.0.1")
                .env("MINISTACK_HOST", "127.0.0.1")
                .env("GATEWAY_PORT", port.to_string())
                .env("MINISTACK_REGION", "eu-west-1")
                // The functions that it runs are given this.
                .env("AWS_ENDPOINT_URL", endpoint);
            command
        };
        Self::start(python, "/_ministack/health")
    }

    pub(crate) fn moto() -> Self {
        let server = |_: &Path, port: u16, _: &str| {
            let mut command = e2e::venv("moto").unwrap().command("moto_server");
            command.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
            command
        };
        Self::start(server, "/moto-api/")
    }

    fn start(command: impl Fn(&Path, u16, &str) -> Command, health: &str) -> Self {
        let port = TcpListener::bind(("127.0.0.1", 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let endpoint = format!("http://127.0.0.1:{port}");
        let folder = tempfile::tempdir().unwrap();
        let log = std::fs::File::create(folder.path().join("emulator.log")).unwrap();
        let mut command = command(folder.path(), port, &endpoint);
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let mut process = command.spawn().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        for _ in 0..LOOKS_MAX {
            if is_ready(address, health) {
                break;
            }
            assert!(process.try_wait().unwrap().is_none(), "the emulator has ended");
            pause();
        }
        assert!(is_ready(address, health), "the emulator does not answer");
        Self {
            process,
            endpoint,
            folder,
        }
    }

    /// A folder for files of a test.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The command with stage `local` on it.
    pub(crate) fn deploy(&self, arguments: &[&str]) -> Said {
        let endpoint = ["--stage", "local", "--endpoint", &self.endpoint];
        // `deploy status` takes its flags behind it.
        let (verb, rest) = match arguments {
            [verb @ ("status" | "destroy"), rest @ ..] => (Some(*verb), rest),
            rest => (None, rest),
        };
        let mut command = tidemark();
        command.args(["--json", "deploy"]).args(verb).args(endpoint).args(rest);
        said(&mut command)
    }

    /// The command for another verb on it.
    pub(crate) fn command(&self) -> Command {
        let mut command = tidemark();
        command
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test");
        command
    }

    /// Another verb on it, which has to end well.
    pub(crate) fn run(&self, arguments: &[&str], input: &str) -> String {
        e2e::run_with_input(self.command().args(arguments), input).unwrap()
    }

    /// `doctor` names it, and something that it can't do.
    pub(crate) fn is_known_as(&self, name: &str) {
        let said = said(tidemark().args(["--json", "doctor", "--endpoint", &self.endpoint]));
        assert_eq!((said.code, said.json["emulator"].as_str()), (0, Some(name)), "{said:?}");
        assert!(!said.json["lacks"].as_array().unwrap().is_empty(), "{said:?}");
    }

    /// Its log's end, for a test that fails.
    pub(crate) fn log(&self) -> String {
        let text = std::fs::read_to_string(self.folder.path().join("emulator.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(40).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[allow(clippy::disallowed_methods, reason = "a test waits for a process")]
fn pause() {
    std::thread::sleep(Duration::from_millis(100));
}

/// Whether it says that it is ready.
fn is_ready(address: SocketAddr, health: &str) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        let request = format!("GET {health} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut start = [0; 12];
        stream.read_exact(&mut start)?;
        Ok(String::from_utf8_lossy(&start).into_owned())
    };
    ask().is_ok_and(|answer| answer.ends_with(" 200"))
}

/// The command, with nothing of the caller's account in its environment.
pub(crate) fn tidemark() -> Command {
    let mut command = Command::new(e2e::binary_folder().unwrap().join("tidemark"));
    command.stdin(Stdio::null());
    for name in [
        "AWS_PROFILE",
        "AWS_ENDPOINT_URL",
        "AWS_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
    ] {
        command.env_remove(name);
    }
    command
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_REGION", "eu-west-1");
    command
}

/// What a command with `--json` said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) json: Value,
    stderr: String,
}

pub(crate) fn said(command: &mut Command) -> Said {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    let stdout = String::from_utf8_lossy(&stdout);
    let json = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}\n{stderr}"));
    Said {
        code: status.code().unwrap_or(-1),
        json,
        stderr,
    }
}

impl Said {
    /// What it said beside.
    pub(crate) fn stderr(&self) -> &str {
        &self.stderr
    }

    /// The code of its error.
    pub(crate) fn error(&self) -> &str {
        self.json["error"]["code"]
            .as_str()
            .unwrap_or_else(|| panic!("no error: {self:?}"))
    }

    /// The whole text of its error.
    pub(crate) fn text(&self) -> String {
        format!(
            "{}\n{}",
            self.json["error"]["what"].as_str().unwrap(),
            self.json["error"]["advice"].as_str().unwrap()
        )
    }
}
