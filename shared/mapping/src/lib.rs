//! What a map makes of one row: the core that files and functions share, so that both make the same event of the same JSON object.
//!
//! Nothing here does I/O, reads a clock or the environment: texts, rows and salts are handed in. A row ends in one way: in the
//! events that it says, all of them or none; skipped, as the map says; or refused, with a code, the column and what to do.

mod code;
mod compile;
mod event;
mod keys;
pub mod limits;
mod map;
mod object;
mod problem;
mod row;
mod rules;
mod span;
mod stream;

pub use code::{MapCode, RefusedRow, Wrong, holds_card_number, shown_value};
pub use compile::{InputRule, RowMap, Salts};
pub use event::{Made, NamedEvent, Unmade};
pub use keys::{Format, map_schema};
pub use object::object_of;
pub use problem::MapProblem;
pub use row::{Cell, PathId, RowData, RowView, ValuePlace};
pub use span::span_ms;
pub use stream::{MapSalt, SALT_VARIABLE, StreamMap, StreamMapFault};
