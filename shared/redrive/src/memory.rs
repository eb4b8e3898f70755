//! The ports in memory: for tests and simulation. Every call goes through a [`Script`], so that a test can make any call fail.

mod bucket;
mod inbox;
mod script;
mod stream;

pub use bucket::MemoryBucket;
pub use inbox::MemoryInbox;
pub use script::{Op, Script};
pub use stream::{MemoryStream, TrimmedStart};
pub use tidemark_engine::memory::Fault;
