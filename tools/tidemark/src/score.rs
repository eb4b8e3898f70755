//! `tidemark score`: its arguments, its summary, its exit code; the work is in [`crate::score_file`].

use std::path::Path;

use terminal::error::{CliError, Exit};
use terminal::input::EventFile;
use terminal::{files, list_file, ui};
use tidemark_engine::causes;

use crate::cli::ScoreArgs;
use crate::score_file::{self, Arrival, ScoreFileError, ScoreOptions};

/// Scores the file that the arguments name.
///
/// # Errors
/// When a file can't be opened, read or written, or is no file of events.
pub fn run(args: &ScoreArgs, json: bool) -> Result<Exit, CliError> {
    let options = ScoreOptions {
        input: EventFile::new(&args.input, args.map.as_deref())?,
        output: args.output.clone(),
        refused: args.refused.clone(),
        policy: list_file::with_lists(&files::policy(args.policy.as_deref())?, &args.list)?,
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
        CliError::input(
            "score_file",
            causes(&error),
            "Check the paths; - stands for stdin and stdout.",
        )
    })?;
    options.input.note_rows(false);
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
