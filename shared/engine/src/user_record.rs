//! User records: what a batch is counted in. A record that a KPL producer aggregated holds many, any other record is one. Pure.

use tidemark_domain::contract::aggregate;
use tidemark_domain::refusal::Refusal;

use crate::config::{BATCH_RECORDS_MAX, BATCH_USER_RECORDS_MAX};
use crate::record::InRecord;

/// What one producer put once: the unit that is accepted or refused, in the order of the stream and, within an aggregate, of
/// the aggregate.
#[derive(Clone, Copy, Debug)]
pub struct UserRecord<'a> {
    /// Index of the record of the batch that it came in.
    pub record: usize,
    /// Its place in the aggregate, from 0, as Amazon's consumer library counts; `None`: the record is no aggregate, or is
    /// refused as one.
    pub sub_sequence_number: Option<u32>,
    /// Its own partition key.
    pub partition_key: &'a str,
    /// Its payload.
    pub data: &'a [u8],
}

impl<'a> UserRecord<'a> {
    /// A whole record of the batch, which may be a user record that was taken out of an aggregate before.
    fn whole(record: usize, input: &InRecord<'a>) -> Self {
        Self {
            record,
            sub_sequence_number: input.of_aggregate.map(|place| place.sub_sequence_number),
            partition_key: input
                .of_aggregate
                .map_or(input.partition_key, |place| place.partition_key),
            data: input.data,
        }
    }
}

/// A user record that is refused.
#[derive(Debug)]
pub struct Refused {
    /// Index among the batch's user records.
    pub record: usize,
    /// The code, and a sentence about it.
    pub refusal: Refusal,
}

/// A batch taken apart.
#[derive(Debug, Default)]
pub struct UserRecords<'a> {
    /// The records that they came in.
    pub batch: &'a [InRecord<'a>],
    /// Every user record, in order. A record that is not taken apart, for whatever reason, stands for itself.
    pub all: Vec<UserRecord<'a>>,
    /// How many of them each record of the batch has, in its order; at least one.
    pub per_record: Vec<u32>,
    /// Aggregates that are refused whole, by their place in `all`, ascending.
    pub refused: Vec<Refused>,
    /// So many of `all` are looked at; the rest is beyond a limit and comes again.
    pub looked_at: usize,
}

/// Takes a batch apart. Records beyond [`BATCH_RECORDS_MAX`] stay whole and are left out. So do the records from the first one
/// on that would exceed [`BATCH_USER_RECORDS_MAX`] user records: an aggregate is never cut in two.
#[must_use]
pub fn take_apart<'a>(batch: &'a [InRecord<'a>]) -> UserRecords<'a> {
    let mut records = UserRecords {
        batch,
        all: Vec::with_capacity(batch.len()),
        per_record: Vec::with_capacity(batch.len()),
        ..UserRecords::default()
    };
    let mut within = true;
    for (record, input) in batch.iter().enumerate() {
        within &= record < BATCH_RECORDS_MAX;
        if !(within && records.push(record, input)) {
            within = false;
            records.push_whole(record, input);
        }
        if within {
            records.looked_at = records.all.len();
        }
    }
    records
}

impl<'a> UserRecords<'a> {
    /// A batch that is left as it is: every record stands for itself, none is looked at.
    pub(crate) fn untouched(batch: &'a [InRecord<'a>]) -> Self {
        let mut records = Self {
            batch,
            ..Self::default()
        };
        for (record, input) in batch.iter().enumerate() {
            records.push_whole(record, input);
        }
        records
    }

    /// Takes a record apart; whether there was room for it.
    fn push(&mut self, record: usize, input: &InRecord<'a>) -> bool {
        let room = BATCH_USER_RECORDS_MAX - self.all.len();
        if room == 0 {
            return false;
        }
        if input.of_aggregate.is_some() {
            // What a user record holds is an event or nothing, on every path: an aggregate within one is refused.
            self.push_whole(record, input);
            return true;
        }
        match aggregate::take_apart(input.data) {
            Ok(None) => self.push_whole(record, input),
            Ok(Some(parts)) if parts.len() > room => return false,
            Ok(Some(parts)) => {
                self.per_record.push(u32::try_from(parts.len()).unwrap_or(u32::MAX));
                self.all.extend(parts.iter().zip(0..).map(|(part, at)| UserRecord {
                    record,
                    sub_sequence_number: Some(at),
                    partition_key: part.partition_key,
                    data: part.data,
                }));
            }
            Err(refusal) => {
                let at = self.all.len();
                self.push_whole(record, input);
                self.refused.push(Refused { record: at, refusal });
            }
        }
        true
    }

    /// The record that a user record came in, given the index of the latter.
    pub(crate) fn input(&self, user_record: usize) -> &InRecord<'a> {
        &self.batch[self.all[user_record].record]
    }

    /// The first user record of a record of the batch, given one of them.
    pub(crate) fn first_of(&self, record: usize, one: usize) -> usize {
        let before = self.all[..one].iter().rev();
        one - before.take_while(|user| user.record == record).count()
    }

    fn push_whole(&mut self, record: usize, input: &InRecord<'a>) {
        self.per_record.push(1);
        self.all.push(UserRecord::whole(record, input));
    }
}
