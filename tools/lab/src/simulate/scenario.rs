//! Fraud that no single card shows: a terminal, a device or a merchant is bad for a time of random length, and many cards meet it.
//!
//! Each scenario turns ordinary transactions that were drawn already into fraud, so that a stream has as many records with it as
//! without. How long a bout lasts and how many cards it meets are random; nothing repeats with a period.

use std::collections::HashMap;

use super::draft::{Channel, Draft, STRANGER_DEVICE_FROM};
use super::world::{Card, Merchant};
use super::{HOUR_MS, MINUTE_MS, SECOND_MS, SimKind};
use crate::dice::Dice;

const DAY_MS: i64 = 24 * HOUR_MS;
/// Devices that anybody may use (a café's, a library's) start here.
const PUBLIC_DEVICE_FROM: u64 = STRANGER_DEVICE_FROM + 2_000_000;
/// How many of them there are for each thousand transactions.
const PUBLIC_DEVICES_PER_THOUSAND: usize = 2;
/// Devices of rings start here.
const RING_DEVICE_FROM: u64 = STRANGER_DEVICE_FROM + 3_000_000;
/// Share of ordinary online transactions that come from such a device.
const PUBLIC_DEVICE_SHARE: f64 = 0.05;
/// A terminal is worth tampering with when at least so many transactions meet it while it is bad.
const TERMINAL_EVENTS_MIN: usize = 4;
/// Bouts that are drawn at most for each fraud that is asked for: a stream without room ends with less.
const DRAWS_PER_FRAUD_MAX: usize = 20;

/// A kind of fraud that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    /// Terminals that were tampered with: much of what is paid there is fraud, and looks like its card.
    Terminals,
    /// Rings of fraudsters, who use stolen cards from a few devices.
    Rings,
    /// Campaigns of card testing: bursts of small amounts at one merchant, on many cards.
    Testing,
}

impl Scenario {
    /// Every scenario.
    pub const ALL: [Self; 3] = [Self::Terminals, Self::Rings, Self::Testing];

    /// Its name on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Terminals => "terminals",
            Self::Rings => "rings",
            Self::Testing => "testing",
        }
    }

    /// The scenario of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scenario| scenario.as_str() == name)
    }

    /// Share of the transactions that it turns into fraud.
    const fn share(self) -> f64 {
        match self {
            Self::Terminals => 0.014,
            Self::Rings => 0.008,
            Self::Testing => 0.008,
        }
    }
}

/// Turns transactions into fraud, a scenario after the other; `factor` times as many as usual.
pub(super) fn draw((scenarios, factor): (&[Scenario], f64), cards: &[Card], drafts: &mut [Draft], dice: &mut Dice) {
    if scenarios.is_empty() || drafts.is_empty() {
        return;
    }
    let mut world = World {
        cards,
        by_merchant: by_merchant(drafts),
        end_ms: drafts.iter().map(|draft| draft.occurred_ms).max().unwrap_or_default(),
        public: (drafts.len() * PUBLIC_DEVICES_PER_THOUSAND / 1_000).max(1) as u64,
        drafts,
        dice,
    };
    world.share_devices();
    for scenario in scenarios {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let mut left = (world.drafts.len() as f64 * scenario.share() * factor) as usize;
        for _ in 0..left * DRAWS_PER_FRAUD_MAX {
            if left == 0 {
                break;
            }
            let made = match scenario {
                Scenario::Terminals => world.terminal(left),
                Scenario::Rings => world.ring(left),
                Scenario::Testing => world.campaign(left),
            };
            left -= made.min(left);
        }
    }
}

fn by_merchant(drafts: &[Draft]) -> HashMap<(u8, u16), Vec<u32>> {
    let mut found: HashMap<(u8, u16), Vec<u32>> = HashMap::new();
    for (at, draft) in (0_u32..).zip(drafts) {
        let merchant = (draft.merchant.city, draft.merchant.number);
        found.entry(merchant).or_default().push(at);
    }
    found
}

struct World<'a> {
    cards: &'a [Card],
    drafts: &'a mut [Draft],
    by_merchant: HashMap<(u8, u16), Vec<u32>>,
    /// The last moment of the stream.
    end_ms: i64,
    public: u64,
    dice: &'a mut Dice,
}

impl World<'_> {
    /// Some ordinary transactions come from devices that others use, too.
    fn share_devices(&mut self) {
        for at in 0..self.drafts.len() {
            let is_online = self.drafts[at].device.is_some() && self.drafts[at].kind == SimKind::Ordinary;
            if is_online && self.dice.chance(PUBLIC_DEVICE_SHARE) {
                self.drafts[at].device = Some(self.public_device());
            }
        }
    }

    fn public_device(&mut self) -> u32 {
        device(PUBLIC_DEVICE_FROM + self.dice.below(self.public))
    }

    /// How long a bout lasts.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    fn duration(&mut self, mean_ms: i64, (least_ms, most_ms): (i64, i64)) -> i64 {
        (self.dice.exponential(mean_ms as f64) as i64).clamp(least_ms, most_ms)
    }

    /// An ordinary transaction; `None` when a few draws meet none.
    fn ordinary(&mut self) -> Option<usize> {
        (0..8)
            .map(|_| self.dice.index(self.drafts.len()))
            .find(|at| self.drafts[*at].kind == SimKind::Ordinary)
    }

    /// From some transaction on, its terminal is bad.
    fn terminal(&mut self, left: usize) -> usize {
        let Some(first) = self.ordinary() else { return 0 };
        let from_ms = self.drafts[first].occurred_ms;
        let until_ms = from_ms + self.duration(20 * DAY_MS, (2 * DAY_MS, 60 * DAY_MS));
        let share = 0.3 + 0.6 * self.dice.unit();
        let Merchant { city, number } = self.drafts[first].merchant;
        let there = self.by_merchant.get(&(city, number)).cloned().unwrap_or_default();
        let met: Vec<usize> = there
            .into_iter()
            .map(|at| at as usize)
            .filter(|at| {
                let draft = &self.drafts[*at];
                draft.kind == SimKind::Ordinary && (from_ms..until_ms).contains(&draft.occurred_ms)
            })
            .collect();
        // One terminal is never most of the fraud.
        if met.len() < TERMINAL_EVENTS_MIN || met.len() > TERMINAL_EVENTS_MIN.max(left / 2) {
            return 0;
        }
        let mut made = 0;
        for at in met {
            if self.dice.chance(share) {
                self.drafts[at].kind = SimKind::BadTerminal;
                made += 1;
            }
        }
        made
    }

    /// A ring uses some cards from its devices for a while.
    fn ring(&mut self, left: usize) -> usize {
        let Some(first) = self.ordinary() else { return 0 };
        let from_ms = self.drafts[first].occurred_ms;
        let lasts_ms = self.duration(15 * DAY_MS, (DAY_MS, 45 * DAY_MS));
        let count = usize::try_from(self.dice.between(8, 40)).unwrap_or(5).min(left);
        let devices: Vec<u32> = (0..self.dice.between(1, 3))
            .map(|_| {
                if self.dice.chance(0.2) {
                    self.public_device()
                } else {
                    device(RING_DEVICE_FROM + self.dice.below(1_000_000))
                }
            })
            .collect();
        let mut made = 0;
        for _ in 0..count {
            let Some(at) = self.ordinary() else { continue };
            let time_ms = from_ms + self.dice.between(0, lasts_ms);
            let device = devices[self.dice.index(devices.len())];
            let factor = 0.6 + 1.4 * self.dice.unit();
            if time_ms >= self.end_ms {
                continue;
            }
            let draft = &mut self.drafts[at];
            (draft.occurred_ms, draft.amount_minor) = (time_ms, scaled(draft.amount_minor, factor));
            (draft.channel, draft.place_e4, draft.device) = (Channel::Ecommerce, None, Some(device));
            // Whoever the shop's producer is, it knows devices.
            (draft.legacy, draft.kind) = (false, SimKind::DeviceRing);
            made += 1;
        }
        made
    }

    /// For a while somebody tries out cards at one merchant, a few small amounts each.
    fn campaign(&mut self, left: usize) -> usize {
        let Some(first) = self.ordinary() else { return 0 };
        let from_ms = self.drafts[first].occurred_ms;
        let merchant = self.drafts[first].merchant;
        let lasts_ms = self.duration(8 * DAY_MS, (6 * HOUR_MS, 30 * DAY_MS));
        let devices = [RING_DEVICE_FROM + self.dice.below(1_000_000); 2].map(device);
        let mut made = 0;
        for _ in 0..self.dice.between(5, 20) {
            let card = self.dice.index(self.cards.len());
            let mut time_ms = from_ms + self.dice.between(0, lasts_ms);
            for _ in 0..self.dice.between(1, 5) {
                if made >= left || time_ms >= self.end_ms {
                    break;
                }
                let Some(at) = self.ordinary() else { continue };
                let legacy = self.cards[card].legacy;
                self.drafts[at] = Draft {
                    card: u32::try_from(card).unwrap_or_default(),
                    occurred_ms: time_ms,
                    amount_minor: self.dice.between(60, 400).unsigned_abs(),
                    merchant,
                    mcc: 5999,
                    channel: Channel::Ecommerce,
                    approved: self.dice.chance(0.6),
                    device: Some(devices[self.dice.index(devices.len())]).filter(|_| !legacy),
                    place_e4: None,
                    legacy,
                    kind: SimKind::CardTesting,
                };
                made += 1;
                time_ms += self.dice.between(10 * SECOND_MS, 4 * MINUTE_MS);
            }
        }
        made
    }
}

fn device(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)]
fn scaled(minor: u64, factor: f64) -> u64 {
    (libm::round(minor as f64 * factor) as u64).max(1)
}
