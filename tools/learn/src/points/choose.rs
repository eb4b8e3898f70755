//! The choice of options and of features by validation.

use crate::refusal::LearnError;
use crate::table::Table;

use super::options::{Criterion, FitOptions};
use super::report::{DroppedFeature, Tried, Why};
use super::solve::Penalty;
use super::validate::{self, Binned, Worth};

/// A feature stays when validation is worse without it by more than so many bits a fraud.
const EARNS_BITS_MIN: f64 = 0.002;
/// And, where the choice goes by average precision, by more than so much of that.
const EARNS_PRECISION_MIN: f64 = 0.000_2;

/// What was chosen.
pub(super) struct Choice {
    pub(super) bins_max: usize,
    pub(super) penalty: Penalty,
    /// The features that count.
    pub(super) active: Vec<usize>,
    /// What each of them earns, bits a fraud.
    pub(super) earned: Vec<Option<f64>>,
    pub(super) dropped: Vec<DroppedFeature>,
    pub(super) tried: Vec<Tried>,
    pub(super) chosen: usize,
    pub(super) folds: usize,
    pub(super) loss_without: f64,
}

pub(super) fn choose(table: &Table, options: &FitOptions) -> Result<Choice, LearnError> {
    let (active, constant): (Vec<usize>, Vec<usize>) =
        (0..table.names().len()).partition(|feature| varies(table.column(*feature)));
    if active.is_empty() {
        return Err(LearnError::NothingVaries);
    }
    let mut dropped = Vec::new();
    drop_all(table, &constant, Why::Constant, &mut dropped);
    let folds = validate::folds(table, options);
    if folds.is_empty() {
        return Ok(cautious(options, active, dropped));
    }
    let mut tried = Vec::new();
    let mut best: Option<(usize, Vec<Binned>)> = None;
    for bins_max in &options.bins_max {
        let binned: Vec<Binned> = folds.iter().map(|fold| fold.binned(table, *bins_max)).collect();
        let before = tried.len();
        try_strengths(&binned, &active, *bins_max, options, &mut tried)?;
        let place = (before..tried.len()).fold(before, |best, at| better(&tried, best, at, options.criterion));
        let is_best = best
            .as_ref()
            .is_none_or(|(best, _)| better(&tried, *best, place, options.criterion) == place);
        if is_best {
            best = Some((place, binned));
        }
    }
    let Some((chosen, binned)) = best else {
        return Ok(cautious(options, active, dropped));
    };
    let penalty = Penalty {
        ridge: tried[chosen].ridge,
        smoothness: tried[chosen].smoothness,
    };
    let loss_without = validate::mean_worth(&binned, &[], penalty)?.loss;
    let kept = keep(&binned, active, penalty, options)?;
    if kept.active.is_empty() {
        return Err(LearnError::NothingLearned);
    }
    drop_all(table, &kept.dropped, Why::EarnsNothing, &mut dropped);
    Ok(Choice {
        bins_max: tried[chosen].bins_max,
        penalty,
        active: kept.active,
        earned: kept.earned,
        dropped,
        tried,
        chosen,
        folds: folds.len(),
        loss_without,
    })
}

/// Without validation: the fewest bins and the greatest strengths.
fn cautious(options: &FitOptions, active: Vec<usize>, dropped: Vec<DroppedFeature>) -> Choice {
    let greatest = |strengths: &[f64]| strengths.iter().copied().fold(0.0, f64::max);
    let bins_max = options.bins_max.iter().copied().min().unwrap_or(2);
    let (smoothness, ridge) = (greatest(&options.smoothness), greatest(&options.ridge));
    Choice {
        bins_max,
        penalty: Penalty { ridge, smoothness },
        earned: vec![None; active.len()],
        active,
        dropped,
        tried: Vec::new(),
        chosen: 0,
        folds: 0,
        loss_without: 0.0,
    }
}

fn try_strengths(
    binned: &[Binned],
    active: &[usize],
    bins_max: usize,
    options: &FitOptions,
    tried: &mut Vec<Tried>,
) -> Result<(), LearnError> {
    for ridge in options.ridge.iter().copied() {
        for smoothness in options.smoothness.iter().copied() {
            let worth = validate::mean_worth(binned, active, Penalty { ridge, smoothness })?;
            tried.push(Tried {
                bins_max,
                smoothness,
                ridge,
                loss: worth.loss,
                average_precision: worth.average_precision,
            });
        }
    }
    Ok(())
}

/// The better of two; the first where they are equal.
fn better(tried: &[Tried], one: usize, other: usize, criterion: Criterion) -> usize {
    let is_better = match criterion {
        Criterion::Loss => tried[other].loss < tried[one].loss,
        Criterion::AveragePrecision => tried[other].average_precision > tried[one].average_precision,
    };
    if is_better { other } else { one }
}

/// Whether a column has two different values, a missing one included.
pub(super) fn varies(column: &[f64]) -> bool {
    let Some(first) = column.first() else {
        return false;
    };
    column
        .iter()
        .any(|value| value != first && !(value.is_nan() && first.is_nan()))
}

pub(super) fn drop_all(table: &Table, features: &[usize], why: Why, dropped: &mut Vec<DroppedFeature>) {
    dropped.extend(features.iter().map(|feature| DroppedFeature {
        feature: table.names()[*feature].clone(),
        why,
    }));
}

/// Features that stay, with what each earns, and those that go.
struct Kept {
    active: Vec<usize>,
    earned: Vec<Option<f64>>,
    dropped: Vec<usize>,
}

/// Takes features off one by one, beginning with those that are missed least, while validation bears it.
fn keep(binned: &[Binned], active: Vec<usize>, penalty: Penalty, options: &FitOptions) -> Result<Kept, LearnError> {
    let without = |active: &[usize], feature: usize| -> Vec<usize> {
        active.iter().copied().filter(|other| *other != feature).collect()
    };
    let mut current = validate::mean_worth(binned, &active, penalty)?;
    let mut missed = Vec::new();
    for feature in active.iter().copied() {
        let worth = validate::mean_worth(binned, &without(&active, feature), penalty)?;
        missed.push((worth.loss - current.loss, feature));
    }
    missed.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
    let (mut active, mut dropped) = (active, Vec::new());
    for (_, feature) in missed.iter().copied().filter(|_| !options.keep_all) {
        let fewer = without(&active, feature);
        let worth = validate::mean_worth(binned, &fewer, penalty)?;
        if earns_nothing(current, worth, options.criterion) {
            (active, current) = (fewer, worth);
            dropped.push(feature);
        }
    }
    dropped.sort_unstable();
    let mut earned = Vec::with_capacity(active.len());
    for feature in active.iter().copied() {
        let worth = validate::mean_worth(binned, &without(&active, feature), penalty)?;
        earned.push(Some(worth.loss - current.loss));
    }
    Ok(Kept {
        active,
        earned,
        dropped,
    })
}

pub(super) fn earns_nothing(with: Worth, without: Worth, criterion: Criterion) -> bool {
    let by_loss = without.loss - with.loss <= EARNS_BITS_MIN;
    match criterion {
        Criterion::Loss => by_loss,
        Criterion::AveragePrecision => {
            by_loss && with.average_precision - without.average_precision <= EARNS_PRECISION_MIN
        }
    }
}
