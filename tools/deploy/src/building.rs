//! Builds both functions by cargo-lambda, in one build, from a Python environment that this makes.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use terminal::error::CliError;
use terminal::ui;
use tokio::process::Command;

/// What is installed, pinned.
const CARGO_LAMBDA: &str = "cargo-lambda==1.9.2";
/// Where, from the folder that the command is run in.
const VENV: &str = ".tidemark/venv-deploy";
/// Where cargo-lambda puts what it built, from the workspace.
const OUTPUT: &str = "target/lambda";

/// Builds both functions for a processor; the answer is the folder with them.
pub(crate) async fn build(architecture: &str, quiet: bool) -> Result<PathBuf, CliError> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if !root.join("Cargo.toml").is_file() {
        return Err(CliError::machine(
            "deploy_tools",
            "the functions can't be built: this command was not built in a checkout that is still there",
            "Run it through `cargo tidemark` in a checkout, or name built functions with --bootstraps FOLDER.",
        ));
    }
    let cargo_lambda = installed(quiet).await?;
    let bar = ui::step("building both functions (some minutes the first time)", quiet);
    let mut command = Command::new(&cargo_lambda);
    // Both packages in one build: what they share is compiled once, and neither takes features of anything else.
    command.args([
        "lambda",
        "build",
        "--release",
        "--package",
        "score",
        "--package",
        "redrive",
    ]);
    if architecture == "arm64" {
        command.arg("--arm64");
    }
    let folder = cargo_lambda.parent().map(Path::to_path_buf).unwrap_or_default();
    command.current_dir(&root).env("PATH", with_folder(&folder));
    let built = done(&mut command, "cargo-lambda").await;
    bar.finish_and_clear();
    built?;
    Ok(root.join(OUTPUT))
}

/// The path of cargo-lambda, which is installed when it is missing or is another version.
async fn installed(quiet: bool) -> Result<PathBuf, CliError> {
    let here = std::env::current_dir().map_err(|error| {
        CliError::machine(
            "deploy_tools",
            format!("the folder can't be named: {error}"),
            "Run it in a folder that is there.",
        )
    })?;
    let venv = here.join(VENV);
    let program = venv.join("bin/cargo-lambda");
    let marker = venv.join("installed.txt");
    if program.is_file() && std::fs::read_to_string(&marker).is_ok_and(|text| text == CARGO_LAMBDA) {
        return Ok(program);
    }
    let bar = ui::step(&format!("installing {CARGO_LAMBDA} into {VENV}"), quiet);
    let made = async {
        let mut python = Command::new("python3");
        done(python.args(["-m", "venv", "--clear"]).arg(&venv), "python3").await?;
        let mut pip = Command::new(venv.join("bin/python"));
        let arguments = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            CARGO_LAMBDA,
        ];
        done(pip.args(arguments), "pip").await
    };
    let made = made.await;
    bar.finish_and_clear();
    made?;
    std::fs::write(&marker, CARGO_LAMBDA).map_err(|error| {
        let what = format!("{} can't be written: {error}", marker.display());
        CliError::machine(
            "deploy_tools",
            what,
            "Check the folder .tidemark and the room on the disk.",
        )
    })?;
    Ok(program)
}

/// Runs a program to its end; an error has what it complained of.
async fn done(command: &mut Command, name: &str) -> Result<(), CliError> {
    let failed = |what: String| {
        let advice = "`tidemark doctor` says how to get what is missing. Or name built functions with --bootstraps FOLDER. Nothing was deployed.";
        Err(CliError::machine("deploy_tools", what, advice))
    };
    match command.stdin(Stdio::null()).output().await {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let told = String::from_utf8_lossy(&output.stderr);
            failed(format!("{name} failed:\n{}", told.trim_end()))
        }
        Err(error) => failed(format!("{name} can't be run: {error}")),
    }
}

/// The search path with a folder before all others.
fn with_folder(folder: &Path) -> std::ffi::OsString {
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(folder.to_path_buf()).chain(std::env::split_paths(&rest));
    std::env::join_paths(all).unwrap_or(rest)
}
