//! Keys beyond the card in the store: labelled histories are read, written under their condition, and dropped after their time. What
//! the simulator sees of each write: a set that only grows (I5).

use std::sync::Arc;

use tidemark_domain::invariant::Invariant;
use tidemark_domain::labelled::{LabelledEvent, LabelledHistory};
use tidemark_engine::port::{Commit, KeyId, KeyWrite, PortError, StateItem};

use super::limits::{Limit, read_units, write_units};
use super::stores::Stores;
use super::tables::Versions;

impl Stores {
    /// Reads labelled histories. A stale read finds what was there before the last write.
    pub(crate) fn read_keys(&mut self, keys: &[KeyId], is_stale: bool) -> Result<Vec<Option<StateItem>>, PortError> {
        let mut items = Vec::with_capacity(keys.len());
        for key in keys {
            self.expire_key(*key);
            let versions = self.tables.keys.get(key);
            let found = match (versions, is_stale) {
                (Some(versions), true) => versions.before.clone(),
                (versions, _) => versions.map(|versions| versions.now.clone()),
            };
            items.push(found.map(|item| {
                if self.rules.knows_too_early {
                    known_at_once(&item)
                } else {
                    item
                }
            }));
        }
        let names: Vec<String> = keys.iter().map(ToString::to_string).collect();
        let sizes = items
            .iter()
            .map(|item| read_units(item.as_ref().map_or(0, |item| item.bytes.len())));
        let wanted: Vec<(&str, u64)> = names.iter().map(String::as_str).zip(sizes).collect();
        self.units(Limit::ReadUnits, &wanted)?;
        Ok(items)
    }

    /// Reads one, strongly consistent.
    pub(crate) fn read_key(&mut self, key: KeyId) -> Result<Option<StateItem>, PortError> {
        self.expire_key(key);
        let item = self.tables.keys.get(&key).map(|versions| versions.now.clone());
        let units = read_units(item.as_ref().map_or(0, |item| item.bytes.len()));
        self.units(Limit::ReadUnits, &[(&key.to_string(), 2 * units)])?;
        Ok(item)
    }

    /// Writes a labelled history under its condition.
    pub(crate) fn commit_key(&mut self, write: &KeyWrite) -> Result<Commit, PortError> {
        let name = write.key.to_string();
        self.units(Limit::WriteUnits, &[(&name, write_units(write.item.bytes.len()))])?;
        self.expire_key(write.key);
        let before = self.tables.keys.get(&write.key).map(|versions| versions.now.clone());
        let is_as_read = before.as_ref().map(|item| item.version) == write.expected;
        if !is_as_read && !self.rules.ignores_conditions {
            self.known.conflicts += 1;
            self.known.key_conflicts += 1;
            return Ok(Commit::Conflict(before));
        }
        let mark = xxhash_rust::xxh3::xxh3_64(format!("{name} {}", write.item.version.number).as_bytes());
        if self.rules.loses_key_writes && mark.is_multiple_of(4) {
            return Ok(Commit::Written);
        }
        let mut now = write.item.clone();
        if self.rules.doubles_labels {
            now.bytes = doubled(&now.bytes);
        }
        self.watch_key(write.key, before.as_ref(), &now);
        let versions = Versions {
            now,
            before,
            written_ms: self.now_ms,
            expires_at_s: write.expires_at_s,
        };
        self.tables.keys.insert(write.key, versions);
        Ok(Commit::Written)
    }

    /// Drops a key's item when its time is over.
    fn expire_key(&mut self, key: KeyId) {
        let (Some(ttl), Some(item)) = (self.rules.ttl, self.tables.keys.get(&key)) else {
            return;
        };
        if !ttl.is_dropped(&key.to_string(), item.written_ms, item.expires_at_s, self.now_ms) {
            return;
        }
        let dropped = self.tables.keys.remove(&key);
        let history = dropped.and_then(|item| LabelledHistory::decode(&item.now.bytes).ok());
        let newest_ms = history.and_then(|history| history.newest_ms()).unwrap_or(i64::MIN);
        // Without the ablation that drops it too soon, what it held is older than anything that may ask for it.
        if ttl.forgets_after_ms.is_none() {
            let dropped_ms = self.known.keys_dropped.entry(key).or_insert(newest_ms);
            *dropped_ms = newest_ms.max(*dropped_ms);
        }
    }

    /// What must hold between a history and the one that takes its place: the next version, and no label gone but the oldest.
    fn watch_key(&mut self, key: KeyId, before: Option<&StateItem>, now: &StateItem) {
        let (number, next) = (now.version.number, before.map_or(1, |item| item.version.number + 1));
        let Ok(new) = LabelledHistory::decode(&now.bytes) else {
            let words = format!("key {key}: version {number} can't be decoded");
            self.known.broken.push((Invariant::CountsOnce, words));
            return;
        };
        let old = before
            .and_then(|item| LabelledHistory::decode(&item.bytes).ok())
            .unwrap_or_default();
        let is_gone = |label: &&LabelledEvent| !new.labels().contains(label) && !new.is_forgotten(label.event_key());
        if let Some(lost) = old.labels().iter().find(is_gone) {
            let words = format!("key {key}: version {number} lost {lost:?}");
            self.known.broken.push((Invariant::OnlyOnVersionRead, words));
        }
        if number != next {
            let words = format!("key {key}: version {number} after {}", next - 1);
            self.known.broken.push((Invariant::OnlyOnVersionRead, words));
        }
        self.known.key_histories.entry(key).or_default().push(Arc::new(new));
    }
}

fn changed(bytes: &[u8], change: impl Fn(&LabelledEvent, &mut LabelledHistory)) -> Vec<u8> {
    let Ok(old) = LabelledHistory::decode(bytes) else {
        return bytes.to_vec();
    };
    let mut new = LabelledHistory::default();
    for label in old.labels() {
        change(label, &mut new);
    }
    new.encode()
}

fn doubled(bytes: &[u8]) -> Vec<u8> {
    changed(bytes, |label, new| {
        let twin = LabelledEvent {
            explained: label.explained.map(|explained| !explained),
            ..*label
        };
        let _ = (new.add(*label), new.add(twin));
    })
}

fn known_at_once(item: &StateItem) -> StateItem {
    let bytes = changed(&item.bytes, |label, new| {
        let _ = new.add(LabelledEvent {
            known_since_ms: label.time_ms,
            ..*label
        });
    });
    StateItem {
        bytes,
        version: item.version,
    }
}
