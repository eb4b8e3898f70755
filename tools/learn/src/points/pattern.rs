//! Events by the bins that they lie in: those of one pattern are counted together, and the equations are solved over patterns.

use crate::table::Table;

use super::edges::bin_of;

/// Bits that a bin's number takes.
const DIGIT: usize = 4;
/// The number that stands for a missing value.
pub(super) const MISSING: usize = 15;
/// At most so many bins: their numbers are below that of a missing value.
pub(super) const BINS_LIMIT: usize = 15;

/// Which of the patterns' features count.
pub(super) type Active = Vec<usize>;

/// Different patterns of bins, each with its events and frauds, in a fixed order.
pub(super) struct Patterns {
    keys: Vec<u128>,
    pub(super) rows: Vec<f64>,
    pub(super) frauds: Vec<f64>,
}

impl Patterns {
    /// The patterns of these rows. Each feature has its edges.
    pub(super) fn new(table: &Table, rows: &[u32], edges: &[Vec<f64>]) -> Self {
        let fraud = table.frauds();
        let mut keys: Vec<u128> = rows.iter().map(|row| u128::from(fraud[*row as usize])).collect();
        for (feature, edges) in edges.iter().enumerate() {
            let column = table.column(feature);
            for (key, row) in keys.iter_mut().zip(rows) {
                let value = column[*row as usize];
                let bin = if value.is_nan() { MISSING } else { bin_of(edges, value) };
                *key |= (bin as u128) << (DIGIT * (feature + 1));
            }
        }
        keys.sort_unstable();
        Self::counted(&keys)
    }

    /// Equal neighbours as one pattern, whatever their label.
    fn counted(sorted: &[u128]) -> Self {
        let (mut keys, mut rows, mut frauds) = (Vec::new(), Vec::new(), Vec::new());
        for same in sorted.chunk_by(|one, other| one >> DIGIT == other >> DIGIT) {
            keys.push(same[0] >> DIGIT);
            rows.push(same.len() as f64);
            frauds.push(same.iter().filter(|key| *key & 1 == 1).count() as f64);
        }
        Self { keys, rows, frauds }
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The bin of a feature in a pattern; [`MISSING`] where it has no value.
    pub(super) fn bin(&self, pattern: usize, feature: usize) -> usize {
        (self.keys[pattern] >> (DIGIT * feature)) as usize & MISSING
    }

    pub(super) fn rows_total(&self) -> f64 {
        self.rows.iter().sum()
    }

    pub(super) fn frauds_total(&self) -> f64 {
        self.frauds.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Row;

    #[test]
    fn events_of_one_pattern_are_counted_together() {
        let mut table = Table::new(["a", "b"]).unwrap();
        let events = [
            (Some(0.5), None, false),
            (Some(0.7), None, true),
            (Some(1.0), Some(3.0), true),
            (None, Some(-1.0), false),
            (Some(9.0), Some(3.5), false),
        ];
        for (a, b, fraud) in events {
            let row = Row {
                at_ms: 0,
                card: 0,
                amount_minor: 0,
                fraud,
            };
            table.push(row, &[a, b]).unwrap();
        }
        let patterns = Patterns::new(&table, &[0, 1, 2, 3, 4], &[vec![1.0], vec![0.0, 3.0]]);
        let found: Vec<_> = (0..patterns.len())
            .map(|at| {
                (
                    patterns.bin(at, 0),
                    patterns.bin(at, 1),
                    patterns.rows[at],
                    patterns.frauds[at],
                )
            })
            .collect();
        assert_eq!(
            found,
            [(MISSING, 0, 1.0, 0.0), (1, 2, 2.0, 1.0), (0, MISSING, 2.0, 1.0)]
        );
        assert_eq!((patterns.rows_total(), patterns.frauds_total()), (5.0, 2.0));
    }
}
