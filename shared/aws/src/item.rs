//! The table's items: keys, attributes, and the bytes of a profile.
//!
//! ```text
//! pk (S)         sk (S)          attributes
//! c#<card_id>    s               b (B) state's bytes, v (N) number, h (B) tag of the bytes, ttl (N) seconds
//! c#<card_id>    g#<hash>        b (B) a sealed segment's bytes, ttl (N) seconds
//! c#<card_id>    p               b (B) profile's bytes, v (N) profile version
//! c#<card_id>    d2#<ms>#<id>    o (S) outcome as JSON, ttl (N) seconds: an alert, by event time (15 digits) and event id
//! c#<card_id>    d#<event_id>    the same, as it was written before two events of a card could share an id; never written now
//! k#<name>#<id>  l               b (B) labelled history's bytes, v (N) number, h (B) tag of the bytes, ttl (N) seconds:
//!                                a key beyond the card, by its name in the policy and the 64-bit fingerprint of its id, in hex
//! control        …               the control plane: `tidemark_domain::control::item`
//! trial#…        …               a candidate's outcomes: `tidemark_domain::control::trial`
//! ```
//! Names are short because a write unit is 1,024 bytes, names included.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use tidemark_domain::control::trial::{TRIAL, TrialBatch, TrialKey};
use tidemark_domain::event::{Country, Profile};
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::id::{CardId, EventKey};
use tidemark_engine::port::{
    DecisionItem, KeyId, KeyWrite, PortError, SegmentItem, StateItem, StateTag, StateVersion, StateWrite,
};

/// Partition key: `c#` and the card.
pub const PARTITION_KEY: &str = "pk";
/// Sort key: what the item is.
pub const SORT_KEY: &str = "sk";
/// Bytes of a state or a profile.
pub const BYTES: &str = "b";
/// Version of a state or a profile.
pub const VERSION: &str = "v";
/// The tag of a state's bytes: with the number it says which state was read. Releases before it wrote none.
pub const TAG: &str = "h";
/// When DynamoDB may delete the item, in seconds since 1970-01-01T00:00:00Z.
pub const EXPIRES: &str = "ttl";
/// A decision's outcome, as JSON.
pub const OUTCOME: &str = "o";
/// What the sort key of a sealed segment begins with.
pub const SEGMENT_PREFIX: &str = "g#";
/// What the sort key of a decision begins with.
pub const DECISION_PREFIX: &str = "d2#";
/// The same of decisions that were written by the event's id alone. They are read for as long as they live.
pub const DECISION_PREFIX_BY_ID: &str = "d#";
/// Sort key of a state.
pub const STATE: &str = "s";
/// Sort key of a profile.
pub const PROFILE: &str = "p";
/// Sort key of a key's labelled history.
pub const LABELLED: &str = "l";

/// First byte of a stored profile. Versions are read for ever.
const PROFILE_FORMAT: u8 = 1;
/// Length of a stored profile of format 1.
const PROFILE_BYTES: usize = 35;
/// The same of a profile that says as of when it is known.
const PROFILE_FORMAT_DATED: u8 = 2;
const PROFILE_BYTES_DATED: usize = 43;

/// An item as the SDK has it.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The partition key of a card.
#[must_use]
pub fn partition_key(card: &CardId) -> String {
    format!("c#{card}")
}

/// The partition key of a key beyond the card.
#[must_use]
pub fn key_partition(key: KeyId) -> String {
    format!("k#{key}")
}

/// The sort key of a decision: event time, 15 digits, then the id, so that no two events of a card share one, and none is the
/// key of a decision that was written by id alone.
#[must_use]
pub fn decision_key(event: &EventKey) -> String {
    format!("{DECISION_PREFIX}{:015}#{}", event.occurred_at_ms, event.event_id)
}

/// Whether an item of this sort key is a decision, of either form. Which event it decides, its outcome says.
#[must_use]
pub fn is_decision(sort: &str) -> bool {
    sort.starts_with(DECISION_PREFIX) || sort.starts_with(DECISION_PREFIX_BY_ID)
}

/// The sort key of a sealed segment.
#[must_use]
pub fn segment_key(key: SegmentKey) -> String {
    format!("{SEGMENT_PREFIX}{key}")
}

pub(crate) fn key(card: &CardId, sort: &str) -> Item {
    key_of(&partition_key(card), sort)
}

pub(crate) fn key_of(partition: &str, sort: &str) -> Item {
    HashMap::from([
        (PARTITION_KEY.to_owned(), AttributeValue::S(partition.to_owned())),
        (SORT_KEY.to_owned(), AttributeValue::S(sort.to_owned())),
    ])
}

pub(crate) fn segment_item(segment: &SegmentItem) -> Item {
    let mut item = key(&segment.card_id, &segment_key(segment.key));
    item.insert(BYTES.to_owned(), AttributeValue::B(Blob::new(segment.bytes.clone())));
    item.insert(EXPIRES.to_owned(), number(segment.expires_at_s));
    item
}

/// A segment's partition and sort key, and its bytes.
pub(crate) fn read_segment(mut item: Item) -> Result<((String, String), Vec<u8>), PortError> {
    match [PARTITION_KEY, SORT_KEY, BYTES].map(|name| item.remove(name)) {
        [
            Some(AttributeValue::S(partition)),
            Some(AttributeValue::S(sort)),
            Some(AttributeValue::B(bytes)),
        ] => Ok(((partition, sort), bytes.into_inner())),
        _ => Err(malformed("segment", BYTES)),
    }
}

pub(crate) fn number<N: Copy + std::fmt::Display>(value: N) -> AttributeValue {
    AttributeValue::N(format!("{value}"))
}

/// An item to be written under a condition: its key, and its attributes in the order in which a statement names them.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) partition: String,
    pub(crate) sort: String,
    pub(crate) attributes: Vec<(&'static str, AttributeValue)>,
}

impl Row {
    /// An item with bytes, their version and their tag. Whoever writes an item writes its tag.
    fn versioned(partition: String, sort: &str, value: &StateItem, expires_at_s: i64) -> Self {
        let tag = value.version.tag.unwrap_or_else(|| StateTag::of(&value.bytes));
        Self {
            partition,
            sort: sort.to_owned(),
            attributes: vec![
                (BYTES, AttributeValue::B(Blob::new(value.bytes.clone()))),
                (VERSION, number(value.version.number)),
                (TAG, tag_value(tag)),
                (EXPIRES, number(expires_at_s)),
            ],
        }
    }

    /// As the SDK has it.
    pub(crate) fn into_item(self) -> Item {
        let mut item = key_of(&self.partition, &self.sort);
        let attributes = self.attributes.into_iter();
        item.extend(attributes.map(|(name, value)| (name.to_owned(), value)));
        item
    }

    /// Its size as DynamoDB counts it.
    pub(crate) fn size_bytes(&self) -> usize {
        let key = PARTITION_KEY.len() + self.partition.len() + SORT_KEY.len() + self.sort.len();
        let attributes = self.attributes.iter();
        key + attributes
            .map(|(name, value)| name.len() + value_bytes(value))
            .sum::<usize>()
    }
}

pub(crate) fn state_row(write: &StateWrite) -> Row {
    Row::versioned(partition_key(&write.card_id), STATE, &write.item, write.expires_at_s)
}

pub(crate) fn labelled_row(write: &KeyWrite) -> Row {
    Row::versioned(key_partition(write.key), LABELLED, &write.item, write.expires_at_s)
}

/// A tag as it is stored: eight bytes, the greatest first.
pub(crate) fn tag_value(tag: StateTag) -> AttributeValue {
    AttributeValue::B(Blob::new(tag.0.to_be_bytes()))
}

fn read_tag(item: &Item) -> Result<Option<StateTag>, PortError> {
    let bytes = match item.get(TAG) {
        None => return Ok(None),
        Some(AttributeValue::B(bytes)) => bytes.as_ref().try_into(),
        Some(_) => return Err(malformed("state", TAG)),
    };
    let bytes = bytes.map_err(|_| malformed("state", TAG))?;
    Ok(Some(StateTag(u64::from_be_bytes(bytes))))
}

pub(crate) fn read_state(mut item: Item) -> Result<StateItem, PortError> {
    let version = StateVersion {
        number: read_version(&item)?,
        tag: read_tag(&item)?,
    };
    match item.remove(BYTES) {
        Some(AttributeValue::B(bytes)) => Ok(StateItem {
            version,
            bytes: bytes.into_inner(),
        }),
        _ => Err(malformed("state", BYTES)),
    }
}

/// As [`read_state`] for one of many items: one that lacks an attribute is as little understood as one with damaged bytes, and no
/// reason to hold up the others. It stands for no bytes, which nothing is decoded from.
pub(crate) fn read_one_state(item: Item) -> StateItem {
    read_state(item).unwrap_or_else(|_| StateItem {
        version: StateVersion { number: 0, tag: None },
        bytes: Vec::new(),
    })
}

pub(crate) fn decision_row(decision: &DecisionItem) -> Result<Row, PortError> {
    let outcome = std::str::from_utf8(&decision.outcome_json).map_err(|_| malformed("decision", OUTCOME))?;
    Ok(Row {
        partition: partition_key(&decision.event.card_id),
        sort: decision_key(&decision.event),
        attributes: vec![
            (OUTCOME, AttributeValue::S(outcome.to_owned())),
            (EXPIRES, number(decision.expires_at_s)),
        ],
    })
}

/// A batch of a candidate's outcomes: `tidemark_domain::control::trial` has its drawing.
pub(crate) fn trials_item(key: &TrialKey, batch: &TrialBatch, expires_at_s: i64) -> Result<Item, PortError> {
    let json = serde_json::to_string(batch).map_err(|_| malformed("trials", TRIAL))?;
    Ok(HashMap::from([
        (
            PARTITION_KEY.to_owned(),
            AttributeValue::S(key.partition(batch.candidate)),
        ),
        (SORT_KEY.to_owned(), AttributeValue::S(key.sort())),
        (TRIAL.to_owned(), AttributeValue::S(json)),
        (EXPIRES.to_owned(), number(expires_at_s)),
    ]))
}

pub(crate) fn profile_row(profile: &Profile) -> Row {
    Row {
        partition: partition_key(&profile.card_id),
        sort: PROFILE.to_owned(),
        attributes: vec![
            (BYTES, AttributeValue::B(Blob::new(encode_profile(profile)))),
            (VERSION, number(profile.version)),
        ],
    }
}

pub(crate) fn read_profile(card: &CardId, item: &Item) -> Result<Profile, PortError> {
    let version = read_version(item)?;
    let bytes = match item.get(BYTES) {
        Some(AttributeValue::B(bytes)) => bytes.as_ref(),
        _ => return Err(malformed("profile", BYTES)),
    };
    decode_profile(card, version, bytes).ok_or_else(|| malformed("profile", BYTES))
}

/// A profile's bytes. Floats are kept bit by bit, so that a score made from the stored profile is the score made from
/// the event (I6); a DynamoDB number could not hold every one of them.
///
/// ```text
/// 0       1              3                 11                     19                  27                    35
/// format  usual_country  spend_mean_minor  spend_deviation_minor  transactions_a_day  account_opened_at_ms
/// u8 = 1  2 letters      f64 LE            f64 LE                 f64 LE              i64 LE
/// ```
/// Format 2 is of a profile that says as of when it is known: `updated_at_ms`, i64 LE, follows from 35 to 43.
fn encode_profile(profile: &Profile) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(PROFILE_BYTES_DATED);
    bytes.push(if profile.updated_at_ms.is_some() {
        PROFILE_FORMAT_DATED
    } else {
        PROFILE_FORMAT
    });
    bytes.extend_from_slice(profile.usual_country.as_str().as_bytes());
    bytes.extend_from_slice(&profile.spend_mean_minor.to_le_bytes());
    bytes.extend_from_slice(&profile.spend_deviation_minor.to_le_bytes());
    bytes.extend_from_slice(&profile.transactions_per_day.to_le_bytes());
    bytes.extend_from_slice(&profile.account_opened_at_ms.to_le_bytes());
    if let Some(updated_at_ms) = profile.updated_at_ms {
        bytes.extend_from_slice(&updated_at_ms.to_le_bytes());
    }
    bytes
}

/// Reads a stored profile's bytes; `None` when they are not those of a profile.
#[must_use]
pub fn decode_profile(card: &CardId, version: u64, bytes: &[u8]) -> Option<Profile> {
    let is_dated = match (bytes.first(), bytes.len()) {
        (Some(&PROFILE_FORMAT), PROFILE_BYTES) => false,
        (Some(&PROFILE_FORMAT_DATED), PROFILE_BYTES_DATED) => true,
        _ => return None,
    };
    let eight = |at: usize| bytes.get(at..at + 8).and_then(|slice| slice.try_into().ok());
    Some(Profile {
        card_id: card.clone(),
        version,
        usual_country: Country::new(std::str::from_utf8(&bytes[1..3]).ok()?)?,
        spend_mean_minor: f64::from_le_bytes(eight(3)?),
        spend_deviation_minor: f64::from_le_bytes(eight(11)?),
        transactions_per_day: f64::from_le_bytes(eight(19)?),
        account_opened_at_ms: i64::from_le_bytes(eight(27)?),
        updated_at_ms: if is_dated {
            Some(i64::from_le_bytes(eight(35)?))
        } else {
            None
        },
    })
}

fn read_version(item: &Item) -> Result<u64, PortError> {
    match item.get(VERSION) {
        Some(AttributeValue::N(text)) => text.parse().map_err(|_| malformed("item", VERSION)),
        _ => Err(malformed("item", VERSION)),
    }
}

fn malformed(what: &str, attribute: &str) -> PortError {
    PortError::Permanent(format!(
        "stored {what}: attribute {attribute} is missing or not of its type"
    ))
}

/// The size of an item as DynamoDB counts it: names and values, numbers at about half a byte a digit.
pub(crate) fn size_bytes(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value_bytes(value)).sum()
}

fn value_bytes(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::N(digits) => digits.len() / 2 + 2,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        Profile {
            card_id: CardId::new("card-1").unwrap(),
            version: 7,
            usual_country: Country::new("FR").unwrap(),
            spend_mean_minor: 1234.5,
            spend_deviation_minor: 0.1 + 0.2,
            transactions_per_day: 2.25,
            account_opened_at_ms: 1_500_000_000_000,
            updated_at_ms: None,
        }
    }

    /// Format 1, byte for byte: what was written once is read for ever.
    #[test]
    fn a_profile_of_format_1_keeps_its_bytes() {
        let golden = "01465200000000004a9340343333333333d33f\
                      00000000000002400098f73e5d010000";
        let hex: String = encode_profile(&profile())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hex, golden);
    }

    #[test]
    fn a_profile_comes_back_bit_by_bit() {
        let item = profile_row(&profile()).into_item();
        assert_eq!(read_profile(&profile().card_id, &item).unwrap(), profile());
        let dated = Profile {
            updated_at_ms: Some(1_700_000_000_001),
            ..profile()
        };
        assert_eq!(encode_profile(&dated).len(), PROFILE_BYTES_DATED);
        let item = profile_row(&dated).into_item();
        assert_eq!(read_profile(&dated.card_id, &item).unwrap(), dated);
        let mut cut = encode_profile(&dated);
        cut.truncate(PROFILE_BYTES);
        assert_eq!(decode_profile(&dated.card_id, 7, &cut), None);
    }

    /// Persisted: never change it.
    #[test]
    fn a_decision_is_kept_by_its_events_time_and_id() {
        let key = |id: &str, time_ms| decision_key(&EventKey::new("c", id, time_ms).unwrap());
        assert_eq!(key("e-1", 1_795_399_200_250), "d2#001795399200250#e-1");
        // Ids may look like anything, also like a key.
        assert_ne!(key("1#e", 7), key("e", 7));
        assert_ne!(key("e", 7), key("e", 8));
        for id in ["2#000000000000007#e", "#", "d2#"] {
            let by_id = format!("{DECISION_PREFIX_BY_ID}{id}");
            assert!(is_decision(&by_id) && is_decision(&key(id, 7)));
            assert_ne!(by_id, key("e", 7));
        }
        assert!(!is_decision(STATE) && !is_decision(SEGMENT_PREFIX));
    }

    #[test]
    fn malformed_items_are_permanent_errors() {
        let mut item = profile_row(&profile()).into_item();
        item.insert(BYTES.to_owned(), AttributeValue::B(Blob::new(vec![9; PROFILE_BYTES])));
        assert!(matches!(
            read_profile(&profile().card_id, &item),
            Err(PortError::Permanent(_))
        ));
        item.remove(VERSION);
        assert!(matches!(
            read_profile(&profile().card_id, &item),
            Err(PortError::Permanent(_))
        ));
        assert!(matches!(read_state(Item::new()), Err(PortError::Permanent(_))));
    }
}
