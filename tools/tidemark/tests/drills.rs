//! Every page of the runbook is carried out on a local AWS with the trouble really there.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and prints recovery times"
)]

use std::path::Path;
use std::process::Command;

use rehearse::drill::page::PAGES;

/// Pages carried out at the same time: a drill waits most of its time.
const LANES: usize = 3;

fn drill(page: &str) -> Result<u64, String> {
    let folder = tempfile::tempdir().unwrap();
    let command = Path::new(env!("CARGO_BIN_EXE_tidemark"));
    let output = Command::new(command)
        .args(["drill", page, "--json", "--data-dir"])
        .arg(folder.path())
        .arg("--score-binary")
        .arg(command.with_file_name("score"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let reports: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| format!("{page}: {error}\n{}", String::from_utf8_lossy(&output.stderr)))?;
    let recovery_ms = reports[0]["recovery_ms"].as_u64();
    match recovery_ms {
        Some(recovery_ms) if output.status.success() && reports[0]["passed"] == true => Ok(recovery_ms),
        _ => Err(format!("{page}: {reports:#}")),
    }
}

#[test]
fn every_page_of_the_runbook_works_and_the_trouble_ends() {
    let pages: Vec<&str> = PAGES.iter().map(|(name, _)| *name).collect();
    assert!(pages.len() >= 15, "{pages:?}");
    let next = std::sync::Mutex::new(pages.iter());
    let failed = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                loop {
                    let Some(page) = next.lock().unwrap().next() else {
                        return;
                    };
                    match drill(page) {
                        Ok(recovery_ms) => eprintln!("{page}: over after {recovery_ms} ms"),
                        Err(why) => failed.lock().unwrap().push(why),
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
