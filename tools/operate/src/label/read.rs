//! Labels out of a file: JSON lines or a table, each judged by the contract before anything is sent.

use std::io::{BufRead, BufReader};

use serde::Deserialize;
use serde_json::{Map, Value};
use terminal::error::CliError;
use terminal::glance::Kind;
use terminal::input::EventFile;
use terminal::lines::{Lines, LinesError};
use tidemark_domain::contract::{self, Bounds};
use tidemark_domain::event::{Event, Verdict};

use crate::send::{self, Read, ReadSender, Refused};

/// The code of a line that is an event, and no label.
pub(super) const NOT_A_LABEL: &str = "not_a_label";
/// The code of a table's line with more or fewer fields than its header.
const COLUMNS: &str = "columns";
/// Columns that a table must have, in any order.
const NEEDED: [&str; 4] = ["event_id", "card_id", "verdict", "known_since_ms"];
/// Columns that it may have.
const ALLOWED: [&str; 3] = ["occurred_at_ms", "merchant_id", "device_id"];
/// Bytes of a file's beginning that tell a table by.
const START_BYTES: usize = 4_096;

/// Why the labels of a file can't be had at all.
#[derive(Debug, thiserror::Error)]
pub(super) enum LabelFileError {
    /// It can't be read, or is of another kind.
    #[error(transparent)]
    Lines(#[from] LinesError),
    /// A table without a column that labels need, or with one that they don't have.
    #[error("{0}")]
    Columns(String),
}

/// What labels are read from.
pub(super) enum Input<R> {
    /// A file that says itself what it is.
    Plain(R),
    /// Rows under a map.
    Rows(Lines<R>),
}

impl Input<Box<dyn BufRead + Send>> {
    /// Opens a file.
    ///
    /// # Errors
    /// When it can't be opened, or its map is not of it.
    pub(super) fn open(file: &EventFile, judge: Judge) -> Result<Self, CliError> {
        if file.is_mapped() {
            return send::open(file, judge.bounds.payload_bytes_max).map(Self::Rows);
        }
        let (input, _) = file.open().map_err(|error| send::unopened(file, &error))?;
        Ok(Self::Plain(Box::new(BufReader::new(input))))
    }
}

/// What labels are held to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judge {
    /// When they would arrive, ms since 1970-01-01T00:00:00Z.
    pub(super) now_ms: i64,
    /// The bounds of the contract.
    pub(super) bounds: Bounds,
}

/// A verdict's place among the sorts that are counted apart.
pub(super) const fn sort_of(verdict: Verdict) -> usize {
    match verdict {
        Verdict::Fraud => 0,
        Verdict::Cleared => 1,
    }
}

impl Judge {
    /// The label of a payload, or what is wrong with it.
    fn judge(self, line: u64, payload: &[u8]) -> Read {
        #[derive(Deserialize)]
        struct Named<'a> {
            #[serde(borrow)]
            schema: std::borrow::Cow<'a, str>,
        }
        let refused = |code: &str, why: String| {
            let (code, why) = (code.to_owned(), Some(why));
            Read::Refused(Refused { line, code, why })
        };
        // What it is comes first: a transaction of last month is no label that came too late.
        if let Ok(Named { schema }) = serde_json::from_slice::<Named<'_>>(payload)
            && (schema == "transaction" || schema == "profile")
        {
            let why = format!("a {schema}, and no label: `tidemark send` takes it");
            return refused(NOT_A_LABEL, why);
        }
        match contract::decode(payload, self.now_ms, &self.bounds).map(|decoded| decoded.event) {
            Ok(Event::Label(label)) => Read::Event {
                line,
                data: payload.to_vec(),
                sort: sort_of(label.verdict),
            },
            Ok(_) => refused(NOT_A_LABEL, "no label: `tidemark send` takes other events".to_owned()),
            Err(refusal) => refused(refusal.code.as_str(), refusal.detail),
        }
    }

    /// Reads until the end, an error, or nobody listens.
    pub(super) fn read_all(self, input: Input<impl BufRead>, sender: &ReadSender) -> Result<(), LabelFileError> {
        let (mut lines, is_mapped) = match input {
            Input::Rows(lines) => (lines, true),
            Input::Plain(mut input) => {
                let start = input.fill_buf().map_err(LinesError::from)?;
                if is_table(start.get(..START_BYTES).unwrap_or(start)) {
                    return self.read_table(Lines::of_table(input, self.bounds.payload_bytes_max), sender);
                }
                (Lines::new(input, self.bounds.payload_bytes_max), false)
            }
        };
        while let Some((line, text)) = lines.next()? {
            let read = match text {
                // A row may say a transaction beside its label, or alone: `tidemark send` is for those.
                Ok(payload) if is_mapped && !Kind::is_label(payload) => continue,
                Ok(payload) => self.judge(line, payload),
                Err(unread) => Read::unread(line, unread),
            };
            if sender.blocking_send(Ok(read)).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn read_table<R: BufRead>(self, mut lines: Lines<R>, sender: &ReadSender) -> Result<(), LabelFileError> {
        let columns = match lines.next()? {
            Some((_, Ok(header))) => columns(header)?,
            _ => return Err(LabelFileError::Columns("the table has no header".to_owned())),
        };
        while let Some((line, text)) = lines.next()? {
            let read = match text {
                Err(unread) => Read::unread(line, unread),
                Ok(row) => match fields(row).filter(|fields| fields.len() == columns.len()) {
                    Some(fields) => self.judge(line, &label(&columns, fields)),
                    None => Read::Refused(Refused {
                        line,
                        code: COLUMNS.to_owned(),
                        why: Some(format!("expected the {} fields of the header", columns.len())),
                    }),
                },
            };
            if sender.blocking_send(Ok(read)).is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// Whether a file begins with a table's header that could be one of labels.
fn is_table(start: &[u8]) -> bool {
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let first = start.trim_ascii_start().split(|byte| *byte == b'\n').next();
    first.is_some_and(|line| !line.iter().any(|byte| b"{[\0".contains(byte)) && line.contains(&b','))
}

/// The columns of a header, in its order.
fn columns(header: &[u8]) -> Result<Vec<String>, LabelFileError> {
    let columns = fields(header).unwrap_or_default();
    let has = |name: &&str| columns.iter().any(|column| column == name);
    let missing: Vec<&str> = NEEDED.into_iter().filter(|name| !has(name)).collect();
    if !missing.is_empty() {
        let what = format!("the table has no column {}", missing.join(", "));
        return Err(LabelFileError::Columns(what));
    }
    let is_known = |column: &str| NEEDED.contains(&column) || ALLOWED.contains(&column);
    let strange = columns.iter().filter(|column| !is_known(column)).count();
    if strange > 0 {
        let what = format!("the table has {strange} columns that no label has");
        return Err(LabelFileError::Columns(what));
    }
    let mut sorted = columns.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() < columns.len() {
        let what = "the table has a column twice".to_owned();
        return Err(LabelFileError::Columns(what));
    }
    Ok(columns)
}

/// The fields of one line by RFC 4180; `None` when its quotes are wrong. No field goes over a line: ids hold no control characters.
fn fields(line: &[u8]) -> Option<Vec<String>> {
    let text = std::str::from_utf8(line).ok()?;
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest.get(..end)?.trim().to_owned(), rest.get(end..)?)
            }
            Some(quoted) => quoted_field(quoted)?,
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.trim().is_empty() => return Some(fields),
            None => return None,
        }
    }
}

/// A field behind its first quote, and what comes after its last one.
fn quoted_field(text: &str) -> Option<(String, &str)> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let end = rest.find('"')?;
        field.push_str(rest.get(..end)?);
        rest = rest.get(end + 1..)?;
        match rest.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => return Some((field, rest)),
        }
    }
}

/// A row as the label that it says: version 2 where it says when its event happened.
fn label(columns: &[String], fields: Vec<String>) -> Vec<u8> {
    let mut label = Map::new();
    label.insert("schema".to_owned(), "label".into());
    label.insert("version".to_owned(), 1.into());
    for (column, field) in columns.iter().zip(fields) {
        if field.is_empty() && ALLOWED.contains(&column.as_str()) {
            continue;
        }
        if column == "occurred_at_ms" {
            label.insert("version".to_owned(), 2.into());
        }
        let value = match field.parse::<i64>() {
            Ok(number) if column.ends_with("_ms") => number.into(),
            _ => Value::from(field),
        };
        label.insert(column.clone(), value);
    }
    // What only version 2 has, the contract would pass over in version 1.
    if label.get("version") == Some(&1.into()) {
        ALLOWED.iter().for_each(|column| _ = label.remove(*column));
    }
    Value::Object(label).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use tidemark_domain::policy::Policy;
    use tokio::sync::mpsc;

    use super::*;

    const NOW_MS: i64 = 1_790_000_000_000;

    fn read(text: &str) -> (Vec<(u64, String)>, Result<(), LabelFileError>) {
        let judge = Judge {
            now_ms: NOW_MS,
            bounds: Policy::default_policy().bounds,
        };
        let (sender, mut lines) = mpsc::channel(100);
        let result = judge.read_all(Input::Plain(text.as_bytes()), &sender);
        drop(sender);
        let mut seen = Vec::new();
        while let Ok(line) = lines.try_recv() {
            seen.push(match line.unwrap() {
                Read::Event { line, data, sort } => (line, format!("{sort} {}", String::from_utf8(data).unwrap())),
                Read::Refused(Refused { line, code, why }) => (line, format!("{code}: {}", why.unwrap_or_default())),
            });
        }
        (seen, result)
    }

    fn label(verdict: &str) -> String {
        format!(
            r#"{{"schema":"label","version":1,"event_id":"e1","card_id":"c1","verdict":"{verdict}","known_since_ms":{}}}"#,
            NOW_MS - 5
        )
    }

    #[test]
    fn lines_are_judged_by_what_they_are_before_what_is_wrong_with_them() {
        let late =
            r#"{"schema":"transaction","version":1,"event_id":"e1","card_id":"c1","occurred_at_ms":1500000000000}"#;
        let text =
            [&label("fraud"), late, &label("stolen"), "", "{}", &label("cleared")].map(|line| format!("{line}\n"));
        let (seen, result) = read(&text.concat());
        result.unwrap();
        let lines: Vec<u64> = seen.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 2, 3, 5, 6]);
        let starts = [
            "0 {\"schema\"",
            "not_a_label: a transaction, and no label: `tidemark send` takes it",
            "mistyped_field: `verdict`: expected `fraud` or `cleared`",
            "missing_field: `schema`",
            "1 {\"schema\"",
        ];
        for ((_, said), start) in seen.iter().zip(starts) {
            assert!(said.starts_with(start), "{said}");
        }
    }

    #[test]
    fn a_table_gives_the_labels_that_it_says() {
        let text = format!(
            "\u{feff}card_id,event_id,verdict,known_since_ms,merchant_id,occurred_at_ms\r\n\
             c1,e1,fraud,{0},\"the \"\"shop\"\", Ghent\",{0}\r\n\
             c1,\"e2\",cleared,{0},,\n\nc1,e3,fraud,yesterday,,\nc1,e4\nc1,e5,odd,{0},m,{0}\nc1,e6,fraud,{0},m,\n",
            NOW_MS - 5
        );
        let (seen, result) = read(&text);
        result.unwrap();
        let value = |at: usize| serde_json::from_str::<Value>(&seen[at].1[2..]).unwrap();
        assert_eq!(seen[0].1.get(..2), Some("0 "));
        assert_eq!(value(0)["merchant_id"], "the \"shop\", Ghent");
        assert_eq!(
            (&value(0)["version"], &value(0)["occurred_at_ms"]),
            (&2.into(), &(NOW_MS - 5).into())
        );
        assert_eq!((seen[1].0, seen[1].1.get(..2)), (3, Some("1 ")));
        assert_eq!(value(1)["version"], 1);
        assert!(seen[2].1.starts_with("mistyped_field: `known_since_ms`"), "{seen:?}");
        assert_eq!(
            (seen[3].0, seen[3].1.as_str()),
            (6, "columns: expected the 6 fields of the header")
        );
        assert!(seen[4].1.starts_with("mistyped_field: `verdict`"), "{seen:?}");
        assert_eq!((seen[5].0, value(5).get("merchant_id")), (8, None));
    }

    #[test]
    fn a_table_of_something_else_is_said_to_be_that() {
        for (header, said) in [
            (
                "event_id,card_id,amount\n",
                "the table has no column verdict, known_since_ms",
            ),
            (
                "event_id,card_id,verdict,known_since_ms,fee\n",
                "1 columns that no label has",
            ),
            ("event_id,card_id,verdict,known_since_ms,card_id\n", "a column twice"),
        ] {
            let (seen, result) = read(header);
            let error = result.unwrap_err().to_string();
            assert!(seen.is_empty() && error.contains(said), "{error}");
        }
        let (_, result) = read("[\n");
        assert!(matches!(result, Err(LabelFileError::Lines(_))));
    }

    #[test]
    fn quotes_that_do_not_end_are_no_fields() {
        assert_eq!(fields(b"a,\"b"), None);
        assert_eq!(fields(b"a,\"b\"c"), None);
        assert_eq!(fields(b"a, b ,\"\""), Some(["a", "b", ""].map(str::to_owned).to_vec()));
        assert_eq!(fields(b"\xff"), None);
    }
}
