//! The files of a run that operators import beside the stream: what cards did weeks before it, and what the stream brings besides.

use std::sync::Arc;

use tidemark_domain::policy::Policy;

use crate::dice::Dice;
use crate::draws::{Draw, Draws};
use crate::operator::Deed;
use crate::traffic::{Sent, card, transaction};
use crate::world::START_MS;
use crate::world::files::ImportFile;

/// Cards that have a past, at most.
const CARDS_MAX: u64 = 10;
/// Events of a card before the run, at most.
const PAST_MAX: u64 = 12;
/// How far back a file reaches, ms.
const PAST_MS: u64 = 30 * 86_400_000;
/// Two imports begin within this of each other, where they go side by side, ms.
const SIDE_BY_SIDE_MS: u64 = 500;

/// In two of seven runs files are imported, unless the table forgets or is put back meanwhile: then an event that a file alone has is gone for good, as
/// it is in life until somebody imports the file again.
#[must_use]
pub fn has_imports(seed: u64, draws: Draws) -> bool {
    matches!(seed % 7, 3 | 6) && !draws.has(Draw::Ttl) && !draws.has(Draw::Restore)
}

/// Draws files, and when they are imported (ms since 1970-01-01T00:00:00Z).
#[must_use]
pub fn draw(dice: &mut Dice, draws: Draws, sent: &[Sent], cards: u64) -> (Vec<ImportFile>, Vec<(i64, Deed)>) {
    let (first_ms, last_ms) = (START_MS, sent.last().map_or(START_MS, |last| last.at_ms));
    let span = u64::try_from(last_ms - first_ms).unwrap_or(1).max(1);
    let mut at_ms = first_ms + ms(dice.below(span));
    let past = past(dice, draws, cards, at_ms);
    let mut files = Vec::new();
    let mut deeds = Vec::new();
    for number in 0..dice.between(1, 3) {
        let file = file(dice, &past, sent, at_ms);
        files.push(file);
        deeds.push((at_ms, Deed::Import(usize::try_from(number).unwrap_or(0))));
        at_ms += if dice.chance(0.6) {
            ms(dice.below(SIDE_BY_SIDE_MS))
        } else {
            ms(dice.below(span / 4 + 1))
        };
    }
    (files, deeds)
}

fn ms(duration: u64) -> i64 {
    i64::try_from(duration).unwrap_or(i64::MAX / 4)
}

/// What cards did before the run: card, time and bytes.
fn past(dice: &mut Dice, draws: Draws, cards: u64, until_ms: i64) -> Vec<Vec<u8>> {
    let mut past: Vec<(i64, Vec<u8>)> = Vec::new();
    for number in 0..cards.min(CARDS_MAX) {
        let card = card(number, draws.has(Draw::OddIds));
        for event in 0..dice.below(PAST_MAX + 1) {
            let time_ms = START_MS.min(until_ms) - 1 - ms(dice.below(PAST_MS));
            let id = format!("past-{number}-{event}");
            past.push((time_ms, transaction(&card, &id, time_ms, dice)));
        }
    }
    past.sort();
    past.into_iter().map(|(_, row)| row).collect()
}

/// A file: most of the past, and a part of what the stream has taken by then, now and then out of order and twice.
fn file(dice: &mut Dice, past: &[Vec<u8>], sent: &[Sent], at_ms: i64) -> ImportFile {
    let policy = Policy::default_policy();
    let (past_share, sent_share) = (*dice.pick(&[0.5, 0.9, 1.0]), *dice.pick(&[0.0, 0.1, 0.5]));
    let mut rows: Vec<Arc<[u8]>> = Vec::new();
    let before = sent.iter().take_while(|sent| sent.at_ms <= at_ms);
    let is_transaction = |row: &[u8]| matches!(ImportFile::decode(row, &policy, at_ms), Ok(Some(_)));
    for row in past.iter().filter(|_| dice.chance(past_share)) {
        rows.push(row.as_slice().into());
    }
    for row in before.filter(|_| dice.chance(sent_share)) {
        if is_transaction(&row.data) {
            rows.push(row.data.as_slice().into());
        }
    }
    for _ in 0..dice.below(6) {
        if let Some(again) = rows.get(usize::try_from(dice.below(rows.len().max(1) as u64)).unwrap_or(0)) {
            let again = again.clone();
            rows.insert(usize::try_from(dice.below(rows.len() as u64)).unwrap_or(0), again);
        }
    }
    ImportFile {
        rows,
        batch_rows: usize::try_from(*dice.pick(&[3_u64, 20, 200])).unwrap_or(20),
        ..ImportFile::default()
    }
}
