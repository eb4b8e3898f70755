//! The control plane's items: keys, attributes, and reading them when somebody wrote them by hand.
//!
//! ```text
//! pk (S)     sk (S)                          attributes
//! control    active                          rev (N), active (N), previous (N)?, candidate (N)?, share (N)?, at (N), who (S), reason (S)
//! control    mode                            rev (N), mode (S), age (N)?, at, who, reason
//! control    overrides                       rev (N), list (S: JSON array), ended (S: JSON array)?, at, who, reason
//! control    policy#<version, 10 digits>     rev (N: the version), text (S), hash (S), at, who, reason
//! control    model#<name>#<place, 5 digits>   rev (N: 1), count (N), bytes (B), at, who, reason
//! control    lists                           rev (N), list (S: JSON array), at, who, reason
//! control    list#<name of a part or of a manifest>   rev (N: 1), bytes (B), at, who, reason
//! control    maps                            rev (N), list (S: JSON array), mends (S: JSON array), since (N)?, at, who, reason
//! control    map#<version, 16 digits>        rev (N: 1), text (S), salt (S: its mark)?, at, who, reason
//! control    history#<ms, 15 digits>#<item>-<revision>   item (S), rev (N), action (S), detail (S), at, who, reason
//! ```
//! Each item is judged by itself: one that can't be read keeps its last good copy in force and does not touch the others.

use std::collections::BTreeMap;

use super::{
    ActivePointer, Change, ControlItem, EndedOverride, Mode, ModeSetting, Override, Overrides, PolicyVersion, Rollout,
    Stamp, text_hash,
};
use super::{ENDED_OVERRIDES_MAX, OVERRIDES_MAX, POLICY_TEXT_BYTES_MAX};
use crate::id::CardId;

/// The partition of every item of the control plane.
pub const PARTITION: &str = "control";
/// Sort key of the pointer.
pub const ACTIVE: &str = "active";
/// Sort key of the mode.
pub const MODE: &str = "mode";
/// Sort key of the overrides.
pub const OVERRIDES: &str = "overrides";
/// How the sort keys of policies begin.
pub const POLICY_PREFIX: &str = "policy#";
/// How the sort keys of changes begin.
pub const CHANGE_PREFIX: &str = "history#";
/// Attribute: the revision that the next change must name.
pub const REVISION: &str = "rev";

/// The sort key of a policy: with leading zeros, so that text order is number order.
#[must_use]
pub fn policy_key(version: u32) -> String {
    format!("{POLICY_PREFIX}{version:010}")
}

/// The sort key of a change. An item has each revision once, so that no two changes share a key.
#[must_use]
pub fn change_key(change: &Change) -> String {
    let at_ms = change.stamp.at_ms.clamp(0, 999_999_999_999_999);
    format!(
        "{CHANGE_PREFIX}{at_ms:015}#{}-{}",
        change.item.as_str(),
        change.revision
    )
}

/// An attribute's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// Text.
    Text(String),
    /// A number, as DynamoDB writes it.
    Number(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A type that no item of ours has, by its name.
    Other(&'static str),
}

/// An item's attributes without its keys.
pub type Fields = BTreeMap<String, Field>;

/// Why an item can't be read: which one, which attribute, what was expected. Never a value (I9).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("control item {item}: {attribute}: {problem}")]
pub struct ItemError {
    /// Which item.
    pub item: &'static str,
    /// Which attribute.
    pub attribute: &'static str,
    /// What was found in place of what.
    pub problem: String,
}

pub(super) struct Reader<'a> {
    pub(super) item: &'static str,
    pub(super) fields: &'a Fields,
}

impl<'f> Reader<'f> {
    pub(super) fn bytes(&self, attribute: &'static str) -> Result<&'f [u8], ItemError> {
        match self.fields.get(attribute) {
            Some(Field::Bytes(bytes)) => Ok(bytes),
            Some(_) => Err(self.error(attribute, "expected bytes (B), found another type")),
            None => Err(self.error(attribute, "expected bytes (B), found nothing")),
        }
    }
}

impl Reader<'_> {
    pub(super) fn error(&self, attribute: &'static str, problem: impl Into<String>) -> ItemError {
        ItemError {
            item: self.item,
            attribute,
            problem: problem.into(),
        }
    }

    pub(super) fn text(&self, attribute: &'static str) -> Result<&str, ItemError> {
        match self.fields.get(attribute) {
            Some(Field::Text(text)) => Ok(text),
            Some(Field::Number(_)) => Err(self.error(attribute, "expected a text (S), found a number (N)")),
            Some(Field::Bytes(_)) => Err(self.error(attribute, "expected a text (S), found bytes (B)")),
            Some(Field::Other(found)) => Err(self.error(attribute, format!("expected a text (S), found {found}"))),
            None => Err(self.error(attribute, "expected a text (S), found nothing")),
        }
    }

    pub(super) fn number<N: std::str::FromStr>(&self, attribute: &'static str) -> Result<N, ItemError> {
        let expected = || format!("expected a whole number (N) of type {}", std::any::type_name::<N>());
        match self.fields.get(attribute) {
            Some(Field::Number(digits)) => digits.parse().map_err(|_| self.error(attribute, expected())),
            Some(Field::Text(_)) => Err(self.error(attribute, expected() + ", found a text (S)")),
            Some(Field::Bytes(_)) => Err(self.error(attribute, expected() + ", found bytes (B)")),
            Some(Field::Other(found)) => Err(self.error(attribute, format!("{}, found {found}", expected()))),
            None => Err(self.error(attribute, expected() + ", found nothing")),
        }
    }

    pub(super) fn optional<N: std::str::FromStr>(&self, attribute: &'static str) -> Result<Option<N>, ItemError> {
        match self.fields.contains_key(attribute) {
            true => self.number(attribute).map(Some),
            false => Ok(None),
        }
    }

    /// A JSON array; `of` says what of.
    pub(super) fn json<T: serde::de::DeserializeOwned>(
        &self,
        attribute: &'static str,
        of: &str,
    ) -> Result<Vec<T>, ItemError> {
        serde_json::from_str(self.text(attribute)?).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            self.error(attribute, format!("expected a JSON array of {of} ({place})"))
        })
    }

    /// A JSON array of overrides of one kind.
    fn overrides<T: serde::de::DeserializeOwned>(
        &self,
        attribute: &'static str,
        count_max: usize,
        card: impl Fn(&T) -> &CardId,
    ) -> Result<Vec<T>, ItemError> {
        let list: Vec<T> = self.json(attribute, "overrides")?;
        if list.len() > count_max {
            return Err(self.error(attribute, format!("expected at most {count_max} overrides")));
        }
        // A deserialized id is whatever the text was.
        if list.iter().any(|found| CardId::new(card(found).as_str()).is_none()) {
            return Err(self.error(attribute, "expected card ids of 1 to 128 bytes"));
        }
        Ok(list)
    }

    pub(super) fn revision(&self) -> Result<u64, ItemError> {
        match self.number(REVISION)? {
            0 => Err(self.error(REVISION, "expected at least 1")),
            revision => Ok(revision),
        }
    }

    pub(super) fn stamp(&self) -> Result<Stamp, ItemError> {
        Ok(Stamp {
            at_ms: self.number("at")?,
            who: self.text("who")?.to_owned(),
            reason: self.text("reason")?.to_owned(),
        })
    }
}

pub(super) fn fields<const N: usize>(revision: u64, stamp: &Stamp, own: [(&str, Field); N]) -> Fields {
    let text = |text: &str| Field::Text(text.to_owned());
    let common = [
        (REVISION, Field::Number(revision.to_string())),
        ("at", Field::Number(stamp.at_ms.to_string())),
        ("who", text(&stamp.who)),
        ("reason", text(&stamp.reason)),
    ];
    let all = common.into_iter().chain(own);
    all.map(|(name, field)| (name.to_owned(), field)).collect()
}

impl ActivePointer {
    /// As it is stored.
    #[must_use]
    pub fn to_fields(&self) -> Fields {
        let number = |number: u32| Field::Number(number.to_string());
        let mut fields = fields(self.revision, &self.stamp, [("active", number(self.active))]);
        if let Some(previous) = self.previous {
            fields.insert("previous".to_owned(), number(previous));
        }
        if let Some(rollout) = self.rollout {
            fields.insert("candidate".to_owned(), number(rollout.candidate));
            fields.insert("share".to_owned(), number(rollout.share_pct.into()));
        }
        fields
    }

    /// Reads what is stored.
    ///
    /// # Errors
    /// Which attribute is not what it should be.
    pub fn from_fields(fields: &Fields) -> Result<Self, ItemError> {
        let reader = Reader { item: ACTIVE, fields };
        let share: Option<u8> = reader.optional("share")?;
        let candidate: Option<u32> = reader.optional("candidate")?;
        let rollout = match (candidate, share) {
            (Some(candidate), Some(share_pct @ 1..=100)) => Some(Rollout { candidate, share_pct }),
            (None | Some(_), None | Some(0)) => None,
            (None, Some(_)) => return Err(reader.error("candidate", "expected a version, since there is a share")),
            (Some(_), Some(_)) => return Err(reader.error("share", "expected 0 to 100 percent")),
        };
        Ok(Self {
            revision: reader.revision()?,
            active: reader.number("active")?,
            previous: reader.optional("previous")?,
            rollout,
            stamp: reader.stamp()?,
        })
    }
}

impl ModeSetting {
    /// As it is stored.
    #[must_use]
    pub fn to_fields(&self) -> Fields {
        let mode = Field::Text(self.mode.as_str().to_owned());
        let mut fields = fields(self.revision, &self.stamp, [("mode", mode)]);
        if let Some(age_s) = self.record_age_s {
            fields.insert("age".to_owned(), Field::Number(age_s.to_string()));
        }
        fields
    }

    /// Reads what is stored.
    ///
    /// # Errors
    /// Which attribute is not what it should be.
    pub fn from_fields(fields: &Fields) -> Result<Self, ItemError> {
        let reader = Reader { item: MODE, fields };
        let mode = Mode::from_name(reader.text("mode")?)
            .ok_or_else(|| reader.error("mode", "expected live, shadow, paused or degraded"))?;
        Ok(Self {
            revision: reader.revision()?,
            mode,
            // The functions don't ask for it: a damaged one must not hold up a change of mode.
            record_age_s: reader.optional("age").unwrap_or_default(),
            stamp: reader.stamp()?,
        })
    }
}

impl Overrides {
    /// As they are stored, with the change that made them so.
    #[must_use]
    pub fn to_fields(&self, stamp: &Stamp) -> Fields {
        // Texts and numbers only: they are always JSON.
        let list = serde_json::to_string(self.list()).unwrap_or_default();
        let mut fields = fields(self.revision, stamp, [("list", Field::Text(list))]);
        // An attribute of its own: releases that know none of it go on reading the list.
        if !self.ended().is_empty() {
            let ended = serde_json::to_string(self.ended()).unwrap_or_default();
            fields.insert("ended".to_owned(), Field::Text(ended));
        }
        fields
    }

    /// Reads what is stored.
    ///
    /// # Errors
    /// Which attribute is not what it should be.
    pub fn from_fields(fields: &Fields) -> Result<Self, ItemError> {
        let reader = Reader {
            item: OVERRIDES,
            fields,
        };
        let list: Vec<Override> = reader.overrides("list", OVERRIDES_MAX, |found: &Override| &found.card_id)?;
        let ended = match fields.contains_key("ended") {
            true => reader.overrides("ended", ENDED_OVERRIDES_MAX, |found: &EndedOverride| &found.card_id)?,
            false => Vec::new(),
        };
        Ok(Self::new(reader.revision()?, list).with_ended(ended))
    }
}

impl PolicyVersion {
    /// As it is stored.
    #[must_use]
    pub fn to_fields(&self) -> Fields {
        let own = [
            ("text", Field::Text(self.text.clone())),
            ("hash", Field::Text(self.hash())),
        ];
        fields(self.version.into(), &self.stamp, own)
    }

    /// Reads what is stored under `version`. The text itself is not checked here: [`crate::policy::Policy::parse`] does.
    ///
    /// # Errors
    /// Which attribute is not what it should be.
    pub fn from_fields(version: u32, fields: &Fields) -> Result<Self, ItemError> {
        let reader = Reader { item: "policy", fields };
        let text = reader.text("text")?;
        if text.len() > POLICY_TEXT_BYTES_MAX {
            return Err(reader.error("text", format!("expected at most {POLICY_TEXT_BYTES_MAX} bytes")));
        }
        if reader.text("hash")? != text_hash(text) {
            return Err(reader.error("hash", "expected the hash of the text: one of them was changed by hand"));
        }
        if reader.number::<u32>(REVISION)? != version {
            return Err(reader.error(REVISION, "expected the version of its key"));
        }
        Ok(Self {
            version,
            text: text.to_owned(),
            stamp: reader.stamp()?,
        })
    }
}

impl Change {
    /// As it is stored.
    #[must_use]
    pub fn to_fields(&self) -> Fields {
        let text = |text: &str| Field::Text(text.to_owned());
        let own = [
            ("item", text(self.item.as_str())),
            ("action", text(&self.action)),
            ("detail", text(&self.detail)),
        ];
        fields(self.revision, &self.stamp, own)
    }

    /// Reads what is stored.
    ///
    /// # Errors
    /// Which attribute is not what it should be.
    pub fn from_fields(fields: &Fields) -> Result<Self, ItemError> {
        let reader = Reader {
            item: "history",
            fields,
        };
        let item = reader.text("item")?;
        let item = ControlItem::ALL.into_iter().find(|kind| kind.as_str() == item);
        Ok(Self {
            item: item.ok_or_else(|| {
                reader.error(
                    "item",
                    "expected active, mode, overrides, policy, model, lists, maps or map",
                )
            })?,
            revision: reader.number(REVISION)?,
            action: reader.text("action")?.to_owned(),
            detail: reader.text("detail")?.to_owned(),
            stamp: reader.stamp()?,
        })
    }
}
