//! Packed files: whole, in parts, and cut.

use std::io::Write;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use translate::{InputFault, Translated, Translator, unpack};

use crate::world::{MAP, ROW, map, table};

/// `printf 'a\nb\n' | zstd`, with its checksum.
const ZSTD: &str = "28b52ffd0458210000610a620a2550b323";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hexadecimal[at..at + 2], 16).unwrap();
    (0..hexadecimal.len()).step_by(2).map(digit).collect()
}

fn unpacked(bytes: &[u8]) -> std::io::Result<String> {
    let mut text = String::new();
    std::io::Read::read_to_string(&mut unpack(bytes)?, &mut text).map(|_| text)
}

#[test]
fn gzip_and_zstd_are_known_by_their_first_bytes_in_one_part_and_in_several() {
    assert_eq!(unpacked(b"a\nb\n").unwrap(), "a\nb\n");
    assert_eq!(unpacked(b"").unwrap(), "");
    assert_eq!(unpacked(&gzip(b"a\nb\n")).unwrap(), "a\nb\n");
    assert_eq!(unpacked(&[gzip(b"a\n"), gzip(b"b\n")].concat()).unwrap(), "a\nb\n");
    assert_eq!(unpacked(&bytes(ZSTD)).unwrap(), "a\nb\n");
    // A frame that is to be skipped stands between two others.
    let skipped = bytes("502a4d1803000000ffffff");
    assert_eq!(
        unpacked(&[bytes(ZSTD), skipped, bytes(ZSTD)].concat()).unwrap(),
        "a\nb\na\nb\n"
    );
}

#[test]
fn a_zstd_file_that_is_cut_or_damaged_is_an_error_and_not_an_end() {
    let whole = bytes(ZSTD);
    for length in 5..whole.len() {
        assert!(unpacked(&whole[..length]).is_err(), "cut at {length}");
    }
    let mut wrong = whole.clone();
    wrong[10] ^= 1;
    assert!(unpacked(&wrong).unwrap_err().to_string().contains("checksum"));
}

/// What was read before the cut is whole rows, and no row is made of half of one.
#[test]
fn a_file_cut_in_the_middle_of_a_gzip_block_gives_whole_rows_and_an_error_with_its_line() {
    let rows: Vec<String> = (0..4_000)
        .map(|number| ROW.replacen('1', &format!("{number}{}", number * 7_919), 1))
        .collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let packed = gzip(table(&rows).as_bytes());
    for length in [packed.len() / 2, packed.len() - 9, packed.len() - 3] {
        let input = unpack(&packed[..length]).unwrap();
        let mut translator = Translator::new(input, map(MAP)).unwrap();
        let (mut last, mut count) = (0, 0);
        let fault = loop {
            match translator.next() {
                Ok(Some(Translated::Events { line, events })) => {
                    (last, count) = (line, count + 1);
                    let event: serde_json::Value = serde_json::from_slice(&events[0]).unwrap();
                    let number = line - 2;
                    assert_eq!(event["event_id"], format!("t-{number}{}", number * 7_919));
                }
                Ok(other) => panic!("{other:?}"),
                Err(fault) => break fault,
            }
        };
        let InputFault::Broken { line, source } = &fault else {
            panic!("{fault:?}")
        };
        assert!(
            count > 100 && *line == last,
            "{count} rows, the last on line {last}: {fault}"
        );
        assert_eq!(source.kind(), std::io::ErrorKind::UnexpectedEof, "{source}");
        assert!(fault.advice().contains("cut or damaged"));
    }
    let whole = Translator::new(unpack(packed.as_slice()).unwrap(), Arc::clone(&map(MAP)));
    let mut whole = whole.unwrap();
    while whole.next().unwrap().is_some() {}
    assert_eq!(whole.account().translated, 4_000);
}
