//! Every error code of the command has a page and stands in docs/reference/command.md, and none that the command does not have.

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

fn codes() -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for of_command in ["terminal", "operate", "deploy", "rehearse", "tidemark"] {
        codes_in(&tools.join(of_command).join("src"), &mut codes);
    }
    assert!(codes.len() > 40, "the search finds the codes: {codes:?}");
    codes
}

/// Every code of the command, of the functions and of refusals has a page, and no page is without its code.
#[test]
fn every_error_code_has_its_page() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    let mut pages = BTreeSet::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = name.strip_suffix(".md").unwrap().to_owned();
        // Held to their own lists: by the telemetry crate, and by the contract's tests.
        if !name.starts_with("TM-") && name != "refusals" {
            pages.insert(name);
        }
    }
    assert_eq!(codes(), pages);
    for code in pages {
        let page = std::fs::read_to_string(folder.join(format!("{code}.md"))).unwrap();
        assert!(
            page.starts_with(&format!("# {code}: ")),
            "docs/errors/{code}.md begins with its code"
        );
        for part in ["## What it means\n", "## What to do\n"] {
            assert!(page.contains(part), "docs/errors/{code}.md lacks {part:?}");
        }
    }
}

/// What `redrive` and `dlq` say of a message is a code of the functions.
#[test]
fn malformed_messages_have_codes_of_the_functions() {
    use operate::account::message::Malformed;
    let errors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    for malformed in [
        Malformed::NotJson,
        Malformed::OtherShape,
        Malformed::OtherStream,
        Malformed::SequenceNumber,
        Malformed::Reversed,
    ] {
        assert!(
            errors.join(format!("{}.md", malformed.code())).is_file(),
            "{malformed:?}"
        );
    }
}

#[test]
fn every_error_code_is_in_the_reference() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let codes = codes();
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
        .filter_map(|line| line.strip_prefix("| [`")?.split('`').next().map(str::to_owned))
        .collect();
    assert_eq!(codes, documented);
}
