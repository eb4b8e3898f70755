//! Every limit of a translation, with its unit. docs/reference/map.md lists them.

pub use tidemark_mapping::limits::*;

/// A zstd frame's window, bytes: what unpacking holds at once.
pub const ZSTD_WINDOW_BYTES_MAX: u64 = 128 << 20;
/// Events of a file whose ids are remembered, to say which come twice.
pub const IDS_HELD_MAX: usize = 2_000_000;
/// Ids that come twice, and are named.
pub const REPEATS_NAMED_MAX: usize = 20;
/// Refused rows that an account names; all of them are counted.
pub const REFUSED_NAMED_MAX: usize = 1_000;
/// Rows of a file that a suggestion looks at, unless somebody says otherwise.
pub const SUGGEST_ROWS: u64 = 10_000;
