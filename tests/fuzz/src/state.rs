//! The target for decoding states: what must hold of any bytes whatever.

use tidemark_domain::card::sealed::SegmentKey;
use tidemark_domain::card::{CardState, CodecError, STATE_BYTES_MAX};
use tidemark_domain::event::{Channel, Country, Currency, Label, Place, Transaction, Verdict};
use tidemark_domain::fold::{Applied, LabelApplied, apply_label, apply_transaction};
use tidemark_domain::id::{CardId, DeviceId, EventId, MerchantId};
use tidemark_domain::outcome::render_json;
use tidemark_domain::policy::Policy;
use tidemark_domain::score::ProfileInput;

/// States in every format that was ever written: what mutations start from.
pub const SEEDS: [&[u8]; 5] = [
    include_bytes!("../../../shared/domain/tests/golden/state-v1-empty.bin"),
    include_bytes!("../../../shared/domain/tests/golden/state-v1-one.bin"),
    include_bytes!("../../../shared/domain/tests/golden/state-v1-all-fields.bin"),
    include_bytes!("../../../shared/domain/tests/golden/state-v1-400-events.bin"),
    include_bytes!("../../../shared/domain/tests/golden/state-v2-hot.bin"),
];

/// Sealed segments, each with its length before it (4 bytes, the least significant first).
pub const SEGMENTS: &[u8] = include_bytes!("../../../shared/domain/tests/golden/segments-v1.bin");

/// Checks bytes: they are a sealed segment or not, and a state that has it at hand goes on. Whether they are one.
///
/// # Errors
/// What does not hold, in words. A panic is a finding too.
pub fn check_segment(bytes: &[u8], policy: &Policy) -> Result<bool, String> {
    let mut state = CardState::decode(SEEDS[4]).map_err(|error| error.to_string())?;
    let before = state.encode();
    if state.supply_segment(SegmentKey::of(bytes), bytes).is_err() {
        return Ok(false);
    }
    if state.supply_segment(SegmentKey::of(b"another"), bytes).is_ok() {
        return Err("a segment under another's name".to_owned());
    }
    if state.encode() != before {
        return Err("a segment at hand changed a state".to_owned());
    }
    take_events(state, policy)?;
    Ok(true)
}

/// Checks bytes: they are no state, or one that stays the same through encoding and takes events without a panic.
/// Says why they are no state.
///
/// # Errors
/// What does not hold, in words. A panic is a finding too.
pub fn check(bytes: &[u8], policy: &Policy) -> Result<Option<CodecError>, String> {
    let state = match CardState::decode(bytes) {
        Ok(state) => state,
        Err(error) => return Ok(Some(error)),
    };
    let encoded = round_trip(&state)?;
    if encoded.len() > STATE_BYTES_MAX {
        return Err(format!("{} bytes of state", encoded.len()));
    }
    take_events(state, policy)?;
    Ok(None)
}

/// Folds an event into the state: at its newest event's time, and one that is late.
fn take_events(mut state: CardState, policy: &Policy) -> Result<(), String> {
    let newest_ms = state.entries().last().map_or(0, |entry| entry.time_ms);
    for time_ms in [newest_ms, newest_ms.saturating_sub(3_600_000)] {
        let tx = transaction(time_ms).ok_or("the target's own transaction is not valid")?;
        match apply_transaction(&mut state, &tx, ProfileInput::Absent, policy) {
            Applied::Scored { entry } | Applied::Duplicate { entry } => {
                let json = render_json(&tx.card_id, &tx.event_id, &entry);
                serde_json::from_slice::<serde_json::Value>(&json)
                    .map_err(|error| format!("an outcome that is not JSON: {error}"))?;
                if apply_label(&mut state, &label(&tx)) == LabelApplied::UnknownEvent {
                    return Err("a label does not find the event that was just folded".to_owned());
                }
            }
            Applied::Refused(_) => {}
            // None is at hand: what they hold is another target's.
            Applied::NeedsSegments(keys) if keys.is_empty() => return Err("no segments are needed".to_owned()),
            Applied::NeedsSegments(_) => {}
        }
        round_trip(&state)?;
    }
    Ok(())
}

fn round_trip(state: &CardState) -> Result<Vec<u8>, String> {
    let encoded = state.encode();
    match CardState::decode(&encoded) {
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
    }
}
