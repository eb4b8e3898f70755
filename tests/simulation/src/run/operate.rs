//! What operators do, carried out on the control plane, the mapping and the table as their commands do it.

use tidemark_domain::control::{
    ActivePointer, Change, ControlItem, Mode, ModeSetting, Override, OverrideAction, Overrides, PolicyVersion, Rollout,
    Stamp,
};
use tidemark_redrive::Source;

use super::{Ablation, Run};
use crate::draws::Draw;
use crate::operator::Deed;
use crate::traffic::card;
use crate::world::Stores;
use crate::world::known::Decided;
use crate::world::tables::Tables;

fn stamp(at_ms: i64) -> Stamp {
    Stamp {
        at_ms,
        who: "operator".to_owned(),
        reason: "simulated".to_owned(),
    }
}

impl Run {
    /// Publishes the seed's policies.
    pub(super) fn publish(&mut self) {
        let texts = self.policies.texts.clone();
        self.world.with(|stores| {
            for (version, text) in texts {
                let stamp = stamp(stores.now_ms);
                stores.changed(ControlItem::Policy, version.into(), "publish", String::new());
                stores
                    .control
                    .policies
                    .insert(version, PolicyVersion { version, text, stamp });
            }
        });
    }

    /// Does what is due.
    pub(super) fn operate(&mut self, now_ms: i64) {
        while self.deeds.front().is_some_and(|(at_ms, _)| *at_ms <= now_ms) {
            let Some((_, deed)) = self.deeds.pop_front() else {
                return;
            };
            self.counts.deeds += 1;
            self.world.note(format_args!("operator: {deed:?}"));
            self.deed(deed, now_ms);
        }
    }

    #[allow(clippy::needless_pass_by_value)] // a deed is done once
    fn deed(&mut self, deed: Deed, now_ms: i64) {
        let odd = self.draws.has(Draw::OddIds);
        let world = self.world.clone();
        match deed {
            Deed::Activate(version) => {
                world.with(|stores| {
                    stores.point("activate", |now| {
                        Some(ActivePointer::activated(now, version, stamp(now_ms)))
                    });
                });
                if self.is_without(Ablation::PolicyPublishedTwice) {
                    world.with(|stores| stores.publish_again(version));
                }
            }
            Deed::Rollback => world.with(|stores| stores.point("rollback", |now| now?.rolled_back(stamp(now_ms)))),
            Deed::Rollout(candidate, share_pct) => {
                let rollout = Some(Rollout { candidate, share_pct });
                world.with(|stores| {
                    stores.point("rollout", |now| {
                        Some(ActivePointer::with_rollout(now, rollout, stamp(now_ms)))
                    });
                });
            }
            Deed::EndRollout => world.with(|stores| {
                stores.point("rollout", |now| {
                    Some(ActivePointer::with_rollout(now, None, stamp(now_ms)))
                });
            }),
            Deed::Decide(number, action, for_ms) => {
                let prunes = self.is_without(Ablation::OverridesPruned);
                world.with(|stores| stores.decide(&card(number, odd), Some((action, now_ms + for_ms)), prunes));
            }
            Deed::Undecide(number) => world.with(|stores| stores.decide(&card(number, odd), None, false)),
            Deed::Mode(mode) => self.set_mode(mode, now_ms),
            Deed::Backup => world.with(|stores| {
                stores.backup = Some(Box::new(stores.tables.clone()));
                stores.known.backup_ms = now_ms;
            }),
            Deed::Restore(share_pct) => {
                world.with(|stores| stores.restore(share_pct));
                self.redrive_all(now_ms);
            }
            Deed::ChangeList {
                list,
                content,
                is_whole,
            } => world.with(|stores| stores.change_list(list, content, is_whole)),
            Deed::Import(file) => self.import(file),
            Deed::Redrive(source) => {
                let is_quarantine = source == Source::Quarantine;
                world.with(|stores| stores.known.quarantine_redriven |= is_quarantine);
                self.walker.ask(source, now_ms);
            }
        }
    }

    /// The functions know first, the mapping follows.
    fn set_mode(&mut self, mode: Mode, now_ms: i64) {
        self.world.with(|stores| stores.set_mode(mode));
        let polled = self.polls;
        self.polls = mode != Mode::Paused;
        let raises_age = !self.is_without(Ablation::PauseForgetsAge);
        self.world.with(|stores| {
            let pauses = &mut stores.known.pauses;
            match (polled, self.polls) {
                (true, false) => pauses.push((now_ms, i64::MAX)),
                (false, true) => {
                    if let Some(pause) = pauses.last_mut() {
                        pause.1 = now_ms;
                    }
                }
                _ => {}
            }
        });
        if !polled && self.polls && raises_age {
            // What waited through the pause is not to be given up for its age.
            self.esm.set_record_age_s_max(None);
        }
    }
}

impl Stores {
    pub(crate) fn changed(&mut self, item: ControlItem, revision: u64, action: &str, detail: String) {
        self.control.changes.push(Change {
            item,
            revision,
            action: action.to_owned(),
            detail,
            stamp: stamp(self.now_ms),
        });
    }

    /// Changes the pointer, where the change can be made.
    fn point(&mut self, action: &str, change: impl FnOnce(Option<&ActivePointer>) -> Option<ActivePointer>) {
        let before = self.control.pointer.as_ref().map_or(0, |pointer| pointer.active);
        let Some(pointer) = change(self.control.pointer.as_ref()) else {
            return;
        };
        let detail = format!("{before} -> {}", pointer.active);
        self.changed(ControlItem::Active, pointer.revision, action, detail);
        self.control.activations.push((self.now_ms, pointer.active));
        self.control.pointer = Some(pointer);
    }

    fn set_mode(&mut self, mode: Mode) {
        let before = self.control.mode.as_ref();
        let revision = before.map_or(0, |setting| setting.revision) + 1;
        let from = before.map_or(Mode::Live, |setting| setting.mode);
        let detail = format!("{} -> {}", from.as_str(), mode.as_str());
        self.changed(ControlItem::Mode, revision, mode.as_str(), detail);
        let stamp = stamp(self.now_ms);
        self.control.mode = Some(ModeSetting {
            revision,
            mode,
            record_age_s: None,
            stamp,
        });
    }

    /// Sets an override until a time, or clears it. `prunes` is an ablation: ended ones go, though records that arrived before
    /// their end wait.
    fn decide(&mut self, card: &str, decided: Option<(OverrideAction, i64)>, prunes: bool) {
        let Some(card_id) = tidemark_domain::id::CardId::new(card) else {
            return;
        };
        let now_ms = self.now_ms;
        let new = decided.map(|(action, until_ms)| Override {
            card_id: card_id.clone(),
            action,
            until_ms,
            stamp: stamp(now_ms),
        });
        let before = self
            .control
            .overrides
            .take()
            .map_or_else(Overrides::default, |(overrides, _)| overrides);
        let mut after = before.changed(&card_id, new, now_ms);
        if prunes {
            after = after.with_ended(Vec::new());
        }
        for old in self.known.decided.iter_mut().filter(|old| old.card_id == card) {
            old.ended.get_or_insert(after.revision);
        }
        if let Some((action, until_ms)) = decided {
            self.known.decided.push(Decided {
                card_id: card.to_owned(),
                action,
                revision: after.revision,
                since_ms: now_ms,
                until_ms,
                ended: None,
            });
        }
        self.changed(ControlItem::Overrides, after.revision, "override", String::new());
        self.control.overrides = Some((after, stamp(now_ms)));
    }

    /// An ablation: the version has another text from now on.
    fn publish_again(&mut self, version: u32) {
        if let Some(policy) = self.control.policies.get_mut(&version) {
            policy.text = policy.text.replace("count_1h = ", "count_1h = 1");
        }
    }

    /// Puts the items of a part of the cards back as the backup has them; all of them: the whole table.
    fn restore(&mut self, share_pct: u8) {
        let Some(backup) = self.backup.clone() else { return };
        let is_table = share_pct >= 100;
        self.known.restored_ms = Some(self.now_ms);
        let is_chosen = |card: &str| xxhash_rust::xxh3::xxh3_64(card.as_bytes()) % 100 < u64::from(share_pct);
        let chosen: Vec<String> = self
            .tables
            .lives
            .keys()
            .filter(|card| is_chosen(card))
            .cloned()
            .collect();
        for card in &chosen {
            // What was never there can't be restored alone.
            if !is_table && !backup.states.contains_key(card) {
                continue;
            }
            self.known.restored.insert(card.clone());
            let after = backup.lives.get(card).cloned().unwrap_or_default();
            let lost = lost_by(&self.tables, &after, card);
            self.known.rolled_back.entry(card.clone()).or_default().extend(lost);
            if let Some(state) = backup.states.get(card) {
                self.tables.states.insert(card.clone(), state.clone());
                self.tables.lives.insert(card.clone(), after);
            }
        }
        if is_table {
            self.known.table_restored_ms = Some(self.now_ms);
            self.tables = *backup;
        }
    }
}

/// The events that a card had accepted and has not any more.
fn lost_by(tables: &Tables, after: &[crate::world::known::Life], card: &str) -> Vec<(i64, u32)> {
    let key = |accepted: &crate::world::known::Accepted| (accepted.entry.time_ms, accepted.entry.event_fp);
    let kept: std::collections::BTreeSet<_> = after.iter().flat_map(|life| life.accepted.iter().map(key)).collect();
    let before = tables.lives.get(card).into_iter().flatten();
    before
        .flat_map(|life| life.accepted.iter().map(key))
        .filter(|key| !kept.contains(key))
        .collect()
}
