//! Faults by script for the ports of a redrive.

use tidemark_engine::memory::Faults;

/// A port's operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// `ShardReader::shards`.
    Shards,
    /// `ShardReader::iterator`.
    Iterator,
    /// `ShardReader::records`.
    Records,
    /// `Inbox::receive`.
    Receive,
    /// `Inbox::delete`.
    Delete,
    /// `Inbox::release`.
    Release,
    /// `Inbox::send`.
    Send,
    /// `LetterBucket::list`.
    List,
    /// `LetterBucket::get`.
    Get,
    /// `LetterBucket::delete`.
    Remove,
}

/// A script of faults, shared by the ports it was given to.
pub type Script = Faults<Op>;
