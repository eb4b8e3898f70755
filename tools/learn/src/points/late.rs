//! Features that are tried after the choice among the others: one by one, the best first, while validation gains.

use crate::refusal::LearnError;
use crate::table::Table;

use super::choose::{Choice, drop_all, earns_nothing, varies};
use super::options::FitOptions;
use super::report::Why;
use super::validate::{self, Binned, Worth};

/// The table and the choice with the late features that validation gains by; as they were, where it gains by none. `main` is the table
/// without late features, which the choice is of.
pub(super) fn added(
    table: &Table,
    main: Table,
    mut choice: Choice,
    options: &FitOptions,
) -> Result<(Table, Choice), LearnError> {
    let is_main = |name: &str| main.names().iter().any(|other| other == name);
    let chosen = |name: &str| choice.active.iter().any(|at| main.names()[*at] == name);
    // What was chosen, and what may come to it.
    let tried = table.only(|name| chosen(name) || !is_main(name));
    let place = |name: &str| tried.names().iter().position(|other| other == name);
    let active: Vec<usize> = choice
        .active
        .iter()
        .filter_map(|at| place(&main.names()[*at]))
        .collect();
    let late = (0..tried.names().len()).filter(|at| !active.contains(at));
    let (late, constant): (Vec<usize>, Vec<usize>) = late.partition(|at| varies(tried.column(*at)));
    drop_all(&tried, &constant, Why::Constant, &mut choice.dropped);
    let folds = validate::folds(&tried, options);
    if late.is_empty() || folds.is_empty() {
        drop_all(&tried, &late, Why::EarnsNothing, &mut choice.dropped);
        return Ok((main, choice));
    }
    let binned: Vec<Binned> = folds.iter().map(|fold| fold.binned(&tried, choice.bins_max)).collect();
    let taken = taken(&binned, &active, late.clone(), &choice, options)?;
    let left: Vec<usize> = late.into_iter().filter(|at| !taken.contains(at)).collect();
    drop_all(&tried, &left, Why::EarnsNothing, &mut choice.dropped);
    if taken.is_empty() {
        return Ok((main, choice));
    }
    let mut active: Vec<usize> = active.into_iter().chain(taken).collect();
    active.sort_unstable();
    let whole = validate::mean_worth(&binned, &active, choice.penalty)?;
    let mut earned = Vec::with_capacity(active.len());
    for feature in &active {
        let without = validate::mean_worth(&binned, &without(&active, *feature), choice.penalty)?;
        earned.push(Some(without.loss - whole.loss));
    }
    (choice.active, choice.earned) = (active, earned);
    Ok((tried, choice))
}

/// Late features that earn something beside the chosen ones and those that were taken before them.
fn taken(
    binned: &[Binned],
    active: &[usize],
    mut late: Vec<usize>,
    choice: &Choice,
    options: &FitOptions,
) -> Result<Vec<usize>, LearnError> {
    let mut with = active.to_vec();
    let mut current = validate::mean_worth(binned, &with, choice.penalty)?;
    let mut taken = Vec::new();
    loop {
        let mut best: Option<(usize, Worth)> = None;
        for feature in &late {
            let mut more = with.clone();
            more.push(*feature);
            more.sort_unstable();
            let worth = validate::mean_worth(binned, &more, choice.penalty)?;
            if best.is_none_or(|(_, best)| worth.loss < best.loss) {
                best = Some((*feature, worth));
            }
        }
        let Some((feature, worth)) = best.filter(|(_, worth)| !earns_nothing(*worth, current, options.criterion))
        else {
            return Ok(taken);
        };
        with.push(feature);
        with.sort_unstable();
        current = worth;
        taken.push(feature);
        late.retain(|other| *other != feature);
    }
}

fn without(active: &[usize], feature: usize) -> Vec<usize> {
    active.iter().copied().filter(|other| *other != feature).collect()
}
