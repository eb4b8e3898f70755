//! Aggregated records: held to bytes of Amazon's own aggregation module, to prost as a second reader and writer, and to
//! every way in which one can be forged, cut or absurd.

use md5::{Digest, Md5};
use proptest::prelude::*;
use prost::Message;
use tidemark_domain::contract::aggregate::{
    AGGREGATE_MAGIC, AGGREGATE_USER_RECORDS_MAX, Aggregator, PackedRecord, take_apart,
};
use tidemark_domain::contract::{Bounds, decode};
use tidemark_domain::refusal::RefusalCode::{self, AggregateDigest, AggregateMalformed, AggregateTooMany, NotUtf8};

/// Made by `aws_kinesis_agg` 1.2.3 (PyPI), Amazon's module for Python, of four events: cards a, b, a, ü; the second and the
/// fourth with explicit hash keys.
const GOLDEN: &[u8] = include_bytes!("../golden/aggregate-kpl.bin");

/// The format as its protobuf description has it, for prost.
#[derive(Clone, PartialEq, Message)]
struct AggregatedRecord {
    #[prost(string, repeated, tag = "1")]
    partition_key_table: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    explicit_hash_key_table: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    records: Vec<Record>,
}

#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(uint64, required, tag = "1")]
    partition_key_index: u64,
    #[prost(uint64, optional, tag = "2")]
    explicit_hash_key_index: Option<u64>,
    #[prost(bytes = "vec", required, tag = "3")]
    data: Vec<u8>,
    #[prost(message, repeated, tag = "4")]
    tags: Vec<Tag>,
}

#[derive(Clone, PartialEq, Message)]
struct Tag {
    #[prost(string, required, tag = "1")]
    key: String,
    #[prost(string, optional, tag = "2")]
    value: Option<String>,
}

/// A message in its envelope.
fn signed(message: &[u8]) -> Vec<u8> {
    [&AGGREGATE_MAGIC[..], message, Md5::digest(message).as_slice()].concat()
}

fn record(partition_key_index: u64, data: &[u8]) -> Record {
    Record {
        partition_key_index,
        explicit_hash_key_index: None,
        data: data.to_vec(),
        tags: Vec::new(),
    }
}

fn aggregate(keys: &[&str], records: Vec<Record>) -> AggregatedRecord {
    AggregatedRecord {
        partition_key_table: keys.iter().map(|key| (*key).to_owned()).collect(),
        explicit_hash_key_table: Vec::new(),
        records,
    }
}

fn code(bytes: &[u8]) -> RefusalCode {
    take_apart(bytes).unwrap_err().code
}

#[test]
fn amazons_own_bytes_are_read_and_written() {
    let records = take_apart(GOLDEN).unwrap().unwrap();
    let keys: Vec<_> = records
        .iter()
        .map(|record| (record.partition_key, record.explicit_hash_key))
        .collect();
    assert_eq!(
        keys,
        [
            ("card-a", None),
            ("card-b", Some("12345678901234567890")),
            ("card-a", None),
            ("card-ü", Some("0"))
        ]
    );
    for record in &records {
        let decoded = decode(record.data, 1_795_348_800_000, &Bounds::default()).unwrap();
        assert_eq!(decoded.event.card_id().as_str(), record.partition_key);
        // Borrowed, not copied.
        assert!(GOLDEN.as_ptr_range().contains(&record.data.as_ptr()));
    }
    let mut again = Aggregator::new();
    assert!(records.iter().all(|record| again.push(record, GOLDEN.len())));
    assert!(again.finish() == GOLDEN, "the same records make the same bytes");
}

#[test]
fn what_does_not_begin_with_the_magic_is_no_aggregate() {
    for bytes in [&b""[..], b"{}", &AGGREGATE_MAGIC[..3], &GOLDEN[1..]] {
        assert_eq!(take_apart(bytes), Ok(None));
    }
}

/// Which is why a record with the magic can be refused whole: no event is lost by it.
#[test]
fn no_event_begins_with_the_magic() {
    assert!(std::str::from_utf8(&AGGREGATE_MAGIC).is_err());
    assert_eq!(
        decode(GOLDEN, 1_795_348_800_000, &Bounds::default()).unwrap_err().code,
        NotUtf8
    );
}

#[test]
fn a_cut_aggregate_is_refused_wherever_it_is_cut() {
    for length in AGGREGATE_MAGIC.len()..GOLDEN.len() {
        assert_eq!(code(&GOLDEN[..length]), AggregateDigest, "{length} bytes");
    }
    let longer = [GOLDEN, b"x"].concat();
    assert_eq!(code(&longer), AggregateDigest);
}

#[test]
fn a_forged_aggregate_is_refused_whichever_bit_was_turned() {
    for at in AGGREGATE_MAGIC.len()..GOLDEN.len() {
        let mut forged = GOLDEN.to_vec();
        forged[at] ^= 1 << (at % 8);
        assert_eq!(code(&forged), AggregateDigest, "byte {at}");
    }
}

#[test]
fn an_absurd_aggregate_is_refused_although_its_digest_is_right() {
    let beyond = aggregate(&["a"], vec![record(0, b"{}"), record(1, b"{}")]);
    assert_eq!(code(&signed(&beyond.encode_to_vec())), AggregateMalformed);
    let huge = aggregate(&["a"], vec![record(u64::MAX, b"{}")]);
    assert_eq!(code(&signed(&huge.encode_to_vec())), AggregateMalformed);
    let mut hash_key = aggregate(&["a"], vec![record(0, b"{}")]);
    hash_key.records[0].explicit_hash_key_index = Some(0);
    assert_eq!(code(&signed(&hash_key.encode_to_vec())), AggregateMalformed);
    let nothing: [&[u8]; 2] = [b"", &aggregate(&["a"], Vec::new()).encode_to_vec()];
    for message in nothing {
        assert_eq!(code(&signed(message)), AggregateMalformed);
    }
}

#[test]
fn what_is_no_protobuf_of_this_shape_is_refused() {
    let cases: [(&str, &[u8]); 12] = [
        ("field number 0", &[0x02, 0]),
        ("a group", &[0x0B, 0x0C]),
        ("wire type 7", &[0x0F]),
        ("a length beyond the end", &[0x0A, 5, b'a']),
        (
            "a length of 2^63",
            &[0x0A, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1],
        ),
        ("a key of 11 bytes", &[0x80; 11]),
        (
            "a tenth byte of a varint over 1",
            &[0x20, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2],
        ),
        ("a varint that ends nowhere", &[0x20, 0x80]),
        ("a table that is a number", &[0x08, 1]),
        ("a partition key that is not UTF-8", &[0x0A, 1, 0xFF]),
        ("a record without a partition key", &[0x0A, 1, b'a', 0x1A, 2, 0x1A, 0]),
        ("a record without data", &[0x0A, 1, b'a', 0x1A, 2, 0x08, 0]),
    ];
    for (what, message) in cases {
        assert_eq!(code(&signed(message)), AggregateMalformed, "{what}");
    }
    let whole: &[u8] = &[0x0A, 1, b'a', 0x1A, 4, 0x08, 0, 0x1A, 0];
    assert_eq!(take_apart(&signed(whole)).unwrap().unwrap().len(), 1, "the control");
}

#[test]
fn fields_of_a_later_version_tags_and_any_order_are_tolerated() {
    let mut tagged = aggregate(&["a"], vec![record(0, b"x")]);
    tagged.records[0].tags = vec![Tag {
        key: "k".to_owned(),
        value: Some("v".to_owned()),
    }];
    let (keys, records) = (aggregate(&["a"], Vec::new()), aggregate(&[], tagged.records));
    // Fields 9 to 12: a number, eight bytes, bytes, four bytes.
    let strangers: &[u8] = &[0x48, 1, 0x51, 0, 0, 0, 0, 0, 0, 0, 0, 0x5A, 1, b'x', 0x65, 0, 0, 0, 0];
    let message = [records.encode_to_vec(), strangers.to_vec(), keys.encode_to_vec()].concat();
    let records = signed(&message);
    let expected = PackedRecord {
        partition_key: "a",
        explicit_hash_key: None,
        data: b"x",
    };
    assert_eq!(take_apart(&records), Ok(Some(vec![expected])));
}

#[test]
fn the_limits_of_user_records_and_keys_are_exact() {
    let with = |records: usize| signed(&aggregate(&["a"], vec![record(0, b""); records]).encode_to_vec());
    let most = with(AGGREGATE_USER_RECORDS_MAX);
    assert_eq!(take_apart(&most).unwrap().unwrap().len(), AGGREGATE_USER_RECORDS_MAX);
    assert_eq!(code(&with(AGGREGATE_USER_RECORDS_MAX + 1)), AggregateTooMany);
    let keys = vec!["a"; AGGREGATE_USER_RECORDS_MAX + 1];
    let message = aggregate(&keys, vec![record(0, b"")]).encode_to_vec();
    assert_eq!(code(&signed(&message)), AggregateTooMany);
    let mut aggregator = Aggregator::new();
    let user = PackedRecord {
        partition_key: "a",
        explicit_hash_key: None,
        data: b"",
    };
    while aggregator.push(&user, usize::MAX) {}
    assert_eq!(aggregator.user_records(), AGGREGATE_USER_RECORDS_MAX);
    assert!(take_apart(&aggregator.finish()).is_ok());
}

/// The shortest event there is: the limit of user records is beyond what a record of 1 MiB can hold of them.
#[test]
fn no_aggregate_of_events_within_a_mebibyte_is_over_the_limit() {
    let shortest = br#"{"schema":"label","version":1,"event_id":"e","card_id":"c","verdict":"fraud","known_since_ms":100000000000}"#;
    assert!(decode(shortest, 1_795_348_800_000, &Bounds::default()).is_ok());
    let mut aggregator = Aggregator::new();
    let user = PackedRecord {
        partition_key: "c",
        explicit_hash_key: None,
        data: shortest,
    };
    while aggregator.push(&user, 1 << 20) {}
    assert!(
        aggregator.user_records() < AGGREGATE_USER_RECORDS_MAX,
        "{}",
        aggregator.user_records()
    );
    assert!(aggregator.bytes() + 200 > 1 << 20);
}

fn user_records() -> impl Strategy<Value = Vec<(String, Option<String>, Vec<u8>)>> {
    let key = prop::sample::select(vec!["card-a", "card-b", "é", ""]).prop_map(str::to_owned);
    let hash = prop::option::of("[0-9]{1,39}");
    prop::collection::vec((key, hash, prop::collection::vec(any::<u8>(), 0..300)), 1..40)
}

fn borrowed(record: &(String, Option<String>, Vec<u8>)) -> PackedRecord<'_> {
    PackedRecord {
        partition_key: &record.0,
        explicit_hash_key: record.1.as_deref(),
        data: &record.2,
    }
}

proptest! {
    #[test]
    fn what_is_aggregated_comes_apart_again(records in user_records()) {
        let mut aggregator = Aggregator::new();
        for record in &records {
            prop_assert!(aggregator.push(&borrowed(record), usize::MAX));
        }
        let bytes = aggregator.bytes();
        let whole = aggregator.finish();
        prop_assert_eq!(whole.len(), bytes);
        let expected: Vec<PackedRecord<'_>> = records.iter().map(borrowed).collect();
        prop_assert_eq!(take_apart(&whole), Ok(Some(expected)));
        // And prost, which knows nothing of our writer, reads the same.
        let message = AggregatedRecord::decode(&whole[4..whole.len() - 16]).unwrap();
        for (read, (key, hash, data)) in message.records.iter().zip(&records) {
            prop_assert_eq!(&message.partition_key_table[usize::try_from(read.partition_key_index).unwrap()], key);
            let index = read.explicit_hash_key_index.map(|index| usize::try_from(index).unwrap());
            prop_assert_eq!(index.map(|index| &message.explicit_hash_key_table[index]), hash.as_ref());
            prop_assert_eq!(&read.data, data);
        }
        prop_assert_eq!(message.records.len(), records.len());
    }

    #[test]
    fn an_aggregator_never_goes_over_its_bytes(records in user_records(), bytes_max in 20usize..3_000) {
        let mut aggregator = Aggregator::new();
        let taken = records.iter().take_while(|record| aggregator.push(&borrowed(record), bytes_max)).count();
        prop_assert_eq!(aggregator.user_records(), taken);
        if taken > 0 {
            let whole = aggregator.finish();
            prop_assert!(whole.len() <= bytes_max);
            prop_assert_eq!(take_apart(&whole).unwrap().unwrap().len(), taken);
        }
    }

    /// Whatever bytes our reader takes for an aggregate, prost takes too, and reads the same out of them.
    #[test]
    fn our_reader_agrees_with_prost(
        records in user_records(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut aggregator = Aggregator::new();
        for record in &records {
            aggregator.push(&borrowed(record), usize::MAX);
        }
        let whole = aggregator.finish();
        let mut message = whole[4..whole.len() - 16].to_vec();
        for (at, byte) in changes {
            let at = at.index(message.len());
            message[at] = byte;
        }
        let whole = signed(&message);
        if let Ok(Some(ours)) = take_apart(&whole) {
            let theirs = AggregatedRecord::decode(message.as_slice()).unwrap();
            prop_assert_eq!(ours.len(), theirs.records.len());
            for (ours, theirs_at) in ours.iter().zip(&theirs.records) {
                prop_assert_eq!(ours.data, &theirs_at.data[..]);
                let key = &theirs.partition_key_table[usize::try_from(theirs_at.partition_key_index).unwrap()];
                prop_assert_eq!(ours.partition_key, key);
            }
        }
    }
}
