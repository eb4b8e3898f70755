//! What tests, benchmarks and the demo measure the system with: streams that a seed makes, an oracle that says what must come
//! of them, and typical cards.
//!
//! Nothing here reads a clock or ambient randomness, and nothing is shared with the score: the caller names the seed and the
//! time, and the same ones give the same bytes on every machine.

pub mod dice;
pub mod oracle;
pub mod simulate;
pub mod typical;
