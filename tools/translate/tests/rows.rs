//! What rows become.

use serde_json::json;
use tidemark_domain::contract::{Bounds, decode};

use translate::{Translated, Translator};

use crate::world::{HEADER, MAP, ROW, map, run, table};

const AT_MS: i64 = 1_795_399_200_000;

#[test]
fn a_row_becomes_its_transaction_and_its_label() {
    let ran = run(MAP, table(&[ROW]).as_bytes());
    assert!(ran.refused.is_empty() && ran.fault.is_none(), "{ran:?}");
    let card = "c-87f4bf45e0cba6aab8cac481bc1b576c";
    let transaction = json!({
        "schema": "transaction", "version": 1, "event_id": "t-1", "card_id": card, "occurred_at_ms": AT_MS, "amount_minor": 1234,
        "currency": "EUR", "merchant_id": "Spar", "mcc": 5411, "country": "BE", "channel": "point_of_sale", "approved": true,
    });
    let label = json!({
        "schema": "label", "version": 2, "event_id": "t-1", "card_id": card, "verdict": "fraud",
        "known_since_ms": AT_MS + 7 * 86_400_000, "occurred_at_ms": AT_MS, "merchant_id": "Spar",
    });
    assert_eq!(ran.events, [(2, transaction), (2, label)]);
    let account = &ran.account;
    assert_eq!(
        (account.rows, account.translated, account.transactions, account.labels),
        (1, 1, 1, 1)
    );
}

#[test]
fn values_are_translated_left_to_others_or_taken_for_nothing() {
    let row = |rest: &str| format!("2,5,23/11/2026 03:00:00,{rest}");
    let rows = [
        row("100,yen,A,,,51,0,x"),
        row("1,pound,A,,,,,x"),
        row("1,,A,5411.0,Belgium,00,,x"),
    ];
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let ran = run(MAP, table(&rows).as_bytes());
    let said = |at: usize, name: &str| ran.events[at].1[name].clone();
    assert_eq!(ran.events.len(), 2, "{ran:?}");
    assert_eq!(
        (said(0, "amount_minor"), said(0, "currency"), said(0, "mcc")),
        (100.into(), "JPY".into(), 5999.into())
    );
    assert_eq!((said(0, "approved"), said(1, "currency")), (false.into(), "EUR".into()));
    assert_eq!(
        (said(1, "amount_minor"), said(1, "mcc"), said(1, "approved")),
        (100.into(), 5411.into(), true.into())
    );
    // Where a list says what values mean, nothing is no value that is not listed.
    assert_eq!(
        (ran.refused[0].code, ran.refused[0].column.as_deref()),
        ("empty_value", Some("resp"))
    );
    // A verdict of "none", and no verdict at all, are no label.
    assert_eq!((ran.account.labels, ran.account.translated), (0, 2));
}

#[test]
fn every_delimiter_quotes_marks_and_ends_of_lines_of_windows_are_read() {
    let map = format!("{MAP}[input]\ndelimiter = \";\"\nquote = \"'\"\nempty = [\"NULL\"]\n");
    let header = HEADER.replace(',', ";");
    let row = "1;4111;23/11/2026 03:00:00;12.34;NULL;'Spar; ''t Hof\n2';5411;Belgium;00;0;x";
    let file = format!("\u{feff}{header}\r\n\r\n{row}\r\n   \r\n{row}");
    let ran = run(&map, file.as_bytes());
    assert!(ran.refused.len() == 2, "{ran:?}");
    assert_eq!(
        (ran.refused[0].code, ran.refused[0].line, ran.refused[1].line),
        ("unprintable_id", 3, 6)
    );
    assert_eq!(
        (ran.refused[0].column.as_deref(), ran.refused[0].column_number),
        (Some("shop"), Some(6))
    );
    let file = file.replace("Hof\n2", "Hof 2");
    let ran = run(&map, file.as_bytes());
    assert_eq!(ran.events[1].1["merchant_id"], "Spar; 't Hof 2");
    let lines: Vec<u64> = ran.events.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [3, 5]);
    let tabs = MAP.to_owned() + "[input]\ndelimiter = \"\\t\"\n";
    let file = table(&[ROW]).replace(',', "\t");
    assert_eq!(run(&tabs, file.as_bytes()).events.len(), 2);
}

#[test]
fn a_table_without_names_takes_those_of_the_map() {
    let names = HEADER
        .split(',')
        .map(|name| format!("{name:?}"))
        .collect::<Vec<_>>()
        .join(",");
    let map = format!("{MAP}[input]\ncolumns = [{names}]\n");
    let ran = run(&map, format!("{ROW}\n{ROW}").as_bytes());
    assert_eq!(ran.events.len(), 4, "{ran:?}");
    assert_eq!(ran.events[0].0, 1);
}

const OBJECTS: &str = r#"
version = 1
[input]
format = "json_lines"
[skip]
from = "/state"
is = ["test"]
[[kinds]]
when = { from = "type", is = ["purchase"] }
[kinds.transaction]
event_id = { from = "/ids/event" }
card_id = { from = ["/ids/bank", "/ids/card"], join = "-" }
occurred_at_ms = { from = "at", time = "epoch_s" }
amount_minor = { from = "cents", unit = "minor" }
currency = { from = "cur" }
merchant_id = { from = "/shop~1name", lower = true }
mcc = { from = "mcc" }
country = { from = "country" }
channel = { from = "channel" }
approved = { from = "ok" }
device_id = { from = "device" }
latitude = { from = "/place/0" }
longitude = { from = "/place/1" }
account_opened_at_ms = { from = "opened", zone = "UTC" }
[kinds.transaction.links]
ip = { from = "ip", hash = "sha256", salt_env = "SALT" }
[[kinds]]
when = { from = "type", is = ["chargeback"] }
[kinds.label]
event_id = { from = "/ids/event" }
card_id = { from = ["/ids/bank", "/ids/card"], join = "-" }
verdict = { value = "fraud" }
known_since_ms = { from = "at", time = "epoch_s", delay = "1h" }
"#;

#[test]
fn objects_are_read_by_pointers_and_kinds() {
    let file = r#"{"type":"purchase","ids":{"event":17,"bank":"b","card":"c"},"at":1795399200.25,"cents":1234,"cur":"EUR","shop/name":"SPAR",
"mcc":5411,"country":"BE","channel":"atm","ok":true,"device":null,"place":[50.85,4.35],"opened":"2020-01-31","ip":"10.0.0.1"}
{"type":"chargeback","ids":{"event":17,"bank":"b","card":"c"},"at":1795399200}

{"type":"purchase","state":"test"}
{"type":"refund"}
"#;
    let file = file.replacen(",\n\"mcc\"", ",\"mcc\"", 1);
    let ran = run(OBJECTS, file.as_bytes());
    assert!(ran.fault.is_none() && ran.events.len() == 2, "{ran:?}");
    let (line, event) = &ran.events[0];
    assert_eq!((*line, &event["version"]), (1, &3.into()));
    assert_eq!((&event["event_id"], &event["card_id"]), (&"17".into(), &"b-c".into()));
    assert_eq!(
        (&event["occurred_at_ms"], &event["merchant_id"]),
        (&(AT_MS + 250).into(), &"spar".into())
    );
    assert_eq!((&event["latitude"], &event.get("device_id")), (&50.85.into(), &None));
    assert_eq!(event["account_opened_at_ms"], 1_580_428_800_000_i64);
    let ip = event["links"]["ip"].as_str().unwrap();
    assert!(ip.len() == 32 && ip != "10.0.0.1", "{ip}");
    let (line, label) = &ran.events[1];
    assert_eq!((*line, &label["version"]), (2, &1.into()));
    assert_eq!(label["known_since_ms"], AT_MS + 3_600_000);
    assert_eq!(ran.skipped, [4]);
    assert_eq!((ran.refused[0].code, ran.refused[0].line), ("no_kind", 5));
    assert_eq!(ran.refused[0].value.as_deref(), Some("refund"));
    assert_eq!(
        (ran.account.rows, ran.account.skipped, ran.account.refused_total),
        (4, 1, 1)
    );
}

/// Whatever the rows say: what comes out, the contract takes.
#[test]
fn every_event_is_one_of_the_contract() {
    let amounts = ["12.34", "0", "-5", "1e9", "999999999999999", "", "12,30"];
    let times = [
        "23/11/2026 03:00:00",
        "25/10/2026 02:30:00",
        "31/02/2026 00:00:00",
        "01/01/1969 00:00:00",
        "now",
    ];
    let shops = ["Spar", "", "4111111111111111", "\"a\tb\"", "東京", "x y"];
    let mut rows = Vec::new();
    for amount in amounts {
        for time in times {
            rows.extend(shops.map(|shop| format!("{},7,{time},{amount},euro,{shop},5411,Belgium,00,1,x", rows.len())));
        }
    }
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let ran = run(MAP, table(&rows).as_bytes());
    assert_eq!(ran.account.rows, rows.len() as u64);
    assert_eq!(ran.account.rows, ran.account.translated + ran.account.refused_total);
    assert!(
        ran.account.translated > 0 && ran.account.refused_by_code.len() > 5,
        "{:?}",
        ran.account
    );
    for (line, event) in &ran.events {
        let arrival_ms = if event["schema"] == "label" {
            &event["known_since_ms"]
        } else {
            &event["occurred_at_ms"]
        };
        let read = decode(
            event.to_string().as_bytes(),
            arrival_ms.as_i64().unwrap(),
            &Bounds::BUILT_IN,
        );
        assert_eq!(
            read.unwrap_or_else(|refusal| panic!("{line}: {refusal}"))
                .unknown_fields,
            0
        );
    }
}

#[test]
fn whoever_asks_again_after_the_end_is_given_no_row_a_second_time() {
    let text = table(&[ROW]);
    let mut translator = Translator::new(text.as_bytes(), map(MAP)).unwrap();
    assert!(matches!(translator.next(), Ok(Some(Translated::Events { .. }))));
    for _ in 0..2 {
        assert!(matches!(translator.next(), Ok(None)));
        assert!(translator.events().1.is_empty());
    }
}
