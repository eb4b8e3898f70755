//! Published maps as the functions read them: with the salt that their environment gives.

use std::sync::Arc;

use tidemark_domain::control::maps::MapText;
use tidemark_domain::mapped::RecordMap;
use tidemark_engine::control::{MapReader, UnusableMap};
use tidemark_mapping::{MapSalt, StreamMap, StreamMapFault};

/// Reads published maps.
#[derive(Clone, Debug, Default)]
pub struct SaltedMaps {
    salt: Option<MapSalt>,
}

impl SaltedMaps {
    /// With this salt, or with none.
    #[must_use]
    pub const fn new(salt: Option<MapSalt>) -> Self {
        Self { salt }
    }
}

impl MapReader for SaltedMaps {
    fn read(&self, map: &MapText) -> Result<Arc<dyn RecordMap>, UnusableMap> {
        let name = format!("map {}", map.version);
        let read = StreamMap::parse(&map.text, &name, self.salt.as_ref()).map_err(|fault| match fault {
            StreamMapFault::NoSalt => UnusableMap::NoSalt,
            StreamMapFault::Text(problems) => {
                let first = problems.first().map(ToString::to_string);
                UnusableMap::Text(first.unwrap_or_default())
            }
        })?;
        let mark = self.salt.as_ref().and_then(MapSalt::mark);
        if read.is_salted() && map.salt_mark != mark {
            return Err(UnusableMap::OtherSalt);
        }
        Ok(Arc::new(read))
    }
}
