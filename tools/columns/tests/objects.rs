//! Files as pandas, Polars and DuckDB write them come out as the values that were put in (`tests/files/make.py` wrote them).
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use columns::{ColumnKind, ObjectLines, Rows, Value};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/files").join(name)
}

fn lines(file: File) -> Vec<String> {
    let mut text = String::new();
    ObjectLines::new(file).unwrap().read_to_string(&mut text).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_table_of_pandas_with_times_of_nanoseconds_and_missing_values() {
    let lines = lines(File::open(file("pandas.parquet")).unwrap());
    assert_eq!(
        lines,
        [
            r#"{"Trans No":900001,"PAN":"c-1","clock":"2026-11-25T03:00:00.123456789","utc":"2026-11-25T02:00:00Z","amount":12.34,"small":0.1,"fraud":true,"count":1,"kind":"a","nested":[1,2]}"#,
            r#"{"Trans No":900002,"PAN":"c-2","clock":"1969-12-31T23:59:59","utc":"2026-11-25T03:00:00Z","amount":null,"small":0.2,"fraud":false,"count":null,"kind":"b","nested":[]}"#,
            r#"{"Trans No":900003,"PAN":null,"clock":null,"utc":"2026-11-25T04:00:00Z","amount":-0.1,"small":0.3,"fraud":true,"count":3,"kind":"a","nested":null}"#,
        ]
    );
}

#[test]
fn a_table_of_polars_packed_by_zstd_with_decimals_and_groups() {
    let lines = lines(File::open(file("polars.parquet")).unwrap());
    assert_eq!(
        lines,
        [
            r#"{"id":"t1","when":"2026-11-25T03:00:00.000005","day":"2026-11-25","at":"23:59:59.000999","amount":"1234.50","place":{"lat":50.5,"lon":4.25},"raw":"ff00"}"#,
            r#"{"id":"t2","when":"1900-01-01T00:00:00","day":"0001-01-01","at":"00:00:00","amount":"-0.07","place":{"lat":null,"lon":1.0},"raw":"text"}"#,
        ]
    );
}

#[test]
fn a_table_of_duckdb_with_numbers_that_no_f64_holds() {
    let lines = lines(File::open(file("duckdb.parquet")).unwrap());
    assert_eq!(
        lines,
        [
            r#"{"id":9007199254740993,"amount":"12.30","t":"2026-11-25T02:00:00Z","clock":"01:02:03","name":"é","big":18446744073709551615,"tiny":-5,"m":[["a",1]],"nothing":null}"#
        ]
    );
}

#[test]
fn what_is_no_number_is_a_text() {
    let file = tempfile::tempfile().unwrap();
    let mut rows = Rows::new(file.try_clone().unwrap(), &[("x", ColumnKind::Number)]).unwrap();
    for number in [f64::NAN, f64::INFINITY] {
        rows.push(&[Value::Number(Some(number))]).unwrap();
    }
    rows.finish().unwrap();
    assert_eq!(lines(file), [r#"{"x":"NaN"}"#, r#"{"x":"inf"}"#]);
}

#[test]
fn a_file_that_is_cut_or_damaged_is_an_error_and_no_panic() {
    let whole = std::fs::read(file("pandas.parquet")).unwrap();
    let read = |bytes: &[u8]| {
        let mut damaged = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut damaged, bytes).unwrap();
        let mut text = String::new();
        ObjectLines::new(File::open(damaged.path()).unwrap())
            .map_err(|error| error.to_string())
            .and_then(|mut lines| lines.read_to_string(&mut text).map_err(|error| error.to_string()))
    };
    assert!(read(&whole[..whole.len() - 5]).is_err());
    assert!(read(b"PAR1").is_err());
    // A byte changed anywhere: another value or an error.
    for at in 4..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        let _ = read(&damaged);
    }
}
