//! `tidemark export`: the training set itself, point in time: each event with the values of its features as of its own time, and its label
//! as it was known at a time.

#[cfg(feature = "parquet")]
mod parquet;

use std::io::Write;

use terminal::input::EventFile;
use tidemark_domain::policy::Policy;

use super::LearningError;
use super::labels::Labels;
use super::replay::{self, Scored};
use crate::score_file::ScoreFileError;

/// What the rows are written as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RowFormat {
    /// A table with a head, by RFC 4180.
    #[default]
    Csv,
    /// A JSON object a line.
    JsonLines,
    /// Parquet, where the command was built with it.
    Parquet,
}

/// What to write down.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// Events and labels, one a line, in event-time order.
    pub input: EventFile,
    /// Whose features.
    pub policy: Policy,
    /// Events from this time on are written, ms since 1970-01-01T00:00:00Z; those before warm the histories.
    pub from_ms: i64,
    /// Events from this time on are not looked at, ms since 1970-01-01T00:00:00Z.
    pub until_ms: i64,
    /// As of when labels are known, ms since 1970-01-01T00:00:00Z.
    pub labels_as_of_ms: i64,
    /// How late labels are, ms.
    pub label_delay_ms: i64,
    /// As what.
    pub format: RowFormat,
}

/// Writes it, and says how many events and how many frauds.
///
/// # Errors
/// When the file can't be read or is out of order, or nothing can be written.
pub fn export(options: &ExportOptions, output: &mut (dyn Write + Send)) -> Result<(u64, u64), LearningError> {
    let labels = Labels::read(
        || replay::lines(&options.input, &options.policy),
        options.label_delay_ms,
    )?;
    let names: Vec<String> = options.policy.features().map(|key| key.to_string()).collect();
    let (mut events, mut frauds) = (0, 0);
    let mut rows = Rows::begin(options.format, &names, output)?;
    replay::replay(
        &options.input,
        &options.policy,
        &labels,
        options.until_ms,
        |scored: Scored| {
            if scored.time_ms < options.from_ms {
                return Ok(());
            }
            let fraud = labels.is_fraud(scored.event, options.labels_as_of_ms);
            events += 1;
            frauds += u64::from(fraud);
            rows.row(&scored, fraud)
        },
    )?;
    rows.finish()?;
    Ok((events, frauds))
}

/// The file under way.
enum Rows<'a> {
    Csv(&'a mut (dyn Write + Send)),
    JsonLines(&'a mut (dyn Write + Send), &'a [String]),
    #[cfg(feature = "parquet")]
    Parquet(Box<parquet::ParquetRows<'a>>),
}

impl<'a> Rows<'a> {
    fn begin(
        format: RowFormat,
        names: &'a [String],
        output: &'a mut (dyn Write + Send),
    ) -> Result<Self, LearningError> {
        match format {
            RowFormat::Csv => {
                write_line(output, &header(names))?;
                Ok(Self::Csv(output))
            }
            RowFormat::JsonLines => Ok(Self::JsonLines(output, names)),
            #[cfg(feature = "parquet")]
            RowFormat::Parquet => Ok(Self::Parquet(Box::new(parquet::ParquetRows::begin(names, output)?))),
            #[cfg(not(feature = "parquet"))]
            RowFormat::Parquet => Err(LearningError::NoParquet),
        }
    }

    fn row(&mut self, scored: &Scored, fraud: bool) -> Result<(), LearningError> {
        match self {
            Self::Csv(output) => write_line(*output, &csv(scored, fraud)),
            Self::JsonLines(output, names) => write_line(*output, &json(scored, names, fraud)),
            #[cfg(feature = "parquet")]
            Self::Parquet(rows) => rows.row(scored, fraud),
        }
    }

    fn finish(self) -> Result<(), LearningError> {
        match self {
            #[cfg(feature = "parquet")]
            Self::Parquet(rows) => rows.finish(),
            _ => Ok(()),
        }
    }
}

fn write_line(output: &mut dyn Write, line: &str) -> Result<(), LearningError> {
    let written = output.write_all(line.as_bytes()).and_then(|()| output.write_all(b"\n"));
    Ok(written.map_err(ScoreFileError::from)?)
}

const KEYS: [&str; 7] = [
    "event_id",
    "card_id",
    "occurred_at_ms",
    "amount_base_minor",
    "score",
    "decision",
    "fraud",
];

fn header(names: &[String]) -> String {
    let names = KEYS.iter().copied().chain(names.iter().map(String::as_str));
    names.collect::<Vec<_>>().join(",")
}

fn csv(scored: &Scored, fraud: bool) -> String {
    let mut fields = vec![
        quoted(&scored.event_id),
        quoted(&scored.card_id),
        scored.time_ms.to_string(),
        scored.amount_minor.to_string(),
        scored.score.to_string(),
        scored.decision.clone(),
        u8::from(fraud).to_string(),
    ];
    fields.extend(
        scored
            .values
            .iter()
            .map(|value| value.map_or_else(String::new, |value| value.to_string())),
    );
    fields.join(",")
}

/// A field by RFC 4180: in quotes where it needs them, quotes doubled.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

fn json(scored: &Scored, names: &[String], fraud: bool) -> String {
    let mut line = serde_json::Map::new();
    line.insert("event_id".to_owned(), scored.event_id.as_str().into());
    line.insert("card_id".to_owned(), scored.card_id.as_str().into());
    line.insert("occurred_at_ms".to_owned(), scored.time_ms.into());
    line.insert("amount_base_minor".to_owned(), scored.amount_minor.into());
    line.insert("score".to_owned(), scored.score.into());
    line.insert("decision".to_owned(), scored.decision.as_str().into());
    line.insert("fraud".to_owned(), u8::from(fraud).into());
    for (name, value) in names.iter().zip(&scored.values) {
        line.insert(name.clone(), serde_json::json!(value));
    }
    serde_json::Value::Object(line).to_string()
}
