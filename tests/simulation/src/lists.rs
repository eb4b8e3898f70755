//! The lists of a run: what they are at first, and how operators change them. Only a run whose policies declare lists has any.

use std::sync::Arc;

use tidemark_domain::catalogue::KeyName;
use tidemark_domain::control::lists::{NamedList, NamedLists};
use tidemark_domain::control::{ControlItem, Stamp};
use tidemark_domain::lists::{List, ListDraft, ListNote, ListOf, ListPartKey, NewEntry};

use crate::dice::Dice;
use crate::operator::Deed;
use crate::traffic::card;
use crate::world::{START_MS, Stores};

/// Changes of lists in a run, at most.
const CHANGES_MAX: u64 = 12;
/// Merchants of the traffic.
const MERCHANTS: u64 = 20;
/// Cards of the traffic that may be blocked.
const CARDS: u64 = 16;
/// Each list, and what it is of.
const LISTS: [(&str, ListOf); 3] = [
    ("shops", ListOf::Ids),
    ("places", ListOf::Countries),
    ("blocked", ListOf::Ids),
];

/// What operators do with lists, in the order of their times (ms since 1970-01-01T00:00:00Z).
pub fn schedule(dice: &mut Dice, span_ms: i64) -> Vec<(i64, Deed)> {
    let span = u64::try_from(span_ms).unwrap_or(1).max(1);
    let mut deeds: Vec<(i64, Deed)> = (0..dice.between(2, CHANGES_MAX))
        .map(|_| {
            let at_ms = START_MS + i64::try_from(dice.below(span)).unwrap_or(0);
            let deed = Deed::ChangeList {
                list: usize::try_from(dice.below(LISTS.len() as u64)).unwrap_or(0),
                content: dice.any(),
                is_whole: dice.chance(0.8),
            };
            (at_ms, deed)
        })
        .collect();
    deeds.sort_by_key(|(at_ms, _)| *at_ms);
    deeds
}

/// The entries of a content: each of a few merchants, countries or cards by a bit, some with an end within the run.
fn entries(list: usize, content: u64) -> Vec<NewEntry> {
    let values: Vec<String> = match LISTS[list].1 {
        ListOf::Countries => ["FR", "DE", "US"].map(str::to_owned).to_vec(),
        ListOf::Ids if LISTS[list].0 == "blocked" => (0..CARDS).map(|number| card(number, false)).collect(),
        ListOf::Ids | ListOf::Addresses => (0..MERCHANTS).map(|number| format!("m{number}")).collect(),
    };
    let chosen = values.into_iter().enumerate().filter(|(at, _)| content >> at & 1 == 1);
    let entry = |(at, value): (usize, String)| NewEntry {
        value,
        until_ms: (content >> (at + 32) & 1 == 1).then_some(START_MS + i64::from(content as u16) * 1_000),
        reason: None,
    };
    chosen.map(entry).collect()
}

impl Stores {
    /// Changes a list as the command does: its parts first, then its manifest, then the item that names it. One that is not `is_whole` was
    /// broken by hand: a part of it is not there.
    pub(crate) fn change_list(&mut self, list: usize, content: u64, is_whole: bool) {
        let (name, of) = LISTS[list];
        let stamp = Stamp {
            at_ms: self.now_ms,
            who: "operator".to_owned(),
            reason: "simulated".to_owned(),
        };
        let note = Arc::new(ListNote {
            at_ms: stamp.at_ms,
            who: stamp.who.clone(),
            reason: stamp.reason.clone(),
        });
        let mut draft = ListDraft::new(of);
        for entry in entries(list, content) {
            // Few entries, which fit.
            let _put = draft.put(entry, &note);
        }
        let (Some(name), Ok(made), Ok(known)) = (KeyName::new(name), draft.clone().finish(), draft.list()) else {
            return;
        };
        if is_whole {
            self.control.list_parts.extend(made.parts);
        }
        let manifest = made.manifest.encode();
        let key = ListPartKey::of(&manifest);
        self.control.list_parts.insert(key, manifest);
        self.control.list_contents.push(Arc::new(known));
        let before = self
            .control
            .lists
            .take()
            .map_or_else(NamedLists::default, |(lists, _)| lists);
        let after = before.changed(NamedList {
            name,
            of,
            revision: before.find(name).map_or(0, |list| list.revision) + 1,
            manifest: key,
            version: made.manifest.version(),
            entries: made.manifest.entries() as u64,
        });
        self.changed(ControlItem::Lists, after.revision, "import", String::new());
        self.control.lists = Some((after, stamp));
    }
}

/// The list of this version, if it ever was one.
pub(crate) fn of_version(
    lists: &[Arc<List>],
    version: Option<tidemark_domain::lists::ListVersion>,
) -> Option<Arc<List>> {
    let version = version?;
    lists.iter().find(|list| list.version() == version).cloned()
}

#[cfg(test)]
mod tests {
    use crate::policies::has_lists;
    use crate::run::{Ablation, Forgeries, Options, run};

    /// Seeds with lists hold, and all that lists may do happens in some of them.
    #[test]
    fn lists_change_are_lacking_and_come_back_and_every_outcome_names_what_it_was_made_with() {
        let (mut with, mut without) = (0, 0);
        for seed in (1..=160).filter(|seed| has_lists(*seed)) {
            let outcome = run(&Options {
                seed,
                events: 400,
                trace: false,
                ablation: Ablation::None,
                draws: None,
                forgeries: Forgeries::One,
            });
            assert!(outcome.violations.none(), "seed {seed}: {:#?}", outcome.violations.told);
            with += outcome.counts.by_lists;
            without += outcome.counts.without_lists;
        }
        assert!(with > 500 && without > 50, "{with} with lists, {without} without");
    }
}
