//! The same pass as serde's over nearly every payload: one as Lambda writes it, without a space, an escape or a member that is no
//! string. Whatever else a payload has is left to serde, which says what is wrong with it; what both read is the same.

use std::borrow::Cow;

use tidemark_aws::arrival_ms_of_seconds;

use super::base64::decode_quoted;
use super::{Batch, Record, is_sequence_number};

/// Puts the records of a payload into a batch; `None` where it is not so simple, and then what is in the batch is of no account.
pub(super) fn read<'a>(json: &'a str, batch: &mut Batch<'a>) -> Option<()> {
    let mut text = Text { text: json, at: 0 };
    text.take_all("{\"Records\":[")?;
    if text.take(b']').is_none() {
        loop {
            let record = text.record(&mut batch.payloads)?;
            batch.records.push(record);
            if text.take(b',').is_none() {
                break;
            }
        }
        text.take(b']')?;
    }
    text.take(b'}')?;
    (text.at == json.len()).then_some(())
}

/// What is said of a record's data.
struct Data<'a> {
    partition_key: &'a str,
    sequence_number: &'a str,
    arrival_ms: i64,
    payload: std::ops::Range<usize>,
}

/// A text that is read up to a place. Every step is `None` where the text is not of the shape.
struct Text<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Text<'a> {
    #[inline(always)]
    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    #[inline(always)]
    fn take(&mut self, byte: u8) -> Option<()> {
        if *self.text.as_bytes().get(self.at)? != byte {
            return None;
        }
        self.at += 1;
        Some(())
    }

    fn take_all(&mut self, text: &str) -> Option<()> {
        self.at += self.rest().strip_prefix(text.as_bytes()).map(|_| text.len())?;
        Some(())
    }

    #[inline(always)]
    fn string(&mut self) -> Option<&'a str> {
        self.take(b'"')?;
        let end = self.at + end_at(self.rest())?;
        let text = self.text.get(self.at..end)?;
        self.at = end + 1;
        Some(text)
    }

    /// A member's name; what follows is its value.
    #[inline(always)]
    fn name(&mut self) -> Option<&'a str> {
        let name = self.string()?;
        self.take(b':')?;
        Some(name)
    }

    /// Behind a member: whether there is another one.
    #[inline(always)]
    fn has_more(&mut self) -> Option<bool> {
        if self.take(b',').is_some() {
            return Some(true);
        }
        self.take(b'}')?;
        Some(false)
    }

    fn record(&mut self, payloads: &mut Vec<u8>) -> Option<Record<'a>> {
        let (mut event_id, mut stream, mut data) = (None, None, None);
        self.take(b'{')?;
        loop {
            match self.name()? {
                "kinesis" => once(&mut data, self.data(payloads)?)?,
                "eventID" => once(&mut event_id, self.string()?)?,
                "eventSourceARN" => once(&mut stream, self.string()?)?,
                _ => _ = self.string()?,
            }
            if !self.has_more()? {
                break;
            }
        }
        let Data {
            partition_key,
            sequence_number,
            arrival_ms,
            payload,
        } = data?;
        Some(Record {
            stream: Cow::Borrowed(stream?),
            event_id: Cow::Borrowed(event_id?),
            sequence_number: Cow::Borrowed(sequence_number),
            partition_key: Cow::Borrowed(partition_key),
            arrival_ms,
            payload,
        })
    }

    fn data(&mut self, payloads: &mut Vec<u8>) -> Option<Data<'a>> {
        let (mut partition_key, mut sequence_number, mut arrival_ms, mut payload) = (None, None, None, None);
        self.take(b'{')?;
        loop {
            match self.name()? {
                "data" => once(&mut payload, self.payload(payloads)?)?,
                "partitionKey" => once(&mut partition_key, self.string()?)?,
                "sequenceNumber" => once(&mut sequence_number, self.string()?)?,
                "approximateArrivalTimestamp" => once(&mut arrival_ms, arrival_ms_of_seconds(self.number()?)?)?,
                _ => _ = self.string()?,
            }
            if !self.has_more()? {
                break;
            }
        }
        Some(Data {
            partition_key: partition_key?,
            sequence_number: sequence_number.filter(|number| is_sequence_number(number))?,
            arrival_ms: arrival_ms?,
            payload: payload?,
        })
    }

    /// Decodes a string of base64; where its bytes are now.
    fn payload(&mut self, payloads: &mut Vec<u8>) -> Option<std::ops::Range<usize>> {
        self.take(b'"')?;
        let begin = payloads.len();
        self.at += decode_quoted(self.rest(), payloads)?;
        self.take(b'"')?;
        Some(begin..payloads.len())
    }

    /// A number, as serde reads it.
    fn number(&mut self) -> Option<f64> {
        let is_part = |byte: &&u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E');
        let length = self.rest().iter().take_while(is_part).count();
        let token = self.text.get(self.at..self.at + length)?;
        self.at += length;
        serde_json::from_str(token).ok()
    }
}

/// Takes what was not there before: serde refuses a member that comes twice.
#[inline(always)]
fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

/// Where a string ends that has no escape; `None` where it has one, or a control character, or no end.
#[inline(always)]
fn end_at(bytes: &[u8]) -> Option<usize> {
    let (words, _) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let found = ends(u64::from_le_bytes(*word));
        if found != 0 {
            let end = at * 8 + found.trailing_zeros() as usize / 8;
            return (bytes[end] == b'"').then_some(end);
        }
    }
    let looked_at = words.len() * 8;
    let is_end = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..b' ');
    let end = looked_at + bytes[looked_at..].iter().position(is_end)?;
    (bytes[end] == b'"').then_some(end)
}

/// The highest bits of bytes that are a quote, a backslash or a control character: the lowest bit that is set is of the first one
/// (A. Mycroft's test).
#[inline(always)]
const fn ends(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    let quotes = word ^ (ONES * b'"' as u64);
    let backslashes = word ^ (ONES * b'\\' as u64);
    let found = quotes.wrapping_sub(ONES) & !quotes | backslashes.wrapping_sub(ONES) & !backslashes;
    (found | word.wrapping_sub(ONES * b' ' as u64) & !word) & (ONES << 7)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;
    use serde_json::json;

    use super::*;

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            8 => "[ -~]{0,24}".prop_map(|text| text.replace(['"', '\\'], "x")),
            1 => "\\PC{0,9}",
            1 => select(vec!["\"", "\\", "\n", "é\u{1}"]).prop_map(str::to_owned),
        ]
    }

    fn record() -> impl Strategy<Value = String> {
        let number = prop_oneof![9 => "[0-9]{1,56}", 1 => Just(String::new()), 1 => Just("x1".to_owned())];
        let data = prop_oneof![
            9 => proptest::collection::vec(any::<u8>(), 0..80).prop_map(|bytes| super::super::encoded(&bytes)),
            1 => "[A-Za-z0-9+/=]{0,40}",
            1 => text(),
        ];
        let seconds = prop_oneof![
            9 => (0_i64..4_000_000_000_000).prop_map(|ms| json!(ms as f64 / 1e3)),
            1 => any::<i32>().prop_map(|seconds| json!(seconds)),
            1 => any::<f64>().prop_map(|seconds| json!(seconds)),
            1 => Just(json!("1")),
        ];
        let fault = prop_oneof![
            12 => Just(("", "")),
            1 => select(vec![
                ("\"data\"", "\"more\""),
                ("{", "{ "),
                ("\"eventID\"", "\"eventSourceARN\""),
                ("\"awsRegion\":", "\"awsRegion\":[],\"r\":"),
                ("\"partitionKey\"", "\"sequenceNumber\""),
                ("}", ",}"),
            ]),
        ];
        (text(), number, data, seconds, text(), fault).prop_map(|(key, number, data, seconds, region, (from, to))| {
            let record = json!({
                "kinesis": {
                    "kinesisSchemaVersion": "1.0", "partitionKey": key, "sequenceNumber": number, "data": data,
                    "approximateArrivalTimestamp": seconds,
                },
                "eventSource": "aws:kinesis", "eventID": format!("shardId-000000000006:{number}"), "awsRegion": region,
                "eventSourceARN": "arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream",
            });
            if from.is_empty() {
                record.to_string()
            } else {
                record.to_string().replacen(from, to, 1)
            }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_read_quickly_is_what_serde_reads(
            records in proptest::collection::vec(record(), 0..4),
            (before, after) in select(vec![("", ""), ("", ""), ("", ""), (" ", ""), ("", " "), ("", "}"), ("[", "]")]),
            cut in proptest::option::weighted(0.1, any::<prop::sample::Index>()),
        ) {
            let mut json = format!("{before}{{\"Records\":[{}]}}{after}", records.join(","));
            if let Some(cut) = cut
                && json.is_char_boundary(cut.index(json.len()))
            {
                json.truncate(cut.index(json.len()));
            }
            let mut quick = Batch::with_capacity(0, json.len());
            if read(&json, &mut quick).is_some() {
                let any = Batch::parse_any(&json);
                prop_assert!(any.is_ok(), "{}", json);
                prop_assert_eq!(format!("{:?}", quick), format!("{:?}", any.unwrap()));
            }
        }

        #[test]
        fn a_string_ends_where_it_does(bytes in proptest::collection::vec(select(b"a\"!#\\\x1f\x80\xA2\x00 b".to_vec()), 0..40)) {
            let end = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..b' '));
            prop_assert_eq!(end_at(&bytes), end.filter(|end| bytes[*end] == b'"'));
        }
    }

    #[test]
    fn what_lambda_writes_is_read_quickly() {
        let json = r#"{"Records":[{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"1","sequenceNumber":"49590338271490256608559692538361571095921575989136588898","data":"SGVsbG8sIHRoaXMgaXMgYSB0ZXN0Lg==","approximateArrivalTimestamp":1545084650.987},"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"shardId-000000000006:49590338271490256608559692538361571095921575989136588898","eventName":"aws:kinesis:record","invokeIdentityArn":"arn:aws:iam::123456789012:role/lambda-role","awsRegion":"us-east-2","eventSourceARN":"arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream"}]}"#;
        let mut quick = Batch::with_capacity(1, json.len());
        assert_eq!(read(json, &mut quick), Some(()));
        assert_eq!(quick.payloads, b"Hello, this is a test.");
        assert_eq!(format!("{quick:?}"), format!("{:?}", Batch::parse_any(json).unwrap()));
    }
}
