//! What operators do in a run, and when.

use tidemark_domain::control::{Mode, OverrideAction};
use tidemark_redrive::Source;

use crate::dice::Dice;
use crate::draws::{Draw, Draws};
use crate::world::START_MS;

/// Something that an operator does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Puts a policy in force.
    Activate(u32),
    /// Goes back to the policy before.
    Rollback,
    /// Tries a policy beside the active one, for so many of the cards, percent.
    Rollout(u32, u8),
    /// Ends that.
    EndRollout,
    /// Decides for the card of this number, for so long, ms.
    Decide(u64, OverrideAction, i64),
    /// Takes it back.
    Undecide(u64),
    /// Sets the mode; `paused` turns the mapping off, what comes after it turns it on again.
    Mode(Mode),
    /// Makes a backup of the table.
    Backup,
    /// Restores the items of a part of the cards, percent, from the backup; all of them: the table.
    Restore(u8),
    /// Calls the redrive function.
    Redrive(Source),
    /// Imports the file of this number.
    Import(usize),
    /// Makes a list something else.
    ChangeList {
        /// Which one.
        list: usize,
        /// What its entries are drawn by.
        content: u64,
        /// Whether all of it is there.
        is_whole: bool,
    },
}

/// A minute, ms.
const MINUTE_MS: i64 = 60_000;
/// An hour, ms.
const HOUR_MS: i64 = 3_600_000;
/// Overrides and their ends in a run, at most.
const DECISIONS_MAX: u64 = 14;

/// Draws deeds and their times.
#[derive(Debug)]
struct Schedule<'d> {
    dice: &'d mut Dice,
    span_ms: i64,
    /// Whether producers send for days.
    long: bool,
    deeds: Vec<(i64, Deed)>,
}

/// What operators do, in the order of their times (ms since 1970-01-01T00:00:00Z), and how long the producers go on, ms.
#[must_use]
pub fn schedule(dice: &mut Dice, draws: Draws, span_ms: i64, cards: u64, policies: u32) -> Vec<(i64, Deed)> {
    let mut schedule = Schedule {
        dice,
        span_ms,
        long: draws.has(Draw::Days),
        deeds: Vec::new(),
    };
    if draws.has(Draw::Policies) {
        schedule.policies(policies);
    }
    if draws.has(Draw::Overrides) {
        schedule.decisions(cards);
    }
    if draws.has(Draw::Modes) {
        schedule.modes();
    }
    if draws.has(Draw::Restore) {
        schedule.restore();
    }
    if draws.has(Draw::Walk) {
        schedule.redrives();
    }
    let mut deeds = schedule.deeds;
    deeds.sort_by_key(|(at_ms, _)| *at_ms);
    deeds
}

impl Schedule<'_> {
    fn add(&mut self, at_ms: i64, deed: Deed) {
        self.deeds.push((START_MS + at_ms, deed));
    }

    /// A time between two parts of the span, percent.
    fn between(&mut self, from_pct: i64, to_pct: i64) -> i64 {
        let most = u64::try_from(self.span_ms * (to_pct - from_pct) / 100).unwrap_or(1);
        self.span_ms * from_pct / 100 + i64::try_from(self.dice.below(most.max(1))).unwrap_or(0)
    }

    fn policies(&mut self, policies: u32) {
        for _ in 0..self.dice.between(1, 5) {
            let at_ms = self.between(5, 95);
            let version = 2 + u32::try_from(self.dice.below(u64::from(policies.max(1)))).unwrap_or(0);
            let deed = match self.dice.below(6) {
                0..3 => Deed::Activate(version),
                3 => Deed::Rollback,
                4 => {
                    let share_pct = *self.dice.pick(&[1, 30, 100]);
                    Deed::Rollout(version, share_pct)
                }
                _ => Deed::EndRollout,
            };
            self.add(at_ms, deed);
        }
    }

    fn decisions(&mut self, cards: u64) {
        for _ in 0..self.dice.between(2, DECISIONS_MAX) {
            let at_ms = self.between(0, 95);
            let card = self.dice.below(cards.min(12));
            if self.dice.chance(0.2) {
                self.add(at_ms, Deed::Undecide(card));
                continue;
            }
            let action = *self.dice.pick(&[OverrideAction::Allow, OverrideAction::Block]);
            let most_ms = if self.long { 48 * HOUR_MS } else { self.span_ms / 2 };
            let for_ms = i64::try_from(self.dice.below(u64::try_from(most_ms).unwrap_or(1))).unwrap_or(1);
            self.add(at_ms, Deed::Decide(card, action, for_ms.max(1_000)));
        }
    }

    /// Modes one after the other, each until the next, and live at last.
    fn modes(&mut self) {
        let mut at_ms = self.between(5, 40);
        for _ in 0..self.dice.between(1, 3) {
            let mode = *self.dice.pick(&[Mode::Shadow, Mode::Degraded, Mode::Paused]);
            let most_ms = if self.long { 20 * HOUR_MS } else { 5 * MINUTE_MS };
            let for_ms =
                i64::try_from(self.dice.between(20_000, u64::try_from(most_ms).unwrap_or(20_000))).unwrap_or(0);
            self.add(at_ms, Deed::Mode(mode));
            self.add(at_ms + for_ms, Deed::Mode(Mode::Live));
            at_ms += for_ms + self.between(1, 15);
        }
    }

    fn restore(&mut self) {
        let backup_ms = self.between(10, 50);
        // Mostly one that lies little back: what came since is what a warm process still holds.
        let soon = self.dice.chance(0.5);
        let restore_ms = if self.long {
            // What a restore takes back has to be in the stream still.
            backup_ms + self.between(1, 6).min(24 * HOUR_MS)
        } else if soon {
            backup_ms + self.between(1, 6)
        } else {
            self.between(60, 98)
        };
        let share_pct = *self.dice.pick(&[20, 60, 100]);
        self.add(backup_ms, Deed::Backup);
        self.add(restore_ms, Deed::Restore(share_pct));
    }

    fn redrives(&mut self) {
        // Over long times operators redrive as long as the stream has the records; seldom they forget it.
        if self.long && self.dice.chance(0.85) {
            let days = self.span_ms / (24 * HOUR_MS);
            for day in (4..days).step_by(5) {
                self.add(day * 24 * HOUR_MS, Deed::Redrive(Source::DeadLetter));
            }
        }
        for _ in 0..self.dice.below(4) {
            let at_ms = self.between(10, 110);
            let source = if self.dice.chance(0.75) {
                Source::DeadLetter
            } else {
                Source::Quarantine
            };
            self.add(at_ms, Deed::Redrive(source));
        }
    }
}
