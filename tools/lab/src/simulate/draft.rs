//! What is drawn of an event, before its bytes are written.

use super::SimKind;
use super::world::Merchant;

/// Device numbers of strangers start here.
pub(super) const STRANGER_DEVICE_FROM: u64 = 1_000;

/// A transaction before it is written down.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) card: u32,
    pub(super) occurred_ms: i64,
    pub(super) amount_minor: u64,
    pub(super) merchant: Merchant,
    pub(super) mcc: u16,
    pub(super) channel: Channel,
    pub(super) approved: bool,
    /// The device's number: the card's own are 0 to 2, strangers' start at [`STRANGER_DEVICE_FROM`].
    pub(super) device: Option<u32>,
    pub(super) place_e4: Option<(i32, i32)>,
    /// Written as version 1.
    pub(super) legacy: bool,
    pub(super) kind: SimKind,
}

/// How the card was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    PointOfSale,
    Ecommerce,
    Atm,
    MailPhone,
    Recurring,
}

impl Channel {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::PointOfSale => "point_of_sale",
            Self::Ecommerce => "ecommerce",
            Self::Atm => "atm",
            Self::MailPhone => "mail_phone",
            Self::Recurring => "recurring",
        }
    }
}

/// A profile before it is written down.
#[derive(Clone, Debug)]
pub(super) struct ProfileDraft {
    pub(super) card: u32,
    pub(super) version: u64,
    pub(super) city: u8,
    pub(super) mean_minor: f64,
    pub(super) deviation_minor: f64,
    pub(super) per_day: f64,
    pub(super) opened_at_ms: i64,
    /// Something newer was sent before it.
    pub(super) outdated: bool,
}

/// A label before it is written down.
#[derive(Clone, Debug)]
pub(super) struct LabelDraft {
    /// The transaction's number; one that no transaction has for a label without its event.
    pub(super) of: u32,
    pub(super) card: u32,
    pub(super) fraud: bool,
    pub(super) known_since_ms: i64,
    /// Its event was never sent.
    pub(super) orphan: bool,
    /// Written as version 2, with what names its event.
    pub(super) names_event: bool,
}
