//! Maps and files for tests.

use std::sync::Arc;

use serde_json::Value;
use translate::{InputFault, RefusedRow, RowAccount, RowMap, Translated, Translator};

/// A map of a table with odd columns.
pub const MAP: &str = r#"
version = 1
[transaction]
event_id = { from = "id", prefix = "t-" }
card_id = { from = "pan", hash = "sha256", salt_env = "SALT", prefix = "c-", strip = " " }
occurred_at_ms = { from = "when", time = "%d/%m/%Y %H:%M:%S", zone = "Europe/Brussels" }
amount_minor = { from = "amount", unit = "decimal" }
currency = { from = "cur", values = { "euro" = "EUR", "yen" = "JPY" }, otherwise = "USD", empty = "EUR" }
merchant_id = { from = "shop" }
mcc = { from = "mcc", empty = 5999 }
country = { from = "land", values = { "Belgium" = "BE" }, empty = "BE" }
channel = { value = "point_of_sale" }
approved = { from = "resp", values = { "00" = true }, otherwise = false }
[label]
verdict = { from = "fraud", values = { "1" = "fraud", "0" = "none" } }
known_since_ms = { delay = "7d" }
"#;
pub const HEADER: &str = "id,pan,when,amount,cur,shop,mcc,land,resp,fraud,unused";
pub const ROW: &str = "1,4111 1111 1111 1111,23/11/2026 03:00:00,12.34,euro,Spar,5411,Belgium,00,1,x";

pub fn salts(name: &str) -> Option<String> {
    (name == "SALT").then(|| "a salt of 16 bytes".to_owned())
}

pub fn map(text: &str) -> Arc<RowMap> {
    match RowMap::parse(text, "map.toml", &salts) {
        Ok(map) => Arc::new(map),
        Err(problems) => panic!("{problems:#?}"),
    }
}

/// A file's end: each row by its line, and the account.
#[derive(Debug, Default)]
pub struct Ran {
    pub events: Vec<(u64, Value)>,
    pub skipped: Vec<u64>,
    pub refused: Vec<RefusedRow>,
    pub account: RowAccount,
    pub fault: Option<InputFault>,
}

pub fn run(map_text: &str, file: &[u8]) -> Ran {
    let mut ran = Ran::default();
    let mut translator = match Translator::new(file, map(map_text)) {
        Ok(translator) => translator,
        Err(fault) => {
            ran.fault = Some(fault);
            return ran;
        }
    };
    loop {
        match translator.next() {
            Ok(Some(Translated::Events { line, events })) => {
                let read = events.iter().map(|event| serde_json::from_slice(event).unwrap());
                ran.events.extend(read.map(|event| (line, event)));
            }
            Ok(Some(Translated::Skipped { line })) => ran.skipped.push(line),
            Ok(Some(Translated::Refused(refused))) => ran.refused.push(refused),
            Ok(None) => break,
            Err(fault) => {
                ran.fault = Some(fault);
                break;
            }
        }
    }
    ran.account = translator.account();
    ran
}

/// The map's table with these rows.
pub fn table(rows: &[&str]) -> String {
    format!("{HEADER}\n{}\n", rows.join("\n"))
}

/// The only refusal of a row, with its code, column and line.
pub fn refusal(map_text: &str, file: &str) -> RefusedRow {
    let ran = run(map_text, file.as_bytes());
    assert!(ran.fault.is_none(), "{ran:?}");
    assert_eq!(ran.refused.len(), 1, "{ran:?}");
    ran.refused[0].clone()
}
