//! The rows of a Parquet file as JSON objects, one a line: for whoever reads lines.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use jiff::Timestamp;
use parquet::basic::{LogicalType, TimeUnit};
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use parquet::schema::types::BasicTypeInfo;
use serde_json::{Map, Number, Value};

const MICRO_NS: i128 = 1_000;
const MILLI_NS: i128 = 1_000_000;
const DAY_NS: i128 = 86_400_000_000_000;

/// Reads rows as text. A decimal is a text with all its digits; a time is one of ISO 8601, with `Z` where its column is of times of UTC
/// and without where it is of clocks; bytes that are no UTF-8 are hexadecimal digits; what is no number is a text.
pub struct ObjectLines {
    rows: RowIter<'static>,
    /// What columns of times hold, by the column's place.
    times: Vec<Option<Times>>,
    text: VecDeque<u8>,
}

impl ObjectLines {
    /// Begins to read.
    ///
    /// # Errors
    /// When it is no Parquet file, or its end is not there.
    pub fn new(file: File) -> Result<Self, ParquetError> {
        let reader = caught(|| SerializedFileReader::new(file))??;
        let groups = reader.metadata().row_groups().iter();
        let mut columns = groups.flat_map(RowGroupMetaData::columns);
        // The library takes these for granted.
        if columns.any(|column| column.data_page_offset() < 0 || column.compressed_size() < 0) {
            return Err(ParquetError::General(
                "a column lies before the file's beginning".to_owned(),
            ));
        }
        let schema = reader.metadata().file_metadata().schema();
        let times = schema
            .get_fields()
            .iter()
            .map(|field| Times::of(field.get_basic_info()));
        Ok(Self {
            times: times.collect(),
            rows: RowIter::from_file_into(Box::new(reader)),
            text: VecDeque::new(),
        })
    }

    fn line(&self, row: &Row) -> String {
        let mut line = String::from("{");
        for (at, (name, field)) in row.get_column_iter().enumerate() {
            if at > 0 {
                line.push(',');
            }
            let times = self.times.get(at).copied().flatten();
            line.push_str(&Value::from(name.as_str()).to_string());
            line.push(':');
            line.push_str(&value(field, times).to_string());
        }
        line.push_str("}\n");
        line
    }
}

impl Read for ObjectLines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.text.is_empty() {
            let row = caught(|| self.rows.next()).and_then(Option::transpose);
            let Some(row) = row.map_err(io::Error::other)? else {
                return Ok(0);
            };
            let line = self.line(&row);
            self.text.extend(line.as_bytes());
        }
        self.text.read(buffer)
    }
}

/// Calls the library, which panics where a damaged file contradicts itself.
fn caught<T>(call: impl FnOnce() -> T) -> Result<T, ParquetError> {
    let caught = catch_unwind(AssertUnwindSafe(call));
    caught.map_err(|_| ParquetError::General("the file contradicts itself".to_owned()))
}

/// What the whole numbers of a column are, if they are times.
#[derive(Clone, Copy, Debug)]
struct Times {
    /// What one is in nanoseconds.
    unit_ns: i128,
    sort: TimeSort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TimeSort {
    Utc,
    /// A date and what a clock showed: of no zone.
    Clock,
    /// A time of day.
    Day,
}

impl Times {
    /// What older writers put down says nothing of clocks: those are times of UTC.
    fn of(column: &BasicTypeInfo) -> Option<Self> {
        let (sort, unit) = match column.logical_type_ref()? {
            LogicalType::Timestamp(kind) if kind.is_adjusted_to_u_t_c => (TimeSort::Utc, kind.unit),
            LogicalType::Timestamp(kind) => (TimeSort::Clock, kind.unit),
            LogicalType::Time(kind) => (TimeSort::Day, kind.unit),
            _ => return None,
        };
        let unit_ns = match unit {
            TimeUnit::MILLIS => MILLI_NS,
            TimeUnit::MICROS => MICRO_NS,
            TimeUnit::NANOS => 1,
        };
        Some(Self { unit_ns, sort })
    }
}

fn value(field: &Field, times: Option<Times>) -> Value {
    let nested = |field: &Field| value(field, None);
    let sort = times.map_or(TimeSort::Utc, |times| times.sort);
    match field {
        Field::Null => Value::Null,
        Field::Bool(boolean) => Value::Bool(*boolean),
        Field::Byte(number) => Value::from(*number),
        Field::Short(number) => Value::from(*number),
        Field::Int(number) => Value::from(*number),
        // The library knows no times of nanoseconds.
        Field::Long(number) => match times {
            Some(Times { unit_ns, sort }) => time(i128::from(*number) * unit_ns, sort),
            None => Value::from(*number),
        },
        Field::UByte(number) => Value::from(*number),
        Field::UShort(number) => Value::from(*number),
        Field::UInt(number) => Value::from(*number),
        Field::ULong(number) => Value::from(*number),
        Field::Float16(number) => float(f64::from(number.to_f32()), number.to_string()),
        // Its shortest decimal digits, not those of the nearest f64.
        Field::Float(number) => float(number.to_string().parse().unwrap_or(f64::NAN), number.to_string()),
        Field::Double(number) => float(*number, number.to_string()),
        Field::Decimal(decimal) => Value::from(digits(decimal.data(), decimal.scale())),
        Field::Str(text) => Value::from(text.as_str()),
        Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
            Ok(text) => Value::from(text),
            Err(_) => Value::from(
                bytes
                    .data()
                    .iter()
                    .fold(String::new(), |text, byte| text + &format!("{byte:02x}")),
            ),
        },
        Field::Date(days) => date(i128::from(*days) * DAY_NS),
        Field::TimeMillis(millis) => time(i128::from(*millis) * MILLI_NS, TimeSort::Day),
        Field::TimeMicros(micros) => time(i128::from(*micros) * MICRO_NS, TimeSort::Day),
        Field::TimestampMillis(millis) => time(i128::from(*millis) * MILLI_NS, sort),
        Field::TimestampMicros(micros) => time(i128::from(*micros) * MICRO_NS, sort),
        Field::Group(row) => {
            let members = row.get_column_iter().map(|(name, field)| (name.clone(), nested(field)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        Field::ListInternal(list) => Value::Array(list.elements().iter().map(nested).collect()),
        Field::MapInternal(map) => {
            let pairs = map.entries().iter();
            Value::Array(
                pairs
                    .map(|(key, of)| Value::Array(vec![nested(key), nested(of)]))
                    .collect(),
            )
        }
    }
}

/// JSON has no infinity and nothing that is no number: those are texts.
fn float(number: f64, text: String) -> Value {
    Number::from_f64(number).map_or(Value::String(text), Value::Number)
}

/// A decimal by its unscaled value, big-endian two's complement of at most 16 bytes, and its scale.
fn digits(bytes: &[u8], scale: i32) -> String {
    let is_negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let mut wide = [if is_negative { 0xff } else { 0 }; 16];
    let Some(start) = wide.len().checked_sub(bytes.len()) else {
        return format!("a decimal of {} bytes", bytes.len());
    };
    wide[start..].copy_from_slice(bytes);
    let unscaled = i128::from_be_bytes(wide);
    let scale = usize::try_from(scale).unwrap_or(0);
    let text = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = text.split_at(text.len() - scale);
    let sign = if is_negative { "-" } else { "" };
    let point = if scale > 0 { "." } else { "" };
    format!("{sign}{whole}{point}{fraction}")
}

/// A time by its nanoseconds since 1970-01-01T00:00:00. What lies outside of the calendar is its number.
fn time(nanos: i128, sort: TimeSort) -> Value {
    let Ok(time) = Timestamp::from_nanosecond(nanos) else {
        return Value::from(nanos.to_string());
    };
    let text = time.to_string();
    let clock = text.trim_end_matches('Z');
    Value::from(match (sort, clock.split_once('T')) {
        (TimeSort::Utc, _) => &text,
        (TimeSort::Day, Some((_, of_day))) => of_day,
        (TimeSort::Clock | TimeSort::Day, _) => clock,
    })
}

fn date(nanos: i128) -> Value {
    let whole = time(nanos, TimeSort::Clock);
    let day = whole.as_str().and_then(|text| text.split_once('T'));
    day.map_or_else(|| whole.clone(), |(day, _)| Value::from(day))
}
