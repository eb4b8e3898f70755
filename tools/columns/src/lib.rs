//! Parquet files: what `tidemark export --parquet` writes, a group of rows at a time, and the rows of a user's file as [`ObjectLines`].
//!
//! A crate of its own, which nothing but the command's feature `parquet` asks for: the library behind it is larger than the rest of the
//! command's own code, and most who use the command have no need of it.

mod objects;

use std::io::Write;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};

pub use objects::ObjectLines;

/// Rows that are held in memory before they are written: with 40 columns, 20 MB.
pub const GROUP_ROWS_MAX: usize = 1 << 16;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// UTF-8; never missing.
    Text,
    /// A whole number; never missing.
    Whole,
    /// A number, or nothing.
    Number,
}

/// A value of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Of a column of texts.
    Text(&'a str),
    /// Of a column of whole numbers.
    Whole(i64),
    /// Of a column of numbers.
    Number(Option<f64>),
}

/// Why rows can't be written.
#[derive(Debug, thiserror::Error)]
pub enum ColumnsError {
    /// The file can't be written, or the library says no.
    #[error("the Parquet file can't be written")]
    Parquet(#[from] ParquetError),
    /// A row has other values than the file has columns.
    #[error("a row does not fit the columns of the file: this is a bug")]
    Row,
}

/// A Parquet file under way.
pub struct Rows<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    columns: Vec<Held>,
    rows: usize,
}

/// The values of a column that are not written yet.
enum Held {
    Text(Vec<ByteArray>),
    Whole(Vec<i64>),
    /// The values that are there, and for each row whether it has one (1) or not (0).
    Number(Vec<f64>, Vec<i16>),
}

impl<W: Write + Send> Rows<W> {
    /// Begins a file with these columns.
    ///
    /// # Errors
    /// When two columns have one name, or nothing can be written.
    pub fn new(output: W, columns: &[(&str, ColumnKind)]) -> Result<Self, ColumnsError> {
        let fields: Result<Vec<TypePtr>, ParquetError> =
            columns.iter().map(|(name, kind)| field(name, *kind)).collect();
        let schema = Type::group_type_builder("row").with_fields(fields?).build()?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let held = |(_, kind): &(&str, ColumnKind)| match kind {
            ColumnKind::Text => Held::Text(Vec::new()),
            ColumnKind::Whole => Held::Whole(Vec::new()),
            ColumnKind::Number => Held::Number(Vec::new(), Vec::new()),
        };
        Ok(Self {
            writer: SerializedFileWriter::new(output, Arc::new(schema), Arc::new(properties))?,
            columns: columns.iter().map(held).collect(),
            rows: 0,
        })
    }

    /// Adds a row: a value for each column, in their order.
    ///
    /// # Errors
    /// When the row does not fit, or nothing can be written.
    pub fn push(&mut self, row: &[Value<'_>]) -> Result<(), ColumnsError> {
        if row.len() != self.columns.len() {
            return Err(ColumnsError::Row);
        }
        for (held, value) in self.columns.iter_mut().zip(row) {
            match (held, value) {
                (Held::Text(held), Value::Text(text)) => held.push(ByteArray::from(*text)),
                (Held::Whole(held), Value::Whole(number)) => held.push(*number),
                (Held::Number(held, there), Value::Number(number)) => {
                    there.push(i16::from(number.is_some()));
                    held.extend(number);
                }
                _ => return Err(ColumnsError::Row),
            }
        }
        self.rows += 1;
        if self.rows >= GROUP_ROWS_MAX {
            self.write_group()?;
        }
        Ok(())
    }

    /// Writes what is left, and the file's end.
    ///
    /// # Errors
    /// When nothing can be written.
    pub fn finish(mut self) -> Result<(), ColumnsError> {
        self.write_group()?;
        self.writer.finish()?;
        self.writer.inner_mut().flush().map_err(ParquetError::from)?;
        Ok(())
    }

    fn write_group(&mut self) -> Result<(), ColumnsError> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        for held in &mut self.columns {
            let mut column = group.next_column()?.ok_or(ColumnsError::Row)?;
            match held {
                Held::Text(held) => {
                    column.typed::<ByteArrayType>().write_batch(held, None, None)?;
                    held.clear();
                }
                Held::Whole(held) => {
                    column.typed::<Int64Type>().write_batch(held, None, None)?;
                    held.clear();
                }
                Held::Number(held, there) => {
                    column.typed::<DoubleType>().write_batch(held, Some(there), None)?;
                    held.clear();
                    there.clear();
                }
            }
            column.close()?;
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }
}

fn field(name: &str, kind: ColumnKind) -> Result<TypePtr, ParquetError> {
    let (physical, logical, repetition) = match kind {
        ColumnKind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String), Repetition::REQUIRED),
        ColumnKind::Whole => (Physical::INT64, None, Repetition::REQUIRED),
        ColumnKind::Number => (Physical::DOUBLE, None, Repetition::OPTIONAL),
    };
    let field = Type::primitive_type_builder(name, physical);
    let field = field.with_logical_type(logical).with_repetition(repetition);
    Ok(Arc::new(field.build()?))
}
