//! Published maps: those at hand, and which is in force since when. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidemark_domain::control::item::{Fields, ItemError};
use tidemark_domain::control::maps::{MapText, MapTimeline, MapVersion};
use tidemark_domain::mapped::{MapsInForce, RecordMap};

use crate::port::PortError;

/// Makes a map ready that was published. The salt is the reader's own.
pub trait MapReader: Send + Sync {
    /// Reads and checks a map.
    ///
    /// # Errors
    /// Why it can't be used here.
    fn read(&self, map: &MapText) -> Result<Arc<dyn RecordMap>, UnusableMap>;
}

/// Why a map that is or was in force can't be had. Records that it judges come again until it can.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableMap {
    /// There is no such item.
    #[error("it was never published")]
    Unpublished,
    /// The table did not answer.
    #[error(transparent)]
    Unread(PortError),
    /// The item is not what it should be.
    #[error(transparent)]
    Item(ItemError),
    /// It hashes, and the function has no salt.
    #[error("it hashes, and TIDEMARK_SALT is not set")]
    NoSalt,
    /// It was published with another salt: every id that it hashes would be another one.
    #[error("it was published with another salt than that in TIDEMARK_SALT")]
    OtherSalt,
    /// Its text can't be read: the first problem in it.
    #[error("its text is not a map that a function can use: {0}")]
    Text(String),
    /// Whoever reads the control plane here reads no maps.
    #[error("nothing here reads maps")]
    NoReader,
}

/// What the read of a published map brought.
pub(super) type MapRead = Result<Arc<dyn RecordMap>, UnusableMap>;

/// What is known of maps.
#[derive(Default)]
pub(super) struct Maps {
    timeline: Option<Arc<MapTimeline>>,
    at_hand: Arc<BTreeMap<MapVersion, Arc<dyn RecordMap>>>,
}

impl Maps {
    /// The maps that a timeline names and that are not at hand.
    pub(super) fn unread(&self, timeline: &MapTimeline) -> Vec<MapVersion> {
        let mut versions = timeline.versions();
        versions.retain(|version| !self.at_hand.contains_key(version));
        versions
    }

    /// Takes a timeline and the maps that came with it: what judges until a time, ms since 1970-01-01T00:00:00Z.
    pub(super) fn take(
        &mut self,
        timeline: MapTimeline,
        read: Vec<(MapVersion, Arc<dyn RecordMap>)>,
        judges_until_ms: i64,
    ) -> MapsInForce {
        let named = timeline.versions();
        let is_same = read.is_empty() && self.at_hand.len() == named.len();
        if !is_same {
            let mut at_hand = BTreeMap::clone(&self.at_hand);
            at_hand.extend(read);
            at_hand.retain(|version, _| named.contains(version));
            self.at_hand = Arc::new(at_hand);
        }
        let timeline = Arc::new(timeline);
        self.timeline = Some(Arc::clone(&timeline));
        MapsInForce::new(timeline, Arc::clone(&self.at_hand), judges_until_ms)
    }

    /// Whether a timeline was read at any time.
    pub(super) const fn is_known(&self) -> bool {
        self.timeline.is_some()
    }
}

/// A published map, made ready.
pub(super) fn ready(version: MapVersion, fields: Option<&Fields>, reader: Option<&dyn MapReader>) -> MapRead {
    let fields = fields.ok_or(UnusableMap::Unpublished)?;
    let map = MapText::from_fields(version, fields).map_err(UnusableMap::Item)?;
    reader.ok_or(UnusableMap::NoReader)?.read(&map)
}
