//! A record as the stream hands it over, and the order of sequence numbers.

use std::cmp::Ordering;

/// One record of a batch, borrowed from whatever the batch came in.
#[derive(Clone, Copy, Debug)]
pub struct InRecord<'a> {
    /// ARN or name of the stream it came from.
    pub stream: &'a str,
    /// Its shard.
    pub shard_id: &'a str,
    /// Its sequence number: a decimal string, too long for any integer type.
    pub sequence_number: &'a str,
    /// Set for a user record that was taken out of an aggregate before, as a redrive of the quarantine hands over: it is
    /// never taken apart again. `None`: the record is as the stream gave it.
    pub of_aggregate: Option<OfAggregate<'a>>,
    /// Its partition key; the contract says that it is the card's token. Empty where nobody knows it any more: of a user
    /// record that was taken out of its aggregate.
    pub partition_key: &'a str,
    /// When Kinesis took it: milliseconds since 1970-01-01T00:00:00Z.
    pub arrival_ms: i64,
    /// The payload.
    pub data: &'a [u8],
}

/// Where a user record was in the record that it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfAggregate<'a> {
    /// Its place in the aggregate, from 0.
    pub sub_sequence_number: u32,
    /// Its own partition key.
    pub partition_key: &'a str,
}

/// Compares two sequence numbers: decimal strings of 56 digits and more, so by length, then by text. Zeros in front, which some
/// emulators write, count for nothing.
#[must_use]
pub fn compare_sequence_numbers(left: &str, right: &str) -> Ordering {
    let (left, right) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shorter_sequence_number_is_the_lower_one() {
        assert_eq!(compare_sequence_numbers("999", "1000"), Ordering::Less);
        assert_eq!(compare_sequence_numbers("1001", "1000"), Ordering::Greater);
        assert_eq!(compare_sequence_numbers("7", "7"), Ordering::Equal);
    }

    #[test]
    fn zeros_in_front_count_for_nothing() {
        for (left, right, order) in [
            ("0007", "7", Ordering::Equal),
            ("0000", "0", Ordering::Equal),
            ("0", "1", Ordering::Less),
            ("00999", "1000", Ordering::Less),
            ("1000", "00999", Ordering::Greater),
            (
                "000000017668776000000000000009",
                "000000017668776000000000000010",
                Ordering::Less,
            ),
        ] {
            assert_eq!(compare_sequence_numbers(left, right), order, "{left} and {right}");
            assert_eq!(
                compare_sequence_numbers(right, left),
                order.reverse(),
                "{right} and {left}"
            );
        }
    }
}
