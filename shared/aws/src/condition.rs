//! What must hold for a write, and what became of it.

use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use tidemark_engine::port::StateVersion;

use crate::item::{self, Item};

/// What became of a conditional write.
pub(crate) enum Written {
    Now,
    /// The condition failed; the item that won, where it came back.
    Refused(Option<Item>),
}

/// What must hold for a write.
#[derive(Clone, Copy)]
pub(crate) enum Condition {
    /// There is no such item.
    Absent,
    /// The item is there as it was read: its number, and its tag where it had one.
    AsRead(StateVersion),
    /// There is no such item, or an older one. No statement says so.
    OlderThan(u64),
}

impl Condition {
    pub(crate) fn on(self, request: PutItemFluentBuilder) -> PutItemFluentBuilder {
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
