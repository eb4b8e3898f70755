//! `tidemark simulate`: a simulated stream as JSON lines.

use std::io::Write;
use std::path::Path;

use lab::simulate::{self, LABEL_DELAY_MS_MAX, SimConfig, SimKind};
use terminal::clock;
use terminal::error::{CliError, Exit};
use tidemark_domain::policy::Policy;

use crate::cli::SimulateArgs;

const MS_PER_DAY: i64 = 86_400_000;

/// Writes the stream that the arguments ask for.
///
/// # Errors
/// When it can't be written.
pub fn run(args: &SimulateArgs) -> Result<Exit, CliError> {
    let policy = Policy::default_policy();
    let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let cards = args.cards.unwrap_or_else(|| args.events.div_ceil(30).max(1));
    let is_history = !args.fraud.is_empty();
    // All labels of a history are known by now.
    let ends_ago_ms = if is_history { LABEL_DELAY_MS_MAX } else { 0 };
    let now_ms = args.now_ms.unwrap_or_else(|| clock::now_ms() - ends_ago_ms);
    let mut config = SimConfig::new(args.seed, narrow(args.events), narrow(cards), now_ms, &policy);
    if args.now_ms.is_none() {
        config = config.with_own_names();
    }
    if is_history {
        let span_ms = i64::from(args.days) * MS_PER_DAY;
        config = config.with_scenarios(&args.fraud, span_ms).as_history();
    }
    if args.links {
        config = config.with_links();
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
