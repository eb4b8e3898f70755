//! A redrive whose parts go side by side: by the deployment's state machine, or by this command where there is none.

use std::cell::Cell;
use std::collections::BTreeSet;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use indicatif::ProgressBar;
use serde::Serialize;
use terminal::clock::now_ms;
use terminal::error::{CliError, Exit};
use terminal::ui;
use tidemark_aws::admin::Admin;
use tidemark_redrive::limits::ARRIVAL_SLACK_MS;
use tidemark_redrive::shards::ShardInfo;
use tidemark_redrive::slices::{self, plan};
use tidemark_redrive::{Chain, ChainCall, ChainNext, Problem, Request, RunPlan, Source, Stopped};
use tidemark_telemetry::ErrorCode;

use super::args::RedriveArgs;
use super::machine::Machine;
use super::{BACKOFF_MS, Run, call_with};

/// What a redrive with parts came to beside its account. Field names are stable: scripts read them.
#[derive(Clone, Debug, Serialize)]
pub struct PartsReport {
    /// Parts that were to go side by side at most.
    pub parallel: u32,
    /// Who called the function for each part.
    pub by: PartsBy,
    /// Parts: the slices of a shard one after the other, or shares of a queue.
    pub chains: usize,
    /// Slices that did not come to their end, each with those of its shard that wait behind it.
    pub unfinished: Vec<UnfinishedSlice>,
}

/// Who called the function for each part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PartsBy {
    /// The deployment's state machine.
    StateMachine,
    /// The command.
    Command,
}

/// A slice that did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnfinishedSlice {
    /// Its shard.
    pub shard_id: String,
    /// Where it begins, ms since 1970-01-01T00:00:00Z, with some seconds more: what a redrive of this shard begins with.
    pub since_ms: i64,
    /// Where it ends, likewise; those behind it wait.
    pub slice_until_ms: i64,
    /// Where the last one ends that waits behind it: what a redrive of this shard ends with.
    pub until_ms: i64,
}

/// A run that was cut, and what is called for each part.
pub(super) struct Parts<'a> {
    admin: &'a Admin,
    function: &'a str,
    prefix: &'a str,
    parallel: u32,
    shards: Vec<ShardInfo>,
    plan: RunPlan,
}

impl<'a> Parts<'a> {
    /// Cuts a run, before anything is called or written.
    pub(super) async fn cut(
        admin: &'a Admin,
        args: &'a RedriveArgs,
        function: &'a str,
        stream: &str,
        request: &Request,
        started_ms: i64,
    ) -> Result<Option<Self>, CliError> {
        let Some(parallel) = args.parallel else {
            return Ok(None);
        };
        let listed = admin.list_shards(stream).await;
        let listed = listed.map_err(crate::account::evidence::failed("listing the shards"))?;
        let info = |shard: tidemark_aws::admin::Shard| ShardInfo {
            id: shard.id,
            parents: shard.parents,
        };
        let shards: Vec<ShardInfo> = listed.into_iter().map(info).collect();
        let plan = plan(request, &shards, parallel, started_ms).map_err(|why| not_cut(&why))?;
        Ok(Some(Self {
            admin,
            function,
            prefix: &args.places.deployment.prefix,
            parallel,
            shards,
            plan,
        }))
    }

    /// Takes the parts, adds them up in `run`, and says what they were.
    pub(super) async fn take(
        self,
        run: &mut Run,
        request: &Request,
        bar: &ProgressBar,
    ) -> Result<PartsReport, CliError> {
        let machine = Machine::find(self.admin, self.prefix).await?;
        let mut report = PartsReport {
            parallel: self.parallel,
            by: PartsBy::Command,
            chains: self.plan.generations.iter().map(Vec::len).sum(),
            unfinished: Vec::new(),
        };
        let mut late = BTreeSet::new();
        for (generation, chains) in self.plan.generations.iter().enumerate() {
            let (mut waiting, chains): (Vec<Chain>, Vec<Chain>) = chains
                .iter()
                .cloned()
                .partition(|chain| waits(chain, &self.shards, &late));
            let name = format!("redrive-{}-{}-{generation}", run.started_ms, std::process::id());
            let by_machine = match &machine {
                Some(machine) => machine.take(&name, &chains, self.parallel, bar).await?,
                None => None,
            };
            let mut over = match by_machine {
                Some(over) => {
                    report.by = PartsBy::StateMachine;
                    over
                }
                None => self.take_here(chains, bar).await?,
            };
            for chain in &mut waiting {
                let detail = "the slices of its parent shard are not done: a card's events go in their order";
                chain.fail(Problem::new(ErrorCode::RecordsNotRedriven, None, detail));
            }
            over.append(&mut waiting);
            for chain in over {
                let failed = shard_of(&chain).filter(|_| chain.next == ChainNext::Failed);
                late.extend(failed.map(str::to_owned));
                report.unfinished.extend(unfinished(&chain));
                run.add(&chain);
            }
        }
        self.rest(run, request, &report, bar).await?;
        Ok(report)
    }

    /// Calls the function for each chain until the chain is over, so many chains at once.
    async fn take_here(&self, chains: Vec<Chain>, bar: &ProgressBar) -> Result<Vec<Chain>, CliError> {
        let shown = Shown::new(bar);
        let at_once = usize::try_from(self.parallel).unwrap_or(usize::MAX).max(1);
        let all = stream::iter(chains).map(|chain| self.take_chain(chain, &shown));
        all.buffer_unordered(at_once).try_collect().await
    }

    /// One chain to its end. A call that can't be made is the chain's own failure, unless no call could be: a function that is not there.
    async fn take_chain(&self, mut chain: Chain, shown: &Shown<'_>) -> Result<Chain, CliError> {
        while chain.is_open() {
            if chain.next == ChainNext::Wait {
                terminal::clock::pause(BACKOFF_MS).await;
            }
            let before = chain.account;
            let asked = ChainCall { chain: chain.clone() };
            match call_with::<_, ChainCall>(self.admin, self.function, &asked).await {
                Ok(answer) => chain = answer.chain,
                Err(error) if error.exit == Exit::Usage => return Err(error),
                Err(error) => chain.fail(Problem {
                    code: error.code.to_owned(),
                    message_id: None,
                    detail: error.what,
                }),
            }
            shown.add(
                chain.account.messages - before.messages,
                chain.account.found - before.found,
            );
        }
        Ok(chain)
    }

    /// The end of a run over dead letters: what its shares left in the queue is counted by a run that has it to itself.
    async fn rest(
        &self,
        run: &mut Run,
        request: &Request,
        report: &PartsReport,
        bar: &ProgressBar,
    ) -> Result<(), CliError> {
        match request.source {
            Source::DeadLetter => {
                // What held a share up is over when the rest comes to its end; what it says of a message stays said.
                run.problems.retain(|problem| problem.message_id.is_some());
                let rest = slices::rest(request, run.started_ms);
                run.calls(self.admin, self.function, rest, bar).await
            }
            Source::Quarantine | Source::Range => {
                run.stopped = if report.unfinished.is_empty() {
                    Stopped::Done
                } else {
                    Stopped::Error
                };
                Ok(())
            }
        }
    }
}

/// What is shown of chains that are taken side by side: one bar over all.
struct Shown<'a> {
    bar: &'a ProgressBar,
    found: Cell<u64>,
    since_ms: i64,
}

impl<'a> Shown<'a> {
    fn new(bar: &'a ProgressBar) -> Self {
        Self {
            bar,
            found: Cell::new(0),
            since_ms: now_ms(),
        }
    }

    fn add(&self, messages: u64, found: u64) {
        self.found.set(self.found.get() + found);
        self.bar.inc(messages);
        let took_ms = u64::try_from(now_ms() - self.since_ms).unwrap_or_default().max(1);
        let rate = self.found.get().saturating_mul(1_000) / took_ms;
        let (found, rate) = (ui::grouped(self.found.get()), ui::grouped(rate));
        self.bar.set_message(format!("{found} records, {rate} a second"));
    }
}

fn shard_of(chain: &Chain) -> Option<&str> {
    chain.request.range.as_ref()?.shard_id.as_deref()
}

/// Whether a chain's shard came from one of which a slice is not done.
fn waits(chain: &Chain, shards: &[ShardInfo], late: &BTreeSet<String>) -> bool {
    let own = shards.iter().find(|shard| Some(shard.id.as_str()) == shard_of(chain));
    own.is_some_and(|shard| shard.parents.iter().any(|parent| late.contains(parent)))
}

/// The slice in which a chain of a range stands, when it is not over.
fn unfinished(chain: &Chain) -> Option<UnfinishedSlice> {
    let range = chain.request.range.as_ref().filter(|_| chain.next != ChainNext::Over)?;
    let (since_ms, until_ms) = range.since_ms.zip(range.until_ms)?;
    let cut = range.cut.unwrap_or_default();
    Some(UnfinishedSlice {
        shard_id: range.shard_id.clone()?,
        since_ms: cut
            .begin_ms
            .map_or(since_ms, |begin_ms| (begin_ms - ARRIVAL_SLACK_MS).max(since_ms)),
        slice_until_ms: cut
            .end_ms
            .map_or(until_ms, |end_ms| (end_ms + ARRIVAL_SLACK_MS).min(until_ms)),
        until_ms,
    })
}

fn not_cut(why: &slices::Uncut) -> CliError {
    CliError::usage(
        "parallel",
        format!("this redrive can't be taken in parts: {why}"),
        "Leave --parallel out, or take a range by --since, or the dead letters without --dry-run and --max.",
    )
}
