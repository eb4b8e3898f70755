//! Dead letters, quarantined payloads and ranges of a stream go through the engine again: the same engine, the same conditional
//! writes, beside live traffic.
//!
//! Pure: what a message says ([`letter`]), the walk over a shard, rates and tallies. One thin driver carries it out over
//! ports. This crate names no AWS type, reads no clock but through its port, and starts no task.

pub mod api;
pub mod asked;
pub mod chain;
pub mod cursor;
pub mod cut;
pub mod driver;
pub mod letter;
pub mod limits;
pub mod memory;
pub mod number;
pub mod object;
pub mod parts;
pub mod port;
pub mod rate;
pub mod request;
pub mod scan;
pub mod shards;
pub mod slices;
pub mod source;
pub mod walk;

pub use api::{CutRange, Problem, QueueShare, RangeRequest, Request, Response, Stopped, Tally, UnrecoverableMessage};
pub use asked::{Answered, Asked};
pub use chain::{Chain, ChainCall, ChainNext};
pub use cursor::Cursor;
pub use driver::{CallOutcome, Queues, Redrive, Stats};
pub use letter::Home;
pub use limits::RedriveConfig;
pub use request::RequestError;
pub use slices::RunPlan;
pub use source::Source;
