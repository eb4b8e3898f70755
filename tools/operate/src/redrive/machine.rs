//! The deployment's state machine, which calls the redrive function for each chain until the chain is over.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use indicatif::ProgressBar;
use serde::Deserialize;
use serde_json::json;
use terminal::clock::pause;
use terminal::error::CliError;
use tidemark_aws::admin::{Admin, AdminError, MachineRun, MapProgress};
use tidemark_redrive::{Chain, Problem};

use super::{ATTEMPTS_MAX, BACKOFF_MS};

/// Chains of one execution at most.
const CHAINS_IN_EXECUTION_MAX: usize = 100;
/// Bytes of the chains of one execution. Step Functions takes 256 KiB of input and gives as much of output, and a chain comes back with
/// its tally and three problems, so a kilobyte longer than it went.
const EXECUTION_BYTES_MAX: usize = 128 * 1024;
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
        let groups = groups(chains)?.into_iter().enumerate();
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
        let shown = Shown {
            name,
            parts: chains.len(),
            bar,
        };
        shown.begun();
        let run = self.wait(&execution, &shown).await?;
        let output = run.output.as_deref().filter(|_| run.status == "SUCCEEDED");
        let taken = output.and_then(|output| taken(output, chains.len())).ok_or_else(|| {
            let why = run.error.map_or_else(String::new, |why| format!(": {why}"));
            CliError::service(
                "redrive_machine",
                format!("execution {name} of the state machine ended as {}{why}", run.status),
                "Look at the execution. What was done is done: run it again, or take RedriveParallelMax=0 to go without the machine.",
            )
        })?;
        Ok(Some(taken))
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

    async fn wait(&self, execution: &str, shown: &Shown<'_>) -> Result<MachineRun, CliError> {
        let (mut failures, mut map) = (0, None);
        loop {
            pause(EXECUTION_LOOK_MS).await;
            match self.admin.machine_run(execution).await {
                Ok(run) if run.is_under_way() => {
                    failures = 0;
                    if let Some(progress) = self.progress(execution, &mut map).await {
                        shown.progress(progress);
                    }
                }
                Ok(run) => return Ok(run),
                Err(error) if error.is_transient() && failures < ATTEMPTS_MAX => failures += 1,
                Err(error) => return Err(failed(&error)),
            }
        }
    }
}

impl Machine<'_> {
    /// How far an execution's map is; `None` when that can't be told. It is a comfort: a right that is missing, or an emulator that
    /// does not know of it, ends nothing.
    async fn progress(&self, execution: &str, map: &mut Option<String>) -> Option<MapProgress> {
        if map.is_none() {
            *map = self.admin.machine_map(execution).await.ok()?;
        }
        self.admin.map_progress(map.as_deref()?).await.ok()
    }
}

/// What is shown of an execution that is under way.
struct Shown<'a> {
    name: &'a str,
    parts: usize,
    bar: &'a ProgressBar,
}

impl Shown<'_> {
    fn begun(&self) {
        let Self { name, parts, bar } = self;
        bar.set_message(format!("execution {name} takes {parts} parts"));
    }

    fn progress(&self, progress: MapProgress) {
        self.bar.set_message(words(self.name, self.parts, progress));
    }
}

/// A map's progress in words. The service counts late, and says 0 of 0 before it has counted.
fn words(name: &str, parts: usize, progress: MapProgress) -> String {
    let MapProgress { over, running, total } = progress;
    let of = if total == 0 { parts as u64 } else { total };
    format!("execution {name}: {over} of {of} parts are over, {running} in work")
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

/// Chains that go into one execution each, in their order.
fn groups(chains: &[Chain]) -> Result<Vec<&[Chain]>, CliError> {
    let (mut groups, mut rest) = (Vec::new(), chains);
    while !rest.is_empty() {
        let mut bytes = 0;
        let fitting = rest.iter().take(CHAINS_IN_EXECUTION_MAX).take_while(|chain| {
            bytes += json!(chain).to_string().len();
            bytes <= EXECUTION_BYTES_MAX
        });
        let fitting = fitting.count();
        if fitting == 0 {
            return Err(CliError::refused(
                "redrive_machine",
                format!(
                    "one part of the redrive alone has {bytes} bytes, and the state machine takes {EXECUTION_BYTES_MAX}"
                ),
                "Nothing was redriven. Give fewer --reason, or go without --parallel.",
            ));
        }
        let (group, others) = rest.split_at(fitting);
        groups.push(group);
        rest = others;
    }
    Ok(groups)
}

/// The chains that an execution's output tells of; `None` when it does not tell of each. One that is left out has failed in a way that
/// the machine could not catch, and no account may go without it.
fn taken(output: &str, chains: usize) -> Option<Vec<Chain>> {
    let items: Vec<Item> = serde_json::from_str(output).ok()?;
    (items.len() == chains).then(|| items.into_iter().map(Item::chain).collect())
}

fn failed(error: &AdminError) -> CliError {
    CliError::service(
        "redrive_machine",
        error,
        "Check AWS_ENDPOINT_URL, credentials and the right to start the state machine (OperatorPolicyArn has it). Nothing is lost: run it again.",
    )
}

#[cfg(test)]
mod tests {
    use tidemark_redrive::limits::CHAIN_PROBLEMS_MAX;
    use tidemark_redrive::{RangeRequest, Request, Response, Source, Stopped, Tally};

    use super::*;

    /// What Step Functions takes as an input, and gives as an output.
    const SERVICE_BYTES_MAX: usize = 256 * 1024;

    /// A chain with the longest names that there are, and with reasons.
    fn chain(at: usize, reasons: usize) -> Chain {
        let number = |digit: &str| Some(digit.repeat(128));
        Chain::new(Request {
            range: Some(RangeRequest {
                shard_id: Some(format!("{at:0128}")),
                from_sequence_number: number("1"),
                to_sequence_number: number("2"),
                ..RangeRequest::default()
            }),
            reasons: (0..reasons).map(|reason| format!("unknown_version_{reason}")).collect(),
            ..Request::new(Source::Range)
        })
    }

    /// The same as it comes back: every figure as long as can be, and as many problems as a chain names.
    fn over(mut chain: Chain) -> Chain {
        let most = u64::MAX / 4;
        let problem = Problem {
            code: "TM-5013".to_owned(),
            message_id: Some("5ca9afd2-0637-4744-b24f-c776e5d4f3a8".to_owned()),
            detail: "d".repeat(200),
        };
        chain.take(Response {
            account: Tally {
                messages: most,
                expected: most,
                found: most,
                scored: most,
                already_done: most,
                applied: most,
                quarantined: most,
                ..Tally::default()
            },
            cursor: None,
            stopped: Stopped::Done,
            problems: vec![problem; CHAIN_PROBLEMS_MAX + 1],
        });
        chain
    }

    #[test]
    fn executions_take_and_give_what_step_functions_allows() {
        for (chains, reasons) in [(1, 0), (100, 0), (101, 0), (10_000, 0), (250, 200), (3, 4_000)] {
            let chains: Vec<Chain> = (0..chains).map(|at| chain(at, reasons)).collect();
            let groups = groups(&chains).unwrap();
            let together: Vec<Chain> = groups.iter().flat_map(|group| group.to_vec()).collect();
            assert_eq!(together, chains, "each of them, in their order");
            for group in groups {
                assert!(group.len() <= CHAINS_IN_EXECUTION_MAX);
                let input = json!({ "parallel": u32::MAX, "chains": group }).to_string();
                let items: Vec<_> = group
                    .iter()
                    .map(|chain| json!({ "chain": over(chain.clone()) }))
                    .collect();
                let output = json!(items).to_string();
                let bytes = (input.len(), output.len());
                assert!(
                    bytes.0 <= SERVICE_BYTES_MAX && bytes.1 <= SERVICE_BYTES_MAX,
                    "{bytes:?}"
                );
                assert_eq!(taken(&output, group.len()).unwrap().len(), group.len());
            }
        }
    }

    #[test]
    fn a_part_that_no_execution_takes_is_refused_before_anything_is_started() {
        let error = groups(&[chain(0, 1), chain(1, 10_000)]).unwrap_err();
        assert_eq!(error.code, "redrive_machine");
        assert!(error.advice.contains("fewer --reason"), "{error:?}");
    }

    #[test]
    fn progress_is_told_in_parts() {
        let progress = |over, running, total| MapProgress { over, running, total };
        assert_eq!(
            words("r-0", 40, progress(12, 16, 40)),
            "execution r-0: 12 of 40 parts are over, 16 in work"
        );
        assert_eq!(
            words("r-0", 40, progress(0, 0, 0)),
            "execution r-0: 0 of 40 parts are over, 0 in work",
            "before the service has counted"
        );
    }

    #[test]
    fn an_output_that_leaves_a_chain_out_is_no_account() {
        let output = json!([{ "chain": over(chain(0, 0)) }]).to_string();
        assert!(taken(&output, 1).is_some());
        assert!(taken(&output, 2).is_none() && taken("[]", 1).is_none() && taken("[{}]", 1).is_none());
    }
}
