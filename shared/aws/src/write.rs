//! Conditional writes: many in one call as statements, or a PutItem for each. What holds for one holds for the other: a write
//! happens on what was read or not at all, and a refused one hands back the item that won.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{ConsumedCapacity, ReturnConsumedCapacity};
use futures_util::{StreamExt, stream};
use tidemark_engine::port::{Answers, Metered, PortError, Units};

use crate::condition::{Condition, Written};
use crate::error::classify;
use crate::item::{self, Item, Row};
use crate::{limits, statement};

/// How conditional writes go out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Writes {
    /// Many in a call, each a PartiQL statement (BatchExecuteStatement).
    #[default]
    Statements,
    /// A call for each (PutItem): where PartiQL is not allowed.
    Items,
}

/// Writes rows in one BatchExecuteStatement, a statement each. None of them waits for another, and none fails with another.
pub(crate) async fn by_statements(client: &Client, table: &str, rows: Vec<(Row, Condition)>) -> Answers<Written> {
    let own_bytes: Vec<usize> = rows.iter().map(|(row, _)| row.size_bytes()).collect();
    let statements = rows
        .into_iter()
        .map(|(row, condition)| statement::of(table, row, condition));
    let answer = client
        .batch_execute_statement()
        .set_statements(Some(statements.collect::<Result<_, _>>()?))
        .return_consumed_capacity(ReturnConsumedCapacity::Total)
        .send()
        .await
        .map_err(|error| classify("BatchExecuteStatement", &error))?;
    let consumed = answer.consumed_capacity();
    let mut write = consumed.iter().filter_map(ConsumedCapacity::capacity_units).sum();
    let answers: Vec<Result<Written, PortError>> =
        answer.responses.into_iter().flatten().map(statement::answer).collect();
    if write == 0.0 {
        // Where no statement succeeded the answer has no units; those whose condition failed have cost theirs.
        let refused = answers
            .iter()
            .zip(own_bytes)
            .filter_map(|(answer, own_bytes)| match answer {
                Ok(Written::Refused(winner)) => Some(failed_write_units(own_bytes, winner.as_ref())),
                _ => None,
            });
        write = refused.sum();
    }
    Ok(Metered {
        value: answers,
        units: Units { write, read: 0.0 },
    })
}

/// Writes rows by a PutItem each, a few at once.
pub(crate) async fn by_items(client: &Client, table: &str, rows: Vec<(Row, Condition)>) -> Answers<Written> {
    let puts = rows
        .into_iter()
        .map(|(row, condition)| put(client, table, row, condition));
    let puts = stream::iter(puts.collect::<Vec<_>>()).buffered(limits::PUTS_OF_A_CALL_MAX);
    let mut units = Units::default();
    let value = puts.collect::<Vec<_>>().await.into_iter().map(|answer| {
        let answer = answer?;
        units += answer.units;
        Ok(answer.value)
    });
    let value = value.collect();
    Ok(Metered { value, units })
}

/// Puts a row under a condition; a failed one hands back the item that won.
pub(crate) async fn put(
    client: &Client,
    table: &str,
    row: Row,
    condition: Condition,
) -> Result<Metered<Written>, PortError> {
    let own_bytes = row.size_bytes();
    let request = client.put_item().table_name(table).set_item(Some(row.into_item()));
    let request = condition
        .on(request)
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    let (value, write) = match request.send().await {
        Ok(answer) => {
            let capacity = answer.consumed_capacity;
            let units = capacity.and_then(|capacity| capacity.capacity_units);
            (Written::Now, units.unwrap_or_default())
        }
        Err(SdkError::ServiceError(service)) if service.err().is_conditional_check_failed_exception() => {
            let PutItemError::ConditionalCheckFailedException(failed) = service.into_err() else {
                return Err(PortError::Permanent("PutItem: condition failed".to_owned()));
            };
            let winner = failed.item.filter(|item| !item.is_empty());
            let units = failed_write_units(own_bytes, winner.as_ref());
            (Written::Refused(winner), units)
        }
        Err(error) => return Err(classify("PutItem", &error)),
    };
    Ok(Metered {
        value,
        units: Units { write, read: 0.0 },
    })
}

/// A failed condition costs what the write would have cost, by the larger of both items; DynamoDB's answer does not say.
fn failed_write_units(own_bytes: usize, winner: Option<&Item>) -> f64 {
    let winner_bytes = winner.map(item::size_bytes).unwrap_or_default();
    let units = own_bytes.max(winner_bytes).div_ceil(limits::WRITE_UNIT_BYTES).max(1);
    u32::try_from(units).map_or(f64::MAX, f64::from)
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;

    use super::*;

    #[test]
    fn a_failed_condition_costs_by_the_larger_item() {
        let of_bytes = |bytes: usize| Item::from([("b".to_owned(), AttributeValue::S("x".repeat(bytes - 1)))]);
        assert!((failed_write_units(10, None) - 1.0).abs() < f64::EPSILON);
        assert!((failed_write_units(1_024, Some(&of_bytes(1_025))) - 2.0).abs() < f64::EPSILON);
        assert!((failed_write_units(3_000, Some(&of_bytes(10))) - 3.0).abs() < f64::EPSILON);
    }
}
