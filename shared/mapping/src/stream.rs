//! A map for records of the stream: what it must be beyond a map for files, and the one event that it makes of a record.

use std::cell::Cell as Flag;
use std::fmt;

use serde_json::Value;
use tidemark_domain::mapped::{OWN_SCHEMAS, RecordMap};

use crate::code::{MapCode, RefusedRow, Wrong};
use crate::compile::{KindRule, NO_VERDICT, RowMap, WhenRule};
use crate::event::Unmade;
use crate::keys::Format;
use crate::limits::NESTING_MAX;
use crate::map::ids;
use crate::problem::{MapProblem, Problems};
use crate::row::{RowData, RowView, ValuePlace};
use crate::rules::id::{IdSource, Salt};

/// The one variable that a published map may name as `salt_env`: the functions are given it, and no other.
pub const SALT_VARIABLE: &str = "TIDEMARK_SALT";
/// What a salt's mark is the hash of.
const MARKED: &str = "the mark of a salt of published maps";

/// A salt. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct MapSalt(String);

impl fmt::Debug for MapSalt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MapSalt")
    }
}

impl MapSalt {
    /// A salt of this text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// A hash that this salt alone gives, and which does not lead back to it.
    #[must_use]
    pub fn mark(&self) -> Option<String> {
        Salt::new(&self.0).map(|salt| salt.digest(MARKED))
    }
}

/// Why a text is no map for the stream, here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamMapFault {
    /// It hashes, and there is no salt.
    NoSalt,
    /// Every problem of the text, in the order of the file.
    Text(Vec<MapProblem>),
}

/// A map for records of the stream.
#[derive(Debug)]
pub struct StreamMap {
    map: RowMap,
    places: Vec<ValuePlace>,
    is_salted: bool,
}

impl StreamMap {
    /// Reads and checks a map.
    ///
    /// # Errors
    /// When it is none, when a record of the stream could not be judged by it, or when its salt is lacking.
    pub fn parse(text: &str, file_name: &str, salt: Option<&MapSalt>) -> Result<Self, StreamMapFault> {
        let (is_salted, has_other) = (Flag::new(false), Flag::new(false));
        let lacking = salt.is_none();
        let salts = |variable: &str| {
            is_salted.set(true);
            has_other.set(has_other.get() || variable != SALT_VARIABLE);
            // Which salt it is matters nothing where the map is refused anyway.
            Some(salt.map_or_else(|| "0".repeat(crate::limits::SALT_BYTES_MIN), |salt| salt.0.clone()))
        };
        let map = RowMap::parse(text, file_name, &salts).map_err(StreamMapFault::Text)?;
        let mut problems = Problems::new(file_name, text);
        if has_other.get() {
            let what =
                format!("`salt_env` of a published map is {SALT_VARIABLE:?}: the functions have no other variable");
            problems.at(text.find("salt_env").unwrap_or(0), what);
        }
        check(&map, &mut problems);
        if let Some(problems) = problems.into_list() {
            return Err(StreamMapFault::Text(problems));
        }
        if is_salted.get() && lacking {
            return Err(StreamMapFault::NoSalt);
        }
        Ok(Self {
            places: map.places_in_objects(),
            map,
            is_salted: is_salted.get(),
        })
    }

    /// Whether it hashes with the salt.
    #[must_use]
    pub const fn is_salted(&self) -> bool {
        self.is_salted
    }

    /// The one event of an object.
    ///
    /// # Errors
    /// Why there is none; without a value that the map hashes.
    pub fn event(&self, object: &Value) -> Result<Vec<u8>, Box<RefusedRow>> {
        let row = RowView {
            data: RowData::Object(object),
            places: &self.places,
            empty: &self.map.input.empty,
            line: 1,
        };
        let refused = |unmade| Box::new(self.map.refused(unmade, &row));
        let wrong = |code, why: &str| refused(Unmade::Rule((None, Wrong::new(code, why))));
        if depth(object) > NESTING_MAX {
            let why = format!("expected at most {NESTING_MAX} levels of arrays and objects");
            return Err(wrong(MapCode::TooDeep, &why));
        }
        let made = self.map.make(&row).map_err(refused)?;
        let mut events = made.map(|made| made.events).unwrap_or_default().into_iter();
        match (events.next(), events.next()) {
            (Some(event), None) => Ok(event),
            _ => Err(wrong(MapCode::EmptyValue, "the record says no verdict, and so nothing")),
        }
    }
}

impl RecordMap for StreamMap {
    fn event_of(&self, object: &Value) -> Result<Vec<u8>, String> {
        self.event(object)
            .map_err(|refused| format!("{}: {}", refused.code, refused.place_and_reason()))
    }
}

/// How deep arrays and objects stand within each other. The reader of JSON lets them be 128 deep at most.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// What makes a map of files none for the stream.
fn check(map: &RowMap, problems: &mut Problems<'_>) {
    if map.input.format != Format::JsonLines {
        problems.of(
            &["input"],
            "records of the stream are JSON objects: state format = \"json_lines\" under [input]",
        );
    }
    if map.skip.is_some() {
        problems.of(
            &["skip"],
            "a published map leaves out nothing: each record of the stream has an end that is counted. What no kind takes goes to the quarantine",
        );
    }
    let is_own = |when: &WhenRule| {
        let path = map.paths.get(when.from.0).map(String::as_str);
        matches!(path, Some("schema" | "/schema")) && when.is.iter().any(|value| OWN_SCHEMAS.contains(&value.as_str()))
    };
    for (number, kind) in map.kinds.iter().enumerate() {
        let number = number.to_string();
        let at: Vec<&str> = match &kind.when {
            Some(_) => vec!["kinds", &number],
            None => Vec::new(),
        };
        if kind.when.as_ref().is_some_and(is_own) {
            problems.of(
                &[&at[..], &["when"]].concat(),
                "an object whose `schema` is transaction, profile or label is an event of the contract, and no map sees it",
            );
        }
        check_kind(kind, &at, problems);
    }
}

fn check_kind(kind: &KindRule, at: &[&str], problems: &mut Problems<'_>) {
    let count = [kind.transaction.is_some(), kind.label.is_some(), kind.profile.is_some()];
    if count.into_iter().filter(|is_there| *is_there).count() != 1 {
        problems.of(
            at,
            "a record of the stream is one event: give each kind a transaction, a label or a profile, and tell kinds apart by [[kinds]]",
        );
    }
    if ids(kind).any(|rule| matches!(rule.source, IdSource::LineNumber)) {
        problems.of(
            at,
            "records of the stream have no lines: `line_number` names no id of theirs",
        );
    }
    let Some(label) = &kind.label else { return };
    let verdict = &label.verdict;
    let listed = verdict.values.iter().flat_map(|values| values.values());
    let said = listed
        .chain(&verdict.constant)
        .chain(&verdict.otherwise)
        .chain(&verdict.empty);
    if said.into_iter().any(|word| word == NO_VERDICT) {
        problems.of(
            &[at, &["label", "verdict"]].concat(),
            "a record of the stream is one event: a verdict of \"none\" would make nothing of it. Take such records out by a [[kinds]] `when`",
        );
    }
}
