//! [`StateStore`] on DynamoDB.
//!
//! An item whose time to live is past may still be there: DynamoDB deletes within days. A state that is there is used all
//! the same, because it is the truth about its card, and because a conditional write must name the version that is
//! there; what it holds beyond the policy's retention is dropped by the next event that is folded into it. A decision is
//! written once per event for as long as its item lives.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConsumedCapacity, KeysAndAttributes, PutRequest, ReturnConsumedCapacity, WriteRequest,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use tidemark_domain::control::trial::{TrialBatch, TrialKey};
use tidemark_domain::event::Profile;
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::id::CardId;
use tidemark_engine::port::{
    Answers, Commit, DecisionItem, Freshness, KeyId, KeyWrite, Metered, PortError, PutOnce, SegmentItem, StateItem,
    StateStore, StateVersion, StateWrite, Units,
};

use crate::chunk;
use crate::condition::{Condition, Written};
use crate::error::classify;
use crate::item::{self, Item, Row};
use crate::limits;
use crate::write::{self, Writes};

/// States, profiles and decisions in one table.
#[derive(Clone, Debug)]
pub struct DynamoStore {
    client: Client,
    table: String,
    writes: Writes,
}

impl DynamoStore {
    /// A store on `table`, whose conditional writes are statements.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
            writes: Writes::default(),
        }
    }

    /// The same, with conditional writes of this kind.
    #[must_use]
    pub fn with_writes(mut self, writes: Writes) -> Self {
        self.writes = writes;
        self
    }

    /// Reads the items of `cards` under one sort key: item by position, absent ones left out.
    async fn load(&self, cards: &[CardId], sort: &str) -> Result<Metered<HashMap<String, Item>>, PortError> {
        self.load_partitions(cards.iter().map(item::partition_key).collect(), sort)
            .await
    }

    /// Reads the items of partitions under one sort key, by partition; absent ones are left out.
    async fn load_partitions(
        &self,
        mut partitions: Vec<String>,
        sort: &str,
    ) -> Result<Metered<HashMap<String, Item>>, PortError> {
        // A key may not be asked for twice in one call.
        partitions.sort_unstable();
        partitions.dedup();
        let calls = partitions.chunks(limits::LOAD_KEYS_MAX).map(|chunk| {
            let keys = chunk.iter().map(|partition| item::key_of(partition, sort));
            self.load_chunk(keys.collect(), false)
        });
        let answers: Vec<Metered<Vec<Item>>> = stream::iter(calls.collect::<Vec<_>>())
            .buffer_unordered(limits::LOADS_IN_FLIGHT_MAX)
            .try_collect()
            .await?;
        let mut units = Units::default();
        let mut items = HashMap::with_capacity(partitions.len());
        for answer in answers {
            units += answer.units;
            for mut found in answer.value {
                if let Some(AttributeValue::S(partition)) = found.remove(item::PARTITION_KEY) {
                    items.insert(partition, found);
                }
            }
        }
        Ok(Metered { value: items, units })
    }

    /// One BatchGetItem of up to [`limits::LOAD_KEYS_MAX`] keys, and further ones for what it left unprocessed.
    async fn load_chunk(&self, mut pending: Vec<Item>, consistent: bool) -> Result<Metered<Vec<Item>>, PortError> {
        let mut found = Vec::with_capacity(pending.len());
        let mut units = Units::default();
        for _ in 0..limits::LOAD_ROUNDS_MAX {
            let asked = pending.len();
            let request = KeysAndAttributes::builder()
                .set_keys(Some(pending))
                .consistent_read(consistent)
                .build();
            let request = request.map_err(|_| PortError::Permanent("BatchGetItem: no keys".to_owned()))?;
            let answer = self
                .client
                .batch_get_item()
                .request_items(&self.table, request)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|error| classify("BatchGetItem", &error))?;
            units.read += answer
                .consumed_capacity()
                .iter()
                .filter_map(ConsumedCapacity::capacity_units)
                .sum::<f64>();
            found.extend(answer.responses.into_iter().flatten().flat_map(|(_, items)| items));
            pending = answer
                .unprocessed_keys
                .into_iter()
                .flatten()
                .flat_map(|(_, rest)| rest.keys)
                .collect();
            if pending.is_empty() {
                return Ok(Metered { value: found, units });
            }
            if pending.len() == asked {
                break; // no progress: the table is busy, and when to come back is the engine's to say
            }
        }
        Err(PortError::Throttled("BatchGetItem: keys left unprocessed".to_owned()))
    }

    /// One BatchWriteItem of up to [`limits::WRITE_ITEMS_MAX`] puts, and further ones for what it left unprocessed.
    async fn put_chunk(&self, items: Vec<Item>) -> Result<Units, PortError> {
        let put = |item: Item| -> Result<WriteRequest, PortError> {
            let put = PutRequest::builder().set_item(Some(item)).build();
            let put = put.map_err(|_| PortError::Permanent("BatchWriteItem: no item".to_owned()))?;
            Ok(WriteRequest::builder().put_request(put).build())
        };
        let mut pending: Vec<WriteRequest> = items.into_iter().map(put).collect::<Result<_, _>>()?;
        let mut units = Units::default();
        for _ in 0..limits::LOAD_ROUNDS_MAX {
            let asked = pending.len();
            let answer = self
                .client
                .batch_write_item()
                .request_items(&self.table, pending)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|error| classify("BatchWriteItem", &error))?;
            units.write += answer
                .consumed_capacity()
                .iter()
                .filter_map(ConsumedCapacity::capacity_units)
                .sum::<f64>();
            pending = answer
                .unprocessed_items
                .into_iter()
                .flatten()
                .flat_map(|(_, rest)| rest)
                .collect();
            if pending.is_empty() {
                return Ok(units);
            }
            if pending.len() == asked {
                break; // no progress, as above
            }
        }
        Err(PortError::Throttled(
            "BatchWriteItem: items left unprocessed".to_owned(),
        ))
    }

    /// Writes rows, each under its condition, in one call or one by one.
    async fn write_all(&self, rows: Vec<(Row, Condition)>) -> Answers<Written> {
        match self.writes {
            Writes::Statements => write::by_statements(&self.client, &self.table, rows).await,
            Writes::Items => write::by_items(&self.client, &self.table, rows).await,
        }
    }

    /// Writes rows with a version, each on the version that was read.
    async fn commit_rows(&self, rows: Vec<(Row, Option<StateVersion>)>) -> Answers<Commit> {
        let rows = rows.into_iter().map(|(row, expected)| {
            let condition = expected.map_or(Condition::Absent, Condition::AsRead);
            (row, condition)
        });
        let commit = |written| {
            Ok(match written {
                Written::Now => Commit::Written,
                Written::Refused(winner) => Commit::Conflict(winner.map(item::read_state).transpose()?),
            })
        };
        let answers = self.write_all(rows.collect()).await?;
        let value = answers.value.into_iter().map(|answer| answer.and_then(commit));
        Ok(Metered {
            value: value.collect(),
            units: answers.units,
        })
    }
}

impl StateStore for DynamoStore {
    async fn load_states(&self, cards: &[CardId]) -> Result<Metered<Vec<Option<StateItem>>>, PortError> {
        let Metered {
            value: mut items,
            units,
        } = self.load(cards, item::STATE).await?;
        let mut states: Vec<Option<StateItem>> = Vec::with_capacity(cards.len());
        let mut first_at: HashMap<&CardId, usize> = HashMap::with_capacity(cards.len());
        for card in cards {
            let state = match first_at.get(card) {
                Some(at) => states[*at].clone(),
                None => items.remove(&item::partition_key(card)).map(item::read_one_state),
            };
            first_at.entry(card).or_insert(states.len());
            states.push(state);
        }
        Ok(Metered { value: states, units })
    }

    async fn load_profiles(&self, cards: &[CardId]) -> Result<Metered<Vec<Option<Profile>>>, PortError> {
        let Metered { value: items, units } = self.load(cards, item::PROFILE).await?;
        let profiles = cards.iter().map(|card| {
            items
                .get(&item::partition_key(card))
                .map(|found| item::read_profile(card, found))
                .transpose()
        });
        Ok(Metered {
            value: profiles.collect::<Result<_, _>>()?,
            units,
        })
    }

    async fn load_segments(
        &self,
        segments: &[(CardId, SegmentKey)],
        freshness: Freshness,
    ) -> Result<Metered<Vec<Option<Vec<u8>>>>, PortError> {
        // A key may not be asked for twice in one call.
        let mut asked: Vec<&(CardId, SegmentKey)> = segments.iter().collect();
        asked.sort_unstable();
        asked.dedup();
        let items = asked
            .iter()
            .map(|(card, key)| item::key(card, &item::segment_key(*key)));
        let is_strong = freshness == Freshness::Strong;
        let Metered { value: found, units } = self.load_chunk(items.collect(), is_strong).await?;
        let mut read: HashMap<(String, String), Vec<u8>> = HashMap::with_capacity(found.len());
        for item in found {
            let (place, bytes) = item::read_segment(item)?;
            read.insert(place, bytes);
        }
        let found = segments.iter().map(|(card, key)| {
            let place = (item::partition_key(card), item::segment_key(*key));
            read.get(&place).cloned()
        });
        Ok(Metered {
            value: found.collect(),
            units,
        })
    }

    async fn put_segments(&self, segments: &[SegmentItem]) -> Result<Metered<()>, PortError> {
        let size = |segment: &SegmentItem| segment.bytes.len();
        let ranges = chunk::chunks(segments, limits::WRITE_ITEMS_MAX, limits::WRITE_BYTES_MAX, size);
        let calls = ranges
            .into_iter()
            .map(|range| self.put_chunk(segments[range].iter().map(item::segment_item).collect()));
        let answers: Vec<Units> = stream::iter(calls.collect::<Vec<_>>())
            .buffer_unordered(limits::LOADS_IN_FLIGHT_MAX)
            .try_collect()
            .await?;
        let mut units = Units::default();
        answers.into_iter().for_each(|answer| units += answer);
        Ok(Metered { value: (), units })
    }

    async fn load_state(&self, card: &CardId) -> Result<Metered<Option<StateItem>>, PortError> {
        let asked = vec![item::key(card, item::STATE)];
        let Metered { value: items, units } = self.load_chunk(asked, true).await?;
        let found = items.into_iter().next().map(item::read_one_state);
        Ok(Metered { value: found, units })
    }

    async fn commit(&self, writes: &[Arc<StateWrite>]) -> Answers<Commit> {
        let rows = writes.iter().map(|write| (item::state_row(write), write.expected));
        self.commit_rows(rows.collect()).await
    }

    async fn load_keys(&self, keys: &[KeyId]) -> Result<Metered<Vec<Option<StateItem>>>, PortError> {
        let partitions = keys.iter().map(|key| item::key_partition(*key)).collect();
        let Metered { value: items, units } = self.load_partitions(partitions, item::LABELLED).await?;
        let found = keys.iter().map(|key| {
            let found = items.get(&item::key_partition(*key)).cloned();
            found.map(item::read_one_state)
        });
        Ok(Metered {
            value: found.collect(),
            units,
        })
    }

    async fn load_key(&self, key: KeyId) -> Result<Metered<Option<StateItem>>, PortError> {
        let asked = vec![item::key_of(&item::key_partition(key), item::LABELLED)];
        let Metered { value: items, units } = self.load_chunk(asked, true).await?;
        let found = items.into_iter().next().map(item::read_one_state);
        Ok(Metered { value: found, units })
    }

    async fn commit_keys(&self, writes: &[Arc<KeyWrite>]) -> Answers<Commit> {
        let rows = writes.iter().map(|write| (item::labelled_row(write), write.expected));
        self.commit_rows(rows.collect()).await
    }

    async fn put_profile(&self, profile: &Profile) -> Result<Metered<PutOnce>, PortError> {
        // No statement writes what is absent or older: this one goes out by itself, whatever the setting.
        let (row, condition) = (item::profile_row(profile), Condition::OlderThan(profile.version));
        let written = write::put(&self.client, &self.table, row, condition).await?;
        Ok(Metered {
            value: put_once(&written.value),
            units: written.units,
        })
    }

    async fn put_trials(
        &self,
        key: &TrialKey,
        batch: &TrialBatch,
        expires_at_s: i64,
    ) -> Result<Metered<()>, PortError> {
        let item = item::trials_item(key, batch, expires_at_s)?;
        let request = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let answer = request
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| classify("PutItem", &error))?;
        let write = answer
            .consumed_capacity
            .and_then(|capacity| capacity.capacity_units)
            .unwrap_or_default();
        Ok(Metered {
            value: (),
            units: Units { write, read: 0.0 },
        })
    }

    async fn put_decisions(&self, decisions: &[Arc<DecisionItem>]) -> Answers<PutOnce> {
        let rows = decisions.iter().map(|decision| {
            let row = item::decision_row(decision)?;
            Ok((row, Condition::Absent))
        });
        let answers = self.write_all(rows.collect::<Result<_, PortError>>()?).await?;
        let value = answers
            .value
            .into_iter()
            .map(|answer| answer.as_ref().map(put_once).map_err(Clone::clone));
        Ok(Metered {
            value: value.collect(),
            units: answers.units,
        })
    }
}

fn put_once(written: &Written) -> PutOnce {
    match written {
        Written::Now => PutOnce::Written,
        Written::Refused(_) => PutOnce::Already,
    }
}
