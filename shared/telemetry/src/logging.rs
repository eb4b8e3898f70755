//! Structured logs: one JSON object a line, on standard output, where Lambda collects it.

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The crates whose logs follow the configured level.
const OWN_TARGETS: &[&str] = &[
    "redrive",
    "redrive_function",
    "score",
    "score_function",
    "tidemark_aws",
    "tidemark_domain",
    "tidemark_engine",
    "tidemark_redrive",
    "tidemark_settings",
    "tidemark_telemetry",
];

/// Which lines are written: our own crates' from `level` up, any other crate's from `WARN` up. The ceiling on others is
/// fixed, since the AWS SDK and the Lambda runtime print whole payloads at their lower levels (I9).
#[must_use]
pub fn filter(level: Level) -> Targets {
    let others = LevelFilter::from_level(Level::WARN.min(level));
    OWN_TARGETS
        .iter()
        .fold(Targets::new().with_default(others), |targets, target| {
            targets.with_target(*target, level)
        })
}

/// Sends the process's logs to standard output as JSON. A second call changes nothing.
pub fn init(level: Level) {
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        // The invocation's, with its request id: for lines of code that knows nothing of invocations.
        .with_current_span(true)
        .with_span_list(false)
        .with_ansi(false)
        .with_writer(std::io::stdout);
    // An error means that a subscriber is set already: the caller's choice stands.
    let _ = tracing_subscriber::registry()
        .with(filter(level))
        .with(lines)
        .try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_crates_never_log_below_warn() {
        let targets = filter(Level::TRACE);
        assert!(targets.would_enable("tidemark_engine::driver", &Level::TRACE));
        assert!(targets.would_enable("aws_smithy_runtime", &Level::WARN));
        assert!(!targets.would_enable("aws_smithy_runtime", &Level::DEBUG));
        assert!(!targets.would_enable("lambda_runtime::layers", &Level::INFO));
        assert!(!targets.would_enable("hyper::proto", &Level::TRACE));
    }

    #[test]
    fn a_higher_level_holds_for_all() {
        let targets = filter(Level::ERROR);
        assert!(!targets.would_enable("score_function", &Level::WARN));
        assert!(!targets.would_enable("aws_smithy_runtime", &Level::WARN));
    }
}
