//! Events of a file, so many at once that a card has several among them, cut into batches by cards.

use std::collections::BTreeMap;
use std::ops::Range;

use terminal::chunk::LineChunk;
use terminal::lines::Unread;

/// Lines of one batch of the engine at most.
const BATCH_LINES_MAX: usize = 5_000;
/// Refused lines that are kept to be named.
pub(super) const REFUSED_NAMED_MAX: usize = 20;

/// A line that may be an event.
pub(super) struct Row<'c> {
    /// Its number in the file, from 1.
    pub(super) number: u64,
    pub(super) payload: &'c [u8],
    card: u64,
}

/// A line of which there is no event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RefusedRow {
    pub(super) number: u64,
    pub(super) code: &'static str,
    pub(super) why: String,
}

/// The rows of a part of a file.
#[derive(Default)]
pub(super) struct Rows<'c> {
    /// Card by card, those of a card in the file's order.
    pub(super) rows: Vec<Row<'c>>,
    pub(super) refused: Vec<RefusedRow>,
}

impl<'c> Rows<'c> {
    pub(super) fn of(chunk: &'c LineChunk) -> Self {
        let mut parts = Self::default();
        for (at, line) in chunk.lines.iter().enumerate() {
            let number = line.number;
            match chunk.text(at) {
                Ok(payload) => parts.rows.push(Row {
                    number,
                    payload,
                    card: line.card,
                }),
                Err(Unread { code, why }) => parts.refused.push(RefusedRow {
                    number,
                    code,
                    why: why.clone(),
                }),
            }
        }
        // Stable: the events of a card stay in the file's order.
        parts.rows.sort_by_key(|row| row.card);
        parts
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
    pub(super) by_code: BTreeMap<&'static str, u64>,
    pub(super) first: Vec<RefusedRow>,
}

impl RefusedRows {
    pub(super) fn take(&mut self, row: RefusedRow) {
        *self.by_code.entry(row.code).or_default() += 1;
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
    use terminal::lines::Lines;

    use super::*;

    fn chunk(text: &str) -> LineChunk {
        let mut chunk = LineChunk::default();
        chunk.fill(&mut Lines::new(text.as_bytes(), 1_000)).unwrap();
        chunk
    }

    #[test]
    fn rows_stand_card_by_card_in_the_order_of_the_file() {
        let chunk = chunk("{\"card_id\":\"b\",\"n\":1}\n{\"card_id\":\"a\"}\nnot json\n{\"card_id\":\"b\",\"n\":2}\n");
        let rows = Rows::of(&chunk);
        let of_b: Vec<u64> = rows
            .rows
            .iter()
            .map(|row| row.number)
            .filter(|n| [1, 4].contains(n))
            .collect();
        assert_eq!((rows.rows.len(), of_b, chunk.lines.len()), (4, vec![1, 4], 4));
        assert_eq!(rows.batches(1).len(), 3);
    }

    #[test]
    fn a_batch_has_so_many_cards_and_a_card_is_not_cut_for_it() {
        let chunk = chunk(
            &["a", "a", "b", "c", "c", "c"]
                .map(|card| format!("{{\"card_id\":\"{card}\"}}\n"))
                .concat(),
        );
        let rows = Rows::of(&chunk);
        let lengths = |cards_max: usize| rows.batches(cards_max).iter().map(Range::len).collect::<Vec<_>>();
        let mut each = lengths(1);
        each.sort_unstable();
        assert_eq!(each, [1, 2, 3]);
        assert_eq!((lengths(2).len(), lengths(2).iter().sum::<usize>()), (2, 6));
        let cut = rows.batches(2)[0].end;
        assert_ne!(rows.rows[cut - 1].card, rows.rows[cut].card, "a card is whole");
        assert_eq!(lengths(9), [6]);
    }

    #[test]
    fn a_card_with_more_events_than_a_batch_takes_is_cut() {
        let chunk = chunk(&"{\"card_id\":\"a\"}\n".repeat(BATCH_LINES_MAX + 1));
        assert_eq!(
            Rows::of(&chunk).batches(1),
            [0..BATCH_LINES_MAX, BATCH_LINES_MAX..BATCH_LINES_MAX + 1]
        );
    }
}
