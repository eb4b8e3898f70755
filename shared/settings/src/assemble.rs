//! The engine on AWS, as the settings say: every function has it.

use std::sync::Arc;

use tidemark_aws::{Clients, DynamoControl, DynamoStore, KinesisSink, SqsQuarantine, SystemClock};
use tidemark_engine::Engine;
use tidemark_engine::control::Control;

use crate::maps::SaltedMaps;
use crate::pipeline::Config;

/// An engine whose ports are AWS's services.
pub type AwsEngine = Engine<DynamoStore, KinesisSink, SqsQuarantine, SystemClock>;

/// The engine, and the control plane that steers it.
#[must_use]
pub fn assemble(clients: &Clients, config: &Config) -> (AwsEngine, Control<DynamoControl>) {
    let control = DynamoControl::new(clients.dynamodb.clone(), config.table.clone());
    let store = DynamoStore::new(clients.dynamodb.clone(), config.table.clone()).with_writes(config.writes);
    let sink = KinesisSink::new(clients.kinesis.clone(), config.scores_stream.clone());
    let quarantine = SqsQuarantine::new(clients.sqs.clone(), config.quarantine_queue_url.clone());
    let policy = Arc::new(config.policy.clone());
    let control = Control::new(control, Arc::clone(&policy), config.control)
        .with_maps(Arc::new(SaltedMaps::new(config.salt.clone())));
    let engine = Engine::new(store, sink, quarantine, SystemClock::new(), policy, config.engine);
    (engine, control)
}
