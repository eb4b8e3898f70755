//! What the producer meant to send, held against what the stream took.

use std::collections::HashMap;

use operate::account::Accepted;

/// The stream against the producer's list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Produced {
    /// Records that the producer meant to send.
    pub meant: u64,
    /// Copies beyond that: the producer got no answer and sent them again.
    pub resent: u64,
    /// Records that it meant to send and that are not in the stream.
    pub missing: u64,
    /// Records in the stream that it never meant to send.
    pub foreign: u64,
}

impl Produced {
    /// Compares payloads as multisets: each must be in the stream at least as often as it was meant.
    #[must_use]
    pub fn of(meant: impl Iterator<Item = Vec<u8>>, stream: &[Accepted]) -> Self {
        let mut produced = Self::default();
        let mut left: HashMap<Vec<u8>, i64> = HashMap::new();
        for payload in meant {
            produced.meant += 1;
            *left.entry(payload).or_default() += 1;
        }
        for record in stream {
            match left.get_mut(&record.payload) {
                Some(left) => *left -= 1,
                None => produced.foreign += 1,
            }
        }
        for left in left.values() {
            produced.missing += u64::try_from(*left).unwrap_or_default();
            produced.resent += u64::try_from(-*left).unwrap_or_default();
        }
        produced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_losses_and_strangers_are_told_apart() {
        let record = |payload: &[u8]| Accepted {
            shard_id: "s".into(),
            sequence_number: "1".to_owned(),
            partition_key: "k".to_owned(),
            arrival_ms: 0,
            payload: payload.to_vec(),
        };
        let meant = [&b"a"[..], b"a", b"b", b"c"].map(<[u8]>::to_vec);
        let stream = [&b"a"[..], b"a", b"a", b"b", b"x"].map(record);
        let expected = Produced {
            meant: 4,
            resent: 1,
            missing: 1,
            foreign: 1,
        };
        assert_eq!(Produced::of(meant.into_iter(), &stream), expected);
    }
}
