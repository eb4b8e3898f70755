//! `tidemark map`: maps drafted, tried and applied. How rows become events is in the crate `translate`.

mod apply;
pub mod args;
mod check;
mod view;

use std::io::Write;
use std::path::{Path, PathBuf};

use terminal::error::{CliError, Exit};
use terminal::input::EventFile;
use terminal::lines::LinesError;
use terminal::ui;
use translate::{InputFault, suggest, suggest_of_parquet, unpack};

use args::{FileMapCommand, SuggestArgs};

/// Runs a verb of maps of files.
///
/// # Errors
/// When a map or a file can't be read, is wrong, or breaks off.
pub fn run(command: &FileMapCommand, json: bool) -> Result<Exit, CliError> {
    match command {
        FileMapCommand::Suggest(args) => draft(args, json),
        FileMapCommand::Check(args) => check::run(args, json),
        FileMapCommand::Apply(args) => apply::run(args, json),
    }
}

fn draft(args: &SuggestArgs, json: bool) -> Result<Exit, CliError> {
    let file = EventFile::from(args.file.as_path());
    let (input, _) = file.open().map_err(|error| unopened(&args.file, &error))?;
    let input = unpack(input).map_err(|source| unreadable(InputFault::Broken { line: 0, source }))?;
    let name = args.file.file_name().unwrap_or_default().to_string_lossy();
    let found = if file.is_parquet() {
        suggest_of_parquet(input, &name, args.rows, !args.no_examples)
    } else {
        suggest(input, &name, args.rows, !args.no_examples)
    };
    let found = found.map_err(unreadable)?;
    let is_printed = args.output == Path::new("-");
    if !is_printed {
        std::fs::write(&args.output, &found.text).map_err(|error| unwritten(&args.output, &error))?;
    }
    if json {
        let value = serde_json::json!({
            "map": found.text, "to_state": found.to_state, "rows": found.rows, "columns": found.columns, "unreadable": found.unreadable,
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
    if let Some((line, why)) = &found.first_unreadable {
        let rows = if found.unreadable == 1 { "row" } else { "rows" };
        let count = ui::grouped(found.unreadable);
        ui::note(&format!(
            "{count} {rows} could not be read and say nothing here, the first on line {line}: {why}"
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

/// A file that is whole or not there: it is written beside its place, and put there at the end. Whatever else ends it leaves nothing.
struct WholeFile<'p> {
    path: &'p Path,
    /// Where it is written until then; `None`: in its place, which is a device or a pipe, or it was put there.
    part: Option<PathBuf>,
    file: std::io::BufWriter<std::fs::File>,
}

impl<'p> WholeFile<'p> {
    fn create(path: &'p Path) -> Result<Self, CliError> {
        let is_file = std::fs::metadata(path).map_or(true, |found| found.is_file() || found.is_dir());
        let part = is_file.then(|| {
            let mut name = path.as_os_str().to_owned();
            name.push(".part");
            PathBuf::from(name)
        });
        let place = part.as_deref().unwrap_or(path);
        let file = std::fs::File::create(place).map_err(|error| unwritten(place, &error))?;
        Ok(Self {
            path,
            part,
            file: std::io::BufWriter::new(file),
        })
    }

    fn put(mut self) -> Result<(), CliError> {
        self.file.flush().map_err(|error| unwritten(self.path, &error))?;
        if let Some(part) = &self.part {
            std::fs::rename(part, self.path).map_err(|error| unwritten(self.path, &error))?;
        }
        self.part = None;
        Ok(())
    }
}

impl Drop for WholeFile<'_> {
    fn drop(&mut self) {
        if let Some(part) = &self.part {
            // What can't be taken away now is of no use to anybody.
            let _ = std::fs::remove_file(part);
        }
    }
}
