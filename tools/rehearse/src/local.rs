//! `tidemark local up`: the pipeline stays up until it is told to stop.

pub mod args;
mod on;

use operate::watch::sample::{Sampler, Targets};
use terminal::error::{CliError, Exit};
use terminal::ui::{self, paint};
use tidemark_domain::policy::Policy;

use crate::local::args::LocalUpArgs;
use crate::stack::{Stack, StackOptions};
use crate::web::WebPage;

/// Starts everything, prints where it is, and waits for Ctrl-C. `region` is that of another emulator, with `--on`.
///
/// # Errors
/// When something does not start.
pub async fn up(args: &LocalUpArgs, region: &str, json: bool) -> Result<Exit, CliError> {
    let mut options = StackOptions::new(&args.data_dir, args.shards, args.score_binary.as_deref(), json);
    options.port = args.port;
    options.aws_limits = !args.no_aws_limits;
    let stack = match &args.on {
        Some(url) => {
            options.on = Some(url);
            options.region = Some(region);
            on::start(url, options).await?
        }
        None => Stack::start_with(options).await?,
    };
    let page = page(&stack, args.page_port).await?;
    ui::out(&if json {
        as_json(&stack, &page)?
    } else {
        as_text(&stack, &page)
    });
    let waited = tokio::signal::ctrl_c().await;
    stack.stop().await;
    waited.map_err(|e| CliError::machine("signal", e, "Stop the process by its id."))?;
    Ok(Exit::Ok)
}

async fn page(stack: &Stack, port: u16) -> Result<WebPage, CliError> {
    let admin = stack.cloud.admin().clone();
    let targets = Targets {
        transactions: stack.names.transactions_stream.clone(),
        scores: stack.names.scores_stream.clone(),
        queues: vec![
            ("quarantine".to_owned(), stack.names.quarantine_queue.clone()),
            ("dead-letter".to_owned(), stack.names.dead_letter_queue.clone()),
            ("unrecoverable".to_owned(), stack.names.unrecoverable_queue.clone()),
        ],
        log: Some(stack.function.log_path().to_path_buf()),
    };
    let policy = Policy::default_policy();
    let sampler = Sampler::new(admin.clone(), targets, policy.clone());
    WebPage::start(port, admin, sampler, &stack.names.table, policy).await
}

fn as_json(stack: &Stack, page: &WebPage) -> Result<String, CliError> {
    let value = serde_json::json!({
        "endpoint": stack.cloud.endpoint(),
        "lambda_endpoint": stack.cloud.lambda_endpoint(),
        "dynamodb_endpoint": stack.cloud.dynamodb_endpoint(),
        "region": stack.cloud.region(),
        "transactions_stream": stack.names.transactions_stream,
        "scores_stream": stack.names.scores_stream,
        "table": stack.names.table,
        "quarantine_queue_url": stack.provisioned.quarantine_queue_url,
        "dead_letter_queue_url": stack.provisioned.dead_letter_queue_url,
        "unrecoverable_queue_url": stack.provisioned.unrecoverable_queue_url,
        "redrive_function": stack.redrive.as_ref().map(|_| &stack.names.redrive_function),
        "page": page.url(),
        "function_log": stack.function.log_path(),
    });
    let text = serde_json::to_string(&value);
    text.map(|text| text + "\n")
        .map_err(|e| CliError::machine("report", e, "This is a bug in tidemark: please report it."))
}

fn as_text(stack: &Stack, page: &WebPage) -> String {
    let (cloud, names) = (&stack.cloud, &stack.names);
    let is_on_another = cloud.endpoint() != cloud.lambda_endpoint();
    let of_lambda = is_on_another.then_some(("AWS_ENDPOINT_URL_LAMBDA", cloud.lambda_endpoint()));
    let exports = [
        ("AWS_ENDPOINT_URL", cloud.endpoint()),
        ("AWS_REGION", cloud.region()),
        ("AWS_DEFAULT_REGION", cloud.region()),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ];
    let mut text = format!("{}\n", paint(ui::HEADING, "The local AWS is up. In another terminal:"));
    for (name, value) in exports.into_iter().chain(of_lambda) {
        text += &format!("  export {name}={value}\n");
    }
    text += &format!(
        "  cargo tidemark simulate --events 1000 | cargo tidemark send --stream {}\n",
        names.transactions_stream
    );
    text += &format!(
        "\nOutcomes are in the stream {}, states in the table {}.\n",
        names.scores_stream, names.table
    );
    text += "`aws` and boto3 find it by the same variables; `aws kinesis list-streams` is a start.\n";
    text += &format!("Watch it with `cargo tidemark watch`, or on the page {}\n", page.url());
    text += &format!("The function's log is {}.\n", stack.function.log_path().display());
    let end = if is_on_another {
        "Ctrl-C stops functions and mapping; streams, queues and the table stay where they are. The next start reads the stream again from its beginning.\n"
    } else {
        "Ctrl-C stops everything; streams, queues and the table are in memory and go with it.\n"
    };
    text + &paint(ui::DIM, end)
}
