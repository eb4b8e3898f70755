//! The local cloud as a whole: start, provision, stop.

use std::path::{Path, PathBuf};

use tidemark_aws::AwsSettings;
use tidemark_aws::admin::Admin;

use crate::account::ACCOUNT;
use crate::error::LocalError;
use crate::faults::Faults;
use crate::mapping::{Mapping, MappingSpec};
use crate::runtime_api::{Function, FunctionSpec};
use crate::server::{self, Server};
use crate::table::{self, TableServer};

/// How long the queues keep messages: SQS's fourteen days, in seconds.
const QUEUE_RETENTION_S: u32 = 1_209_600;

/// How long the streams keep records, in hours; the template has the same.
const STREAM_RETENTION_H: u32 = 168;
/// The table's attribute with the time at which an item expires.
const EXPIRES: &str = "ttl";

/// How to start.
#[derive(Clone, Debug)]
pub struct LocalConfig {
    /// Folder for logs (and the table, where it is kept); made when missing.
    pub data_dir: PathBuf,
    /// Keep the table in a file of `data_dir`, so that it outlives the process. Streams and queues never do.
    pub keep_table: bool,
    /// The region that ARNs and functions name.
    pub region: String,
    /// Puts the fault layer, with this seed, in front of the services. Its second hop to the table costs some
    /// throughput, so it is there only when asked for.
    pub fault_seed: Option<u64>,
    /// The port of 127.0.0.1 that every service answers on; 0 for a free one.
    pub port: u16,
    /// The endpoint of another emulator that has streams, table and queues in place of this cloud; only Lambda is here then.
    pub on: Option<String>,
    /// Whether shards and partitions take and give no more in a second than on AWS. For benchmarks of anything else they may
    /// be lifted.
    pub aws_limits: bool,
}

impl LocalConfig {
    /// Everything in memory but the logs.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            keep_table: false,
            region: "eu-west-1".to_owned(),
            fault_seed: None,
            port: 0,
            on: None,
            aws_limits: true,
        }
    }

    /// The same without AWS's limits by the second.
    #[must_use]
    pub fn without_aws_limits(mut self) -> Self {
        self.aws_limits = false;
        self
    }

    /// The same, with the fault layer.
    #[must_use]
    pub fn with_faults(mut self, seed: u64) -> Self {
        self.fault_seed = Some(seed);
        self
    }
}

/// Names of the resources, and the shards of each stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// What they begin with.
    pub prefix: String,
    /// Stream of events in.
    pub transactions_stream: String,
    /// Stream of outcomes out.
    pub scores_stream: String,
    /// Table of cards.
    pub table: String,
    /// Queue of refused payloads.
    pub quarantine_queue: String,
    /// Queue of batches that kept failing.
    pub dead_letter_queue: String,
    /// Queue of messages that no redrive can use.
    pub unrecoverable_queue: String,
    /// The score function.
    pub function: String,
    /// The redrive function.
    pub redrive_function: String,
    /// Shards of each stream.
    pub shards: u32,
}

impl Names {
    /// The names as in the template: `<prefix>-transactions` and so on, with four shards.
    #[must_use]
    pub fn with_prefix(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            transactions_stream: format!("{prefix}-transactions"),
            scores_stream: format!("{prefix}-scores"),
            table: format!("{prefix}-cards"),
            quarantine_queue: format!("{prefix}-quarantine"),
            dead_letter_queue: format!("{prefix}-dead-letter"),
            unrecoverable_queue: format!("{prefix}-unrecoverable"),
            function: format!("{prefix}-score"),
            redrive_function: format!("{prefix}-redrive"),
            shards: 4,
        }
    }
}

impl Default for Names {
    fn default() -> Self {
        Self::with_prefix("tidemark")
    }
}

/// What [`LocalCloud::provision`] made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provisioned {
    /// URL of the quarantine queue.
    pub quarantine_queue_url: String,
    /// URL of the dead-letter queue.
    pub dead_letter_queue_url: String,
    /// Bucket of batches that kept failing, with their payload; a mapping writes there where it is told so.
    pub letter_bucket: String,
    /// URL of the unrecoverable queue.
    pub unrecoverable_queue_url: String,
    /// ARN of the stream of events.
    pub transactions_stream_arn: String,
    /// ARN of the stream of outcomes.
    pub scores_stream_arn: String,
}

/// A running local cloud. Everything in it listens on 127.0.0.1 only and stops when it is dropped.
#[derive(Debug)]
pub struct LocalCloud {
    config: LocalConfig,
    faults: Option<Faults>,
    server: Server,
    table: TableServer,
    admin: Admin,
}

impl LocalCloud {
    /// Starts DynamoDB, Kinesis, SQS and Lambda, empty.
    pub async fn start(config: LocalConfig) -> Result<Self, LocalError> {
        let logs = config.data_dir.join("logs");
        std::fs::create_dir_all(&logs).map_err(|source| LocalError::Path { path: logs, source })?;
        let file = config.keep_table.then(|| config.data_dir.join("table.sqlite"));
        let layer = match (config.fault_seed, config.aws_limits) {
            (seed, true) => Some(Faults::with_aws_limits(seed.unwrap_or(0))),
            (Some(seed), false) => Some(Faults::new(seed)),
            (None, false) => None,
        };
        let table = table::start(file.as_deref(), layer.as_ref()).await?;
        let server = server::start(config.port, &config.region, table.store, layer.as_ref()).await?;
        let settings = match &config.on {
            Some(on) => AwsSettings::local(&config.region, on, None),
            None => AwsSettings::local(&config.region, &server.own_endpoint, Some(&table.endpoint)),
        };
        let admin = Admin::connect(&settings).await;
        Ok(Self {
            faults: layer.filter(|_| config.fault_seed.is_some()),
            config,
            server,
            table,
            admin,
        })
    }

    /// Endpoint of every service (`AWS_ENDPOINT_URL`).
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.config.on.as_ref().unwrap_or(&self.server.endpoint)
    }

    /// Endpoint of DynamoDB without the hop over the other one (`AWS_ENDPOINT_URL_DYNAMODB`).
    #[must_use]
    pub fn dynamodb_endpoint(&self) -> &str {
        self.config.on.as_ref().unwrap_or(&self.table.endpoint)
    }

    /// Endpoint of Lambda, with the functions and mappings that this cloud runs (`AWS_ENDPOINT_URL_LAMBDA`).
    #[must_use]
    pub fn lambda_endpoint(&self) -> &str {
        &self.server.endpoint
    }

    /// The fault layer in front of all three services, where the cloud was started with one. Every client goes through
    /// it, this cloud's own ones too.
    #[must_use]
    pub fn faults(&self) -> Option<&Faults> {
        self.faults.as_ref()
    }

    /// The region.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.config.region
    }

    /// The folder of logs and tables.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.config.data_dir
    }

    /// The clients of streams, queues and tables of this cloud. Their reads of a shard count for nobody.
    #[must_use]
    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    /// Settings for any other client of this cloud.
    #[must_use]
    pub fn aws_settings(&self) -> AwsSettings {
        AwsSettings::local(&self.config.region, self.endpoint(), Some(self.dynamodb_endpoint()))
    }

    /// Makes streams, table, queues and bucket. What is there already is left as it is.
    pub async fn provision(&self, names: &Names) -> Result<Provisioned, LocalError> {
        let admin = &self.admin;
        admin.create_stream(&names.transactions_stream, names.shards).await?;
        admin.create_stream(&names.scores_stream, names.shards).await?;
        admin.create_table(&names.table).await?;
        let letters = admin.letter_bucket(&names.prefix).await?;
        admin.create_bucket(letters.name()).await?;
        if self.config.on.is_some() {
            // As the template has it; this cloud's own stream and table need not be told.
            admin.keep_for(&names.transactions_stream, STREAM_RETENTION_H).await?;
            admin.keep_for(&names.scores_stream, STREAM_RETENTION_H).await?;
            admin.expire_by(&names.table, EXPIRES).await?;
        }
        Ok(Provisioned {
            quarantine_queue_url: admin.create_queue(&names.quarantine_queue, QUEUE_RETENTION_S).await?,
            dead_letter_queue_url: admin.create_queue(&names.dead_letter_queue, QUEUE_RETENTION_S).await?,
            letter_bucket: letters.name().to_owned(),
            unrecoverable_queue_url: admin
                .create_queue(&names.unrecoverable_queue, QUEUE_RETENTION_S)
                .await?,
            transactions_stream_arn: admin.stream_arn(&names.transactions_stream).await?,
            scores_stream_arn: admin.stream_arn(&names.scores_stream).await?,
        })
    }

    /// The environment that Lambda and the template give the score function: region, credentials, endpoints, resources.
    #[must_use]
    pub fn function_env(&self, names: &Names, provisioned: &Provisioned) -> Vec<(String, String)> {
        [
            ("TIDEMARK_TABLE", names.table.as_str()),
            ("TIDEMARK_SCORES_STREAM", &names.scores_stream),
            ("TIDEMARK_QUARANTINE_QUEUE_URL", &provisioned.quarantine_queue_url),
            ("AWS_ENDPOINT_URL", self.endpoint()),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.dynamodb_endpoint()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
    }

    /// The environment of the redrive function: the score function's, and where the messages are.
    #[must_use]
    pub fn redrive_env(&self, names: &Names, provisioned: &Provisioned) -> Vec<(String, String)> {
        let own = [
            ("TIDEMARK_TRANSACTIONS_STREAM", names.transactions_stream.as_str()),
            ("TIDEMARK_DEAD_LETTER_QUEUE_URL", &provisioned.dead_letter_queue_url),
            ("TIDEMARK_LETTERS_BUCKET", &provisioned.letter_bucket),
            ("TIDEMARK_UNRECOVERABLE_QUEUE_URL", &provisioned.unrecoverable_queue_url),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.function_env(names, provisioned).into_iter().chain(own).collect()
    }

    /// Starts serving a function: its binary runs when it is invoked, by a mapping or over HTTP as in Lambda's API, one process
    /// for each invocation at a time.
    pub async fn start_function(&self, spec: FunctionSpec) -> Result<Function, LocalError> {
        let arn = format!("arn:aws:lambda:{}:{ACCOUNT}:function:{}", self.config.region, spec.name);
        let log = self.config.data_dir.join("logs").join(format!("{}.log", spec.name));
        let name = spec.name.clone();
        let function = Function::start(spec, arn, log, &self.config.region).await?;
        self.server.functions.add(&name, &function);
        Ok(function)
    }

    /// Starts moving records from a stream to a function.
    pub async fn start_mapping(&self, spec: MappingSpec) -> Result<Mapping, LocalError> {
        let mapping = Mapping::start(spec, self.admin.clone(), &self.config.region).await?;
        self.server.mappings.add(mapping.switch());
        Ok(mapping)
    }

    /// Stops everything. Functions and mappings are to be stopped before.
    pub async fn stop(self) {
        drop(self);
        // The servers end in tasks of their own; let them see the signal.
        tokio::task::yield_now().await;
    }
}
