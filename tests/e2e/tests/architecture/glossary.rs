//! docs/glossary.md keeps its promise: one word, one meaning.

use std::collections::BTreeMap;

use e2e::tracked_files;

/// Where the words stand.
const PAGE: &str = "docs/glossary.md";

/// From this heading on the page lists names that others read, which may say a word otherwise.
const CONTRACTS: &str = "\n## Where a contract says it otherwise";

/// What an entry says that has a second meaning, or that the code does not follow.
const TELLTALES: [&str; 4] = [
    " also ",
    "The code calls",
    "The code and these documents",
    "has no name for",
];

/// A word and what it means. The word itself stands before a comma or a bracket: `run, of a redrive` is about `run`.
fn entries(page: &str) -> Vec<(&str, &str)> {
    let words = page.split(CONTRACTS).next().unwrap_or_default();
    let cells = words.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.splitn(2, " | ");
        let word = cells.next()?.split([',', '(']).next()?.trim();
        Some((word, cells.next()?))
    });
    cells.filter(|(word, _)| *word != "word").collect()
}

/// What is wrong with the entries.
fn problems(entries: &[(&str, &str)]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (word, meaning) in entries {
        *seen.entry(word).or_default() += 1;
        if let Some(told) = TELLTALES.iter().find(|told| meaning.contains(**told)) {
            problems.push(format!(
                "{word}: an entry that says \u{201c}{}\u{201d} has two words or two meanings",
                told.trim()
            ));
        }
    }
    let twice = seen.into_iter().filter(|(_, times)| *times > 1);
    problems.extend(twice.map(|(word, times)| format!("{word} stands there {times} times")));
    problems
}

#[test]
fn each_word_stands_there_once_with_one_meaning() {
    let files = tracked_files().unwrap();
    let page = files.iter().find(|file| file.path == PAGE).expect(PAGE);
    assert!(page.text.contains(CONTRACTS), "the page has lost its last table");
    let entries = entries(&page.text);
    assert!(entries.len() > 100, "{} words: the look is blind", entries.len());
    let problems = problems(&entries);
    assert!(problems.is_empty(), "{PAGE}:\n{}", problems.join("\n"));
}

#[test]
fn a_word_with_two_meanings_is_found() {
    let page = "| word | what it means | where |\n|---|---|---|\n| run, of a redrive | All calls. | `a.rs` |\n\
                | run (ours) | A card's events. | `b.rs` |\n| leaf | The code calls it tip. | `c.rs` |\n\
                \n## Where a contract says it otherwise\n| leaf | x | y |\n";
    assert_eq!(entries(page).len(), 3);
    let told = problems(&entries(page)).join("; ");
    assert_eq!(
        told,
        "leaf: an entry that says \u{201c}The code calls\u{201d} has two words or two meanings; run stands there 2 times"
    );
}
