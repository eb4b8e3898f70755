//! Published maps in the control plane: which map turns a record of the stream into an event, by the record's arrival.
//!
//! A map is stored under the hash of its text and never changed. One item, `maps`, says which is in force since when. A change
//! takes effect [`MAP_LEAD_MS`] after it was made, and a function judges by what it has read of that item only what arrived within
//! [`MAP_COPY_MS`] of the read. So whoever judges a record, and whenever, finds the same map for it (I2, I3).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::fingerprint64;

use super::Stamp;
use super::item::{Field, Fields, ItemError, Reader, fields};

/// Sort key of the item that says which map is in force since when.
pub const MAPS: &str = "maps";
/// How the sort keys of published maps begin.
pub const MAP_PREFIX: &str = "map#";
/// So long after it was made an activation takes effect, milliseconds.
pub const MAP_LEAD_MS: i64 = 120_000;
/// What was read of the activations judges records that arrived so long after the read began, milliseconds. What is left of the lead
/// is for the difference of clocks and for the write of an activation.
pub const MAP_COPY_MS: i64 = 30_000;
/// An activation is kept until it was followed so long ago, milliseconds: longer than a stream keeps a record (365 days) and the
/// quarantine a message of it (14 days).
pub const MAP_KEPT_MS: i64 = 400 * 24 * 3_600_000;
/// Activations that are kept at once.
pub const MAP_ACTIVATIONS_MAX: usize = 500;
/// Maps that the activations and the mends name at once: a function holds all of them.
pub const MAPS_NAMED_MAX: usize = 32;
/// Maps that mend one another in a row.
pub const MENDS_IN_ROW_MAX: usize = 8;
/// A map's text, bytes.
pub const MAP_TEXT_BYTES_MAX: usize = 256 << 10;

const LIST: &str = "list";
const MENDS: &str = "mends";
const SINCE: &str = "since";
const TEXT: &str = "text";
const SALT: &str = "salt";

/// The sort key of a published map.
#[must_use]
pub fn map_key(version: MapVersion) -> String {
    format!("{MAP_PREFIX}{version}")
}

/// What names a published map: the hash of its text (XXH3-64), as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MapVersion(u64);

impl MapVersion {
    /// The version of a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(fingerprint64(text))
    }

    /// Reads a version as it is written.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let is_digits = name.len() == 16
            && name
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        is_digits
            .then(|| u64::from_str_radix(name, 16).ok())
            .flatten()
            .map(Self)
    }
}

impl fmt::Display for MapVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// How `none` is written in the place of a map's version.
pub const NO_MAP: &str = "none";

/// A version, or that there is none, as it is written.
#[must_use]
pub fn map_name(version: Option<MapVersion>) -> String {
    version.map_or_else(|| NO_MAP.to_owned(), |version| version.to_string())
}

fn named(name: &str) -> Option<Option<MapVersion>> {
    if name == NO_MAP {
        return Some(None);
    }
    MapVersion::from_name(name).map(Some)
}

/// A published map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapText {
    /// Its version.
    pub version: MapVersion,
    /// The file (TOML).
    pub text: String,
    /// Of a map that hashes: a mark of its salt, by which another one is known.
    pub salt_mark: Option<String>,
    /// Who published it, when and why.
    pub stamp: Stamp,
}

/// Since when a map is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapActivation {
    /// For records that arrive at this time or later, ms since 1970-01-01T00:00:00Z.
    pub since_ms: i64,
    /// Which; `None`: none, so that the contract alone judges.
    pub map: Option<MapVersion>,
}

/// A map that judges what another one refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mend {
    /// The map that refuses a record; `None`: no map was in force.
    pub refused_by: Option<MapVersion>,
    /// The map that judges the record then.
    pub then: MapVersion,
}

/// Which map is in force since when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapTimeline {
    /// Number of changes so far.
    pub revision: u64,
    /// What arrived before it is not judged: activations of that time are not kept any more. `None`: all are.
    kept_since_ms: Option<i64>,
    /// Ascending.
    activations: Vec<MapActivation>,
    mends: Vec<Mend>,
}

/// Why a change of maps can't be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MapChangeError {
    /// It was made before the last one, by the clock of whoever makes it.
    #[error("the last change is of a later time than this clock shows")]
    ClockBehind,
    /// The list is full.
    #[error("there are {MAP_ACTIVATIONS_MAX} activations of the last 400 days")]
    TooManyActivations,
    /// So many maps are named already.
    #[error("the activations and mends of the last 400 days name {MAPS_NAMED_MAX} maps")]
    TooManyMaps,
    /// What the map refuses is judged by another one already.
    #[error("what it refuses is judged by map {0} already")]
    MendedAlready(MapVersion),
    /// Maps would mend one another in a circle, or too many in a row.
    #[error("maps may mend one another {MENDS_IN_ROW_MAX} in a row, and in no circle")]
    MendsInCircle,
}

/// A record arrived before the first activation that is still kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BeforeTimeline;

impl MapTimeline {
    /// What an item that nobody can read says: of no record which map judges it.
    #[must_use]
    pub fn unknown() -> Self {
        Self {
            kept_since_ms: Some(i64::MAX),
            ..Self::default()
        }
    }

    /// The activations that are kept, ascending.
    #[must_use]
    pub fn activations(&self) -> &[MapActivation] {
        &self.activations
    }

    /// The mends, in the order in which they were made.
    #[must_use]
    pub fn mends(&self) -> &[Mend] {
        &self.mends
    }

    /// Every map that is named.
    #[must_use]
    pub fn versions(&self) -> Vec<MapVersion> {
        let activated = self.activations.iter().filter_map(|activation| activation.map);
        let mut versions: Vec<MapVersion> = activated.chain(self.mends.iter().map(|mend| mend.then)).collect();
        versions.sort_unstable();
        versions.dedup();
        versions
    }

    /// The map in force for what arrives at a time, ms since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// When the activations of that time are not kept any more.
    pub fn at(&self, arrival_ms: i64) -> Result<Option<MapVersion>, BeforeTimeline> {
        if self.kept_since_ms.is_some_and(|since_ms| arrival_ms < since_ms) {
            return Err(BeforeTimeline);
        }
        let after = self
            .activations
            .partition_point(|activation| activation.since_ms <= arrival_ms);
        Ok(after.checked_sub(1).and_then(|last| self.activations[last].map))
    }

    /// The maps that judge what arrives at a time, the one in force first, then those that judge what the ones before refuse.
    ///
    /// # Errors
    /// When the activations of that time are not kept any more.
    pub fn judges(&self, arrival_ms: i64) -> Result<Vec<MapVersion>, BeforeTimeline> {
        let first = self.at(arrival_ms)?;
        let mut judges: Vec<MapVersion> = first.into_iter().collect();
        let mut last = first;
        while let Some(then) = self.mended_by(last)
            && judges.len() <= MENDS_IN_ROW_MAX
        {
            judges.push(then);
            last = Some(then);
        }
        Ok(judges)
    }

    /// The map that judges what another refuses.
    #[must_use]
    pub fn mended_by(&self, refused_by: Option<MapVersion>) -> Option<MapVersion> {
        let mut mends = self.mends.iter();
        mends.find(|mend| mend.refused_by == refused_by).map(|mend| mend.then)
    }

    /// The timeline once a map (or none) is in force, by a change made at `at_ms` (ms since 1970-01-01T00:00:00Z).
    ///
    /// # Errors
    /// Why that can't be.
    pub fn activated(&self, map: Option<MapVersion>, at_ms: i64) -> Result<Self, MapChangeError> {
        let since_ms = at_ms.saturating_add(MAP_LEAD_MS);
        let last = self.activations.last();
        if last.is_some_and(|last| since_ms <= last.since_ms) {
            return Err(MapChangeError::ClockBehind);
        }
        let mut after = self.clone();
        after.revision += 1;
        after.activations.push(MapActivation { since_ms, map });
        after.forget_before(at_ms.saturating_sub(MAP_KEPT_MS));
        if after.activations.len() > MAP_ACTIVATIONS_MAX {
            return Err(MapChangeError::TooManyActivations);
        }
        after.checked()
    }

    /// The timeline once `then` judges what another map refuses.
    ///
    /// # Errors
    /// Why that can't be.
    pub fn mended(&self, refused_by: Option<MapVersion>, then: MapVersion) -> Result<Self, MapChangeError> {
        if let Some(already) = self.mended_by(refused_by) {
            return Err(MapChangeError::MendedAlready(already));
        }
        let mut after = self.clone();
        after.revision += 1;
        after.mends.push(Mend { refused_by, then });
        if !after.mends_end() {
            return Err(MapChangeError::MendsInCircle);
        }
        after.checked()
    }

    fn checked(self) -> Result<Self, MapChangeError> {
        if self.versions().len() > MAPS_NAMED_MAX {
            return Err(MapChangeError::TooManyMaps);
        }
        Ok(self)
    }

    /// Whether every map's mends come to an end soon enough.
    fn mends_end(&self) -> bool {
        let starts = self.mends.iter().map(|mend| mend.refused_by);
        starts.into_iter().all(|start| {
            let mut last = start;
            for _ in 0..MENDS_IN_ROW_MAX {
                match self.mended_by(last) {
                    None => return true,
                    Some(then) => last = Some(then),
                }
            }
            self.mended_by(last).is_none()
        })
    }

    /// Forgets activations that were followed before a time, and mends of maps that nothing names any more.
    fn forget_before(&mut self, time_ms: i64) {
        let followed = self
            .activations
            .partition_point(|activation| activation.since_ms <= time_ms)
            .saturating_sub(1);
        if followed > 0 {
            self.activations.drain(..followed);
            self.kept_since_ms = self.activations.first().map(|first| first.since_ms);
        }
        let is_in_force = |map: Option<MapVersion>| {
            let activated = self.activations.iter().any(|activation| activation.map == map);
            activated || (map.is_none() && self.kept_since_ms.is_none())
        };
        let mut reached: Vec<Option<MapVersion>> = Vec::new();
        for mend in &self.mends {
            let mut at = mend.refused_by;
            if is_in_force(at) {
                reached.push(at);
                while let Some(then) = self.mended_by(at) {
                    if reached.contains(&Some(then)) {
                        break;
                    }
                    reached.push(Some(then));
                    at = Some(then);
                }
            }
        }
        self.mends.retain(|mend| reached.contains(&mend.refused_by));
    }

    /// As it is stored, with the change that made it so.
    #[must_use]
    pub fn to_fields(&self, stamp: &Stamp) -> Fields {
        let list = self.activations.iter().map(|activation| WrittenActivation {
            since_ms: activation.since_ms,
            map: map_name(activation.map),
        });
        let mends = self.mends.iter().map(|mend| WrittenMend {
            refused_by: map_name(mend.refused_by),
            then: mend.then.to_string(),
        });
        // Texts and numbers only: they are always JSON.
        let list = serde_json::to_string(&list.collect::<Vec<_>>()).unwrap_or_default();
        let mends = serde_json::to_string(&mends.collect::<Vec<_>>()).unwrap_or_default();
        let own = [(LIST, Field::Text(list)), (MENDS, Field::Text(mends))];
        let mut fields = fields(self.revision, stamp, own);
        if let Some(since_ms) = self.kept_since_ms {
            fields.insert(SINCE.to_owned(), Field::Number(since_ms.to_string()));
        }
        fields
    }

    /// Reads what is stored.
    ///
    /// # Errors
    /// Which attribute is not what it should be.
    pub fn from_fields(fields: &Fields) -> Result<Self, ItemError> {
        let reader = Reader { item: MAPS, fields };
        let list: Vec<WrittenActivation> = reader.json(LIST, "activations of maps")?;
        let mends: Vec<WrittenMend> = reader.json(MENDS, "mends of maps")?;
        let activations = list.iter().map(|written| {
            let map = named(&written.map)?;
            let since_ms = written.since_ms;
            Some(MapActivation { since_ms, map })
        });
        let activations: Option<Vec<MapActivation>> = activations.collect();
        let activations = activations.ok_or_else(|| reader.error(LIST, "expected versions of maps, or none"))?;
        if !activations.is_sorted_by(|one, next| one.since_ms < next.since_ms) {
            return Err(reader.error(LIST, "expected activations in the order of their times"));
        }
        let mends = mends.iter().map(|written| {
            let refused_by = named(&written.refused_by)?;
            let then = MapVersion::from_name(&written.then)?;
            Some(Mend { refused_by, then })
        });
        let mends: Option<Vec<Mend>> = mends.collect();
        let timeline = Self {
            revision: reader.revision()?,
            kept_since_ms: reader.optional(SINCE)?,
            activations,
            mends: mends.ok_or_else(|| reader.error(MENDS, "expected versions of maps"))?,
        };
        let is_within = timeline.activations.len() <= MAP_ACTIVATIONS_MAX
            && timeline.versions().len() <= MAPS_NAMED_MAX
            && timeline.mends_end();
        if !is_within {
            return Err(reader.error(LIST, "expected activations and mends within their limits"));
        }
        Ok(timeline)
    }
}

#[derive(Serialize, Deserialize)]
struct WrittenActivation {
    since_ms: i64,
    map: String,
}

#[derive(Serialize, Deserialize)]
struct WrittenMend {
    refused_by: String,
    then: String,
}

impl MapText {
    /// As it is stored.
    #[must_use]
    pub fn to_fields(&self) -> Fields {
        let mut fields = fields(1, &self.stamp, [(TEXT, Field::Text(self.text.clone()))]);
        if let Some(mark) = &self.salt_mark {
            fields.insert(SALT.to_owned(), Field::Text(mark.clone()));
        }
        fields
    }

    /// Reads what is stored under `version`. Whether the text is a map is not checked here.
    ///
    /// # Errors
    /// Which attribute is not what it should be.
    pub fn from_fields(version: MapVersion, fields: &Fields) -> Result<Self, ItemError> {
        let reader = Reader { item: "map", fields };
        let text = reader.text(TEXT)?;
        if MapVersion::of(text) != version {
            return Err(reader.error(TEXT, "expected the text of its key's hash: it was changed by hand"));
        }
        Ok(Self {
            version,
            text: text.to_owned(),
            salt_mark: match fields.contains_key(SALT) {
                true => Some(reader.text(SALT)?.to_owned()),
                false => None,
            },
            stamp: reader.stamp()?,
        })
    }
}

#[cfg(test)]
mod tests;
