//! Rows of a team's own shape become events of the contract, by a map that the team writes: `map.toml`.
//!
//! Nothing here opens a file or reads the environment: a reader and the salts are handed in. Rows come one at a time, and no row
//! is held beyond a limit ([`limits`]). Each row ends in one way: in the events that it says, all of them or none; skipped, as
//! the map says; or refused, with a code, its line, its column and what to do.
//!
//! ```
//! use std::sync::Arc;
//! use translate::{RowMap, Translated, Translator};
//!
//! let map = r#"
//! version = 1
//! [transaction]
//! event_id = { from = "id" }
//! card_id = { from = "card", prefix = "c-" }
//! occurred_at_ms = { from = "when", zone = "Europe/Brussels" }
//! amount_minor = { from = "amount", unit = "decimal" }
//! currency = { value = "EUR" }
//! merchant_id = { from = "shop" }
//! mcc = { value = 5411 }
//! country = { value = "BE" }
//! channel = { value = "point_of_sale" }
//! approved = { value = true }
//! "#;
//! let map = RowMap::parse(map, "map.toml", &|_| None).unwrap();
//! let rows = "id,card,when,amount,shop\nt1,7,2026-11-23 03:00:00,12.34,Spar\n";
//! let mut translator = Translator::new(rows.as_bytes(), Arc::new(map))?;
//! let Some(Translated::Events { line: 2, events }) = translator.next()? else { panic!() };
//! let event: serde_json::Value = serde_json::from_slice(&events[0]).unwrap();
//! assert_eq!(event["amount_minor"], 1234);
//! assert_eq!(event["occurred_at_ms"], 1_795_399_200_000_i64);
//! # Ok::<(), translate::InputFault>(())
//! ```

mod account;
pub mod limits;
mod read;
mod suggest;
mod translator;

pub use account::{Repeat, Repeats, RowAccount};
pub use read::{InputFault, LineReader, is_utf16, pass_mark, unpack};
pub use suggest::{Suggestion, suggest, suggest_of_parquet};
pub use tidemark_mapping::{MapCode, MapProblem, RefusedRow, RowMap, Salts, map_schema, shown_value, span_ms};
pub use translator::{Translated, Translator};
