//! Codes of the errors that an operator sees. Each has a page in docs/errors; keep them stable.

use std::fmt;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal,)*) => {
        /// The code of an error.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ErrorCode {
            $($(#[doc = $doc])+ $variant,)*
        }

        impl ErrorCode {
            /// Every code, in the order of the reference.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as it stands in logs, answers and the name of its page.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// What happened, in a sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim_start(),)* }
            }
        }
    };
}

codes! {
    /// A setting of the function is missing or wrong.
    ConfigurationInvalid = "TM-1001",
    /// The policy file cannot be read or is wrong.
    PolicyInvalid = "TM-1002",
    /// The function could not talk to Lambda's Runtime API.
    RuntimeFailed = "TM-1003",
    /// The payload of an invocation is not a Kinesis event.
    EventUnreadable = "TM-2001",
    /// A record has no sequence number, so nothing can be said about it alone.
    RecordUnnamed = "TM-2002",
    /// Records go back to the stream and come again.
    RecordsReturned = "TM-2003",
    /// The deadline came near before the batch was done.
    DeadlineNear = "TM-2004",
    /// The mode is paused: records stay in the stream.
    Paused = "TM-2005",
    /// A service refused a call in a way that trying again does not change.
    ServiceRefused = "TM-3001",
    /// A card's stored state or profile cannot be read.
    StateUnreadable = "TM-3002",
    /// Profiles cannot be read: cards are scored without them, and outcomes say so.
    ProfilesUnavailable = "TM-3003",
    /// The control plane cannot be read: its last good copy stays in force.
    ControlUnread = "TM-3004",
    /// An item of the control plane is not what it should be: its last good copy stays in force.
    ControlItemInvalid = "TM-3005",
    /// A policy names a model of trees that cannot be had: the last good policy stays in force.
    ModelUnusable = "TM-3006",
    /// Labelled histories of keys cannot be read: transactions are scored without them, and outcomes say so.
    KeysUnavailable = "TM-3007",
    /// A list that a policy declares cannot be read: its last good copy stays in force, and outcomes say so where there is none.
    ListUnusable = "TM-3008",
    /// A published map cannot be had, or which is in force is not known: records that it judges go back and come again.
    MapUnusable = "TM-3009",
    /// Metrics could not be written to standard output.
    MetricsUnwritten = "TM-4001",
    /// A redrive's request is not one: not JSON, an unknown source, or a field that does not go with its source.
    RedriveRequestInvalid = "TM-5001",
    /// The range of a redrive is not a range: its end lies before its start, or a sequence number is not one.
    RedriveRangeInvalid = "TM-5002",
    /// A message of a queue is not JSON.
    LetterNotJson = "TM-5003",
    /// A message of a queue has another shape than its queue's messages.
    LetterMisshapen = "TM-5004",
    /// A dead letter speaks of another stream.
    LetterForeign = "TM-5005",
    /// A message names a sequence number that is not one.
    SequenceNumberInvalid = "TM-5006",
    /// A dead letter's range ends before it starts.
    LetterInverted = "TM-5007",
    /// A dead letter speaks of a shard that the stream no longer has.
    ShardGone = "TM-5008",
    /// Records lie past the stream's retention: they are lost.
    PastRetention = "TM-5009",
    /// A dead letter counts more records than its range holds, though none of it was trimmed.
    LetterMiscounted = "TM-5010",
    /// A quarantined payload had its card numbers masked: it is not what the producer sent.
    QuarantineMasked = "TM-5011",
    /// Parts of a quarantined payload are not there.
    QuarantineIncomplete = "TM-5012",
    /// A redrive could not bring some records to an end: their message stays in its queue.
    RecordsNotRedriven = "TM-5013",
    /// The stream throttled a redrive's reads again and again.
    ReadsThrottled = "TM-5014",
    /// A redrive's cursor does not belong to its request.
    CursorInvalid = "TM-5015",
    /// The end of a range was not reached within the pages that a walk may read in vain.
    WalkUnfinished = "TM-5016",
    /// The stream, a queue or the bucket failed in the middle of a redrive.
    RedriveInterrupted = "TM-5017",
    /// A letter of a bucket is needed for its payload, and the payload can't be used.
    LetterPayloadUnusable = "TM-5018",
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
