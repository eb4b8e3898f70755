//! The sign of a trouble: the metric that its page's alarm looks at, as the function writes it into its log.

use serde_json::Value;
use terminal::clock::pause;
use terminal::error::CliError;
use tidemark_aws::admin::PutRecord;

use super::pipeline::Pipeline;

/// How long a sign may take, in seconds: the age of the control plane's copy has to pass a minute.
const WAIT_S: u64 = 150;
/// Events a second meanwhile.
const EVENTS_PER_S: usize = 60;
/// Seeds of the events of a wait begin so far behind the drill's own.
const SEEDS: u64 = 1_000;

/// A metric, and the value above which it is the sign.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sign {
    metric: &'static str,
    above: f64,
}

impl Sign {
    /// The score function tells more than that of a metric.
    pub const fn new(metric: &'static str, above: f64) -> Self {
        Self { metric, above }
    }

    /// Its metric.
    #[cfg(test)]
    pub const fn metric(self) -> &'static str {
        self.metric
    }

    /// Sends events until the function's log has the sign.
    pub async fn shows(self, pipeline: &Pipeline, traffic: impl Fn(u64) -> Vec<PutRecord>) -> Result<(), CliError> {
        for second in 0..WAIT_S {
            if self.is_in(&log_of(pipeline)) {
                return Ok(());
            }
            let events = traffic(pipeline.seed + SEEDS + second);
            pipeline.put(&events[..EVENTS_PER_S.min(events.len())]).await?;
            pause(1_000).await;
        }
        Err(CliError::service(
            "drill_trouble",
            format!("{} was not above {} within {WAIT_S} s", self.metric, self.above),
            "Look at the logs in the data directory, then run the drill again.",
        ))
    }

    fn is_in(self, log: &str) -> bool {
        let lines = log.lines().filter(|line| line.starts_with("{\"_aws\""));
        let lines = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut values = lines.filter_map(|line| line[self.metric].as_f64());
        values.any(|value| value > self.above)
    }
}

fn log_of(pipeline: &Pipeline) -> String {
    let name = format!("{}.log", pipeline.stack().names.function);
    std::fs::read_to_string(pipeline.folder.join("logs").join(name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_is_a_value_above_its_own_of_the_functions_metrics() {
        let sign = Sign::new("ControlAge", 60_000.0);
        let line = |value: f64| format!("{{\"_aws\":{{}},\"ControlAge\":{value}}}");
        assert!(!sign.is_in(&format!("no metric ControlAge 70000\n{}\n", line(60_000.0))));
        assert!(sign.is_in(&format!("{}\n{}", line(10.0), line(60_001.0))));
    }
}
