//! What the tracked files may hold: no ambient time, randomness or I/O in the core; short files; links that lead somewhere;
//! nothing of one machine.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use e2e::{TrackedFile, tracked_files};

/// Lines of the longest file of code.
const LINES_MAX: usize = 500;

fn files_ending(endings: &[&str]) -> Vec<TrackedFile> {
    let found: Vec<TrackedFile> = tracked_files()
        .unwrap()
        .into_iter()
        .filter(|file| endings.iter().any(|ending| file.path.ends_with(ending)))
        .collect();
    assert!(!found.is_empty(), "no files ending in {endings:?}");
    found
}

/// Code without its unit tests and comments.
fn production_code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod ").unwrap_or(text.len());
    text[..end]
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// What the core must not name, and why.
const IMPURE: [(&str, &str); 13] = [
    ("SystemTime", "the time comes with the record or from the Clock port"),
    ("Instant", "the time comes with the record or from the Clock port"),
    ("std::net", "I/O is at the rim"),
    ("std::fs", "I/O is at the rim"),
    ("std::io::std", "I/O is at the rim"),
    ("std::env", "configuration comes in as a value"),
    ("std::process", "I/O is at the rim"),
    ("std::thread", "the driver of the rim runs the futures"),
    ("tokio", "the core has no runtime"),
    ("aws_", "AWS is at the rim"),
    ("RandomState", "its order differs with each run"),
    (
        "HashMap::new(",
        "its order differs with each run: BTreeMap, or a map with a fixed hasher",
    ),
    (
        "HashSet::new(",
        "its order differs with each run: BTreeSet, or a set with a fixed hasher",
    ),
];

fn impurities(code: &str) -> Vec<String> {
    let mut found: Vec<String> = IMPURE
        .iter()
        .filter(|(fragment, _)| contains_word(code, fragment))
        .map(|(fragment, reason)| format!("{fragment}: {reason}"))
        .collect();
    // A map with two type arguments has the random hasher, however it is made.
    for kind in ["HashMap<", "HashSet<"] {
        for (start, _) in code.match_indices(kind) {
            if !names_a_hasher(&code[start..], kind.starts_with("HashMap")) {
                found.push(format!(
                    "{kind}…> without a fixed hasher: its order differs with each run"
                ));
            }
        }
    }
    found
}

/// Whether the fragment stands there and does not begin in the middle of a longer name.
fn contains_word(code: &str, fragment: &str) -> bool {
    code.match_indices(fragment).any(|(start, _)| {
        let before = code[..start].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
    })
}

/// Whether the type arguments that begin with the first `<` have one more than the map's own.
fn names_a_hasher(code: &str, is_map: bool) -> bool {
    let mut depth = 0;
    let mut commas = 0;
    for letter in code.chars().skip_while(|letter| *letter != '<') {
        match letter {
            '<' | '(' | '[' => depth += 1,
            '>' | ')' | ']' => depth -= 1,
            ',' if depth == 1 => commas += 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    commas > usize::from(is_map)
}

#[test]
fn the_core_reads_no_clock_and_does_no_io() {
    let core: Vec<TrackedFile> = files_ending(&[".rs"])
        .into_iter()
        .filter(|file| file.path.starts_with("shared/domain/src/") || file.path.starts_with("shared/engine/src/"))
        .filter(|file| !file.path.ends_with("tests.rs") && !file.path.contains("/tests/"))
        .collect();
    assert!(core.len() > 10, "{} files of the core", core.len());
    let found: Vec<String> = core
        .iter()
        .flat_map(|file| {
            impurities(&production_code(&file.text))
                .into_iter()
                .map(|what| format!("{}: {what}", file.path))
        })
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_look_for_impurities_is_not_blind() {
    let impure = [
        "let now = SystemTime::now();",
        "use std::time::Instant;",
        "let map: HashMap<K, V> = HashMap::default();",
        "let set: HashSet<(u8, u8)> = x;",
        "std::env::var(\"HOME\")",
        "tokio::spawn(work)",
    ];
    for code in impure {
        assert!(!impurities(code).is_empty(), "{code}");
    }
    let pure = [
        "type Map<K, V> = HashMap<K, V, Fixed>;",
        "let instantaneous = 1;",
        "// SystemTime",
        "let BTreeMap<A, B>;",
    ];
    for code in pure {
        assert_eq!(impurities(&production_code(code)), Vec::<String>::new(), "{code}");
    }
}

#[test]
fn no_file_of_code_is_longer_than_a_reader_bears() {
    let long: Vec<String> = files_ending(&[".rs", ".py", ".sh", ".guard"])
        .iter()
        .map(|file| (file.text.lines().count(), &file.path))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .map(|(lines, path)| format!("{path}: {lines} lines, at most {LINES_MAX}"))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn nothing_names_a_folder_of_one_machine() {
    // Put together here, so that this file does not find itself.
    let folders = ["work/", "root/", "home/", "Users/", "tmp/venvs", "tmp/target"].map(|folder| format!("/{folder}"));
    let found: Vec<String> = tracked_files()
        .unwrap()
        .iter()
        .flat_map(|file| {
            file.text
                .lines()
                .enumerate()
                .map(move |(number, line)| (&file.path, number + 1, line))
        })
        .filter(|(_, _, line)| folders.iter().any(|folder| starts_a_path(line, folder)))
        .map(|(path, number, line)| format!("{path}:{number}: {}", line.trim()))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Whether the folder stands in the line at the beginning of a path, and not inside a longer one.
fn starts_a_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || "._-}*/".contains(letter))
    })
}

#[test]
fn every_link_of_the_documents_leads_somewhere() {
    let documents = files_ending(&[".md"]);
    let mut broken = Vec::new();
    let mut followed = 0;
    for document in &documents {
        for target in links(&document.text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            followed += 1;
            if let Some(problem) = broken_link(document, target, &documents) {
                broken.push(format!("{}: ({target}) {problem}", document.path));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(followed > 0, "no link was found: the look is blind");
}

fn broken_link(document: &TrackedFile, target: &str, documents: &[TrackedFile]) -> Option<String> {
    let (path, anchor) = target
        .split_once('#')
        .map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let folder = Path::new(&document.path).parent().unwrap();
    let place = if path.is_empty() {
        PathBuf::from(&document.path)
    } else {
        resolved(&folder.join(path))
    };
    if !e2e::workspace_root().join(&place).exists() {
        return Some("no such file".to_owned());
    }
    let anchor = anchor?;
    let text = documents
        .iter()
        .find(|other| Path::new(&other.path) == place)
        .map(|other| &other.text)?;
    (!anchors(text).contains(anchor)).then(|| "no such heading".to_owned())
}

/// The path without `.` and `..`.
fn resolved(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                parts.pop();
            }
            Component::CurDir => {}
            other => parts.push(other),
        }
    }
    parts
}

/// The lines of a document that are not inside a block of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    })
}

/// The targets of `[text](target)`.
fn links(text: &str) -> Vec<&str> {
    prose(text)
        .flat_map(|line| line.match_indices("](").map(move |(start, _)| &line[start + 2..]))
        .filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
        .collect()
}

/// The headings as they are linked to: lower case, spaces as dashes, no punctuation.
fn anchors(text: &str) -> BTreeSet<String> {
    prose(text)
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter(|letter| letter.is_alphanumeric() || "- _".contains(*letter))
                .map(|letter| if letter == ' ' { '-' } else { letter })
                .collect()
        })
        .collect()
}
