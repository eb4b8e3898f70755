//! Lambda's Runtime API: the real `bootstrap` binaries run as child processes, one for each invocation at a time.

mod http;
mod worker;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::Semaphore;

use crate::clock::now_ms;
use crate::error::{LocalError, within};
use worker::{Launch, Worker};

/// Bytes of a synchronous invocation's payload, and of its answer (Lambda's 6 MB).
pub const PAYLOAD_BYTES_MAX: usize = 6 * 1024 * 1024;
/// Processes of one function that run at the same time, at most.
const CONCURRENCY_MAX: u32 = 1_000;
/// The longest timeout that Lambda takes: fifteen minutes, in milliseconds.
const TIMEOUT_MS_MAX: u64 = 900_000;

/// A function to run.
#[derive(Clone, Debug)]
pub struct FunctionSpec {
    /// Its name.
    pub name: String,
    /// Its binary, the `bootstrap`.
    pub binary: PathBuf,
    /// Arguments of the binary; Lambda gives none, tests may.
    pub args: Vec<String>,
    /// Its environment, on top of what Lambda sets. Nothing else is inherited but `PATH`.
    pub env: Vec<(String, String)>,
    /// How long an invocation may take, in milliseconds. Then the process is killed.
    pub timeout_ms: u64,
    /// The memory that the function is told it has, in MB. It is not enforced.
    pub memory_mb: u32,
    /// How many processes may run at the same time; an invocation above waits.
    pub concurrency_max: u32,
}

impl FunctionSpec {
    /// A function with a timeout of 30 s, told of 512 MB, and up to 16 processes.
    pub fn new(name: impl Into<String>, binary: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            binary: binary.into(),
            args: Vec::new(),
            env: Vec::new(),
            timeout_ms: 30_000,
            memory_mb: 512,
            concurrency_max: 16,
        }
    }
}

/// Why an invocation failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// The function reported an error, or answered what is not JSON.
    #[error("the function failed: {error_type}: {message}")]
    Function {
        /// The error's type.
        error_type: String,
        /// Its message.
        message: String,
    },
    /// It did not answer within its timeout and was killed.
    #[error("the function timed out after {timeout_ms} ms")]
    TimedOut {
        /// The timeout, in milliseconds.
        timeout_ms: u64,
    },
    /// Its process ended before it answered.
    #[error("the function's process ended: {status}")]
    Crashed {
        /// How it ended.
        status: String,
    },
    /// The process could not be started, or did not get ready.
    #[error("the function did not start: {0}")]
    Init(String),
    /// The payload is above 6 MB; Lambda never runs it.
    #[error("the payload has {bytes} bytes, more than 6 MB")]
    PayloadTooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The function has been stopped.
    #[error("the function has been stopped")]
    Stopped,
}

/// An invocation and what became of it.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Its request id.
    pub request_id: String,
    /// The answer's bytes, or why there is none.
    pub result: Result<Vec<u8>, InvokeError>,
}

/// What a function has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FunctionStats {
    /// Invocations that began.
    pub invocations: u64,
    /// Of these, failed ones.
    pub errors: u64,
    /// Processes that were started.
    pub cold_starts: u64,
}

struct Inner {
    spec: FunctionSpec,
    arn: String,
    log: PathBuf,
    launch: Launch,
    slots: Semaphore,
    idle: Mutex<Vec<Worker>>,
    /// Running processes and how to kill each.
    running: worker::Running,
    invocations: AtomicU64,
    errors: AtomicU64,
    cold_starts: AtomicU64,
}

/// A function that can be invoked. Cheap to clone; its processes are killed when the last clone is gone.
#[derive(Clone)]
pub struct Function {
    inner: Arc<Inner>,
}

/// A function that may be gone: it does not keep the processes alive.
#[derive(Clone)]
pub(crate) struct WeakFunction(std::sync::Weak<Inner>);

impl WeakFunction {
    pub(crate) fn upgrade(&self) -> Option<Function> {
        self.0.upgrade().map(|inner| Function { inner })
    }
}

impl std::fmt::Debug for WeakFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WeakFunction")
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function")
            .field("arn", &self.inner.arn)
            .finish_non_exhaustive()
    }
}

impl Function {
    pub(crate) async fn start(spec: FunctionSpec, arn: String, log: PathBuf, region: &str) -> Result<Self, LocalError> {
        within(
            "concurrency_max",
            u64::from(spec.concurrency_max),
            1,
            u64::from(CONCURRENCY_MAX),
        )?;
        within("timeout_ms", spec.timeout_ms, 1, TIMEOUT_MS_MAX)?;
        if let Err(source) = tokio::fs::metadata(&spec.binary).await {
            return Err(LocalError::Path {
                path: spec.binary,
                source,
            });
        }
        if let Err(source) = tokio::fs::OpenOptions::new().create(true).append(true).open(&log).await {
            return Err(LocalError::Path { path: log, source });
        }
        let launch = Launch {
            binary: spec.binary.clone(),
            args: spec.args.clone(),
            env: environment(&spec, region),
            log: log.clone(),
            arn: arn.clone(),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                slots: Semaphore::new(spec.concurrency_max as usize),
                spec,
                arn,
                log,
                launch,
                idle: Mutex::default(),
                running: worker::Running::default(),
                invocations: AtomicU64::new(0),
                errors: AtomicU64::new(0),
                cold_starts: AtomicU64::new(0),
            }),
        })
    }

    pub(crate) fn downgrade(&self) -> WeakFunction {
        WeakFunction(Arc::downgrade(&self.inner))
    }

    /// What it was made of.
    pub(crate) fn spec(&self) -> &FunctionSpec {
        &self.inner.spec
    }

    /// The function's ARN.
    #[must_use]
    pub fn arn(&self) -> &str {
        &self.inner.arn
    }

    /// The file that its processes write to, one line each, EMF lines among them.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.inner.log
    }

    /// Invokes the function with a JSON payload and waits for its answer.
    pub async fn invoke(&self, payload: &Value) -> Result<Value, InvokeError> {
        let bytes = self.invoke_bytes(payload.to_string().into_bytes()).await.result?;
        serde_json::from_slice(&bytes).map_err(|error| InvokeError::Function {
            error_type: "Runtime.MalformedHandlerResponse".to_owned(),
            message: error.to_string(),
        })
    }

    /// Invokes the function and waits for its answer, for at most its timeout after it began.
    pub async fn invoke_bytes(&self, payload: Vec<u8>) -> Invocation {
        let inner = &self.inner;
        let number = inner.invocations.fetch_add(1, Ordering::Relaxed) + 1;
        let request_id = request_id(number);
        let result = self.run(&request_id, payload).await;
        if result.is_err() {
            inner.errors.fetch_add(1, Ordering::Relaxed);
        }
        Invocation { request_id, result }
    }

    async fn run(&self, request_id: &str, payload: Vec<u8>) -> Result<Vec<u8>, InvokeError> {
        let inner = &self.inner;
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(InvokeError::PayloadTooLarge { bytes: payload.len() });
        }
        let _slot = inner.slots.acquire().await.map_err(|_| InvokeError::Stopped)?;
        let mut worker = self.worker().await?;
        let result = worker.invoke(request_id, payload, inner.spec.timeout_ms).await;
        // A process whose invocation ended in order waits for the next one; any other is gone.
        if worker.is_alive() && !inner.slots.is_closed() {
            self.idle().push(worker);
        }
        result
    }

    /// The process that was used last, or a new one.
    async fn worker(&self) -> Result<Worker, InvokeError> {
        loop {
            let Some(mut worker) = self.idle().pop() else { break };
            if worker.is_alive() {
                return Ok(worker);
            }
        }
        self.inner.cold_starts.fetch_add(1, Ordering::Relaxed);
        Worker::start(&self.inner.launch, &self.inner.running).await
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Worker>> {
        self.inner.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ids of the processes that are alive.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        self.inner.running.pids()
    }

    /// Kills one process at once, whatever it is doing. Answers whether it was one of this function's.
    #[must_use]
    pub fn kill(&self, pid: u32) -> bool {
        self.inner.running.kill(pid)
    }

    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> FunctionStats {
        FunctionStats {
            invocations: self.inner.invocations.load(Ordering::Relaxed),
            errors: self.inner.errors.load(Ordering::Relaxed),
            cold_starts: self.inner.cold_starts.load(Ordering::Relaxed),
        }
    }

    /// Kills all processes and refuses further invocations.
    pub async fn stop(&self) {
        self.inner.slots.close();
        let idle = std::mem::take(&mut *self.idle());
        for pid in self.pids() {
            let _ = self.kill(pid);
        }
        drop(idle);
        self.inner.running.wait_until_gone().await;
    }
}

/// What Lambda sets, with the function's own values on top.
fn environment(spec: &FunctionSpec, region: &str) -> BTreeMap<String, String> {
    let memory = spec.memory_mb.to_string();
    let lambda = [
        ("AWS_REGION", region),
        ("AWS_DEFAULT_REGION", region),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_LAMBDA_FUNCTION_NAME", &spec.name),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "local"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "local"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("_HANDLER", "bootstrap"),
        ("TZ", ":UTC"),
    ];
    let lambda = lambda
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    lambda.chain(spec.env.iter().cloned()).collect()
}

/// An id in the shape of a UUID: the time and the invocation's number, so that it is unique without randomness.
fn request_id(number: u64) -> String {
    let time = now_ms().unsigned_abs() & 0xffff_ffff_ffff;
    format!("{:08x}-{:04x}-4000-8000-{:012x}", time >> 16, time & 0xffff, number)
}
