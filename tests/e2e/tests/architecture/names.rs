//! One public type, one name: a name that two files give to two things misleads who reads one and knows the other.

use std::collections::{BTreeMap, BTreeSet};

use e2e::tracked_files;

/// Names that several files have, and why that misleads nobody: each is one thing, which several crates have one of.
const SHARED: [(&str, &str); 6] = [
    (
        "Faults",
        "faults that a test injects: into ports in memory, into the local AWS",
    ),
    ("Handled", "what an invocation came to, of each function"),
    ("HandlerError", "why an invocation failed, of each function"),
    ("Op", "a call of a port that a test lets fail, of each crate's ports"),
    (
        "ReadFrom",
        "where reading of a shard begins: as a port says it, and as the SDK does",
    ),
    ("Response", "what a function answers, of each function"),
];

/// The public types that a file declares outside of its unit tests.
fn declared(text: &str) -> impl Iterator<Item = &str> {
    let end = text.find("#[cfg(test)]\nmod ").unwrap_or(text.len());
    text[..end].lines().filter_map(|line| {
        let rest = line.strip_prefix("pub ")?;
        let kinds = ["struct ", "enum ", "trait ", "type ", "union "];
        let rest = kinds.iter().find_map(|kind| rest.strip_prefix(kind))?;
        rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
            .next()
    })
}

#[test]
fn no_two_files_give_one_name_to_two_public_types() {
    let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in tracked_files().unwrap() {
        let parts: Vec<&str> = file.path.split('/').collect();
        let is_source = matches!(parts[..], ["shared" | "functions" | "tools", _, "src", ..]);
        if !is_source || !file.path.ends_with(".rs") || file.path.contains("tests") {
            continue;
        }
        for name in declared(&file.text) {
            let of_name = names.entry(name.to_owned()).or_default();
            of_name.insert(file.path.clone());
        }
    }
    assert!(names.len() > 300, "{} types: the look is blind", names.len());
    let twice: BTreeMap<&str, &BTreeSet<String>> = names
        .iter()
        .filter(|(_, files)| files.len() > 1)
        .map(|(name, files)| (name.as_str(), files))
        .collect();
    let listed: BTreeSet<&str> = SHARED.iter().map(|(name, _)| *name).collect();
    let unlisted: Vec<_> = twice.iter().filter(|(name, _)| !listed.contains(*name)).collect();
    assert!(
        unlisted.is_empty(),
        "rename one of each, or say in SHARED why both may stay: {unlisted:?}"
    );
    let gone: Vec<_> = listed.iter().filter(|name| !twice.contains_key(*name)).collect();
    assert!(
        gone.is_empty(),
        "no longer in two files, so no longer in SHARED: {gone:?}"
    );
}

#[test]
fn a_declaration_is_found_whatever_follows_the_name() {
    let text = "pub struct Unit;\npub enum Kind<'a> {\n    pub struct Inner;\n}\npub(crate) struct Own;\n\
                pub trait Port: Send {}\n#[cfg(test)]\nmod tests {\npub struct Test;\n";
    assert_eq!(declared(text).collect::<Vec<_>>(), ["Unit", "Kind", "Port"]);
}
