//! Every limit of a map and of what it reads, with its unit. docs/reference/map.md lists them.

/// A row, a line or a record, bytes; a longer one is refused.
pub const ROW_BYTES_MAX: usize = 1 << 20;
/// Columns of a table.
pub const COLUMNS_MAX: usize = 2_000;
/// Arrays and objects within each other in an object of JSON.
pub const NESTING_MAX: usize = 64;
/// A map's text, bytes.
pub const MAP_BYTES_MAX: usize = 256 << 10;
/// Kinds of rows that a map tells apart.
pub const KINDS_MAX: usize = 16;
/// Columns that one id is made of.
pub const ID_PARTS_MAX: usize = 8;
/// Characters of a value that are shown.
pub const SHOWN_CHARS_MAX: usize = 40;
/// A salt's shortest length, bytes: a shorter one is guessed.
pub const SALT_BYTES_MIN: usize = 16;
