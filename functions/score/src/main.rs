//! The bootstrap of the score function: reads the settings, builds the ports, and hands Lambda's invocations to the handler.

use std::process::ExitCode;

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use score_function::{Config, Response, ScoreFunction};
use serde_json::value::RawValue;
use tidemark_aws::{DynamoControl, DynamoStore, KinesisSink, SqsQuarantine, SystemClock, connect};
use tidemark_settings::{assemble, process};
use tidemark_telemetry::emf;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Function = ScoreFunction<DynamoStore, KinesisSink, SqsQuarantine, SystemClock, DynamoControl>;

/// One thread: a Lambda environment runs one invocation at a time, and the engine's concurrency is of waiting, not of work.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let config = match process::begin(Config::read, |config| config) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let function = &build(config).await;
    let invocations = service_fn(move |event: LambdaEvent<Box<RawValue>>| invoke(function, event));
    process::end(lambda_runtime::run(invocations).await)
}

async fn build(config: Config) -> Function {
    let clients = connect(&config.aws).await;
    let (engine, control) = assemble(&clients, &config);
    ScoreFunction::controlled(engine, control, SystemClock::new(), config.function_name).priced(config.tariff)
}

async fn invoke(function: &Function, event: LambdaEvent<Box<RawValue>>) -> Result<Response, Diagnostic> {
    let handled = function.handle(event.payload.get(), &event.context).await;
    emf::write_all(&handled.metrics);
    handled.answer.map_err(Diagnostic::from)
}
