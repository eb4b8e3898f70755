//! Validation in time order inside the training range: learn from what was known before a part of it, and score that part.

use crate::refusal::LearnError;
use crate::table::Table;

use super::edges::Fine;
use super::options::FitOptions;
use super::pattern::Patterns;
use super::solve::{self, Layout, Penalty, softplus};

/// A fold without as many frauds on each side says too little.
const FOLD_FRAUDS_MIN: usize = 20;

/// One part of the range, and what was known before it.
pub(super) struct Fold {
    earlier: Vec<u32>,
    later: Vec<u32>,
    fine: Vec<Fine>,
}

/// How well bits that were learned before a part of the range did on that part.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Worth {
    /// Surprise of the labels, bits a fraud.
    pub(super) loss: f64,
    pub(super) average_precision: f64,
}

/// A fold with the edges of one coarseness.
pub(super) struct Binned {
    edges: Vec<Vec<f64>>,
    earlier: Patterns,
    later: Patterns,
}

/// The later part of the range in equal times, each with the events before it whose labels were known when it began.
pub(super) fn folds(table: &Table, options: &FitOptions) -> Vec<Fold> {
    let times = table.times_ms();
    let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else {
        return Vec::new();
    };
    let span = last.saturating_sub(*first).saturating_add(1);
    let later_ms = (span as f64 * options.validation_share) as i64;
    let starts = |fold: usize| {
        let step = i128::from(later_ms) * fold as i128 / options.folds.max(1) as i128;
        first + (span - later_ms) + step as i64
    };
    let fold = |at: usize| {
        let (begin, end) = (starts(at), starts(at + 1));
        let known_ms = begin.saturating_sub(options.label_delay_ms);
        let rows = |from: i64, to: i64| -> Vec<u32> {
            let inside = |row: &u32| (from..to).contains(&times[*row as usize]);
            (0..times.len() as u32).filter(inside).collect()
        };
        Fold::new(table, rows(*first, known_ms), rows(begin, end))
    };
    (0..options.folds).filter_map(fold).collect()
}

impl Fold {
    fn new(table: &Table, earlier: Vec<u32>, later: Vec<u32>) -> Option<Self> {
        let fraud = table.frauds();
        let frauds = |rows: &[u32]| rows.iter().filter(|row| fraud[**row as usize]).count();
        let enough = |rows: &[u32]| (FOLD_FRAUDS_MIN..rows.len()).contains(&frauds(rows));
        if !enough(&earlier) || !enough(&later) {
            return None;
        }
        let fine = |feature: usize| Fine::new(table.column(feature), fraud, &earlier);
        Some(Self {
            fine: (0..table.names().len()).map(fine).collect(),
            earlier,
            later,
        })
    }

    pub(super) fn binned(&self, table: &Table, bins_max: usize) -> Binned {
        let edges: Vec<Vec<f64>> = self.fine.iter().map(|fine| fine.merged(bins_max)).collect();
        Binned {
            earlier: Patterns::new(table, &self.earlier, &edges),
            later: Patterns::new(table, &self.later, &edges),
            edges,
        }
    }
}

impl Binned {
    /// What these features are worth on the later part.
    pub(super) fn worth(&self, active: &[usize], penalty: Penalty) -> Result<Worth, LearnError> {
        let layout = Layout::new(active, &self.edges);
        let weights = solve::solve(&self.earlier, &layout, penalty)?;
        let places = layout.places(&self.later);
        Ok(worth(
            &self.later,
            &solve::log_odds(&weights, &places, self.later.len()),
        ))
    }
}

/// The mean over folds.
pub(super) fn mean_worth(folds: &[Binned], active: &[usize], penalty: Penalty) -> Result<Worth, LearnError> {
    let mut sum = Worth::default();
    for fold in folds {
        let one = fold.worth(active, penalty)?;
        sum.loss += one.loss;
        sum.average_precision += one.average_precision;
    }
    let count = folds.len() as f64;
    Ok(Worth {
        loss: sum.loss / count,
        average_precision: sum.average_precision / count,
    })
}

fn worth(patterns: &Patterns, odds: &[f64]) -> Worth {
    let each = odds.iter().zip(patterns.rows.iter().zip(&patterns.frauds));
    let loss: f64 = each
        .map(|(odds, (rows, frauds))| rows * softplus(*odds) - frauds * odds)
        .sum();
    Worth {
        loss: loss / std::f64::consts::LN_2 / patterns.frauds_total(),
        average_precision: average_precision(patterns, odds),
    }
}

/// Precision at each score from the top, weighted by the recall that the score adds; patterns of one score count at once.
fn average_precision(patterns: &Patterns, odds: &[f64]) -> f64 {
    let mut order: Vec<usize> = (0..odds.len()).collect();
    order.sort_unstable_by(|one, other| odds[*other].total_cmp(&odds[*one]).then(one.cmp(other)));
    let (mut rows, mut frauds, mut sum) = (0.0, 0.0, 0.0);
    for same in order.chunk_by(|one, other| odds[*one] == odds[*other]) {
        let added: f64 = same.iter().map(|at| patterns.frauds[*at]).sum();
        rows += same.iter().map(|at| patterns.rows[*at]).sum::<f64>();
        frauds += added;
        sum += added * frauds / rows;
    }
    sum / patterns.frauds_total()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Row;

    const HOUR_MS: i64 = 3_600_000;

    fn table(rows: u32) -> Table {
        let mut table = Table::new(["a"]).unwrap();
        for number in 0..rows {
            let row = Row {
                at_ms: i64::from(number) * HOUR_MS,
                card: 0,
                amount_minor: 0,
                fraud: number % 9 == 0,
            };
            table.push(row, &[Some(f64::from(number % 4))]).unwrap();
        }
        table
    }

    #[test]
    fn a_fold_learns_only_from_labels_that_were_known_when_it_began() {
        let (table, options) = (table(2_400), FitOptions::new(100 * HOUR_MS));
        let folds = folds(&table, &options);
        assert_eq!(folds.len(), options.folds);
        let mut scored = Vec::<u32>::new();
        for fold in &folds {
            let begin = i64::from(*fold.later.first().unwrap()) * HOUR_MS;
            let known = |row: &u32| i64::from(*row) * HOUR_MS + options.label_delay_ms;
            assert!(fold.earlier.iter().all(|row| known(row) < begin + HOUR_MS));
            // And from all of these: the next one was not known.
            assert!(known(&(fold.earlier.last().unwrap() + 1)) >= begin);
            scored.extend(&fold.later);
        }
        // Together the folds are the later half, each event once.
        assert_eq!(scored, (1_200..2_400).collect::<Vec<u32>>());
    }

    #[test]
    fn folds_with_too_few_frauds_are_left_out() {
        let options = FitOptions::new(100 * HOUR_MS);
        assert!(folds(&table(300), &options).is_empty());
        assert!(
            folds(
                &table(2_400),
                &FitOptions {
                    label_delay_ms: i64::MAX,
                    ..options
                }
            )
            .is_empty()
        );
        assert!(folds(&table(0), &FitOptions::new(0)).is_empty());
    }

    #[test]
    fn average_precision_is_that_of_the_metrics() {
        let table = table(2_400);
        let rows: Vec<u32> = (0..2_400).collect();
        let patterns = Patterns::new(&table, &rows, &[vec![1.0, 2.0, 3.0]]);
        let odds = [0.3, -1.0, 0.3, 2.0];
        let case = |row: u32| crate::metrics::Case {
            score: odds[row as usize % 4],
            fraud: row.is_multiple_of(9),
            day: 0,
            card: 0,
            amount_minor: 0,
        };
        let cases: Vec<_> = rows.iter().map(|row| case(*row)).collect();
        let found = crate::metrics::Ranked::new(&cases).unwrap().all().average_precision();
        // Patterns come from the highest key down or up; their bin says which odds are theirs.
        let of_pattern: Vec<f64> = (0..patterns.len()).map(|at| odds[patterns.bin(at, 0)]).collect();
        assert!((average_precision(&patterns, &of_pattern) - found.unwrap()).abs() < 1e-12);
    }
}
