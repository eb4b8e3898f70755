//! Streams, tables and queues as tools need them: create, describe, read, send, receive. Functions use nothing of this module but
//! [`S3Bucket`].
//!
//! Its types name no SDK type, so that a tool needs no AWS crate of its own.

mod bucket;
mod change_set;
mod control;
mod error;
mod function;
mod identity;
mod keep;
mod letters;
mod machine;
mod mapping;
mod patience;
mod put;
mod queue;
mod quota;
mod read;
mod rim;
mod signed;
mod stack;
mod stream;
mod table;
mod xml;

use std::sync::Arc;
use std::time::Duration;

use aws_smithy_types::timeout::TimeoutConfig;

pub use change_set::{ChangeSetInfo, ChangeSetKind, ImportedResource, NewChangeSet, StackChange, TemplateAt};
pub use control::{ControlPut, Expected};
pub use error::AdminError;
pub use letters::{S3Bucket, letter_bucket_name};
pub use machine::{MachineRun, MapProgress};
pub use mapping::{LIVE_ALIAS, MappingChange, MappingState, RECORD_AGE_S_MAX};
pub use patience::{
    READ_BACKOFF_FIRST_MS, READ_BACKOFF_MAX_MS, READ_BUDGET_MS, SHARD_BYTES_PER_SECOND, SHARD_READS_PER_SECOND,
    WAIT_TOLD_MS, Waiting,
};
pub use put::{Put, PutAnswer};
pub use queue::{QueueDepth, QueueMessage};
pub use quota::{AlarmInfo, Concurrency, StreamQuota, TableQuota};
pub use read::{ReadFrom, RecordPage, ShardIterator, ShardRecord};
pub use stack::{StackEvent, StackInfo, StackResource};
pub use stream::{PutRecord, Shard, StreamInfo};
pub use table::{Item, ItemPage, ItemValue, item_bytes};

use crate::client::{AwsSettings, Clients, clients_of, shared_config};

/// Time for one call of a tool, connection and answer included: a page of records has up to 10 MB.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a tool asks whether something has come into being.
const STATUS_POLL_INTERVAL: Duration = Duration::from_millis(200);
/// How many times it asks: for two minutes.
const STATUS_POLLS_MAX: u32 = 600;

/// The clients of a tool. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Admin {
    clients: Clients,
    lambda: function::Lambda,
    sts: identity::Sts,
    deploys: Arc<Deploys>,
    patience: patience::Patience,
}

/// The services that a deployment is made with, and whose requests are built here.
#[derive(Debug)]
struct Deploys {
    cloudformation: rim::Rim,
    cloudwatch: rim::Rim,
    machines: rim::Rim,
    storage: rim::Rim,
}

impl Admin {
    /// Builds the clients, which try each call once ([`Self::patient`] changes that). No network call.
    pub async fn connect(settings: &AwsSettings) -> Self {
        let shared = shared_config(settings).await;
        Self {
            clients: clients_of(settings, &shared),
            lambda: function::Lambda::new(settings, &shared),
            sts: identity::Sts::new(settings, &shared),
            deploys: Arc::new(Deploys {
                cloudformation: rim::Rim::new("cloudformation", settings, &shared),
                cloudwatch: rim::Rim::new("monitoring", settings, &shared),
                machines: rim::Rim::new("states", settings, &shared),
                storage: rim::Rim::new("s3", settings, &shared),
            }),
            patience: patience::Patience::default(),
        }
    }
}

impl Admin {
    /// The engine's store on a table. Its writes go out one by one: whoever operates needs no permission to use PartiQL.
    #[must_use]
    pub fn store(&self, table: &str) -> crate::DynamoStore {
        crate::DynamoStore::new(self.clients.dynamodb.clone(), table).with_writes(crate::Writes::Items)
    }
}

/// The time a call of a tool may take, in place of the short one of functions.
fn call_timeout() -> TimeoutConfig {
    TimeoutConfig::builder()
        .read_timeout(CALL_TIMEOUT)
        .operation_attempt_timeout(CALL_TIMEOUT)
        .operation_timeout(CALL_TIMEOUT)
        .build()
}

#[allow(
    clippy::disallowed_methods,
    reason = "the rim of a tool: it waits for AWS, and nothing is computed from the wait"
)]
async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}
