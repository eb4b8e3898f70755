//! Events into records: one each, or many aggregated into one.

use tidemark_aws::admin::PutRecord;
use tidemark_domain::contract::aggregate::{Aggregator, PackedRecord};
use tidemark_domain::id::fingerprint64;

use super::turns::Piece;
use super::{SORTS, card_of};

/// The size at which an aggregated record is sent, bytes: KPL's `AggregationMaxSize`.
const AGGREGATE_BYTES: usize = 51_200;
/// Aggregated records that are open at a time. A card's events always go to the same one, and so does its partition key:
/// otherwise the order between two aggregates would be lost.
const LANES: u64 = 16;

/// Partition key of a line without a card. No order is kept among such lines: none of them can be an event.
const NO_CARD: &str = "no-card";

/// Packs events in the order they come.
pub(super) struct Packer {
    /// Empty where events are not aggregated.
    lanes: Vec<Lane>,
}

/// An aggregated record that is open, and the lines that are in it.
#[derive(Default)]
struct Lane {
    open: Aggregator,
    lines: Vec<u64>,
    sorts: [u64; SORTS],
}

impl Packer {
    pub(super) fn new(aggregate: bool) -> Self {
        let lanes = if aggregate { LANES } else { 0 };
        Self {
            lanes: (0..lanes).map(|_| Lane::default()).collect(),
        }
    }

    /// Takes the event of a line; gives the records that are full by it.
    pub(super) fn push(&mut self, line: u64, data: Vec<u8>, sort: usize) -> Vec<Piece> {
        let sorts = std::array::from_fn(|at| u64::from(at == sort));
        let card = card_of(&data);
        let key = card.as_deref().unwrap_or(NO_CARD);
        let number = fingerprint64(key) % LANES;
        let lane = usize::try_from(number).ok().and_then(|at| self.lanes.get_mut(at));
        let Some(lane) = lane else {
            return vec![piece(key.to_owned(), card.is_some(), (vec![line], sorts), data)];
        };
        let event = PackedRecord {
            partition_key: key,
            explicit_hash_key: None,
            data: &data,
        };
        if lane.open.push(&event, AGGREGATE_BYTES) {
            lane.hold(line, sort);
            return Vec::new();
        }
        let mut full: Vec<Piece> = lane.close(number).into_iter().collect();
        if lane.open.push(&event, AGGREGATE_BYTES) {
            lane.hold(line, sort);
        } else {
            // Too large for any aggregate: by itself, on the same way as its lane.
            full.push(piece(key_of(number), true, (vec![line], sorts), data));
        }
        full
    }

    /// Records of what is left.
    pub(super) fn finish(&mut self) -> Vec<Piece> {
        let lanes = self.lanes.iter_mut().zip(0..);
        lanes.filter_map(|(lane, number)| lane.close(number)).collect()
    }

    /// The first line that no record has yet.
    pub(super) fn first_open(&self) -> Option<u64> {
        self.lanes.iter().filter_map(|lane| lane.lines.first().copied()).min()
    }
}

impl Lane {
    fn hold(&mut self, line: u64, sort: usize) {
        self.lines.push(line);
        if let Some(count) = self.sorts.get_mut(sort) {
            *count += 1;
        }
    }

    /// The record of what is in it; `None` when that is nothing.
    fn close(&mut self, number: u64) -> Option<Piece> {
        let Self { open, lines, sorts } = std::mem::take(self);
        (!lines.is_empty()).then(|| piece(key_of(number), true, (lines, sorts), open.finish()))
    }
}

fn piece(partition_key: String, ordered: bool, (lines, sorts): (Vec<u64>, [u64; SORTS]), data: Vec<u8>) -> Piece {
    Piece {
        record: PutRecord { partition_key, data },
        ordered,
        lines,
        sorts,
        refusals: 0,
    }
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
        let numbered = events.iter().zip(1..);
        let mut records: Vec<Piece> = numbered
            .flat_map(|(event, line)| packer.push(line, event.clone(), line as usize % 2))
            .collect();
        records.extend(packer.finish());
        let mut lines: Vec<u64> = records.iter().flat_map(|piece| piece.lines.clone()).collect();
        lines.sort_unstable();
        let sorts = records
            .iter()
            .map(|piece| piece.sorts)
            .fold([0, 0], |a, b| [a[0] + b[0], a[1] + b[1]]);
        assert_eq!(sorts, [300, 300]);
        assert_eq!(lines, (1..=600).collect::<Vec<u64>>());
        assert!(records.iter().all(|piece| piece.ordered));
        let mut by_way: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
        for Piece { record, lines, .. } in &records {
            let way = by_way.entry(record.partition_key.clone()).or_default();
            match take_apart(&record.data).unwrap() {
                None => way.push(record.data.clone()),
                Some(parts) => {
                    assert_eq!(parts.len(), lines.len());
                    assert!(record.data.len() <= AGGREGATE_BYTES);
                    for part in parts {
                        assert_eq!(Some(part.partition_key), card_of(part.data).as_deref());
                        way.push(part.data.to_vec());
                    }
                }
            }
        }
        let of_card = |list: &[Vec<u8>], card: u64| -> Vec<Vec<u8>> {
            let key = Some(format!("card-{card}"));
            list.iter().filter(|event| card_of(event) == key).cloned().collect()
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
        let pieces = packer.push(9, event(3, 0, 5), 0);
        assert_eq!(
            pieces,
            [piece("card-3".to_owned(), true, (vec![9], [1, 0]), event(3, 0, 5))]
        );
        let pieces = packer.push(10, b"no event".to_vec(), 1);
        assert_eq!(
            pieces,
            [piece(
                NO_CARD.to_owned(),
                false,
                (vec![10], [0, 1]),
                b"no event".to_vec()
            )]
        );
        assert_eq!(packer.finish(), []);
    }
}
