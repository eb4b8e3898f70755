//! The stream and the mapping: what producers put, what the mapping is given, what it wants done, what it gives up.

use std::sync::Arc;

use localcloud::esm::{Action, EsmRecord};
use serde_json::Value;
use tidemark_domain::invariant::Invariant;

use super::{Ablation, Piece, READ_RECORDS, REDRIVE_RECORDS, Run};
use crate::draws::Draw;

impl Run {
    pub(super) fn readable_ms(&self, now_ms: i64) -> Option<i64> {
        self.world.with(|stores| {
            let unread = |id: &&str| {
                let shard = stores.stream.shard(id);
                shard.is_some_and(|shard| shard.read_to < shard.records.len() || shard.is_closed())
            };
            let after_ms = |id: &str| self.read_after_ms.get(id).copied().unwrap_or(0).max(now_ms + 1);
            self.esm.readable().filter(unread).map(after_ms).min()
        })
    }

    pub(super) fn produce(&mut self, now_ms: i64) {
        let world = self.world.clone();
        while let Some(sent) = self.sent.get(self.next_sent).filter(|sent| sent.at_ms <= now_ms) {
            let is_due = self.reshards.front().is_some_and(|(at, _)| *at <= self.next_sent);
            let reshard = if is_due { self.reshards.pop_front() } else { None };
            self.counts.reshards += u64::from(reshard.is_some());
            world.with(|stores| {
                match reshard {
                    Some((at, true)) => stores.stream.split(at),
                    Some((at, false)) => stores.stream.merge(at),
                    None => {}
                }
                stores.stream.put(self.next_sent, &sent.key, &sent.data, now_ms);
            });
            self.next_sent += 1;
        }
        world.with(|stores| {
            for shard in &stores.stream.shards {
                if !self.esm.knows(&shard.id) {
                    self.esm.add_shard(&shard.id, &shard.parents);
                }
            }
        });
    }

    pub(super) fn read(&mut self, now_ms: i64) {
        let readable: Vec<String> = self.esm.readable().map(str::to_owned).collect();
        let world = self.world.clone();
        for id in readable {
            if self.read_after_ms.get(&id).is_some_and(|after_ms| *after_ms > now_ms) {
                continue;
            }
            world.with(|stores| {
                let kept_from_ms = stores.stream.kept_from_ms(now_ms);
                let has_news = stores
                    .stream
                    .shard(&id)
                    .is_some_and(|shard| shard.read_to < shard.records.len());
                if has_news && !stores.may_read(&id) {
                    self.read_after_ms.insert(id.clone(), (now_ms / 1_000 + 1) * 1_000);
                    return;
                }
                let Some(shard) = stores.stream.shards.iter_mut().find(|shard| shard.id == id) else {
                    return;
                };
                // What is past retention is gone, read or not.
                let from = shard.read_to.max(shard.oldest(kept_from_ms));
                let until = shard.records.len().min(from + READ_RECORDS);
                let records: Vec<EsmRecord> = shard.records[from..until]
                    .iter()
                    .map(|(_, record)| (**record).clone())
                    .collect();
                shard.read_to = until;
                let finished = shard.is_closed() && until == shard.records.len();
                if !records.is_empty() {
                    self.esm.accept(&id, records, now_ms);
                }
                if finished {
                    self.esm.close_shard(&id);
                }
            });
        }
    }

    pub(super) fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Invoke {
                    batch_id,
                    shard,
                    records,
                } => {
                    self.counts.invocations += 1;
                    self.invoke_batch(batch_id, &shard, &records);
                }
                Action::SendOnFailure { batch_id, message, .. } => {
                    self.counts.dead_letters += 1;
                    self.dead_letter(message);
                    self.esm.sent(batch_id);
                }
            }
        }
    }

    /// A batch that was given up: into the queue where the redrive function works, or at once into pieces that are redriven
    /// by their records.
    fn dead_letter(&mut self, message: String) {
        self.world.note(format_args!("dead letter {message}"));
        let value: Value = serde_json::from_str(&message).unwrap_or_default();
        let info = &value["KinesisBatchInfo"];
        let text = |field: &str| info[field].as_str().unwrap_or_default().to_owned();
        let (shard_id, start, end) = (text("shardId"), text("startSequenceNumber"), text("endSequenceNumber"));
        let range: Vec<(usize, Arc<EsmRecord>)> = self.world.with(|stores| {
            let shard = stores.stream.shard(&shard_id);
            let records = shard.map(|shard| {
                let after = shard.at(&end) + 1;
                shard.records[shard.at(&start)..after.min(shard.records.len())].to_vec()
            });
            let range = records.unwrap_or_default();
            let is_age = value["requestContext"]["condition"] == "RecordAgeExceeded";
            let waited = |at_ms: i64| {
                stores
                    .known
                    .pauses
                    .iter()
                    .any(|(from, to)| (*from..*to).contains(&at_ms))
            };
            let of_pause = range.iter().find(|(_, record)| waited(record.arrival_ms));
            if let Some((_, record)) = of_pause.filter(|_| is_age) {
                let words = format!(
                    "record {} of {shard_id} waited through a pause, and was given up for its age",
                    record.sequence_number
                );
                stores.known.broken.push((Invariant::CardOrder, words));
            }
            range
        });
        self.dead.extend(range.iter().map(|(place, _)| *place));
        if self.draws.has(Draw::Walk) {
            self.world.with(|stores| {
                let now_ms = stores.now_ms;
                stores.dead_letter.send(message, now_ms);
            });
            return;
        }
        let records: Vec<Arc<EsmRecord>> = range.into_iter().map(|(_, record)| record).collect();
        for piece in records.chunks(REDRIVE_RECORDS) {
            self.pieces.push_back(Piece {
                shard: shard_id.clone(),
                records: piece.to_vec(),
            });
        }
    }

    /// One piece of a redrive at a time, beside the live traffic. While the mode is `paused` nothing is redriven.
    pub(super) fn redrive(&mut self) {
        if self.pieces.is_empty() || !self.polls || self.running.values().any(super::Invocation::is_piece) {
            return;
        }
        if let Some(piece) = self.pieces.pop_front() {
            self.invoke_piece(piece);
        }
    }

    /// Whether an ablation is on.
    pub(super) fn is_without(&self, ablation: Ablation) -> bool {
        self.options.ablation == ablation
    }
}
