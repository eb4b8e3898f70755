//! Every error code of the command stands in docs/reference/command.md, and none that the command does not have.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

fn codes_in(folder: &Path, codes: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            codes_in(&path, codes);
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            for maker in [
                "CliError::machine(",
                "CliError::service(",
                "CliError::input(",
                "CliError::refused(",
                "CliError::usage(",
            ] {
                for call in text.split(maker).skip(1) {
                    let code = call
                        .trim_start()
                        .strip_prefix('"')
                        .and_then(|rest| rest.split('"').next());
                    codes.extend(code.map(str::to_owned));
                }
            }
        }
    }
}

#[test]
fn every_error_code_is_in_the_reference() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut codes = BTreeSet::new();
    codes_in(&root.join("src"), &mut codes);
    let page = std::fs::read_to_string(root.join("../../docs/reference/command.md")).unwrap();
    let table = page
        .split("## Error codes")
        .nth(1)
        .unwrap()
        .split("\n## ")
        .next()
        .unwrap();
    let documented: BTreeSet<String> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next().map(str::to_owned))
        .collect();
    assert!(codes.len() > 20, "the search finds the codes: {codes:?}");
    assert_eq!(codes, documented);
}
