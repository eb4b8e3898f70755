//! `handbook DIR`: the reference stream of the Fraud Detection Handbook through contract and fold, its windows held
//! against the published ones.

mod csv;

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use tidemark_domain::catalogue::{FeatureKey, FeatureKind};
use tidemark_domain::contract;
use tidemark_domain::event::Event;
use tidemark_domain::fold::{self, FoldAnswer};
use tidemark_domain::history::History;
use tidemark_domain::id::CardId;
use tidemark_domain::measure::{self, FeatureSet};
use tidemark_domain::model::ProfileInput;
use tidemark_domain::policy::Policy;

use csv::Rows;

/// The stream: every transaction, in time order.
const TRANSACTIONS: &str = "transactions-2018-04-01-to-2018-08-14.csv.gz";
/// The published features of some of them.
const FEATURES: &str = "features-2018-07-25-to-2018-08-14-sample.csv.gz";
/// 2018-04-01T00:00:00Z in milliseconds since 1970: the zero of the stream's seconds.
pub const START_MS: i64 = 1_522_540_800_000;
/// Windows that are compared, in days; the published columns bear the same numbers.
const WINDOWS_DAYS: [u32; 3] = [1, 7, 30];
const MINUTES_PER_DAY: u32 = 1_440;
const SECONDS_PER_DAY: i64 = 86_400;
/// A published mean (a rolling sum of doubles, in euro) may be off by this many euro.
const MEAN_TOLERANCE_EUR: f64 = 1e-6;
/// Mismatches that are printed in full.
const MISMATCHES_SHOWN_MAX: usize = 10;

/// What to do.
pub struct Options {
    /// Where the reference files are.
    pub directory: PathBuf,
    /// Where to write the stream as events, one a line, for `tidemark score`.
    pub jsonl: Option<PathBuf>,
}

/// What came out.
#[derive(Default)]
struct Report {
    events: u64,
    cards: usize,
    truncated_cards: usize,
    /// Transactions of 0 cents.
    raised: u64,
    seconds: f64,
    compared_rows: u64,
    compared_values: u64,
    tied_mismatches: u64,
    mismatches: Vec<String>,
}

/// The published counts and means of one transaction, by window.
type Published = [(f64, f64); WINDOWS_DAYS.len()];

/// Runs the comparison and prints it.
///
/// # Errors
/// When a file can't be read, an event is refused, or a value differs that no tie explains.
pub fn run(options: &Options) -> Result<String, String> {
    let published = read_published(&options.directory.join(FEATURES))?;
    let report = replay(options, &published)?;
    let mut text = format!(
        "{} events of {} cards in {:.2} s: {:.0} events a second (decode, fold, score, one thread)\n\
         {} rows, {} values compared with the published ones: {} differ, {} more at ties (the publisher's order)\n",
        report.events,
        report.cards,
        report.seconds,
        f64::from(u32::try_from(report.events).unwrap_or(u32::MAX)) / report.seconds,
        report.compared_rows,
        report.compared_values,
        report.mismatches.len(),
        report.tied_mismatches,
    );
    if report.raised > 0 {
        let _ = writeln!(
            text,
            "{} transactions of 0 cents count as 1 cent, since the contract takes none of 0; the comparison takes it off again",
            report.raised
        );
    }
    if report.truncated_cards > 0 {
        let _ = writeln!(text, "{} cards outgrew the head", report.truncated_cards);
    }
    if report.compared_rows != published.len() as u64 {
        return Err(format!(
            "{text}{} published rows have no transaction",
            published.len() as u64 - report.compared_rows
        ));
    }
    if report.mismatches.is_empty() {
        return Ok(text);
    }
    for mismatch in report.mismatches.iter().take(MISMATCHES_SHOWN_MAX) {
        let _ = writeln!(text, "  {mismatch}");
    }
    Err(text)
}

/// The policy of the comparison: the built-in one with the published windows.
fn policy() -> Result<Policy, String> {
    let text = "version = 1\nwindows_minutes = [1440, 10080, 43200]\n\
                features = [\"count_1d\", \"mean_1d\", \"count_7d\", \"mean_7d\", \"count_30d\", \"mean_30d\"]\n\
                [weights]\ncount_1d = 1.0\n[thresholds]\nreview = 600\nalert = 800\n[currency]\nbase = \"EUR\"\n";
    Policy::parse(text, "handbook.toml").map_err(|problems| format!("{problems:?}"))
}

fn replay(options: &Options, published: &HashMap<u64, Published>) -> Result<Report, String> {
    let policy = policy()?;
    let mut bounds = policy.bounds;
    // The stream lies years back and has no arrival times: each event counts as arriving at its own.
    (bounds.skew_ms, bounds.lateness_ms) = (i64::MAX / 4, i64::MAX / 4);
    let mut jsonl = match &options.jsonl {
        Some(path) => Some(BufWriter::new(
            File::create(path).map_err(|error| format!("{}: {error}", path.display()))?,
        )),
        None => None,
    };
    let lines = read_events(&options.directory)?;
    let mut cards: HashMap<CardId, History> = HashMap::new();
    let mut report = Report::default();
    // What may differ: the later rows of a tie, where the publisher's order and the stream's need not agree.
    let ties: HashSet<u64> = tied(&lines);
    let raised = raised(&lines);
    report.raised = raised.values().map(|times| times.len() as u64).sum();
    #[allow(clippy::disallowed_methods)] // a benchmark measures
    let started = Instant::now();
    for event in &lines {
        let decoded = contract::decode(&event.json, 0, &bounds).map_err(|refusal| refusal.to_string())?;
        let Event::Transaction(tx) = decoded.event else {
            return Err("not a transaction".to_owned());
        };
        let state = cards.entry(tx.card_id.clone()).or_default();
        if let Some(expected) = published.get(&event.number) {
            let values = measure::compute(state, &tx, None, &policy);
            let raised_seconds = raised.get(&event.customer).map_or(&[][..], Vec::as_slice);
            compare(
                event,
                &values,
                raised_seconds,
                expected,
                ties.contains(&event.number),
                &mut report,
            );
        }
        match fold::fold_transaction(state, &tx, ProfileInput::Absent, &policy) {
            FoldAnswer::Scored { .. } => report.events += 1,
            other => return Err(format!("transaction {} was not scored: {other:?}", event.number)),
        }
    }
    report.seconds = started.elapsed().as_secs_f64();
    report.cards = cards.len();
    report.truncated_cards = cards.values().filter(|state| state.truncation().is_some()).count();
    if let Some(file) = &mut jsonl {
        for event in &lines {
            file.write_all(&event.json)
                .and_then(|()| file.write_all(b"\n"))
                .map_err(|error| error.to_string())?;
        }
        file.flush().map_err(|error| error.to_string())?;
    }
    Ok(report)
}

fn compare(
    event: &HandbookEvent,
    values: &FeatureSet,
    raised_seconds: &[i64],
    expected: &Published,
    tied: bool,
    report: &mut Report,
) {
    let number = event.number;
    report.compared_rows += 1;
    for (days, (count, mean_eur)) in WINDOWS_DAYS.into_iter().zip(expected) {
        let get = |kind| {
            values
                .get(FeatureKey {
                    kind,
                    window_minutes: days * MINUTES_PER_DAY,
                    of: None,
                })
                .unwrap_or(f64::NAN)
        };
        let own_count = get(FeatureKind::Count);
        let start = event.second - i64::from(days) * SECONDS_PER_DAY;
        let raised = raised_seconds
            .iter()
            .filter(|second| **second > start && **second <= event.second)
            .count();
        let own_mean_eur = (get(FeatureKind::Mean) - raised as f64 / own_count) / 100.0;
        report.compared_values += 2;
        // Written so that a NaN is a mismatch.
        let same = own_count == *count && (own_mean_eur - mean_eur).abs() <= MEAN_TOLERANCE_EUR;
        match (same, tied) {
            (true, _) => {}
            (false, true) => report.tied_mismatches += 1,
            (false, false) => report.mismatches.push(format!(
                "transaction {number}, {days} d: count {own_count} mean {own_mean_eur}, published {count} and {mean_eur}"
            )),
        }
    }
}

/// One transaction of the stream as an event.
pub struct HandbookEvent {
    number: u64,
    /// The card's number.
    pub customer: u32,
    /// The merchant's terminal's number.
    pub terminal: u32,
    /// Seconds since [`START_MS`].
    pub second: i64,
    /// Whether it is fraud.
    pub fraud: bool,
    cents: u64,
    /// The event.
    pub json: Vec<u8>,
}

impl HandbookEvent {
    /// What the product calls it.
    pub fn event_id(&self) -> String {
        format!("handbook-{}", self.number)
    }

    /// What the product calls its card.
    pub fn card_id(&self) -> String {
        format!("customer-{}", self.customer)
    }

    /// When it happened, ms since 1970-01-01T00:00:00Z.
    pub fn time_ms(&self) -> i64 {
        START_MS + self.second * 1_000
    }

    /// The event as it is on the stream, so many milliseconds later than it was.
    pub fn shifted(&self, shift_ms: i64) -> Vec<u8> {
        format!(
            "{{\"schema\":\"transaction\",\"version\":1,\"event_id\":\"{}\",\"card_id\":\"{}\",\
             \"occurred_at_ms\":{},\"amount_minor\":{},\"currency\":\"EUR\",\"merchant_id\":\"terminal-{}\",\"mcc\":5999,\
             \"country\":\"FR\",\"channel\":\"point_of_sale\",\"approved\":true}}",
            self.event_id(),
            self.card_id(),
            self.time_ms() + shift_ms,
            self.cents.max(1),
            self.terminal,
        )
        .into_bytes()
    }

    /// Whether its amount is 0, which the contract does not take: it counts as one cent.
    const fn is_raised(&self) -> bool {
        self.cents == 0
    }
}

/// The stream of a directory, in time order.
///
/// # Errors
/// When it can't be read.
pub fn read_events(directory: &Path) -> Result<Vec<HandbookEvent>, String> {
    let mut rows = Rows::open(&directory.join(TRANSACTIONS))?;
    let [id, time, customer, terminal, cents, fraud] = rows.columns([
        "TRANSACTION_ID",
        "TX_TIME_SECONDS",
        "CUSTOMER_ID",
        "TERMINAL_ID",
        "cents",
        "TX_FRAUD",
    ])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        let mut event = HandbookEvent {
            number: row.parse(id)?,
            customer: row.parse(customer)?,
            terminal: row.parse(terminal)?,
            second: row.parse(time)?,
            fraud: row.parse::<u8>(fraud)? == 1,
            cents: row.parse(cents)?,
            json: Vec::new(),
        };
        event.json = event.shifted(0);
        events.push(event);
    }
    Ok(events)
}

/// The frauds of a terminal in the book's delayed windows, by event id: share of frauds times number of transactions.
///
/// # Errors
/// When the file can't be read.
pub fn read_terminal_frauds(directory: &Path, windows: &[&str]) -> Result<HashMap<String, Vec<f64>>, String> {
    let mut rows = Rows::open(&directory.join(FEATURES))?;
    let [id] = rows.columns(["TRANSACTION_ID"])?;
    let mut columns = Vec::new();
    for window in windows {
        let (count, risk) = (
            format!("TERMINAL_ID_NB_TX_{window}_WINDOW"),
            format!("TERMINAL_ID_RISK_{window}_WINDOW"),
        );
        columns.push(rows.columns([count.as_str(), risk.as_str()])?);
    }
    let mut frauds = HashMap::new();
    while let Some(row) = rows.next()? {
        let mut values = Vec::with_capacity(columns.len());
        for [count, risk] in &columns {
            values.push(row.parse::<f64>(*count)? * row.parse::<f64>(*risk)?);
        }
        frauds.insert(format!("handbook-{}", row.parse::<u64>(id)?), values);
    }
    Ok(frauds)
}

fn read_published(path: &Path) -> Result<HashMap<u64, Published>, String> {
    let mut rows = Rows::open(path)?;
    let [id] = rows.columns(["TRANSACTION_ID"])?;
    let mut columns = [(0, 0); WINDOWS_DAYS.len()];
    for (place, days) in columns.iter_mut().zip(WINDOWS_DAYS) {
        let count = format!("CUSTOMER_ID_NB_TX_{days}DAY_WINDOW");
        let mean = format!("CUSTOMER_ID_AVG_AMOUNT_{days}DAY_WINDOW");
        let [count, mean] = rows.columns([&count, &mean])?;
        *place = (count, mean);
    }
    let mut published = HashMap::new();
    while let Some(row) = rows.next()? {
        let mut values = [(0.0, 0.0); WINDOWS_DAYS.len()];
        for (value, (count, mean)) in values.iter_mut().zip(columns) {
            *value = (row.parse(count)?, row.parse(mean)?);
        }
        published.insert(row.parse(id)?, values);
    }
    Ok(published)
}

/// Numbers of the transactions that share card and second with another.
fn tied(events: &[HandbookEvent]) -> HashSet<u64> {
    let mut first: HashMap<(u32, i64), u64> = HashMap::new();
    let mut ties = HashSet::new();
    for event in events {
        if let Some(other) = first.insert((event.customer, event.second), event.number) {
            ties.extend([other, event.number]);
        }
    }
    ties
}

/// Seconds of the transactions of 0 cents, by card.
fn raised(events: &[HandbookEvent]) -> HashMap<u32, Vec<i64>> {
    let mut raised: HashMap<u32, Vec<i64>> = HashMap::new();
    for event in events.iter().filter(|event| event.is_raised()) {
        raised.entry(event.customer).or_default().push(event.second);
    }
    raised
}

/// Whether the reference files are there.
#[must_use]
pub fn is_there(directory: &Path) -> bool {
    directory.join(TRANSACTIONS).is_file() && directory.join(FEATURES).is_file()
}

/// Reading failed.
fn failed(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}
