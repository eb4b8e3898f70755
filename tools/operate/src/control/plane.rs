//! The control plane in the table, for the verbs: read, change under a condition, and say who was first.

use std::fmt::Display;

use terminal::error::CliError;
use terminal::ui::{self, shown};
use terminal::{files, operator};
use tidemark_aws::admin::{Admin, AdminError, ControlPut, Expected};
use tidemark_domain::control::item::{ACTIVE, Fields, change_key, policy_key};
use tidemark_domain::control::{ActivePointer, Change, ControlItem, OWN_POLICY, PolicyVersion, Stamp};
use tidemark_domain::lists::LISTED_ENTRIES_MAX;
use tidemark_domain::policy::Policy;

use super::args::{PlaneArgs, StreamArgs};
use crate::places::PrefixArg;
use crate::{lists, models};

/// What is stored of an item: absent, readable, or broken by hand.
pub(super) enum Stored<T> {
    Absent,
    Good(T, Fields),
    Broken(Fields),
}

impl<T> Stored<T> {
    pub(super) fn good(&self) -> Option<&T> {
        match self {
            Self::Good(item, _) => Some(item),
            Self::Absent | Self::Broken(_) => None,
        }
    }

    /// What a change of it must find.
    pub(super) fn expected(&self) -> Expected {
        match self {
            Self::Absent => Expected::Absent,
            Self::Good(_, read) | Self::Broken(read) => Expected::AsRead(read.clone()),
        }
    }
}

/// A table, and the operator at it.
pub(super) struct Plane<'a> {
    admin: &'a Admin,
    table: String,
    deployment: &'a PrefixArg,
    who: Option<&'a str>,
    login: Option<&'a str>,
}

impl<'a> Plane<'a> {
    pub(super) fn new(admin: &'a Admin, args: &'a PlaneArgs, login: Option<&'a str>) -> Self {
        Self {
            admin,
            table: args.table(),
            deployment: &args.deployment,
            who: args.who.as_deref(),
            login,
        }
    }

    pub(super) fn admin(&self) -> &Admin {
        self.admin
    }

    pub(super) fn table(&self) -> &str {
        &self.table
    }

    /// The name of the stream of transactions.
    pub(super) fn stream(&self, args: &StreamArgs) -> String {
        self.deployment.name(args.stream.as_ref(), "transactions")
    }

    /// Who changes something now, and why.
    pub(super) async fn stamp(&self, reason: &str, now_ms: i64) -> Result<Stamp, CliError> {
        let Some(who) = operator::who(self.admin, self.who, self.login).await else {
            return Err(CliError::usage(
                "operator",
                "nobody is known to make this change: AWS names no caller, and nobody is logged in here",
                "Say who with --who NAME.",
            ));
        };
        Stamp::new(now_ms, &who, reason).map_err(|error| {
            CliError::usage(
                "operator",
                error,
                "Every change is kept for ever with who and why: see --who and --reason.",
            )
        })
    }

    /// Reads an item; one that was broken by hand is said to be so.
    pub(super) async fn read<T, E: Display>(
        &self,
        sort: &str,
        decode: impl Fn(&Fields) -> Result<T, E>,
    ) -> Result<Stored<T>, CliError> {
        let fields = self
            .admin
            .control_item(&self.table, sort)
            .await
            .map_err(|e| self.failed(&e))?;
        let Some(fields) = fields else {
            return Ok(Stored::Absent);
        };
        Ok(match decode(&fields) {
            Ok(item) => Stored::Good(item, fields),
            Err(error) => {
                ui::note(&format!("{error}: the functions go on with their last good copy"));
                Stored::Broken(fields)
            }
        })
    }

    pub(super) async fn pointer(&self) -> Result<Stored<ActivePointer>, CliError> {
        self.read(ACTIVE, ActivePointer::from_fields).await
    }

    /// The policy in force: the published one that is active, or the built-in one where none is.
    pub(super) async fn in_force(&self) -> Result<Policy, CliError> {
        match self.pointer().await? {
            Stored::Absent => Ok(Policy::default_policy()),
            Stored::Good(pointer, _) => self.usable(pointer.active).await,
            Stored::Broken(_) => Err(CliError::refused(
                "control_item",
                "the item that names the policy in force can't be read",
                "Activate a policy to write it anew, or give the policy's file with --policy.",
            )),
        }
    }

    /// A published policy.
    pub(super) async fn published(&self, version: u32) -> Result<Option<PolicyVersion>, CliError> {
        let fields = self
            .admin
            .control_item(&self.table, &policy_key(version))
            .await
            .map_err(|e| self.failed(&e))?;
        let decode = |fields: Fields| {
            PolicyVersion::from_fields(version, &fields).map_err(|error| {
                CliError::refused(
                    "control_item",
                    error,
                    "A published policy is never changed: publish the text under a new version.",
                )
            })
        };
        fields.map(decode).transpose()
    }

    /// A policy that can be put in force: published and sound. [`OWN_POLICY`] is taken for the built-in one.
    pub(super) async fn usable(&self, version: u32) -> Result<Policy, CliError> {
        if version == OWN_POLICY {
            return Ok(Policy::default_policy());
        }
        let Some(published) = self.published(version).await? else {
            let what = format!("version {version} was never published");
            return Err(CliError::refused(
                "policy_unknown",
                what,
                "Publish it first: tidemark policy publish FILE --reason TEXT.",
            ));
        };
        let policy = self.policy_of(&published.text, &format!("policy {version}")).await;
        policy.map_err(|error| match error.code {
            "policy" => CliError {
                advice: "Publish a sound text under a new version.".to_owned(),
                ..error
            },
            _ => error,
        })
    }

    /// The policy of a text, with the model of trees that it names as the table has it.
    pub(super) async fn policy_of(&self, text: &str, name: &str) -> Result<Policy, CliError> {
        let model = models::of_text(self.admin, &self.table, text).await;
        let model = model.map_err(|error| error.into_cli(|e| self.failed(e)))?;
        files::parsed(text, name, model.as_ref())
    }

    /// Whether the lists that a policy declares are in the table, are of what it says, and fit a function together.
    pub(super) async fn check_lists(&self, policy: &Policy) -> Result<(), CliError> {
        if policy.lists.terms().is_empty() {
            return Ok(());
        }
        let failed = |error: lists::NoList| error.into_cli(|error| self.failed(error));
        let named = lists::named(self.admin, &self.table).await.map_err(failed)?;
        let mut entries = 0;
        for terms in policy.lists.terms() {
            entries += lists::declared(&named, *terms).map_err(failed)?.entries;
        }
        if entries > LISTED_ENTRIES_MAX as u64 {
            return Err(CliError::refused(
                "list_limit",
                format!(
                    "the policy's lists have {entries} entries together, and a function holds {LISTED_ENTRIES_MAX}"
                ),
                "Declare fewer lists, or take entries out of them.",
            ));
        }
        Ok(())
    }

    /// What is stored of an item, unread.
    pub(super) async fn raw(&self, sort: &str) -> Result<Option<Fields>, CliError> {
        let fields = self.admin.control_item(&self.table, sort).await;
        fields.map_err(|e| self.failed(&e))
    }

    /// Writes an item, and no change; `false`: it is not what was expected.
    pub(super) async fn put(&self, put: &ControlPut) -> Result<bool, CliError> {
        let written = self.admin.write_control(&self.table, std::slice::from_ref(put)).await;
        written.map_err(|e| self.failed(&e))
    }

    /// Writes an item with its change, both or neither, if the item is still what it was when it was read.
    pub(super) async fn change(
        &self,
        sort: &str,
        fields: Fields,
        expected: Expected,
        change: &Change,
    ) -> Result<(), CliError> {
        let puts = [
            ControlPut {
                sort: sort.to_owned(),
                fields: fields.clone(),
                expected,
            },
            ControlPut {
                sort: change_key(change),
                fields: change.to_fields(),
                expected: Expected::Absent,
            },
        ];
        match self.admin.write_control(&self.table, &puts).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.conflict(change.item).await),
            // Nobody knows whether it was written: the item itself tells.
            Err(error) if error.is_transient() => {
                let now = self
                    .admin
                    .control_item(&self.table, sort)
                    .await
                    .map_err(|e| self.failed(&e))?;
                if now.as_ref() == Some(&fields) {
                    Ok(())
                } else {
                    Err(self.failed(&error))
                }
            }
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Somebody else was first: who, and what they did.
    pub(super) async fn conflict(&self, item: ControlItem) -> CliError {
        let newest = self
            .admin
            .control_items(&self.table, tidemark_domain::control::item::CHANGE_PREFIX, true, 20)
            .await;
        let theirs = newest.ok().and_then(|list| {
            let mut changes = list.iter().filter_map(|(_, fields)| Change::from_fields(fields).ok());
            changes.find(|change| change.item == item)
        });
        let by = theirs.map_or_else(String::new, |change| {
            format!(
                ": {} ({}) by {}, because: {}",
                shown(&change.action),
                shown(&change.detail),
                shown(&change.stamp.who),
                shown(&change.stamp.reason)
            )
        });
        CliError::refused(
            "control_conflict",
            format!(
                "somebody else changed {} first; nothing was changed by you{by}",
                item.as_str()
            ),
            "Look at tidemark policy history, and do it again if it is still right.",
        )
    }

    pub(super) fn failed(&self, error: &AdminError) -> CliError {
        CliError::service(
            "control_table",
            format!("the control plane in table {}: {error}", self.table),
            "Check --table, AWS_ENDPOINT_URL, AWS_REGION and credentials; nothing was changed unless history says so.",
        )
    }
}
