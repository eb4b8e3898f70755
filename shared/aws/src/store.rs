//! [`StateStore`] on DynamoDB.
//!
//! An item whose time to live is past may still be there: DynamoDB deletes within days. A state that is there is used all
//! the same, because it is the truth about its card, and because a conditional write must name the version that is
//! there; what it holds beyond the policy's retention is dropped by the next event that is folded into it. A decision is
//! written once per event for as long as its item lives.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConsumedCapacity, KeysAndAttributes, PutRequest, ReturnConsumedCapacity,
    ReturnValuesOnConditionCheckFailure, WriteRequest,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use tidemark_domain::control::trial::{TrialBatch, TrialKey};
use tidemark_domain::event::Profile;
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::id::CardId;
use tidemark_engine::port::{
    Commit, DecisionItem, KeyId, KeyWrite, Metered, PortError, PutOnce, SegmentItem, StateItem, StateStore,
    StateVersion, StateWrite, Units,
};

use crate::chunk;
use crate::error::classify;
use crate::item::{self, Item};
use crate::limits;

/// States, profiles and decisions in one table.
#[derive(Clone, Debug)]
pub struct DynamoStore {
    client: Client,
    table: String,
}

/// What became of a conditional put.
enum Put {
    Written(Units),
    Refused { winner: Option<Item>, units: Units },
}

impl DynamoStore {
    /// A store on `table`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
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

    /// Puts an item under a condition; a failed one hands back the item that won.
    async fn put(&self, item: Item, condition: Condition) -> Result<Put, PortError> {
        let own_bytes = item::size_bytes(&item);
        let request = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let request = condition
            .on(request)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match request.send().await {
            Ok(answer) => {
                let write = answer
                    .consumed_capacity
                    .and_then(|capacity| capacity.capacity_units)
                    .unwrap_or_default();
                Ok(Put::Written(Units { write, read: 0.0 }))
            }
            Err(SdkError::ServiceError(service)) if service.err().is_conditional_check_failed_exception() => {
                let PutItemError::ConditionalCheckFailedException(failed) = service.into_err() else {
                    return Err(PortError::Permanent("PutItem: condition failed".to_owned()));
                };
                let winner_bytes = failed.item().map(item::size_bytes).unwrap_or_default();
                let units = Units {
                    write: failed_write_units(own_bytes, winner_bytes),
                    read: 0.0,
                };
                Ok(Put::Refused {
                    winner: failed.item,
                    units,
                })
            }
            Err(error) => Err(classify("PutItem", &error)),
        }
    }

    /// Puts an item with a version, on the version that was read.
    async fn commit_versioned(&self, item: Item, expected: Option<StateVersion>) -> Result<Metered<Commit>, PortError> {
        let condition = expected.map_or(Condition::Absent, Condition::AsRead);
        Ok(match self.put(item, condition).await? {
            Put::Written(units) => Metered {
                value: Commit::Written,
                units,
            },
            Put::Refused { winner, units } => {
                let winner = winner.filter(|item| !item.is_empty());
                Metered {
                    value: Commit::Conflict(winner.map(item::read_state).transpose()?),
                    units,
                }
            }
        })
    }

    async fn put_once(&self, item: Item, condition: Condition) -> Result<Metered<PutOnce>, PortError> {
        Ok(match self.put(item, condition).await? {
            Put::Written(units) => Metered {
                value: PutOnce::Written,
                units,
            },
            Put::Refused { units, .. } => Metered {
                value: PutOnce::Already,
                units,
            },
        })
    }
}

/// What must hold for a put.
#[derive(Clone, Copy)]
enum Condition {
    /// There is no such item.
    Absent,
    /// The item is there as it was read: its number, and its tag where it had one.
    AsRead(StateVersion),
    /// There is no such item, or an older one.
    OlderThan(u64),
}

impl Condition {
    fn on(self, request: PutItemFluentBuilder) -> PutItemFluentBuilder {
        match self {
            Self::Absent => request
                .condition_expression("attribute_not_exists(pk)")
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld),
            // An item that is gone is a conflict too: what was read of it is stale (I5).
            Self::AsRead(StateVersion { number, tag }) => {
                let request = request
                    .expression_attribute_values(":read", item::number(number))
                    .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
                match tag {
                    Some(tag) => request
                        .condition_expression("v = :read AND h = :tag")
                        .expression_attribute_values(":tag", item::tag_value(tag)),
                    // A release that stored no tag wrote it; whoever replaced it since with one is another writer.
                    None => request.condition_expression("v = :read AND attribute_not_exists(h)"),
                }
            }
            Self::OlderThan(version) => request
                .condition_expression("attribute_not_exists(pk) OR v < :new")
                .expression_attribute_values(":new", item::number(version))
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld),
        }
    }
}

/// A failed condition costs what the write would have cost, by the larger of both items; DynamoDB's answer does not say.
fn failed_write_units(own_bytes: usize, winner_bytes: usize) -> f64 {
    let units = own_bytes.max(winner_bytes).div_ceil(limits::WRITE_UNIT_BYTES).max(1);
    u32::try_from(units).map_or(f64::MAX, f64::from)
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
        card: &CardId,
        keys: &[SegmentKey],
    ) -> Result<Metered<Vec<Option<Vec<u8>>>>, PortError> {
        let mut asked: Vec<SegmentKey> = keys.to_vec();
        asked.sort_unstable();
        asked.dedup();
        let items = asked.iter().map(|key| item::key(card, &item::segment_key(*key)));
        let Metered { value: found, units } = self.load_chunk(items.collect(), true).await?;
        let mut segments: HashMap<String, Vec<u8>> = HashMap::with_capacity(found.len());
        for item in found {
            let (sort, bytes) = item::read_segment(item)?;
            segments.insert(sort, bytes);
        }
        let value = keys
            .iter()
            .map(|key| segments.get(&item::segment_key(*key)).cloned())
            .collect();
        Ok(Metered { value, units })
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

    async fn commit(&self, write: &StateWrite) -> Result<Metered<Commit>, PortError> {
        self.commit_versioned(item::state_item(write), write.expected).await
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

    async fn commit_key(&self, write: &KeyWrite) -> Result<Metered<Commit>, PortError> {
        self.commit_versioned(item::labelled_item(write), write.expected).await
    }

    async fn put_profile(&self, profile: &Profile) -> Result<Metered<PutOnce>, PortError> {
        self.put_once(item::profile_item(profile), Condition::OlderThan(profile.version))
            .await
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

    async fn put_decision(&self, decision: &DecisionItem) -> Result<Metered<PutOnce>, PortError> {
        self.put_once(item::decision_item(decision)?, Condition::Absent).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_condition_costs_by_the_larger_item() {
        assert!((failed_write_units(10, 0) - 1.0).abs() < f64::EPSILON);
        assert!((failed_write_units(1_024, 1_025) - 2.0).abs() < f64::EPSILON);
        assert!((failed_write_units(3_000, 10) - 3.0).abs() < f64::EPSILON);
    }
}
