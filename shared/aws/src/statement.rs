//! Conditional writes as PartiQL statements, and what DynamoDB says of each.
//!
//! ```text
//! INSERT INTO "cards" VALUE {'pk':?,'sk':?,'b':?,'v':?,'h':?,'ttl':?}
//! UPDATE "cards" SET "b"=? SET "v"=? SET "h"=? SET "ttl"=? WHERE "pk"=? AND "sk"=? AND "v"=? AND "h"=?
//! ```
//! An INSERT of an item that is there fails (`DuplicateItem`), and so does an UPDATE of one that is not there or not as it was
//! read (`ConditionalCheckFailed`): neither of them ever writes over what its writer has not seen (I5).

use aws_sdk_dynamodb::types::{
    AttributeValue, BatchStatementErrorCodeEnum as Code, BatchStatementRequest, BatchStatementResponse,
    ReturnValuesOnConditionCheckFailure,
};
use tidemark_engine::port::{PortError, StateVersion};

use crate::condition::{Condition, Written};
use crate::error::classify_statement;
use crate::item::{self, PARTITION_KEY, Row, SORT_KEY, TAG, VERSION};

/// What an error of a statement names.
const STATEMENT: &str = "BatchExecuteStatement, a statement";

/// The statement that writes a row under a condition.
pub(crate) fn of(table: &str, row: Row, condition: Condition) -> Result<BatchStatementRequest, PortError> {
    let (text, parameters) = match condition {
        Condition::Absent => insert(table, row),
        Condition::AsRead(read) => update(table, row, read),
        Condition::OlderThan(_) => {
            let text = format!("{STATEMENT}: none writes what is absent or older");
            return Err(PortError::Permanent(text));
        }
    };
    BatchStatementRequest::builder()
        .statement(text)
        .set_parameters(Some(parameters))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .build()
        .map_err(|_| PortError::Permanent(format!("{STATEMENT}: without a text")))
}

fn insert(table: &str, row: Row) -> (String, Vec<AttributeValue>) {
    let mut text = format!("INSERT INTO \"{table}\" VALUE {{'{PARTITION_KEY}':?,'{SORT_KEY}':?");
    let mut parameters = Vec::with_capacity(2 + row.attributes.len());
    parameters.extend([AttributeValue::S(row.partition), AttributeValue::S(row.sort)]);
    for (name, value) in row.attributes {
        text.extend([",'", name, "':?"]);
        parameters.push(value);
    }
    text.push('}');
    (text, parameters)
}

fn update(table: &str, row: Row, read: StateVersion) -> (String, Vec<AttributeValue>) {
    let mut text = format!("UPDATE \"{table}\"");
    let mut parameters = Vec::with_capacity(4 + row.attributes.len());
    for (name, value) in row.attributes {
        text.extend([" SET \"", name, "\"=?"]);
        parameters.push(value);
    }
    text.extend([" WHERE \"", PARTITION_KEY, "\"=? AND \"", SORT_KEY, "\"=?"]);
    parameters.extend([AttributeValue::S(row.partition), AttributeValue::S(row.sort)]);
    text.extend([" AND \"", VERSION, "\"=?"]);
    parameters.push(item::number(read.number));
    match read.tag {
        Some(tag) => {
            text.extend([" AND \"", TAG, "\"=?"]);
            parameters.push(item::tag_value(tag));
        }
        // A release that stored no tag wrote it; whoever replaced it since with one is another writer.
        None => text.extend([" AND \"", TAG, "\" IS MISSING"]),
    }
    (text, parameters)
}

/// What became of a statement.
pub(crate) fn answer(response: BatchStatementResponse) -> Result<Written, PortError> {
    let Some(error) = response.error else {
        return Ok(Written::Now);
    };
    match &error.code {
        Some(Code::ConditionalCheckFailed | Code::DuplicateItem) => {
            let winner = error.item.filter(|item| !item.is_empty());
            Ok(Written::Refused(winner))
        }
        code => {
            let code = code.as_ref().map(Code::as_str);
            Err(classify_statement(STATEMENT, code, error.message.as_deref()))
        }
    }
}

#[cfg(test)]
mod tests {
    use tidemark_domain::id::CardId;
    use tidemark_engine::port::{StateItem, StateTag, StateWrite};

    use super::*;

    fn text(expected: Option<StateVersion>) -> (String, usize) {
        let write = StateWrite {
            card_id: CardId::new("card-1").unwrap(),
            expected,
            item: StateItem::new(1, vec![1]),
            expires_at_s: 2_000_000_000,
        };
        let condition = expected.map_or(Condition::Absent, Condition::AsRead);
        let statement = of("cards", item::state_row(&write), condition).unwrap();
        (statement.statement().to_owned(), statement.parameters().len())
    }

    #[test]
    fn each_condition_is_a_statement_with_a_parameter_for_each_place() {
        let read = |tag| Some(StateVersion { number: 3, tag });
        let set = "UPDATE \"cards\" SET \"b\"=? SET \"v\"=? SET \"h\"=? SET \"ttl\"=? WHERE \"pk\"=? AND \"sk\"=? AND \"v\"=?";
        let expected = [
            (
                None,
                "INSERT INTO \"cards\" VALUE {'pk':?,'sk':?,'b':?,'v':?,'h':?,'ttl':?}".to_owned(),
            ),
            (read(Some(StateTag(7))), format!("{set} AND \"h\"=?")),
            (read(None), format!("{set} AND \"h\" IS MISSING")),
        ];
        for (version, words) in expected {
            let (text, parameters) = text(version);
            assert_eq!(text, words);
            assert_eq!(text.matches('?').count(), parameters);
        }
    }
}
