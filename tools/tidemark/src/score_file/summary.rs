//! What became of a file's lines.

use std::collections::BTreeMap;

use serde::Serialize;

/// Counts of a run; `lines` is the sum of `scored`, `duplicate`, `profiles`, `labels` and `refused`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ScoreSummary {
    /// Lines read.
    pub lines: u64,
    /// Transactions scored: lines written.
    pub scored: u64,
    /// Known already: transactions, labels and profiles that changed nothing.
    pub duplicate: u64,
    /// Profiles applied.
    pub profiles: u64,
    /// Labels recorded.
    pub labels: u64,
    /// Refused lines by reason code.
    pub refused: BTreeMap<&'static str, u64>,
    /// Scored transactions by decision.
    pub decisions: BTreeMap<&'static str, u64>,
    /// Fields that the contract doesn't know, over all lines.
    pub unknown_fields: u64,
    /// Cards seen.
    pub cards: u64,
}

impl ScoreSummary {
    /// Refused lines of all codes.
    #[must_use]
    pub fn refused_total(&self) -> u64 {
        self.refused.values().sum()
    }

    /// Whether every line is accounted for (I1).
    #[must_use]
    pub fn adds_up(&self) -> bool {
        self.lines == self.scored + self.duplicate + self.profiles + self.labels + self.refused_total()
    }

    /// The summary in words, some lines for a terminal.
    #[must_use]
    pub fn render(&self) -> String {
        let list = |counts: &BTreeMap<&'static str, u64>| {
            counts
                .iter()
                .map(|(name, count)| format!("{name} {count}"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let mut text = format!(
            "{} lines: {} scored, {} duplicate, {} profiles, {} labels, {} refused; {} cards\n",
            self.lines,
            self.scored,
            self.duplicate,
            self.profiles,
            self.labels,
            self.refused_total(),
            self.cards,
        );
        for (title, counts) in [("decisions", &self.decisions), ("refused", &self.refused)] {
            if !counts.is_empty() {
                text.push_str(&format!("{title}: {}\n", list(counts)));
            }
        }
        text
    }
}
