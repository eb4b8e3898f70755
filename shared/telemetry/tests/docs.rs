//! The references list every metric and every error code as they are.
#![allow(clippy::panic)]

use tidemark_telemetry::{ErrorCode, Metric};

fn page(name: &str) -> String {
    let path = format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("docs/{name}: {error}"))
}

#[test]
fn every_metric_is_in_the_reference_and_nothing_else_is() {
    let page = page("reference/metrics.md");
    for metric in Metric::ALL {
        let row = format!(
            "| `{}` | {} | {} |",
            metric.name(),
            metric.unit().as_str(),
            metric.meaning()
        );
        assert!(page.contains(&row), "docs/reference/metrics.md should say: {row}");
    }
    let rows = page
        .lines()
        .filter(|line| line.contains("| Count |") || line.contains("| Milliseconds |") || line.contains("| None |"))
        .count();
    assert_eq!(
        rows,
        Metric::ALL.len(),
        "a row of docs/reference/metrics.md names no metric"
    );
}

#[test]
fn every_error_code_has_its_page_and_its_row() {
    let index = page("reference/errors.md");
    for code in ErrorCode::ALL {
        let row = format!("| [{code}](../errors/{code}.md) | {} |", code.meaning());
        assert!(index.contains(&row), "docs/reference/errors.md should say: {row}");
        let page = page(&format!("errors/{code}.md"));
        assert!(
            page.starts_with(&format!("# {code}: ")),
            "docs/errors/{code}.md begins with its code"
        );
        for part in ["## What it means", "## What to do"] {
            assert!(page.contains(part), "docs/errors/{code}.md lacks {part:?}");
        }
    }
    let rows = index.lines().filter(|line| line.starts_with("| [TM-")).count();
    assert_eq!(
        rows,
        ErrorCode::ALL.len(),
        "a row of docs/reference/errors.md names no code"
    );
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let pages = files.filter(|name| name.to_string_lossy().starts_with("TM-")).count();
    assert_eq!(pages, ErrorCode::ALL.len(), "a page of docs/errors has no code");
}
