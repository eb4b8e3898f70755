//! Parquet files, in the shape that pandas gives them.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::Desk;

/// A map of the file that pandas wrote for the tests of the crate `columns`.
const MAP_OF_PARQUET: &str = r#"version = 1
[input]
format = "parquet"
[transaction]
event_id = { from = "Trans No", prefix = "t-" }
card_id = { from = "PAN" }
occurred_at_ms = { from = "clock", zone = "Europe/Brussels" }
amount_minor = { from = "amount", unit = "decimal" }
currency = { value = "EUR" }
merchant_id = { from = "kind" }
mcc = { value = 5411 }
country = { value = "BE" }
channel = { value = "point_of_sale" }
approved = { from = "fraud", values = { "true" = false, "false" = true } }
"#;

#[test]
fn a_parquet_file_is_read_as_it_is_and_a_pipe_of_one_is_told_what_to_do() {
    let desk = Desk::new();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../columns/tests/files/pandas.parquet");
    std::fs::copy(&file, desk.folder.path().join("rows.parquet")).unwrap();
    let draft = desk.json(0, &["map", "suggest", "rows.parquet"]);
    let text = draft["map"].as_str().unwrap();
    assert!(
        text.contains("format = \"parquet\"") && text.contains("\"Trans No\""),
        "{text}"
    );
    assert_eq!((&draft["rows"], &draft["unreadable"]), (&3.into(), &0.into()));

    desk.write("map.toml", MAP_OF_PARQUET);
    let account = desk.json(1, &["map", "check", "map.toml", "rows.parquet"]);
    // The second row has no amount, and the third no card.
    assert_eq!(account["account"]["refused_total"], 2, "{account}");
    desk.run(&["map", "apply", "map.toml", "rows.parquet", "-o", "events.jsonl"]);
    let event: Value = serde_json::from_str(&desk.read("events.jsonl")).unwrap();
    assert_eq!(
        (&event["event_id"], &event["amount_minor"], &event["occurred_at_ms"]),
        (&"t-900001".into(), &1_234.into(), &1_795_572_000_123_i64.into())
    );
    let scored = desk.json(
        1,
        &[
            "score",
            "--map",
            "map.toml",
            "-i",
            "rows.parquet",
            "-o",
            "outcomes.jsonl",
        ],
    );
    assert_eq!(scored["scored"], 1, "{scored}");

    // As a table it is called by what it is, and a cut one is damaged.
    desk.write("table.toml", &MAP_OF_PARQUET.replace("\"parquet\"", "\"csv\""));
    let error = desk.json(5, &["map", "check", "table.toml", "rows.parquet"]);
    assert_eq!(error["error"]["code"], "map_input");
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(desk.folder.path().join("cut.parquet"), &whole[..whole.len() - 9]).unwrap();
    let error = desk.json(5, &["map", "check", "map.toml", "cut.parquet"]);
    assert_eq!(error["error"]["code"], "input_file");
    let output = Command::new("sh")
        .current_dir(desk.folder.path())
        .args([
            "-c",
            "cat rows.parquet | \"$0\" map check map.toml -",
            env!("CARGO_BIN_EXE_tidemark"),
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(5) && said.contains("by its name"),
        "{said}"
    );
}
