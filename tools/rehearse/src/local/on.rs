//! `local up --on`: streams, table and queues of another emulator, with our functions and our mapping.

use terminal::error::CliError;
use tidemark_aws::admin::Admin;
use tidemark_aws::{AwsSettings, is_loopback};

use crate::stack::{Stack, StackOptions};

const FUNCTION: &str = "tidemark-score";
/// Where functions run when nothing else is said.
const REGION: &str = "eu-west-1";

/// Starts the pipeline on an emulator, when that is on this machine, answers, and moves no records itself.
pub(super) async fn start(url: &str, mut options: StackOptions<'_>) -> Result<Stack, CliError> {
    if !is_loopback(url) {
        return Err(CliError::usage(
            "local_on",
            format!("the endpoint {url} is not on this machine, and `local up` has test credentials"),
            "Give an emulator on loopback, such as --on http://127.0.0.1:4566. Nothing was sent.",
        ));
    }
    let region = options.region.unwrap_or(REGION);
    let admin = Admin::connect(&AwsSettings::local(region, url, None)).await;
    // An emulator without Lambda has no mapping either.
    let mappings = admin.mappings(FUNCTION).await.unwrap_or_default();
    if mappings.iter().any(|mapping| mapping.state == "Enabled") {
        return Err(CliError::refused(
            "local_on",
            format!("{url} has a mapping of its own that moves records to {FUNCTION}"),
            "Two mappings would take every record twice. Deploy there with --set MappingEnabled=false, or start the emulator anew.",
        ));
    }
    // Not every emulator has all of PartiQL.
    options.env.push(("TIDEMARK_WRITES".to_owned(), "items".to_owned()));
    Box::pin(Stack::start_with(options)).await.map_err(|error| {
        if error.code != "local_aws" {
            return error;
        }
        CliError::service(
            "local_on",
            format!("the emulator on {url} does not do what is needed: {}", error.what),
            "Is it up, with DynamoDB, Kinesis and SQS? docs/reference/localstack.md says what each emulator can.",
        )
    })
}
