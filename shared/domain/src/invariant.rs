//! What Tidemark promises, whatever happens. The model, the simulation, the audit and the documents name these invariants.

use std::fmt;

use serde::{Serialize, Serializer};

macro_rules! invariants {
    ($($number:literal $name:ident, $short:literal, $sentence:literal;)*) => {
        /// One of the invariants. Numbers stand in reports and reviews: they never change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Invariant {
            $(
                #[doc = $sentence]
                $name = $number,
            )*
        }

        impl Invariant {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its number behind an `I`, as reports have it.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("I", $number),)*
                }
            }

            /// It in a few words, as a table has it.
            #[must_use]
            pub const fn short(self) -> &'static str {
                match self {
                    $(Self::$name => $short,)*
                }
            }

            /// It as a sentence.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self {
                    $(Self::$name => $sentence,)*
                }
            }
        }
    };
}

invariants! {
    1 NothingLost, "nothing is lost",
        "Nothing is lost: every record ends in exactly one of scored, duplicate, applied (profile, label), quarantined, dead-lettered.";
    2 CountsOnce, "each event counts once",
        "Each event counts once, whatever was retried, bisected, killed, redriven or sent twice.";
    3 OneOutcome, "one outcome for one event",
        "One outcome for one event, byte for byte, for ever: it is always rendered from the card's stored history.";
    4 CardOrder, "order within a card",
        "A card's events apply in stream order; after a failure the rest of that card's events wait, no other card waits.";
    5 OnlyOnVersionRead, "a late writer loses",
        "Only a conditional write on the version it read changes a card.";
    6 PureScore, "a score follows from what it names",
        "A score is a pure function of (state, event, profile version, policy version), all named in the outcome.";
    7 Limits, "a limit on everything",
        "Everything has a limit.";
    8 DegradedIsSaid, "degraded is said aloud",
        "Degraded is said aloud: the outcome names each missing input and the tier that served it.";
    9 NothingPrivate, "nothing private gets out",
        "No card number, no secret and no raw payload reaches a log, a metric or an error.";
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl Serialize for Invariant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label())
    }
}
