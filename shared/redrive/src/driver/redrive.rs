//! What lives longer than a call: the ports, and the bounds of every call.

use std::sync::Arc;

use tidemark_engine::port::Clock;

use crate::letter::Home;
use crate::limits::RedriveConfig;
use crate::port::{Inbox, LetterBucket, Processor, ShardReader};
use crate::source::Source;

/// The queues of a redrive.
#[derive(Clone, Debug)]
pub struct Queues<I> {
    /// Batches that were given up.
    pub dead_letter: I,
    /// Payloads that were refused.
    pub quarantine: I,
    /// What can't be redriven.
    pub unrecoverable: I,
}

/// The redrive function's singleton.
#[derive(Debug)]
pub struct Redrive<R, I, P, C> {
    pub(super) reader: R,
    pub(super) queues: Queues<I>,
    /// Batches that were given up with their payload, where a deployment has a bucket for them.
    pub(super) bucket: Option<Arc<dyn LetterBucket>>,
    pub(super) processor: P,
    pub(super) clock: C,
    pub(super) home: Home,
    pub(super) config: RedriveConfig,
}

impl<R: ShardReader, I: Inbox, P: Processor, C: Clock> Redrive<R, I, P, C> {
    /// A redrive of the stream `home`, which `reader` reads.
    #[must_use]
    pub fn new(reader: R, queues: Queues<I>, processor: P, clock: C, home: Home, config: RedriveConfig) -> Self {
        Self {
            reader,
            queues,
            bucket: None,
            processor,
            clock,
            home,
            config,
        }
    }

    /// The same with a bucket, whose letters are dead letters as those of the queue are.
    #[must_use]
    pub fn with_bucket(mut self, bucket: Option<Arc<dyn LetterBucket>>) -> Self {
        self.bucket = bucket;
        self
    }

    /// The queue of a source; a range has none.
    pub(super) fn inbox(&self, source: Source) -> Option<&I> {
        match source {
            Source::DeadLetter => Some(&self.queues.dead_letter),
            Source::Quarantine => Some(&self.queues.quarantine),
            Source::Range => None,
        }
    }
}
