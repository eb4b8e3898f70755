//! What stays warm between batches: bounded by entries and by bytes, the longest unused goes first.

use std::collections::VecDeque;
use std::hash::Hash;

use crate::hash::FixedMap;

/// Values by card, or by another key. A value that is worked on is taken out and put back only once it is committed: so the cache never
/// holds what the store does not.
#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    slots: FixedMap<K, Slot<V>>,
    /// Every use in order; a slot's own tick names its latest, older ones are skipped.
    uses: VecDeque<(u64, K)>,
    tick: u64,
    bytes: usize,
    entries_max: usize,
    bytes_max: usize,
}

#[derive(Debug)]
struct Slot<V> {
    value: V,
    bytes: usize,
    tick: u64,
}

/// A slot's own size, its key and its place in the queue of uses, bytes (estimated).
const SLOT_BYTES: usize = 160;

impl<K: Clone + Eq + Hash, V> Cache<K, V> {
    /// An empty cache.
    pub(crate) fn new(entries_max: usize, bytes_max: usize) -> Self {
        Self {
            slots: FixedMap::default(),
            uses: VecDeque::new(),
            tick: 0,
            bytes: 0,
            entries_max,
            bytes_max,
        }
    }

    /// Takes a value out.
    pub(crate) fn take(&mut self, key: &K) -> Option<V> {
        let slot = self.slots.remove(key)?;
        self.bytes -= slot.bytes;
        Some(slot.value)
    }

    /// Looks at a value; that does not count as a use.
    pub(crate) fn peek(&self, key: &K) -> Option<&V> {
        self.slots.get(key).map(|slot| &slot.value)
    }

    /// Puts a value in that takes so many bytes, and drops the longest unused beyond the limits.
    pub(crate) fn put(&mut self, key: K, value: V, value_bytes: usize) {
        let _ = self.take(&key);
        self.tick += 1;
        let bytes = value_bytes + SLOT_BYTES;
        self.bytes += bytes;
        self.uses.push_back((self.tick, key.clone()));
        self.slots.insert(
            key,
            Slot {
                value,
                bytes,
                tick: self.tick,
            },
        );
        while self.slots.len() > self.entries_max || self.bytes > self.bytes_max {
            let Some((tick, key)) = self.uses.pop_front() else {
                break;
            };
            if self.slots.get(&key).is_some_and(|slot| slot.tick == tick) {
                let _ = self.take(&key);
            }
        }
        self.forget_old_uses();
    }

    /// Keeps the queue of uses in proportion to the slots; its cost is spread over as many uses.
    fn forget_old_uses(&mut self) {
        if self.uses.len() > 2 * self.slots.len() + 64 {
            let slots = &self.slots;
            self.uses
                .retain(|(tick, key)| slots.get(key).is_some_and(|slot| slot.tick == *tick));
        }
    }
}

#[cfg(test)]
mod tests {
    use tidemark_domain::id::CardId;

    use super::*;

    fn card(number: usize) -> CardId {
        CardId::new(&format!("c{number}")).unwrap()
    }

    #[test]
    fn the_longest_unused_goes_first() {
        let mut cache = Cache::<CardId, _>::new(2, usize::MAX);
        cache.put(card(1), "one", 0);
        cache.put(card(2), "two", 0);
        let one = cache.take(&card(1)).unwrap();
        cache.put(card(1), one, 0);
        cache.put(card(3), "three", 0);
        assert_eq!(cache.peek(&card(2)), None);
        assert_eq!(
            (cache.peek(&card(1)), cache.peek(&card(3))),
            (Some(&"one"), Some(&"three"))
        );
    }

    #[test]
    fn bytes_are_bounded_too_and_counted_exactly() {
        let mut cache = Cache::new(usize::MAX, 10 * (SLOT_BYTES + 100));
        for number in 0..1_000 {
            cache.put(card(number), number, 100);
        }
        assert_eq!((cache.slots.len(), cache.bytes), (10, 10 * (SLOT_BYTES + 100)));
        assert!((990..1_000).all(|number| cache.take(&card(number)) == Some(number)));
        assert_eq!(cache.bytes, 0);
    }

    #[test]
    fn a_value_over_the_limit_is_not_kept() {
        let mut cache = Cache::new(usize::MAX, 1_000);
        cache.put(card(1), 1, 1_001);
        assert_eq!((cache.slots.len(), cache.bytes), (0, 0));
    }

    #[test]
    fn the_queue_of_uses_does_not_grow_with_them() {
        let mut cache = Cache::new(10, usize::MAX);
        for use_number in 0..100_000 {
            cache.put(card(use_number % 5), use_number, 0);
        }
        assert!(cache.uses.len() <= 2 * 5 + 65, "{} uses for 5 slots", cache.uses.len());
    }

    #[test]
    fn the_queue_of_uses_shrinks_with_the_slots() {
        let mut cache = Cache::new(100, usize::MAX);
        for number in 0..100 {
            cache.put(card(number), number, 0);
        }
        assert!((5..100).all(|number| cache.take(&card(number)) == Some(number)));
        for use_number in 0..10_000 {
            cache.put(card(use_number % 5), use_number, 0);
        }
        assert!(cache.uses.len() <= 2 * 5 + 65, "{} uses for 5 slots", cache.uses.len());
    }

    #[test]
    fn uses_that_are_forgotten_are_not_those_that_say_who_goes_first() {
        let mut cache = Cache::new(5, usize::MAX);
        for use_number in 0..1_000 {
            cache.put(card(use_number % 5), use_number, 0);
        }
        for number in 5..8 {
            cache.put(card(number), number, 0);
        }
        let kept: Vec<usize> = (0..8).filter(|number| cache.peek(&card(*number)).is_some()).collect();
        assert_eq!(kept, [3, 4, 5, 6, 7]);
    }
}
