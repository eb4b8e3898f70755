//! One process of a function: started, fed one invocation at a time, killed on timeout.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};

use super::InvokeError;
use super::http::{Channel, Job, serve};
use crate::clock::{now_ms, sleep_ms};

/// How long a process may take to start, on top of its first invocation's timeout: Lambda's ten seconds, in milliseconds.
const INIT_MS_MAX: u64 = 10_000;
/// How long to wait for killed processes to be gone, in looks of 10 ms.
const GONE_LOOKS_MAX: u32 = 500;

/// What it takes to start a process of a function.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    pub binary: PathBuf,
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub log: PathBuf,
    pub arn: String,
}

/// The processes of a function that are alive, by id.
#[derive(Clone, Debug, Default)]
pub(super) struct Running {
    kills: Arc<Mutex<BTreeMap<u32, mpsc::Sender<()>>>>,
}

impl Running {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, mpsc::Sender<()>>> {
        self.kills.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn pids(&self) -> Vec<u32> {
        self.lock().keys().copied().collect()
    }

    pub(super) fn kill(&self, pid: u32) -> bool {
        self.lock().get(&pid).is_some_and(|kill| kill.try_send(()).is_ok())
    }

    pub(super) async fn wait_until_gone(&self) {
        for _ in 0..GONE_LOOKS_MAX {
            if self.lock().is_empty() {
                return;
            }
            sleep_ms(10).await;
        }
    }
}

/// A process. It is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Worker {
    jobs: mpsc::Sender<Job>,
    kill: mpsc::Sender<()>,
    /// How the process ended, once it has.
    ended: watch::Receiver<Option<String>>,
    init_error: mpsc::Receiver<String>,
    fresh: bool,
    _stop_serving: oneshot::Sender<()>,
}

impl Worker {
    /// Starts a process and the listener that it talks to.
    pub(super) async fn start(launch: &Launch, running: &Running) -> Result<Self, InvokeError> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(init)?;
        let address = listener.local_addr().map_err(init)?;
        let child = spawn(launch, &address.to_string()).map_err(init)?;
        let (jobs, receiver) = mpsc::channel(1);
        let (init_sender, init_error) = mpsc::channel(1);
        let (stop_serving, stopped) = oneshot::channel();
        serve(
            listener,
            Arc::new(Channel::new(receiver, init_sender, launch.arn.clone())),
            stopped,
        );
        let (kill, kill_receiver) = mpsc::channel(1);
        let ended = watch_process(child, kill.clone(), kill_receiver, running.clone());
        Ok(Self {
            jobs,
            kill,
            ended,
            init_error,
            fresh: true,
            _stop_serving: stop_serving,
        })
    }

    /// Whether the process runs and may take another invocation.
    pub(super) fn is_alive(&mut self) -> bool {
        self.ended.borrow().is_none()
    }

    /// Hands one invocation to the process and waits for its end, for at most `timeout_ms` (and the start of a new process).
    pub(super) async fn invoke(
        &mut self,
        request_id: &str,
        payload: Vec<u8>,
        timeout_ms: u64,
    ) -> Result<Vec<u8>, InvokeError> {
        let budget_ms = timeout_ms
            + if std::mem::take(&mut self.fresh) {
                INIT_MS_MAX
            } else {
                0
            };
        let deadline_ms = now_ms().saturating_add_unsigned(budget_ms);
        let (done, answer) = oneshot::channel();
        let job = Job {
            request_id: request_id.to_owned(),
            payload,
            deadline_ms,
            done,
        };
        if self.jobs.send(job).await.is_err() {
            return Err(self.end().await);
        }
        let ended = ended(self.ended.clone());
        tokio::select! {
            // An answer that came before the end counts, as on Lambda.
            biased;
            Ok(result) = answer => result,
            Some(reported) = self.init_error.recv() => {
                self.end().await;
                Err(InvokeError::Init(reported))
            }
            status = ended => Err(InvokeError::Crashed { status }),
            () = sleep_ms(budget_ms) => {
                self.end().await;
                Err(InvokeError::TimedOut { timeout_ms })
            }
        }
    }

    /// Kills the process and waits until it is gone, so that it cannot write after its invocation was given up.
    async fn end(&mut self) -> InvokeError {
        let _ = self.kill.try_send(());
        InvokeError::Crashed {
            status: ended(self.ended.clone()).await,
        }
    }
}

/// Waits for the end of a process and tells how it ended.
async fn ended(mut ended: watch::Receiver<Option<String>>) -> String {
    let status = ended
        .wait_for(Option::is_some)
        .await
        .ok()
        .and_then(|status| status.clone());
    status.unwrap_or_else(|| "gone".to_owned())
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.kill.try_send(());
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn init(error: std::io::Error) -> InvokeError {
    InvokeError::Init(error.to_string())
}

#[allow(
    clippy::disallowed_methods,
    reason = "PATH is handed on so that a test's function can be a script"
)]
fn spawn(launch: &Launch, address: &str) -> std::io::Result<Child> {
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&launch.log)?;
    let mut command = Command::new(&launch.binary);
    command
        .args(&launch.args)
        .env_clear()
        .envs(&launch.env)
        .env("AWS_LAMBDA_RUNTIME_API", address);
    if let (Ok(path), false) = (std::env::var("PATH"), launch.env.contains_key("PATH")) {
        command.env("PATH", path);
    }
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // Not in the terminal's group: Ctrl-C is for whoever started us, and stops these in order.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Owns the process until its end.
fn watch_process(
    mut child: Child,
    kill: mpsc::Sender<()>,
    mut kills: mpsc::Receiver<()>,
    running: Running,
) -> watch::Receiver<Option<String>> {
    let (ended, receiver) = watch::channel(None);
    let pid = child.id().unwrap_or_default();
    running.lock().insert(pid, kill);
    tokio::spawn(async move {
        let status = tokio::select! {
            status = child.wait() => status,
            _ = kills.recv() => {
                let _ = child.start_kill();
                child.wait().await
            }
        };
        running.lock().remove(&pid);
        let text = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        let _ = ended.send(Some(text));
    });
    receiver
}
