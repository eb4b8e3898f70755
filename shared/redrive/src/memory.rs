//! The ports in memory: for tests and simulation. Every call goes through a [`Script`], so that a test can make any call fail.

mod inbox;
mod script;
mod stream;

pub use inbox::MemoryInbox;
pub use script::{Fault, Op, Script};
pub use stream::{MemoryStream, TrimmedStart};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks; a panic elsewhere is no reason to lose a test's evidence.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
