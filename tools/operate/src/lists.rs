//! Lists in the control plane's table, for the verbs that need one: fetched part by part, and held against their names.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use terminal::error::CliError;
use tidemark_aws::admin::{Admin, AdminError};
use tidemark_domain::catalogue::KeyName;
use tidemark_domain::control::item::ItemError;
use tidemark_domain::control::lists::{LISTS, NamedList, NamedLists, list_key, list_part_bytes};
use tidemark_domain::lists::{List, ListError, ListManifest, ListPart, ListPartKey, ListTerms};
use tidemark_domain::policy::Policy;

/// Parts that are read at once.
const READS_AT_ONCE: usize = 16;

/// Why a list can't be had from the table.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoList {
    /// There is none of that name.
    #[error("there is no list `{0}` in the table")]
    Absent(KeyName),
    /// It is of something else than a policy says.
    #[error("the list `{name}` is of {found}, and the policy declares one of {declared}")]
    OtherKind {
        name: KeyName,
        found: &'static str,
        declared: &'static str,
    },
    /// The item that names the lists is not what it should be.
    #[error(transparent)]
    Item(ItemError),
    /// A part of it is not there.
    #[error("part {0} of the list is not in the table")]
    PartAbsent(ListPartKey),
    /// What is there is not the list.
    #[error("the list is damaged in the table: {0}")]
    Damaged(ListError),
    /// The table did not answer.
    #[error(transparent)]
    Unread(AdminError),
}

impl NoList {
    /// The error of a verb; `unread` says what a table is that does not answer.
    pub(crate) fn into_cli(self, unread: impl FnOnce(&AdminError) -> CliError) -> CliError {
        match self {
            Self::Absent(name) => CliError::refused(
                "list_unknown",
                format!("there is no list `{name}` in the table"),
                format!(
                    "Make it: tidemark list import {name} FILE --of KIND --reason TEXT, or tidemark list add {name} …"
                ),
            ),
            Self::OtherKind { .. } => CliError::refused(
                "list_kind",
                self,
                "A list is of one kind for ever: declare it as what it is, or make another one under another name.",
            ),
            Self::Item(error) => CliError::refused(
                "control_item",
                error,
                "Mend or delete the item (pk control, sk lists), then import the lists again; functions keep the last good copy until then.",
            ),
            Self::PartAbsent(_) | Self::Damaged(_) => CliError::refused(
                "list_damaged",
                self,
                "Import the list's file again, which writes what is lacking: tidemark list import NAME FILE --replace-damaged --reason TEXT.",
            ),
            Self::Unread(error) => unread(&error),
        }
    }
}

/// What the control plane says of lists.
pub(crate) async fn named(admin: &Admin, table: &str) -> Result<NamedLists, NoList> {
    let fields = admin.control_item(table, LISTS).await.map_err(NoList::Unread)?;
    let named = fields.map(|fields| NamedLists::from_fields(&fields)).transpose();
    Ok(named.map_err(NoList::Item)?.unwrap_or_default())
}

/// The bytes of a part or of a manifest.
pub(crate) async fn bytes(admin: &Admin, table: &str, key: ListPartKey) -> Result<Vec<u8>, NoList> {
    let fields = admin
        .control_item(table, &list_key(key))
        .await
        .map_err(NoList::Unread)?;
    let fields = fields.ok_or(NoList::PartAbsent(key))?;
    list_part_bytes(&fields).map(<[u8]>::to_vec).map_err(NoList::Item)
}

/// The bytes of many parts, in their order.
pub(crate) async fn all_bytes(
    admin: &Admin,
    table: &str,
    keys: impl IntoIterator<Item = ListPartKey>,
) -> Result<Vec<(ListPartKey, Vec<u8>)>, NoList> {
    let reads = keys
        .into_iter()
        .map(|key| async move { Ok((key, bytes(admin, table, key).await?)) });
    stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await
}

/// The manifest of a list.
pub(crate) async fn manifest(admin: &Admin, table: &str, list: &NamedList) -> Result<ListManifest, NoList> {
    let bytes = bytes(admin, table, list.manifest).await?;
    ListManifest::decode(list.manifest, &bytes).map_err(NoList::Damaged)
}

/// The list that a policy declares.
pub(crate) fn declared(named: &NamedLists, terms: ListTerms) -> Result<&NamedList, NoList> {
    let list = named.find(terms.name).ok_or(NoList::Absent(terms.name))?;
    if list.of == terms.of {
        return Ok(list);
    }
    Err(NoList::OtherKind {
        name: terms.name,
        found: list.of.as_str(),
        declared: terms.of.as_str(),
    })
}

/// A policy with the lists that it declares, as the table has them now.
pub(crate) async fn with_lists(admin: &Admin, table: &str, policy: Policy) -> Result<Policy, NoList> {
    if policy.lists.terms().is_empty() {
        return Ok(policy);
    }
    let named = named(admin, table).await?;
    let mut found: Vec<(KeyName, Arc<List>)> = Vec::new();
    for terms in policy.lists.terms() {
        let manifest = manifest(admin, table, declared(&named, *terms)?).await?;
        let parts = all_bytes(admin, table, manifest.parts()).await?;
        let parts = parts
            .iter()
            .map(|(key, bytes)| ListPart::decode(*key, terms.of, bytes).map(Arc::new));
        let parts = parts.collect::<Result<Vec<_>, _>>().map_err(NoList::Damaged)?;
        let list = List::of_parts(&manifest, parts).map_err(NoList::Damaged)?;
        found.push((terms.name, Arc::new(list)));
    }
    Ok(policy.with_lists(|name| {
        found
            .iter()
            .find(|(other, _)| *other == name)
            .map(|(_, list)| Arc::clone(list))
    }))
}
