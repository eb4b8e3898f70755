//! What transactions of version 3 say besides: an ip, the account, and since when that is open.
//!
//! All of it follows from the seed, the card and the device, and nothing is drawn: a stream with links has the events of one without.

use tidemark_domain::id::fingerprint64;

use super::SimConfig;
use super::draft::{Draft, STRANGER_DEVICE_FROM};

const DAY_MS: i64 = 86_400_000;
/// Cards of one account.
const CARDS_OF_ACCOUNT: u32 = 2;
/// An account is open for so many days at the most when the stream begins.
const OPEN_DAYS_MAX: u64 = 3_000;
/// Accounts behind one ip of a home, in the mean.
const ACCOUNTS_OF_IP: u32 = 3;
/// Strangers' devices behind so many ips.
const STRANGER_IPS: u32 = 5_000;
/// Shares are told in so many parts.
const SHARE_PARTS: u64 = 1_000_000;

/// The links of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Linked {
    /// The number of the ip, where a device was used.
    pub(super) ip: Option<Ip>,
    /// The number of the account.
    pub(super) account: u32,
    /// Since when it is open, ms since 1970-01-01T00:00:00Z.
    pub(super) opened_at_ms: i64,
}

/// Where a device was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ip {
    /// At some home.
    Home(u32),
    /// Elsewhere.
    Away(u32),
}

impl Linked {
    /// The links of a draft; `None` where its producer writes an older version.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    pub(super) fn of(config: &SimConfig, draft: &Draft) -> Option<Self> {
        let of_card = fingerprint64(&format!("links {} {}", config.seed, draft.card));
        let is_new = (of_card % SHARE_PARTS) as f64 / (SHARE_PARTS as f64) < config.link_share;
        if draft.legacy || !is_new {
            return None;
        }
        let account = draft.card / CARDS_OF_ACCOUNT;
        let of_account = fingerprint64(&format!("account {} {account}", config.seed));
        let homes = (config.cards / CARDS_OF_ACCOUNT / ACCOUNTS_OF_IP).max(1);
        let ip = draft.device.map(|device| {
            if u64::from(device) < STRANGER_DEVICE_FROM {
                Ip::Home((of_account % u64::from(homes)) as u32)
            } else {
                Ip::Away(device % STRANGER_IPS)
            }
        });
        let open_days = 1 + of_account / 7 % OPEN_DAYS_MAX;
        Some(Self {
            ip,
            account,
            opened_at_ms: config.now_ms - config.span_ms - open_days as i64 * DAY_MS,
        })
    }
}
