//! The driver: carries out, over the ports, what the pure part says. One call of the function is one [`Redrive::call`].

mod call;
mod feed;
mod letters;
mod look;
mod objects;
mod one_call;
mod payloads;
mod queue;
mod range;
mod read;
mod redrive;
mod settle;
mod step;
mod work;

use tidemark_engine::port::Clock;

use crate::api::Request;
use crate::port::{Inbox, Processor, ShardReader};
use crate::request::RequestError;
use crate::source::Source;
use one_call::Call;
pub use one_call::{CallOutcome, Stats};
pub use redrive::{Queues, Redrive};

impl<R: ShardReader, I: Inbox, P: Processor, C: Clock> Redrive<R, I, P, C> {
    /// Redrives until the source has nothing more, the request's bound is reached, or `deadline_ms` (milliseconds since
    /// 1970-01-01T00:00:00Z) is near. Dropping the future in between is safe: it is a crash; messages come again when their
    /// visibility timeout is over, and what was done is found done.
    ///
    /// # Errors
    /// When the request contradicts itself. Nothing was read then.
    pub async fn call(&self, request: &Request, deadline_ms: i64) -> Result<CallOutcome, RequestError> {
        request.check()?;
        let mut call = Call::new(request, &self.config, self.clock.now_ms(), deadline_ms);
        match request.source {
            Source::DeadLetter if request.look => Box::pin(self.look(&mut call)).await,
            Source::DeadLetter => {
                Box::pin(self.letters(&mut call)).await;
                Box::pin(self.objects(&mut call)).await;
            }
            Source::Quarantine => Box::pin(self.payloads(&mut call)).await,
            Source::Range => Box::pin(self.range(&mut call)).await,
        }
        if let Some(inbox) = self.inbox(request.source) {
            self.release(&mut call, inbox).await;
        }
        Ok(call.finish())
    }
}
