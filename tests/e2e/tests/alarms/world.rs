//! A world: what CloudWatch holds of every minute, as recorded, or changed by a trouble.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// A metric (namespace, name, and its dimension's value) and what an alarm takes of it.
pub struct Series {
    pub metric: String,
    pub stat: String,
}

/// What CloudWatch keeps of a metric's values in a minute.
#[derive(Clone, Copy)]
struct Values {
    sum: f64,
    least: f64,
    greatest: f64,
    count: f64,
}

/// The metrics of one minute.
#[derive(Clone)]
pub struct Minute(BTreeMap<String, Values>);

/// Minutes after each other: so many of each kind.
#[derive(Clone, Default)]
pub struct World(Vec<(u64, Minute)>);

pub const FUNCTION: &str = "tidemark-score";
pub const REDRIVE: &str = "tidemark-redrive";
const STREAM: &str = "tidemark-transactions";
const TABLE: &str = "tidemark-cards";
const EVENT_BYTES: f64 = 400.0;

/// One of our own metrics of the score function.
pub fn own(name: &str) -> String {
    format!("Tidemark {name} {FUNCTION}")
}

/// One of Lambda's of the score function.
pub fn lambda(name: &str) -> String {
    format!("AWS/Lambda {name} {FUNCTION}")
}

/// One of the transactions stream's.
pub fn stream(name: &str) -> String {
    format!("AWS/Kinesis {name} {STREAM}")
}

/// One of the table's.
pub fn table(name: &str) -> String {
    format!("AWS/DynamoDB {name} {TABLE}")
}

/// How many messages a queue shows.
pub fn waiting(queue: &str) -> String {
    format!("AWS/SQS ApproximateNumberOfMessagesVisible tidemark-{queue}")
}

impl Minute {
    /// Nothing runs and nothing comes: the queues are told, and the rule that looks at dead letters goes on.
    pub fn silent() -> Self {
        let queues = ["quarantine", "dead-letter", "unrecoverable"];
        let held = "AWS/SQS ApproximateNumberOfMessagesNotVisible tidemark-dead-letter";
        let silent = Self(BTreeMap::new());
        let silent = queues
            .iter()
            .fold(silent, |minute, queue| minute.with(&waiting(queue), 0.0));
        silent
            .with(held, 0.0)
            .with(&format!("Tidemark OldestDeadLetterAge {REDRIVE}"), 0.0)
            .with(&format!("Tidemark DeadLetters {REDRIVE}"), 0.0)
    }

    /// A minute with the metrics that the functions really wrote in one run, and those that AWS would tell of the same run.
    pub fn recorded(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/alarms/recorded/{name}.json"));
        let recorded: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let mut minute = Self::silent();
        for (function, metrics) in recorded.as_object().unwrap() {
            for (metric, values) in metrics.as_object().unwrap() {
                let value = |at: usize| values[at].as_f64().unwrap();
                let values = Values {
                    sum: value(0),
                    least: value(1),
                    greatest: value(2),
                    count: value(3),
                };
                minute.0.insert(format!("Tidemark {metric} {function}"), values);
            }
        }
        let (came, back) = (minute.sum(&own("RecordsReceived")), minute.sum(&own("Returned")));
        let (invoked, waits_ms) = (
            minute.0[&own("BatchDuration")].count,
            minute.0[&own("OldestRecordAge")].greatest,
        );
        let (writes, reads) = (minute.sum(&own("WriteUnits")), minute.sum(&own("ReadUnits")));
        minute
            .with(&stream("IncomingRecords"), came - back)
            .with(&stream("IncomingBytes"), (came - back) * EVENT_BYTES)
            .with(&stream("WriteProvisionedThroughputExceeded"), 0.0)
            .with(&lambda("Invocations"), invoked)
            .with(&lambda("Errors"), 0.0)
            .with(&lambda("Throttles"), 0.0)
            .with(&lambda("IteratorAge"), waits_ms)
            .with(&table("ConsumedWriteCapacityUnits"), writes)
            .with(&table("ConsumedReadCapacityUnits"), reads)
    }

    /// The same minute with that one value of the metric.
    pub fn with(mut self, metric: &str, value: f64) -> Self {
        let values = Values {
            sum: value,
            least: value,
            greatest: value,
            count: 1.0,
        };
        self.0.insert(metric.to_owned(), values);
        self
    }

    /// The same minute, in which nobody told that metric.
    pub fn without(mut self, metric: &str) -> Self {
        self.0
            .remove(metric)
            .unwrap_or_else(|| panic!("the minute has no {metric}"));
        self
    }

    /// The sum of a metric's values.
    pub fn sum(&self, metric: &str) -> f64 {
        self.0
            .get(metric)
            .unwrap_or_else(|| panic!("the minute has no {metric}"))
            .sum
    }

    /// The same minute in which a metric is that share of another.
    pub fn with_share(self, metric: &str, share: f64, of: &str) -> Self {
        let value = share * self.sum(of);
        self.with(metric, value)
    }

    /// So many such minutes.
    pub fn times(&self, minutes: u64) -> World {
        World(vec![(minutes, self.clone())])
    }
}

impl World {
    /// This, and that after it.
    pub fn then(mut self, later: World) -> Self {
        self.0.extend(later.0);
        self
    }

    /// This so often, one after the other.
    pub fn again(&self, times: usize) -> Self {
        Self((0..times).flat_map(|_| self.0.clone()).collect())
    }

    /// Every metric that is told in it.
    pub fn metrics(&self) -> Vec<String> {
        let minutes = self.0.iter().flat_map(|(_, minute)| minute.0.keys().cloned());
        minutes.collect()
    }

    /// What an alarm takes of a metric over a period that ended so many minutes before the end.
    pub fn value(&self, series: &Series, ended_minutes: u64, period_minutes: u64) -> Option<f64> {
        let (mut found, mut age) = (None::<Values>, 0);
        for (minutes, minute) in self.0.iter().rev() {
            let from = age.max(ended_minutes);
            let to = (age + minutes).min(ended_minutes + period_minutes);
            age += minutes;
            let (Some(values), true) = (minute.0.get(&series.metric), from < to) else {
                continue;
            };
            #[allow(clippy::cast_precision_loss, reason = "minutes of a week")]
            let times = (to - from) as f64;
            let before = found.unwrap_or(Values {
                sum: 0.0,
                count: 0.0,
                ..*values
            });
            found = Some(Values {
                sum: before.sum + times * values.sum,
                least: before.least.min(values.least),
                greatest: before.greatest.max(values.greatest),
                count: before.count + times * values.count,
            });
        }
        found.map(|values| match series.stat.as_str() {
            "Sum" => values.sum,
            "Minimum" => values.least,
            "Maximum" => values.greatest,
            "Average" => values.sum / values.count,
            other => panic!("{other}"),
        })
    }
}
