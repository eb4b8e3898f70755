//! `tidemark map check`: some rows side by side, and what becomes of all of them.

use terminal::error::{CliError, Exit};
use terminal::input::{EventFile, read_map};
use terminal::ui;
use translate::{InputFault, Translated, Translator, unpack};

use super::args::CheckArgs;
use super::view::{Checked, CheckedRow};
use super::{unopened, unreadable, view};

/// Checks a file under its map.
///
/// # Errors
/// When the map or the file can't be read, is wrong, or breaks off: what was found before that is shown.
pub(super) fn run(args: &CheckArgs, json: bool) -> Result<Exit, CliError> {
    let map = read_map(&args.map)?;
    let file = EventFile::from(args.file.as_path());
    let (input, _) = file.open().map_err(|error| unopened(&args.file, &error))?;
    let input = unpack(input).map_err(|source| unreadable(InputFault::Broken { line: 0, source }))?;
    let translator = Translator::new(input, map).map_err(unreadable)?;
    let (checked, fault) = check(translator, args.rows);
    // One document is what a machine reads: the error, when the file breaks off.
    if !json || fault.is_none() {
        ui::out(&ui::json_or(json, &checked, view::render)?);
    }
    match fault {
        Some(fault) => Err(unreadable(fault)),
        None if checked.account.rows == 0 => {
            ui::note("the file has no rows: nothing was checked");
            Ok(Exit::Nothing)
        }
        None if checked.account.refused_total == 0 => Ok(Exit::Ok),
        None => Ok(Exit::Failed),
    }
}

fn check<R: std::io::BufRead>(mut translator: Translator<R>, rows_max: u64) -> (Checked, Option<InputFault>) {
    let mut rows = Vec::new();
    let fault = loop {
        let (line, refused) = match translator.next() {
            Ok(None) => break None,
            Err(fault) => break Some(fault),
            Ok(Some(Translated::Skipped { .. })) => continue,
            Ok(Some(Translated::Events { line, .. })) => (line, None),
            Ok(Some(Translated::Refused(refused))) => (refused.line, Some(refused)),
        };
        if (rows.len() as u64) < rows_max {
            let theirs = translator
                .theirs()
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value));
            let events = translator.events().1.iter();
            rows.push(CheckedRow {
                line,
                theirs: theirs.collect(),
                ours: events.filter_map(|event| serde_json::from_slice(event).ok()).collect(),
                refused,
            });
        }
    };
    let account = translator.account();
    (Checked { rows, account }, fault)
}
