//! The command line: names, defaults and the help that teaches.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use deploy::args::DeployArgs;
use lab::simulate::Scenario;
use operate::audit::args::AuditArgs;
use operate::control::args::{CompareArgs, ModeArgs, ModelCommand, OverrideCommand, PolicyCommand, RolloutArgs};
use operate::control::list::args::ListCommand;
use operate::dlq::args::DlqArgs;
use operate::explain::args::ExplainArgs;
use operate::import::args::ImportArgs;
use operate::label::args::LabelArgs;
use operate::quarantine::args::QuarantineCommand;
use operate::redrive::args::RedriveArgs;
use operate::send::args::SendArgs;
use operate::watch::args::WatchArgs;
use rehearse::demo::args::DemoArgs;
use rehearse::drill::args::DrillArgs;
use rehearse::local::args::LocalUpArgs;
use tidemark_aws::admin::READ_BUDGET_MS;

use crate::cost::CostArgs;
use crate::doctor::DoctorArgs;
use crate::map::args::MapCommand;
use crate::train::{BacktestArgs, ExportArgs, TrainArgs};

/// Card transactions in, anomaly scores out, once each.
#[derive(Debug, Parser)]
#[command(
    name = "tidemark",
    version = crate::version::text(),
    about = "Card transactions in, anomaly scores out, once each: on Kinesis, Lambda and DynamoDB, or on this machine",
    after_help = "Start here:\n  tidemark doctor                       what this machine lacks, and how to get it\n  tidemark demo                         the whole path on this machine, with its account\n  tidemark simulate -o stream.jsonl     a stream to play with\n  tidemark score -i stream.jsonl -o -   the same engine over a file, no AWS at all\n\nData goes to stdout, all else to stderr. Colours are off when the output is not a terminal (or NO_COLOR is set).\nExit codes: 0 done and holds · 1 a check does not hold · 2 wrong command line · 3 this machine · 4 a service · 5 input\n            6 nothing to look at: a check that saw nothing says nothing"
)]
pub struct Cli {
    /// Print one JSON document on stdout instead of text for people
    #[arg(long, global = true)]
    pub json: bool,
    /// How long one read waits for a throttle or a failing service to pass, in seconds
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = READ_BUDGET_MS / 1_000,
        value_parser = clap::value_parser!(u64).range(0..=3_600))]
    pub patience: u64,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the whole path on this machine: local AWS, the real score function, a simulated stream, the account
    #[command(
        after_help = "What it does: starts the local AWS, provisions it, starts the score function's real binary behind an event\nsource mapping, sends a seeded stream (fraud patterns, duplicates, late, future and broken events), waits until all is\nthrough, then reads everything back and holds it against an independent recomputation. Between the first 48 days and the\nlast 12 it learns from the labels so far (tidemark train), and says what that would have caught in the last ones.\n\nExample:\n  tidemark demo --events 50000 --seed 3 --json | jq .unaccounted\n  tidemark demo --chaos                 the same while everything goes wrong, in about two minutes"
    )]
    Demo(DemoArgs),
    /// Score a file of events with the same engine, without AWS
    Score(ScoreArgs),
    /// Read files of your own shape: draft a map, look at what it makes of the rows, write the events
    #[command(subcommand, after_help = crate::map::args::HELP)]
    Map(MapCommand),
    /// Learn a policy from a history and its labels
    #[command(
        after_help = "The history is replayed through the engine: features as of each event, labels as of when they were known. The policy that\ncomes of it has points, each bin of each feature with its bits; it is published, tried and activated like any other.\n\nExample:\n  tidemark train -i history.jsonl --train-until 2018-08-08 --alerts-per-day 50 -o trained.toml\n  tidemark backtest -i history.jsonl --policy policy.toml --policy trained.toml --from 2018-08-08 --to 2018-08-15"
    )]
    Train(TrainArgs),
    /// Hold policies against a history: what each would have found, and what it would have cost
    #[command(
        after_help = "Labels count as of when they were known: a policy that looks at labels sees what it would have seen then. What an event\nwas in the end, all labels of the file say.\n\nExample:\n  tidemark backtest -i history.jsonl --policy a.toml --policy b.toml --from 2018-08-08 --to 2018-08-15 --html backtest.html\n  tidemark backtest -i history.jsonl --policy a.toml --policy b.toml --from 2018-08-08 --to 2018-08-15 --json | jq .flips"
    )]
    Backtest(BacktestArgs),
    /// Write a training set: features as of each event, labels as known at a time
    #[command(
        after_help = "Example:\n  tidemark export -i history.jsonl --policy policy.toml --from 2018-07-25 -o rows.csv"
    )]
    Export(ExportArgs),
    /// Write a simulated stream as JSON lines
    #[command(
        after_help = "With --fraud it is a history to learn from: weeks of transactions in the order of their times, nothing late, broken or\nsent twice, with fraud that no single card shows. terminals were tampered with, rings use stolen cards from a few devices,\ntesting tries cards out by small amounts; each bout lasts a random time. Labels come 1 to 30 days after their events, so the\nlast ones are known 30 days after the last transaction. Without --now-ms the transactions end 30 days ago.\n\nExamples:\n  tidemark simulate -o stream.jsonl\n  tidemark simulate --fraud terminals,rings,testing --events 40000 --days 90 -o history.jsonl"
    )]
    Simulate(SimulateArgs),
    /// Send events from a file or stdin to a Kinesis stream
    #[command(
        after_help = "The endpoint, region and credentials are AWS's own settings: AWS_ENDPOINT_URL, AWS_REGION, AWS_PROFILE …\n\nThe partition key is the event's card_id, and a card's events keep their order, whatever Kinesis refuses on the way: the next one\nis sent when the one before it is in the stream. Cards do not wait for each other; a file of few cards goes faster with\n--aggregate: up to 50 KiB of events are one record under one of 16 keys, and a card keeps to one of them.\nLines that no record can hold, or that Kinesis refuses, are named and left out; all others are sent, and the exit code is 1.\nBlank lines and a byte order mark are skipped. Sending a file again is safe: events count once.\n\nExamples:\n  tidemark send -i stream.jsonl                      after the exports that `tidemark local up` prints\n  tidemark --json send -i stream.jsonl | jq .refused\n  zcat day.jsonl.gz | tidemark send --prefix prod --aggregate"
    )]
    Send(SendArgs),
    /// Take the history of cards from a file straight into the table, beside live traffic
    #[command(after_help = operate::import::args::HELP)]
    Import(ImportArgs),
    /// Send labels from a file to the stream: what turned out to be fraud, and what did not
    #[command(after_help = operate::label::args::HELP)]
    Label(LabelArgs),
    /// Show a card's state, windows and outcomes, and why
    Explain(ExplainArgs),
    /// Watch the pipeline: throughput, latency, lag, queues, degraded share, highest scores
    #[command(
        after_help = "It follows the newest records of both streams, so it costs each shard one of its five reads a second for every look.\nWrite and read units come from the function's log, so give it with --log where it can be read.\n\nKeys: q quit, up and down choose a score, Enter explains its card, Esc goes back, p pauses.\n\nExamples:\n  tidemark watch\n  tidemark watch --once\n  tidemark watch --json --looks 1 | jq .latency_ms"
    )]
    Watch(WatchArgs),
    /// Check, compare, publish and activate policies, and take an activation back
    #[command(
        subcommand,
        after_help = "The way of a policy:\n  tidemark policy validate policy.toml                        every problem with its line\n  tidemark policy diff active policy.toml                     what would change\n  tidemark policy publish policy.toml --reason TEXT           kept under its version for ever; not in force\n  tidemark rollout 10 --candidate V --reason TEXT             scored beside the active one, never sent\n  tidemark compare --html compare.html                        agreement, flips, drift, precision, cost\n  tidemark policy activate V --reason TEXT                    in force within 15 seconds\n  tidemark policy rollback --reason TEXT                      and back"
    )]
    Policy(PolicyCommand),
    /// Import boosted trees that XGBoost trained, for a policy to score by
    #[command(
        subcommand,
        after_help = "The way of a model:\n  tidemark export -i history.jsonl --policy trained.toml -o rows.csv   what to train on: features as of each event\n  python train.py rows.csv model.json                                  XGBoost, with the columns' own names\n  tidemark model show model.json                                       its name, for [trees] in a policy\n  tidemark backtest -i history.jsonl --policy trained.toml --policy trees.toml --from T --to T\n  tidemark model import model.json                                     into the table of the deployment\n  tidemark policy publish trees.toml --reason TEXT                     and on, as any policy"
    )]
    Model(ModelCommand),
    /// Show or set how the functions work: live, shadow, paused, degraded
    #[command(
        after_help = "live      events are scored, outcomes are sent\nshadow    events are scored and kept, nothing is sent\npaused    records stay in the stream: the mapping is turned off, and the functions hold what they have\ndegraded  events are scored on their histories only\n\nExample:\n  tidemark mode paused --reason \"issuer outage, ticket 4711\""
    )]
    Mode(ModeArgs),
    /// Keep the lists that rules ask: ids, countries, ranges of addresses
    #[command(
        subcommand,
        after_help = "The way of a list:\n  tidemark list import mules mules.csv --of ids --reason TEXT   the whole list, from a file\n  [[lists]] name = \"mules\" of = \"ids\"                         in a policy, and in a rule: event.links.account in lists.mules\n  tidemark score -i day.jsonl --policy p.toml --list mules=mules.csv -o out.jsonl\n  tidemark list add mules acct-1 --until 30d --reason TEXT      rules see it within 15 seconds\n  tidemark list history mules                                   who, when, why"
    )]
    List(ListCommand),
    /// Decide for single cards, whatever the score says, until a time
    #[command(subcommand)]
    Override(OverrideCommand),
    /// Try a published policy beside the active one, for a share of the cards
    #[command(
        after_help = "The candidate scores the same events on the same histories; its outcomes are recorded for `tidemark compare` and never\nsent. Cards are taken by a stable hash, so that a card stays in while the share grows.\n\nExamples:\n  tidemark rollout 10 --candidate 7 --reason \"new weights, first look\"\n  tidemark rollout 100 --reason \"agrees in 99.8 %\"\n  tidemark rollout 0 --reason \"done\""
    )]
    Rollout(RolloutArgs),
    /// Compare what a candidate would have decided with what was decided
    #[command(
        after_help = "Agreement, decisions that would flip in both directions, drift of scores, precision where labels exist, time and cost.\nLabels come days later: run it again then. What was recorded is kept for 60 days.\n\nExample:\n  tidemark compare --html compare.html"
    )]
    Compare(CompareArgs),
    /// Show that every record of a stream has one end (I1) and every event one outcome (I3), or which break that
    #[command(after_help = operate::audit::args::HELP)]
    Audit(AuditArgs),
    /// List what waits in the queues: messages, records, shards, age, time until it is gone
    #[command(after_help = operate::dlq::args::HELP)]
    Dlq(DlqArgs),
    /// Look at refused records, keep a copy, take them out
    #[command(subcommand, after_help = operate::quarantine::args::HELP)]
    Quarantine(QuarantineCommand),
    /// Take dead letters, quarantined records or a range of the stream through the path again
    #[command(after_help = operate::redrive::args::HELP)]
    Redrive(RedriveArgs),
    /// Carry out a runbook page on a local AWS with the trouble really there, and time the recovery
    #[command(
        after_help = "Without a page it lists them. A drill starts a local AWS of its own, makes the trouble, runs the page's commands in their\norder, ends the trouble, and looks until the page's last section holds.\n\nExamples:\n  tidemark drill dead-letters\n  tidemark drill --all --json"
    )]
    Drill(DrillArgs),
    /// Deploy into an AWS account, or onto an emulator: build, look, ask, deploy, wait, send one event through
    #[command(after_help = deploy::args::HELP)]
    Deploy(DeployArgs),
    /// The AWS on this machine
    #[command(subcommand)]
    Local(LocalCommand),
    /// Say what a load costs a month, and which limits of an account it meets
    #[command(after_help = crate::cost::HELP)]
    Cost(CostArgs),
    /// Say what is missing on this machine, and how to get it
    #[command(after_help = crate::doctor::HELP)]
    Doctor(DoctorArgs),
    /// Print a shell's completions of this command
    #[command(
        after_help = "Examples:\n  tidemark completions bash > ~/.local/share/bash-completion/completions/tidemark\n  tidemark completions zsh > ~/.zfunc/_tidemark\n  tidemark completions fish > ~/.config/fish/completions/tidemark.fish"
    )]
    Completions(CompletionsArgs),
    /// Write the manual pages of this command and of every verb
    #[command(after_help = "Example:\n  tidemark manual ~/.local/share/man/man1 && man tidemark-send")]
    Manual(ManualArgs),
}

impl Command {
    /// Whether it calls services with the caller's own credentials, as the environment has them; `deploy` says itself what is wrong
    /// with those of its stage.
    #[must_use]
    pub const fn is_remote(&self) -> bool {
        !matches!(
            self,
            Self::Demo(_)
                | Self::Score(_)
                | Self::Map(MapCommand::File(_))
                | Self::Train(_)
                | Self::Backtest(_)
                | Self::Export(_)
                | Self::Simulate(_)
                | Self::Drill(_)
                | Self::Deploy(_)
                | Self::Local(_)
                | Self::Cost(_)
                | Self::Doctor(_)
                | Self::Completions(_)
                | Self::Manual(_)
        )
    }
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Arguments of `manual`.
#[derive(Debug, Args)]
pub struct ManualArgs {
    /// The folder, which must exist
    pub folder: PathBuf,
}

/// Arguments of `score`.
#[derive(Debug, Args)]
pub struct ScoreArgs {
    /// JSON lines, one event a line; - is stdin
    #[arg(long, short)]
    pub input: PathBuf,
    /// A map of the file: it is rows of another shape, CSV or JSON lines, packed or not (docs/reference/map.md)
    #[arg(long, value_name = "MAP")]
    pub map: Option<PathBuf>,
    /// Where outcomes go, one a line; - is stdout
    #[arg(long, short)]
    pub output: PathBuf,
    /// A policy file (TOML) [default: the built-in policy]
    #[arg(long)]
    pub policy: Option<PathBuf>,
    /// A file of a list that the policy declares: NAME=FILE; one for each
    #[arg(long, value_name = "NAME=FILE")]
    pub list: Vec<String>,
    /// Write every feature's value as of each event too
    #[arg(long)]
    pub features: bool,
    /// Take the lines in the order of their times, all of them held in memory: for a file that is not sorted
    #[arg(long)]
    pub sort: bool,
    /// Where refused lines go, with line number and reason code [default: they are counted only]
    #[arg(long)]
    pub refused: Option<PathBuf>,
}

/// Arguments of `simulate`.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// How many events
    #[arg(long, default_value_t = 10_000)]
    pub events: u64,
    /// How many cards [default: one for 30 events]
    #[arg(long)]
    pub cards: Option<u64>,
    /// The same seed gives the same events, and with --now-ms the same bytes
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The stream's end in event time, ms since 1970-01-01T00:00:00Z [default: now, and ids that no other run has]
    #[arg(long, value_parser = terminal::when::milliseconds_argument)]
    pub now_ms: Option<i64>,
    /// Where the stream goes; - is stdout
    #[arg(long, short, default_value = "-")]
    pub output: PathBuf,
    /// Only events that the contract accepts
    #[arg(long)]
    pub clean: bool,
    /// A history to learn from: weeks in the order of their times, with this fraud (terminals, rings, testing) and late labels
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = scenario)]
    pub fraud: Vec<Scenario>,
    /// Write most transactions in version 3: with an ip and an account as links, and since when the account is open
    #[arg(long)]
    pub links: bool,
    /// How many days such a history has
    #[arg(long, value_name = "DAYS", requires = "fraud", default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=400))]
    pub days: u16,
}

/// A scenario by its name.
fn scenario(name: &str) -> Result<Scenario, String> {
    let names = Scenario::ALL.map(Scenario::as_str).join(", ");
    Scenario::from_name(name).ok_or_else(|| format!("expected one of: {names}"))
}

/// Verbs of `local`.
#[derive(Debug, Subcommand)]
pub enum LocalCommand {
    /// Keep the local AWS and the score function running, and print the endpoint; Ctrl-C stops it
    Up(LocalUpArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
