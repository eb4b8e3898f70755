//! What a record of the stream is: an event by the contract's own shape, or by the published map in force when it arrived.
//!
//! A JSON object whose member `schema` is the name of one of the contract's schemas is judged by the contract alone, whatever map is in
//! force. Any other JSON object is handed to the map, and what that makes of it to the contract. Where no map was ever in
//! force, the contract judges alone.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::contract::{Bounds, Decoded, decode};
use crate::control::maps::{MapTimeline, MapVersion};
use crate::refusal::{Refusal, RefusalCode};

/// The contract's schemas: an object that names one of them is never mapped.
pub const OWN_SCHEMAS: [&str; 3] = ["transaction", "profile", "label"];

/// A published map, read and checked.
pub trait RecordMap: fmt::Debug + Send + Sync {
    /// The one event of a record. A pure function of the object: of no policy, time or arrival.
    ///
    /// # Errors
    /// Why it gives none: a code, and what is wrong, without a value (I9).
    fn event_of(&self, object: &Value) -> Result<Vec<u8>, String>;
}

/// Maps at hand, and which of them is in force since when.
#[derive(Clone, Debug)]
pub struct MapsInForce {
    timeline: Arc<MapTimeline>,
    at_hand: Arc<BTreeMap<MapVersion, Arc<dyn RecordMap>>>,
    /// What arrived later is not judged by this copy, ms since 1970-01-01T00:00:00Z.
    judges_until_ms: i64,
}

/// Why a record can't be judged yet. It must come again: another map may be the one that is in force for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotJudged {
    /// The record arrived so late that an activation which was not read yet may be in force for it.
    #[error("the activations of maps were read too long before the record arrived")]
    OldCopy,
    /// The map in force can't be had.
    #[error("map {0} is not at hand")]
    NotAtHand(MapVersion),
    /// The activations of the record's time are not kept any more, or can't be read.
    #[error("which map was in force when the record arrived is not known")]
    Unknown,
}

/// What a record is.
#[derive(Debug)]
pub enum Judged {
    /// An event.
    Event(Decoded),
    /// None: it goes to the quarantine.
    Refused(Refusal),
    /// That can't be said yet.
    NotYet(NotJudged),
}

/// Judges a record that arrived at a time, ms since 1970-01-01T00:00:00Z. `maps`: `None` where no map was ever in force.
#[must_use]
pub fn judge(payload: &[u8], arrival_ms: i64, bounds: &Bounds, maps: Option<&MapsInForce>) -> Judged {
    match (decode(payload, arrival_ms, bounds), maps) {
        (Ok(decoded), _) => Judged::Event(decoded),
        (Err(refusal), None) => Judged::Refused(refusal),
        (Err(refusal), Some(maps)) => maps.judge(payload, (arrival_ms, bounds), refusal),
    }
}

impl MapsInForce {
    /// Maps by a copy of the timeline that judges what arrived until `judges_until_ms` (ms since 1970-01-01T00:00:00Z).
    #[must_use]
    pub const fn new(
        timeline: Arc<MapTimeline>,
        at_hand: Arc<BTreeMap<MapVersion, Arc<dyn RecordMap>>>,
        judges_until_ms: i64,
    ) -> Self {
        Self {
            timeline,
            at_hand,
            judges_until_ms,
        }
    }

    /// Judges what the contract has refused as it came.
    fn judge(&self, payload: &[u8], (arrival_ms, bounds): (i64, &Bounds), refusal: Refusal) -> Judged {
        // Which payloads are too large the policy says, and never a map.
        let Some(object) = own_object(payload).filter(|_| refusal.code != RefusalCode::TooLarge) else {
            return Judged::Refused(refusal);
        };
        if arrival_ms > self.judges_until_ms {
            return Judged::NotYet(NotJudged::OldCopy);
        }
        let Ok(judges) = self.timeline.judges(arrival_ms) else {
            return Judged::NotYet(NotJudged::Unknown);
        };
        let mut refusal = refusal;
        for version in judges {
            let Some(map) = self.at_hand.get(&version) else {
                return Judged::NotYet(NotJudged::NotAtHand(version));
            };
            match map.event_of(&object) {
                // What the policy's bounds refuse, no other map judges: bounds change, and an event must not become another.
                Ok(event) => {
                    return match decode(&event, arrival_ms, bounds) {
                        Ok(decoded) => Judged::Event(decoded),
                        Err(refusal) => Judged::Refused(refusal),
                    };
                }
                Err(why) => refusal = Refusal::new(RefusalCode::Unmapped, format!("map {version}: {why}")),
            }
        }
        Judged::Refused(refusal)
    }
}

/// A JSON object of a shape that is not the contract's.
fn own_object(payload: &[u8]) -> Option<Value> {
    let object: Value = serde_json::from_slice(payload).ok()?;
    let schema = object.as_object()?.get("schema").and_then(Value::as_str);
    schema
        .is_none_or(|schema| !OWN_SCHEMAS.contains(&schema))
        .then_some(object)
}
