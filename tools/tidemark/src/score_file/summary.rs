//! What became of a file's lines.

use std::collections::BTreeMap;

use serde::Serialize;
use tidemark_domain::refusal::RefusalCode;

/// Beyond one line in so many out of order a file counts as unsorted.
const OUT_OF_ORDER_ONE_IN: u64 = 10;

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
    /// Scored transactions that came after a later one of their card.
    pub out_of_order: u64,
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
        if self.is_unsorted() {
            text.push_str(&format!(
                "the file is not sorted by time: {} events came after a later one of their card and {} too late to be told from duplicates;\n\
                 histories and windows are as of that order. `tidemark score --sort` takes them in the order of their times.\n",
                self.out_of_order,
                self.beyond_horizon()
            ));
        }
        text
    }

    /// Whether so much came out of order that the file can't be a stream's: a stream has a few late events, too.
    #[must_use]
    pub fn is_unsorted(&self) -> bool {
        (self.out_of_order + self.beyond_horizon()) * OUT_OF_ORDER_ONE_IN > self.lines
    }

    fn beyond_horizon(&self) -> u64 {
        self.refused
            .get(RefusalCode::BeyondHorizon.as_str())
            .copied()
            .unwrap_or_default()
    }
}
