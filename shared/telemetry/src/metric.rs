//! Every metric's name and unit, in one list. Names are in alarms, dashboards and docs/reference/metrics.md: keep them stable.

/// CloudWatch's units, as far as they are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricUnit {
    /// A number of things.
    Count,
    /// Thousandths of a second.
    Milliseconds,
    /// A figure that CloudWatch has no unit for: a score, money.
    None,
}

impl MetricUnit {
    /// The unit as CloudWatch spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
            Self::None => "None",
        }
    }
}

// A metric that is `rare` is above 0 only in trouble, after an operator's deed, or in a redrive.
macro_rules! metrics {
    (@is_rare) => { false };
    (@is_rare rare) => { true };
    ($($(#[doc = $doc:literal])+ $variant:ident: $unit:ident $($rare:ident)?,)*) => {
        /// A metric. Its name is the variant's.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Metric {
            $($(#[doc = $doc])+ $variant,)*
        }

        impl Metric {
            /// Every metric, in the order of the reference.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in CloudWatch.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)* }
            }

            /// The unit in CloudWatch.
            #[must_use]
            pub const fn unit(self) -> MetricUnit {
                match self { $(Self::$variant => MetricUnit::$unit,)* }
            }

            /// Whether a day without trouble, deeds of operators and redrives may leave it at 0.
            #[must_use]
            pub const fn is_rare(self) -> bool {
                match self { $(Self::$variant => metrics!(@is_rare $($rare)?),)* }
            }

            /// What it means, in a sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim_start(),)* }
            }
        }
    };
}

metrics! {
    /// Records in the batches received.
    RecordsReceived: Count,
    /// Transactions scored for the first time and committed.
    Scored: Count,
    /// Events seen before; their stored outcomes were sent again.
    Duplicate: Count,
    /// Profiles and labels applied.
    Applied: Count,
    /// Records put into quarantine; with the dimension `reason` once more by refusal code.
    Quarantined: Count,
    /// Records that go back to the stream to come again.
    Returned: Count rare,
    /// Records that go back because a stored state cannot be read: a newer release wrote it, or somebody damaged it.
    StateCorrupt: Count rare,
    /// Outcomes with the decision `pass`.
    Passes: Count,
    /// Outcomes with the decision `review`.
    Reviews: Count,
    /// Outcomes with the decision `alert`.
    Alerts: Count,
    /// Outcomes that lacked an input that the policy wants (`no_profile`, `history_only`, `neutral`, `no_keys`, `no_lists`); with the dimension `tier` once more by tier, `low_risk` included.
    Degraded: Count rare,
    /// Fields that no schema knows, in accepted events.
    UnknownFields: Count rare,
    /// Card states written.
    Commits: Count,
    /// Cards whose write failed for good in this batch: their records come again.
    CommitFailures: Count rare,
    /// Sealed segments of hot cards read.
    SegmentsRead: Count rare,
    /// Sealed segments of hot cards written.
    SegmentsWritten: Count,
    /// Alerts that the policy in force expects of so many transactions, by its `[expected]`.
    AlertsExpected: None rare,
    /// Reviews that the policy in force expects of so many transactions, by its `[expected]`.
    ReviewsExpected: None rare,
    /// Labels that got their end, known ones included; told where the policy in force declares keys.
    Labels: Count rare,
    /// Labelled histories of keys written.
    KeyWrites: Count rare,
    /// Labelled histories of keys that could not be read or understood: their events were scored without them.
    KeysUnread: Count rare,
    /// Times that a label taught a key nothing: the key of its event is not known, or keeps newer events only.
    LabelsUntaught: Count rare,
    /// Conditional writes that another writer won.
    Conflicts: Count rare,
    /// Calls tried again within a batch.
    Retries: Count rare,
    /// Calls that a service throttled.
    Throttles: Count rare,
    /// Cards found in the warm cache.
    CacheHits: Count,
    /// Cards read from the table.
    CacheMisses: Count,
    /// DynamoDB write units consumed.
    WriteUnits: Count,
    /// DynamoDB read units consumed.
    ReadUnits: Count,
    /// Price of the invocation by the table of prices, in millionths of a dollar.
    CostMicrodollars: None,
    /// Scores of the outcomes counted for the first time, as a distribution.
    Score: None,
    /// From a transaction's arrival to the end of the batch that scored it, as a distribution.
    OutcomeLatency: Milliseconds,
    /// Transactions whose outcome came later than the objective of 5 seconds after their arrival, and those in `Unsent`.
    LateOutcomes: Count rare,
    /// Transactions committed for the first time whose outcome was not sent: they are not in `Scored`, and come again.
    Unsent: Count rare,
    /// From the newest arrival in the batch to its end.
    Freshness: Milliseconds,
    /// From the newest event time scored in the batch to its end.
    EventTimeLag: Milliseconds,
    /// Time that one batch took in the function.
    BatchDuration: Milliseconds,
    /// Age of the batch's oldest record when the batch was done.
    OldestRecordAge: Milliseconds,
    /// Batches that stopped before their deadline with records left.
    DeadlineStops: Count rare,
    /// Events the payload of which was not a Kinesis event.
    UnreadableEvents: Count rare,
    /// Records of dead letters that a redrive found past the stream's retention: lost, accounted by number.
    RedriveTrimmed: Count rare,
    /// Time since the control plane was last read and understood as a whole, at the end of the batch.
    ControlAge: Milliseconds,
    /// Items of the control plane that could not be read or understood at the last read.
    ControlProblems: Count rare,
    /// Policies that name a model of trees which could not be had at the last read: the last good policy stays in force.
    ModelProblems: Count rare,
    /// Lists that a policy declares and that could not be had at the last read: the last good copy stays in force, or rules do without.
    ListProblems: Count rare,
    /// Published maps that are, were or will be in force and could not be had at the last read: records that they judge come again.
    MapProblems: Count rare,
    /// DynamoDB read units that reading the control plane consumed.
    ControlReadUnits: Count,
    /// Outcomes that were kept and not sent, because the mode is `shadow`.
    Withheld: Count rare,
    /// Transactions whose decision an override made.
    Overridden: Count rare,
    /// Times that a rule held and decides; with the dimension `rule` once more by rule.
    RulesHeld: Count rare,
    /// Times that a rule held that only watches; with the dimension `rule` once more by rule.
    RulesObserved: Count rare,
    /// Times that a rule did not hold since its arithmetic has no result, as a division by zero; with the dimension `rule` once more by rule.
    RulesUndefined: Count rare,
    /// Transactions that a candidate policy scored beside the active one.
    Trials: Count rare,
    /// Trials in which the two policies decide differently.
    TrialFlips: Count rare,
    /// Trials that could not be recorded.
    TrialsLost: Count rare,
    /// Invocations that were the first of their process.
    ColdStarts: Count,
    /// How long the oldest record has waited that a dead letter names, however often the letter was received; 0 when none waits.
    OldestDeadLetterAge: Milliseconds rare,
    /// Dead letters that wait, as the look of every five minutes counts them: messages of the queue that nobody has in hand, and objects of
    /// the bucket.
    DeadLetters: Count rare,
    /// Messages that a redrive looked at.
    RedriveMessages: Count rare,
    /// Records that a redrive read again.
    RedriveRecords: Count rare,
    /// Records that a message counts and its range does not hold, though nothing of it was trimmed.
    RedriveMissing: Count rare,
    /// Messages that a redrive moved to the unrecoverable queue.
    RedriveUnrecoverable: Count rare,
    /// Reads of the stream by a redrive.
    RedriveReads: Count rare,
    /// Time that one call of the redrive function took.
    RedriveDuration: Milliseconds rare,
    /// From the arrival of the oldest record that a call took to its end to the end of the call.
    RedriveTimeToRecover: Milliseconds rare,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_plain() {
        let names: BTreeSet<_> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        assert_eq!(names.len(), Metric::ALL.len());
        assert!(
            names
                .iter()
                .all(|name| name.chars().all(|letter| letter.is_ascii_alphanumeric()))
        );
    }
}
