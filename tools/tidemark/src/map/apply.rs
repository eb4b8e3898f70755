//! `tidemark map apply`: the events of a file's rows as JSON lines.

use std::io::{self, BufRead, BufWriter, Write};
use std::path::Path;

use terminal::error::{CliError, Exit};
use terminal::input::{EventFile, repeats_text};
use terminal::lines::{Line, Lines, Unread};
use terminal::ui;
use tidemark_domain::contract::Bounds;
use tidemark_engine::causes;
use translate::RowAccount;

use super::args::ApplyArgs;
use super::{WholeFile, unopened, unwritten, view};
use crate::score_file::sorted;

/// Buffers of outputs, bytes.
const BUFFER_BYTES: usize = 1 << 20;

/// Where events and refusals go.
struct Outputs<'o> {
    events: &'o mut dyn Write,
    refused: Option<&'o mut dyn Write>,
}

/// Why no more is written.
enum Stopped {
    /// Whoever reads standard output has enough.
    Closed,
    Failed(CliError),
}

impl Stopped {
    fn writing(args: &ApplyArgs, error: &io::Error) -> Self {
        if args.output == Path::new("-") && error.kind() == io::ErrorKind::BrokenPipe {
            return Self::Closed;
        }
        Self::Failed(unwritten(&args.output, error))
    }
}

/// Writes the events of a file.
///
/// # Errors
/// When the map or the file can't be read, is wrong, or breaks off; then no output file is left.
pub(super) fn run(args: &ApplyArgs, json: bool) -> Result<Exit, CliError> {
    let is_stdout = args.output == Path::new("-");
    let file = EventFile::new(&args.file, Some(&args.map))?;
    let (input, bytes) = file.open().map_err(|error| unopened(&args.file, &error))?;
    let bar = ui::bar(bytes.unwrap_or_default(), "bytes", json || is_stdout || bytes.is_none());
    let lines = file.events(bar.wrap_read(input), Bounds::BUILT_IN.payload_bytes_max);
    let lines = lines.map_err(|error| error.into_cli(""))?;
    if args
        .refused
        .as_deref()
        .is_some_and(|refused| refused == Path::new("-") || refused == args.output)
    {
        let what = "--refused needs a file of its own";
        return Err(CliError::usage("output", what, "Name a file that is not the output."));
    }
    let mut events = if is_stdout {
        None
    } else {
        Some(WholeFile::create(&args.output)?)
    };
    let mut refused = args.refused.as_deref().map(WholeFile::create).transpose()?;
    let mut stdout = BufWriter::with_capacity(BUFFER_BYTES, io::stdout());
    let outputs = Outputs {
        events: match &mut events {
            Some(file) => &mut file.file,
            None => &mut stdout,
        },
        refused: refused.as_mut().map(|file| &mut file.file as &mut dyn Write),
    };
    let written = write(lines, args, outputs);
    bar.finish_and_clear();
    match written {
        Ok(()) => {}
        Err(Stopped::Closed) => return Ok(Exit::Ok),
        Err(Stopped::Failed(error)) => return Err(error),
    }
    events.into_iter().chain(refused).try_for_each(WholeFile::put)?;
    let account = file.account().unwrap_or_default();
    report(&account, is_stdout, json);
    Ok(if account.refused_total == 0 {
        Exit::Ok
    } else {
        Exit::Failed
    })
}

fn report(account: &RowAccount, is_stdout: bool, json: bool) {
    let text = if json {
        serde_json::json!(account).to_string()
    } else {
        let repeats = repeats_text(account).map(|text| format!("\n{text}"));
        view::counts(account).trim_end().to_owned() + &repeats.unwrap_or_default()
    };
    // Events may go to stdout, so that the account goes to stderr then.
    if is_stdout {
        ui::note(&text);
    } else {
        ui::out(&(text + "\n"));
    }
}

fn write<R: BufRead>(mut lines: Lines<R>, args: &ApplyArgs, mut outputs: Outputs<'_>) -> Result<(), Stopped> {
    if args.sort {
        let held = sorted::all(&mut lines).map_err(|error| {
            let what = causes(&error);
            let advice = "Check the file; what is too large to be sorted here is sorted outside, without --sort.";
            Stopped::Failed(CliError::input("map_input", what, advice))
        })?;
        for (number, line) in held {
            take(&mut outputs, number, line.as_deref().map_err(Clone::clone), args)?;
        }
    } else {
        while let Some((number, line)) = lines.next().map_err(|error| Stopped::Failed(error.into_cli("")))? {
            take(&mut outputs, number, line, args)?;
        }
    }
    let flushed = outputs.events.flush();
    flushed.map_err(|error| Stopped::writing(args, &error))
}

fn take(outputs: &mut Outputs<'_>, number: u64, line: Line<'_>, args: &ApplyArgs) -> Result<(), Stopped> {
    let Unread { code, why } = match line {
        Ok(event) => {
            let written = outputs
                .events
                .write_all(event)
                .and_then(|()| outputs.events.write_all(b"\n"));
            return written.map_err(|error| Stopped::writing(args, &error));
        }
        Err(unread) => unread,
    };
    if let Some(refused) = &mut outputs.refused {
        let said = serde_json::json!({ "line": number, "code": code, "detail": why });
        let path = args.refused.as_deref().unwrap_or(Path::new("-"));
        let written = writeln!(refused, "{said}");
        written.map_err(|error| Stopped::Failed(unwritten(path, &error)))?;
    }
    Ok(())
}
