//! The target for decoding states: what must hold of any bytes whatever.

use tidemark_domain::event::{Channel, Country, Currency, Label, Links, Place, Transaction, Verdict};
use tidemark_domain::fold::{FoldAnswer, LabelAnswer, fold_label, fold_transaction};
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::history::{CodecError, History, STATE_BYTES_MAX};
use tidemark_domain::id::{CardId, DeviceId, EventId, MerchantId};
use tidemark_domain::model::ProfileInput;
use tidemark_domain::policy::Policy;
use tidemark_domain::render::render_json;

/// States in every format that was ever written: what mutations start from.
pub const SEEDS: [&[u8]; 10] = [
    include_bytes!("../../../shared/domain/tests/golden/state-v1-empty.bin"),
    include_bytes!("../../../shared/domain/tests/golden/state-v1-one.bin"),
    include_bytes!("../../../shared/domain/tests/golden/state-v1-all-fields.bin"),
    include_bytes!("../../../shared/domain/tests/golden/state-v1-400-events.bin"),
    include_bytes!("../../../shared/domain/tests/golden/state-v2-hot.bin"),
    include_bytes!("../../../shared/domain/tests/golden/state-v3-hot.bin"),
    include_bytes!("../../../shared/domain/tests/golden/state-v3-told-apart.bin"),
    include_bytes!("../../../shared/domain/tests/golden/state-v4-keys.bin"),
    include_bytes!("../../../shared/domain/tests/golden/state-v5-links.bin"),
    include_bytes!("../../../shared/domain/tests/golden/state-v5-hot.bin"),
];

/// Rounds of segments that one event may ask for.
const ROUNDS_MAX: usize = 64;

/// Sealed segments, each with its length before it (4 bytes, the least significant first).
const SEGMENTS: [&[u8]; 3] = [
    include_bytes!("../../../shared/domain/tests/golden/segments-v1.bin"),
    include_bytes!("../../../shared/domain/tests/golden/segments-v2.bin"),
    include_bytes!("../../../shared/domain/tests/golden/segments-v4.bin"),
];

/// The states that name them.
const HOT: [&[u8]; 3] = [SEEDS[4], SEEDS[5], SEEDS[9]];

/// The sealed segments one by one.
#[must_use]
pub fn segments() -> Vec<&'static [u8]> {
    let mut segments = Vec::new();
    for mut rest in SEGMENTS {
        while let Some((length, tail)) = rest.split_first_chunk::<4>() {
            let Some((segment, tail)) = tail.split_at_checked(u32::from_le_bytes(*length) as usize) else {
                return segments;
            };
            segments.push(segment);
            rest = tail;
        }
    }
    segments
}

/// Checks bytes that stand where a sealed segment was: they are refused, or a state that names them goes on with them at
/// hand. Whether they are a segment.
///
/// # Errors
/// What does not hold, in words. A panic is a finding too.
pub fn check_segment(original: &[u8], bytes: &[u8], policy: &Policy) -> Result<bool, String> {
    let key = SegmentKey::of(bytes);
    // A state that names the segment in its head, if there is one.
    let mut hot = HOT[0];
    let mut is_named = false;
    for state in HOT {
        let named = History::decode(state)
            .map_err(|error| error.to_string())?
            .missing_segments();
        if named.contains(&SegmentKey::of(original)) {
            (hot, is_named) = (state, true);
        }
    }
    let renamed = renamed(hot, SegmentKey::of(original), key);
    let mut state = History::decode(&renamed).map_err(|error| error.to_string())?;
    if is_named && !state.missing_segments().contains(&key) {
        return Err("the target is blind: no state names the segment".to_owned());
    }
    let before = state.encode();
    if state.supply_segment(key, bytes).is_err() {
        return Ok(false);
    }
    if state.supply_segment(SegmentKey::of(b"another"), bytes).is_ok() {
        return Err("a segment under another's name".to_owned());
    }
    if state.encode() != before {
        return Err("a segment at hand changed a state".to_owned());
    }
    take_sealed_events(state, policy)?;
    Ok(true)
}

/// The bytes of a state that names another segment in one's place; as they are when it names it nowhere itself.
fn renamed(bytes: &[u8], from: SegmentKey, to: SegmentKey) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let bit = |bytes: &[u8], at: usize| bytes[at / 8] >> (at % 8) & 1;
    let is_at = |start: usize| (0..64).all(|at| u64::from(bit(&bytes, start + at)) == from.0 >> at & 1);
    if let Some(start) = (8..=bytes.len() * 8 - 64).find(|start| is_at(*start)) {
        for at in 0..64 {
            let (place, mask) = ((start + at) / 8, 1 << ((start + at) % 8));
            bytes[place] = if to.0 >> at & 1 == 1 {
                bytes[place] | mask
            } else {
                bytes[place] & !mask
            };
        }
    }
    bytes
}

/// Folds events and labels into a card's sealed history, hour by hour. The other segments are handed over as asked for.
fn take_sealed_events(mut state: History, policy: &Policy) -> Result<(), String> {
    let originals = segments();
    let supply = |state: &mut History, keys: &[SegmentKey]| {
        keys.iter().all(|key| {
            let original = originals.iter().find(|bytes| SegmentKey::of(bytes) == *key);
            original.is_some_and(|bytes| state.supply_segment(*key, bytes).is_ok())
        })
    };
    let newest_ms = state.newest_ms().unwrap_or(0);
    for hours in 0..18 {
        let tx = transaction(newest_ms.saturating_sub(hours * 3_600_000))
            .ok_or("the target's own transaction is not valid")?;
        for _ in 0..ROUNDS_MAX {
            match fold_transaction(&mut state, &tx, ProfileInput::Absent, policy) {
                FoldAnswer::NeedsSegments(keys) if supply(&mut state, &keys) => {}
                FoldAnswer::Scored { entry } | FoldAnswer::Duplicate { entry } => {
                    let json = render_json(&tx.card_id, &tx.event_id, &entry);
                    serde_json::from_slice::<serde_json::Value>(&json)
                        .map_err(|error| format!("an outcome that is not JSON: {error}"))?;
                    break;
                }
                _ => break,
            }
        }
        for _ in 0..ROUNDS_MAX {
            match fold_label(&mut state, &label(&tx), policy) {
                LabelAnswer::NeedsSegments(keys) if supply(&mut state, &keys) => {}
                _ => break,
            }
        }
        // What was made of wrong events may be refused, not more.
        let _ = History::decode(&state.encode());
    }
    Ok(())
}

/// Checks bytes: they are no state, or one that stays the same through encoding and takes events without a panic.
/// Says why they are no state.
///
/// # Errors
/// What does not hold, in words. A panic is a finding too.
pub fn check(bytes: &[u8], policy: &Policy) -> Result<Option<CodecError>, String> {
    let state = match History::decode(bytes) {
        Ok(state) => state,
        Err(error) => return Ok(Some(error)),
    };
    let encoded = round_trip(&state)?;
    if encoded != bytes {
        return Err("a state in another spelling than its own was read".to_owned());
    }
    if encoded.len() > STATE_BYTES_MAX {
        return Err(format!("{} bytes of state", encoded.len()));
    }
    take_events(state, policy)?;
    Ok(None)
}

/// Folds an event into the state: at its newest event's time, and one that is late.
fn take_events(mut state: History, policy: &Policy) -> Result<(), String> {
    let newest_ms = state.entries().last().map_or(0, |entry| entry.time_ms);
    for time_ms in [newest_ms, newest_ms.saturating_sub(3_600_000)] {
        let tx = transaction(time_ms).ok_or("the target's own transaction is not valid")?;
        match fold_transaction(&mut state, &tx, ProfileInput::Absent, policy) {
            FoldAnswer::Scored { entry } | FoldAnswer::Duplicate { entry } => {
                let json = render_json(&tx.card_id, &tx.event_id, &entry);
                serde_json::from_slice::<serde_json::Value>(&json)
                    .map_err(|error| format!("an outcome that is not JSON: {error}"))?;
                if fold_label(&mut state, &label(&tx), policy) == LabelAnswer::UnknownEvent {
                    return Err("a label does not find the event that was just folded".to_owned());
                }
            }
            FoldAnswer::Refused(_) => {}
            // None is at hand: what they hold is another target's.
            FoldAnswer::NeedsSegments(keys) if keys.is_empty() => return Err("no segments are needed".to_owned()),
            FoldAnswer::NeedsSegments(_) => {}
        }
        round_trip(&state)?;
    }
    Ok(())
}

fn round_trip(state: &History) -> Result<Vec<u8>, String> {
    let encoded = state.encode();
    match History::decode(&encoded) {
        Ok(back) if back == *state && back.encode() == encoded => Ok(encoded),
        Ok(_) => Err("encoding and decoding again gave another state".to_owned()),
        Err(error) => Err(format!("a state's own bytes are refused: {error}")),
    }
}

fn transaction(time_ms: i64) -> Option<Transaction> {
    Some(Transaction {
        event_id: EventId::new("event")?,
        card_id: CardId::new("card")?,
        occurred_at_ms: time_ms,
        amount_minor: 4_990,
        currency: Currency::new("EUR")?,
        merchant_id: MerchantId::new("merchant")?,
        mcc: 5_411,
        country: Country::new("FR")?,
        channel: Channel::PointOfSale,
        approved: true,
        device_id: DeviceId::new("device"),
        links: Links::NONE,
        account_opened_at_ms: None,
        place: Some(Place {
            latitude_e4: 488_566,
            longitude_e4: 23_522,
        }),
    })
}

fn label(tx: &Transaction) -> Label {
    Label {
        event_id: tx.event_id.clone(),
        card_id: tx.card_id.clone(),
        verdict: Verdict::Fraud,
        known_since_ms: tx.occurred_at_ms,
        occurred_at_ms: None,
        merchant_id: None,
        device_id: None,
        links: Links::NONE,
    }
}
