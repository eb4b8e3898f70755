//! What the README tells people to type works as it stands there, and gives the figures that stand beside it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The README's section under this heading.
fn section(heading: &str) -> String {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md")).unwrap();
    let rest = readme.split(&format!("\n## {heading}\n")).nth(1);
    let rest = rest.unwrap_or_else(|| panic!("the README has no section {heading:?}"));
    rest.split("\n## ").next().unwrap().to_owned()
}

/// The commands of its first block.
fn commands(section: &str) -> Vec<Vec<String>> {
    let block = section.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    block.lines().map(words).collect()
}

#[test]
fn the_example_of_learning_runs_as_written_and_gives_its_figures() {
    let section = section("Learn from labels");
    let commands = commands(&section);
    let verbs: Vec<&str> = commands.iter().map(|words| words[2].as_str()).collect();
    assert_eq!(verbs, ["simulate", "train", "backtest"]);
    let folder = tempfile::tempdir().unwrap();
    // The example names the built-in policy as it stands in a clone.
    let policies = "shared/domain/policies";
    std::fs::create_dir_all(folder.path().join(policies)).unwrap();
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(policies)
        .join("default.toml");
    std::fs::copy(built_in, folder.path().join(policies).join("default.toml")).unwrap();
    let mut last = Vec::new();
    for words in &commands {
        assert_eq!(words[..2], ["cargo", "tidemark"]);
        let output = Command::new(env!("CARGO_BIN_EXE_tidemark"))
            .current_dir(folder.path())
            .arg("--json")
            .args(&words[2..])
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{words:?}: {stderr}");
        last = output.stdout;
    }
    let found: Value = serde_json::from_slice(&last).unwrap();
    let figure = |policy: usize, name: &str| found["policies"][policy]["whole"][name].as_f64().unwrap();
    let said = |value: f64| format!("{value:.2}").trim_start_matches('0').to_owned();
    for name in ["auc", "ap"] {
        let change = format!("{} to {}", said(figure(0, name)), said(figure(1, name)));
        assert!(section.contains(&change), "the README does not say {change} of {name}");
    }
    let page = std::fs::read_to_string(folder.path().join("backtest.html")).unwrap();
    assert!(page.ends_with("</html>\n") && page.matches("<svg").count() == 4);
    for outside in ["http://", "https://", "<script", "src=\"", "@import", "url("] {
        let inside = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!inside.contains(outside), "{outside}");
    }
    assert!(!page.contains("NaN") && !page.contains("inf"), "a figure that is none");
}
