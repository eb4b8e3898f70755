//! The AWS that runs on one machine: DynamoDB, Kinesis, SQS, the event source mapping and Lambda's Runtime API.
//!
//! [`LocalCloud::start`] starts the services in this process; [`LocalCloud::start_function`] runs a real Lambda `bootstrap`
//! behind a Runtime API; [`LocalCloud::start_mapping`] moves records from a stream to it with AWS's semantics. Everything
//! listens on 127.0.0.1 only. Where it differs from AWS is written in docs/reference/local-aws.md.

mod account;
mod clock;
mod cloud;
mod error;
pub mod esm;
mod faults;
pub mod loopback;
mod mapping;
mod runtime_api;
mod server;
mod table;

pub use cloud::{LocalCloud, LocalConfig, Names, Provisioned};
pub use error::LocalError;
pub use esm::{EsmOptions, EsmStats, StartingPosition};
pub use faults::{FaultCounts, FaultKind, FaultPlan, Faults, PlanId, Service};
pub use mapping::{Invoker, Mapping, MappingSpec, MappingStats, Reads};
pub use runtime_api::{Function, FunctionSpec, FunctionStats, Invocation, InvokeError};
