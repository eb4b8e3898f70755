//! The sections of the page: which commands give its figures, and where in what they print these stand.

mod file;
mod function;
mod local;
mod others;

use super::shell::{self, Said, Shell};

/// What some commands measure together.
pub struct Section {
    pub name: &'static str,
    pub what: &'static str,
    /// Whether it takes more than some minutes, so that it has to be asked for.
    pub is_long: bool,
    pub jobs: fn(&Sizes) -> Vec<Job>,
}

/// Sizes that somebody asked for in the place of the page's own.
#[derive(Default)]
pub struct Sizes {
    pub events: Option<u32>,
}

type Figures = Result<Vec<(String, f64)>, String>;
type FiguresOf = dyn Fn(&Said, &Shell) -> Figures;

/// One command and its figures.
pub struct Job {
    /// What the results call it.
    pub name: String,
    /// Commands that make its input, once.
    pub before: Vec<String>,
    pub command: String,
    /// Whether instructions are counted, in the place of time.
    pub by_callgrind: bool,
    /// Callgrind counts in and below this function alone, and everywhere without one.
    pub within: Option<&'static str>,
    /// The command may end with 1, too: it has done its work, and something of its input was refused.
    pub may_refuse: bool,
    pub figures: Box<FiguresOf>,
}

impl Job {
    fn new(
        name: impl Into<String>,
        command: impl Into<String>,
        figures: impl Fn(&Said, &Shell) -> Figures + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            before: Vec::new(),
            command: command.into(),
            by_callgrind: false,
            within: None,
            may_refuse: false,
            figures: Box::new(figures),
        }
    }

    fn after(mut self, before: &[String]) -> Self {
        self.before = before.to_vec();
        self
    }

    fn may_refuse(mut self) -> Self {
        self.may_refuse = true;
        self
    }

    fn by_callgrind(mut self) -> Self {
        self.by_callgrind = true;
        self
    }

    fn within(self, function: &'static str) -> Self {
        Self {
            within: Some(function),
            ..self.by_callgrind()
        }
    }

    /// By what the dev profile builds.
    pub fn by_dev(&mut self) {
        for line in self.before.iter_mut().chain([&mut self.command]) {
            *line = line.replace("target/release", "target/debug");
        }
    }

    /// The command as a reader would type it.
    pub fn shown(&self) -> String {
        let mut tool = if self.by_callgrind {
            "valgrind --tool=callgrind ".to_owned()
        } else {
            String::new()
        };
        tool.extend(self.within.map(|function| format!("{} ", shell::within(function))));
        tool + &self.command
    }
}

fn named<const N: usize>(figures: [(&str, f64); N]) -> Vec<(String, f64)> {
    figures.map(|(name, value)| (name.to_owned(), value)).into()
}

/// All of them, in the page's order.
pub const SECTIONS: &[Section] = &[
    Section {
        name: "handler",
        what: "the score function's path: instructions an event, warm and cold, three sizes",
        is_long: false,
        jobs: function::handler,
    },
    Section {
        name: "rules",
        what: "what rules add to it",
        is_long: false,
        jobs: function::rules,
    },
    Section {
        name: "codec",
        what: "a card's state read and written: instructions a call",
        is_long: false,
        jobs: function::codec,
    },
    Section {
        name: "durable",
        what: "processor time of the function's processes for a stream through the local AWS (--events)",
        is_long: true,
        jobs: local::durable,
    },
    Section {
        name: "durable-parts",
        what: "where the instructions of these processes go",
        is_long: true,
        jobs: local::durable_parts,
    },
    Section {
        name: "demo",
        what: "a demo as fast as it goes: units an event, events a second (--events)",
        is_long: false,
        jobs: local::demo,
    },
    Section {
        name: "latency",
        what: "arrival to outcome at steady rates, by polling and by fan-out",
        is_long: true,
        jobs: local::latency,
    },
    Section {
        name: "bytes",
        what: "bytes of state",
        is_long: false,
        jobs: function::bytes,
    },
    Section {
        name: "units",
        what: "what an event takes of the table by how often its card is used, and what a month of few events costs",
        is_long: false,
        jobs: function::units,
    },
    Section {
        name: "handbook",
        what: "the reference stream: equality, speed (--handbook)",
        is_long: true,
        jobs: file::handbook,
    },
    Section {
        name: "score",
        what: "`tidemark score`: processor time, memory, instructions a line (--events: lines of its smaller file)",
        is_long: false,
        jobs: file::score,
    },
    Section {
        name: "hot-card",
        what: "units of a card with 100,000 events in a week",
        is_long: false,
        jobs: function::hot_card,
    },
    Section {
        name: "telemetry",
        what: "the share of logs and metrics",
        is_long: false,
        jobs: function::telemetry,
    },
    Section {
        name: "cold-start",
        what: "from the start of a process to its first request for work",
        is_long: false,
        jobs: function::cold_start,
    },
    Section {
        name: "recovery",
        what: "10,000 dead-lettered records drained beside live traffic",
        is_long: true,
        jobs: local::recovery,
    },
    Section {
        name: "redrive",
        what: "a range in parts beside live traffic (--events)",
        is_long: true,
        jobs: local::redrive,
    },
    Section {
        name: "drills",
        what: "the runbook's pages carried out",
        is_long: true,
        jobs: local::drills,
    },
    Section {
        name: "simulation",
        what: "the generator's and the oracle's speed",
        is_long: false,
        jobs: file::simulation,
    },
    Section {
        name: "powertools",
        what: "Powertools for AWS Lambda beside Tidemark (--events)",
        is_long: true,
        jobs: others::powertools,
    },
    Section {
        name: "flink",
        what: "an Apache Flink job beside Tidemark: processor time for the same events (--events)",
        is_long: true,
        jobs: others::flink,
    },
    Section {
        name: "build",
        what: "from nothing built to the command and the functions",
        is_long: true,
        jobs: others::build,
    },
    Section {
        name: "functions",
        what: "both functions from nothing by cargo-lambda, as they are deployed",
        is_long: true,
        jobs: others::functions,
    },
];

/// The sections for a person.
pub fn list() -> String {
    let line = |section: &Section| {
        let long = if section.is_long { " (only by --only)" } else { "" };
        format!("  {:<13} {}{long}\n", section.name, section.what)
    };
    "sections:\n".to_owned() + &SECTIONS.iter().map(line).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_measurements_have_one_name() {
        let sizes = Sizes::default();
        let mut names: Vec<String> = SECTIONS
            .iter()
            .flat_map(|section| (section.jobs)(&sizes))
            .map(|job| job.name)
            .collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
