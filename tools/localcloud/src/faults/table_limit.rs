//! What DynamoDB allows a partition in a second. A partition is taken to be one partition key of one table: what AWS gives a
//! key at most, since it moves a busy one to a partition of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tidemark_engine::memory::Allowance;

use super::partial::{self, Cut};

/// Write units of a partition in a second.
pub(crate) const WRITE_UNITS_PER_SECOND: u64 = 1_000;
/// Read units of a partition in a second.
pub(crate) const READ_UNITS_PER_SECOND: u64 = 3_000;
/// Bytes of a write unit.
const WRITE_UNIT_BYTES: u64 = 1024;
/// Bytes of a read unit of a strongly consistent read.
const READ_UNIT_BYTES: u64 = 4096;
/// Read units are counted in halves: what an eventually consistent read of a small item takes.
const HALVES: u64 = 2;
/// Partitions that are remembered; beyond it all are forgotten, which gives each of them a second's worth at once.
const PARTITIONS_MAX: usize = 100_000;
/// The attribute that is every table's partition key here.
const PARTITION_KEY: &str = "pk";

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Admission {
    /// It passes.
    Pass,
    /// It passes, and what it reads is to be counted.
    Count,
    /// It is refused.
    Refuse,
    /// Some of its items are left out.
    Cut(Cut),
}

/// The partitions' capacity. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct TableLimit {
    partitions: Arc<Mutex<HashMap<String, Partition>>>,
}

#[derive(Clone, Copy, Debug)]
struct Partition {
    write: Allowance,
    /// In halves of a unit.
    read: Allowance,
}

impl Default for Partition {
    fn default() -> Self {
        Self {
            write: Allowance::new(WRITE_UNITS_PER_SECOND),
            read: Allowance::new(READ_UNITS_PER_SECOND * HALVES),
        }
    }
}

impl TableLimit {
    /// What becomes of a request at a time (ms since 1970-01-01T00:00:00Z). Single items and their batches are counted; scans,
    /// queries and transactions pass.
    pub(super) fn admit(&self, operation: &str, body: &[u8], now_ms: i64) -> Admission {
        if !matches!(
            operation,
            "PutItem"
                | "UpdateItem"
                | "DeleteItem"
                | "GetItem"
                | "BatchWriteItem"
                | "BatchGetItem"
                | "BatchExecuteStatement"
        ) {
            return Admission::Pass;
        }
        let Ok(request) = serde_json::from_slice::<Value>(body) else {
            return Admission::Pass;
        };
        let mut partitions = self.lock();
        let mut may_write = |item: &Value| {
            let partition = partition_of(&mut partitions, item);
            partition.is_none_or(|partition| partition.write.take(write_units(item), now_ms))
        };
        match operation {
            "PutItem" if may_write(&request["Item"]) => Admission::Pass,
            "UpdateItem" | "DeleteItem" if may_write(&request["Key"]) => Admission::Pass,
            "BatchWriteItem" => {
                let is_over = |write: &Value| {
                    let put = &write["PutRequest"]["Item"];
                    !may_write(if put.is_object() {
                        put
                    } else {
                        &write["DeleteRequest"]["Key"]
                    })
                };
                partial::writes(request, is_over).map_or(Admission::Pass, Admission::Cut)
            }
            "BatchExecuteStatement" => {
                let is_over = |statement: &Value| written(statement).is_some_and(|item| !may_write(&item));
                partial::statements(request, is_over).map_or(Admission::Pass, Admission::Cut)
            }
            "GetItem" | "BatchGetItem" => {
                let mut is_over = |key: &Value| {
                    let partition = partition_of(&mut partitions, key);
                    partition.is_some_and(|partition| !partition.read.has_any(now_ms))
                };
                match operation {
                    "GetItem" if is_over(&request["Key"]) => Admission::Refuse,
                    "GetItem" => Admission::Count,
                    _ => partial::keys(request, is_over).map_or(Admission::Count, Admission::Cut),
                }
            }
            _ => Admission::Refuse,
        }
    }

    /// Counts what a read answered with, each item as strongly consistent or not.
    pub(super) fn count(&self, answer: &Value, consistent: bool, now_ms: i64) {
        let mut partitions = self.lock();
        let single = answer.get("Item").into_iter();
        let tables = answer["Responses"].as_object().into_iter().flatten();
        let batch = tables.flat_map(|(_, items)| items.as_array().into_iter().flatten());
        for item in single.chain(batch) {
            let units = size_bytes(item).div_ceil(READ_UNIT_BYTES).max(1);
            let halves = if consistent { HALVES * units } else { units };
            if let Some(partition) = partition_of(&mut partitions, item) {
                partition.read.draw(halves, now_ms);
            }
        }
    }

    /// A poisoned lock means that a handler panicked; counts are whole all the same.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Partition>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a statement writes: each parameter under the name that stands before its place. `None`: it reads.
fn written(statement: &Value) -> Option<Value> {
    let text = statement["Statement"].as_str()?;
    if text.get(..6).is_none_or(|verb| verb.eq_ignore_ascii_case("select")) {
        return None;
    }
    let mut parameters = statement["Parameters"].as_array()?.iter();
    let mut item = serde_json::Map::new();
    for before in text.split('?') {
        let mut quoted = before.rsplit(['"', '\'']);
        if let (Some(name), Some(value)) = (quoted.nth(1), parameters.next()) {
            // An attribute that is set and asked for counts as it is set.
            item.entry(name).or_insert_with(|| value.clone());
        }
    }
    Some(Value::Object(item))
}

/// The partition of an item or a key; `None` for one of another kind of table.
fn partition_of<'p>(partitions: &'p mut HashMap<String, Partition>, item: &Value) -> Option<&'p mut Partition> {
    let key = item[PARTITION_KEY]["S"].as_str()?;
    if partitions.len() >= PARTITIONS_MAX && !partitions.contains_key(key) {
        partitions.clear();
    }
    Some(partitions.entry(key.to_owned()).or_default())
}

fn write_units(item: &Value) -> u64 {
    size_bytes(item).div_ceil(WRITE_UNIT_BYTES).max(1)
}

/// An item's size as DynamoDB counts it, roughly: names, text and bytes as they are, anything else as its JSON.
fn size_bytes(item: &Value) -> u64 {
    let attributes = item.as_object().into_iter().flatten();
    let size = |(name, value): (&String, &Value)| {
        let own = match (value["B"].as_str(), value["S"].as_str()) {
            (Some(base64), _) => base64.len() / 4 * 3,
            (None, Some(text)) => text.len(),
            (None, None) => value.to_string().len() / 2,
        };
        (name.len() + own) as u64
    };
    attributes.map(size).sum()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn item(key: &str, bytes: usize) -> Value {
        json!({ "pk": { "S": key }, "sk": { "S": "state" }, "b": { "S": "x".repeat(bytes) } })
    }

    fn admit(limit: &TableLimit, operation: &str, request: &Value, now_ms: i64) -> Admission {
        limit.admit(operation, request.to_string().as_bytes(), now_ms)
    }

    #[test]
    fn a_partition_takes_a_thousand_write_units_a_second_and_no_other_waits() {
        let limit = TableLimit::default();
        // Ten units each.
        let put = |key: &str, now_ms| admit(&limit, "PutItem", &json!({ "Item": item(key, 10_000) }), now_ms);
        let passed = (0..150).filter(|_| matches!(put("hot", 0), Admission::Pass)).count();
        assert_eq!(passed, 100);
        assert!(matches!(put("hot", 5), Admission::Refuse));
        assert!(matches!(put("cool", 5), Admission::Pass));
        assert!(
            matches!(put("hot", 10), Admission::Pass),
            "ten units in ten milliseconds"
        );
    }

    #[test]
    fn of_a_batch_only_what_is_over_is_left_out() {
        let limit = TableLimit::default();
        let writes: Vec<Value> = (0..20)
            .map(
                |n| json!({ "PutRequest": { "Item": item(if n % 2 == 0 { "hot" } else { "cool" }, 200 * 1024 - 20) } }),
            )
            .collect();
        let request = json!({ "RequestItems": { "t": writes } });
        let Admission::Cut(cut) = admit(&limit, "BatchWriteItem", &request, 0) else {
            panic!("nothing was left out");
        };
        let answer = partial::join(cut, Some(json!({})));
        let left = answer["UnprocessedItems"]["t"].as_array().unwrap();
        assert_eq!(left.len(), 10, "five of ten of each partition");
    }

    #[test]
    fn of_statements_only_those_that_are_over_are_refused() {
        let limit = TableLimit::default();
        let bytes = json!({ "S": "x".repeat(200 * 1024 - 20) });
        let statement = |n: usize| {
            let key = json!({ "S": if n.is_multiple_of(2) { "hot" } else { "cool" } });
            if n < 10 {
                json!({ "Statement": r#"INSERT INTO "t" VALUE {'pk':?,'b':?}"#, "Parameters": [key, bytes] })
            } else {
                let text = r#"UPDATE "t" SET "b"=? SET "v"=? WHERE "pk"=? AND "v"=?"#;
                json!({ "Statement": text, "Parameters": [bytes, { "N": "2" }, key, { "N": "1" }] })
            }
        };
        let statements: Vec<Value> = (0..20).map(statement).collect();
        let request = json!({ "Statements": statements });
        let Admission::Cut(cut) = admit(&limit, "BatchExecuteStatement", &request, 0) else {
            panic!("nothing was refused");
        };
        let rest = cut.rest.clone().unwrap()["Statements"].as_array().unwrap().len();
        let answer = partial::join(cut, Some(json!({ "Responses": vec![json!({}); rest] })));
        let responses = answer["Responses"].as_array().unwrap();
        let refused: Vec<bool> = responses
            .iter()
            .map(|response| response["Error"]["Code"] == "ThrottlingError")
            .collect();
        let expected: Vec<bool> = (0..20).map(|n| n >= 10).collect();
        assert_eq!(refused, expected, "five of ten of each partition");
        let reads =
            json!({ "Statements": [{ "Statement": "SELECT * FROM t WHERE pk=?", "Parameters": [{ "S": "hot" }] }] });
        assert!(matches!(
            admit(&limit, "BatchExecuteStatement", &reads, 0),
            Admission::Pass
        ));
    }

    #[test]
    fn what_was_read_is_paid_for_afterwards() {
        let limit = TableLimit::default();
        let get = |now_ms| admit(&limit, "GetItem", &json!({ "Key": { "pk": { "S": "hot" } } }), now_ms);
        let large = json!({ "Item": item("hot", 400 * 1024) });
        // A hundred units each, consistently read.
        for _ in 0..30 {
            assert!(matches!(get(0), Admission::Count));
            limit.count(&large, true, 0);
        }
        assert!(matches!(get(0), Admission::Refuse));
        let keys: Vec<Value> = ["hot", "cool"]
            .iter()
            .map(|key| json!({ "pk": { "S": key } }))
            .collect();
        let request = json!({ "RequestItems": { "t": { "Keys": keys } } });
        let Admission::Cut(cut) = admit(&limit, "BatchGetItem", &request, 0) else {
            panic!("nothing was left out");
        };
        let answer = partial::join(cut, Some(json!({})));
        assert_eq!(
            answer["UnprocessedKeys"]["t"]["Keys"],
            json!([{ "pk": { "S": "hot" } }])
        );
        assert!(matches!(get(50), Admission::Count));
    }

    #[test]
    fn other_operations_pass() {
        let limit = TableLimit::default();
        assert!(matches!(admit(&limit, "Scan", &json!({}), 0), Admission::Pass));
        assert!(matches!(limit.admit("PutItem", b"no JSON", 0), Admission::Pass));
    }
}
