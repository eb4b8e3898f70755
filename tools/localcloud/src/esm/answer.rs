//! What a function's answer means for its batch.

use serde_json::Value;

use super::lane::EsmRecord;
use std::sync::Arc;

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// All records are done.
    Success,
    /// The records before this index are done; this one and all later ones come again.
    From(usize),
    /// None is done: the function failed (`error`: an error was thrown) or named what is not in the batch.
    Whole {
        /// An error was thrown, or the function timed out or crashed.
        error: bool,
    },
}

/// Reads an answer as AWS does. An empty or null answer or list is success. The lowest of the named records is the
/// checkpoint. An identifier that is unknown, empty, null or under a misspelt name fails the whole batch.
pub(super) fn meaning_of(response: &[u8], report_item_failures: bool, batch: &[Arc<EsmRecord>]) -> Meaning {
    if !report_item_failures || response.is_empty() {
        return Meaning::Success;
    }
    let whole = Meaning::Whole { error: false };
    let Ok(answer) = serde_json::from_slice::<Value>(response) else {
        return whole;
    };
    let failures = match answer {
        Value::Null => return Meaning::Success,
        Value::Object(mut fields) => fields.remove("batchItemFailures").unwrap_or_default(),
        _ => return whole,
    };
    let failures = match failures {
        Value::Null => return Meaning::Success,
        Value::Array(failures) => failures,
        _ => return whole,
    };
    let mut lowest = None;
    for failure in &failures {
        let id = failure["itemIdentifier"].as_str();
        let Some(index) = id.and_then(|id| batch.iter().position(|record| record.sequence_number == id)) else {
            return whole;
        };
        lowest = Some(lowest.map_or(index, |lowest: usize| lowest.min(index)));
    }
    lowest.map_or(Meaning::Success, Meaning::From)
}
