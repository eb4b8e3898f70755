//! A shard: its lanes, its parents, and how far it is done.

use std::collections::VecDeque;
use std::sync::Arc;

use super::lane::{EsmRecord, Lane};

/// Records of a shard that are read and not done, at most; more where the batches need it.
const UNDONE_RECORDS_MAX: usize = 20_000;
/// Their bytes, at most: ten lanes of full payloads fit.
const UNDONE_BYTES_MAX: usize = 64 << 20;

#[derive(Debug)]
pub(super) struct Shard {
    pub parents: Vec<String>,
    pub lanes: Vec<Lane>,
    /// Every record has been read.
    pub closed: bool,
    /// Closed, and every record is done: its children may begin.
    pub finished: bool,
    /// Records that were read, from the first that is not done, in order, and whether each is done.
    undone: VecDeque<(Arc<EsmRecord>, bool)>,
    undone_bytes: usize,
    checkpoint: Option<String>,
}

impl Shard {
    pub(super) fn new(parents: Vec<String>, lanes: u32) -> Self {
        Self {
            parents,
            lanes: (0..lanes).map(|_| Lane::default()).collect(),
            closed: false,
            finished: false,
            undone: VecDeque::new(),
            undone_bytes: 0,
            checkpoint: None,
        }
    }

    /// Whether it has room for more records.
    pub(super) fn has_room(&self, batch_size: u32) -> bool {
        let records_max = UNDONE_RECORDS_MAX.max(2 * batch_size as usize * self.lanes.len());
        self.undone.len() < records_max && self.undone_bytes < UNDONE_BYTES_MAX
    }

    pub(super) fn accept(&mut self, record: EsmRecord, now_ms: i64) {
        let record = Arc::new(record);
        let lane = lane_of(&record.partition_key, self.lanes.len());
        self.undone_bytes += record.body.len();
        self.undone.push_back((Arc::clone(&record), false));
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.push(record, now_ms);
        }
    }

    /// Marks records as done and moves the checkpoint up to the first that is not.
    pub(super) fn done(&mut self, records: &[Arc<EsmRecord>]) {
        for record in records {
            let index = self.undone.partition_point(|(other, _)| before(other, record));
            if let Some(slot) = self.undone.get_mut(index) {
                slot.1 = true;
            }
        }
        while self.undone.front().is_some_and(|(_, done)| *done) {
            if let Some((record, _)) = self.undone.pop_front() {
                self.undone_bytes -= record.body.len();
                self.checkpoint = Some(record.sequence_number.clone());
            }
        }
        self.settle();
    }

    pub(super) fn settle(&mut self) {
        self.finished = self.closed && self.undone.is_empty();
    }

    /// The last sequence number up to which everything is done.
    pub(super) fn checkpoint(&self) -> Option<&str> {
        self.checkpoint.as_deref()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.undone.is_empty() && self.lanes.iter().all(Lane::is_empty)
    }
}

/// Sequence numbers are decimal numbers without a fixed length: by length, then text.
fn before(a: &EsmRecord, b: &EsmRecord) -> bool {
    (a.sequence_number.len(), &a.sequence_number) < (b.sequence_number.len(), &b.sequence_number)
}

/// The lane of a key: FNV-1a with a final mix (its high bits hardly differ between short keys), the same in every run.
pub(super) fn lane_of(partition_key: &str, lanes: usize) -> usize {
    let hash = partition_key.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    usize::try_from((mixed >> 32) % lanes.max(1) as u64).unwrap_or(0)
}
