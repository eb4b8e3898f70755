//! Models of trees in the control plane's table, for the verbs that need one: fetched whole, and held against their names.

use std::sync::Arc;

use terminal::error::CliError;
use terminal::files::{self, Model};
use tidemark_aws::admin::{Admin, AdminError};
use tidemark_domain::control::item::{Fields, ItemError};
use tidemark_domain::control::model::chunk_key;
use tidemark_domain::policy::Policy;
use tidemark_domain::trees::{CHUNKS_MAX, Chunk, ChunkError, DecodeError, TreeModel, TreeModelKey, join};

/// Why a model can't be had from the table.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoModel {
    /// There is none of that name.
    #[error("the model {0} is not in the table")]
    Absent(TreeModelKey),
    /// What is there is not the model.
    #[error("the model {0} is damaged in the table: {1}")]
    Damaged(TreeModelKey, Damage),
    /// The table did not answer.
    #[error(transparent)]
    Unread(AdminError),
}

/// What is wrong with it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Damage {
    #[error(transparent)]
    Item(ItemError),
    #[error(transparent)]
    Chunks(ChunkError),
    #[error(transparent)]
    Bytes(DecodeError),
}

impl NoModel {
    /// The error of a verb; `unread` says what a table is that does not answer.
    pub(crate) fn into_cli(self, unread: impl FnOnce(&AdminError) -> CliError) -> CliError {
        let advice = "Import it: tidemark model import FILE.";
        match self {
            Self::Absent(_) => CliError::refused("model_unknown", self, advice),
            Self::Damaged(..) => CliError::refused(
                "model_damaged",
                self,
                "Import the same file again, which mends what is damaged: tidemark model import FILE.",
            ),
            Self::Unread(error) => unread(&error),
        }
    }
}

/// A model as the table has it.
pub(crate) struct Stored {
    pub(crate) model: Model,
    pub(crate) bytes: usize,
    pub(crate) chunks: usize,
    /// What is stored of its first chunk.
    pub(crate) first: Fields,
}

/// Fetches a model.
pub(crate) async fn fetch(admin: &Admin, table: &str, key: TreeModelKey) -> Result<Stored, NoModel> {
    let mut items: Vec<Fields> = Vec::new();
    let mut count = 1;
    while items.len() < count {
        // Chunks are few.
        let index = u16::try_from(items.len()).unwrap_or(u16::MAX);
        let fields = admin.control_item(table, &chunk_key(key, index)).await;
        let fields = match fields.map_err(NoModel::Unread)? {
            Some(fields) => fields,
            None if index == 0 => return Err(NoModel::Absent(key)),
            None => return Err(NoModel::Damaged(key, Damage::Chunks(ChunkError::Missing(index)))),
        };
        let chunk = Chunk::from_fields(key, index, &fields).map_err(|e| NoModel::Damaged(key, Damage::Item(e)))?;
        count = usize::from(chunk.count).min(CHUNKS_MAX);
        items.push(fields);
    }
    let chunks = (0..)
        .zip(&items)
        .map(|(index, fields)| Chunk::from_fields(key, index, fields));
    let chunks: Vec<Chunk<'_>> = chunks
        .collect::<Result<_, _>>()
        .map_err(|e| NoModel::Damaged(key, Damage::Item(e)))?;
    let bytes = join(key, &chunks).map_err(|e| NoModel::Damaged(key, Damage::Chunks(e)))?;
    let model = TreeModel::decode(&bytes).map_err(|e| NoModel::Damaged(key, Damage::Bytes(e)))?;
    Ok(Stored {
        model: Model {
            key,
            model: Arc::new(model),
        },
        bytes: bytes.len(),
        chunks: chunks.len(),
        first: items.swap_remove(0),
    })
}

/// The model that a policy's text names, from the table; `None` where it names none.
pub(crate) async fn of_text(admin: &Admin, table: &str, text: &str) -> Result<Option<Model>, NoModel> {
    match Policy::model_named(text) {
        None => Ok(None),
        Some(named) => Ok(Some(fetch(admin, table, named.key).await?.model)),
    }
}

/// The policy of a published text, with the model that it names; `None`: it can't be had.
pub(crate) async fn published(admin: &Admin, table: &str, text: &str) -> Option<Policy> {
    let model = of_text(admin, table, text).await.ok()?;
    files::parsed(text, "published", model.as_ref()).ok()
}
