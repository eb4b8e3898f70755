//! What goes wrong in the tests and in the demo, as plans of the fault layer.

use localcloud::{FaultKind, FaultPlan, Service};

/// Every kind of fault at every service, on the calls of the function, the mapping and the producer.
///
/// A delay of 2.5 s is longer than the function waits for an answer (2 s): its call is applied after it was given up.
#[must_use]
pub fn errors_and_lost_answers(transactions_stream: &str, scores_stream: &str) -> Vec<FaultPlan> {
    use FaultKind::{Delay, DropAfterApply, DropBefore, Error500, Partial, Throttle};
    use Service::{DynamoDb, Kinesis, Sqs};
    vec![
        FaultPlan::new(DynamoDb, Error500, 0.03),
        FaultPlan::new(DynamoDb, Throttle, 0.05),
        FaultPlan::new(DynamoDb, DropBefore, 0.02),
        FaultPlan::new(DynamoDb, DropAfterApply, 0.03).on("PutItem"),
        // The writes of many cards: each of them may be refused by itself, and all of them may be done without an answer.
        FaultPlan::new(DynamoDb, Partial { share: 0.2 }, 0.2).on("BatchExecuteStatement"),
        FaultPlan::new(DynamoDb, DropAfterApply, 0.1).on("BatchExecuteStatement"),
        FaultPlan::new(DynamoDb, Delay { ms: 60 }, 0.05),
        FaultPlan::new(DynamoDb, Delay { ms: 2_500 }, 0.02).on("BatchExecuteStatement"),
        FaultPlan::new(DynamoDb, Partial { share: 0.3 }, 0.3).on("BatchGetItem"),
        // Sealed segments of hot cards.
        FaultPlan::new(DynamoDb, Partial { share: 0.3 }, 0.3).on("BatchWriteItem"),
        FaultPlan::new(DynamoDb, DropAfterApply, 0.1).on("BatchWriteItem"),
        FaultPlan::new(Kinesis, Error500, 0.05).on("PutRecords"),
        FaultPlan::new(Kinesis, Partial { share: 0.2 }, 0.2).on("PutRecords"),
        FaultPlan::new(Kinesis, DropAfterApply, 0.05)
            .on("PutRecords")
            .at(scores_stream),
        // The producer sends what was taken once more: its events get new sequence numbers.
        FaultPlan::new(Kinesis, DropAfterApply, 0.25)
            .on("PutRecords")
            .at(transactions_stream),
        FaultPlan::new(Kinesis, Throttle, 0.1).on("GetRecords"),
        FaultPlan::new(Kinesis, DropAfterApply, 0.05).on("GetRecords"),
        FaultPlan::new(Sqs, Error500, 0.1).on("SendMessageBatch"),
        FaultPlan::new(Sqs, Throttle, 0.1).on("SendMessageBatch"),
        FaultPlan::new(Sqs, Partial { share: 0.3 }, 0.2).on("SendMessageBatch"),
        FaultPlan::new(Sqs, DropAfterApply, 0.1).on("SendMessageBatch"),
    ]
}

/// The shares of AWS's own lab for this pattern: 5 % of reads, 10 % of commits and 10 % of sends fail. Half of the
/// failures of a write come after it was applied.
#[must_use]
pub fn lab(scores_stream: &str) -> Vec<FaultPlan> {
    use FaultKind::{DropAfterApply, Error500};
    vec![
        FaultPlan::new(Service::DynamoDb, Error500, 0.05).on("BatchGetItem"),
        FaultPlan::new(Service::DynamoDb, Error500, 0.05).on("BatchExecuteStatement"),
        FaultPlan::new(Service::DynamoDb, DropAfterApply, 0.05).on("BatchExecuteStatement"),
        FaultPlan::new(Service::Kinesis, Error500, 0.05)
            .on("PutRecords")
            .at(scores_stream),
        FaultPlan::new(Service::Kinesis, DropAfterApply, 0.05)
            .on("PutRecords")
            .at(scores_stream),
    ]
}
