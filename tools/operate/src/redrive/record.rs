//! The audit record of a run: who redrove what, when, why, and what came of it. Kept in the table, under `audit`.
//!
//! ```text
//! pk (S)   sk (S)                              attributes
//! audit    redrive#<ms, 15 digits>#<id>        at (N), who (S), reason (S), what (S: the request), function (S)
//! audit    redrive#<ms, 15 digits>#<id>#end    at (N), account (S: JSON), stopped (S), error (S)
//! ```
//! Both are written only where nothing is yet, and never changed. A run without its second item was broken off.

use terminal::clock::now_ms;
use terminal::error::CliError;
use tidemark_aws::admin::{Admin, AdminError, Item, ItemValue};
use tidemark_redrive::Request;
use xxhash_rust::xxh3::xxh3_64;

use super::Run;
use super::args::RedriveArgs;

/// The partition of audit records.
const PARTITION: &str = "audit";
/// Bytes of the reason and the name that are kept.
const TEXT_BYTES_MAX: usize = 1_024;

/// A run's record.
#[derive(Clone, Debug)]
pub(super) struct AuditRecord {
    sort_key: String,
    first: Item,
}

impl AuditRecord {
    pub(super) fn new(
        args: &RedriveArgs,
        who: Option<String>,
        request: &Request,
        function: &str,
        started_ms: i64,
    ) -> Self {
        let who = who.unwrap_or_else(|| "unknown".to_owned());
        let what = serde_json::to_string(request).unwrap_or_default();
        // Two runs of one millisecond differ in process, and so in key; the condition sees to the rest.
        let id = xxh3_64(format!("{who} {what} {}", std::process::id()).as_bytes());
        let sort_key = format!("redrive#{:015}#{id:016x}", started_ms.max(0));
        let mut first = item(&sort_key, started_ms);
        let note = args.note.clone().unwrap_or_default();
        for (name, value) in [
            ("who", who),
            ("reason", note),
            ("what", what),
            ("function", function.to_owned()),
        ] {
            first.insert(name.to_owned(), ItemValue::Text(cut(value)));
        }
        Self { sort_key, first }
    }

    /// Where it is, as `pk/sk`.
    pub(super) fn key(&self) -> String {
        format!("{PARTITION}/{}", self.sort_key)
    }

    /// Says that the run begins, before anything is changed.
    pub(super) async fn begin(&self, admin: &Admin, table: &str) -> Result<(), CliError> {
        put(admin, table, &self.first).await
    }

    /// Says what came of it.
    pub(super) async fn end(
        &self,
        admin: &Admin,
        table: &str,
        run: &Run,
        error: Option<&CliError>,
    ) -> Result<(), CliError> {
        let mut end = item(&format!("{}#end", self.sort_key), now_ms());
        let account = serde_json::to_string(&run.account).unwrap_or_default();
        let stopped = serde_json::to_value(run.stopped).unwrap_or_default();
        let stopped = stopped.as_str().unwrap_or_default().to_owned();
        let error = error.map(|error| error.code.to_owned()).unwrap_or_default();
        for (name, value) in [("account", account), ("stopped", stopped), ("error", error)] {
            end.insert(name.to_owned(), ItemValue::Text(value));
        }
        put(admin, table, &end).await
    }
}

fn item(sort_key: &str, at_ms: i64) -> Item {
    Item::from([
        ("pk".to_owned(), ItemValue::Text(PARTITION.to_owned())),
        ("sk".to_owned(), ItemValue::Text(sort_key.to_owned())),
        ("at".to_owned(), ItemValue::Number(at_ms.to_string())),
    ])
}

/// A text of a person's, cut to what is kept, whole characters.
fn cut(mut text: String) -> String {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

async fn put(admin: &Admin, table: &str, item: &Item) -> Result<(), CliError> {
    let taken = match admin.put_new_item(table, item).await {
        Ok(true) => return Ok(()),
        Ok(false) => "there is one under its key already".to_owned(),
        Err(AdminError::NotFound { .. }) => format!("there is no table {table}"),
        Err(error) => error.to_string(),
    };
    Err(CliError::service(
        "audit_record",
        format!("the run's audit record could not be written: {taken}"),
        "Check --table, AWS_ENDPOINT_URL_DYNAMODB and the right to write. Nothing is lost: run it again.",
    ))
}
