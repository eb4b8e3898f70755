//! `tidemark model`: boosted trees that were trained elsewhere, into the control plane's table and out of it.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use terminal::clock::now_ms;
use terminal::error::{CliError, Exit};
use terminal::files::{self, Model};
use terminal::ui::{self, paint, shown};
use tidemark_aws::admin::{Admin, ControlPut, Expected};
use tidemark_domain::control::item::Fields;
use tidemark_domain::control::model::{MODEL_PREFIX, chunk_key, chunk_of};
use tidemark_domain::control::{Change, ControlItem, Stamp};
use tidemark_domain::trees::{CHUNKS_MAX, Chunk, TreeModel, TreeModelKey, split};

use super::args::ModelCommand;
use super::plane::Plane;
use super::{print, until};
use crate::models;

/// Chunks that a listing reads at most.
const LISTED_MAX: usize = 200 * CHUNKS_MAX;

/// Runs a verb. `login` is who is logged in.
///
/// # Errors
/// When a file is no model, or the table is not what it should be.
pub async fn run(admin: &Admin, command: &ModelCommand, login: Option<&str>, json: bool) -> Result<Exit, CliError> {
    match command {
        ModelCommand::Import { file, reason, plane } => {
            import(&Plane::new(admin, plane, login), file, reason.as_deref(), json).await
        }
        ModelCommand::Show { model, plane } => show(&Plane::new(admin, plane, login), model, json).await,
        ModelCommand::List { plane } => list(&Plane::new(admin, plane, login), json).await,
    }
}

/// What a model is, as a document.
fn document(key: TreeModelKey, model: &TreeModel, bytes: usize, chunks: usize) -> Value {
    let splits = model.splits();
    let features = model.features().iter().zip(&splits);
    let features: Vec<Value> = features
        .map(|(name, splits)| json!({ "name": name, "splits": splits }))
        .collect();
    json!({
        "model": key.to_string(), "trees": model.trees(), "depth": model.depth(), "nodes": model.nodes(), "bytes": bytes,
        "chunks": chunks, "base_margin": model.base_margin(), "features": features,
    })
}

/// The same for a person.
fn words(key: TreeModelKey, model: &TreeModel, bytes: usize, chunks: usize) -> String {
    let mut text = format!(
        "{} {key}\n  {} trees, {} splits deep, {} nodes, {} bytes in {}\n  {} features, and how often each splits:\n",
        paint(ui::HEADING, "model"),
        ui::grouped(model.trees() as u64),
        model.depth(),
        ui::grouped(model.nodes() as u64),
        ui::grouped(bytes as u64),
        if chunks == 1 {
            "one item".to_owned()
        } else {
            format!("{chunks} items")
        },
        model.features().len()
    );
    for (name, splits) in model.features().iter().zip(model.splits()) {
        let _ = writeln!(text, "    {name:<32} {splits:>6}");
    }
    text
}

fn in_a_policy(key: TreeModelKey) -> String {
    format!("in a policy, with these features among its own and without [points]:\n  [trees]\n  model = \"{key}\"\n")
}

/// A model as it goes into the table.
struct Import {
    key: TreeModelKey,
    stamp: Stamp,
    detail: String,
}

async fn import(plane: &Plane<'_>, file: &Path, reason: Option<&str>, json: bool) -> Result<Exit, CliError> {
    let Model { key, model } = files::model(file)?;
    let bytes = model.encode();
    let chunks = split(&bytes).map_err(|e| CliError::input("model_format", e, "Train fewer or smaller trees."))?;
    let name = file
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let default = format!("imported from {name}");
    let import = Import {
        key,
        stamp: plane.stamp(reason.unwrap_or(&default), now_ms()).await?,
        detail: format!(
            "model {key}, {} trees, {} features",
            model.trees(),
            model.features().len()
        ),
    };
    let written = store(plane, &import, &chunks).await?;
    let mut value = document(key, &model, bytes.len(), chunks.len());
    if let Some(value) = value.as_object_mut() {
        value.insert("changed".to_owned(), (written > 0).into());
        value.insert("chunks_written".to_owned(), written.into());
    }
    let mut text = words(key, &model, bytes.len(), chunks.len());
    text += &match written {
        0 => "it is in the table already, whole: nothing was written\n".to_owned(),
        all if all == chunks.len() => format!("it is in the table {} now\n", plane.table()),
        some => format!(
            "{some} of its {} items were not there, or damaged, and are there now\n",
            chunks.len()
        ),
    };
    text += &in_a_policy(key);
    Ok(print(json, &value, &text))
}

/// Writes the chunks that are not there as they should be, the first of the model last: whoever finds that one finds all of them. How
/// many were written.
async fn store(plane: &Plane<'_>, import: &Import, chunks: &[Chunk<'_>]) -> Result<usize, CliError> {
    let mut wanted: Vec<(&Chunk<'_>, Expected)> = Vec::new();
    for chunk in chunks.iter().rev() {
        let stored = plane.raw(&chunk_key(import.key, chunk.index)).await?;
        match stored {
            Some(fields) if is_chunk(chunk, &fields) => {}
            Some(fields) => wanted.push((chunk, Expected::AsRead(fields))),
            None => wanted.push((chunk, Expected::Absent)),
        }
    }
    let written = wanted.len();
    let last = wanted.pop();
    for (chunk, expected) in wanted {
        let put = ControlPut {
            sort: chunk_key(import.key, chunk.index),
            fields: chunk.to_fields(&import.stamp),
            expected,
        };
        // Somebody who imports the same model at the same time writes the same bytes.
        if !plane.put(&put).await? && !is_stored(plane, chunk).await? {
            return Err(plane.conflict(ControlItem::Model).await);
        }
    }
    if let Some((chunk, expected)) = last {
        let change = Change {
            item: ControlItem::Model,
            revision: import.key.0,
            action: "import".to_owned(),
            detail: import.detail.clone(),
            stamp: import.stamp.clone(),
        };
        let sort = chunk_key(import.key, chunk.index);
        let done = plane
            .change(&sort, chunk.to_fields(&import.stamp), expected, &change)
            .await;
        match done {
            Err(error) if error.code == "control_conflict" && is_stored(plane, chunk).await? => {}
            done => done?,
        }
    }
    Ok(written)
}

async fn is_stored(plane: &Plane<'_>, chunk: &Chunk<'_>) -> Result<bool, CliError> {
    let fields = plane.raw(&chunk_key(chunk.key, chunk.index)).await?;
    Ok(fields.is_some_and(|fields| is_chunk(chunk, &fields)))
}

fn is_chunk(chunk: &Chunk<'_>, fields: &Fields) -> bool {
    Chunk::from_fields(chunk.key, chunk.index, fields).as_ref() == Ok(chunk)
}

/// A model by its name, or of a file.
async fn show(plane: &Plane<'_>, model: &str, json: bool) -> Result<Exit, CliError> {
    let Some(key) = TreeModelKey::from_name(model) else {
        let Model { key, model } = files::model(Path::new(model))?;
        let bytes = model.encode();
        let chunks = bytes.len().div_ceil(tidemark_domain::trees::CHUNK_BYTES_MAX);
        let text = words(key, &model, bytes.len(), chunks) + &in_a_policy(key);
        return Ok(print(json, &document(key, &model, bytes.len(), chunks), &text));
    };
    let stored = models::fetch(plane.admin(), plane.table(), key).await;
    let stored = stored.map_err(|error| error.into_cli(|e| plane.failed(e)))?;
    let mut value = document(key, &stored.model.model, stored.bytes, stored.chunks);
    let mut text = words(key, &stored.model.model, stored.bytes, stored.chunks);
    if let Some(stamp) = Chunk::stamp_of(&stored.first) {
        text += &stamped(&stamp);
        if let Some(value) = value.as_object_mut() {
            value.insert("change".to_owned(), json!(stamp));
        }
    }
    text += &in_a_policy(key);
    Ok(print(json, &value, &text))
}

fn stamped(stamp: &Stamp) -> String {
    let at = until::show(stamp.at_ms);
    format!("  since {at} by {}: {}\n", shown(&stamp.who), shown(&stamp.reason))
}

/// The models in the table, by the first chunk of each.
async fn list(plane: &Plane<'_>, json: bool) -> Result<Exit, CliError> {
    let items = plane
        .admin()
        .control_items(plane.table(), MODEL_PREFIX, false, LISTED_MAX)
        .await
        .map_err(|e| plane.failed(&e))?;
    let (mut found, mut text) = (Vec::new(), String::new());
    for (sort, fields) in &items {
        let Some((key, 0)) = chunk_of(sort) else { continue };
        let chunks = Chunk::from_fields(key, 0, fields).ok().map(|chunk| chunk.count);
        let stamp = Chunk::stamp_of(fields);
        let _ = write!(
            text,
            "{key}  {} items",
            chunks.map_or_else(|| "?".to_owned(), |count| count.to_string())
        );
        text += &stamp.as_ref().map_or_else(|| "\n".to_owned(), stamped);
        found.push(json!({ "model": key.to_string(), "chunks": chunks, "change": stamp }));
    }
    if found.is_empty() {
        text += "no model is in the table; a policy of points or weights needs none\n";
    }
    Ok(print(json, &json!({ "models": found }), &text))
}
