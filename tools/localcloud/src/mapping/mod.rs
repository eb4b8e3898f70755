//! The driver of the event source mapping: reads shards, invokes the function, sends on-failure messages.

mod driver;
mod letter;
mod payload;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tidemark_aws::admin::Admin;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::account::ACCOUNT;
use crate::clock::sleep_ms;
use crate::error::LocalError;
use crate::esm::{EsmOptions, EsmStats};
use crate::runtime_api::{Function, Invocation};
use driver::{Command, Driver};

/// How a mapping comes by new records: how long after a read of a shard began the next one begins, when that one found nothing
/// more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reads {
    /// Sooner than on AWS, so that nobody waits for a look.
    #[default]
    Eager,
    /// As Lambda's standard iterator: a look at each shard once a second.
    Polling,
    /// As enhanced fan-out: records are with the mapping as soon as Kinesis would have pushed them.
    FanOut,
    /// So many milliseconds.
    Every(u64),
}

impl Reads {
    /// The time from the begin of one read to that of the next, in milliseconds.
    #[must_use]
    pub fn interval_ms(self) -> u64 {
        match self {
            Self::Eager => EAGER_INTERVAL_MS,
            Self::Polling => POLL_INTERVAL_MS,
            Self::FanOut => PUSH_INTERVAL_MS,
            Self::Every(interval_ms) => interval_ms,
        }
    }
}

/// How often a shard without new records is read when nobody asks for AWS's own rhythm.
const EAGER_INTERVAL_MS: u64 = 20;
/// How often Lambda looks at a shard (its developer guide: "a base rate of once per second").
const POLL_INTERVAL_MS: u64 = 1_000;
/// How long enhanced fan-out takes to push a record (Kinesis's developer guide: about 70 ms).
const PUSH_INTERVAL_MS: u64 = 70;

/// Something that takes invocations: a [`Function`], or a test's stand-in.
pub trait Invoker: Send + Sync + 'static {
    /// Invokes with a payload and waits for the end.
    fn invoke(&self, payload: Vec<u8>) -> BoxFuture<'static, Invocation>;
    /// The ARN that on-failure messages name.
    fn arn(&self) -> String;
}

impl Invoker for Function {
    fn invoke(&self, payload: Vec<u8>) -> BoxFuture<'static, Invocation> {
        let function = self.clone();
        Box::pin(async move { function.invoke_bytes(payload).await })
    }

    fn arn(&self) -> String {
        Self::arn(self).to_owned()
    }
}

/// A mapping to start.
#[derive(Clone)]
pub struct MappingSpec {
    /// The stream's name.
    pub stream: String,
    /// Who is invoked.
    pub target: Arc<dyn Invoker>,
    /// Options with AWS's semantics. `on_failure` is set by [`MappingSpec::on_failure_queue_url`] or [`MappingSpec::on_failure_bucket`].
    pub options: EsmOptions,
    /// The queue for on-failure messages.
    pub on_failure_queue_url: Option<String>,
    /// The bucket for them, in the queue's place: there they have their payload.
    pub on_failure_bucket: Option<String>,
    /// How it comes by new records.
    pub reads: Reads,
    /// By shard, the sequence number after which to go on, instead of the starting position: [`Mapping::checkpoints`] of
    /// a mapping that was stopped.
    pub resume_after: BTreeMap<String, String>,
}

impl MappingSpec {
    /// A mapping with AWS's default options.
    pub fn new(stream: impl Into<String>, target: impl Invoker) -> Self {
        Self {
            stream: stream.into(),
            target: Arc::new(target),
            options: EsmOptions::default(),
            on_failure_queue_url: None,
            on_failure_bucket: None,
            reads: Reads::default(),
            resume_after: BTreeMap::new(),
        }
    }
}

/// What a mapping has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MappingStats {
    /// Counts of records, batches, invocations and failures.
    pub esm: EsmStats,
    /// How far the slowest shard is behind its newest record, in milliseconds.
    pub lag_ms: i64,
    /// Reads of shards that failed and were tried again.
    pub read_errors: u64,
    /// Invocations and on-failure messages under way.
    pub in_flight: usize,
}

/// What turns a mapping off and on.
#[derive(Clone, Debug)]
pub(crate) struct MappingSwitch {
    /// Its id.
    pub(crate) uuid: String,
    /// The function that it invokes.
    pub(crate) function_arn: String,
    /// The stream that it reads.
    pub(crate) source_arn: String,
    /// Its options.
    pub(crate) options: EsmOptions,
    /// The queue for on-failure messages.
    pub(crate) on_failure_arn: Option<String>,
    setting: Arc<watch::Sender<Setting>>,
}

/// What can be changed of a running mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Whether it polls.
    pub(crate) enabled: bool,
    /// As [`EsmOptions::record_age_s_max`].
    pub(crate) record_age_s_max: Option<u32>,
}

impl MappingSwitch {
    pub(crate) fn set(&self, enabled: bool) {
        self.setting.send_modify(|setting| setting.enabled = enabled);
    }

    /// Changes the age at which a record is given up; refuses what AWS would refuse.
    pub(crate) fn set_record_age(&self, age_s: Option<u32>) -> Result<(), LocalError> {
        let options = EsmOptions {
            record_age_s_max: age_s,
            ..EsmOptions::default()
        };
        options.check()?;
        self.setting.send_modify(|setting| setting.record_age_s_max = age_s);
        Ok(())
    }

    pub(crate) fn setting(&self) -> Setting {
        *self.setting.borrow()
    }
}

/// The ARN of the destination: a mapping has one.
fn on_failure_arn(spec: &MappingSpec, region: &str) -> Option<String> {
    if let Some(bucket) = &spec.on_failure_bucket {
        return Some(format!("arn:aws:s3:::{bucket}"));
    }
    let queue = spec.on_failure_queue_url.as_deref()?.rsplit('/').next()?;
    Some(format!("arn:aws:sqs:{region}:{ACCOUNT}:{queue}"))
}

/// An id in the shape of a UUID, the same for the same function and stream.
fn mapping_id(function_arn: &str, source_arn: &str) -> String {
    // FNV-1a: an id, nothing more.
    let hash = function_arn
        .bytes()
        .chain(source_arn.bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!(
        "{:08x}-{:04x}-4000-8000-{:012x}",
        hash >> 32,
        (hash >> 16) & 0xffff,
        hash & 0xffff_ffff_ffff
    )
}

/// A running mapping. It stops when this is dropped; what is under way then is given up and comes again.
#[derive(Debug)]
pub struct Mapping {
    name: String,
    commands: mpsc::Sender<Command>,
    switch: MappingSwitch,
    stats: watch::Receiver<MappingStats>,
    checkpoints: watch::Receiver<BTreeMap<String, String>>,
    task: JoinHandle<()>,
}

impl Mapping {
    pub(crate) async fn start(mut spec: MappingSpec, admin: Admin, region: &str) -> Result<Self, LocalError> {
        spec.options.on_failure = spec.on_failure_queue_url.is_some() || spec.on_failure_bucket.is_some();
        spec.options.check()?;
        let stream_arn = admin.stream_arn(&spec.stream).await?;
        let (commands, receiver) = mpsc::channel(16);
        let (stats_sender, stats) = watch::channel(MappingStats::default());
        let (checkpoint_sender, checkpoints) = watch::channel(BTreeMap::new());
        let name = spec.stream.clone();
        let (setting, is_set) = watch::channel(Setting {
            enabled: true,
            record_age_s_max: spec.options.record_age_s_max,
        });
        let switch = MappingSwitch {
            uuid: mapping_id(&spec.target.arn(), &stream_arn),
            function_arn: spec.target.arn(),
            source_arn: stream_arn.clone(),
            options: spec.options.clone(),
            on_failure_arn: on_failure_arn(&spec, region),
            setting: Arc::new(setting),
        };
        let mut driver = Driver::new(spec, admin, stream_arn, region, is_set, stats_sender, checkpoint_sender);
        // The shards there are, and with LATEST the point to begin at, are known before the caller goes on to send.
        driver.discover().await?;
        let task = tokio::spawn(driver.run(receiver));
        Ok(Self {
            name,
            commands,
            switch,
            stats,
            checkpoints,
            task,
        })
    }

    /// Turns it off or on, as Lambda's UpdateEventSourceMapping does: off, it begins nothing, and keeps its place.
    pub fn enable(&self, enabled: bool) {
        self.switch.set(enabled);
    }

    /// What turns it off and on from elsewhere.
    pub(crate) fn switch(&self) -> MappingSwitch {
        self.switch.clone()
    }

    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> MappingStats {
        self.stats.borrow().clone()
    }

    /// By shard, the sequence number up to which everything is done.
    #[must_use]
    pub fn checkpoints(&self) -> BTreeMap<String, String> {
        self.checkpoints.borrow().clone()
    }

    /// Waits until everything that was in the stream when this was called is done: every shard has been read to its end
    /// since, nothing waits, nothing is under way. Gives up after `timeout_ms`.
    pub async fn drained(&self, timeout_ms: u64) -> Result<(), LocalError> {
        let stopped = || LocalError::Stopped(format!("the mapping of {}", self.name));
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(Command::Drained(reply))
            .await
            .map_err(|_| stopped())?;
        tokio::select! {
            answer = answer => answer.map_err(|_| stopped()),
            () = sleep_ms(timeout_ms) => {
                Err(LocalError::TimedOut { what: format!("draining {}", self.name), waited_ms: timeout_ms })
            }
        }
    }

    /// Stops reading, gives up what is under way, and answers the checkpoints.
    pub async fn stop(mut self) -> BTreeMap<String, String> {
        let _ = self.commands.send(Command::Stop).await;
        let _ = (&mut self.task).await;
        self.checkpoints()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        self.task.abort();
    }
}
