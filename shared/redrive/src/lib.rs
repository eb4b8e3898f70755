//! Dead letters, quarantined payloads and ranges of a stream go through the engine again: the same engine, the same conditional
//! writes, beside live traffic.
//!
//! Pure: what a message says (`letter`), the walk over a shard, rates and accounts. One thin driver carries it out over
//! ports. This crate names no AWS type, reads no clock but through its port, and starts no task.

pub mod api;
pub mod cursor;
pub mod limits;

pub use api::{Account, Problem, RangeRequest, Request, Response, Source, Stopped, UnrecoverableMessage};
pub use cursor::Cursor;
