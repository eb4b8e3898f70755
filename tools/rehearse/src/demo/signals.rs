//! What the function said of itself during a run: the metrics of its log, added up as CloudWatch would.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use terminal::ui::{self, grouped, paint};
use tidemark_telemetry::Metric;
use tidemark_telemetry::emf::{Dimension, NAMESPACE};

/// Outcomes in a million.
const MILLION: f64 = 1_000_000.0;

/// The values of one metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Series {
    /// How many values there were; a line has at most 100 of a distribution.
    pub samples: u64,
    /// All of them added up.
    pub sum: f64,
    /// The smallest.
    pub least: f64,
    /// Half are at most this.
    pub p50: f64,
    /// 95 of 100 are at most this.
    pub p95: f64,
    /// 99 of 100 are at most this.
    pub p99: f64,
    /// The largest.
    pub most: f64,
}

impl Series {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        // The nearest-rank method.
        let at = |percent: usize| {
            let rank = (values.len() * percent).div_ceil(100).max(1);
            values.get(rank - 1).copied().unwrap_or_default()
        };
        Self {
            samples: values.len() as u64,
            sum: values.iter().sum(),
            least: at(0),
            p50: at(50),
            p95: at(95),
            p99: at(99),
            most: at(100),
        }
    }
}

/// A queue at the end of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Queue {
    /// Messages in it.
    pub messages: u64,
    /// Age of the oldest of them, ms.
    pub oldest_ms: Option<i64>,
}

/// The signals of a run. Field names are stable: scripts read them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Signals {
    /// Every metric by its name; one that is split further as `Quarantined{reason=not_json}`.
    pub metrics: BTreeMap<String, Series>,
    /// Every metric of the redrive function, likewise, where it was called.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub redrive: BTreeMap<String, Series>,
    /// The queues by what they hold.
    pub queues: BTreeMap<&'static str, Queue>,
    /// What operators look at, made of the metrics.
    pub ratios: Ratios,
}

/// Parts of wholes; absent where the whole is nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Ratios {
    /// Records in quarantine, of those received.
    pub quarantined: Option<f64>,
    /// Writes of states that succeeded, of those tried.
    pub commits_succeeded: Option<f64>,
    /// Cards found in the warm cache, of those needed.
    pub cache_hits: Option<f64>,
    /// Outcomes below the full tier, of those scored.
    pub degraded: Option<f64>,
    /// Outcomes later than the objective, of those due.
    pub late: Option<f64>,
    /// Cost of a million outcomes, US dollars.
    pub cost_per_million_usd: Option<f64>,
}

impl Signals {
    /// Reads the lines of a function's log.
    #[must_use]
    pub fn read(log: &str) -> Self {
        let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        // A log line may have a prefix of the local runtime; the metrics are the JSON object in it.
        let objects = log.lines().filter(|line| line.contains("\"_aws\""));
        for line in objects.filter_map(|line| line.get(line.find('{')?..)) {
            if let Ok(line) = serde_json::from_str::<Value>(line) {
                take_line(&line, &mut values);
            }
        }
        let metrics = values.into_iter().map(|(name, values)| (name, Series::of(values)));
        let mut signals = Self {
            metrics: metrics.collect(),
            ..Self::default()
        };
        signals.ratios = signals.ratios();
        signals
    }

    /// A metric's sum; 0 where it was never written.
    #[must_use]
    pub fn sum(&self, metric: Metric) -> f64 {
        self.series(metric).sum
    }

    fn series(&self, metric: Metric) -> Series {
        self.metrics.get(metric.name()).cloned().unwrap_or_default()
    }

    fn ratios(&self) -> Ratios {
        let of = |part: f64, whole: f64| (whole > 0.0).then(|| part / whole);
        let (scored, commits) = (self.sum(Metric::Scored), self.sum(Metric::Commits));
        let (hits, unsent) = (self.sum(Metric::CacheHits), self.sum(Metric::Unsent));
        let lost = self.sum(Metric::Conflicts) + self.sum(Metric::CommitFailures);
        Ratios {
            quarantined: of(self.sum(Metric::Quarantined), self.sum(Metric::RecordsReceived)),
            commits_succeeded: of(commits, commits + lost),
            cache_hits: of(hits, hits + self.sum(Metric::CacheMisses)),
            degraded: of(self.sum(Metric::Degraded), scored),
            late: of(self.sum(Metric::LateOutcomes), scored + unsent),
            // Millionths of a dollar an outcome are dollars a million outcomes.
            cost_per_million_usd: of(self.sum(Metric::CostMicrodollars) / MILLION, scored / MILLION),
        }
    }

    /// The values of a metric by the values of one more dimension.
    fn split(&self, metric: Metric, dimension: Dimension) -> Vec<(&str, f64)> {
        let prefix = format!("{}{{{}=", metric.name(), dimension.name());
        let parts = self.metrics.iter().filter_map(|(name, series)| {
            let value = name.strip_prefix(&prefix)?.strip_suffix('}')?;
            Some((value, series.sum))
        });
        parts.collect()
    }

    /// The section of a report.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = format!("\n{}\n", paint(ui::HEADING, "Signals, from the function's metrics"));
        for (name, value) in self.rows() {
            text += &format!("  {name:<20} {value}\n");
        }
        text
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let count = |metric| grouped_f(self.sum(metric));
        let (control, ratios) = (self.series(Metric::ControlAge), &self.ratios);
        vec![
            (
                "validation",
                format!(
                    "{} quarantined{}",
                    percent(ratios.quarantined),
                    parts(&self.split(Metric::Quarantined, Dimension::Reason))
                ),
            ),
            ("handler", spread(&self.series(Metric::BatchDuration), " ms a batch")),
            (
                "arrival to outcome",
                format!(
                    "{} · {} late",
                    spread(&self.series(Metric::OutcomeLatency), " ms"),
                    percent(ratios.late)
                ),
            ),
            ("freshness", spread(&self.series(Metric::Freshness), " ms")),
            ("iterator age", spread(&self.series(Metric::OldestRecordAge), " ms")),
            ("event-time lag", spread(&self.series(Metric::EventTimeLag), " ms")),
            (
                "commits",
                format!(
                    "{} succeeded · {} conflicts · {} failures · {} retries · {} throttles",
                    percent(ratios.commits_succeeded),
                    count(Metric::Conflicts),
                    count(Metric::CommitFailures),
                    count(Metric::Retries),
                    count(Metric::Throttles)
                ),
            ),
            ("queues", self.queues_in_words()),
            ("redrive", self.redrive_in_words()),
            (
                "warm cache",
                format!("{} of the states needed", percent(ratios.cache_hits)),
            ),
            (
                "degraded",
                format!(
                    "{} of the outcomes{}",
                    percent(ratios.degraded),
                    parts(&self.split(Metric::Degraded, Dimension::Tier))
                ),
            ),
            (
                "decisions",
                format!(
                    "{} pass · {} review · {} alert",
                    count(Metric::Passes),
                    count(Metric::Reviews),
                    count(Metric::Alerts)
                ),
            ),
            ("scores", spread(&self.series(Metric::Score), "")),
            (
                "control plane",
                format!(
                    "copy at most {:.0} ms old · {} problems",
                    control.most,
                    count(Metric::ControlProblems)
                ),
            ),
            (
                "capacity",
                format!(
                    "{} write and {} read units",
                    count(Metric::WriteUnits),
                    count(Metric::ReadUnits)
                ),
            ),
            ("cost", cost(ratios.cost_per_million_usd)),
        ]
    }

    fn redrive_in_words(&self) -> String {
        let of = |metric: Metric| self.redrive.get(metric.name()).cloned().unwrap_or_default();
        if self.redrive.is_empty() {
            return "none".to_owned();
        }
        let count = |metric| grouped_f(of(metric).sum);
        format!(
            "{} messages · {} records · {} unrecoverable · {} trimmed · {:.0} ms from the oldest arrival to its end",
            count(Metric::RedriveMessages),
            count(Metric::RedriveRecords),
            count(Metric::RedriveUnrecoverable),
            count(Metric::RedriveTrimmed),
            of(Metric::RedriveTimeToRecover).most
        )
    }

    fn queues_in_words(&self) -> String {
        let words = self.queues.iter().map(|(name, queue)| match queue.oldest_ms {
            Some(age_ms) => format!("{name} {}, the oldest {age_ms} ms old", queue.messages),
            None => format!("{name} {}", queue.messages),
        });
        words.collect::<Vec<_>>().join(" · ")
    }
}

/// The values of one line, by the names of its metrics, as its own declarations say.
fn take_line(line: &Value, values: &mut BTreeMap<String, Vec<f64>>) {
    let declared = line["_aws"]["CloudWatchMetrics"].as_array();
    for directive in declared.into_iter().flatten().filter(|it| it["Namespace"] == NAMESPACE) {
        let dimensions = directive["Dimensions"][0]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        let further: Vec<String> = dimensions
            .filter(|name| *name != Dimension::Function.name())
            .map(|name| format!("{name}={}", line[name].as_str().unwrap_or_default()))
            .collect();
        let split = if further.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", further.join(","))
        };
        for name in directive["Metrics"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|metric| metric["Name"].as_str())
        {
            let series = values.entry(format!("{name}{split}")).or_default();
            match &line[name] {
                Value::Array(several) => series.extend(several.iter().filter_map(Value::as_f64)),
                one => series.extend(one.as_f64()),
            }
        }
    }
}

fn spread(series: &Series, unit: &str) -> String {
    let Series {
        p50, p95, p99, most, ..
    } = series;
    format!("p50 {p50:.0} · p95 {p95:.0} · p99 {p99:.0} · most {most:.0}{unit}")
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.2} %", share * 100.0))
}

fn parts(parts: &[(&str, f64)]) -> String {
    let words: Vec<String> = parts
        .iter()
        .map(|(name, sum)| format!("{name} {}", grouped_f(*sum)))
        .collect();
    if words.is_empty() {
        String::new()
    } else {
        format!(": {}", words.join(" · "))
    }
}

fn cost(per_million_usd: Option<f64>) -> String {
    per_million_usd.map_or_else(
        || "-".to_owned(),
        |usd| format!("{usd:.3} USD a million outcomes, by the table of prices"),
    )
}

/// A count that was read as a number of JSON.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of a run, rounded for reading"
)]
fn grouped_f(count: f64) -> String {
    grouped(count.round().max(0.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemark_telemetry::EmfLine;

    fn log(lines: &[EmfLine]) -> String {
        let lines: Vec<String> = lines.iter().map(EmfLine::to_json).collect();
        format!("{{\"level\":\"INFO\"}}\n12:00 {}\nplain text\n", lines.join("\n"))
    }

    #[test]
    fn values_of_all_lines_are_added_up_and_split_ones_stand_apart() {
        let line = || EmfLine::new(1, "tidemark-score");
        let signals = Signals::read(&log(&[
            line()
                .metric(Metric::Quarantined, 3.0)
                .metric(Metric::RecordsReceived, 10.0),
            line()
                .metric(Metric::Quarantined, 2.0)
                .metric(Metric::RecordsReceived, 10.0),
            line()
                .dimension(Dimension::Reason, "not_json")
                .metric(Metric::Quarantined, 5.0),
            line().distribution(Metric::Score, &[1.0, 2.0, 900.0]),
        ]));
        assert!((signals.sum(Metric::Quarantined) - 5.0).abs() < 1e-9);
        assert_eq!(
            signals.split(Metric::Quarantined, Dimension::Reason),
            [("not_json", 5.0)]
        );
        assert_eq!(signals.ratios.quarantined, Some(0.25));
        let scores = signals.series(Metric::Score);
        assert_eq!(
            (scores.samples, scores.least, scores.p50, scores.most),
            (3, 1.0, 2.0, 900.0)
        );
        assert!(
            signals.render().contains("25.00 % quarantined: not_json 5"),
            "{}",
            signals.render()
        );
    }

    #[test]
    fn microdollars_an_outcome_are_dollars_a_million() {
        let line = EmfLine::new(1, "f")
            .metric(Metric::CostMicrodollars, 700.0)
            .metric(Metric::Scored, 1_000.0);
        let cost = Signals::read(&log(&[line])).ratios.cost_per_million_usd.unwrap();
        assert!((cost - 0.7).abs() < 1e-9, "{cost}");
    }

    #[test]
    fn nothing_written_is_no_ratio() {
        let signals = Signals::read("");
        assert_eq!(signals.ratios, Ratios::default());
        assert!(signals.render().contains("- quarantined"));
    }

    #[test]
    fn a_line_of_another_namespace_is_not_ours() {
        let other = EmfLine::new(1, "f")
            .metric(Metric::Scored, 1.0)
            .to_json()
            .replace("\"Tidemark\"", "\"Other\"");
        assert!(Signals::read(&other).metrics.is_empty());
    }
}
