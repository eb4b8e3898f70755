//! Metrics as one line of JSON in CloudWatch's embedded metric format: written to the log, no call, no agent.

use std::io::{self, Write};

use serde_json::Value;

use crate::error_code::ErrorCode;
use crate::metric::Metric;

/// The namespace of every metric.
pub const NAMESPACE: &str = "Tidemark";
/// Metrics in one line (the format's limit).
pub const METRICS_MAX: usize = 100;
/// Values of one metric in one line (the format's limit).
pub const VALUES_MAX: usize = 100;
/// A dimension's value is no longer than this, in bytes (CloudWatch's limit is 1,024).
pub const DIMENSION_BYTES_MAX: usize = 255;

/// Space that a line takes at its start, in bytes: enough for one with two full distributions.
const LINE_BYTES: usize = 8 * 1_024;
/// Metrics that a line has room for at its start.
const METRICS_USUAL: usize = 48;

/// What metrics are split by. Values come from short, fixed lists, so that the number of time series is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Name of the function.
    Function,
    /// Refusal code of the contract.
    Reason,
    /// Tier below the full one that served an outcome.
    Tier,
    /// A rule of the policy, by its name: at most 64 of one policy.
    Rule,
}

impl Dimension {
    /// The name in CloudWatch.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Reason => "reason",
            Self::Tier => "tier",
            Self::Rule => "rule",
        }
    }
}

/// What a metric is written with; finite numbers only.
#[derive(Clone, Debug)]
enum Values {
    One(f64),
    Several(Vec<f64>),
}

/// One line of metrics.
#[derive(Clone, Debug)]
pub struct EmfLine {
    timestamp_ms: i64,
    dimensions: Vec<(Dimension, String)>,
    metrics: Vec<(Metric, Values)>,
    properties: Vec<(&'static str, Value)>,
}

impl EmfLine {
    /// A line of `function`'s metrics at `timestamp_ms` (milliseconds since 1970-01-01T00:00:00Z).
    #[must_use]
    pub fn new(timestamp_ms: i64, function: &str) -> Self {
        let dimensions = vec![(Dimension::Function, bounded(function))];
        Self {
            timestamp_ms,
            dimensions,
            metrics: Vec::with_capacity(METRICS_USUAL),
            properties: Vec::new(),
        }
    }

    /// Splits the line's metrics by one more dimension.
    #[must_use]
    pub fn dimension(mut self, dimension: Dimension, value: &str) -> Self {
        self.dimensions.push((dimension, bounded(value)));
        self
    }

    /// Adds a metric. A value that JSON cannot hold (NaN, infinite) and a metric over [`METRICS_MAX`] are left out.
    #[must_use]
    pub fn metric(mut self, metric: Metric, value: f64) -> Self {
        if value.is_finite() && self.metrics.len() < METRICS_MAX {
            self.metrics.push((metric, Values::One(value)));
        }
        self
    }

    /// Adds a metric as a distribution: CloudWatch makes percentiles of its values. `values` are ascending; of more than
    /// [`VALUES_MAX`] so many are taken, evenly by rank, the smallest and the largest among them.
    #[must_use]
    pub fn distribution(mut self, metric: Metric, values: &[f64]) -> Self {
        if !values.is_empty() && self.metrics.len() < METRICS_MAX {
            let taken = values.len().min(VALUES_MAX);
            let last = values.len() - 1;
            let rank = |at: usize| if taken == 1 { 0 } else { at * last / (taken - 1) };
            let values: Vec<f64> = (0..taken)
                .map(|at| values[rank(at)])
                .filter(|value| value.is_finite())
                .collect();
            if !values.is_empty() {
                self.metrics.push((metric, Values::Several(values)));
            }
        }
        self
    }

    /// Adds a property: kept in the log for searching, no metric is made of it. Never a value out of a payload (I9).
    #[must_use]
    pub fn property(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.properties.push((name, value.into()));
        self
    }

    /// The line as JSON, without its line break. It is put together by hand: a tree of values took as long as ten events.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut line = String::with_capacity(LINE_BYTES);
        self.push_declaration(&mut line);
        // Names and the values of dimensions have nothing to escape: see `bounded`.
        for (dimension, value) in &self.dimensions {
            push_all(&mut line, [",\"", dimension.name(), "\":\"", value, "\""]);
        }
        for (name, value) in &self.properties {
            push_all(&mut line, [",\"", name, "\":", &value.to_string()]);
        }
        for (metric, values) in &self.metrics {
            push_all(&mut line, [",\"", metric.name(), "\":"]);
            match values {
                Values::One(value) => line.push_str(&number(*value)),
                Values::Several(values) => push_list(&mut line, values.iter().map(|value| number(*value))),
            }
        }
        line.push('}');
        line
    }

    fn push_declaration(&self, line: &mut String) {
        let time = self.timestamp_ms.to_string();
        push_all(line, ["{\"_aws\":{\"Timestamp\":", &time, ",\"CloudWatchMetrics\":[{"]);
        push_all(line, ["\"Namespace\":\"", NAMESPACE, "\",\"Dimensions\":["]);
        let quoted = |(dimension, _): &(Dimension, String)| format!("\"{}\"", dimension.name());
        push_list(line, self.dimensions.iter().map(quoted));
        line.push_str("],\"Metrics\":[");
        for (at, (metric, _)) in self.metrics.iter().enumerate() {
            let before = if at == 0 { "{\"Name\":\"" } else { ",{\"Name\":\"" };
            push_all(
                line,
                [before, metric.name(), "\",\"Unit\":\"", metric.unit().as_str(), "\"}"],
            );
        }
        line.push_str("]}]}");
    }

    /// Writes the line in one call, so that lines of several tasks never mix.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write_to(&self, writer: &mut impl Write) -> io::Result<()> {
        let mut line = self.to_json();
        line.push('\n');
        writer.write_all(line.as_bytes())
    }
}

fn push_all<const N: usize>(line: &mut String, parts: [&str; N]) {
    parts.into_iter().for_each(|part| line.push_str(part));
}

fn push_list(line: &mut String, items: impl Iterator<Item = String>) {
    for (at, item) in items.enumerate() {
        line.push(if at == 0 { '[' } else { ',' });
        line.push_str(&item);
    }
    line.push(']');
}

/// As JSON writes it: the shortest form that reads as the same number. Only for finite ones, and there is no empty list.
fn number(value: f64) -> String {
    format!("{value:?}")
}

/// Writes lines to standard output, where Lambda collects them. A line that can't be written is lost, and the log says so.
pub fn write_all(lines: &[EmfLine]) {
    let mut output = io::stdout().lock();
    for line in lines {
        if let Err(error) = line.write_to(&mut output) {
            tracing::error!(code = ErrorCode::MetricsUnwritten.as_str(), error = %error, "metrics were lost");
        }
    }
}

/// A count as a metric's value.
#[allow(clippy::cast_precision_loss, reason = "counts of one invocation are far below 2^53")]
#[must_use]
pub fn float(count: u64) -> f64 {
    count as f64
}

/// A duration as a metric's value, in milliseconds; 0 where a clock went back.
#[allow(clippy::cast_precision_loss, reason = "durations are far below 2^53 milliseconds")]
#[must_use]
pub fn milliseconds(duration_ms: i64) -> f64 {
    duration_ms.max(0) as f64
}

/// Values in the order that [`EmfLine::distribution`] takes.
#[must_use]
pub fn ascending(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// A dimension's value as it is written. Values are codes and names of functions; anything else would make a time series of
/// its own for each spelling, so it becomes `unknown`.
fn bounded(value: &str) -> String {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':');
    if value.is_empty() || value.len() > DIMENSION_BYTES_MAX || !value.bytes().all(is_name) {
        "unknown".to_owned()
    } else {
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_has_the_shape_of_the_format() {
        let line = EmfLine::new(1_700_000_000_123, "tidemark-score")
            .metric(Metric::Scored, 3.0)
            .metric(Metric::BatchDuration, 12.5)
            .property("shard", "shardId-000000000000");
        let value: Value = serde_json::from_str(&line.to_json()).unwrap();
        assert_eq!(
            value,
            json!({
                "_aws": {
                    "Timestamp": 1_700_000_000_123_i64,
                    "CloudWatchMetrics": [{
                        "Namespace": "Tidemark",
                        "Dimensions": [["function"]],
                        "Metrics": [{ "Name": "Scored", "Unit": "Count" }, { "Name": "BatchDuration", "Unit": "Milliseconds" }],
                    }],
                },
                "function": "tidemark-score",
                "shard": "shardId-000000000000",
                "Scored": 3.0,
                "BatchDuration": 12.5,
            })
        );
    }

    #[test]
    fn every_metric_fits_in_one_line_and_every_declared_one_has_a_value() {
        let line = Metric::ALL
            .iter()
            .fold(EmfLine::new(0, "f"), |line, metric| line.metric(*metric, 1.0));
        let value: Value = serde_json::from_str(&line.to_json()).unwrap();
        let declared = value["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap();
        assert_eq!(declared.len(), Metric::ALL.len());
        assert!(
            declared
                .iter()
                .all(|metric| value[metric["Name"].as_str().unwrap()].is_number())
        );
    }

    #[test]
    fn numbers_and_properties_are_read_back_as_they_are() {
        let numbers = [0.0, -0.5, 0.1, 1e-7, 1e21, f64::MAX, f64::MIN_POSITIVE, 123_456_789.123];
        let line = EmfLine::new(0, "f")
            .distribution(Metric::Score, &numbers)
            .distribution(Metric::OutcomeLatency, &[f64::NAN])
            .property("trace_id", "a \"quoted\"\nline \u{7f}\u{1}é");
        let value: Value = serde_json::from_str(&line.to_json()).unwrap();
        assert_eq!(value["Score"], json!(numbers));
        assert_eq!(value["trace_id"], "a \"quoted\"\nline \u{7f}\u{1}é");
        assert!(value.get("OutcomeLatency").is_none());
        assert_eq!(
            value["_aws"]["CloudWatchMetrics"][0]["Metrics"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
    }

    #[test]
    fn a_dimension_takes_names_only() {
        let of = |text: &str| {
            let line = EmfLine::new(0, "tidemark-score:7").dimension(Dimension::Reason, text);
            serde_json::from_str::<Value>(&line.to_json()).unwrap()["reason"].clone()
        };
        assert_eq!(of("not_json"), "not_json");
        for text in [
            "",
            "4111 1111 1111 1111",
            "a{b",
            "x\"y",
            &"a".repeat(DIMENSION_BYTES_MAX + 1),
        ] {
            assert_eq!(of(text), "unknown", "{text}");
        }
    }

    #[test]
    fn a_distribution_keeps_its_ends_and_its_shape() {
        let of = |values: &[f64]| {
            let line = EmfLine::new(0, "f").distribution(Metric::Score, values);
            serde_json::from_str::<Value>(&line.to_json()).unwrap()["Score"].clone()
        };
        assert_eq!(of(&[7.0]), json!([7.0]));
        assert_eq!(of(&[1.0, 2.0, 3.0]), json!([1.0, 2.0, 3.0]));
        assert_eq!(of(&[]), Value::Null);
        let many: Vec<f64> = (0..1_001).map(f64::from).collect();
        let taken = of(&many);
        let taken: Vec<f64> = taken
            .as_array()
            .unwrap()
            .iter()
            .map(|value| value.as_f64().unwrap())
            .collect();
        assert_eq!((taken.len(), taken[0], taken[99]), (VALUES_MAX, 0.0, 1_000.0));
        assert!(
            (taken[50] - 505.0).abs() < 1.0,
            "the middle stays in the middle: {}",
            taken[50]
        );
    }

    #[test]
    fn values_that_cloudwatch_refuses_are_left_out() {
        let line = EmfLine::new(0, "")
            .dimension(Dimension::Reason, &"é".repeat(300))
            .metric(Metric::Scored, f64::NAN);
        let value: Value = serde_json::from_str(&line.to_json()).unwrap();
        assert_eq!(
            (&value["function"], &value["reason"]),
            (&json!("unknown"), &json!("unknown"))
        );
        assert!(value.get("Scored").is_none());
    }

    #[test]
    fn a_line_is_written_with_its_break_in_one_piece() {
        let mut written = Vec::new();
        EmfLine::new(0, "f")
            .metric(Metric::Alerts, 1.0)
            .write_to(&mut written)
            .unwrap();
        assert_eq!(written.iter().filter(|byte| **byte == b'\n').count(), 1);
        assert_eq!(written.last(), Some(&b'\n'));
    }
}
