//! Every path in backticks, in every document, is there.

use std::collections::BTreeSet;

use e2e::{TrackedFile, tracked_files};

/// The folders that a path from the workspace's own folder begins in.
const ROOMS: [&str; 7] = [
    "docs/",
    "events/",
    "functions/",
    "infra/",
    "shared/",
    "tests/",
    "tools/",
];

/// How files end that are the repository's, wherever a document names them. A `.toml` or a `.jsonl` may be a reader's own.
const ENDINGS: [&str; 4] = [".rs", ".md", ".guard", ".py"];

/// What stands in backticks on lines outside of blocks.
fn spans(text: &str) -> Vec<String> {
    let mut in_block = false;
    let mut prose = String::new();
    for line in text.lines() {
        let is_fence = line.trim_start().starts_with("```");
        in_block ^= is_fence;
        if !in_block && !is_fence {
            prose += line;
            prose.push('\n');
        }
    }
    let spans = prose.split('`').skip(1).step_by(2);
    spans.map(str::to_owned).collect()
}

/// The path that a span is, without what follows it. A name with a placeholder in it is not a path.
fn path_of(span: &str) -> Option<&str> {
    let path = span.split([' ', ':', '\n']).next().unwrap_or_default();
    let is_pattern = path.contains(['*', '<', '…', '{', '$']) || path.contains("PAGE") || path.contains("CODE");
    let is_ours = ROOMS.iter().any(|room| path.starts_with(room))
        || (ENDINGS.iter().any(|ending| path.ends_with(ending)) && !path.starts_with(['.', '/']));
    (is_ours && !is_pattern).then_some(path.trim_end_matches('/'))
}

/// Every file and every folder, by its whole path and by each end of it: `x/y.rs` of a crate is named as that.
fn places(files: &[TrackedFile]) -> BTreeSet<&str> {
    let mut places = BTreeSet::new();
    for file in files {
        let ends = file.path.match_indices('/').map(|(at, _)| at).chain([file.path.len()]);
        for end in ends {
            let path = &file.path[..end];
            places.insert(path);
            places.extend(path.match_indices('/').map(|(at, _)| &path[at + 1..]));
        }
    }
    places
}

#[test]
fn every_path_that_a_document_names_is_there() {
    let files = tracked_files().unwrap();
    let places = places(&files);
    let (mut seen, mut wrong) = (0, Vec::new());
    // The list of changes tells of what was, too.
    let documents = files
        .iter()
        .filter(|file| file.path.ends_with(".md") && file.path != "CHANGELOG.md");
    for document in documents {
        for span in spans(&document.text) {
            let Some(path) = path_of(&span) else { continue };
            seen += 1;
            // Binary files are no tracked files with a text.
            if !places.contains(path) && !e2e::workspace_root().join(path).exists() {
                wrong.push(format!("{}: {span}", document.path));
            }
        }
    }
    assert!(seen > 250, "the search finds them: {seen}");
    assert!(wrong.is_empty(), "nothing is there:\n{}", wrong.join("\n"));
}

/// A glob of a file that is gone matches nothing, and says nothing: the code that it meant would get no mutants any more.
#[test]
fn every_path_that_the_mutation_tests_name_is_there() {
    let files = tracked_files().unwrap();
    let config = files.iter().find(|file| file.path == ".cargo/mutants.toml").unwrap();
    let paths = config.text.split('"').filter(|text| text.ends_with(".rs"));
    let (globs, paths): (Vec<&str>, Vec<&str>) = paths.partition(|path| path.contains('*'));
    assert!(paths.len() > 20, "{paths:?}");
    let is_there = |path: &&str| files.iter().any(|file| file.path == **path);
    let mut gone: Vec<&str> = paths.into_iter().filter(|path| !is_there(path)).collect();
    gone.extend(globs.into_iter().filter(|glob| {
        let folder = glob.trim_end_matches("*.rs");
        !files.iter().any(|file| file.path.starts_with(folder))
    }));
    assert!(gone.is_empty(), "nothing is there: {gone:?}");
}

#[test]
fn a_path_is_told_from_other_words() {
    for (span, path) in [
        ("shared/domain/src/fold.rs", Some("shared/domain/src/fold.rs")),
        ("fold.rs", Some("fold.rs")),
        ("card/codec.rs: bytes", Some("card/codec.rs")),
        ("tests/run", Some("tests/run")),
        ("docs/errors/CODE.md", None),
        ("policy.toml", None),
        ("a/b", None),
    ] {
        assert_eq!(path_of(span), path, "{span}");
    }
    assert_eq!(spans("a `b` c\n```\n`d`\n```\n`e f`\n"), ["b", "e f"]);
}
