//! The ports on DynamoDB, Kinesis and SQS: the only crate that names the AWS SDK.
//!
//! [`connect`] builds the clients; [`DynamoStore`], [`KinesisSink`], [`SqsQuarantine`] and [`SystemClock`] are the engine's
//! ports; [`KinesisReader`], [`SqsInbox`] and [`S3Bucket`] are the redrive's. A call is tried once: what to try again, and when, is the engine's budget.

pub mod admin;
mod arrival;
mod chunk;
mod client;
mod clock;
mod condition;
mod control;
mod error;
mod inbox;
pub mod item;
pub mod limits;
mod quarantine;
mod shards;
mod sink;
mod statement;
mod store;
mod write;

pub use admin::S3Bucket;
pub use arrival::{arrival_ms, arrival_ms_of_seconds};
pub use client::{AwsSettings, Clients, CredentialSource, Endpoints, connect, is_loopback};
pub use clock::SystemClock;
pub use control::DynamoControl;
pub use inbox::SqsInbox;
pub use quarantine::SqsQuarantine;
pub use shards::KinesisReader;
pub use sink::KinesisSink;
pub use store::DynamoStore;
pub use write::Writes;
