//! The reads of a walk over one shard: what it wants is asked of the stream, and it is told what came.

use tidemark_engine::port::Clock;

use super::one_call::Call;
use super::read::Came;
use super::redrive::Redrive;
use crate::port::{Inbox, Page, Processor, ReadFrom, ShardReader};
use crate::scan::Scan;
use crate::walk::{Walk, Want};

/// A walk as its reads see it.
pub(super) trait Reads {
    /// What is to be done next.
    fn want(&self) -> Want;
    /// The iterator that was wanted is there.
    fn placed(&mut self, from: ReadFrom);
    /// The stream refused the place.
    fn refused(&mut self, from: &ReadFrom);
    /// The iterator is too old.
    fn expired(&mut self);
}

impl Reads for Walk {
    fn want(&self) -> Want {
        Self::want(self)
    }

    fn placed(&mut self, from: ReadFrom) {
        Self::placed(self, from);
    }

    fn refused(&mut self, from: &ReadFrom) {
        Self::refused(self, from);
    }

    fn expired(&mut self) {
        Self::expired(self);
    }
}

impl Reads for Scan {
    fn want(&self) -> Want {
        Self::want(self)
    }

    fn placed(&mut self, _: ReadFrom) {
        Self::placed(self);
    }

    fn refused(&mut self, _: &ReadFrom) {
        Self::refused(self);
    }

    fn expired(&mut self) {
        Self::expired(self);
    }
}

/// What a walk's next read brought.
#[derive(Debug)]
pub(super) enum Step {
    /// A page, for the walk to look through.
    Page(Page),
    /// Nothing: the iterator was too old.
    Expired,
    /// There is no such shard any more.
    NoShard,
    /// The walk wants nothing more, or the call has stopped.
    Over,
}

impl<R: ShardReader, I: Inbox, P: Processor, C: Clock> Redrive<R, I, P, C> {
    /// The next read of a walk, from where `iterator` stands.
    pub(super) async fn step(
        &self,
        call: &mut Call<'_>,
        shard_id: &str,
        walk: &mut impl Reads,
        iterator: &mut String,
    ) -> Step {
        loop {
            let came = match walk.want() {
                Want::Nothing => return Step::Over,
                Want::Page => self.read(call, shard_id, iterator).await,
                Want::Iterator(from) => match self.place(call, shard_id, &from).await {
                    Came::Placed(placed) => {
                        *iterator = placed;
                        walk.placed(from);
                        continue;
                    }
                    Came::Refused => {
                        walk.refused(&from);
                        continue;
                    }
                    came => came,
                },
            };
            return match came {
                Came::Page(page) => {
                    *iterator = page.next.clone().unwrap_or_default();
                    Step::Page(page)
                }
                Came::Expired => {
                    walk.expired();
                    Step::Expired
                }
                Came::NoShard => Step::NoShard,
                Came::Placed(_) | Came::Refused | Came::Stopped => Step::Over,
            };
        }
    }
}
