//! Which deployment a command looks at: its streams, table, queues and function, by prefix or by name.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use terminal::error::CliError;
use tidemark_aws::admin::{Admin, AdminError};

use crate::account::evidence::EvidencePlaces;

/// The environment variable that stands for `--prefix`.
pub const PREFIX_VARIABLE: &str = "TIDEMARK_PREFIX";

/// The deployment whose resources a command works on: the same flag on every verb, and one variable for the night.
#[derive(Clone, Debug, Args)]
pub struct PrefixArg {
    /// The deployment: its resources are called PREFIX-transactions, PREFIX-scores, PREFIX-cards and so on
    #[arg(long, env = PREFIX_VARIABLE, default_value = "tidemark", value_parser = NonEmptyStringValueParser::new())]
    pub prefix: String,
}

impl PrefixArg {
    /// A resource's name: its own, where one is given, or the deployment's.
    #[must_use]
    pub fn name(&self, own: Option<&String>, suffix: &str) -> String {
        own.cloned().unwrap_or_else(|| format!("{}-{suffix}", self.prefix))
    }
}

/// The stream that a command sends to, and how.
#[derive(Clone, Debug, Args)]
pub struct ToStreamArgs {
    /// The deployment
    #[command(flatten)]
    pub deployment: PrefixArg,
    /// The stream, when it is not PREFIX-transactions
    #[arg(long)]
    pub stream: Option<String>,
    /// Pack many events into one record, as the Kinesis Producer Library does
    #[arg(long)]
    pub aggregate: bool,
}

impl ToStreamArgs {
    /// The stream's name.
    #[must_use]
    pub fn stream(&self) -> String {
        self.deployment.name(self.stream.as_ref(), "transactions")
    }
}

/// Names on the command line. The endpoint, region and credentials are AWS's own settings.
#[derive(Clone, Debug, Args)]
pub struct PlaceArgs {
    /// The deployment
    #[command(flatten)]
    pub deployment: PrefixArg,
    /// The stream of transactions, when it is not PREFIX-transactions
    #[arg(long)]
    pub stream: Option<String>,
    /// The stream of outcomes, when it is not PREFIX-scores
    #[arg(long)]
    pub scores: Option<String>,
    /// The table, when it is not PREFIX-cards
    #[arg(long)]
    pub table: Option<String>,
    /// The quarantine queue, when it is not PREFIX-quarantine
    #[arg(long)]
    pub quarantine: Option<String>,
    /// The dead-letter queue, when it is not PREFIX-dead-letter
    #[arg(long)]
    pub dead_letter: Option<String>,
    /// The queue of what no redrive can use, when it is not PREFIX-unrecoverable
    #[arg(long)]
    pub unrecoverable: Option<String>,
}

/// Where everything is.
#[derive(Clone, Debug)]
pub struct Places {
    /// What the deployment's names begin with.
    pub prefix: String,
    /// The stream of transactions.
    pub stream: String,
    /// How long it keeps a record, in hours.
    pub retention_h: u32,
    /// The stream of outcomes.
    pub scores: String,
    /// The table.
    pub table: String,
    /// URL of the quarantine queue.
    pub quarantine_url: String,
    /// URL of the dead-letter queue.
    pub dead_letter_url: String,
    /// URL of the unrecoverable queue.
    pub unrecoverable_url: String,
}

impl PlaceArgs {
    fn name(&self, own: Option<&String>, suffix: &str) -> String {
        self.deployment.name(own, suffix)
    }

    /// The table's name.
    #[must_use]
    pub fn table(&self) -> String {
        self.name(self.table.as_ref(), "cards")
    }

    /// The stream of transactions' name.
    #[must_use]
    pub fn stream(&self) -> String {
        self.name(self.stream.as_ref(), "transactions")
    }

    /// Looks everything up.
    ///
    /// # Errors
    /// When a stream or queue is not there, or AWS does not answer.
    pub async fn resolve(&self, admin: &Admin) -> Result<Places, CliError> {
        let stream = self.stream();
        let info = admin
            .stream_info(&stream)
            .await
            .map_err(|e| stream_error(&stream, &e))?;
        let scores = self.name(self.scores.as_ref(), "scores");
        admin
            .stream_info(&scores)
            .await
            .map_err(|e| stream_error(&scores, &e))?;
        let url = async |own: Option<&String>, suffix: &str| {
            let name = self.name(own, suffix);
            admin.queue_url(&name).await.map_err(|e| queue_error(&name, &e))
        };
        Ok(Places {
            prefix: self.deployment.prefix.clone(),
            quarantine_url: url(self.quarantine.as_ref(), "quarantine").await?,
            dead_letter_url: url(self.dead_letter.as_ref(), "dead-letter").await?,
            unrecoverable_url: url(self.unrecoverable.as_ref(), "unrecoverable").await?,
            table: self.table(),
            retention_h: info.retention_h,
            stream,
            scores,
        })
    }
}

impl Places {
    /// The same for the account.
    #[must_use]
    pub fn names(&self) -> EvidencePlaces<'_> {
        EvidencePlaces {
            prefix: &self.prefix,
            transactions: &self.stream,
            scores: &self.scores,
            table: &self.table,
            quarantine_url: &self.quarantine_url,
            dead_letter_url: &self.dead_letter_url,
            unrecoverable_url: &self.unrecoverable_url,
        }
    }
}

fn stream_error(stream: &str, error: &AdminError) -> CliError {
    if matches!(error, AdminError::NotFound { .. }) {
        return CliError::usage(
            "unknown_stream",
            format!("there is no stream {stream}"),
            "Check --prefix, or name the stream; check AWS_ENDPOINT_URL and AWS_REGION.",
        );
    }
    unreachable_service(&format!("stream {stream}: {error}"))
}

fn queue_error(queue: &str, error: &AdminError) -> CliError {
    if matches!(error, AdminError::NotFound { .. }) {
        return CliError::usage(
            "unknown_queue",
            format!("there is no queue {queue}"),
            "Check --prefix, or name the queue; check AWS_ENDPOINT_URL and AWS_REGION.",
        );
    }
    unreachable_service(&format!("queue {queue}: {error}"))
}

fn unreachable_service(what: &str) -> CliError {
    CliError::service("look_up", what, "Check AWS_ENDPOINT_URL, AWS_REGION and credentials.")
}
