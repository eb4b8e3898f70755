//! What learning brings, on the demo's own stream: its first part is learned from, by the command's own `train`; its last part is
//! scored by both policies through the real path, where the one that learned is tried beside the other on all cards.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use lab::oracle::Report;
use lab::simulate::{self, Expect, SPAN_MS_MAX, SimConfig, SimRecord};
use operate::control;
use operate::control::args::{PlaneArgs, StreamArgs};
use operate::control::compare::trials;
use operate::places::PrefixArg;
use serde::{Deserialize, Serialize};
use terminal::clock::{now_ms, pause};
use terminal::error::CliError;
use terminal::ui::{self, grouped, paint};
use tidemark_domain::control::trial::Trial;
use tidemark_domain::outcome::Decision;
use tidemark_domain::policy::{Policy, base_amount};
use tidemark_telemetry::Metric;

use super::fraud::told;
use super::usage;
use crate::stack::Stack;

const DAY_MS: i64 = 86_400_000;
/// Days that the demo's stream has in event time.
pub(super) const STREAM_DAYS: i64 = 60;
/// More fraud than in other simulated streams: some thousand events are to hold enough to learn from.
pub(super) const FRAUD_FACTOR: f64 = 2.0;
/// The last of them are scored by both policies.
const TEST_DAYS: i64 = 12;
/// The first of them only fill the cards' histories.
const WARM_DAYS: i64 = 20;
/// How late the demo's policy lets events come: its whole stream is sent at once.
const LATENESS_DAYS: i64 = 70;
/// How late labels are taken to be when it is learned from them.
const LABEL_DELAY_MS: i64 = 3 * DAY_MS;
/// The functions look at the control plane so often, ms.
const CONTROL_REFRESH_MS: i64 = 250;
/// Later than this after a change no batch begins without having seen it, ms.
const CONTROL_WAIT_AFTER_MS: i64 = 500;
/// `train` lets reviews and alerts together be four times the alerts.
const FLAGGED_PER_ALERT: f64 = 4.0;
/// The code by which `train` says that there is too little to learn from.
const TOO_LITTLE: &str = "too_little_to_learn";
/// The history that is learned from, in the data directory.
const HISTORY_FILE: &str = "history.jsonl";
/// The demo's policy, in the data directory.
const POLICY_FILE: &str = "demo-policy.toml";

/// What a policy is learned from, and for what.
#[derive(Clone, Debug)]
pub struct Lesson {
    /// Events and labels, in the order of the events' times.
    pub history: PathBuf,
    /// The text of the policy to begin with.
    pub base: String,
    /// Events from this time on are learned from, ms since 1970-01-01T00:00:00Z.
    pub from_ms: i64,
    /// Nothing from this time on is looked at, ms since 1970-01-01T00:00:00Z.
    pub until_ms: i64,
    /// How late labels are, ms.
    pub label_delay_ms: i64,
    /// How many alerts a day somebody can look at.
    pub alerts_a_day: f64,
}

/// What came of a lesson.
#[derive(Clone, Debug)]
pub struct Learned {
    /// The policy's text.
    pub text: String,
    /// Checked.
    pub policy: Policy,
    /// Events that it learned from.
    pub events: u64,
    /// Of these, labelled as fraud.
    pub frauds: u64,
    /// Features that have points.
    pub features: Vec<String>,
}

/// Learns a policy: the command's own `train`.
pub type Learn<'a> = dyn Fn(&Lesson) -> Result<Learned, CliError> + Send + Sync + 'a;

/// The policy of the demo: the built-in one, for a stream of weeks that is sent at once, with keys that labels can teach.
///
/// # Errors
/// When the built-in policy has other bounds than this expects: a bug.
pub(super) fn policy() -> Result<(String, Policy), CliError> {
    let changes = [
        (
            "lateness_ms = 172_800_000",
            format!("lateness_ms = {}", LATENESS_DAYS * DAY_MS),
        ),
        (
            "dedupe_horizon_ms = 604_800_000",
            format!("dedupe_horizon_ms = {}", (LATENESS_DAYS + 1) * DAY_MS),
        ),
    ];
    let mut text = Policy::default_text().to_owned();
    for (from, to) in changes {
        text = text.replace(from, &to);
    }
    for (name, field) in [("terminal", "merchant_id"), ("device", "device_id"), ("ip", "links.ip")] {
        text += &format!("\n[[keys]]\nname = \"{name}\"\nfield = \"{field}\"\nkeeps = \"labelled\"\n");
    }
    let policy = terminal::files::parsed(&text, POLICY_FILE, None)?;
    if policy.bounds.lateness_ms != LATENESS_DAYS * DAY_MS {
        let what = "the built-in policy's lateness stands otherwise in its text than the demo expects";
        return Err(CliError::machine(
            "report",
            what,
            "This is a bug in tidemark: please report it.",
        ));
    }
    Ok((text, policy))
}

/// Settings of the functions for a demo: its policy, and a control plane that is looked at soon.
pub(super) fn settings(data_dir: &Path, text: &str) -> Result<Vec<(String, String)>, CliError> {
    let failed = |e: std::io::Error| {
        let what = format!("{}: {e}", data_dir.display());
        CliError::input("output", what, "Check the path and the room on the disk.")
    };
    std::fs::create_dir_all(data_dir).map_err(failed)?;
    let path = data_dir.join(POLICY_FILE);
    std::fs::write(&path, text).map_err(failed)?;
    let path = std::path::absolute(&path).map_err(failed)?;
    let setting = |name: &str, value: String| (name.to_owned(), value);
    Ok(vec![
        setting("TIDEMARK_POLICY_FILE", path.display().to_string()),
        setting("TIDEMARK_CONTROL_REFRESH_MS", CONTROL_REFRESH_MS.to_string()),
        setting("TIDEMARK_CONTROL_WAIT_AFTER_MS", CONTROL_WAIT_AFTER_MS.to_string()),
    ])
}

/// From when on the stream's events are scored by both policies, ms since 1970-01-01T00:00:00Z.
pub(super) const fn split_ms(config: &SimConfig) -> i64 {
    config.now_ms - TEST_DAYS * DAY_MS
}

/// Learns from what was sent before the split, and has the policy tried on all cards. `None`, with the reason, when there is too little to
/// learn from.
pub(super) async fn learn(
    stack: &Stack,
    config: &SimConfig,
    (base, learn): (&str, &Learn<'_>),
    (data_dir, log_from_bytes): (&Path, u64),
) -> Result<Result<(Learned, u32), String>, CliError> {
    let history = data_dir.join(HISTORY_FILE);
    write_history(config, &history)?;
    let lesson = Lesson {
        history,
        base: base.to_owned(),
        from_ms: config.now_ms - config.span_ms + WARM_DAYS * DAY_MS,
        until_ms: split_ms(config),
        label_delay_ms: LABEL_DELAY_MS,
        alerts_a_day: flagged_a_day(stack, log_from_bytes)? / FLAGGED_PER_ALERT,
    };
    let learned = match tokio::task::block_in_place(|| learn(&lesson)) {
        Ok(learned) => learned,
        Err(error) if error.code == TOO_LITTLE => return Ok(Err(error.what)),
        Err(error) => return Err(error),
    };
    let plane = PlaneArgs {
        deployment: PrefixArg {
            prefix: "tidemark".to_owned(),
        },
        table: Some(stack.names.table.clone()),
        who: Some("demo".to_owned()),
    };
    let stream = StreamArgs {
        stream: Some(stack.names.transactions_stream.clone()),
    };
    let text = ("trained.toml", learned.text.clone());
    let candidate = control::try_on_all(stack.cloud.admin(), (&plane, &stream), text, "the demo learned it").await?;
    Ok(Ok((learned, candidate)))
}

/// What both policies made of the events that both scored.
pub(super) async fn recorded(stack: &Stack, version: u32) -> Result<Vec<Trial>, CliError> {
    let recorded = trials(stack.cloud.admin(), &stack.names.table, version).await;
    recorded.map_err(|e| {
        let what = format!("table {}: {e}", stack.names.table);
        CliError::service("read_back", what, "Run it again; the logs are in the data directory.")
    })
}

/// Waits until no batch begins any more with what was read of the control plane before this time.
pub(super) async fn in_force(read_ms: i64) {
    if let Ok(wait_ms) = u64::try_from(read_ms + CONTROL_WAIT_AFTER_MS - now_ms()) {
        pause(wait_ms).await;
    }
}

/// How many events a day the policy in force sent to review or alert so far: as many the other one may, too.
fn flagged_a_day(stack: &Stack, log_from_bytes: u64) -> Result<f64, CliError> {
    let signals = usage::read(stack.function.log_path(), log_from_bytes)?.signals;
    let flagged = signals.sum(Metric::Scored) - signals.sum(Metric::Passes);
    Ok((flagged / (STREAM_DAYS - TEST_DAYS) as f64).max(1.0))
}

/// Writes down what was sent before the split as somebody would who keeps it to learn from: what was accepted, in the order of its times.
fn write_history(config: &SimConfig, path: &Path) -> Result<(), CliError> {
    let failed = |e: std::io::Error| {
        let what = format!("{}: {e}", path.display());
        CliError::input("output", what, "Check the path and the room on the disk.")
    };
    let mut file = BufWriter::new(std::fs::File::create(path).map_err(failed)?);
    let mut write = |line: &[u8]| file.write_all(line).and_then(|()| file.write_all(b"\n"));
    // Nothing is later than this: what is older than what came so late can be written.
    let mut waiting: BinaryHeap<Reverse<(i64, usize, Vec<u8>)>> = BinaryHeap::new();
    let sent = simulate::generate(config).take_while(|record| record.sent_at_ms < split_ms(config));
    for (place, record) in sent.enumerate() {
        let sent_ms = record.sent_at_ms;
        if matches!(
            record.expect,
            Expect::Transaction { .. } | Expect::Profile | Expect::Label
        ) {
            let time_ms = occurred_ms(&record).unwrap_or(sent_ms);
            waiting.push(Reverse((time_ms, place, record.payload)));
        }
        while waiting
            .peek()
            .is_some_and(|Reverse((time_ms, ..))| *time_ms < sent_ms - SPAN_MS_MAX - DAY_MS)
        {
            if let Some(Reverse((_, _, payload))) = waiting.pop() {
                write(&payload).map_err(failed)?;
            }
        }
    }
    while let Some(Reverse((_, _, payload))) = waiting.pop() {
        write(&payload).map_err(failed)?;
    }
    file.flush().map_err(failed)
}

/// When a transaction happened; `None` of any other record.
fn occurred_ms(record: &SimRecord) -> Option<i64> {
    #[derive(Deserialize)]
    struct Timed {
        occurred_at_ms: i64,
    }
    if !matches!(record.expect, Expect::Transaction { .. }) {
        return None;
    }
    Some(serde_json::from_slice::<Timed>(&record.payload).ok()?.occurred_at_ms)
}

/// What learning brought. Field names are stable: scripts read them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Learning {
    /// Events that were learned from.
    pub events: u64,
    /// Of these, labelled as fraud.
    pub frauds: u64,
    /// Features that have points.
    pub features: Vec<String>,
    /// The version of the policy that learned.
    pub version: u32,
    /// The days that both policies scored.
    pub days: i64,
    /// Events that both scored.
    pub tried: u64,
    /// Each pattern of fraud among them.
    pub patterns: Vec<Compared>,
    /// All fraud among them.
    pub all: Compared,
    /// Ordinary events among them; those caught are false alarms.
    pub ordinary: Compared,
    /// How far the scores of the policy that learned were recomputed.
    pub recomputed: Recomputed,
    /// The currency of all amounts: the policy's base currency.
    pub currency: String,
    /// Decimal digits of its minor unit.
    pub minor_digits: u32,
}

/// How far the scores of a policy that learned were recomputed independently; what differs counts among the report's differences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Recomputed {
    /// Scores that were held against the recomputation.
    pub trials: u64,
    /// Of these, scores of events with labels of their keys known.
    pub with_labels: u64,
    /// Scores of events that were scored before some label reached its key: they follow from some of the labels, as many as the outcome
    /// names.
    pub before_label: u64,
    /// Scores that were not compared: too many choices of labels may be meant, or they rest on estimates.
    pub untold: u64,
}

impl Recomputed {
    /// As far as a check went.
    pub(super) const fn of(check: &Report) -> Self {
        Self {
            trials: check.trials.compared,
            with_labels: check.trials.with_labels,
            before_label: check.trials.before_label,
            untold: check.trials.untold,
        }
    }
}

/// Events of one sort under both policies. Caught is what is sent to review or alert.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// Its name.
    pub name: &'static str,
    /// Events.
    pub events: u64,
    /// Their amounts, minor units.
    pub minor: u64,
    /// Those that the policy in force caught.
    pub before: u64,
    /// Their amounts, minor units.
    pub before_minor: u64,
    /// Those that the policy which learned would have caught.
    pub after: u64,
    /// Their amounts, minor units.
    pub after_minor: u64,
}

impl Compared {
    fn add(&mut self, minor: u64, trial: &Trial) {
        let (is_before, is_after) = (
            trial.active.decision != Decision::Pass,
            trial.candidate.decision != Decision::Pass,
        );
        self.events += 1;
        self.before += u64::from(is_before);
        self.after += u64::from(is_after);
        let add = |sum: &mut u64, counts: bool| *sum = sum.saturating_add(if counts { minor } else { 0 });
        add(&mut self.minor, true);
        add(&mut self.before_minor, is_before);
        add(&mut self.after_minor, is_after);
    }
}

impl Learning {
    /// Holds what both policies made of the stream's last part against what the simulation knows.
    pub(super) fn of(
        config: &SimConfig,
        policy: &Policy,
        (learned, version): (Learned, u32),
        recorded: &[Trial],
        recomputed: Recomputed,
    ) -> Self {
        let mut learning = Self::compared(simulate::generate(config), recorded, policy);
        learning.events = learned.events;
        learning.frauds = learned.frauds;
        learning.features = learned.features;
        (learning.version, learning.days) = (version, TEST_DAYS);
        learning.recomputed = recomputed;
        learning
    }

    fn compared(stream: impl Iterator<Item = SimRecord>, recorded: &[Trial], policy: &Policy) -> Self {
        let by_event: HashMap<(&str, &str, i64), &Trial> = recorded
            .iter()
            .map(|trial| {
                let key = (trial.card_id.as_str(), trial.event_id.as_str(), trial.occurred_at_ms);
                (key, trial)
            })
            .collect();
        let mut learning = Self {
            tried: recorded.len() as u64,
            currency: policy.currency.base.as_str().to_owned(),
            minor_digits: policy.currency.base.minor_digits(),
            ..Self::default()
        };
        (learning.all.name, learning.ordinary.name) = ("all fraud", "false alarms");
        let mut patterns: BTreeMap<&'static str, Compared> = BTreeMap::new();
        for (name, tx) in told(stream, policy) {
            let key = (tx.card_id.as_str(), tx.event_id.as_str(), tx.occurred_at_ms);
            let Some(trial) = by_event.get(&key) else { continue };
            let minor = base_amount(&tx, policy).unwrap_or_default();
            let Some(name) = name else {
                learning.ordinary.add(minor, trial);
                continue;
            };
            learning.all.add(minor, trial);
            let pattern = patterns.entry(name).or_default();
            pattern.name = name;
            pattern.add(minor, trial);
        }
        learning.patterns = patterns.into_values().collect();
        learning
    }

    /// The section of a report.
    #[must_use]
    pub fn render(&self) -> String {
        let heading = paint(
            ui::HEADING,
            format!("Fraud of the last {} days, before → after learning", self.days),
        );
        let how = paint(ui::DIM, "caught: review or alert");
        let mut text = format!("\n{heading}  {how}\n");
        for row in self.patterns.iter().chain([&self.all]) {
            text += &format!(
                "  {:<20} {:>5} → {:<5} of {:<6} {:>7} → {:<7} of {} {}\n",
                row.name,
                grouped(row.before),
                grouped(row.after),
                grouped(row.events),
                self.whole_units(row.before_minor),
                self.whole_units(row.after_minor),
                self.whole_units(row.minor),
                self.currency
            );
        }
        let Compared {
            name,
            before,
            after,
            events,
            ..
        } = &self.ordinary;
        text += &format!(
            "  {name:<20} {:>5} → {:<5} of {} ordinary events\n",
            grouped(*before),
            grouped(*after),
            grouped(*events)
        );
        let learned = format!(
            "learned from {} events before, {} of them known frauds;\n  {} scores of it were recomputed, {} of them with labels of their keys",
            grouped(self.events),
            grouped(self.frauds),
            grouped(self.recomputed.trials - self.recomputed.untold),
            grouped(self.recomputed.with_labels)
        );
        text + &format!("  {}\n", paint(ui::DIM, learned))
    }

    /// Cents say nothing beside such sums, and of millions the thousands are enough.
    fn whole_units(&self, minor: u64) -> String {
        match minor / 10_u64.pow(self.minor_digits) {
            units @ 1_000_000.. => format!("{}k", grouped(units / 1_000)),
            units => grouped(units),
        }
    }
}

#[cfg(test)]
mod tests;
