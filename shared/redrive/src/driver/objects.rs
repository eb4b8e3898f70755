//! The bucket of letters with their payload: shard by shard, in the order in which the batches were given up. The stream goes first:
//! an object is got for what it names, and once more for its payload, where the stream no longer has its records.
//!
//! ```text
//! objects ── list, and sort by shard ──► a group of one shard ── get each: no letter ──► unrecoverable queue
//!    ▲                                        │
//!    │                 the shard is there ────┴──── the shard is gone
//!    │                          │                        │
//!    └──────────── shard: one walk (letters.rs)       the payload
//! ```

use std::collections::BTreeMap;

use tidemark_domain::lifetime::RECORD_MS_MAX;
use tidemark_engine::InRecord;
use tidemark_engine::port::Clock;
use tidemark_telemetry::ErrorCode;

use super::feed::Redriven;
use super::one_call::Call;
use super::redrive::Redrive;
use super::settle::leave;
use super::work::{Holder, Unpacked, Work};
use crate::api::{Problem, Tally};
use crate::letter::{Letter, Rejection, first_arrival_ms};
use crate::limits::{ASSEMBLY_BYTES_MAX, GROUP_OBJECTS_MAX, LISTED_OBJECTS_MAX};
use crate::object::{LetterKey, records, shown};
use crate::port::{Inbox, LetterBucket, ObjectInfo, Processor, Received, ShardReader, StreamRecord};

/// What an object is, once it was got.
pub(super) enum Got {
    Text(String),
    /// It is not there.
    Absent,
    /// Nothing that can be copied as it is, so it stays.
    Unreadable(Rejection),
    /// The call has stopped.
    Stopped,
}

impl<R: ShardReader, I: Inbox, P: Processor, C: Clock> Redrive<R, I, P, C> {
    pub(super) async fn objects(&self, call: &mut Call<'_>) {
        let Some(bucket) = self.bucket.as_deref() else {
            return;
        };
        let (mut order, mut after): (Option<Vec<String>>, Option<String>) = (None, None);
        while call.may_go_on(self.clock.now_ms()) && call.records_left() > 0 {
            let (listed, more) = self.list(call, bucket, &mut after, LISTED_OBJECTS_MAX).await;
            let mut new = listed;
            new.retain(|object| call.is_new(&object.key, object.written_ms));
            if !new.is_empty() && order.is_none() {
                order = self.shard_order(call).await;
            }
            for (place, objects) in by_shard(call, new, order.as_deref().unwrap_or_default()) {
                let shard_id = place.and_then(|at| order.as_ref()?.get(at));
                for group in objects.chunks(GROUP_OBJECTS_MAX) {
                    if !call.may_go_on(self.clock.now_ms()) || call.records_left() == 0 {
                        break;
                    }
                    self.group(call, bucket, shard_id.map(String::as_str), group).await;
                }
            }
            if !more {
                break;
            }
        }
        call.reached_records_max();
    }

    /// Up to so many objects, from behind `after` on, and whether there are more; `after` goes on with them.
    pub(super) async fn list(
        &self,
        call: &mut Call<'_>,
        bucket: &dyn LetterBucket,
        after: &mut Option<String>,
        objects_max: usize,
    ) -> (Vec<ObjectInfo>, bool) {
        let mut listed = Vec::new();
        while listed.len() < objects_max && call.may_go_on(self.clock.now_ms()) {
            let until_ms = call.stop_at_ms;
            let attempt = || bucket.list(after.as_deref());
            let page = match self.repeat(call, until_ms, attempt).await {
                Ok(page) => page,
                Err(error) => {
                    Self::interrupt(call, &error);
                    return (listed, false);
                }
            };
            let Some(last) = page.objects.last() else {
                return (listed, false);
            };
            *after = Some(last.key.clone());
            listed.extend(page.objects);
            if !page.more {
                return (listed, false);
            }
        }
        (listed, true)
    }

    /// Objects of one shard; `None`: the stream no longer has it.
    async fn group(
        &self,
        call: &mut Call<'_>,
        bucket: &dyn LetterBucket,
        shard_id: Option<&str>,
        group: &[ObjectInfo],
    ) {
        let mut works = Vec::new();
        for object in group {
            works.extend(self.open(call, bucket, object).await);
        }
        let Some(shard_id) = shard_id else {
            works.sort_by(|a, b| by_start(&a.letter, &b.letter));
            for work in &mut works {
                if call.may_go_on(self.clock.now_ms()) {
                    self.gone(call, work).await;
                }
                if work.is_unsettled() {
                    leave(call, work, true);
                }
            }
            return;
        };
        self.shard(call, shard_id, works).await;
    }

    /// The letter that an object holds. What is none is moved out.
    async fn open(&self, call: &mut Call<'_>, bucket: &dyn LetterBucket, object: &ObjectInfo) -> Option<Work> {
        if !call.may_go_on(self.clock.now_ms()) {
            return None;
        }
        let text = match self.get(call, bucket, &object.key, object.bytes).await {
            Got::Text(text) => text,
            Got::Absent | Got::Stopped => return None,
            Got::Unreadable(why) => {
                let mark = call.mark();
                call.account.messages += 1;
                let detail = format!("stays in the bucket, for no queue could hold its copy: {}", why.detail);
                call.problem(Problem::new(why.code, Some(&shown(&object.key)), detail));
                call.see(&object.key);
                call.stayed(mark, Tally::default());
                return None;
            }
        };
        call.waits(first_arrival_ms(&text).unwrap_or(object.written_ms));
        let letter = letter_of(&object.key, &text, |text| Letter::parse(text, &self.home));
        let message = |body: String| Received {
            id: object.key.clone(),
            receipt: String::new(),
            body,
            sent_ms: object.written_ms,
        };
        match letter {
            Ok(letter) if !call.request.reasons.is_empty() && !call.request.reasons.contains(&letter.condition) => {
                call.see(&object.key);
                None
            }
            Ok(letter) => {
                let part = call.take_part(&object.key);
                // Without its text: a group of them would not fit into memory.
                Some(Work::new(message(String::new()), Holder::Bucket, letter, part))
            }
            Err(why) => {
                self.reject(call, Holder::Bucket, &message(text), &why).await;
                None
            }
        }
    }

    pub(super) async fn get(&self, call: &mut Call<'_>, bucket: &dyn LetterBucket, key: &str, bytes: u64) -> Got {
        if bytes > ASSEMBLY_BYTES_MAX as u64 {
            let detail = format!("it has {bytes} bytes, and {ASSEMBLY_BYTES_MAX} are read");
            return Got::Unreadable(Rejection::new(ErrorCode::LetterPayloadUnusable, detail));
        }
        let until_ms = call.stop_at_ms;
        match self.repeat(call, until_ms, || bucket.get(key)).await {
            Ok(Some(bytes)) => match String::from_utf8(bytes) {
                Ok(text) => Got::Text(text),
                Err(_) => Got::Unreadable(Rejection::new(ErrorCode::LetterNotJson, "not text in UTF-8")),
            },
            Ok(None) => Got::Absent,
            Err(error) => {
                Self::interrupt(call, &error);
                Got::Stopped
            }
        }
    }

    /// Takes those records of an object to their end that have none yet, out of its payload.
    pub(super) async fn unpack(&self, call: &mut Call<'_>, work: &mut Work) -> Unpacked {
        let Some(bucket) = self.bucket.as_deref().filter(|_| !call.is_stopped()) else {
            return Unpacked::Cut;
        };
        let text = match self.get(call, bucket, &work.message.id, 0).await {
            Got::Text(text) => text,
            Got::Absent => return Unpacked::Absent,
            Got::Unreadable(why) => return Unpacked::Unusable(why),
            Got::Stopped => return Unpacked::Cut,
        };
        let batch = match records(&text, &work.letter).and_then(|batch| in_time(batch, self.clock.now_ms())) {
            Ok(batch) => batch,
            Err(why) => {
                work.message.body = text;
                return Unpacked::Unusable(why);
            }
        };
        drop(text);
        let open: Vec<InRecord<'_>> = batch
            .iter()
            .filter(|record| !work.has(&record.sequence_number))
            .map(|record| record.of_shard(&work.letter.stream_arn, &work.letter.shard_id))
            .collect();
        let fed = self.feed(call, &open).await;
        let numbers: Vec<&str> = open.iter().map(|record| record.sequence_number).collect();
        let is_cut = fed.iter().any(|fed| fed.fate == Redriven::NotYet);
        let fates: Vec<(String, _)> = numbers.into_iter().map(str::to_owned).zip(fed).collect();
        drop(open);
        for (number, fed) in fates {
            work.note_unpacked(&number, fed.fate, fed.tally);
        }
        match (is_cut, work.failed > 0) {
            (true, _) => Unpacked::Cut,
            (false, true) => Unpacked::Failed,
            (false, false) => Unpacked::Ended,
        }
    }

    /// Whether the text of a letter is at hand, which its copy has to hold. That of an object is got once more.
    pub(super) async fn has_text(&self, call: &mut Call<'_>, work: &mut Work) -> bool {
        if work.holder == Holder::Queue || !work.message.body.is_empty() {
            return true;
        }
        let Some(bucket) = self.bucket.as_deref() else {
            return false;
        };
        if let Got::Text(text) = self.get(call, bucket, &work.message.id, 0).await {
            work.message.body = text;
        }
        if work.message.body.is_empty() {
            let detail = "stays in the bucket, for its text could not be had";
            call.problem(Problem::new(
                ErrorCode::RedriveInterrupted,
                Some(&work.message.id),
                detail,
            ));
            work.stay(call);
        }
        !work.message.body.is_empty()
    }

    /// Deletes objects; one that can't be deleted comes again, and is found done.
    pub(super) async fn delete_objects(&self, call: &mut Call<'_>, keys: Vec<String>) {
        let Some(bucket) = self.bucket.as_deref() else {
            return;
        };
        let until_ms = call.engine_deadline_ms;
        for (at, key) in keys.iter().enumerate() {
            if self.is_too_late(call) {
                let detail = format!("{} objects could not be deleted: they come again", keys.len() - at);
                call.problem(Problem::new(ErrorCode::RedriveInterrupted, None, detail));
                return;
            }
            if let Err(error) = self.repeat(call, until_ms, || bucket.delete(key)).await {
                Self::interrupt(call, &error);
                return;
            }
        }
    }
}

/// A record may be judged for so long after its arrival, and no longer: what knows that it was counted may be gone then (I2).
fn in_time(batch: Vec<StreamRecord>, now_ms: i64) -> Result<Vec<StreamRecord>, Rejection> {
    let is_late = |record: &StreamRecord| record.arrival_ms.saturating_add(RECORD_MS_MAX) < now_ms;
    if batch.iter().any(is_late) {
        let days = RECORD_MS_MAX / (24 * 3_600_000);
        let detail = format!("payload: a record arrived more than {days} days ago");
        return Err(Rejection::new(ErrorCode::LetterPayloadUnusable, detail));
    }
    Ok(batch)
}

/// The letter of an object: its name is one that Lambda gives, and its shard the one that the name says.
fn letter_of(key: &str, text: &str, parse: impl Fn(&str) -> Result<Letter, Rejection>) -> Result<Letter, Rejection> {
    let misshapen = |detail: &str| Rejection::new(ErrorCode::LetterMisshapen, detail);
    let Some(name) = LetterKey::parse(key) else {
        return Err(misshapen("the object's name is none that Lambda gives"));
    };
    let letter = parse(text)?;
    if letter.shard_id != name.shard_id {
        return Err(misshapen(
            "KinesisBatchInfo.shardId: another shard than the object's name says",
        ));
    }
    Ok(letter)
}

fn by_start(a: &Letter, b: &Letter) -> std::cmp::Ordering {
    let by_number = tidemark_engine::record::compare_sequence_numbers(&a.start, &b.start);
    a.shard_id.cmp(&b.shard_id).then(by_number)
}

/// Objects by the place of their shard in the order, those of a shard as they were given up. First those whose shard is gone (`None`),
/// since it is older than all that are there, and those whose name says nothing. Of runs side by side each takes shards of its own.
fn by_shard(call: &Call<'_>, objects: Vec<ObjectInfo>, order: &[String]) -> BTreeMap<Option<usize>, Vec<ObjectInfo>> {
    let places: BTreeMap<&str, usize> = order.iter().enumerate().map(|(at, id)| (id.as_str(), at)).collect();
    let mut sorted: BTreeMap<Option<usize>, Vec<ObjectInfo>> = BTreeMap::new();
    for object in objects {
        let place = LetterKey::parse(&object.key).and_then(|name| places.get(name.shard_id).copied());
        if call.takes_place(place.unwrap_or_default()) {
            sorted.entry(place).or_default().push(object);
        }
    }
    for objects in sorted.values_mut() {
        objects.sort_by(|a, b| sorting(&a.key).cmp(&sorting(&b.key)));
    }
    sorted
}

/// By the shard (of those that are gone there may be several), then by the second.
fn sorting(key: &str) -> (Option<LetterKey<'_>>, &str) {
    (LetterKey::parse(key), key)
}
