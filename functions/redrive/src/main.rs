//! The bootstrap of the redrive function: reads the settings, builds the ports, and hands Lambda's invocations to the handler.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use redrive_function::{RedriveFunction, Settings, SteeredProcessor};
use serde_json::value::RawValue;
use tidemark_aws::{
    DynamoControl, DynamoStore, KinesisReader, KinesisSink, SqsInbox, SqsQuarantine, SystemClock, connect,
};
use tidemark_engine::control::Control;
use tidemark_engine::{Engine, Steered};
use tidemark_redrive::{Home, Queues, Redrive, Response};
use tidemark_settings::process;
use tidemark_telemetry::{EmfLine, ErrorCode, logging};

type Pipeline = SteeredProcessor<DynamoStore, KinesisSink, SqsQuarantine, SystemClock, DynamoControl>;
type Function = RedriveFunction<KinesisReader, SqsInbox, Pipeline, SystemClock>;

/// One thread: a Lambda environment runs one invocation at a time, and the engine's concurrency is of waiting, not of work.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let settings = match Settings::read(&process::variables(), |path| std::fs::read_to_string(path)) {
        Ok(settings) => settings,
        Err(problems) => return process::refuse(&problems),
    };
    logging::init(settings.pipeline.log_level);
    process::warn_of_unknown(&settings.pipeline.unknown);
    let function = &build(settings).await;
    let invocations = service_fn(move |event: LambdaEvent<Box<RawValue>>| invoke(function, event));
    match lambda_runtime::run(invocations).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(code = ErrorCode::RuntimeFailed.as_str(), error, "the runtime stopped");
            ExitCode::FAILURE
        }
    }
}

async fn build(settings: Settings) -> Function {
    let config = settings.pipeline;
    let clients = connect(&config.aws).await;
    let inbox = |url: String| SqsInbox::new(clients.sqs.clone(), url);
    let queues = Queues {
        dead_letter: inbox(settings.dead_letter_queue_url),
        quarantine: inbox(config.quarantine_queue_url.clone()),
        unrecoverable: inbox(settings.unrecoverable_queue_url),
    };
    let reader = KinesisReader::new(clients.kinesis.clone(), settings.transactions_stream.clone());
    let control = DynamoControl::new(clients.dynamodb.clone(), config.table.clone());
    let store = DynamoStore::new(clients.dynamodb, config.table);
    let sink = KinesisSink::new(clients.kinesis, config.scores_stream);
    let quarantine = SqsQuarantine::new(clients.sqs, config.quarantine_queue_url);
    let policy = Arc::new(config.policy);
    let control = Control::new(control, Arc::clone(&policy), config.control);
    let engine = Engine::new(store, sink, quarantine, SystemClock::new(), policy, config.engine);
    let steered = SteeredProcessor(Steered::new(engine, control, SystemClock::new()));
    let home = Home::new(settings.transactions_stream);
    let redrive = Redrive::new(reader, queues, steered, SystemClock::new(), home, settings.redrive);
    RedriveFunction::new(redrive, SystemClock::new(), config.function_name)
}

async fn invoke(function: &Function, event: LambdaEvent<Box<RawValue>>) -> Result<Response, Diagnostic> {
    // In a box: the future of a whole redrive is large.
    let handled = Box::pin(function.handle(event.payload.get(), &event.context)).await;
    write_metrics(&handled.metrics);
    handled.answer.map_err(Diagnostic::from)
}

fn write_metrics(lines: &[EmfLine]) {
    let mut output = io::stdout().lock();
    for line in lines {
        if let Err(error) = line.write_to(&mut output) {
            tracing::error!(code = ErrorCode::MetricsUnwritten.as_str(), error = %error, "metrics were lost");
        }
    }
}
