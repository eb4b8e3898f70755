//! The documents and the code speak of the same invariants.

use e2e::{TrackedFile, tracked_files};
use tidemark_domain::invariant::Invariant;

fn documents() -> Vec<TrackedFile> {
    let files = tracked_files().unwrap().into_iter();
    files.filter(|file| file.path.ends_with(".md")).collect()
}

fn document(path: &str) -> String {
    let documents = documents();
    let found = documents.into_iter().find(|document| document.path == path);
    found.unwrap_or_else(|| panic!("there is no {path}")).text
}

#[test]
fn the_architecture_has_each_invariant_in_its_own_words() {
    let page = document("ARCHITECTURE.md");
    let (_, section) = page.split_once("\n## Invariants\n").unwrap();
    let lines: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix("- ")).collect();
    assert_eq!(lines.len(), Invariant::ALL.len(), "{lines:?}");
    for (line, invariant) in lines.iter().zip(Invariant::ALL) {
        // A link may follow in the place of the full stop.
        let wanted = format!("{invariant} {}", invariant.sentence().trim_end_matches('.'));
        assert!(line.starts_with(&wanted), "{line}\nshould begin with\n{wanted}");
    }
}

#[test]
fn the_table_of_guarantees_names_each_by_its_own_words() {
    let page = document("docs/concepts/exactly-once.md");
    let mut rows = 0;
    for invariant in Invariant::ALL {
        let label = format!("({invariant})");
        for row in page
            .lines()
            .filter(|line| line.starts_with('|') && line.contains(&label))
        {
            let wanted = format!("| {} {label} |", invariant.short());
            assert!(row.starts_with(&wanted), "{row}\nshould begin with\n{wanted}");
            rows += 1;
        }
    }
    assert!(rows >= 5, "{rows} rows");
}

/// The invariants that a text names: an `I` and a number, by themselves.
fn named(text: &str) -> Vec<&str> {
    let words = text.split(|letter: char| !letter.is_alphanumeric());
    let is_label = |word: &&str| {
        word.strip_prefix('I')
            .is_some_and(|number| number.parse::<u32>().is_ok())
    };
    words.filter(is_label).collect()
}

#[test]
fn the_documents_name_no_invariant_that_there_is_not() {
    let mut seen = 0;
    for document in documents() {
        for label in named(&document.text) {
            seen += 1;
            let is_known = Invariant::ALL.iter().any(|invariant| invariant.label() == label);
            assert!(is_known, "{}: {label}", document.path);
        }
    }
    assert!(seen > 40, "the search finds them: {seen}");
    assert_eq!(named("an `I1`, (I12), a PI4 and I9."), ["I1", "I12", "I9"]);
}
