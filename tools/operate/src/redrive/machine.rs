//! The deployment's state machine, which calls the redrive function for each chain until the chain is over.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use indicatif::ProgressBar;
use serde::Deserialize;
use serde_json::json;
use terminal::clock::pause;
use terminal::error::CliError;
use tidemark_aws::admin::{Admin, AdminError, MachineRun};
use tidemark_redrive::{Chain, Problem};

use super::{ATTEMPTS_MAX, BACKOFF_MS};

/// Chains of one execution: its input and its output have 256 KiB each.
const CHAINS_IN_EXECUTION_MAX: usize = 100;
/// Wait between two looks at an execution, in milliseconds.
const EXECUTION_LOOK_MS: u64 = 2_000;

/// The deployment's state machine.
pub(super) struct Machine<'a> {
    admin: &'a Admin,
    arn: String,
}

/// What an execution says of one chain.
#[derive(Debug, Deserialize)]
struct Item {
    chain: Chain,
    /// Why the function could not be called any more.
    #[serde(default)]
    error: Option<String>,
}

impl<'a> Machine<'a> {
    /// The machine that a deployment of this prefix has, if it has one; that is told by the first execution.
    pub(super) async fn find(admin: &'a Admin, prefix: &str) -> Result<Option<Self>, CliError> {
        let arn = admin.machine_arn(&format!("{prefix}-redrive")).await;
        let arn = arn.map_err(|error| failed(&error))?;
        Ok(arn.map(|arn| Self { admin, arn }))
    }

    /// Takes chains to their end, so many at once; `None`: there is no such machine.
    pub(super) async fn take(
        &self,
        name: &str,
        chains: &[Chain],
        parallel: u32,
        bar: &ProgressBar,
    ) -> Result<Option<Vec<Chain>>, CliError> {
        if chains.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let groups = chains.chunks(CHAINS_IN_EXECUTION_MAX).enumerate();
        let executions = usize::try_from(parallel)
            .unwrap_or(usize::MAX)
            .div_ceil(CHAINS_IN_EXECUTION_MAX);
        let each = parallel
            .div_ceil(u32::try_from(executions).unwrap_or(u32::MAX).max(1))
            .max(1);
        let all = stream::iter(groups).map(|(at, group)| {
            let name = format!("{name}-{at}");
            async move { self.execute(&name, group, each, bar).await }
        });
        let taken: Vec<Option<Vec<Chain>>> = all.buffered(executions.max(1)).try_collect().await?;
        let taken: Option<Vec<Vec<Chain>>> = taken.into_iter().collect();
        Ok(taken.map(|taken| taken.into_iter().flatten().collect()))
    }

    async fn execute(
        &self,
        name: &str,
        chains: &[Chain],
        parallel: u32,
        bar: &ProgressBar,
    ) -> Result<Option<Vec<Chain>>, CliError> {
        let input = json!({ "parallel": parallel, "chains": chains }).to_string();
        let Some(execution) = self.start(name, &input).await? else {
            return Ok(None);
        };
        bar.set_message(format!("execution {name} takes {} parts", chains.len()));
        let run = self.wait(&execution).await?;
        let items = run.output.as_deref().filter(|_| run.status == "SUCCEEDED");
        let items: Option<Vec<Item>> = items.and_then(|items| serde_json::from_str(items).ok());
        let items = items.ok_or_else(|| {
            let why = run.error.map_or_else(String::new, |why| format!(": {why}"));
            CliError::service(
                "redrive_machine",
                format!("execution {name} of the state machine ended as {}{why}", run.status),
                "Look at the execution. What was done is done: run it again, or take RedriveParallelMax=0 to go without the machine.",
            )
        })?;
        Ok(Some(items.into_iter().map(Item::chain).collect()))
    }

    /// Starts an execution; the same name and input start nothing twice, so that it may be tried again.
    async fn start(&self, name: &str, input: &str) -> Result<Option<String>, CliError> {
        let mut wait_ms = BACKOFF_MS;
        for _ in 1..ATTEMPTS_MAX {
            match self.admin.start_machine(&self.arn, name, input).await {
                Err(error) if error.is_transient() => pause(wait_ms).await,
                answer => return answer.map_err(|error| failed(&error)),
            }
            wait_ms *= 2;
        }
        let answer = self.admin.start_machine(&self.arn, name, input).await;
        answer.map_err(|error| failed(&error))
    }

    async fn wait(&self, execution: &str) -> Result<MachineRun, CliError> {
        let mut failures = 0;
        loop {
            pause(EXECUTION_LOOK_MS).await;
            match self.admin.machine_run(execution).await {
                Ok(run) if run.is_under_way() => failures = 0,
                Ok(run) => return Ok(run),
                Err(error) if error.is_transient() && failures < ATTEMPTS_MAX => failures += 1,
                Err(error) => return Err(failed(&error)),
            }
        }
    }
}

impl Item {
    /// The chain; one that the machine gave up has failed.
    fn chain(mut self) -> Chain {
        if self.error.is_some() || self.chain.is_open() {
            let why = self.error.unwrap_or_else(|| "the state machine left it".to_owned());
            self.chain.fail(Problem {
                code: "redrive_machine".to_owned(),
                message_id: None,
                detail: format!("the function could not be called any more: {why}"),
            });
        }
        self.chain
    }
}

fn failed(error: &AdminError) -> CliError {
    CliError::service(
        "redrive_machine",
        error,
        "Check AWS_ENDPOINT_URL, credentials and the right to start the state machine (OperatorPolicyArn has it). Nothing is lost: run it again.",
    )
}
