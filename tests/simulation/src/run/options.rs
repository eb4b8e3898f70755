//! What a run is asked for, what the seed draws for it, and what it gives.

use std::collections::BTreeMap;

use localcloud::esm::EsmOptions;
use tidemark_domain::labelled::LabelledHistory;
use tidemark_engine::End;

use crate::audit::Forgery;
use crate::dice::Dice;
use crate::draws::Draws;
use crate::violations::Violations;
use crate::world::{Fault, Stores};

/// What is taken away, to see that the harness notices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ablation {
    /// Nothing: the real thing.
    #[default]
    None,
    /// The store takes any write, whatever version it was made for.
    NoCondition,
    /// A repeated event is known for ten minutes only, as with a transaction's client token, and is a new one after that.
    TenMinuteToken,
    /// A state is dropped an hour after it was written, whatever its time to live.
    ForgottenStates,
    /// After a restore nothing is redriven.
    NoRedriveAfterRestore,
    /// A write's condition looks at the number of a state alone: after a restore the same numbers come again.
    NumberOnly,
    /// The stream keeps records for an hour, and the mapping says nothing of those that it never read.
    ShortRetention,
    /// A version of a policy is published twice, with other weights.
    PolicyPublishedTwice,
    /// An override that ended is dropped at once, though records that arrived before wait.
    OverridesPruned,
    /// After a pause the mapping gives up what is older than its record age.
    PauseForgetsAge,
    /// An aggregate is done when one of its user records is.
    AggregateInHalves,
    /// A decision is known by card and id, without its event's time.
    DecisionsWithoutTime,
    /// The store tells cards apart without their case and spaces.
    FoldedIds,
    /// Of a call that holds many writes, those that are refused count as done.
    RefusedWritesCountAsDone,
    /// What a busy shard leaves out counts as sent.
    LeftOutCountsAsSent,
    /// A message is gone once it was received.
    ForgetfulQueue,
    /// One write of a key in four is answered, and not done.
    KeyWritesLost,
    /// A label is there twice, of two minds.
    LabelsDoubled,
    /// Labels are read as known since their events.
    LabelsKnownTooEarly,
    /// An import that died is taken for done.
    ImportBrokenOff,
}

/// What is forged after a run, to see that the audit names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Forgeries {
    /// One of them, as the seed draws it.
    #[default]
    One,
    /// Each of them, one after the other.
    All,
}

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides everything.
    pub seed: u64,
    /// Records that producers send.
    pub events: usize,
    /// Whether the trace's lines are kept.
    pub trace: bool,
    /// What is taken away.
    pub ablation: Ablation,
    /// These draws in place of the seed's.
    pub draws: Option<Draws>,
    /// What is forged for the audit.
    pub forgeries: Forgeries,
}

/// What a run gave.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What does not hold.
    pub violations: Violations,
    /// What the seed had.
    pub draws: Draws,
    /// The trace's hash: equal for equal runs.
    pub trace_hash: u64,
    /// The trace, where it was kept.
    pub trace: Vec<String>,
    /// Faults by kind.
    pub injected: BTreeMap<Fault, u64>,
    /// Invocations, zombies, dead letters, records redriven.
    pub counts: Counts,
    /// What was forged, and had to be named by the audit.
    pub forged: Vec<Forgery>,
}

/// What happened in a run, by number.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Invocations of the function.
    pub invocations: u64,
    /// Invocations that timed out and went on.
    pub zombies: u64,
    /// Processes that died.
    pub crashes: u64,
    /// Messages in the dead-letter queue.
    pub dead_letters: u64,
    /// Shards that were split or merged.
    pub reshards: u64,
    /// Writes that a condition refused.
    pub conflicts: u64,
    /// Calls of the redrive function.
    pub redrives: u64,
    /// What operators did.
    pub deeds: u64,
    /// States that the store dropped after their time.
    pub dropped: u64,
    /// Items that were restored.
    pub restored: u64,
    /// Cards that the checks left out, because one write accepted an event and forgot it.
    pub unseen: u64,
    /// What the limits of a shard or a partition refused.
    pub limited: u64,
    /// Labels that keys hold in the end.
    pub key_labels: u64,
    /// Those among them that keys by a link hold.
    pub link_labels: u64,
    /// Writes of keys that a condition refused.
    pub key_conflicts: u64,
    /// Histories of keys that the store dropped after their time.
    pub keys_dropped: u64,
    /// Outcomes that were scored by what a key said.
    pub by_keys: u64,
    /// Outcomes that lacked a key that could not be read.
    pub without_keys: u64,
    /// Times that rules said something of outcomes: they decide, they watch, they have no result.
    pub rules: [u64; 3],
    /// Imports that began, those that were done again among them.
    pub imports: u64,
    /// Imports that died, or of which the table did not take all.
    pub imports_again: u64,
    /// Rows that imports brought to their cards, and rows whose events were there already.
    pub imported: [u64; 2],
    /// Lists of which outcomes name a content.
    pub by_lists: u64,
    /// Lists that outcomes had to do without.
    pub without_lists: u64,
}

impl Counts {
    /// Notes what imports brought.
    pub(super) fn note_imports(&mut self, stores: &Stores) {
        let ends = || stores.known.files.iter().flat_map(|file| &file.ends);
        let count = |wanted: End| ends().filter(|end| **end == wanted).count() as u64;
        self.imported = [count(End::Scored), count(End::Duplicate)];
    }

    /// Notes what rules said, and by which lists.
    pub(super) fn note_rules(&mut self, stores: &Stores) {
        let accepted = stores.tables.lives.values().flatten().flat_map(|life| &life.accepted);
        for outcome in accepted.map(|one| &one.entry.outcome) {
            outcome.rules.iter().for_each(|hit| self.rules[hit.end.list()] += 1);
            for list in outcome.lists.all() {
                match list.version {
                    Some(_) => self.by_lists += 1,
                    None => self.without_lists += 1,
                }
            }
        }
    }

    /// Notes what keys hold, and how many outcomes were scored by them or without them.
    pub(super) fn note_keys(&mut self, stores: &Stores) {
        for (key, item) in &stores.tables.keys {
            let history = LabelledHistory::decode(&item.now.bytes);
            let labels = history.map_or(0, |history| history.labels().len() as u64);
            self.key_labels += labels;
            if key.name.as_str() == "ip" {
                self.link_labels += labels;
            }
        }
        let lives = stores.tables.lives.values().flatten();
        for read in lives
            .flat_map(|life| &life.accepted)
            .flat_map(|one| &one.entry.outcome.keys)
        {
            match read.version {
                Some(_) => self.by_keys += 1,
                None => self.without_keys += 1,
            }
        }
    }
}

/// Each seed has some kinds of faults and not others: all at once would hide what a few do together.
pub(super) fn draw_faults(dice: &mut Dice) -> Vec<(Fault, f64)> {
    let mut faults = Vec::new();
    for fault in Fault::ALL {
        let share = match fault {
            Fault::CrashBefore | Fault::CrashAfter | Fault::CrashAmid => 0.02,
            Fault::Stall => 0.01,
            Fault::Stale | Fault::Partial => 0.3,
            _ => 0.12,
        };
        if dice.chance(0.5) {
            #[allow(clippy::cast_precision_loss, reason = "1 to 10")]
            let part = dice.between(1, 10) as f64 / 10.0;
            faults.push((fault, share * part));
        }
    }
    faults
}

pub(super) fn draw_mapping(dice: &mut Dice) -> EsmOptions {
    EsmOptions {
        batch_size: u32::try_from(*dice.pick(&[1_u64, 10, 50, 200, 500])).unwrap_or(100),
        batching_window_ms: *dice.pick(&[0, 0, 500, 2_000]),
        parallelization_factor: u32::try_from(*dice.pick(&[1_u64, 1, 2, 5])).unwrap_or(1),
        bisect_on_error: dice.chance(0.7),
        retries_max: Some(u32::try_from(*dice.pick(&[0_u64, 1, 3, 20])).unwrap_or(3)),
        record_age_s_max: Some(u32::try_from(*dice.pick(&[60_u64, 300, 21_600])).unwrap_or(300)),
        report_item_failures: true,
        on_failure: true,
        ..EsmOptions::default()
    }
}
