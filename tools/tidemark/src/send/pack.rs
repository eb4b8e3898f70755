//! Events into records: one each, or many aggregated into one.

use tidemark_aws::admin::PutRecord;
use tidemark_domain::contract::aggregate::{Aggregator, UserRecord};
use tidemark_domain::id::fingerprint64;

use super::partition_key;

/// The size at which an aggregated record is sent, bytes: KPL's `AggregationMaxSize`.
const AGGREGATE_BYTES: usize = 51_200;
/// Aggregated records that are open at a time. A card's events always go to the same one, and so does its partition key:
/// otherwise the order between two aggregates would be lost.
const LANES: u64 = 16;

/// Packs events in the order they come.
pub(super) struct Packer {
    /// Empty where events are not aggregated.
    lanes: Vec<Aggregator>,
    pending: u64,
}

impl Packer {
    pub(super) fn new(aggregate: bool) -> Self {
        let lanes = if aggregate { LANES } else { 0 };
        Self {
            lanes: (0..lanes).map(|_| Aggregator::new()).collect(),
            pending: 0,
        }
    }

    /// Events taken that no record has yet.
    pub(super) const fn pending(&self) -> u64 {
        self.pending
    }

    /// Takes an event; gives the records that are full by it.
    pub(super) fn push(&mut self, data: Vec<u8>) -> Vec<PutRecord> {
        let card = partition_key(&data);
        let number = fingerprint64(&card) % LANES;
        let lane = usize::try_from(number).ok().and_then(|at| self.lanes.get_mut(at));
        let Some(lane) = lane else {
            return vec![PutRecord {
                partition_key: card,
                data,
            }];
        };
        let event = UserRecord {
            partition_key: &card,
            explicit_hash_key: None,
            data: &data,
        };
        self.pending += 1;
        if lane.push(&event, AGGREGATE_BYTES) {
            return Vec::new();
        }
        let mut full: Vec<PutRecord> = closed(lane, number, &mut self.pending).into_iter().collect();
        if !lane.push(&event, AGGREGATE_BYTES) {
            // Too large for any aggregate: by itself, on the same way as its lane.
            self.pending -= 1;
            full.push(PutRecord {
                partition_key: key_of(number),
                data,
            });
        }
        full
    }

    /// Records of what is left.
    pub(super) fn finish(&mut self) -> Vec<PutRecord> {
        let pending = &mut self.pending;
        let lanes = self.lanes.iter_mut().zip(0..);
        lanes
            .filter_map(|(lane, number)| closed(lane, number, pending))
            .collect()
    }
}

/// An aggregate's record; `None` when it holds nothing. `pending` goes down by what it held.
fn closed(lane: &mut Aggregator, number: u64, pending: &mut u64) -> Option<PutRecord> {
    let full = std::mem::take(lane);
    let events = full.user_records() as u64;
    // The event that did not fit is counted already, and stays so.
    *pending -= events;
    (events > 0).then(|| PutRecord {
        partition_key: key_of(number),
        data: full.finish(),
    })
}

fn key_of(number: u64) -> String {
    format!("aggregate-{number}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tidemark_domain::contract::aggregate::take_apart;

    use super::*;

    fn event(card: u64, number: usize, padding: usize) -> Vec<u8> {
        format!(
            r#"{{"card_id":"card-{card}","n":{number},"x":"{}"}}"#,
            "x".repeat(padding)
        )
        .into_bytes()
    }

    #[test]
    fn each_event_is_in_one_record_and_those_of_a_card_keep_their_order_and_way() {
        // One in fifty is larger than an aggregated record may be.
        let padding = |n: usize| if n % 50 == 49 { 60_000 } else { [10, 200, 3_000][n % 3] };
        let events: Vec<Vec<u8>> = (0..600).map(|n| event(n as u64 % 7, n, padding(n))).collect();
        let mut packer = Packer::new(true);
        let mut records: Vec<PutRecord> = events.iter().flat_map(|event| packer.push(event.clone())).collect();
        assert!(packer.pending() > 0);
        records.extend(packer.finish());
        assert_eq!(packer.pending(), 0);
        let mut by_way: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
        for record in &records {
            let way = by_way.entry(record.partition_key.clone()).or_default();
            match take_apart(&record.data).unwrap() {
                None => way.push(record.data.clone()),
                Some(parts) => {
                    assert!(record.data.len() <= AGGREGATE_BYTES);
                    for part in parts {
                        assert_eq!(part.partition_key, partition_key(part.data));
                        way.push(part.data.to_vec());
                    }
                }
            }
        }
        let of_card = |list: &[Vec<u8>], card: u64| -> Vec<Vec<u8>> {
            let key = format!("card-{card}");
            list.iter()
                .filter(|event| partition_key(event) == key)
                .cloned()
                .collect()
        };
        for card in 0..7 {
            let ways: Vec<Vec<Vec<u8>>> = by_way.values().map(|way| of_card(way, card)).collect();
            assert_eq!(
                ways.iter().filter(|way| !way.is_empty()).count(),
                1,
                "card {card} goes one way"
            );
            assert_eq!(ways.concat(), of_card(&events, card));
        }
        assert!(records.len() < events.len() / 8, "{} records", records.len());
    }

    #[test]
    fn without_aggregation_each_event_is_a_record_under_its_card() {
        let mut packer = Packer::new(false);
        let records = packer.push(event(3, 0, 5));
        assert_eq!(records.len(), 1);
        assert_eq!(
            (records[0].partition_key.as_str(), &records[0].data),
            ("card-3", &event(3, 0, 5))
        );
        assert_eq!((packer.finish().len(), packer.pending()), (0, 0));
    }
}
