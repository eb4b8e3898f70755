//! Every limit of a translation, with its unit. docs/reference/map.md lists them.

/// A row or a line, bytes; a longer one is refused and never held whole.
pub const ROW_BYTES_MAX: usize = 1 << 20;
/// Columns of a table.
pub const COLUMNS_MAX: usize = 2_000;
/// Arrays and objects within each other in a line of JSON.
pub const NESTING_MAX: usize = 64;
/// A zstd frame's window, bytes: what unpacking holds at once.
pub const ZSTD_WINDOW_BYTES_MAX: u64 = 128 << 20;
/// A map's text, bytes.
pub const MAP_BYTES_MAX: usize = 256 << 10;
/// Kinds of rows that a map tells apart.
pub const KINDS_MAX: usize = 16;
/// Columns that one id is made of.
pub const ID_PARTS_MAX: usize = 8;
/// Events of a file whose ids are remembered, to say which come twice.
pub const IDS_HELD_MAX: usize = 2_000_000;
/// Ids that come twice, and are named.
pub const REPEATS_NAMED_MAX: usize = 20;
/// Refused rows that an account names; all of them are counted.
pub const REFUSED_NAMED_MAX: usize = 1_000;
/// Characters of a value that are shown.
pub const SHOWN_CHARS_MAX: usize = 40;
/// A salt's shortest length, bytes: a shorter one is guessed.
pub const SALT_BYTES_MIN: usize = 16;
/// Rows of a file that a suggestion looks at, unless somebody says otherwise.
pub const SUGGEST_ROWS: u64 = 10_000;
