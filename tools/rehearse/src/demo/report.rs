//! What a person sees at the end of a demo, and the same as JSON.

use operate::account::Account;
use serde::Serialize;
use terminal::ui::{self, grouped, paint};

use crate::demo::fraud::Fraud;
use crate::demo::learning::Learning;
use crate::demo::signals::Signals;

/// The result of a demo. Field names are stable: scripts read them.
#[derive(Clone, Debug, Serialize)]
pub struct DemoReport {
    /// The seed that made the stream.
    pub seed: u64,
    /// Cards with at least one accepted event.
    pub cards: u64,
    /// Records sent.
    pub sent: u64,
    /// Where they ended.
    #[serde(flatten)]
    pub account: Account,
    /// Distinct events with an outcome.
    pub outcomes_unique: u64,
    /// Outcome records in the scores stream, copies included.
    pub outcomes_total: u64,
    /// Events whose copies differ: 0, or invariant I3 is broken.
    pub outcomes_conflicting: u64,
    /// Differences between what came out and the independent recomputation.
    pub oracle_mismatches: u64,
    /// The first few differences, in words.
    pub oracle_examples: Vec<String>,
    /// Outcomes by decision.
    pub decisions: Decisions,
    /// DynamoDB write units consumed.
    pub write_units: f64,
    /// DynamoDB read units consumed.
    pub read_units: f64,
    /// Write units for one scored event.
    pub write_units_per_scored: f64,
    /// Read units for one scored event.
    pub read_units_per_scored: f64,
    /// From the transactions stream taking a record to the scores stream taking its outcome.
    pub arrival_to_outcome_ms: Percentiles,
    /// Records through the whole path in a second.
    pub events_per_second: f64,
    /// From the first record sent to the last one done, in milliseconds.
    pub elapsed_ms: u64,
    /// The highest scores.
    pub top: Vec<TopScore>,
    /// What the function said of itself.
    pub signals: Signals,
    /// How much of the stream's own fraud was caught.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fraud: Option<Fraud>,
    /// What learning from the first part of the stream brings in its last part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning: Option<Learning>,
    /// Why nothing was learned, where that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nothing_learned: Option<String>,
}

/// Scores that the short report shows, of those that the whole one does.
const TOP_SHORT: usize = 3;
/// Records without evidence that are shown.
const EXAMPLES_MAX: usize = 10;

/// Outcomes by decision.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Decisions {
    /// Nothing unusual.
    pub pass: u64,
    /// A person should look.
    pub review: u64,
    /// Act now.
    pub alert: u64,
}

/// Percentiles of a latency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Percentiles {
    /// Half are faster.
    pub p50: i64,
    /// 95 of 100 are faster.
    pub p95: i64,
    /// 99 of 100 are faster.
    pub p99: i64,
}

impl Percentiles {
    /// Of values in any order: the nearest-rank method.
    #[must_use]
    pub fn of(mut values: Vec<i64>) -> Self {
        values.sort_unstable();
        let at = |percent: usize| {
            let rank = (values.len() * percent).div_ceil(100).max(1);
            values.get(rank - 1).copied().unwrap_or_default()
        };
        Self {
            p50: at(50),
            p95: at(95),
            p99: at(99),
        }
    }
}

/// One of the highest scores.
#[derive(Clone, Debug, Serialize)]
pub struct TopScore {
    /// Its card.
    pub card_id: String,
    /// Its event.
    pub event_id: String,
    /// 0 to 1000.
    pub score: u64,
    /// What to do.
    pub decision: String,
    /// The amount, in the event's own currency, as a person writes it.
    pub amount: String,
    /// Why, in words, with each reason's share.
    pub reasons: Vec<String>,
}

impl DemoReport {
    /// Whether everything that the demo checks holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.problems().is_empty()
    }

    /// What does not hold, in words.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.sent != self.account.accepted {
            problems.push(format!(
                "{} records were sent, {} are in the stream",
                self.sent, self.account.accepted
            ));
        }
        if self.account.unaccounted > 0 {
            problems.push(format!("{} records are unaccounted for (I1)", self.account.unaccounted));
        }
        if self.account.dead_lettered > 0 {
            problems.push(format!(
                "{} records wait in the dead-letter queue",
                self.account.dead_lettered
            ));
        }
        if self.account.scored != self.outcomes_unique {
            problems.push(format!(
                "{} outcomes for {} scored events (I2)",
                self.outcomes_unique, self.account.scored
            ));
        }
        if self.outcomes_conflicting > 0 {
            problems.push(format!(
                "{} events have outcomes that differ (I3)",
                self.outcomes_conflicting
            ));
        }
        if self.oracle_mismatches > 0 {
            problems.push(format!(
                "{} differences from the recomputation (I2, I6)",
                self.oracle_mismatches
            ));
        }
        problems
    }

    /// The report for a person: on one screen of 40 lines and 80 columns, or with everything.
    #[must_use]
    pub fn render(&self, full: bool) -> String {
        let mut text = String::new();
        self.render_account(&mut text, full);
        self.render_measures(&mut text);
        // A run whose log was not read has none.
        if full && !self.signals.metrics.is_empty() {
            text += &self.signals.render();
        }
        if let Some(fraud) = self.fraud.as_ref().filter(|_| full || self.learning.is_none()) {
            text += &fraud.render(full);
        }
        if let Some(learning) = &self.learning {
            text += &learning.render();
        }
        if let Some(why) = &self.nothing_learned {
            text += &format!("  {}\n", paint(ui::DIM, format!("nothing was learned: {why}")));
        }
        self.render_top(&mut text, full);
        self.render_verdict(&mut text);
        if !full {
            text += &paint(ui::DIM, "  --full shows every signal and reason, --json all of it.\n");
        }
        text
    }

    /// Account and verdict alone, for a report that has much to tell besides.
    #[must_use]
    pub fn render_short(&self) -> String {
        let mut text = String::new();
        self.render_account(&mut text, false);
        self.render_verdict(&mut text);
        text
    }

    fn render_account(&self, text: &mut String, full: bool) {
        let account = &self.account;
        *text += &format!("\n{}\n", paint(ui::HEADING, "The account"));
        *text += &row("sent", self.sent, "");
        *text += &row("accepted", account.accepted, "by the transactions stream");
        *text += &row("  scored", account.scored, "transactions, one outcome each");
        *text += &row("  duplicate", account.duplicate, "sent again; counted once");
        *text += &row("  applied", account.applied, "profiles and labels");
        *text += &row("  quarantined", account.quarantined_total(), "whole, with a reason");
        for (code, count) in account.quarantined.iter().filter(|_| full) {
            *text += &paint(ui::DIM, format!("      {:<20}{:>10}", code, grouped(*count)));
            *text += "\n";
        }
        *text += &row("  dead-lettered", account.dead_lettered, "");
        *text += &row("  unaccounted", account.unaccounted, "");
    }

    fn render_measures(&self, text: &mut String) {
        let (latency, decisions) = (&self.arrival_to_outcome_ms, &self.decisions);
        *text += &format!("\n{}\n", paint(ui::HEADING, "On this machine"));
        let seconds = std::time::Duration::from_millis(self.elapsed_ms).as_secs_f64();
        *text += &format!(
            "  throughput           {:.0} events/s ({seconds:.1} s)\n",
            self.events_per_second
        );
        *text += &format!(
            "  arrival to outcome   p50 {} ms · p95 {} ms · p99 {} ms\n",
            grouped_ms(latency.p50),
            grouped_ms(latency.p95),
            grouped_ms(latency.p99)
        );
        *text += &format!(
            "  capacity             {:.3} write and {:.3} read units per scored event\n",
            self.write_units_per_scored, self.read_units_per_scored
        );
        *text += &format!(
            "  decisions            {} pass · {} review · {} alert, on {} cards\n",
            grouped(decisions.pass),
            grouped(decisions.review),
            grouped(decisions.alert),
            grouped(self.cards)
        );
    }

    fn render_top(&self, text: &mut String, full: bool) {
        *text += &format!("\n{}\n", paint(ui::HEADING, "Highest scores"));
        let shown = if full { self.top.len() } else { TOP_SHORT };
        for top in self.top.iter().take(shown) {
            let style = if top.decision == "alert" { ui::BAD } else { ui::WARN };
            let score = paint(style, format!("{:>5}", top.score));
            *text += &format!(
                "{score}  {:<8} {}  {}  {}\n",
                top.decision,
                top.card_id,
                top.amount,
                paint(ui::DIM, &top.event_id)
            );
            *text += &match top.reasons.as_slice() {
                [first, others @ ..] if !full && !others.is_empty() => {
                    format!("       {first}, and {} more\n", others.len())
                }
                reasons => format!("       {}\n", reasons.join("; ")),
            };
        }
    }

    fn render_verdict(&self, text: &mut String) {
        let problems = self.problems();
        if problems.is_empty() {
            let claim = format!(
                "\n✓ Every record is accounted for, and {} outcomes and the state of {} cards equal\n  the recomputation.",
                grouped(self.outcomes_unique),
                grouped(self.cards)
            );
            *text += &paint(ui::GOOD, claim);
            *text += "\n";
            return;
        }
        *text += "\n";
        for problem in problems {
            *text += &format!("{} {problem}\n", paint(ui::BAD, "✗"));
        }
        for example in &self.oracle_examples {
            *text += &format!("    {example}\n");
        }
        for record in self.account.unaccounted_examples.iter().take(EXAMPLES_MAX) {
            *text += &format!("    without evidence: {record}\n");
        }
    }
}

fn row(name: &str, count: u64, remark: &str) -> String {
    format!("  {name:<18}{:>10}  {}\n", grouped(count), paint(ui::DIM, remark))
}

fn grouped_ms(milliseconds: i64) -> String {
    grouped(u64::try_from(milliseconds).unwrap_or_default())
}

#[cfg(test)]
mod tests;
