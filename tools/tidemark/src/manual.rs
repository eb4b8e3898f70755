//! `tidemark completions` and `tidemark manual`: what shells and `man` want to know, from the command line itself.

use clap::CommandFactory;
use terminal::error::{CliError, Exit};
use terminal::ui;

use crate::cli::{Cli, CompletionsArgs, ManualArgs};

const NAME: &str = "tidemark";

/// Prints a shell's completions.
///
/// # Errors
/// None today.
pub fn completions(args: &CompletionsArgs) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), NAME, &mut script);
    ui::out(&String::from_utf8_lossy(&script));
    Ok(Exit::Ok)
}

/// Writes a page for the command and for each verb.
///
/// # Errors
/// When the folder can't be written to.
pub fn pages(args: &ManualArgs) -> Result<Exit, CliError> {
    let folder = args.folder.display();
    clap_mangen::generate_to(Cli::command(), &args.folder).map_err(|e| {
        CliError::input(
            "output",
            format!("{folder}: {e}"),
            "Name a folder that exists and can be written to.",
        )
    })?;
    ui::note(&format!("the pages are in {folder}"));
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_its_page_and_shells_know_every_verb() {
        let folder = tempfile::tempdir().unwrap();
        let args = ManualArgs {
            folder: folder.path().to_path_buf(),
        };
        pages(&args).unwrap();
        let mut script = Vec::new();
        clap_complete::generate(clap_complete::Shell::Bash, &mut Cli::command(), NAME, &mut script);
        let script = String::from_utf8(script).unwrap();
        for verb in Cli::command().get_subcommands() {
            let page = std::fs::read_to_string(folder.path().join(format!("tidemark-{}.1", verb.get_name()))).unwrap();
            assert!(page.contains("SYNOPSIS"), "{}", verb.get_name());
            assert!(script.contains(&format!("tidemark__{}", verb.get_name())) || script.contains(verb.get_name()));
        }
        let none = ManualArgs {
            folder: folder.path().join("none"),
        };
        assert_eq!(pages(&none).unwrap_err().code, "output");
    }
}
