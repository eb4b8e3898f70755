//! Bad input of every kind: each with its line, its column, and what to do.

use std::io::{self, BufReader, Read};

use translate::limits::{COLUMNS_MAX, REFUSED_NAMED_MAX, ROW_BYTES_MAX};
use translate::{InputFault, MapCode, Translated, Translator, suggest};

use crate::world::{HEADER, MAP, ROW, map, refusal, run, table};

/// The row with another value in one column.
fn row_with(column: &str, value: &str) -> String {
    let at = HEADER.split(',').position(|name| name == column).unwrap();
    let mut values: Vec<&str> = ROW.split(',').collect();
    values[at] = value;
    values.join(",")
}

#[test]
fn each_fault_of_a_value_has_its_code_its_place_and_its_advice() {
    let shown = |column: &'static str, value: &'static str| (column, value, Some(value));
    for ((column, value, shown), code) in [
        (("id", "", None), "empty_value"),
        (("when", "", None), "empty_value"),
        (shown("when", "2026-11-23"), "time_text"),
        (shown("when", "25/10/2026 02:30:00"), "time_twice"),
        (shown("when", "29/03/2026 02:30:00"), "time_skipped"),
        (("amount", "\"1,234.56\"", Some("1,234.56")), "amount_separators"),
        (shown("amount", "1.234"), "amount_precision"),
        (shown("amount", "-5"), "amount_negative"),
        (shown("amount", "twelve"), "amount_text"),
        (shown("amount", "0"), "amount_not_positive"),
        (shown("mcc", "groceries"), "number_text"),
        (shown("mcc", "10000"), "number_out_of_range"),
        (shown("land", "Belgique"), "unknown_value"),
        (shown("fraud", "maybe"), "unknown_value"),
        (
            ("shop", "4111 1111 1111 1111", Some("**** **** **** ****")),
            "card_number",
        ),
    ] {
        let refused = refusal(MAP, &table(&[ROW, &row_with(column, value)]));
        assert_eq!(
            (refused.code, refused.line),
            (code, 3),
            "{column} = {value}: {refused:?}"
        );
        assert_eq!(refused.column.as_deref(), Some(column), "{value}");
        let number = HEADER.split(',').position(|name| name == column).unwrap() + 1;
        assert_eq!(refused.column_number, Some(number));
        assert_eq!(refused.value.as_deref(), shown, "{column} = {value}");
        assert!(refused.advice.len() > 20 && refused.why.len() > 10, "{refused:?}");
    }
}

#[test]
fn a_value_that_the_map_hashes_is_never_shown() {
    let map_text = MAP.replace("strip = \" \"", "strip = \" \", empty = \"\"");
    let long = "9".repeat(20);
    for value in ["5500005555555559", long.as_str()] {
        let ran = run(
            &map_text,
            table(&[&row_with("pan", value).replace("12.34", "-1")]).as_bytes(),
        );
        assert_eq!(ran.refused[0].code, "amount_negative");
        assert!(!format!("{ran:?}").contains(value), "{ran:?}");
    }
    let mut translator = Translator::new(table(&[ROW]).into_bytes().leak() as &[u8], map(MAP)).unwrap();
    translator.next().unwrap();
    let theirs = format!("{:?}", translator.theirs());
    assert!(
        theirs.contains("Spar") && theirs.contains("(hashed") && !theirs.contains("4111"),
        "{theirs}"
    );
}

#[test]
fn a_date_of_two_readings_is_refused_unless_the_map_states_its_format() {
    let iso = MAP.replace("time = \"%d/%m/%Y %H:%M:%S\", ", "");
    let refused = refusal(&iso, &table(&[&row_with("when", "03/04/2026")]));
    assert_eq!(
        (refused.code, refused.value.as_deref()),
        ("time_ambiguous", Some("03/04/2026"))
    );
    assert!(
        refused.why.contains("day 3 of month 4, or day 4 of month 3"),
        "{refused:?}"
    );
    let none = iso.replace(", zone = \"Europe/Brussels\"", "");
    assert_eq!(
        refusal(&none, &table(&[&row_with("when", "2026-11-23 03:00:00")])).code,
        "time_without_zone"
    );
    let epoch = none.replace("from = \"when\"", "from = \"when\", time = \"epoch_ms\"");
    assert_eq!(
        refusal(&epoch, &table(&[&row_with("when", "1795399200")])).code,
        "time_unit"
    );
    assert_eq!(
        refusal(&none, &table(&[&row_with("when", "1795399200")])).code,
        "time_unit"
    );
}

#[test]
fn a_currency_without_a_known_exponent_is_refused() {
    let plain = MAP.replace(
        "cur\", values = { \"euro\" = \"EUR\", \"yen\" = \"JPY\" }, otherwise = \"USD\"",
        "cur\"",
    );
    for code in ["XAU", "XXX", "BTC", "euro", "eur"] {
        let refused = refusal(&plain, &table(&[&row_with("cur", code)]));
        assert_eq!(
            (refused.code, refused.column.as_deref()),
            ("unknown_currency", Some("cur")),
            "{code}"
        );
        assert_eq!(refused.value.as_deref(), Some(code));
    }
}

#[test]
fn what_is_no_boolean_and_no_whole_id_is_refused() {
    let plain = MAP.replace("resp\", values = { \"00\" = true }, otherwise = false", "resp\"");
    let refused = refusal(&plain, &table(&[&row_with("resp", "00")]));
    assert_eq!(
        (refused.code, refused.column.as_deref()),
        ("boolean_text", Some("resp"))
    );
    let objects = "version = 1\n[input]\nformat = \"json_lines\"\n[label]\nverdict = { value = \"fraud\" }\n\
                   event_id = { from = \"id\" }\ncard_id = { from = \"/card/id\" }\nknown_since_ms = { from = \"at\" }\n";
    for (line, code, column) in [
        (
            r#"{"id":1.5,"card":{"id":"c"},"at":"2026-11-23T02:00:00Z"}"#,
            "id_number",
            Some("id"),
        ),
        (
            r#"{"id":123456789012345678901234567890,"card":{"id":"c"}}"#,
            "id_number",
            Some("id"),
        ),
        (r#"{"id":1,"card":{"id":["c"]}}"#, "not_a_value", Some("/card/id")),
        (r#"{"id":1,"card":5}"#, "empty_value", Some("/card/id")),
        (r#"{"id":1"#, "not_json", None),
        ("[1]", "not_json", None),
        ("not json", "not_json", None),
    ] {
        // The first line is whole: a file that begins with an array is another kind of file.
        let file = format!("{{\"id\":1,\"card\":{{\"id\":\"c\"}},\"at\":\"2026-11-23T02:00:00Z\"}}\n{line}\n");
        let refused = refusal(objects, &file);
        assert_eq!(
            (refused.code, refused.line, refused.column.as_deref()),
            (code, 2, column),
            "{line}"
        );
    }
    let deep = format!("{{}}\n{}{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    let ran = run(objects, deep.as_bytes());
    assert_eq!((ran.refused[1].code, ran.refused[1].line), ("too_deep", 2));
    let long = format!("{{\"a\":\"{}\"}}\n{{}}", "x".repeat(ROW_BYTES_MAX));
    let ran = run(objects, long.as_bytes());
    assert_eq!((ran.refused[0].code, ran.refused[0].line), ("row_too_long", 1));
    assert_eq!(ran.account.rows, 2);
}

#[test]
fn rows_of_another_width_of_another_encoding_and_without_an_end_are_refused_by_their_line() {
    let latin = [
        table(&[ROW]).as_bytes(),
        b"2,5,23/11/2026 03:00:00,1,euro,Caf\xe9,5411,Belgium,00,0,x\n",
    ]
    .concat();
    let ran = run(MAP, &latin);
    assert_eq!(
        (ran.refused[0].code, ran.refused[0].line, ran.account.translated),
        ("not_utf8", 3, 1)
    );
    let ran = run(MAP, table(&[ROW, "1,2", &format!("{ROW},y"), ROW]).as_bytes());
    let refused: Vec<_> = ran.refused.iter().map(|refused| (refused.code, refused.line)).collect();
    assert_eq!(refused, [("columns", 3), ("columns", 4)]);
    assert!(ran.refused[0].why.contains("expected 11 columns, found 2"), "{ran:?}");
    // A quote that is not closed takes the rest of the file into one value, whose first line is named.
    let open = row_with("shop", "\"Spar");
    let ran = run(MAP, table(&[ROW, &open, ROW, ROW]).as_bytes());
    assert_eq!(
        (ran.refused[0].code, ran.refused[0].line, ran.account.rows),
        ("columns", 3, 2)
    );
    assert!(
        ran.refused[0].why.contains("on 3 lines") && ran.refused[0].advice.contains("quote"),
        "{ran:?}"
    );
    let endless = io::repeat(b'a').take(3 * ROW_BYTES_MAX as u64);
    let file = table(&[&row_with("shop", "\"")]).into_bytes();
    let mut translator = Translator::new(BufReader::new(file.as_slice().chain(endless)), map(MAP)).unwrap();
    let Some(Translated::Refused(refused)) = translator.next().unwrap() else {
        panic!()
    };
    assert_eq!((refused.code, refused.line), ("row_too_long", 2));
    assert!(translator.next().unwrap().is_none());
}

#[test]
fn a_table_of_a_million_columns_is_an_error_before_it_is_held() {
    let header = (0..1_000_000)
        .map(|number| format!("c{number}"))
        .collect::<Vec<_>>()
        .join(",");
    let fault = run(MAP, format!("{header}\n").as_bytes()).fault.unwrap();
    let InputFault::Header { line: 1, why, .. } = &fault else {
        panic!("{fault:?}")
    };
    assert!(
        why.contains("more than 2000 columns; column 2001") || why.contains("more than 1048576 bytes"),
        "{why}"
    );
    assert!(
        fault.advice().contains("cut -d") || fault.advice().contains("delimiter"),
        "{}",
        fault.advice()
    );
    let short = format!("{}\n", ",".repeat(1_000_000));
    let fault = run(MAP, short.as_bytes()).fault.unwrap();
    assert!(fault.to_string().contains("column 2001"), "{fault}");
    // A row that wide is refused, and the rows behind it are read.
    let ran = run(MAP, table(&[ROW, &",".repeat(1_000_000), ROW]).as_bytes());
    assert_eq!(
        (ran.refused[0].code, ran.refused[0].line, ran.account.translated),
        ("columns", 3, 2)
    );
    // As many columns as may be are read.
    let wide = format!(
        "{HEADER}{}\n{ROW}{}\n",
        ",x".repeat(COLUMNS_MAX - 11),
        ",".repeat(COLUMNS_MAX - 11)
    );
    assert_eq!(run(MAP, wide.as_bytes()).account.translated, 1);
}

#[test]
fn a_file_without_the_columns_of_the_map_is_an_error_that_names_them() {
    let fault = |file: &str| run(MAP, file.as_bytes()).fault.unwrap();
    let missing = fault("id,card\n1,2\n");
    assert!(missing.to_string().contains("no column is called \"pan\""), "{missing}");
    assert!(missing.advice().contains("\"id\", \"card\""), "{}", missing.advice());
    let twice = fault(&format!("{HEADER},amount\n"));
    assert!(
        twice
            .to_string()
            .contains("two columns are called \"amount\": 4 and 12"),
        "{twice}"
    );
    assert!(fault("").to_string().contains("it is empty"));
    assert!(fault("PAR1\0\0").advice().contains("duckdb"));
    assert!(fault("PK\u{3}\u{4}xl").to_string().contains("Excel"));
    assert!(fault("{\"a\":1}\n").advice().contains("format = \"json_lines\""));
    let utf16: Vec<u8> = HEADER.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(run(MAP, &utf16).fault.unwrap().to_string().contains("UTF-16"));
    let objects = MAP.to_owned() + "[input]\nformat = \"json_lines\"\n";
    assert!(
        run(&objects, b" [{\"a\":1}]")
            .fault
            .unwrap()
            .advice()
            .contains("jq -c '.[]'")
    );
    let card = fault("4111111111111111,b\n");
    assert!(!card.advice().contains("4111111111111111"), "{}", card.advice());
}

#[test]
fn two_rows_for_one_id_are_said() {
    let later = ROW.replacen("03:00:00", "03:00:01", 1);
    let ran = run(MAP, table(&[ROW, ROW, &later]).as_bytes());
    let repeats = &ran.account.repeats;
    assert_eq!(
        (repeats.same_event, repeats.same_id, repeats.all_looked_at),
        (1, 1, true)
    );
    let first: Vec<_> = repeats
        .first
        .iter()
        .map(|repeat| (repeat.line, repeat.earlier_line, repeat.same_time))
        .collect();
    assert_eq!(first, [(3, 2, true), (4, 2, false)]);
    assert_eq!(ran.account.out_of_order, 0);
    let back = run(MAP, table(&[&later, ROW, ROW]).as_bytes());
    assert_eq!(back.account.out_of_order, 2, "both happened before the first row's");
    // The stream takes the first of two for one event, so nothing is left out here.
    assert_eq!(ran.account.translated, 3);
}

/// A file as it comes, without any of it in memory.
struct Rows {
    number: u64,
    of: u64,
    pending: Vec<u8>,
}

impl Read for Rows {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.pending.is_empty() && self.number < self.of {
            self.number += 1;
            let card = if self.number <= 900_000 {
                self.number.to_string()
            } else {
                "soon".to_owned()
            };
            self.pending = format!("{},c,{card},1\n", self.number).into_bytes();
        }
        let length = self.pending.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.pending[..length]);
        self.pending.drain(..length);
        Ok(length)
    }
}

#[test]
fn a_column_that_changes_its_type_at_row_900_000_is_refused_from_there_on_by_line() {
    let label = "version = 1\n[label]\nevent_id = { from = \"id\" }\ncard_id = { from = \"card\" }\nverdict = { value = \"fraud\" }\n\
                 known_since_ms = { from = \"day\", time = \"epoch_s\", origin = \"2026-01-01T00:00:00Z\" }\n";
    let rows = Rows {
        number: 0,
        of: 902_000,
        pending: b"id,card,day,x\n".to_vec(),
    };
    let mut translator = Translator::new(BufReader::new(rows), map(label)).unwrap();
    let mut first = None;
    while let Some(row) = translator.next().unwrap() {
        if let (Translated::Refused(refused), None) = (row, &first) {
            first = Some(refused);
        }
    }
    let first = first.unwrap();
    assert_eq!(
        (first.code, first.line, first.column.as_deref()),
        ("time_text", 900_002, Some("day"))
    );
    assert_eq!(first.value.as_deref(), Some("soon"));
    let account = translator.account();
    assert_eq!((account.labels, account.refused_total), (900_000, 2_000));
    assert_eq!(account.refused_by_code, [("time_text", 2_000)].into());
    assert_eq!(
        account.refused.len(),
        REFUSED_NAMED_MAX,
        "the first are named, all are counted"
    );
}

/// Every code of the map is given to some row of these tests' files.
#[test]
fn no_code_is_without_a_row_that_gets_it() {
    let sources = [include_str!("bad_input.rs"), include_str!("rows.rs")].concat();
    let unused: Vec<&str> = MapCode::ALL
        .iter()
        .map(|code| code.as_str())
        .filter(|code| !sources.contains(&format!("\"{code}\"")))
        .collect();
    assert!(unused.is_empty(), "{unused:?}");
}

/// What a person is shown of a row holds no card number, whatever type it has, and nothing that is hashed, whatever became of its columns.
#[test]
fn no_card_number_and_nothing_hashed_is_shown_of_a_row() {
    let objects = "version = 1\n[input]\nformat = \"json_lines\"\n[label]\nverdict = { value = \"fraud\" }\n\
        event_id = { from = \"/id\" }\ncard_id = { from = \"/card\", hash = \"sha256\", salt_env = \"SALT\" }\n\
        known_since_ms = { from = \"/since\", time = \"epoch_ms\" }\n";
    let file = "{\"id\":\"1\",\"card\":\"c\",\"since\":4111111111111111.0}\nnot json at all\n";
    let mut translator = Translator::new(file.as_bytes(), map(objects)).unwrap();
    let shown = |translator: &Translator<&[u8]>| format!("{:?}", translator.theirs());
    let refused = format!("{:?}", translator.next().unwrap());
    let said = refused + &shown(&translator);
    assert!(said.contains("since") && !said.contains("4111111111111111"), "{said}");
    translator.next().unwrap();
    assert_eq!(shown(&translator), "[]", "the row before is not this one");

    let mut translator = Translator::new(
        format!("{HEADER}\n1,23/11/2026 03:00:00,4111 1111 1111 1111\n")
            .into_bytes()
            .leak() as &[u8],
        map(MAP),
    )
    .unwrap();
    translator.next().unwrap();
    assert_eq!(translator.theirs(), []);
}

#[test]
fn a_row_in_the_place_of_names_is_no_names() {
    let file = "1,4111 1111 1111 1111,23/11/2026\n2,4111 1111 1111 1111,23/11/2026\n";
    let fault = suggest(file.as_bytes(), "rows.csv", 10, false).unwrap_err();
    assert!(
        fault.to_string().contains("line 1: the first row holds a card number") && !fault.to_string().contains("4111"),
        "{fault}"
    );
}
