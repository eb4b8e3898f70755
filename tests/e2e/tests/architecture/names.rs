//! One public type, one name: a name that two crates give to two things misleads who reads one and knows the other.

use std::collections::{BTreeMap, BTreeSet};

use e2e::tracked_files;

/// Names that several crates have, and why that misleads nobody. docs/glossary.md has those that are words of ours.
const SHARED: [(&str, &str); 26] = [
    (
        "Batch",
        "the records of an invocation; trials as `compare` reads them are a batch of these",
    ),
    (
        "Command",
        "what a person types: the command's own line, and a line of the runbook",
    ),
    (
        "DeadLetters",
        "dead letters: those of a queue, and how many a run of chaos left",
    ),
    ("Dropped", "what was left out, of features and of quarantined records"),
    (
        "Faults",
        "faults that a test injects: into ports in memory, into the local AWS",
    ),
    ("Handled", "what an invocation came to, of each function"),
    ("HandlerError", "why an invocation failed, of each function"),
    (
        "Label",
        "an event; and what labels say of a trial's event, in `compare`",
    ),
    (
        "Model",
        "a model of trees by its name; and what `watch` has seen so far, which its screen is drawn from",
    ),
    ("Names", "what the parts of a deployment are called"),
    ("Op", "a call of a port that a test lets fail, of each crate's ports"),
    ("Options", "how to do what the module does"),
    ("Page", "a page of records, of the runbook, of the web"),
    ("Points", "points as a policy has them, and as they were learned"),
    (
        "Population",
        "amounts of all cards as a policy has them, and as they were learned",
    ),
    ("Problem", "what is wrong: with a message of a queue, with a setting"),
    (
        "QueueDepth",
        "messages of a queue: as SQS counts them, and as an audit does",
    ),
    (
        "ReadFrom",
        "where reading of a shard begins: as a port says it, and as the SDK does",
    ),
    (
        "Refused",
        "what was refused, with its reason: in a batch, as a message, as an operator sees it",
    ),
    ("Report", "what came of it: of a comparison, of learning, of a drill"),
    ("Response", "what a function answers, of each function"),
    ("Row", "a row of a table"),
    ("Sample", "a part of the cases, drawn: of labelled events, of trials"),
    ("Unit", "of a feature, of a metric"),
    (
        "Verdict",
        "fraud or cleared; of a trial; of an audit (docs/glossary.md says which is to go)",
    ),
    (
        "Scenario",
        "what a run plays through: kinds of fraud in the simulation, faults in chaos",
    ),
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
fn no_two_crates_give_one_name_to_two_public_types() {
    let mut crates: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in tracked_files().unwrap() {
        let parts: Vec<&str> = file.path.split('/').collect();
        let is_source = matches!(parts[..], ["shared" | "functions" | "tools", _, "src", ..]);
        if !is_source || !file.path.ends_with(".rs") || file.path.contains("tests") {
            continue;
        }
        for name in declared(&file.text) {
            let of_name = crates.entry(name.to_owned()).or_default();
            of_name.insert(parts[..2].join("/"));
        }
    }
    assert!(crates.len() > 300, "{} types: the look is blind", crates.len());
    let twice: BTreeMap<&str, &BTreeSet<String>> = crates
        .iter()
        .filter(|(_, crates)| crates.len() > 1)
        .map(|(name, crates)| (name.as_str(), crates))
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
        "no longer in two crates, so no longer in SHARED: {gone:?}"
    );
}

#[test]
fn a_declaration_is_found_whatever_follows_the_name() {
    let text = "pub struct Unit;\npub enum Kind<'a> {\n    pub struct Inner;\n}\npub(crate) struct Own;\n\
                pub trait Port: Send {}\n#[cfg(test)]\nmod tests {\npub struct Test;\n";
    assert_eq!(declared(text).collect::<Vec<_>>(), ["Unit", "Kind", "Port"]);
}
