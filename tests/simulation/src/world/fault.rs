//! Calls of ports, and how they go wrong.

use std::collections::BTreeMap;

use tidemark_engine::port::PortError;

/// A port's operation, as the trace writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// Reads states.
    LoadStates,
    /// Reads one state, strongly consistent.
    LoadState,
    /// Reads profiles.
    LoadProfiles,
    /// Reads sealed segments.
    LoadSegments,
    /// Writes sealed segments.
    PutSegments,
    /// Writes cards, each under its condition.
    Commit,
    /// Writes a profile.
    PutProfile,
    /// Reads keys' labelled histories.
    LoadKeys,
    /// Reads one key's labelled history, strongly consistent.
    LoadKey,
    /// Writes keys' labelled histories, each under its condition.
    CommitKeys,
    /// Records decisions.
    PutDecisions,
    /// Keeps a candidate's outcomes.
    PutTrials,
    /// Sends outcomes.
    Send,
    /// Puts refused records away.
    Quarantine,
    /// Reads the control plane.
    Control,
    /// Lists the stream's shards.
    Shards,
    /// Asks for a place in a shard.
    Iterator,
    /// Reads a shard.
    Records,
    /// Receives messages.
    Receive,
    /// Deletes messages.
    Delete,
    /// Makes messages visible.
    Release,
    /// Sends a message.
    Move,
}

impl Op {
    /// Whether it is an eventually consistent read.
    #[must_use]
    pub const fn may_be_stale(self) -> bool {
        matches!(
            self,
            Self::LoadStates | Self::LoadProfiles | Self::LoadKeys | Self::LoadSegments
        )
    }

    /// Whether it takes items that may be left out one by one.
    #[must_use]
    pub const fn is_batch(self) -> bool {
        matches!(self, Self::Send | Self::Quarantine | Self::Delete) || self.is_of_writes()
    }

    /// Whether it holds many writes, which happen one after the other.
    #[must_use]
    pub const fn is_of_writes(self) -> bool {
        matches!(self, Self::Commit | Self::CommitKeys | Self::PutDecisions)
    }
}

/// How a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The process dies before the call has an effect.
    CrashBefore,
    /// The process dies after it had.
    CrashAfter,
    /// No answer in time, and no effect.
    TimeoutBefore,
    /// No answer in time, but it was applied.
    TimeoutAfter,
    /// The service asks to slow down.
    Throttle,
    /// The service failed.
    Unavailable,
    /// A read answers with what was there before the last write.
    Stale,
    /// Some items are left out; of a call of writes, some of these happen all the same.
    Partial,
    /// The call hangs until long after the invocation timed out, and is applied then: a zombie's.
    Stall,
    /// Of a call of writes the first ones happen, and there is no answer in time.
    Cut,
    /// The process dies while the writes of its call happen, after the first ones.
    CrashAmid,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::CrashBefore,
        Self::CrashAfter,
        Self::TimeoutBefore,
        Self::TimeoutAfter,
        Self::Throttle,
        Self::Unavailable,
        Self::Stale,
        Self::Partial,
        Self::Stall,
        // At the end, so that a seed draws the others as it did.
        Self::Cut,
        Self::CrashAmid,
    ];

    /// Whether it can happen to this operation.
    #[must_use]
    pub const fn fits(self, op: Op) -> bool {
        match self {
            Self::Stale => op.may_be_stale(),
            Self::Partial => op.is_batch(),
            Self::Cut | Self::CrashAmid => op.is_of_writes(),
            _ => true,
        }
    }

    /// The error that the caller gets, where it gets one.
    pub(crate) fn error(self) -> Option<PortError> {
        match self {
            Self::TimeoutBefore | Self::TimeoutAfter | Self::Cut => Some(PortError::Timeout("simulated".to_owned())),
            Self::Throttle => Some(PortError::Throttled("simulated".to_owned())),
            Self::Unavailable => Some(PortError::Unavailable("simulated".to_owned())),
            _ => None,
        }
    }
}

/// Where faults come from.
#[derive(Clone, Debug)]
pub enum FaultPlan {
    /// Each call draws: kinds and their shares.
    Drawn(Vec<(Fault, f64)>),
    /// These calls (numbered from 0) fail so.
    At(BTreeMap<u64, Fault>),
}
