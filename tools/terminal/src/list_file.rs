//! Files of lists: an entry a line, with its end and its reason where it has them. `docs/concepts/lists.md` shows one.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use tidemark_domain::catalogue::KeyName;
use tidemark_domain::contract::mask_card_numbers;
use tidemark_domain::lists::{
    LIST_ENTRIES_MAX, LIST_REASON_BYTES_MAX, List, ListDraft, ListError, ListNote, ListOf, NewEntry,
};
use tidemark_domain::policy::Policy;
use translate::{LineReader, pass_mark};

use crate::error::CliError;
use crate::when;

/// Bytes of a line at most.
const LINE_BYTES_MAX: usize = 4_096;
/// Problems of a file that are named; the others are counted.
const PROBLEMS_NAMED_MAX: usize = 10;
/// What the first line may say.
const HEAD: [&str; 3] = ["value", "until", "reason"];
const ADVICE: &str = "Write an entry a line: VALUE, or VALUE,UNTIL,REASON with a time such as 2026-12-24T18:00:00Z; docs/concepts/lists.md \
                      shows a file. Nothing was changed.";

/// What a file of a list says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListFile {
    /// The entries, each once.
    pub entries: Vec<NewEntry>,
    /// Lines that say again what an earlier line said.
    pub duplicates: u64,
}

/// Reads a file of a list; all of it or nothing.
///
/// # Errors
/// When it can't be read, or is wrong: the first problems, each with its line and column.
pub fn read(path: &Path, of: ListOf) -> Result<ListFile, CliError> {
    let name = path.display();
    let unreadable = |error: std::io::Error| {
        let advice = "Name a readable file of the list, an entry a line.";
        CliError::input("list_file", format!("{name}: {error}"), advice)
    };
    let mut input = BufReader::new(File::open(path).map_err(unreadable)?);
    pass_mark(&mut input).map_err(unreadable)?;
    let mut lines = LineReader::new(input, LINE_BYTES_MAX);
    let mut reader = Reader {
        of,
        file: ListFile::default(),
        seen: HashMap::new(),
        problems: Vec::new(),
        problems_total: 0,
    };
    while let Some(length) = lines.read().map_err(unreadable)? {
        let number = lines.number();
        if length > LINE_BYTES_MAX as u64 {
            reader.problem(number, 1, format!("the line has more than {LINE_BYTES_MAX} bytes"));
        } else {
            reader.line(number, lines.line());
        }
        if reader.file.entries.len() > LIST_ENTRIES_MAX {
            let what = format!("{name}:{number}: this is entry {}", LIST_ENTRIES_MAX + 1);
            return Err(too_many(&what));
        }
    }
    if reader.problems_total == 0 {
        return Ok(reader.file);
    }
    let mut text = String::new();
    for (line, column, problem) in &reader.problems {
        let _ = writeln!(text, "{name}:{line}:{column}: {problem}");
    }
    let more = reader.problems_total - reader.problems.len() as u64;
    if more > 0 {
        let _ = writeln!(text, "and {more} more");
    }
    Err(CliError::input("list_file", text.trim_end(), ADVICE))
}

/// The error of a list that is too long.
#[must_use]
pub fn too_many(what: &str) -> CliError {
    CliError::refused(
        "list_limit",
        format!("{what}; a list has at most {LIST_ENTRIES_MAX} entries"),
        "Divide it into two lists, and ask for both in the rule: x in lists.a || x in lists.b. Nothing was changed.",
    )
}

/// A policy with the lists that files have: each argument is `NAME=FILE`.
///
/// # Errors
/// When a file is wrong, names a list that the policy does not declare, or is lacking for one that it declares.
pub fn with_lists(policy: &Policy, arguments: &[String]) -> Result<Policy, CliError> {
    let files = files_of(&[policy], arguments)?;
    bound(policy, &files)
}

/// The same for several policies: each file is of a list that one of them declares at least.
///
/// # Errors
/// When a file is wrong, names a list that none declares, or is lacking for one that a policy declares.
pub fn all_with_lists(policies: &[Policy], arguments: &[String]) -> Result<Vec<Policy>, CliError> {
    let all: Vec<&Policy> = policies.iter().collect();
    let files = files_of(&all, arguments)?;
    policies.iter().map(|policy| bound(policy, &files)).collect()
}

/// The files that arguments name, by the names of their lists.
fn files_of<'a>(policies: &[&Policy], arguments: &'a [String]) -> Result<HashMap<&'a str, &'a Path>, CliError> {
    let wrong = |what: String, advice: &str| Err(CliError::usage("list_argument", what, advice));
    let mut files = HashMap::new();
    for argument in arguments {
        let Some((name, file)) = argument.split_once('=') else {
            return wrong(format!("--list {argument}: there is no `=`"), "Write --list NAME=FILE.");
        };
        let terms = policies.iter().flat_map(|policy| policy.lists.terms());
        let mut declared: Vec<String> = terms.map(|terms| terms.name.to_string()).collect();
        if !declared.iter().any(|other| other == name) {
            declared.dedup();
            let declared = if declared.is_empty() {
                "none".to_owned()
            } else {
                declared.join(", ")
            };
            let what = format!("--list {name}: the policy declares no such list; declared are: {declared}");
            return wrong(what, "Name a list of the policy's [[lists]].");
        }
        if files.insert(name, Path::new(file)).is_some() {
            return wrong(format!("--list {name} is there twice"), "Name each list once.");
        }
    }
    Ok(files)
}

fn bound(policy: &Policy, files: &HashMap<&str, &Path>) -> Result<Policy, CliError> {
    let mut found: HashMap<KeyName, Arc<List>> = HashMap::new();
    for terms in policy.lists.terms() {
        let Some(file) = files.get(terms.name.as_str()) else {
            let advice =
                "Name it: --list NAME=FILE; `tidemark list show NAME > FILE` writes one of what a deployment has.";
            let what = format!(
                "the policy declares the list `{}`, and no file of it is named",
                terms.name
            );
            return Err(CliError::usage("list_argument", what, advice));
        };
        let list = list_of(&read(file, terms.of)?, terms.of)?;
        found.insert(terms.name, Arc::new(list));
    }
    Ok(policy.with_lists(|name| found.get(&name).cloned()))
}

/// The list of a file.
fn list_of(file: &ListFile, of: ListOf) -> Result<List, CliError> {
    let note = Arc::new(ListNote {
        at_ms: 0,
        who: String::new(),
        reason: String::new(),
    });
    let mut draft = ListDraft::new(of);
    let put = file.entries.iter().try_for_each(|entry| {
        let entry = NewEntry {
            reason: None,
            ..entry.clone()
        };
        draft.put(entry, &note).map(|_| ())
    });
    put.and_then(|()| draft.list()).map_err(wrong)
}

/// What can be wrong with a list whose entries are right.
#[must_use]
pub fn wrong(error: ListError) -> CliError {
    CliError::refused(
        "list_limit",
        error,
        "Divide the list, or shorten what it says. Nothing was changed.",
    )
}

struct Reader {
    of: ListOf,
    file: ListFile,
    /// Where each entry is: its line, and its place among the entries.
    seen: HashMap<String, (u64, usize)>,
    /// Line, column, and what is wrong.
    problems: Vec<(u64, usize, String)>,
    problems_total: u64,
}

impl Reader {
    fn problem(&mut self, line: u64, column: usize, problem: impl Into<String>) {
        self.problems_total += 1;
        if self.problems.len() < PROBLEMS_NAMED_MAX {
            self.problems.push((line, column, problem.into()));
        }
    }

    fn line(&mut self, number: u64, line: &[u8]) {
        let Ok(line) = std::str::from_utf8(line) else {
            self.problem(number, 1, "the line is not UTF-8, expected a file in UTF-8");
            return;
        };
        if line.trim().is_empty() {
            return;
        }
        let cells = match cells(line) {
            Ok(cells) => cells,
            Err((column, problem)) => return self.problem(number, column, problem),
        };
        let is_head = number == 1 && cells.iter().zip(HEAD).all(|((_, cell), name)| cell == name);
        if is_head && cells.len() <= HEAD.len() {
            return;
        }
        match entry(self.of, &cells) {
            Ok(entry) => self.add(number, entry),
            Err((column, problem)) => self.problem(number, column, problem),
        }
    }

    fn add(&mut self, number: u64, entry: NewEntry) {
        if let Some((line, at)) = self.seen.get(&entry.value) {
            let line = *line;
            if self.file.entries[*at] == entry {
                self.file.duplicates += 1;
            } else {
                let problem =
                    format!("line {line} has the same entry with another end or another reason, expected one of them");
                self.problem(number, 1, problem);
            }
            return;
        }
        self.seen.insert(entry.value.clone(), (number, self.file.entries.len()));
        self.file.entries.push(entry);
    }
}

/// A problem with its column.
type Trouble = (usize, String);

/// The cells of a line with their columns, in characters from 1 on: separated by commas, in quotes where they hold one.
fn cells(line: &str) -> Result<Vec<(usize, String)>, Trouble> {
    let mut cells = Vec::new();
    let mut letters = line.chars().zip(1..).peekable();
    loop {
        while letters.next_if(|(letter, _)| matches!(letter, ' ' | '\t')).is_some() {}
        let column = letters.peek().map_or(line.chars().count() + 1, |(_, column)| *column);
        let mut cell = String::new();
        if letters.next_if(|(letter, _)| *letter == '"').is_some() {
            loop {
                match letters.next() {
                    Some(('"', _)) if letters.next_if(|(letter, _)| *letter == '"').is_some() => cell.push('"'),
                    Some(('"', _)) => break,
                    Some((letter, _)) => cell.push(letter),
                    None => return Err((column, "the quote that begins here has no end".to_owned())),
                }
            }
            while letters
                .next_if(|(letter, _)| matches!(letter, ' ' | '\t' | '\r'))
                .is_some()
            {}
        } else {
            while let Some((letter, _)) = letters.next_if(|(letter, _)| *letter != ',') {
                cell.push(letter);
            }
            cell.truncate(cell.trim_end().len());
        }
        cells.push((column, cell));
        match letters.next() {
            None => return Ok(cells),
            Some((',', _)) => {}
            Some((_, column)) => return Err((column, "expected a comma behind the closing quote".to_owned())),
        }
    }
}

fn entry(of: ListOf, cells: &[(usize, String)]) -> Result<NewEntry, Trouble> {
    if let Some((column, _)) = cells.get(HEAD.len()) {
        let problem = "there is a fourth column, expected value, until and reason; put a reason with commas in quotes";
        return Err((*column, problem.to_owned()));
    }
    let cell = |at: usize| cells.get(at).map_or((1, ""), |(column, cell)| (*column, cell.as_str()));
    let (column, value) = cell(0);
    let value = value_of(of, value).map_err(|problem| (column, problem))?;
    let (column, until) = cell(1);
    let until_ms = match until {
        "" => None,
        until => Some(time_of(until).ok_or_else(|| {
            let problem = "the end is no time, expected one such as 2026-12-24T18:00:00Z, or milliseconds since 1970";
            (column, problem.to_owned())
        })?),
    };
    let (column, reason) = cell(2);
    let reason = match reason {
        "" => None,
        reason => Some(reason_of(reason).map_err(|problem| (column, problem))?),
    };
    Ok(NewEntry {
        value,
        until_ms,
        reason,
    })
}

/// An entry in its one spelling.
///
/// # Errors
/// What is wrong with it, without the text itself.
pub fn value_of(of: ListOf, text: &str) -> Result<String, String> {
    // What is in a list is shown to everybody (I9), and the contract takes no event that has one.
    if matches!(mask_card_numbers(text.as_bytes()), std::borrow::Cow::Owned(_)) {
        return Err("the entry is a card number, which is never kept, expected a token".to_owned());
    }
    of.spelt(text).map_err(|problem| problem.to_string())
}

/// A reason that can be kept with an entry.
///
/// # Errors
/// What is wrong with it.
pub fn reason_of(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().any(char::is_control) {
        Err("expected a reason on one line, without control characters".to_owned())
    } else if text.len() > LIST_REASON_BYTES_MAX {
        Err(format!(
            "the reason has {} bytes, expected at most {LIST_REASON_BYTES_MAX}",
            text.len()
        ))
    } else if matches!(mask_card_numbers(text.as_bytes()), std::borrow::Cow::Owned(_)) {
        Err("the reason holds a card number, which is never kept".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

fn time_of(text: &str) -> Option<i64> {
    match text.parse::<u64>() {
        Ok(number) => when::milliseconds("", number).ok(),
        Err(_) => text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond),
    }
}

/// A list as a file of it: what [`read`] takes.
pub fn render<'e>(entries: impl IntoIterator<Item = (&'e str, Option<i64>, &'e str)>) -> String {
    let mut text = String::from("value,until,reason\n");
    for (value, until_ms, reason) in entries {
        let until = until_ms.map_or_else(String::new, when::instant);
        let _ = writeln!(text, "{},{until},{}", quoted(value), quoted(reason));
    }
    text
}

fn quoted(cell: &str) -> String {
    let is_plain = !cell.contains([',', '"']) && cell.trim() == cell && cell != HEAD[0];
    if is_plain {
        cell.to_owned()
    } else {
        format!("\"{}\"", cell.replace('"', "\"\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &[u8]) -> Result<ListFile, String> {
        read_as(text, ListOf::Ids)
    }

    fn read_as(text: &[u8], of: ListOf) -> Result<ListFile, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("list.csv");
        std::fs::write(&file, text).unwrap();
        read(&file, of).map_err(|error| {
            assert!(matches!(error.code, "list_file" | "list_limit"), "{error:?}");
            error.what.replace(&file.display().to_string(), "list.csv")
        })
    }

    #[test]
    fn a_file_of_a_spreadsheet_is_read_with_its_mark_its_head_and_its_duplicates() {
        let text = "\u{feff}value,until,reason\r\nm-1\r\nm-2, 2026-12-24T18:00:00Z ,\"seen twice, with \"\"care\"\"\"\r\n\r\n m-1 \r\nm-1,,\r\nm-3,1790000000000\r\n";
        let file = written(text.as_bytes()).unwrap();
        assert_eq!(file.duplicates, 2);
        let entry = |value: &str, until_ms, reason: Option<&str>| NewEntry {
            value: value.to_owned(),
            until_ms,
            reason: reason.map(str::to_owned),
        };
        let expected = [
            entry("m-1", None, None),
            entry("m-2", Some(1_798_135_200_000), Some("seen twice, with \"care\"")),
            entry("m-3", Some(1_790_000_000_000), None),
        ];
        assert_eq!(file.entries, expected);
        // What is written is read again.
        let rendered = render(file.entries.iter().map(|entry| {
            (
                entry.value.as_str(),
                entry.until_ms,
                entry.reason.as_deref().unwrap_or_default(),
            )
        }));
        assert_eq!(written(rendered.as_bytes()).unwrap().entries, expected);
    }

    #[test]
    fn every_problem_has_its_line_and_column_and_nothing_is_taken() {
        let long = "a".repeat(129);
        let text = format!(
            "m-1\n{long}\n4111111111111111\nm-1,2026-12-24T18:00:00Z\nm-2,tomorrow\nm-3,,a,b\n\"m-4\n\"m-5\" x\n,2026-12-24T18:00:00Z\n"
        );
        let problems = written(text.as_bytes()).unwrap_err();
        for expected in [
            "list.csv:2:1: it has 129 bytes, expected at most 128",
            "list.csv:3:1: the entry is a card number",
            "list.csv:4:1: line 1 has the same entry with another end",
            "list.csv:5:5: the end is no time",
            "list.csv:6:8: there is a fourth column",
            "list.csv:7:1: the quote that begins here has no end",
            "list.csv:8:7: expected a comma",
            "list.csv:9:1: it is empty",
        ] {
            assert!(problems.contains(expected), "{expected}: {problems}");
        }
        assert!(!problems.contains("4111"), "{problems}");
        let problems = read_as(b"192.0.2.0/24\n192.0.2.1/24\n", ListOf::Addresses).unwrap_err();
        assert!(problems.contains("list.csv:2:1: the address has bits set behind the prefix, expected 192.0.2.0/24"));
        let many = "x y\t\u{7f}\n".repeat(30);
        assert!(written(many.as_bytes()).unwrap_err().ends_with("and 20 more"));
        assert!(
            written(b"a\nb\xff\n")
                .unwrap_err()
                .contains("list.csv:2:1: the line is not UTF-8")
        );
    }

    #[test]
    fn a_million_and_one_entries_are_refused_where_they_are_too_many() {
        let text: String = (0..=LIST_ENTRIES_MAX).map(|number| format!("{number}\n")).collect();
        assert!(
            written(text.as_bytes())
                .unwrap_err()
                .contains("list.csv:1000001: this is entry 1000001")
        );
    }

    #[test]
    fn a_policy_gets_its_lists_of_files_all_of_them_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mules");
        std::fs::write(&file, "m-1\n").unwrap();
        let text = Policy::default_text().to_owned() + "\n[[lists]]\nname = \"mules\"\nof = \"ids\"\n";
        let policy = Policy::parse(&text, "p").unwrap();
        let with = |arguments: &[&str]| {
            let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
            with_lists(&policy, &arguments)
        };
        let argument = format!("mules={}", file.display());
        let bound = with(&[&argument]).unwrap();
        assert!(!bound.lists.reads().is_one_unread());
        for (arguments, word) in [
            (&[][..], "no file of it is named"),
            (&["mules"], "no `=`"),
            (&["moles=x"], "declares no such list; declared are: mules"),
            (&[argument.as_str(), argument.as_str()], "twice"),
            (&["mules=/nowhere"], "/nowhere"),
        ] {
            let error = with(arguments).unwrap_err();
            assert!(error.what.contains(word), "{error:?}");
        }
        assert!(with_lists(&Policy::default_policy(), &[]).is_ok());
    }
}
