//! The bootstrap of the redrive function: reads the settings, builds the ports, and hands Lambda's invocations to the handler.

use std::process::ExitCode;
use std::sync::Arc;

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use redrive_function::{RedriveFunction, Settings, SteeredProcessor};
use serde_json::value::RawValue;
use tidemark_aws::{
    DynamoControl, DynamoStore, KinesisReader, KinesisSink, S3Bucket, SqsInbox, SqsQuarantine, SystemClock, connect,
};
use tidemark_engine::Steered;
use tidemark_redrive::port::LetterBucket;
use tidemark_redrive::{Answered, Home, Queues, Redrive};
use tidemark_settings::{assemble, process};
use tidemark_telemetry::emf;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Pipeline = SteeredProcessor<DynamoStore, KinesisSink, SqsQuarantine, SystemClock, DynamoControl>;
type Function = RedriveFunction<KinesisReader, SqsInbox, Pipeline, SystemClock>;

/// One thread: a Lambda environment runs one invocation at a time, and the engine's concurrency is of waiting, not of work.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let settings = match process::begin(Settings::read, |settings| &settings.pipeline) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    let function = &build(settings).await;
    let invocations = service_fn(move |event: LambdaEvent<Box<RawValue>>| invoke(function, event));
    process::end(lambda_runtime::run(invocations).await)
}

async fn build(settings: Settings) -> Function {
    let config = settings.pipeline;
    let clients = connect(&config.aws).await;
    let bucket: Option<Arc<dyn LetterBucket>> = match settings.letters_bucket {
        Some(name) => Some(Arc::new(S3Bucket::connect(&config.aws, name).await)),
        None => None,
    };
    let inbox = |url: String| SqsInbox::new(clients.sqs.clone(), url);
    let queues = Queues {
        dead_letter: inbox(settings.dead_letter_queue_url),
        quarantine: inbox(config.quarantine_queue_url.clone()),
        unrecoverable: inbox(settings.unrecoverable_queue_url),
    };
    let reader = KinesisReader::new(clients.kinesis.clone(), settings.transactions_stream.clone());
    let (engine, control) = assemble(&clients, &config);
    let steered = SteeredProcessor(Steered::new(engine, control, SystemClock::new()));
    let home = Home::new(settings.transactions_stream);
    let redrive = Redrive::new(reader, queues, steered, SystemClock::new(), home, settings.redrive).with_bucket(bucket);
    RedriveFunction::new(redrive, SystemClock::new(), config.function_name)
}

async fn invoke(function: &Function, event: LambdaEvent<Box<RawValue>>) -> Result<Answered, Diagnostic> {
    // In a box: the future of a whole redrive is large.
    let handled = Box::pin(function.handle(event.payload.get(), &event.context)).await;
    emf::write_all(&handled.metrics);
    handled.answer.map_err(Diagnostic::from)
}
