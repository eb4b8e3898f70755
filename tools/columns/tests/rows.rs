//! What is written is read back: by the library's own reader, value by value.
#![allow(clippy::unwrap_used, clippy::panic)]

use columns::{ColumnKind, ColumnsError, GROUP_ROWS_MAX, Rows, Value};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

const COLUMNS: [(&str, ColumnKind); 3] = [
    ("event_id", ColumnKind::Text),
    ("occurred_at_ms", ColumnKind::Whole),
    ("terminal.fraud_run", ColumnKind::Number),
];

#[test]
fn every_value_comes_back_missing_ones_too_and_groups_have_no_seam() {
    let file = tempfile::tempfile().unwrap();
    let mut rows = Rows::new(file.try_clone().unwrap(), &COLUMNS).unwrap();
    let count = GROUP_ROWS_MAX + 3;
    let number = |at: usize| (!at.is_multiple_of(3)).then(|| at as f64 / 7.0);
    for at in 0..count {
        let id = format!("é-{at}");
        let whole = i64::MAX - at as i64;
        let row = [Value::Text(&id), Value::Whole(whole), Value::Number(number(at))];
        rows.push(&row).unwrap();
    }
    rows.finish().unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    assert_eq!(reader.metadata().num_row_groups(), 2);
    let mut seen = 0;
    for (at, row) in reader.get_row_iter(None).unwrap().enumerate() {
        let row = row.unwrap();
        let expected = [
            ("event_id", Field::Str(format!("é-{at}"))),
            ("occurred_at_ms", Field::Long(i64::MAX - at as i64)),
            ("terminal.fraud_run", number(at).map_or(Field::Null, Field::Double)),
        ];
        for ((name, field), (expected_name, expected)) in row.get_column_iter().zip(expected) {
            assert_eq!((name.as_str(), field), (expected_name, &expected), "row {at}");
        }
        seen += 1;
    }
    assert_eq!(seen, count);
}

#[test]
fn a_file_without_rows_has_its_columns() {
    let file = tempfile::tempfile().unwrap();
    Rows::new(file.try_clone().unwrap(), &COLUMNS)
        .unwrap()
        .finish()
        .unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let columns = reader.metadata().file_metadata().schema_descr().columns().len();
    assert_eq!((columns, reader.metadata().num_row_groups()), (3, 0));
}

#[test]
fn a_row_that_does_not_fit_is_refused() {
    let mut rows = Rows::new(Vec::new(), &COLUMNS).unwrap();
    let short = rows.push(&[Value::Text("e")]);
    assert!(matches!(short, Err(ColumnsError::Row)));
    let other = rows.push(&[Value::Text("e"), Value::Text("1"), Value::Number(None)]);
    assert!(matches!(other, Err(ColumnsError::Row)));
}
