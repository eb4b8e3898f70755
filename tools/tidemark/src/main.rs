//! The `tidemark` command: only wires the verbs of the library.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use lab::simulate::{self, SimConfig, SimKind};
use operate::{audit, control, dlq, explain, quarantine, redrive, send, watch};
use terminal::error::{CliError, Exit};
use terminal::ui::{self, paint};
use terminal::{clock, files};
use tidemark_aws::admin::Admin;
use tidemark_aws::{AwsSettings, CredentialSource, Endpoints};
use tidemark_cli::cli::{Cli, Command, LocalCommand, ScoreArgs, SimulateArgs};
use tidemark_cli::score_file::{self, Arrival, ScoreFileError, ScoreOptions};
use tidemark_cli::{chaos, demo, doctor, drill, local, manual};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.json;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(async {
            let is_remote = cli.command.is_remote();
            match Box::pin(run(cli)).await {
                Err(error) if is_remote && error.exit == Exit::Service => Err(with_credentials(error).await),
                result => result,
            }
        }),
        Err(e) => Err(CliError::machine(
            "runtime",
            e,
            "Check the machine's limits on threads and files.",
        )),
    };
    let exit = result.unwrap_or_else(|error| {
        report(&error, json);
        error.exit
    });
    ExitCode::from(exit as u8)
}

async fn run(cli: Cli) -> Result<Exit, CliError> {
    let json = cli.json;
    let admin = async || admin().await.patient(1_000 * cli.patience, ui::waiting);
    match &cli.command {
        Command::Demo(args) if args.chaos => Box::pin(chaos::show::run(args, json)).await,
        Command::Demo(args) => Box::pin(demo::run(args, json)).await,
        Command::Score(args) => score(args, json),
        Command::Simulate(args) => simulate(args),
        Command::Send(args) => send::run(&admin().await, args, json).await,
        Command::Explain(args) => explain::run(&admin().await, args, json).await,
        Command::Drill(args) => drill::run(args, json).await,
        Command::Watch(args) => watch::run(admin().await, args, json).await,
        Command::Audit(args) => audit::run(&admin().await, args, json).await,
        Command::Dlq(args) => dlq::run(&admin().await, args, json).await,
        Command::Quarantine(command) => quarantine::run(&admin().await, command, login().as_deref(), json).await,
        Command::Redrive(args) => redrive::run(&admin().await, args, login().as_deref(), json).await,
        Command::Local(LocalCommand::Up(args)) => local::up(args, json).await,
        Command::Policy(command) => control::policy(&admin().await, command, login().as_deref(), json).await,
        Command::Mode(args) => control::mode(&admin().await, args, login().as_deref(), json).await,
        Command::Override(command) => control::overrides(&admin().await, command, login().as_deref(), json).await,
        Command::Rollout(args) => control::rollout(&admin().await, args, login().as_deref(), json).await,
        Command::Compare(args) => control::compare(&admin().await, args, json).await,
        Command::Doctor => doctor::run(json),
        Command::Completions(args) => manual::completions(args),
        Command::Manual(args) => manual::pages(args),
    }
}

/// Where a call failed because there are no credentials, says why there are none.
async fn with_credentials(error: CliError) -> CliError {
    match admin().await.credentials_problem().await {
        Some(problem) => error.without_credentials(&problem),
        None => error,
    }
}

/// The name somebody is logged in under.
fn login() -> Option<String> {
    let environment: BTreeMap<String, String> = std::env::vars().collect();
    let names = ["USER", "LOGNAME", "USERNAME"];
    names
        .into_iter()
        .find_map(|name| environment.get(name).filter(|value| !value.is_empty()).cloned())
}

/// Clients for the endpoints, region and credentials that the environment names, as AWS's own tools read it.
async fn admin() -> Admin {
    let environment: BTreeMap<String, String> = std::env::vars().collect();
    let read = |name: &str| environment.get(name).cloned();
    let settings = AwsSettings {
        region: read("AWS_REGION")
            .or_else(|| read("AWS_DEFAULT_REGION"))
            .unwrap_or_else(|| "eu-west-1".to_owned()),
        endpoints: Endpoints::from_variables(read),
        credentials: CredentialSource::Chain,
    };
    Admin::connect(&settings).await
}

fn score(args: &ScoreArgs, json: bool) -> Result<Exit, CliError> {
    let options = ScoreOptions {
        input: args.input.clone(),
        output: args.output.clone(),
        refused: args.refused.clone(),
        policy: files::policy(args.policy.as_deref())?,
        features: args.features,
        arrival: Arrival::AtEventTime,
        sort: args.sort,
        progress: !json,
    };
    let summary = score_file::run(&options).map_err(|error| {
        let error = match error {
            ScoreFileError::Lines(error) => return error.into_cli(""),
            other => other,
        };
        let cause = std::error::Error::source(&error)
            .map(|source| format!(": {source}"))
            .unwrap_or_default();
        CliError::input(
            "score_file",
            format!("{error}{cause}"),
            "Check the paths; - stands for stdin and stdout.",
        )
    })?;
    // Outcomes may go to stdout, so the summary goes to stderr then.
    let text = if json {
        serde_json::json!(summary).to_string() + "\n"
    } else {
        summary.render()
    };
    if args.output == Path::new("-") {
        ui::note(text.trim_end());
    } else {
        ui::out(&text);
    }
    Ok(if summary.refused_total() == 0 {
        Exit::Ok
    } else {
        Exit::Failed
    })
}

fn simulate(args: &SimulateArgs) -> Result<Exit, CliError> {
    let policy = tidemark_domain::policy::Policy::default_policy();
    let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let cards = args.cards.unwrap_or_else(|| args.events.div_ceil(30).max(1));
    let now_ms = args.now_ms.unwrap_or_else(clock::now_ms);
    let mut config = SimConfig::new(args.seed, narrow(args.events), narrow(cards), now_ms, &policy);
    if args.now_ms.is_none() {
        config = config.with_own_names();
    }
    if args.clean {
        config.broken_share = 0.0;
    }
    let failed = |e: std::io::Error| CliError::input("output", e, "Check the path and the room on the disk.");
    let mut output: Box<dyn Write> = if args.output == Path::new("-") {
        Box::new(std::io::BufWriter::new(std::io::stdout().lock()))
    } else {
        Box::new(std::io::BufWriter::new(
            std::fs::File::create(&args.output).map_err(failed)?,
        ))
    };
    for record in simulate::generate(&config) {
        // A line can't hold a line's end; only broken records have one.
        if record.kind == SimKind::Broken && record.payload.contains(&b'\n') {
            continue;
        }
        let written = output.write_all(&record.payload).and_then(|()| output.write_all(b"\n"));
        match written {
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => return Ok(Exit::Ok),
            other => other.map_err(failed)?,
        }
    }
    output.flush().map_err(failed)?;
    Ok(Exit::Ok)
}

fn report(error: &CliError, json: bool) {
    if json {
        let value = serde_json::json!({ "error": { "code": error.code, "what": error.what, "advice": error.advice, "page": format!("docs/errors/{}.md", error.code) } });
        ui::out(&format!("{value}\n"));
        return;
    }
    ui::note(&format!(
        "{} {}",
        paint(ui::BAD, format!("error [{}]:", error.code)),
        // What others wrote may have lines of its own; they don't look like ours.
        error.what.replace('\n', "\n  ")
    ));
    ui::note(&format!("  {}", error.advice));
}
