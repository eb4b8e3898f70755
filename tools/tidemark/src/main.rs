//! The `tidemark` command: only wires the verbs of the library.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Parser;
use operate::{audit, control, dlq, explain, import, label, quarantine, redrive, send, watch};
use rehearse::{chaos, demo, drill, local};
use terminal::error::{CliError, Exit};
use terminal::ui::{self, paint};
use tidemark_aws::admin::Admin;
use tidemark_aws::{AwsSettings, CredentialSource, Endpoints};
use tidemark_cli::cli::{Cli, Command, LocalCommand};
use tidemark_cli::map::args::MapCommand;
use tidemark_cli::{cost, doctor, manual, map, score, simulate, train};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
        Command::Demo(args) => Box::pin(demo::run(args, &train::lesson, json)).await,
        Command::Score(args) => score::run(args, json),
        Command::Map(MapCommand::File(command)) => map::run(command, json),
        Command::Map(MapCommand::Published(command)) => {
            control::maps(&admin().await, command, login().as_deref(), json).await
        }
        Command::Train(args) => train::run_train(args, json),
        Command::Backtest(args) => train::run_backtest(args, json),
        Command::Export(args) => train::run_export(args, json),
        Command::Simulate(args) => simulate::run(args),
        Command::Send(args) => send::run(&admin().await, args, json).await,
        Command::Import(args) => import::run(&admin().await, args, json).await,
        Command::Label(args) => label::run(&admin().await, args, json).await,
        Command::Explain(args) => explain::run(&admin().await, args, json).await,
        Command::Drill(args) => drill::run(args, json).await,
        Command::Watch(args) => watch::run(admin().await, args, json).await,
        Command::Audit(args) => audit::run(&admin().await, args, json).await,
        Command::Dlq(args) => dlq::run(&admin().await, args, json).await,
        Command::Quarantine(command) => quarantine::run(&admin().await, command, login().as_deref(), json).await,
        Command::Redrive(args) => redrive::run(&admin().await, args, login().as_deref(), json).await,
        Command::Deploy(args) => deploy::run(args, settings(), 1_000 * cli.patience, json).await,
        Command::Local(LocalCommand::Up(args)) => local::up(args, &settings().region, json).await,
        Command::Policy(command) => control::policy(&admin().await, command, login().as_deref(), json).await,
        Command::Model(command) => control::model(&admin().await, command, login().as_deref(), json).await,
        Command::Mode(args) => control::mode(&admin().await, args, login().as_deref(), json).await,
        Command::Override(command) => control::overrides(&admin().await, command, login().as_deref(), json).await,
        Command::List(command) => control::list(&admin().await, command, login().as_deref(), json).await,
        Command::Rollout(args) => control::rollout(&admin().await, args, login().as_deref(), json).await,
        Command::Compare(args) => control::compare(&admin().await, args, json).await,
        Command::Cost(args) => cost::run(args, json),
        Command::Doctor(args) => doctor::run(args, json),
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

/// Clients for the endpoints, region and credentials that the environment names.
async fn admin() -> Admin {
    Admin::connect(&settings()).await
}

/// Endpoints, region and credentials that the environment names, as AWS's own tools read it.
fn settings() -> AwsSettings {
    let environment: BTreeMap<String, String> = std::env::vars().collect();
    let read = |name: &str| environment.get(name).cloned();
    AwsSettings {
        region: read("AWS_REGION")
            .or_else(|| read("AWS_DEFAULT_REGION"))
            .unwrap_or_else(|| "eu-west-1".to_owned()),
        endpoints: Endpoints::from_variables(read),
        credentials: CredentialSource::Chain,
    }
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
