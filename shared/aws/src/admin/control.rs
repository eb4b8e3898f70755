//! The control plane as an operator's tool needs it: read an item, change it under its condition, list the history.

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::builders::PutBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use tidemark_domain::control::item::{Field, Fields, PARTITION};
use tidemark_engine::port::PortError;

use super::error::{AdminError, admin_error};
use super::table::{Item, item_from};
use super::{Admin, call_timeout};
use crate::control::{item_of, split};
use crate::item;

/// Items of one page of a listing.
const PAGE_ITEMS: i32 = 200;
/// Pages of one listing at most.
const PAGES_MAX: usize = 10_000;

/// What must hold for an item to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// There is no such item.
    Absent,
    /// The item is there, and what was read of it is what it holds. A revision alone does not say that: an item that was put back
    /// from a backup, or broken by hand, has no revision of its own.
    AsRead(Fields),
}

/// Attributes of an item that a condition compares, at most; items of ours have fewer than ten.
const COMPARED_MAX: usize = 50;

/// A put on its condition.
fn put_if(table: &str, put: &ControlPut) -> PutBuilder {
    let own = Put::builder()
        .table_name(table)
        .set_item(Some(item_of(&put.sort, &put.fields)));
    let read = match &put.expected {
        Expected::Absent => return own.condition_expression("attribute_not_exists(pk)"),
        Expected::AsRead(read) => read,
    };
    let mut own = own;
    let mut condition = "attribute_exists(pk)".to_owned();
    for (at, (name, field)) in read.iter().take(COMPARED_MAX).enumerate() {
        let value = match field {
            Field::Text(text) => Some(AttributeValue::S(text.clone())),
            Field::Number(digits) => Some(AttributeValue::N(digits.clone())),
            Field::Bytes(bytes) => Some(AttributeValue::B(Blob::new(bytes.clone()))),
            Field::Other(_) => None,
        };
        own = own.expression_attribute_names(format!("#n{at}"), name);
        match value {
            Some(value) => {
                own = own.expression_attribute_values(format!(":v{at}"), value);
                condition += &format!(" AND #n{at} = :v{at}");
            }
            // Of another type than ours, as it was: whoever mended it wrote a text or a number.
            None => {
                condition += &format!(
                    " AND attribute_exists(#n{at}) AND NOT attribute_type(#n{at}, :text) AND NOT attribute_type(#n{at}, :number)"
                );
            }
        }
    }
    if read.values().any(|field| matches!(field, Field::Other(_))) {
        own = own
            .expression_attribute_values(":text", AttributeValue::S("S".to_owned()))
            .expression_attribute_values(":number", AttributeValue::S("N".to_owned()));
    }
    own.condition_expression(condition)
}

/// One item to write.
#[derive(Clone, Debug)]
pub struct ControlPut {
    /// Its sort key.
    pub sort: String,
    /// What it holds then.
    pub fields: Fields,
    /// On which condition.
    pub expected: Expected,
}

impl Admin {
    /// Reads an item of the control plane, strongly consistent.
    ///
    /// # Errors
    /// When the table can't be read.
    pub async fn control_item(&self, table: &str, sort: &str) -> Result<Option<Fields>, AdminError> {
        let item = self.raw_item(table, PARTITION, sort).await?;
        Ok(item.and_then(split).map(|(_, fields)| fields))
    }

    /// Writes items all together or not at all; `false`: a condition did not hold, so that somebody else was first.
    ///
    /// # Errors
    /// When the table can't be written, or did not say whether it was: read it again to know.
    pub async fn write_control(&self, table: &str, puts: &[ControlPut]) -> Result<bool, AdminError> {
        let mut call = self.clients.dynamodb.transact_write_items();
        for put in puts {
            let own = put_if(table, put)
                .build()
                .map_err(|error| AdminError::Call(PortError::Permanent(format!("TransactWriteItems: {error}"))))?;
            call = call.transact_items(TransactWriteItem::builder().put(own).build());
        }
        match call.send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    let codes = || {
                        cancelled
                            .cancellation_reasons()
                            .iter()
                            .filter_map(|reason| reason.code())
                    };
                    if codes().any(|code| code == "ConditionalCheckFailed") {
                        return Ok(false);
                    }
                    let text = format!(
                        "TransactWriteItems: cancelled ({})",
                        codes().collect::<Vec<_>>().join(", ")
                    );
                    Err(AdminError::Call(PortError::Unavailable(text)))
                }
                _ => Err(admin_error("TransactWriteItems", &error)),
            },
        }
    }

    /// Items of the control plane whose sort key begins with `prefix`, at most `limit` of them.
    ///
    /// # Errors
    /// When the table can't be read.
    pub async fn control_items(
        &self,
        table: &str,
        prefix: &str,
        newest_first: bool,
        limit: usize,
    ) -> Result<Vec<(String, Fields)>, AdminError> {
        let items = self.query(table, PARTITION, Some(prefix), newest_first, limit).await?;
        Ok(items.into_iter().filter_map(split).collect())
    }

    /// All items of a partition, in order of their sort keys.
    ///
    /// # Errors
    /// When the table can't be read.
    pub async fn partition(&self, table: &str, partition: &str) -> Result<Vec<Item>, AdminError> {
        let items = self.query(table, partition, None, false, usize::MAX).await?;
        Ok(items.into_iter().map(item_from).collect())
    }

    /// Items of a partition whose sort key begins with `prefix`, in order of their sort keys.
    ///
    /// # Errors
    /// When the table can't be read.
    pub async fn partition_from(&self, table: &str, partition: &str, prefix: &str) -> Result<Vec<Item>, AdminError> {
        let items = self.query(table, partition, Some(prefix), false, usize::MAX).await?;
        Ok(items.into_iter().map(item_from).collect())
    }

    async fn query(
        &self,
        table: &str,
        partition: &str,
        prefix: Option<&str>,
        newest_first: bool,
        limit: usize,
    ) -> Result<Vec<item::Item>, AdminError> {
        let mut found = Vec::new();
        let mut start = None;
        for _ in 0..PAGES_MAX {
            let call = self
                .clients
                .dynamodb
                .query()
                .table_name(table)
                .consistent_read(true)
                .limit(PAGE_ITEMS)
                .scan_index_forward(!newest_first)
                .set_exclusive_start_key(start)
                .expression_attribute_values(":pk", AttributeValue::S(partition.to_owned()));
            let call = match prefix {
                Some(prefix) => call
                    .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
                    .expression_attribute_values(":sk", AttributeValue::S(prefix.to_owned())),
                None => call.key_condition_expression("pk = :pk"),
            };
            let answer = self
                .patiently(|| async {
                    let timeouts = aws_sdk_dynamodb::config::Config::builder().timeout_config(call_timeout());
                    let answer = call.clone().customize().config_override(timeouts).send().await;
                    answer.map_err(|error| admin_error("Query", &error))
                })
                .await?;
            found.extend(answer.items.unwrap_or_default());
            start = answer.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() || found.len() >= limit {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }
}
