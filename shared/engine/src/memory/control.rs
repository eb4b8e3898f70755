//! The control plane in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tidemark_domain::control::item::{ACTIVE, Fields, MODE, OVERRIDES, policy_key};
use tidemark_domain::control::lists::{LISTS, list_key};
use tidemark_domain::control::maps::{MAPS, MapVersion, map_key};
use tidemark_domain::control::model::chunk_key;
use tidemark_domain::control::{Mode, ModeSetting, Stamp};
use tidemark_domain::lists::ListPartKey;
use tidemark_domain::trees::TreeModelKey;

use crate::control::{ControlItems, ControlPlane};
use crate::lock::lock;
use crate::port::{Metered, PortError, Units};

/// A control plane in memory. Clones share their content.
#[derive(Clone, Debug, Default)]
pub struct MemoryControl {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    items: BTreeMap<String, Fields>,
    error: Option<PortError>,
    silent: bool,
    silent_at: Option<String>,
    reads: u64,
}

impl MemoryControl {
    /// Puts an item there, as an operator or a hand would; `None` takes it away.
    pub fn set(&self, sort: &str, fields: Option<Fields>) {
        let mut inner = lock(&self.inner);
        match fields {
            Some(fields) => inner.items.insert(sort.to_owned(), fields),
            None => inner.items.remove(sort),
        };
    }

    /// Sets the mode, as an operator does at `at_ms` (milliseconds since 1970-01-01T00:00:00Z).
    pub fn set_mode(&self, mode: Mode, at_ms: i64) {
        let stamp = Stamp {
            at_ms,
            who: "on-call".to_owned(),
            reason: "a test".to_owned(),
        };
        let setting = ModeSetting {
            revision: 1,
            mode,
            record_age_s: None,
            stamp,
        };
        self.set(MODE, Some(setting.to_fields()));
    }

    /// Lets every read fail from now on, or succeed again.
    pub fn fail(&self, error: Option<PortError>) {
        lock(&self.inner).error = error;
    }

    /// Lets every read hang from now on, or answer again.
    pub fn hang(&self, silent: bool) {
        lock(&self.inner).silent = silent;
    }

    /// Lets reads of this item hang from now on; `None`: of none.
    pub fn hang_at(&self, sort: Option<&str>) {
        lock(&self.inner).silent_at = sort.map(str::to_owned);
    }

    /// Reads so far, of policies, models and lists too.
    #[must_use]
    pub fn reads(&self) -> u64 {
        lock(&self.inner).reads
    }

    async fn item(&self, sort: String) -> Result<Metered<Option<Fields>>, PortError> {
        if lock(&self.inner).silent_at.as_ref() == Some(&sort) {
            std::future::pending::<()>().await;
        }
        self.answer(|items| items.get(&sort).cloned()).await
    }

    async fn answer<T>(&self, read: impl FnOnce(&BTreeMap<String, Fields>) -> T) -> Result<Metered<T>, PortError> {
        let silent = {
            let mut inner = lock(&self.inner);
            inner.reads += 1;
            inner.silent
        };
        if silent {
            std::future::pending::<()>().await;
        }
        let inner = lock(&self.inner);
        match &inner.error {
            Some(error) => Err(error.clone()),
            None => Ok(Metered {
                value: read(&inner.items),
                units: Units { write: 0.0, read: 1.0 },
            }),
        }
    }
}

impl ControlPlane for MemoryControl {
    async fn read(&self) -> Result<Metered<ControlItems>, PortError> {
        self.answer(|items| ControlItems {
            active: items.get(ACTIVE).cloned(),
            mode: items.get(MODE).cloned(),
            overrides: items.get(OVERRIDES).cloned(),
            lists: items.get(LISTS).cloned(),
            maps: items.get(MAPS).cloned(),
        })
        .await
    }

    async fn read_policy(&self, version: u32) -> Result<Metered<Option<Fields>>, PortError> {
        self.item(policy_key(version)).await
    }

    async fn read_map(&self, version: MapVersion) -> Result<Metered<Option<Fields>>, PortError> {
        self.item(map_key(version)).await
    }

    async fn read_chunk(&self, model: TreeModelKey, index: u16) -> Result<Metered<Option<Fields>>, PortError> {
        self.item(chunk_key(model, index)).await
    }

    async fn read_list_parts(&self, keys: &[ListPartKey]) -> Result<Metered<BTreeMap<ListPartKey, Fields>>, PortError> {
        let silent_at = lock(&self.inner).silent_at.clone();
        if keys.iter().any(|key| silent_at.as_ref() == Some(&list_key(*key))) {
            std::future::pending::<()>().await;
        }
        let found = |items: &BTreeMap<String, Fields>| {
            let found = keys
                .iter()
                .filter_map(|key| Some((*key, items.get(&list_key(*key))?.clone())));
            found.collect()
        };
        self.answer(found).await
    }
}
