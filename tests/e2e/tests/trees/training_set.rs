//! The page of the training set, carried out: the real command writes the files, pandas, DuckDB and XGBoost read them, and the model
//! that comes of it is one of ours.

#![allow(clippy::disallowed_methods, reason = "the page's times are relative to now")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use e2e::{binary_folder, run, venv, workspace_root};
use serde_json::{Value, json};
use tidemark_cli as _; // asked for with its feature `parquet`, so that the command has it here
use tidemark_domain::trees::TreeModel;

const PAGE: &str = "docs/concepts/training-set.md";
const MS_PER_DAY: i64 = 86_400_000;
const DAYS: i64 = 40;
const CARDS: i64 = 30;

/// Features that the page names, and one of a key.
const POLICY: &str = r#"version = 1
windows_minutes = [1440, 10080, 43200]
features = ["amount_ratio", "count_1d", "surprise.sum_7d", "terminal.fraud_run"]
[weights]
amount_ratio = 1
[thresholds]
review = 300
alert = 600
[[keys]]
name = "terminal"
field = "merchant_id"
keeps = "labelled"
"#;

/// The blocks of code of the page in a language, in their order.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let begin = format!("```{language}\n");
    let blocks = page.split(&begin).skip(1);
    blocks
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

/// One event a card and day, every tenth of them a fraud of a large amount, known two days later.
fn history() -> String {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let mut text = String::new();
    for day in 0..DAYS {
        for card in 0..CARDS {
            let at_ms = now_ms - (DAYS - day) * MS_PER_DAY + card * 60_000;
            let is_fraud = (day * 13 + card * 7) % 10 == 0;
            let amount = if is_fraud { 40_000 } else { 1_000 } + (day * 31 + card * 17) % 700;
            let event = json!({
                "schema": "transaction", "version": 1, "event_id": format!("e{day}, \"{card}\""), "card_id": format!("c{card}"),
                "occurred_at_ms": at_ms, "amount_minor": amount, "currency": "EUR", "merchant_id": format!("m{}", card % 5),
                "mcc": 5411, "country": "FR", "channel": "ecommerce", "approved": true,
            });
            let label = json!({
                "schema": "label", "version": 1, "event_id": event["event_id"], "card_id": event["card_id"],
                "verdict": "fraud", "known_since_ms": at_ms + 2 * MS_PER_DAY,
            });
            let _ = writeln!(text, "{event}");
            if is_fraud {
                let _ = writeln!(text, "{label}");
            }
        }
    }
    text
}

fn python(folder: &Path, script: &str) -> String {
    std::fs::write(folder.join("page.py"), script).unwrap();
    run(venv("xgboost")
        .unwrap()
        .command("python")
        .current_dir(folder)
        .arg("page.py"))
    .unwrap()
}

#[test]
fn what_the_page_of_the_training_set_shows_works() {
    let page = std::fs::read_to_string(workspace_root().join(PAGE)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("history.jsonl"), history()).unwrap();
    std::fs::write(folder.join("policy.toml"), POLICY).unwrap();
    let shell = blocks(&page, "sh").concat();
    let commands: Vec<&str> = shell
        .lines()
        .filter_map(|line| line.strip_prefix("tidemark "))
        .collect();
    assert_eq!(commands.len(), 2, "{shell}");
    for words in commands {
        let mut command = Command::new(binary_folder().unwrap().join("tidemark"));
        run(command.current_dir(folder).args(words.split(' '))).unwrap();
    }
    let snippets = blocks(&page, "python");
    assert_eq!(snippets.len(), 3);
    let said = python(folder, &snippets.concat());
    // 28 days of the 40, 30 events each; of three frauds a day those of the last day were not known yet a day ago.
    assert!(said.contains("840 events, 80 of them fraud"), "{said}");
    assert!(said.contains("decision") && said.contains("late-logloss:0.0"), "{said}");

    // Both files hold the same rows.
    let apart = "import duckdb\nfor one, other in [('csv', 'parquet'), ('parquet', 'csv')]:\n    \
                 print(len(duckdb.sql(f\"from 'rows.{one}' except from 'rows.{other}'\").fetchall()))\n\
                 print(duckdb.sql(\"select count(*) from 'rows.parquet' where \\\"terminal.fraud_run\\\" > 0\").fetchall())\n\
                 print([kind for _, kind, *_ in duckdb.sql(\"describe from 'rows.parquet'\").fetchall()][:8])";
    let said = python(folder, apart);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..2], ["0", "0"], "{said}");
    assert_ne!(lines[2], "[(0,)]", "{said}");
    let kinds = "['VARCHAR', 'VARCHAR', 'BIGINT', 'BIGINT', 'BIGINT', 'VARCHAR', 'BIGINT', 'DOUBLE']";
    assert_eq!(lines[3], kinds, "{said}");

    let model = TreeModel::from_xgboost(&std::fs::read(folder.join("model.json")).unwrap()).unwrap();
    let policy: Value = json!(["amount_ratio", "count_1d", "surprise.sum_7d", "terminal.fraud_run"]);
    assert_eq!(json!(model.features()), policy);
}
