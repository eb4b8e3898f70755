//! The bootstrap of the score function: reads the settings, builds the ports, and hands Lambda's invocations to the handler.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use score_function::{Config, Response, ScoreFunction};
use serde_json::value::RawValue;
use tidemark_aws::{DynamoControl, DynamoStore, KinesisSink, SqsQuarantine, SystemClock, connect};
use tidemark_engine::Engine;
use tidemark_engine::control::Control;
use tidemark_settings::process;
use tidemark_telemetry::{EmfLine, ErrorCode, logging};

type Function = ScoreFunction<DynamoStore, KinesisSink, SqsQuarantine, SystemClock, DynamoControl>;

/// One thread: a Lambda environment runs one invocation at a time, and the engine's concurrency is of waiting, not of work.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let config = match Config::read(&process::variables(), |path| std::fs::read_to_string(path)) {
        Ok(config) => config,
        Err(problems) => return process::refuse(&problems),
    };
    logging::init(config.log_level);
    process::warn_of_unknown(&config.unknown);
    let function = &build(config).await;
    let invocations = service_fn(move |event: LambdaEvent<Box<RawValue>>| invoke(function, event));
    match lambda_runtime::run(invocations).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(code = ErrorCode::RuntimeFailed.as_str(), error, "the runtime stopped");
            ExitCode::FAILURE
        }
    }
}

async fn build(config: Config) -> Function {
    let clients = connect(&config.aws).await;
    let control = DynamoControl::new(clients.dynamodb.clone(), config.table.clone());
    let store = DynamoStore::new(clients.dynamodb, config.table);
    let sink = KinesisSink::new(clients.kinesis, config.scores_stream);
    let quarantine = SqsQuarantine::new(clients.sqs, config.quarantine_queue_url);
    let policy = Arc::new(config.policy);
    let control = Control::new(control, Arc::clone(&policy), config.control);
    let engine = Engine::new(store, sink, quarantine, SystemClock::new(), policy, config.engine);
    ScoreFunction::controlled(engine, control, SystemClock::new(), config.function_name).priced(config.tariff)
}

async fn invoke(function: &Function, event: LambdaEvent<Box<RawValue>>) -> Result<Response, Diagnostic> {
    let handled = function.handle(event.payload.get(), &event.context).await;
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
