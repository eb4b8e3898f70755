//! The tests' own Python environments, under `target/test-venv`: made once for a list of requirements, then reused.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{Failed, run};
use crate::{target_folder, workspace_root};

/// A Python environment with a list of requirements installed.
#[derive(Debug, Clone)]
pub struct Venv {
    folder: PathBuf,
}

impl Venv {
    /// A command of the environment (`python`, `sam`, `cfn-lint` …), run from the workspace's folder, with no telemetry and
    /// no credentials but invented ones.
    #[must_use]
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.folder.join("bin").join(name));
        command
            .current_dir(workspace_root())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("SAM_CLI_TELEMETRY", "0")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_DEFAULT_REGION", "eu-west-1")
            .env_remove("AWS_PROFILE");
        command
    }

    /// One of the scripts in `tests/e2e/python`, ready to be given arguments.
    #[must_use]
    pub fn script(&self, name: &str) -> Command {
        let mut command = self.command("python");
        command.arg(workspace_root().join("tests/e2e/python").join(name));
        command
    }
}

/// The environment of `tests/e2e/requirements-<name>.txt`, installed when it is missing or its list has changed.
///
/// # Errors
/// When Python 3 is missing or a requirement cannot be installed.
pub fn venv(name: &str) -> Result<Venv, Failed> {
    let list = workspace_root()
        .join("tests/e2e")
        .join(format!("requirements-{name}.txt"));
    let wanted = fs::read_to_string(&list).map_err(|source| Failed::io(list.display(), source))?;
    let all = target_folder()
        .map_err(|source| Failed::io("target", source))?
        .join("test-venv");
    let folder = all.join(name);
    let installed = folder.join("requirements.txt");

    // Tests of several processes may ask at once: one installs, the others wait.
    let at_lock = |source| Failed::io(all.join(name).display(), source);
    fs::create_dir_all(&all).map_err(at_lock)?;
    let lock = File::create(all.join(format!("{name}.lock"))).map_err(at_lock)?;
    lock.lock().map_err(at_lock)?;

    if fs::read_to_string(&installed).is_ok_and(|present| present == wanted) {
        return Ok(Venv { folder });
    }
    install(&folder, &list)?;
    fs::write(&installed, &wanted).map_err(|source| Failed::io(installed.display(), source))?;
    Ok(Venv { folder })
}

fn install(folder: &Path, list: &Path) -> Result<(), Failed> {
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
    run(Command::new(folder.join("bin/python"))
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
        ])
        .arg(list))?;
    Ok(())
}
