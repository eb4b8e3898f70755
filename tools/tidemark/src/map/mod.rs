//! `tidemark map`: maps drafted, tried and applied. How rows become events is in the crate `translate`.

mod apply;
pub mod args;
mod check;
mod view;

use std::io::Write;
use std::path::Path;

use terminal::error::{CliError, Exit};
use terminal::input::EventFile;
use terminal::lines::LinesError;
use terminal::ui;
use translate::{InputFault, suggest, unpack};

use args::{MapCommand, SuggestArgs};

/// Runs a verb of maps.
///
/// # Errors
/// When a map or a file can't be read, is wrong, or breaks off.
pub fn run(command: &MapCommand, json: bool) -> Result<Exit, CliError> {
    match command {
        MapCommand::Suggest(args) => draft(args, json),
        MapCommand::Check(args) => check::run(args, json),
        MapCommand::Apply(args) => apply::run(args, json),
    }
}

fn draft(args: &SuggestArgs, json: bool) -> Result<Exit, CliError> {
    let file = EventFile::from(args.file.as_path());
    let (input, _) = file.open().map_err(|error| unopened(&args.file, &error))?;
    let input = unpack(input).map_err(|source| unreadable(InputFault::Broken { line: 0, source }))?;
    let name = args.file.file_name().unwrap_or_default().to_string_lossy();
    let found = suggest(input, &name, args.rows, !args.no_examples).map_err(unreadable)?;
    let is_printed = args.output == Path::new("-");
    if !is_printed {
        std::fs::write(&args.output, &found.text).map_err(|error| unwritten(&args.output, &error))?;
    }
    if json {
        let value = serde_json::json!({
            "map": found.text, "to_state": found.to_state, "rows": found.rows, "columns": found.columns,
        });
        ui::out(&format!("{value}\n"));
        return Ok(Exit::Ok);
    }
    if is_printed {
        ui::out(&found.text);
    } else {
        let (rows, columns) = (ui::grouped(found.rows), ui::grouped(found.columns as u64));
        ui::note(&format!(
            "{}: a draft by {rows} rows of {columns} columns",
            args.output.display()
        ));
    }
    if !found.to_state.is_empty() {
        ui::note("nobody can guess these; look at the lines with STATE:");
        found.to_state.iter().for_each(|state| ui::note(&format!("  {state}")));
    }
    Ok(Exit::Ok)
}

fn unopened(path: &Path, error: &std::io::Error) -> CliError {
    let what = format!("{}: {error}", path.display());
    CliError::input("input_file", what, "Name a readable file, or - for stdin.")
}

fn unwritten(path: &Path, error: &std::io::Error) -> CliError {
    let what = format!("{}: {error}", path.display());
    CliError::input("output", what, "Check the path and the room on the disk.")
}

fn unreadable(fault: InputFault) -> CliError {
    LinesError::Rows(fault).into_cli("")
}

/// A file that is whole or not there: it is written beside its place, and put there at the end.
struct WholeFile<'p> {
    path: &'p Path,
    part: std::path::PathBuf,
    file: std::io::BufWriter<std::fs::File>,
}

impl<'p> WholeFile<'p> {
    fn create(path: &'p Path) -> Result<Self, CliError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".part");
        let part = std::path::PathBuf::from(name);
        let file = std::fs::File::create(&part).map_err(|error| unwritten(&part, &error))?;
        Ok(Self {
            path,
            part,
            file: std::io::BufWriter::new(file),
        })
    }

    fn put(mut self) -> Result<(), CliError> {
        let written = self.file.flush().and_then(|()| std::fs::rename(&self.part, self.path));
        written.map_err(|error| unwritten(self.path, &error))
    }

    fn drop_it(self) {
        drop(self.file);
        drop(std::fs::remove_file(&self.part));
    }
}
