//! `detection DIR`: the Fraud Detection Handbook's protocol by the product's own path: `train` learns on each split, the engine scores
//! its test week by the policy that came of it.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use learn::metrics::{Case, Ranked, utc_day};
use serde_json::{Value, json};
use tidemark_cli::learning::labels::Labels;
use tidemark_cli::learning::replay::{lines, replay, rescore};
use tidemark_cli::learning::train::{TrainOptions, train};
use tidemark_domain::policy::Policy;

use crate::handbook::{self, HandbookEvent, START_MS};
use crate::trees;

const MS_PER_DAY: i64 = 86_400_000;
/// Labels are known so many days late, and a test begins so many days after its training week.
const DELAY_DAYS: i64 = 7;
const WEEK_DAYS: i64 = 7;
/// Training may look at what happened from 2018-05-01 on: days since the stream's first.
const LEARN_FROM_DAY: i64 = 30;
/// First days of the five training weeks, from 2018-06-27 to 2018-07-25; the last one is the published.
const SPLITS: [i64; 5] = [87, 94, 101, 108, 115];
/// First days of the three earlier weeks that choices are made by: 2018-05-30, 06-06 and 06-13.
const CHOICE_SPLITS: [i64; 3] = [59, 66, 73];
/// Cards that are looked at a day.
const CARDS_A_DAY: usize = 100;
const ALERTS_A_DAY: f64 = 100.0;
/// The policy that training begins with.
const BASE: &str = "version = 1\nwindows_minutes = [60, 1440, 10080, 43200]\n\
    features = [\"count_1h\", \"count_1d\", \"sum_7d\", \"amount_z\", \"amount_ratio\", \"new_merchant\"]\n\
    [weights]\ncount_1h = 0.5\ncount_1d = 0.5\nsum_7d = 1.0\namount_z = 1.0\nnew_merchant = 0.3\n\
    [thresholds]\nreview = 600\nalert = 800\n[currency]\nbase = \"EUR\"\n";

/// Training weeks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weeks {
    /// The five.
    Five,
    /// The published one alone.
    Published,
    /// The three earlier ones that choices are made by.
    Choice,
}

/// What to do.
pub struct Options {
    /// Where the reference files are.
    pub directory: PathBuf,
    /// Which training weeks are measured.
    pub weeks: Weeks,
}

/// Area under the curve, average precision, card precision at 100.
type Figures = [f64; 3];

/// Measures, and gives a line of JSON.
///
/// # Errors
/// When a file can't be read or nothing is learned.
pub fn run(options: &Options) -> Result<String, String> {
    let events = handbook::read_events(&options.directory)?;
    let folder = std::env::temp_dir().join(format!("tidemark-detection-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let file = folder.join("history.jsonl");
    let found = write_history(&events, &file).and_then(|()| measure(&events, &file, options));
    // What was written is of no use to anybody else.
    let _ = std::fs::remove_dir_all(&folder);
    found.map(|found| format!("{found}\n"))
}

fn measure(events: &[HandbookEvent], file: &Path, options: &Options) -> Result<Value, String> {
    let splits: &[i64] = match options.weeks {
        Weeks::Five => &SPLITS,
        Weeks::Published => &SPLITS[SPLITS.len() - 1..],
        Weeks::Choice => &CHOICE_SPLITS,
    };
    let folder = file.parent().unwrap_or(Path::new("."));
    // How late labels are is the same for all: they are read once.
    let policy = Policy::parse(BASE, "base.toml").map_err(|problems| format!("{problems:?}"))?;
    let delay_ms = DELAY_DAYS * MS_PER_DAY;
    let labels = Labels::read(|| lines(file, &policy), delay_ms).map_err(|error| error.to_string())?;
    let stream = Stream { events, file, labels };
    let (mut points, mut trees, mut unlabelled) = (Vec::new(), Vec::new(), Vec::new());
    for first_day in splits {
        let said = |what: &str, figures: Figures| {
            eprintln!("training week from day {first_day}, {what}: {figures:?}");
            figures
        };
        let options = options_of(file, *first_day, false);
        let trained = train(&options).map_err(|error| error.to_string())?;
        points.push(said("points", stream.figures(&trained.policy, *first_day)?));
        let policy = trees::train(&options, &trained, folder)?;
        trees.push(said("trees", stream.figures(&policy, *first_day)?));
        let trained = train(&options_of(file, *first_day, true)).map_err(|error| error.to_string())?;
        unlabelled.push(said("unlabelled", stream.figures(&trained.policy, *first_day)?));
    }
    let mut all = summary(&points);
    if let Some(all) = all.as_object_mut() {
        all.insert("trees".to_owned(), summary(&trees));
        all.insert("unlabelled".to_owned(), summary(&unlabelled));
    }
    Ok(all)
}

fn summary(figures: &[Figures]) -> Value {
    let count = figures.len() as f64;
    let of = |which: usize| figures.iter().map(move |figures| figures[which]);
    let mean: Figures = std::array::from_fn(|which| of(which).sum::<f64>() / count);
    // Sample deviation.
    let deviation: Figures = std::array::from_fn(|which| {
        (of(which).map(|value| (value - mean[which]).powi(2)).sum::<f64>() / (count - 1.0)).sqrt()
    });
    let named = |figures: &Figures| json!({"auc": figures[0], "ap": figures[1], "cp100": figures[2]});
    json!({
        "published_week": figures.last().map(named),
        "five_weeks_mean": named(&mean),
        "five_weeks_sd": named(&deviation),
    })
}

/// What is learned until the test week of a split begins.
fn options_of(file: &Path, first_day: i64, unlabelled: bool) -> TrainOptions {
    let day_ms = |day: i64| START_MS + day * MS_PER_DAY;
    let test_day = first_day + WEEK_DAYS + DELAY_DAYS;
    TrainOptions {
        input: file.into(),
        base: BASE.to_owned(),
        from_ms: Some(day_ms(LEARN_FROM_DAY)),
        until_ms: day_ms(test_day),
        label_delay_ms: DELAY_DAYS * MS_PER_DAY,
        alerts_a_day: ALERTS_A_DAY,
        unlabelled,
    }
}

/// The stream: its events, the file that has them with their labels, and those labels.
struct Stream<'a> {
    events: &'a [HandbookEvent],
    file: &'a Path,
    labels: Labels,
}

impl Stream<'_> {
    /// Scores the test week of a split.
    fn figures(&self, policy: &Policy, first_day: i64) -> Result<Figures, String> {
        let cases = self.cases(policy, first_day)?;
        let ranked = Ranked::new(&cases).map_err(|error| error.to_string())?;
        let sample = ranked.all();
        let figures = (
            sample.auc(),
            sample.average_precision(),
            sample.card_precision(CARDS_A_DAY),
        );
        match figures {
            (Some(auc), Some(ap), Some(cards)) => Ok([auc, ap, cards.mean]),
            _ => Err("a test week without fraud".to_owned()),
        }
    }

    /// The test week's events of cards that were not known to be compromised, with their scores.
    fn cases(&self, policy: &Policy, first_day: i64) -> Result<Vec<Case>, String> {
        let test_day = first_day + WEEK_DAYS + DELAY_DAYS;
        let (from_ms, until_ms) = (
            START_MS + test_day * MS_PER_DAY,
            START_MS + (test_day + WEEK_DAYS) * MS_PER_DAY,
        );
        let mut scores = Vec::new();
        rescore(self.file, policy, &self.labels, until_ms, |scored| {
            if scored.time_ms >= from_ms {
                scores.push(scored);
            }
            Ok(())
        })
        .map_err(|error| error.to_string())?;
        let of_week = self.events.iter().filter(|event| {
            let time_ms = START_MS + event.second * 1_000;
            (from_ms..until_ms).contains(&time_ms)
        });
        let known = known_compromised(self.events, first_day);
        let mut cases = Vec::with_capacity(scores.len());
        let mut seen = 0;
        for (event, scored) in of_week.zip(&scores) {
            seen += 1;
            let day = event.second * 1_000 / MS_PER_DAY;
            if known
                .iter()
                .any(|(from_day, cards)| day >= *from_day && cards.contains(&event.customer))
            {
                continue;
            }
            cases.push(Case {
                score: f64::from(scored.score),
                fraud: event.fraud,
                day: utc_day(scored.time_ms),
                card: u64::from(event.customer),
                amount_minor: scored.amount_minor,
            });
        }
        if seen == scores.len() {
            Ok(cases)
        } else {
            Err("not every event was scored".to_owned())
        }
    }
}

/// Cards that are known to be compromised, from a test day on: those with a fraud in the training week, and those with one on the
/// eighth day before the day under test, or earlier since that week.
fn known_compromised(events: &[HandbookEvent], first_day: i64) -> Vec<(i64, HashSet<u32>)> {
    let test_day = first_day + WEEK_DAYS + DELAY_DAYS;
    let frauds_on = |days: std::ops::Range<i64>| -> HashSet<u32> {
        let is_in = |event: &&HandbookEvent| event.fraud && days.contains(&(event.second * 1_000 / MS_PER_DAY));
        events.iter().filter(is_in).map(|event| event.customer).collect()
    };
    let mut known = vec![(test_day, frauds_on(first_day..first_day + WEEK_DAYS))];
    known.extend((test_day..test_day + WEEK_DAYS).map(|day| (day, frauds_on(day - DELAY_DAYS - 1..day - DELAY_DAYS))));
    known
}

/// Writes the stream with its labels, each known at once: training is told how late labels are.
fn write_history(events: &[HandbookEvent], path: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = BufWriter::new(File::create(path).map_err(failed)?);
    for event in events {
        file.write_all(&event.json).map_err(failed)?;
        file.write_all(b"\n").map_err(failed)?;
    }
    for event in events.iter().filter(|event| event.fraud) {
        let transaction: Value = serde_json::from_slice(&event.json).map_err(|error| error.to_string())?;
        let label = json!({
            "schema": "label", "version": 1, "event_id": transaction["event_id"], "card_id": transaction["card_id"],
            "verdict": "fraud", "known_since_ms": transaction["occurred_at_ms"],
        });
        writeln!(file, "{label}").map_err(failed)?;
    }
    file.flush().map_err(failed)
}

/// Windows of the book in days, and the product's that hold the same frauds when labels are seven days late.
const PARITY_WINDOWS: [(&str, i64); 3] = [("1DAY", 8), ("7DAY", 14), ("30DAY", 37)];

/// Holds the frauds of a terminal that the product counts against the published ones (RISK × NB over the book's delayed windows).
///
/// # Errors
/// When a file can't be read, or a value differs.
pub fn parity(directory: &Path) -> Result<String, String> {
    let published = handbook::read_terminal_frauds(directory, &PARITY_WINDOWS.map(|(book, _)| book))?;
    let features = PARITY_WINDOWS
        .map(|(_, days)| format!("\"terminal.frauds_{days}d\""))
        .join(", ");
    let policy = format!(
        "version = 1\nwindows_minutes = [1440]\nfeatures = [{features}]\n[weights]\n[thresholds]\nreview = 1\nalert = 2\n\
         [[keys]]\nname = \"terminal\"\nfield = \"merchant_id\"\nkeeps = \"labelled\"\n"
    );
    let policy = Policy::parse(&policy, "parity.toml").map_err(|problems| format!("{problems:?}"))?;
    let events = handbook::read_events(directory)?;
    let folder = std::env::temp_dir().join(format!("tidemark-parity-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let file = folder.join("history.jsonl");
    let found = write_history(&events, &file).and_then(|()| differing(&file, &policy, &published));
    let _ = std::fs::remove_dir_all(&folder);
    let (values, differ) = found?;
    let text = format!(
        "{values} values of {} rows compared with the published ones: {differ} differ\n",
        published.len()
    );
    if differ == 0 && values == published.len() * PARITY_WINDOWS.len() {
        Ok(text)
    } else {
        Err(text)
    }
}

fn differing(
    file: &Path,
    policy: &Policy,
    published: &std::collections::HashMap<String, Vec<f64>>,
) -> Result<(usize, usize), String> {
    let delay_ms = DELAY_DAYS * MS_PER_DAY;
    let labels = Labels::read(|| lines(file, policy), delay_ms).map_err(|error| error.to_string())?;
    let (mut values, mut differ) = (0, 0);
    replay(file, policy, &labels, i64::MAX, |scored| {
        for (found, expected) in scored
            .values
            .iter()
            .zip(published.get(&scored.event_id).into_iter().flatten())
        {
            values += 1;
            differ += usize::from((found.unwrap_or(-1.0) - expected).abs() > 1e-6);
        }
        Ok(())
    })
    .map_err(|error| error.to_string())?;
    Ok((values, differ))
}
