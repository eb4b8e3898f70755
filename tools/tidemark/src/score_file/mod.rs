//! `tidemark score`: the engine over a file of events, one JSON object a line, no AWS at all.
//!
//! Every line goes the way of a record of the stream: the engine that the score function runs plans, folds, commits and sends,
//! with its ports in memory. So a line gets the outcome that the stream would give it, in the same bytes. Lines are taken in
//! chunks. Memory is bounded by a chunk, by the states that the engine keeps decoded (`WARM_BYTES_MAX`), by what the store keeps of
//! cards (`STORED_BYTES_MAX`: the encoded state, and the bytes of its sealed segments until they are older than the policy's
//! retention), and by where its bytes are, of each card that there ever was. The cards that have been longest without an event are in a
//! temporary file, and come back with their next event, so that how old an event may be makes no difference. A line is never held
//! beyond the contract's payload limit.
//!
//! A file has no arrival times. Unless one is named ([`Arrival::At`]), each event counts as arriving at its own time: the
//! bounds on skew and lateness do not apply, and the dedupe horizon alone judges how old an event may be.
//! A duplicate is counted and not written again: one event, one line of output.

#[cfg(test)]
mod hot_tests;
mod scorer;
pub(crate) mod sorted;
mod spill;
#[cfg(test)]
mod spill_tests;
mod store;
mod stored;
mod summary;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use terminal::chunk::LineChunk;
use terminal::glance::Kind;
use terminal::input::EventFile;
use terminal::lines::{Line, Lines, LinesError};
use tidemark_domain::policy::Policy;

pub use summary::ScoreSummary;

pub(crate) use scorer::{LineEnd, Scorer};

/// Buffers of outputs, bytes.
const BUFFER_BYTES: usize = 1 << 20;
/// The progress bar moves once in so many lines.
const PROGRESS_EVERY_LINES: u64 = 4_096;

/// When the lines of a file count as arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arrival {
    /// Each at its own event time.
    #[default]
    AtEventTime,
    /// All at this time: milliseconds since 1970-01-01T00:00:00Z. The policy's skew and lateness bounds apply.
    At(i64),
}

/// What to score, and where to put what.
#[derive(Clone, Debug)]
pub struct ScoreOptions {
    /// Events, one a line, or rows under a map; `-` is standard input.
    pub input: EventFile,
    /// Outcomes, one a line; `-` is standard output.
    pub output: PathBuf,
    /// Refused lines: number, code and reason, one a line; `-` is standard output.
    pub refused: Option<PathBuf>,
    /// The policy.
    pub policy: Policy,
    /// Whether to write the value of every feature of the policy as of each event.
    pub features: bool,
    /// When lines count as arrived.
    pub arrival: Arrival,
    /// Whether lines are taken in the order of their times, which holds all of them in memory.
    pub sort: bool,
    /// Whether a progress bar may be shown on standard error, when that is a terminal.
    pub progress: bool,
}

/// What can go wrong with the files.
#[derive(Debug, thiserror::Error)]
pub enum ScoreFileError {
    /// A file could not be opened or made.
    #[error("can't open {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The events can't be read, or are no JSON lines.
    #[error(transparent)]
    Lines(#[from] LinesError),
    /// Writing outcomes or refused lines failed.
    #[error("can't write")]
    Write(#[from] io::Error),
    /// Cards that memory has no room for could not be written to the temporary file, or read from it.
    #[error("can't keep cards in a temporary file")]
    Spill(#[source] io::Error),
    /// The lines are more than can be held to be sorted.
    #[error("more than {} GiB of lines can't be sorted in memory: sort the file before", sorted::SORT_BYTES_MAX >> 30)]
    TooLargeToSort,
    /// The engine gave a line back, as it does when a port fails: a bug, since every port is in memory.
    #[error("a line was not taken to its end: this is a bug")]
    Unfinished,
    /// Outcomes and refused lines would be mixed.
    #[error("outcomes and refused lines can't both go to standard output")]
    OneOutput,
}

/// Scores a file.
///
/// # Errors
/// When a file can't be opened, read or written. Lines that the contract refuses are no error: they are counted.
pub fn run(options: &ScoreOptions) -> Result<ScoreSummary, ScoreFileError> {
    let is_stdio = |path: &Path| path == Path::new("-");
    if is_stdio(&options.output) && options.refused.as_deref().is_some_and(is_stdio) {
        return Err(ScoreFileError::OneOutput);
    }
    let failed = |source| ScoreFileError::Open {
        path: options.input.path().to_path_buf(),
        source,
    };
    let (input, bytes) = options.input.open().map_err(failed)?;
    let bar = progress(options.progress, bytes);
    let input = bar.wrap_read(input);
    let bytes_max = options.policy.bounds.payload_bytes_max;
    let lines = options.input.events(input, bytes_max)?;
    let mut output = create(&options.output)?;
    let mut refused = options.refused.as_deref().map(create).transpose()?;
    let mut refuse: Option<&mut dyn Write> = match &mut refused {
        Some(file) => Some(file),
        None => None,
    };
    let summary = score(
        options,
        lines,
        &mut output,
        refuse.as_mut().map(|file| &mut **file as &mut dyn Write),
        &bar,
    );
    bar.finish_and_clear();
    output.flush()?;
    if let Some(mut file) = refused {
        file.flush()?;
    }
    summary
}

/// Scores what a reader gives, line by line.
fn score<'a>(
    options: &ScoreOptions,
    lines: Lines<impl io::BufRead>,
    output: &'a mut dyn Write,
    refused: Option<&'a mut dyn Write>,
    bar: &'a ProgressBar,
) -> Result<ScoreSummary, ScoreFileError> {
    let mut run = Run {
        scorer: Scorer::new(options.policy.clone(), options.features, options.arrival),
        chunk: LineChunk::default(),
        output,
        refused,
        bar,
        taken: 0,
        after_label: false,
    };
    let read = run.take_all(lines, options.sort);
    // What was read before an error is scored all the same.
    let scored = run.score_chunk();
    read?;
    scored?;
    Ok(run.scorer.into_summary())
}

/// Lines in, outcomes and refusals out.
struct Run<'a> {
    scorer: Scorer,
    chunk: LineChunk,
    output: &'a mut dyn Write,
    refused: Option<&'a mut dyn Write>,
    bar: &'a ProgressBar,
    taken: u64,
    /// Whether the line before is a label that teaches keys.
    after_label: bool,
}

impl Run<'_> {
    /// Takes all lines in their order, or in the order of their times.
    fn take_all<R: io::BufRead>(&mut self, mut lines: Lines<R>, sort: bool) -> Result<(), ScoreFileError> {
        if sort {
            for (number, line) in sorted::all(&mut lines)? {
                self.take(number, line.as_deref().map_err(Clone::clone))?;
            }
        } else {
            while let Some((number, line)) = lines.next()? {
                self.take(number, line)?;
            }
        }
        Ok(())
    }

    /// Takes a line, and scores the chunk that it fills.
    fn take(&mut self, number: u64, line: Line<'_>) -> Result<(), ScoreFileError> {
        // What labels teach the keys, events after them find: a batch reads its keys before it teaches any.
        let is_label = self.scorer.learns() && line.as_ref().is_ok_and(|line| Kind::is_label(line));
        if self.after_label && !is_label {
            self.score_chunk()?;
        }
        self.after_label = is_label;
        self.chunk.push(number, line);
        self.taken += 1;
        if self.taken.is_multiple_of(PROGRESS_EVERY_LINES) {
            self.bar.set_message(format!("{} events", self.taken));
        }
        if self.chunk.is_full() {
            self.score_chunk()?;
        }
        Ok(())
    }

    /// Scores the lines that are held, and writes what became of them.
    fn score_chunk(&mut self) -> Result<(), ScoreFileError> {
        let ends = self.scorer.score(&self.chunk);
        let written = ends.and_then(|ends| self.write(&ends));
        self.chunk.clear();
        written
    }

    fn write(&mut self, ends: &[LineEnd]) -> Result<(), ScoreFileError> {
        for (line, end) in self.chunk.lines.iter().zip(ends) {
            match end {
                LineEnd::Outcome(outcome) => {
                    self.output.write_all(outcome)?;
                    self.output.write_all(b"\n")?;
                }
                LineEnd::Refused { code, detail } => {
                    if let Some(file) = &mut self.refused {
                        let number = line.number;
                        let detail = serde_json::Value::from(detail.as_str());
                        writeln!(file, "{{\"line\":{number},\"code\":\"{code}\",\"detail\":{detail}}}")?;
                    }
                }
                LineEnd::Silent => {}
            }
        }
        Ok(())
    }
}

fn create(path: &Path) -> Result<Box<dyn Write>, ScoreFileError> {
    if path == Path::new("-") {
        return Ok(Box::new(BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock())));
    }
    let file = File::create(path).map_err(|source| ScoreFileError::Open {
        path: path.to_path_buf(),
        source,
    })?;
    Ok(Box::new(BufWriter::with_capacity(BUFFER_BYTES, file)))
}

fn progress(wanted: bool, bytes: Option<u64>) -> ProgressBar {
    if !wanted || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = match bytes {
        Some(bytes) => ProgressBar::new(bytes),
        None => ProgressBar::new_spinner(),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("  {msg} {bytes}/{total_bytes} {eta} {wide_bar}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
