//! Keys beyond the card, whose labelled histories are kept.

use crate::catalogue::KeyName;

/// A key beyond the card: which member of a transaction names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyTerms {
    /// What features and outcomes call it.
    pub name: KeyName,
    /// The member.
    pub field: KeyField,
}

/// The member of a transaction that names a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyField {
    /// `merchant_id`.
    Merchant,
    /// `device_id`.
    Device,
}

impl KeyField {
    /// Every field.
    pub const ALL: [Self; 2] = [Self::Merchant, Self::Device];

    /// The member's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Merchant => "merchant_id",
            Self::Device => "device_id",
        }
    }
}
