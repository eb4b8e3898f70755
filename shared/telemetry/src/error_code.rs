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
    /// A service refused a call in a way that trying again does not change.
    ServiceRefused = "TM-3001",
    /// A card's stored state or profile cannot be read.
    StateUnreadable = "TM-3002",
    /// Profiles cannot be read: cards are scored without them, and outcomes say so.
    ProfilesUnavailable = "TM-3003",
    /// Metrics could not be written to standard output.
    MetricsUnwritten = "TM-4001",
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
