//! The ports on DynamoDB, Kinesis and SQS: the only crate that names the AWS SDK.
//!
//! [`connect`] builds the clients; [`DynamoStore`], [`KinesisSink`], [`SqsQuarantine`] and [`SystemClock`] are the engine's
//! ports. A call is tried once: what to try again, and when, is the engine's budget.

pub mod admin;
mod chunk;
mod client;
mod clock;
mod control;
mod error;
pub mod item;
pub mod limits;
mod quarantine;
mod sink;
mod store;

pub use client::{AwsSettings, Clients, CredentialSource, Endpoints, connect};
pub use clock::SystemClock;
pub use control::DynamoControl;
pub use quarantine::SqsQuarantine;
pub use sink::KinesisSink;
pub use store::DynamoStore;
