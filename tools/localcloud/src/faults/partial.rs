//! Batch requests of which a part is refused: the request for the rest, and the answer for all.

use serde_json::{Map, Value, json};

use super::answer::throttle_code;
use super::plan::{Service, draw};

/// A batch request, cut in two.
#[derive(Debug)]
pub(super) struct Cut {
    /// The request for what is to be applied; `None` when nothing is left.
    pub rest: Option<Value>,
    refused: Refused,
}

#[derive(Debug)]
enum Refused {
    /// BatchGetItem: what the answer names as unprocessed, by table.
    Keys(Map<String, Value>),
    /// BatchWriteItem: the same of writes.
    Writes(Map<String, Value>),
    /// BatchExecuteStatement: which of the statements, by position.
    Statements(Vec<bool>),
    /// PutRecords: which of the records, by position.
    Records(Vec<bool>),
    /// SendMessageBatch: the ids.
    Messages(Vec<Value>),
}

/// Cuts a request: each item is refused with the chance `share`. `None` where the operation takes no items, or none was hit.
pub(super) fn cut(operation: &str, body: &[u8], share: f64, seed: u64) -> Option<Cut> {
    let request: Value = serde_json::from_slice(body).ok()?;
    let mut turn = 0;
    let mut hit = || {
        turn += 1;
        draw(seed, turn, 0) < share
    };
    match operation {
        "BatchGetItem" => keys(request, |_| hit()),
        "BatchWriteItem" => writes(request, |_| hit()),
        "BatchExecuteStatement" => statements(request, |_| hit()),
        "PutRecords" => {
            let (rest, marks) = entries(request, "Records", |_| hit())?;
            let refused = Refused::Records(marks.into_iter().map(|mark| mark.is_some()).collect());
            Some(Cut { rest, refused })
        }
        "SendMessageBatch" => {
            let (rest, marks) = entries(request, "Entries", |_| hit())?;
            let ids = marks.into_iter().flatten().map(|entry| entry["Id"].clone());
            let refused = Refused::Messages(ids.collect());
            Some(Cut { rest, refused })
        }
        _ => None,
    }
}

/// Cuts a BatchGetItem: the keys that are hit are refused. `None`: none was.
pub(super) fn keys(mut request: Value, mut hit: impl FnMut(&Value) -> bool) -> Option<Cut> {
    let mut refused = Map::new();
    let tables = request["RequestItems"].as_object_mut()?;
    for (name, asked) in tables.iter_mut() {
        let keys = std::mem::take(asked["Keys"].as_array_mut()?);
        let (out, kept): (Vec<Value>, Vec<Value>) = keys.into_iter().partition(&mut hit);
        if !out.is_empty() {
            let mut unprocessed = asked.clone();
            unprocessed["Keys"] = Value::Array(out);
            refused.insert(name.clone(), unprocessed);
        }
        asked["Keys"] = Value::Array(kept);
    }
    tables.retain(|_, asked| asked["Keys"].as_array().is_some_and(|keys| !keys.is_empty()));
    let left = !tables.is_empty();
    (!refused.is_empty()).then(|| Cut {
        rest: left.then_some(request),
        refused: Refused::Keys(refused),
    })
}

/// Cuts a BatchWriteItem: the writes that are hit are refused. `None`: none was.
pub(super) fn writes(mut request: Value, mut hit: impl FnMut(&Value) -> bool) -> Option<Cut> {
    let mut refused = Map::new();
    let tables = request["RequestItems"].as_object_mut()?;
    for (name, asked) in tables.iter_mut() {
        let writes = std::mem::take(asked.as_array_mut()?);
        let (out, kept): (Vec<Value>, Vec<Value>) = writes.into_iter().partition(&mut hit);
        if !out.is_empty() {
            refused.insert(name.clone(), Value::Array(out));
        }
        *asked = Value::Array(kept);
    }
    tables.retain(|_, asked| asked.as_array().is_some_and(|writes| !writes.is_empty()));
    let left = !tables.is_empty();
    (!refused.is_empty()).then(|| Cut {
        rest: left.then_some(request),
        refused: Refused::Writes(refused),
    })
}

/// Cuts a BatchExecuteStatement: the statements that are hit are refused, each at its place. `None`: none was.
pub(super) fn statements(request: Value, hit: impl FnMut(&Value) -> bool) -> Option<Cut> {
    let (rest, marks) = entries(request, "Statements", hit)?;
    let refused = Refused::Statements(marks.into_iter().map(|mark| mark.is_some()).collect());
    Some(Cut { rest, refused })
}

/// The request with the entries that were not hit, and for each entry itself where it was.
type Sorted = (Option<Value>, Vec<Option<Value>>);

fn entries(mut request: Value, field: &str, mut hit: impl FnMut(&Value) -> bool) -> Option<Sorted> {
    let all = std::mem::take(request[field].as_array_mut()?);
    let mut kept = Vec::with_capacity(all.len());
    let mut marks = Vec::with_capacity(all.len());
    for entry in all {
        if hit(&entry) {
            marks.push(Some(entry));
        } else {
            marks.push(None);
            kept.push(entry);
        }
    }
    if marks.iter().all(Option::is_none) {
        return None;
    }
    let left = !kept.is_empty();
    request[field] = Value::Array(kept);
    Some((left.then_some(request), marks))
}

/// Puts the refused items into the answer for the rest (or into an empty one).
pub(super) fn join(refused: Cut, answer: Option<Value>) -> Value {
    let mut answer = answer.unwrap_or_else(|| json!({}));
    match refused.refused {
        Refused::Keys(tables) => {
            if answer.get("Responses").is_none() {
                answer["Responses"] = json!({});
            }
            if !answer["UnprocessedKeys"].is_object() {
                answer["UnprocessedKeys"] = json!({});
            }
            for (name, mut unprocessed) in tables {
                if let (Some(before), Some(now)) = (
                    answer["UnprocessedKeys"][&name]["Keys"].as_array().cloned(),
                    unprocessed["Keys"].as_array_mut(),
                ) {
                    now.extend(before);
                }
                answer["UnprocessedKeys"][name] = unprocessed;
            }
        }
        Refused::Writes(tables) => {
            if !answer["UnprocessedItems"].is_object() {
                answer["UnprocessedItems"] = json!({});
            }
            for (name, unprocessed) in tables {
                let mut all = answer["UnprocessedItems"][&name]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
                all.extend(unprocessed.as_array().cloned().unwrap_or_default());
                answer["UnprocessedItems"][name] = Value::Array(all);
            }
        }
        Refused::Statements(marks) => {
            let mut done = answer["Responses"].as_array().cloned().unwrap_or_default().into_iter();
            let error = json!({
                "Error": { "Code": "ThrottlingError", "Message": "injected by the local fault layer" },
            });
            let responses = marks.into_iter().map(|refused| {
                let response = if refused { None } else { done.next() };
                response.unwrap_or_else(|| error.clone())
            });
            answer["Responses"] = Value::Array(responses.collect());
        }
        Refused::Records(marks) => {
            let mut taken = answer["Records"].as_array().cloned().unwrap_or_default().into_iter();
            let error = json!({
                "ErrorCode": throttle_code(Service::Kinesis), "ErrorMessage": "injected by the local fault layer",
            });
            let count = marks.iter().filter(|refused| **refused).count() as u64;
            let records = marks.into_iter().map(|refused| {
                let result = if refused { None } else { taken.next() };
                result.unwrap_or_else(|| error.clone())
            });
            answer["Records"] = Value::Array(records.collect());
            answer["FailedRecordCount"] = json!(count + answer["FailedRecordCount"].as_u64().unwrap_or(0));
        }
        Refused::Messages(ids) => {
            if answer.get("Successful").is_none() {
                answer["Successful"] = json!([]);
            }
            let mut failed = answer["Failed"].as_array().cloned().unwrap_or_default();
            failed.extend(
                ids.into_iter()
                    .map(|id| json!({ "Id": id, "Code": throttle_code(Service::Sqs), "SenderFault": false })),
            );
            answer["Failed"] = Value::Array(failed);
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_half(operation: &str, request: &Value) -> Cut {
        cut(operation, request.to_string().as_bytes(), 0.5, 3).unwrap()
    }

    #[test]
    fn unread_keys_are_named_and_the_rest_is_asked_for() {
        let keys: Vec<Value> = (0..40).map(|n| json!({"pk": {"S": n.to_string()}})).collect();
        let request =
            json!({"RequestItems": {"t": {"Keys": keys, "ConsistentRead": true}}, "ReturnConsumedCapacity": "TOTAL"});
        let cut = cut_half("BatchGetItem", &request);
        let rest = cut.rest.clone().unwrap();
        let asked = rest["RequestItems"]["t"]["Keys"].as_array().unwrap().len();
        assert_eq!(rest["ReturnConsumedCapacity"], "TOTAL");
        let answer = join(cut, Some(json!({"Responses": {"t": []}, "UnprocessedKeys": {}})));
        let unprocessed = &answer["UnprocessedKeys"]["t"];
        assert_eq!(unprocessed["ConsistentRead"], true);
        let left = unprocessed["Keys"].as_array().unwrap().len();
        assert!(asked > 0 && left > 0);
        assert_eq!(asked + left, 40);
    }

    #[test]
    fn unwritten_items_are_named_and_the_rest_is_written() {
        let writes: Vec<Value> = (0..20)
            .map(|n| json!({"PutRequest": {"Item": {"pk": {"S": n.to_string()}}}}))
            .collect();
        let request = json!({"RequestItems": {"t": writes}, "ReturnConsumedCapacity": "TOTAL"});
        let cut_some = cut_half("BatchWriteItem", &request);
        let rest = cut_some.rest.clone().unwrap();
        let written = rest["RequestItems"]["t"].as_array().unwrap().len();
        let answer = join(cut_some, Some(json!({"UnprocessedItems": {}})));
        let left = answer["UnprocessedItems"]["t"].as_array().unwrap().len();
        assert!(written > 0 && left > 0);
        assert_eq!(written + left, 20);
        let cut_all = cut("BatchWriteItem", request.to_string().as_bytes(), 1.0, 1).unwrap();
        assert!(cut_all.rest.is_none());
        assert_eq!(join(cut_all, None)["UnprocessedItems"], request["RequestItems"]);
    }

    #[test]
    fn refused_statements_keep_their_places_and_the_rest_is_carried_out() {
        let statements: Vec<Value> = (0..25).map(|n| json!({"Statement": n.to_string()})).collect();
        let request = json!({"Statements": &statements, "ReturnConsumedCapacity": "TOTAL"});
        let cut_some = cut_half("BatchExecuteStatement", &request);
        let rest = cut_some.rest.clone().unwrap();
        let asked = rest["Statements"].as_array().unwrap();
        let done: Vec<Value> = asked
            .iter()
            .map(|entry| json!({"TableName": entry["Statement"]}))
            .collect();
        let answer = join(cut_some, Some(json!({ "Responses": done })));
        let all = answer["Responses"].as_array().unwrap();
        assert_eq!(all.len(), 25);
        for (place, response) in all.iter().enumerate() {
            let is_refused = response["Error"]["Code"] == "ThrottlingError";
            let is_its_own = response["TableName"] == statements[place]["Statement"];
            assert!(is_refused || is_its_own, "{place}: {response}");
        }
        assert!(asked.len() < 25 && !asked.is_empty());
        let cut_all = cut("BatchExecuteStatement", request.to_string().as_bytes(), 1.0, 1).unwrap();
        assert!(cut_all.rest.is_none());
        assert_eq!(join(cut_all, None)["Responses"].as_array().unwrap().len(), 25);
    }

    #[test]
    fn refused_records_keep_their_places() {
        let records: Vec<Value> = (0..40).map(|n| json!({"PartitionKey": n.to_string()})).collect();
        let cut = cut_half("PutRecords", &json!({"Records": records, "StreamName": "s"}));
        let rest = cut.rest.clone().unwrap();
        let asked = rest["Records"].as_array().unwrap();
        let results: Vec<Value> = asked
            .iter()
            .map(|entry| json!({"SequenceNumber": entry["PartitionKey"]}))
            .collect();
        let answer = join(cut, Some(json!({"FailedRecordCount": 0, "Records": results})));
        let all = answer["Records"].as_array().unwrap();
        assert_eq!(all.len(), 40);
        let mut failed = 0;
        for (place, result) in all.iter().enumerate() {
            match result["SequenceNumber"].as_str() {
                Some(number) => assert_eq!(number, place.to_string()),
                None => failed += 1,
            }
        }
        assert_eq!(answer["FailedRecordCount"], failed);
        assert!(failed > 0);
    }

    #[test]
    fn refused_messages_are_named_by_id() {
        let entries: Vec<Value> = (0..10)
            .map(|n| json!({"Id": n.to_string(), "MessageBody": "x"}))
            .collect();
        let cut = cut_half("SendMessageBatch", &json!({"Entries": entries, "QueueUrl": "u"}));
        let sent = cut.rest.as_ref().unwrap()["Entries"].as_array().unwrap().len();
        let answer = join(
            cut,
            Some(json!({"Successful": vec![json!({"Id": "x"}); sent], "Failed": []})),
        );
        assert_eq!(sent + answer["Failed"].as_array().unwrap().len(), 10);
    }

    #[test]
    fn everything_may_be_refused_and_what_has_no_items_is_not_cut() {
        let all = json!({"Records": [{"PartitionKey": "k"}]});
        let cut_all = cut("PutRecords", all.to_string().as_bytes(), 1.0, 1).unwrap();
        assert!(cut_all.rest.is_none());
        assert_eq!(join(cut_all, None)["FailedRecordCount"], 1);
        assert!(cut("PutItem", b"{}", 1.0, 1).is_none());
        assert!(cut("PutRecords", all.to_string().as_bytes(), 0.0, 1).is_none());
    }
}
