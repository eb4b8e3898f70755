//! [`ControlPlane`] on DynamoDB: the items of the control plane, in the table of the cards.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ConsumedCapacity, KeysAndAttributes, ReturnConsumedCapacity};
use tidemark_domain::control::item::{ACTIVE, Field, Fields, MODE, OVERRIDES, PARTITION, policy_key};
use tidemark_domain::control::lists::{LISTS, list_key, list_part_of};
use tidemark_domain::control::maps::{MAPS, MapVersion, map_key};
use tidemark_domain::control::model::chunk_key;
use tidemark_domain::lists::ListPartKey;
use tidemark_domain::trees::TreeModelKey;
use tidemark_engine::control::{ControlItems, ControlPlane};
use tidemark_engine::port::{Metered, PortError, Units};

use crate::error::classify;
use crate::item::{Item, PARTITION_KEY, SORT_KEY};

/// The control plane in a table.
#[derive(Clone, Debug)]
pub struct DynamoControl {
    client: Client,
    table: String,
}

impl DynamoControl {
    /// The control plane in `table`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }

    /// Reads items by sort key in one call, strongly consistent. BatchGetItem serves for a single one, too: it is what
    /// the function's role allows.
    async fn items(&self, sorts: &[&str]) -> Result<Metered<HashMap<String, Fields>>, PortError> {
        let keys = sorts.iter().map(|sort| key(sort)).collect();
        let request = KeysAndAttributes::builder()
            .set_keys(Some(keys))
            .consistent_read(true)
            .build()
            .map_err(|_| PortError::Permanent("BatchGetItem: no keys".to_owned()))?;
        let answer = self
            .client
            .batch_get_item()
            .request_items(&self.table, request)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| classify("BatchGetItem", &error))?;
        // A part of the items would look like the absence of the others.
        if answer.unprocessed_keys().is_some_and(|left| !left.is_empty()) {
            return Err(PortError::Throttled("BatchGetItem: keys left unprocessed".to_owned()));
        }
        let read = answer
            .consumed_capacity()
            .iter()
            .filter_map(ConsumedCapacity::capacity_units)
            .sum();
        let items = answer.responses.into_iter().flatten().flat_map(|(_, items)| items);
        Ok(Metered {
            value: items.filter_map(split).collect(),
            units: Units { write: 0.0, read },
        })
    }

    async fn one(&self, sort: &str) -> Result<Metered<Option<Fields>>, PortError> {
        let Metered {
            value: mut items,
            units,
        } = self.items(&[sort]).await?;
        Ok(Metered {
            value: items.remove(sort),
            units,
        })
    }
}

impl ControlPlane for DynamoControl {
    async fn read(&self) -> Result<Metered<ControlItems>, PortError> {
        let Metered {
            value: mut items,
            units,
        } = self.items(&[ACTIVE, MODE, OVERRIDES, LISTS, MAPS]).await?;
        let value = ControlItems {
            active: items.remove(ACTIVE),
            mode: items.remove(MODE),
            overrides: items.remove(OVERRIDES),
            lists: items.remove(LISTS),
            maps: items.remove(MAPS),
        };
        Ok(Metered { value, units })
    }

    async fn read_policy(&self, version: u32) -> Result<Metered<Option<Fields>>, PortError> {
        self.one(&policy_key(version)).await
    }

    async fn read_map(&self, version: MapVersion) -> Result<Metered<Option<Fields>>, PortError> {
        self.one(&map_key(version)).await
    }

    async fn read_chunk(&self, model: TreeModelKey, index: u16) -> Result<Metered<Option<Fields>>, PortError> {
        self.one(&chunk_key(model, index)).await
    }

    async fn read_list_parts(&self, keys: &[ListPartKey]) -> Result<Metered<BTreeMap<ListPartKey, Fields>>, PortError> {
        let sorts: Vec<String> = keys.iter().map(|key| list_key(*key)).collect();
        let sorts: Vec<&str> = sorts.iter().map(String::as_str).collect();
        let Metered { value: items, units } = self.items(&sorts).await?;
        let parts = items
            .into_iter()
            .filter_map(|(sort, fields)| Some((list_part_of(&sort)?, fields)));
        Ok(Metered {
            value: parts.collect(),
            units,
        })
    }
}

/// The keys of an item of the control plane.
pub(crate) fn key(sort: &str) -> Item {
    HashMap::from([
        (PARTITION_KEY.to_owned(), AttributeValue::S(PARTITION.to_owned())),
        (SORT_KEY.to_owned(), AttributeValue::S(sort.to_owned())),
    ])
}

/// An item as sort key and fields; nothing where the key is missing.
pub(crate) fn split(mut item: Item) -> Option<(String, Fields)> {
    item.remove(PARTITION_KEY);
    let Some(AttributeValue::S(sort)) = item.remove(SORT_KEY) else {
        return None;
    };
    let fields = item.into_iter().map(|(name, value)| (name, field(value)));
    Some((sort, fields.collect()))
}

fn field(value: AttributeValue) -> Field {
    match value {
        AttributeValue::S(text) => Field::Text(text),
        AttributeValue::N(number) => Field::Number(number),
        AttributeValue::B(bytes) => Field::Bytes(bytes.into_inner()),
        AttributeValue::Bool(_) => Field::Other("a truth value (BOOL)"),
        AttributeValue::M(_) => Field::Other("a map (M)"),
        AttributeValue::L(_) => Field::Other("a list (L)"),
        AttributeValue::Null(_) => Field::Other("nothing (NULL)"),
        AttributeValue::Ss(_) | AttributeValue::Ns(_) | AttributeValue::Bs(_) => Field::Other("a set"),
        _ => Field::Other("an unknown type"),
    }
}

/// The item of fields; a field of another type is left out, since none of ours has one.
pub(crate) fn item_of(sort: &str, fields: &Fields) -> Item {
    let mut item = key(sort);
    item.extend(fields.iter().filter_map(|(name, field)| {
        let value = match field {
            Field::Text(text) => AttributeValue::S(text.clone()),
            Field::Number(number) => AttributeValue::N(number.clone()),
            Field::Bytes(bytes) => AttributeValue::B(Blob::new(bytes.clone())),
            Field::Other(_) => return None,
        };
        Some((name.clone(), value))
    }));
    item
}
