//! The page's other shape: the columns of the Fraud Detection Handbook's stream.

use std::fmt::Write as _;
use std::process::Command;

use serde_json::Value;

use super::{Desk, Numbers, ROWS, edit, page};

/// A table of the stream's columns over its 137 days, with five terminals where two thirds of everything is fraud.
fn table(header: &str) -> String {
    let mut numbers = Numbers(11);
    let mut text = format!("{header}\n");
    let mut seconds = 0;
    for number in 0..ROWS {
        seconds += 1_000 + numbers.below(2_600);
        let (customer, terminal) = (numbers.below(80), numbers.below(100));
        let is_fraud = terminal % 20 == 3 && numbers.below(3) > 0;
        let cents = 100 + numbers.below(9_000);
        writeln!(
            text,
            "{number},{seconds},{customer},{terminal},{cents},{0},{0}",
            u8::from(is_fraud)
        )
        .unwrap();
    }
    text
}

#[test]
fn the_page_takes_the_handbooks_shape_as_it_is_written() {
    let (desk, page) = (Desk::new(), page());
    let part = page.split("\n## 8. ").nth(1).unwrap();
    let mut last = Value::Null;
    let mut blocks = part.split("```");
    blocks.next();
    for block in blocks.step_by(2) {
        if let Some(shown) = block.strip_prefix("text\n") {
            desk.write("transactions.csv", &table(shown.lines().next().unwrap()));
            let gzip = Command::new("gzip")
                .current_dir(desk.folder.path())
                .arg("transactions.csv")
                .status();
            assert!(gzip.unwrap().success());
        } else if let Some(lines) = block.strip_prefix("toml\n") {
            edit(&desk, lines);
        }
        for line in block.strip_prefix("sh\n").unwrap_or_default().lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            last = desk.json(0, &words[2..]);
        }
    }
    let ap = |policy: usize| last["policies"][policy]["whole"]["ap"].as_f64().unwrap();
    assert!(ap(1) > ap(0), "{last}");
}
