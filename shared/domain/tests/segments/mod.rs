//! A store for sealed segments, and the fold as a driver runs it: what is needed is handed over, then it goes on.
#![allow(dead_code)] // not every test binary uses all of it

use std::collections::BTreeMap;

use tidemark_domain::event::{Label, Links, Transaction, Verdict};
use tidemark_domain::fold::{FoldAnswer, LabelAnswer, fold_label, fold_transaction};
use tidemark_domain::history::History;
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::id::{CardId, EventId};
use tidemark_domain::model::ProfileInput;
use tidemark_domain::policy::Policy;

/// Rounds of reading that one event may need: one for each level, twice over.
const ROUNDS_MAX: usize = 32;

#[derive(Default)]
pub struct Segments {
    /// Bytes, and the newest event time, ms.
    stored: BTreeMap<SegmentKey, (Vec<u8>, i64)>,
    pub written: usize,
    pub written_bytes_max: usize,
    pub read: usize,
}

impl Segments {
    pub fn apply(
        &mut self,
        state: &mut History,
        tx: &Transaction,
        input: ProfileInput<'_>,
        policy: &Policy,
    ) -> FoldAnswer {
        for _ in 0..ROUNDS_MAX {
            let before = state.encode();
            match fold_transaction(state, tx, input, policy) {
                FoldAnswer::NeedsSegments(keys) => {
                    assert_eq!(state.encode(), before, "an unfinished event changed the state");
                    self.supply(state, &keys);
                }
                applied => return applied,
            }
        }
        panic!("an event needs segments without end")
    }

    pub fn label(&mut self, state: &mut History, label: &Label, policy: &Policy) -> LabelAnswer {
        for _ in 0..ROUNDS_MAX {
            match fold_label(state, label, policy) {
                LabelAnswer::NeedsSegments(keys) => self.supply(state, &keys),
                applied => return applied,
            }
        }
        panic!("a label needs segments without end")
    }

    fn supply(&mut self, state: &mut History, keys: &[SegmentKey]) {
        assert!(!keys.is_empty());
        for key in keys {
            self.read += 1;
            state.supply_segment(*key, &self.stored[key].0).unwrap();
        }
    }

    /// Hands over what is asked for, until nothing is.
    pub fn supply_all(&mut self, state: &mut History, needs: &dyn Fn(&History) -> Vec<SegmentKey>) {
        for _ in 0..ROUNDS_MAX {
            let keys = needs(state);
            if keys.is_empty() {
                return;
            }
            self.supply(state, &keys);
        }
        panic!("segments are needed without end")
    }

    /// Writes what is new.
    pub fn write(&mut self, state: &mut History) {
        for segment in state.new_segments() {
            self.written += 1;
            self.written_bytes_max = self.written_bytes_max.max(segment.bytes.len());
            self.stored
                .insert(segment.key, (segment.bytes.clone(), segment.last_ms));
        }
        state.segments_written();
    }

    /// Writes what is new, then the state, and reads it as a process would that knows nothing of the card.
    pub fn restart(&mut self, state: &mut History) {
        self.write(state);
        let bytes = state.encode();
        let back = History::decode(&bytes).unwrap();
        assert_eq!(back, *state);
        assert_eq!(back.encode(), bytes);
        *state = back;
    }

    /// Takes away what ended at or before a time, as the table does when items expire.
    pub fn expire(&mut self, until_ms: i64) -> usize {
        let before = self.stored.len();
        self.stored.retain(|_, (_, last_ms)| *last_ms > until_ms);
        before - self.stored.len()
    }

    /// Has every segment at hand.
    pub fn read_all(&mut self, state: &mut History) {
        self.write(state);
        loop {
            let missing = state.missing_segments();
            if missing.is_empty() {
                return;
            }
            self.supply(state, &missing);
        }
    }
}

/// A label that calls an event of the card fraud.
pub fn fraud(event: &str, known_since_ms: i64) -> Label {
    Label {
        event_id: EventId::new(event).unwrap(),
        card_id: CardId::new("card").unwrap(),
        verdict: Verdict::Fraud,
        known_since_ms,
        occurred_at_ms: None,
        merchant_id: None,
        device_id: None,
        links: Links::NONE,
    }
}
