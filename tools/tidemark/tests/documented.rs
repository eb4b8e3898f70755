//! What the documents tell people to type is there: every command line parses, every flag and key of a policy exists.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{Command, CommandFactory};
use tidemark_cli::cli::Cli;
use tidemark_domain::policy::Policy;

/// Flags that other programs have, as our documents name them.
const FOREIGN_FLAGS: [&str; 3] = ["--arm64", "--endpoint-url", "--no-enabled"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every document: its path from the root, and its text.
fn documents() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = ["docs", "events", "infra"].map(|folder| root().join(folder)).into();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                found.push(path);
            }
        }
    }
    found.extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root().join(name)));
    found
        .into_iter()
        .filter(|path| path.is_file())
        .map(|path| {
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// What stands in backticks on a line outside of blocks, and the lines of blocks.
fn code_of(text: &str) -> (Vec<String>, Vec<String>) {
    let (mut inline, mut blocks) = (String::new(), Vec::new());
    let mut in_block = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            blocks.push(line.to_owned());
        } else {
            inline += line;
            inline.push('\n');
        }
    }
    let spans = inline.split('`').skip(1).step_by(2);
    (spans.map(|span| span.replace('\n', " ")).collect(), blocks)
}

/// The words of a shell's command, as far as documents use one: quotes, and an end at a pipe, a redirection or a comment.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in command.chars() {
        match (letter, quote) {
            (mark, Some(open)) if mark == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            ('|' | '>' | '<' | '#' | '&' | ';', None) if word.as_ref().is_none_or(String::is_empty) => break,
            (' ', None) => words.extend(word.take()),
            (letter, _) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// The arguments of each line that calls the command.
fn calls(lines: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for line in lines {
        for command in line.split(" | ") {
            // What stands behind two spaces says what the command does.
            let command = command.trim().split("  ").next().unwrap_or_default();
            let mut words = words(command);
            while words
                .first()
                .is_some_and(|word| word.contains('=') && word.chars().next().is_some_and(char::is_uppercase))
            {
                words.remove(0);
            }
            let start = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["cargo", "tidemark", ..] => 2,
                ["tidemark", ..] => 1,
                _ => continue,
            };
            found.push(words.split_off(start));
        }
    }
    found
}

/// A word that stands for something that a person puts there: `CARD`, `V`, `<prefix>`, `…`.
fn is_placeholder(word: &str) -> bool {
    let plain = word.trim_matches(|letter| matches!(letter, '[' | ']' | '<' | '>'));
    word.contains('…') || plain != word || plain.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_')
}

#[test]
fn every_command_line_of_the_documents_parses() {
    let (mut parsed, mut wrong) = (0, Vec::new());
    for (name, text) in documents() {
        let (inline, blocks) = code_of(&text);
        for (lines, whole) in [(inline, false), (blocks, true)] {
            for call in calls(&lines) {
                let told = format!("{name}: tidemark {}", call.join(" "));
                if call.first().is_some_and(|verb| is_placeholder(verb)) {
                    continue;
                }
                let mut words: Vec<&str> = Vec::new();
                for word in &call {
                    let is_value = words.last().is_some_and(|flag| flag.starts_with("--"));
                    match word.as_str() {
                        // Of more that may stand there, or of a flag's value.
                        "…" if !is_value => {}
                        word if is_placeholder(word) => words.push("1"),
                        word => words.push(word),
                    }
                }
                let result = Cli::command().try_get_matches_from(std::iter::once("tidemark").chain(words));
                parsed += 1;
                let Err(error) = result else { continue };
                let is_help = matches!(
                    error.kind(),
                    ErrorKind::DisplayHelp
                        | ErrorKind::DisplayVersion
                        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                );
                // In a sentence a verb may be named without all that it needs.
                let is_value = error.kind() == ErrorKind::InvalidValue && call.iter().any(|word| is_placeholder(word));
                let is_named = matches!(
                    error.kind(),
                    ErrorKind::MissingRequiredArgument | ErrorKind::MissingSubcommand
                );
                if !is_help && !is_value && (whole || !is_named) {
                    wrong.push(format!(
                        "{told}\n  {}",
                        error.to_string().lines().next().unwrap_or_default()
                    ));
                }
            }
        }
    }
    assert!(parsed > 100, "the search finds them: {parsed}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn flags(command: &Command, found: &mut BTreeSet<String>) {
    for argument in command.get_arguments() {
        found.extend(argument.get_long().map(|long| format!("--{long}")));
    }
    command.get_subcommands().for_each(|verb| flags(verb, found));
}

/// Flags that stand in backticks by themselves are ours.
#[test]
fn every_flag_that_the_documents_name_exists() {
    let mut command = Cli::command();
    command.build();
    let mut known: BTreeSet<String> = FOREIGN_FLAGS.map(str::to_owned).into();
    flags(&command, &mut known);
    let mut wrong = Vec::new();
    for (name, text) in documents() {
        // A page of measurements names the flags of the programs that it measures with.
        if name.ends_with("benchmarks.md") || name.ends_with("mutants.md") || name.ends_with("CONTRIBUTING.md") {
            continue;
        }
        let (inline, _) = code_of(&text);
        for span in inline {
            let Some(flag) = span.split(['=', ' ']).next().filter(|flag| flag.starts_with("--")) else {
                continue;
            };
            if !known.contains(flag) {
                wrong.push(format!("{name}: {span}"));
            }
        }
    }
    assert!(wrong.is_empty(), "no such flag:\n{}", wrong.join("\n"));
}

/// The keys that the policy's own reader takes: it names them when it meets one that it does not know.
fn policy_keys() -> (BTreeSet<String>, BTreeSet<String>) {
    let text = Policy::default_text();
    let known = |text: &str| -> BTreeSet<String> {
        let problems = Policy::parse(text, "p.toml").unwrap_err();
        let problem = problems
            .iter()
            .map(|problem| format!("{problem}\n"))
            .collect::<String>();
        let list = problem
            .split("expected one of: ")
            .nth(1)
            .unwrap_or_else(|| panic!("{problem}"));
        let list = list.lines().next().unwrap();
        list.split(", ").map(|key| key.trim_matches('`').to_owned()).collect()
    };
    let top = known(&format!("nobodys_key = 1\n{text}"));
    let mut keys = top.clone();
    for section in ["thresholds", "scoring", "bounds", "currency", "outcome", "low_risk"] {
        assert!(top.contains(section), "{section} of {top:?}");
        let heading = format!("[{section}]\n");
        let text = if text.contains(&heading) {
            text.replace(&heading, &format!("{heading}nobodys_key = 1\n"))
        } else {
            format!("{text}\n{heading}nobodys_key = 1\n")
        };
        keys.extend(known(&text));
    }
    for list in ["keys", "rules"] {
        keys.extend(known(&format!("{text}\n[[{list}]]\nnobodys_key = 1\n")));
    }
    (top, keys)
}

/// The keys of a map of files, in any of its tables.
fn keys_of_maps() -> BTreeSet<String> {
    fn collect(value: &serde_json::Value, keys: &mut BTreeSet<String>) {
        if let Some(properties) = value["properties"].as_object() {
            keys.extend(properties.keys().cloned());
        }
        let inner = value.as_object().map(|object| object.values()).into_iter().flatten();
        inner.for_each(|inner| collect(inner, keys));
    }
    let schema = std::fs::read_to_string(root().join("events/schemas/map.v1.json")).unwrap();
    let mut keys = BTreeSet::new();
    collect(&serde_json::from_str(&schema).unwrap(), &mut keys);
    assert!(keys.contains("thousands") && keys.len() > 30, "{keys:?}");
    keys
}

/// A section (`[low_risk]`) or a setting (`features = true`) that a document names is one that the reader takes, of a policy or of a map.
#[test]
fn every_key_of_a_policy_that_the_documents_name_exists() {
    let (mut sections, mut keys) = policy_keys();
    let of_maps = keys_of_maps();
    sections.extend(of_maps.iter().cloned());
    keys.extend(of_maps);
    let is_name =
        |text: &str| !text.is_empty() && text.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_');
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (name, text) in documents() {
        let (inline, _) = code_of(&text);
        for span in inline {
            let section = span.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            if let Some(section) = section.filter(|section| is_name(section)) {
                seen += 1;
                if !sections.contains(section) {
                    wrong.push(format!("{name}: {span}"));
                }
            }
            if let Some((key, value)) = span.split_once(" = ")
                && is_name(key)
                && !value.contains(['(', '{', ';'])
                && text.contains("olicy")
            {
                seen += 1;
                if !keys.contains(key) {
                    wrong.push(format!("{name}: {span}"));
                }
            }
        }
    }
    assert!(seen > 5, "the search finds them: {seen}");
    assert!(wrong.is_empty(), "no such key of a policy:\n{}", wrong.join("\n"));
}
