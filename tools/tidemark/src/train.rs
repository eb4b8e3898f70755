//! `tidemark train`, `backtest` and `export`: their arguments and what they print; the work is in [`crate::learning`].

use std::fmt::Write as _;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use learn::Fitted;
use learn::rarity::Rarity;
use rehearse::demo::learning::{Learned, Lesson};
use terminal::error::{CliError, Exit};
use terminal::input::EventFile;
use terminal::{clock, files, list_file, ui, when};
use tidemark_domain::policy::Policy;
use tidemark_engine::causes;

use crate::learning::LearningError;
use crate::learning::backtest::{BacktestOptions, backtest, page, text};
use crate::learning::export::{ExportOptions, RowFormat, export};
use crate::learning::train::{TrainOptions, Trained, train};

/// Arguments of `train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// Events and labels as JSON lines, the events in the order of their times
    #[arg(long, short)]
    pub input: PathBuf,
    /// A map of the file: it is rows of another shape, CSV or JSON lines, packed or not (docs/reference/map.md)
    #[arg(long, value_name = "MAP")]
    pub map: Option<PathBuf>,
    /// The policy to begin with (TOML) [default: the built-in policy]
    #[arg(long)]
    pub policy: Option<PathBuf>,
    /// As of when labels are known: 2018-08-08, 2018-08-08T00:00:00Z, or ms since 1970. Nothing from then on is looked at
    #[arg(long, value_name = "TIME")]
    pub train_until: String,
    /// Learn from events from this time on [default: 30 days after the first one]
    #[arg(long, value_name = "TIME")]
    pub train_from: Option<String>,
    /// How late labels are: none counts sooner after its event than this
    #[arg(long, value_name = "SPAN", default_value = "7d")]
    pub label_delay: String,
    /// How many alerts a day somebody can look at: sets the thresholds
    #[arg(long, value_name = "NUMBER", default_value_t = 50.0)]
    pub alerts_per_day: f64,
    /// Learn only what needs no label: how rare values are among all events
    #[arg(long)]
    pub unlabelled: bool,
    /// Where the policy goes; - is stdout
    #[arg(long, short)]
    pub output: PathBuf,
}

/// Arguments of `backtest`.
#[derive(Debug, Args)]
pub struct BacktestArgs {
    /// Events and labels as JSON lines, the events in the order of their times
    #[arg(long, short)]
    pub input: PathBuf,
    /// A map of the file: it is rows of another shape, CSV or JSON lines, packed or not (docs/reference/map.md)
    #[arg(long, value_name = "MAP")]
    pub map: Option<PathBuf>,
    /// A policy file (TOML); name several to hold them against the first
    #[arg(long, required = true)]
    pub policy: Vec<PathBuf>,
    /// A file of a list that the policies declare: NAME=FILE; one for each
    #[arg(long, value_name = "NAME=FILE")]
    pub list: Vec<String>,
    /// Events from this time on count; those before warm the histories
    #[arg(long, value_name = "TIME")]
    pub from: String,
    /// Events from this time on are not looked at
    #[arg(long, value_name = "TIME")]
    pub to: String,
    /// How late labels are: none counts sooner after its event than this
    #[arg(long, value_name = "SPAN", default_value = "7d")]
    pub label_delay: String,
    /// Cards that somebody looks at a day, for card precision
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    pub cards_per_day: usize,
    /// Leave out events of cards that had a fraud which was known by then
    #[arg(long)]
    pub without_compromised: bool,
    /// Score everything once more with labels that are so late at least, for how much that costs: 1d,7d,30d
    #[arg(long, value_name = "SPANS", value_delimiter = ',')]
    pub curve: Vec<String>,
    /// Write a page with plots to this file, too
    #[arg(long, alias = "page", value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Events and labels as JSON lines, the events in the order of their times
    #[arg(long, short)]
    pub input: PathBuf,
    /// A map of the file: it is rows of another shape, CSV or JSON lines, packed or not (docs/reference/map.md)
    #[arg(long, value_name = "MAP")]
    pub map: Option<PathBuf>,
    /// The policy whose features are written [default: the built-in policy]
    #[arg(long)]
    pub policy: Option<PathBuf>,
    /// Events from this time on are written; those before warm the histories [default: all]
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Events from this time on are not looked at [default: none]
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// As of when labels are known [default: --to, or all that the file has]
    #[arg(long, value_name = "TIME")]
    pub labels_as_of: Option<String>,
    /// How late labels are: none counts sooner after its event than this
    #[arg(long, value_name = "SPAN", default_value = "0d")]
    pub label_delay: String,
    /// JSON lines instead of CSV
    #[arg(long)]
    pub json_lines: bool,
    /// Parquet instead of CSV, where the command was built with it: --features parquet
    #[arg(long, conflicts_with = "json_lines")]
    pub parquet: bool,
    /// Where the rows go; - is stdout
    #[arg(long, short)]
    pub output: PathBuf,
}

/// Learns a policy from a file.
///
/// # Errors
/// When the file or an argument is wrong, or there is too little to learn from.
pub fn run_train(args: &TrainArgs, json: bool) -> Result<Exit, CliError> {
    let base = match &args.policy {
        Some(path) => {
            files::policy(Some(path))?;
            std::fs::read_to_string(path)
                .map_err(|e| CliError::input("policy_file", e, "Name a readable policy file (TOML)."))?
        }
        None => Policy::default_text().to_owned(),
    };
    let options = TrainOptions {
        input: history(&args.input, args.map.as_deref())?,
        base,
        from_ms: time("--train-from", args.train_from.as_deref())?,
        until_ms: required_time("--train-until", &args.train_until)?,
        label_delay_ms: span("--label-delay", &args.label_delay)?,
        alerts_a_day: args.alerts_per_day,
        unlabelled: args.unlabelled,
    };
    let step = ui::step("learning", json);
    let trained = train(&options);
    step.finish_and_clear();
    let trained = of_rows(&options.input, trained)?;
    write(&args.output, trained.text.as_bytes())?;
    let said = if json {
        trained_json(&trained).to_string() + "\n"
    } else {
        trained_text(&trained)
    };
    if args.output == Path::new("-") {
        ui::note(said.trim_end());
    } else {
        ui::out(&said);
    }
    Ok(Exit::Ok)
}

/// What came of a file, once its map's account is told: an error may well follow from the rows that were refused.
fn of_rows<T>(input: &EventFile, found: Result<T, LearningError>) -> Result<T, CliError> {
    input.note_rows(true);
    found.map_err(cli_error)
}

/// Learns what a lesson of the demo asks for, by the same way.
///
/// # Errors
/// When the history is wrong, or there is too little to learn from.
pub fn lesson(lesson: &Lesson) -> Result<Learned, CliError> {
    let trained = train(&TrainOptions {
        input: lesson.history.as_path().into(),
        base: lesson.base.clone(),
        from_ms: Some(lesson.from_ms),
        until_ms: lesson.until_ms,
        label_delay_ms: lesson.label_delay_ms,
        alerts_a_day: lesson.alerts_a_day,
        unlabelled: false,
    })
    .map_err(cli_error)?;
    let report = trained.points.map(|fitted| fitted.report);
    let (events, frauds) = report.as_ref().map_or((0, 0), |report| (report.events, report.frauds));
    let features = report.into_iter().flat_map(|report| report.features);
    Ok(Learned {
        text: trained.text,
        policy: trained.policy,
        events: events as u64,
        frauds: frauds as u64,
        features: features.map(|feature| feature.feature).collect(),
    })
}

fn trained_json(trained: &Trained) -> serde_json::Value {
    let report = |fitted: &Option<Fitted>| serde_json::json!(fitted.as_ref().map(|fitted| &fitted.report));
    serde_json::json!({
        "version": trained.policy.version,
        "review": trained.policy.thresholds.review,
        "alert": trained.policy.thresholds.alert,
        "expected": trained.policy.expected.map(|expected| serde_json::json!({
            "alert_share": expected.alert_share,
            "review_share": expected.review_share,
        })),
        "points": report(&trained.points),
        "explained": report(&trained.explained),
        "rarity": trained.rarity,
    })
}

/// What a risk owner signs: each feature with its bins, what lay in them, and what they add.
fn trained_text(trained: &Trained) -> String {
    let mut text = format!("policy version {}\n", trained.policy.version);
    if let Some(rarity) = &trained.rarity {
        rarity_text(&mut text, trained, rarity);
    }
    let Some(fitted) = &trained.points else {
        return text;
    };
    let report = &fitted.report;
    let _ = writeln!(
        text,
        "learned from {} events, {} of them fraud; review from {} on, alert from {} on",
        ui::grouped(report.events as u64),
        ui::grouped(report.frauds as u64),
        trained.policy.thresholds.review,
        trained.policy.thresholds.alert
    );
    if let Some(expected) = trained.policy.expected {
        let _ = writeln!(
            text,
            "of 1,000 events it alerts {:.1} and reviews {:.1} at the end of the range\n",
            1_000.0 * expected.alert_share,
            1_000.0 * expected.review_share
        );
    }
    for feature in &report.features {
        let earns = feature
            .earns
            .map_or_else(String::new, |earns| format!("  earns {earns:.2} bits a fraud"));
        let _ = writeln!(text, "{}{earns}", feature.feature);
        for bin in &feature.bins {
            let range = match (bin.from, bin.below) {
                _ if bin.missing => "missing".to_owned(),
                (None, Some(below)) => format!("below {below}"),
                (Some(from), Some(below)) => format!("{from} to {below}"),
                (Some(from), None) => format!("from {from}"),
                (None, None) => "any".to_owned(),
            };
            let _ = writeln!(
                text,
                "  {range:<26}{:>7.2} bits{:>12} events{:>9} frauds",
                bin.bits,
                ui::grouped(bin.events),
                ui::grouped(bin.frauds)
            );
        }
    }
    for dropped in &report.dropped {
        let _ = writeln!(text, "left out: {} ({:?})", dropped.feature, dropped.why);
    }
    text
}

/// What is rare, and from which value on a feature has bits at all and the most.
fn rarity_text(text: &mut String, trained: &Trained, rarity: &Rarity) {
    let _ = writeln!(
        text,
        "learned from {} events how rare values are, no label was looked at; review from {} on, alert from {} on",
        ui::grouped(rarity.events as u64),
        trained.policy.thresholds.review,
        trained.policy.thresholds.alert
    );
    for feature in &rarity.points.features {
        let ends = feature.edges.first().zip(feature.edges.last());
        let most = feature.bits.iter().fold(0.0_f64, |most, bits| most.max(*bits));
        if let Some((first, last)) = ends {
            let _ = writeln!(
                text,
                "{:<34} rare from {first} on, {most:.2} bits from {last} on",
                feature.name
            );
        }
    }
    for dropped in &rarity.dropped {
        let _ = writeln!(text, "left out: {dropped} (never rare)");
    }
}

/// Holds policies against a file.
///
/// # Errors
/// When the file or an argument is wrong, or nothing of the file lies in the range.
pub fn run_backtest(args: &BacktestArgs, json: bool) -> Result<Exit, CliError> {
    let policies = args.policy.iter().map(|path| files::policy(Some(path)));
    let policies: Vec<Policy> = policies.collect::<Result<_, CliError>>()?;
    let policies = list_file::all_with_lists(&policies, &args.list)?;
    let names = args.policy.iter().map(|path| path.display().to_string());
    let options = BacktestOptions {
        input: history(&args.input, args.map.as_deref())?,
        policies: names.zip(policies).collect(),
        from_ms: required_time("--from", &args.from)?,
        until_ms: required_time("--to", &args.to)?,
        label_delay_ms: span("--label-delay", &args.label_delay)?,
        cards_a_day: args.cards_per_day,
        leave_out_compromised: args.without_compromised,
        delays_ms: args
            .curve
            .iter()
            .map(|delay| span("--curve", delay))
            .collect::<Result<_, _>>()?,
    };
    let step = ui::step("replaying", json);
    let found = backtest(&options);
    step.finish_and_clear();
    let found = of_rows(&options.input, found)?;
    if let Some(file) = &args.html {
        write(file, page(&found).as_bytes())?;
        ui::note(&format!("{} is written", file.display()));
    }
    ui::out(&ui::json_or(json, &found, text::render)?);
    Ok(Exit::Ok)
}

/// Writes a training set.
///
/// # Errors
/// When the file or an argument is wrong.
pub fn run_export(args: &ExportArgs, json: bool) -> Result<Exit, CliError> {
    let until_ms = time("--to", args.to.as_deref())?.unwrap_or(i64::MAX);
    let options = ExportOptions {
        input: history(&args.input, args.map.as_deref())?,
        policy: files::policy(args.policy.as_deref())?,
        from_ms: time("--from", args.from.as_deref())?.unwrap_or(i64::MIN),
        until_ms,
        labels_as_of_ms: time("--labels-as-of", args.labels_as_of.as_deref())?.unwrap_or(until_ms),
        label_delay_ms: span("--label-delay", &args.label_delay)?,
        format: match (args.json_lines, args.parquet) {
            (_, true) => RowFormat::Parquet,
            (true, false) => RowFormat::JsonLines,
            (false, false) => RowFormat::Csv,
        },
    };
    let failed = |e: std::io::Error| CliError::input("output", e, "Check the path and the room on the disk.");
    let mut output: Box<dyn Write + Send> = if args.output == Path::new("-") {
        Box::new(BufWriter::new(std::io::stdout()))
    } else {
        Box::new(BufWriter::new(std::fs::File::create(&args.output).map_err(failed)?))
    };
    let (events, frauds) = of_rows(&options.input, export(&options, &mut *output))?;
    output.flush().map_err(failed)?;
    if json {
        let said = serde_json::json!({"events": events, "frauds": frauds}).to_string();
        if args.output == Path::new("-") {
            ui::note(&said);
        } else {
            ui::out(&(said + "\n"));
        }
    } else {
        ui::note(&format!(
            "{} events, {} of them fraud",
            ui::grouped(events),
            ui::grouped(frauds)
        ));
    }
    Ok(Exit::Ok)
}

/// A history, which is read more than once.
fn history(path: &Path, map: Option<&Path>) -> Result<EventFile, CliError> {
    if path == Path::new("-") {
        let what = "standard input can be read once, and learning reads a history more than once";
        return Err(CliError::input("input_file", what, "Name a file."));
    }
    EventFile::new(path, map)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let written = if path == Path::new("-") {
        std::io::stdout().lock().write_all(bytes)
    } else {
        std::fs::write(path, bytes)
    };
    written.map_err(|e| CliError::input("output", e, "Check the path and the room on the disk."))
}

fn required_time(option: &str, text: &str) -> Result<i64, CliError> {
    // A day is its beginning, UTC.
    let text = if text.len() == 10 && text.contains('-') {
        format!("{text}T00:00:00Z")
    } else {
        text.to_owned()
    };
    when::parse(option, &text, clock::now_ms())
}

fn time(option: &str, text: Option<&str>) -> Result<Option<i64>, CliError> {
    text.map(|text| required_time(option, text)).transpose()
}

/// A length of time as people write it: 7d, 12h.
fn span(option: &str, text: &str) -> Result<i64, CliError> {
    // "7d" is a time that long ago.
    let ago_ms = when::parse(option, text, 0)?;
    if ago_ms > 0 {
        let what = format!("{option} {text}: not a length of time");
        return Err(CliError::input("time", what, "Write 7d, 12h or 30m."));
    }
    Ok(-ago_ms)
}

fn cli_error(error: LearningError) -> CliError {
    match error {
        LearningError::Lines(error) => error.into_cli(""),
        LearningError::OutOfOrder { .. } => CliError::input(
            "history_order",
            causes(&error),
            "Sort the file by event time: learning needs what was known at each event.",
        ),
        LearningError::NothingInRange => CliError::input(
            "history_range",
            causes(&error),
            "Look at the times of the file, and at the range that was asked for.",
        ),
        LearningError::Learn(_) => CliError::input(
            "too_little_to_learn",
            causes(&error),
            "docs/concepts/learning.md says what learning needs.",
        ),
        LearningError::NoParquet => CliError::input(
            "no_parquet",
            causes(&error),
            "Leave --parquet out, or build the command with it: cargo install --path tools/tidemark --features parquet.",
        ),
        error => CliError::input("learning", causes(&error), "Check the paths and the policy."),
    }
}
