//! Metrics as one line of JSON in CloudWatch's embedded metric format: written to the log, no call, no agent.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use crate::metric::Metric;

/// The namespace of every metric.
pub const NAMESPACE: &str = "Tidemark";
/// Metrics in one line (the format's limit).
pub const METRICS_MAX: usize = 100;
/// A dimension's value is cut to this length, in bytes (CloudWatch's limit is 1,024).
pub const DIMENSION_BYTES_MAX: usize = 255;

/// What metrics are split by. Values come from short, fixed lists, so that the number of time series is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Name of the function.
    Function,
    /// Refusal code of the contract.
    Reason,
}

impl Dimension {
    /// The name in CloudWatch.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Reason => "reason",
        }
    }
}

/// One line of metrics.
#[derive(Clone, Debug)]
pub struct EmfLine {
    timestamp_ms: i64,
    dimensions: Vec<(Dimension, String)>,
    metrics: Vec<(Metric, f64)>,
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
            metrics: Vec::new(),
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
            self.metrics.push((metric, value));
        }
        self
    }

    /// Adds a property: kept in the log for searching, no metric is made of it. Never a value out of a payload (I9).
    #[must_use]
    pub fn property(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.properties.push((name, value.into()));
        self
    }

    /// The line as JSON, without its line break.
    #[must_use]
    pub fn to_json(&self) -> String {
        let definitions: Vec<Value> = self
            .metrics
            .iter()
            .map(|(metric, _)| json!({ "Name": metric.name(), "Unit": metric.unit().as_str() }))
            .collect();
        let names: Vec<&str> = self.dimensions.iter().map(|(dimension, _)| dimension.name()).collect();
        let mut root = Map::new();
        root.insert(
            "_aws".to_owned(),
            json!({
                "Timestamp": self.timestamp_ms,
                "CloudWatchMetrics": [{ "Namespace": NAMESPACE, "Dimensions": [names], "Metrics": definitions }],
            }),
        );
        for (dimension, value) in &self.dimensions {
            root.insert(dimension.name().to_owned(), Value::from(value.as_str()));
        }
        for (name, value) in &self.properties {
            root.insert((*name).to_owned(), value.clone());
        }
        for (metric, value) in &self.metrics {
            root.insert(metric.name().to_owned(), Value::from(*value));
        }
        Value::Object(root).to_string()
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

fn bounded(value: &str) -> String {
    let mut end = value.len().min(DIMENSION_BYTES_MAX);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    // CloudWatch refuses an empty dimension, and with it the whole line.
    if end == 0 {
        "unknown".to_owned()
    } else {
        value[..end].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn values_that_cloudwatch_refuses_are_left_out() {
        let line = EmfLine::new(0, "")
            .dimension(Dimension::Reason, &"é".repeat(300))
            .metric(Metric::Scored, f64::NAN);
        let value: Value = serde_json::from_str(&line.to_json()).unwrap();
        assert_eq!(value["function"], "unknown");
        assert!(value["reason"].as_str().unwrap().len() <= DIMENSION_BYTES_MAX);
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
