//! DynamoDB: create the table, read items as they are.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableStatus,
};
use tidemark_engine::port::PortError;

use super::error::{AdminError, admin_error};
use super::{Admin, STATUS_POLL_INTERVAL, STATUS_POLLS_MAX, pause};
use crate::item;

/// Pages of one partition that are read: 1 MB each.
const QUERY_PAGES_MAX: u32 = 1_000;

/// A value of an item. Our items hold no other types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemValue {
    /// Text.
    Text(String),
    /// A number, as DynamoDB writes it.
    Number(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// A type that Tidemark does not store.
    Other,
}

/// An item: its attributes by name.
pub type Item = BTreeMap<String, ItemValue>;

/// The size of an item as DynamoDB counts it, bytes.
#[must_use]
pub fn item_bytes(item: &Item) -> usize {
    let attributes = item.iter().filter_map(|(name, v)| Some((name.clone(), value_to(v)?)));
    item::size_bytes(&attributes.collect())
}

/// A page of a scan.
#[derive(Clone, Debug, Default)]
pub struct ItemPage {
    /// The items.
    pub items: Vec<Item>,
    /// The key to go on after; `None` at the end.
    pub next: Option<Item>,
}

impl Admin {
    /// Creates the table of cards (keys `pk` and `sk`, on demand) and waits until it is active. One that exists already is left as it is.
    pub async fn create_table(&self, table: &str) -> Result<(), AdminError> {
        let permanent = |error: &dyn std::fmt::Display| PortError::Permanent(format!("CreateTable: {error}"));
        let mut call = self
            .clients
            .dynamodb
            .create_table()
            .table_name(table)
            .billing_mode(BillingMode::PayPerRequest);
        for (name, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
            let key = KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
            let definition = AttributeDefinition::builder()
                .attribute_name(name)
                .attribute_type(ScalarAttributeType::S);
            call = call
                .key_schema(key.map_err(|error| permanent(&error))?)
                .attribute_definitions(definition.build().map_err(|error| permanent(&error))?);
        }
        match call.send().await.map_err(|error| admin_error("CreateTable", &error)) {
            Ok(_) | Err(AdminError::InUse { .. }) => self.wait_for_table(table).await,
            Err(error) => Err(error),
        }
    }

    async fn wait_for_table(&self, table: &str) -> Result<(), AdminError> {
        for _ in 0..STATUS_POLLS_MAX {
            let answer = self.clients.dynamodb.describe_table().table_name(table).send().await;
            let answer = answer.map_err(|error| admin_error("DescribeTable", &error))?;
            if answer.table().and_then(|t| t.table_status()) == Some(&TableStatus::Active) {
                return Ok(());
            }
            pause(STATUS_POLL_INTERVAL).await;
        }
        let waited_ms = u64::from(STATUS_POLLS_MAX) * 200;
        Err(AdminError::NotReady {
            operation: format!("CreateTable {table}"),
            waited_ms,
        })
    }

    /// Reads one item, strongly consistent.
    pub async fn get_item(&self, table: &str, pk: &str, sk: &str) -> Result<Option<Item>, AdminError> {
        Ok(self.raw_item(table, pk, sk).await?.map(item_from))
    }

    pub(super) async fn raw_item(&self, table: &str, pk: &str, sk: &str) -> Result<Option<item::Item>, AdminError> {
        let call = self.clients.dynamodb.get_item().table_name(table).consistent_read(true);
        let call = call
            .key(item::PARTITION_KEY, AttributeValue::S(pk.to_owned()))
            .key(item::SORT_KEY, AttributeValue::S(sk.to_owned()));
        let send = || async {
            let answer = call.clone().send().await;
            answer.map_err(|error| admin_error("GetItem", &error))
        };
        Ok(self.patiently(send).await?.item)
    }

    /// Writes an item unless there is one under its key already; answers whether it was written.
    ///
    /// With patience it is tried again like a read: an item that is there with exactly this content was written by a try whose
    /// answer was lost.
    pub async fn put_new_item(&self, table: &str, item: &Item) -> Result<bool, AdminError> {
        let written = self.patiently(|| self.put_new_item_once(table, item)).await?;
        let (Some(ItemValue::Text(pk)), Some(ItemValue::Text(sk))) = (item.get("pk"), item.get("sk")) else {
            return Ok(written);
        };
        if written || !self.is_patient() {
            return Ok(written);
        }
        Ok(self.get_item(table, pk, sk).await?.as_ref() == Some(item))
    }

    async fn put_new_item_once(&self, table: &str, item: &Item) -> Result<bool, AdminError> {
        let attributes = item.iter().filter_map(|(name, v)| Some((name.clone(), value_to(v)?)));
        let call = self.clients.dynamodb.put_item().table_name(table);
        let call = call
            .set_item(Some(attributes.collect()))
            .condition_expression("attribute_not_exists(pk)");
        match call.send().await {
            Ok(_) => Ok(true),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(PutItemError::is_conditional_check_failed_exception) =>
            {
                Ok(false)
            }
            Err(error) => Err(admin_error("PutItem", &error)),
        }
    }

    /// Reads all items of one partition (at most [`QUERY_PAGES_MAX`] pages of 1 MB), strongly consistent.
    pub async fn items_of(&self, table: &str, pk: &str) -> Result<Vec<Item>, AdminError> {
        let mut items = Vec::new();
        let mut start = None;
        for _ in 0..QUERY_PAGES_MAX {
            let call = self.clients.dynamodb.query().table_name(table).consistent_read(true);
            let call = call
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()))
                .set_exclusive_start_key(start);
            let send = || async {
                let answer = call.clone().send().await;
                answer.map_err(|error| admin_error("Query", &error))
            };
            let answer = self.patiently(send).await?;
            items.extend(answer.items.unwrap_or_default().into_iter().map(item_from));
            start = answer.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                break;
            }
        }
        Ok(items)
    }

    /// Reads a page of the whole table (up to 1 MB), from after `start` on.
    pub async fn scan(&self, table: &str, start: Option<&Item>) -> Result<ItemPage, AdminError> {
        let call = self.clients.dynamodb.scan().table_name(table).consistent_read(true);
        let start = start.map(|item| {
            item.iter()
                .filter_map(|(k, v)| Some((k.clone(), value_to(v)?)))
                .collect()
        });
        let call = call.set_exclusive_start_key(start);
        let send = || async {
            let answer = call.clone().send().await;
            answer.map_err(|error| admin_error("Scan", &error))
        };
        let answer = self.patiently(send).await?;
        Ok(ItemPage {
            items: answer.items.unwrap_or_default().into_iter().map(item_from).collect(),
            next: answer.last_evaluated_key.filter(|key| !key.is_empty()).map(item_from),
        })
    }
}

pub(super) fn item_from(item: std::collections::HashMap<String, AttributeValue>) -> Item {
    let value = |value| match value {
        AttributeValue::S(text) => ItemValue::Text(text),
        AttributeValue::N(number) => ItemValue::Number(number),
        AttributeValue::B(bytes) => ItemValue::Binary(bytes.into_inner()),
        _ => ItemValue::Other,
    };
    item.into_iter().map(|(name, v)| (name, value(v))).collect()
}

fn value_to(value: &ItemValue) -> Option<AttributeValue> {
    match value {
        ItemValue::Text(text) => Some(AttributeValue::S(text.clone())),
        ItemValue::Number(number) => Some(AttributeValue::N(number.clone())),
        ItemValue::Binary(bytes) => Some(AttributeValue::B(aws_sdk_dynamodb::primitives::Blob::new(
            bytes.as_slice(),
        ))),
        ItemValue::Other => None,
    }
}
