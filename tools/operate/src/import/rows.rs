//! Events of a file, so many at once that a card has several among them: one write of its state serves them all.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::ops::Range;

use serde::Deserialize;
use terminal::lines::{Line, Lines, LinesError};

/// Lines that are held at once.
const HELD_LINES_MAX: usize = 128 * 1024;
/// Bytes of lines that are held at once; the line that goes beyond is still taken.
const HELD_BYTES_MAX: usize = 32 << 20;
/// Lines of one batch of the engine at most.
const BATCH_LINES_MAX: usize = 5_000;
/// Refused lines that are kept to be named.
pub(super) const REFUSED_NAMED_MAX: usize = 20;

/// A line that is an event, as far as its text tells.
pub(super) struct Row {
    /// Its number in the file, from 1.
    pub(super) number: u64,
    pub(super) payload: Vec<u8>,
    pub(super) is_transaction: bool,
    card: String,
}

/// A line of which there is no event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RefusedRow {
    pub(super) number: u64,
    pub(super) code: String,
    pub(super) why: String,
}

/// A part of a file.
#[derive(Default)]
pub(super) struct Held {
    pub(super) rows: Vec<Row>,
    pub(super) refused: Vec<RefusedRow>,
    /// Lines that were read.
    pub(super) lines: u64,
}

/// What a look at a line tells. What is no event is refused by the contract, and has no card to wait for.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Glance {
    schema: String,
    card_id: String,
}

impl Held {
    /// The next part of a file; `None` at its end. Its rows stand card by card, those of a card in the file's order.
    ///
    /// # Errors
    /// When the file can't be read.
    pub(super) fn read<R: BufRead>(lines: &mut Lines<R>, payload_bytes_max: usize) -> Result<Option<Self>, LinesError> {
        let (mut held, mut bytes) = (Self::default(), 0);
        while held.rows.len() < HELD_LINES_MAX && bytes < HELD_BYTES_MAX {
            let Some((number, line)) = lines.next()? else { break };
            held.lines += 1;
            match line {
                Line::Whole(payload) => {
                    bytes += payload.len();
                    let glance: Glance = serde_json::from_slice(payload).unwrap_or_default();
                    held.rows.push(Row {
                        number,
                        is_transaction: glance.schema == "transaction",
                        card: glance.card_id,
                        payload: payload.to_vec(),
                    });
                }
                Line::TooLong { bytes } => held.refused.push(RefusedRow {
                    number,
                    code: "too_large".to_owned(),
                    why: format!("{bytes} bytes, at most {payload_bytes_max} are taken"),
                }),
                Line::Refused { code, why } => held.refused.push(RefusedRow {
                    number,
                    code: code.to_owned(),
                    why: why.to_owned(),
                }),
            }
        }
        if held.lines == 0 {
            return Ok(None);
        }
        // Stable: the events of a card stay in the file's order.
        held.rows.sort_by(|one, other| one.card.cmp(&other.card));
        Ok(Some(held))
    }

    /// Where batches begin and end: at most so many cards each.
    pub(super) fn batches(&self, cards_max: usize) -> Vec<Range<usize>> {
        let mut batches: Vec<Range<usize>> = Vec::new();
        let mut cards = 0;
        for (at, row) in self.rows.iter().enumerate() {
            let is_new_card = at == 0 || self.rows[at - 1].card != row.card;
            let last = batches.last_mut();
            match last {
                Some(last) if last.len() < BATCH_LINES_MAX && !(is_new_card && cards >= cards_max) => {
                    last.end = at + 1;
                    cards += usize::from(is_new_card);
                }
                _ => {
                    batches.push(at..at + 1);
                    cards = 1;
                }
            }
        }
        batches
    }
}

/// How many lines were refused, by code, and the first of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RefusedRows {
    pub(super) by_code: BTreeMap<String, u64>,
    pub(super) first: Vec<RefusedRow>,
}

impl RefusedRows {
    pub(super) fn take(&mut self, row: RefusedRow) {
        *self.by_code.entry(row.code.clone()).or_default() += 1;
        if self.first.len() < REFUSED_NAMED_MAX {
            self.first.push(row);
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.by_code.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(text: &str) -> Held {
        Held::read(&mut Lines::new(text.as_bytes(), 1_000), 1_000)
            .unwrap()
            .unwrap()
    }

    #[test]
    fn rows_stand_card_by_card_in_the_order_of_the_file() {
        let held = held("{\"card_id\":\"b\",\"n\":1}\n{\"card_id\":\"a\"}\nnot json\n{\"card_id\":\"b\",\"n\":2}\n");
        let numbers: Vec<u64> = held.rows.iter().map(|row| row.number).collect();
        assert_eq!((numbers, held.lines), (vec![3, 2, 1, 4], 4));
    }

    #[test]
    fn a_batch_has_so_many_cards_and_a_card_is_not_cut_for_it() {
        let text: String = ["a", "a", "a", "b", "c", "c"]
            .map(|card| format!("{{\"card_id\":\"{card}\"}}\n"))
            .concat();
        assert_eq!(held(&text).batches(1), [0..3, 3..4, 4..6]);
        assert_eq!(held(&text).batches(2), [0..4, 4..6]);
        assert_eq!(held(&text).batches(9).len(), 1);
    }

    #[test]
    fn a_card_with_more_events_than_a_batch_takes_is_cut() {
        let held = held(&"{\"card_id\":\"a\"}\n".repeat(BATCH_LINES_MAX + 1));
        assert_eq!(
            held.batches(1),
            [0..BATCH_LINES_MAX, BATCH_LINES_MAX..BATCH_LINES_MAX + 1]
        );
    }
}
