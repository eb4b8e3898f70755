//! Cities, merchants and cards: who spends what, where.

use super::SimConfig;
use crate::dice::Dice;

/// A city: country, its currency, units of it for one euro, minor digits, latitude and longitude × 10⁴, weight.
pub(super) struct City {
    pub(super) country: &'static str,
    pub(super) currency: &'static str,
    pub(super) per_euro: f64,
    pub(super) minor_per_unit: f64,
    pub(super) latitude_e4: i32,
    pub(super) longitude_e4: i32,
    weight: u32,
}

macro_rules! cities {
    ($($country:literal $currency:literal $per_euro:literal $minor:literal $lat:literal $lon:literal $weight:literal;)*) => {
        &[$(City {
            country: $country, currency: $currency, per_euro: $per_euro, minor_per_unit: $minor,
            latitude_e4: $lat, longitude_e4: $lon, weight: $weight,
        },)*]
    };
}

/// Where cards live and travel. Rates are of the order of the real ones; the policy has its own.
pub(super) const CITIES: &[City] = cities! {
    "FR" "EUR" 1.0 100.0 488_566 23_522 14;
    "FR" "EUR" 1.0 100.0 457_640 48_357 5;
    "DE" "EUR" 1.0 100.0 525_200 134_050 9;
    "DE" "EUR" 1.0 100.0 481_351 115_820 7;
    "ES" "EUR" 1.0 100.0 404_168 -37_038 7;
    "IT" "EUR" 1.0 100.0 419_028 124_964 7;
    "NL" "EUR" 1.0 100.0 523_676 49_041 4;
    "BE" "EUR" 1.0 100.0 508_503 43_517 4;
    "PT" "EUR" 1.0 100.0 387_223 -91_393 3;
    "AT" "EUR" 1.0 100.0 482_082 163_738 3;
    "IE" "EUR" 1.0 100.0 533_498 -62_603 2;
    "GB" "GBP" 0.85 100.0 515_074 -1_278 9;
    "CH" "CHF" 0.95 100.0 473_769 85_417 3;
    "SE" "SEK" 11.2 100.0 593_293 180_686 2;
    "PL" "PLN" 4.3 100.0 522_297 210_122 3;
    "US" "USD" 1.08 100.0 407_128 -740_060 4;
    "US" "USD" 1.08 100.0 340_522 -1_182_437 2;
    "CA" "CAD" 1.47 100.0 436_532 -793_832 2;
    "BR" "BRL" 6.0 100.0 -235_505 -466_333 1;
    "JP" "JPY" 162.0 1.0 356_762 1_396_503 2;
    "AU" "AUD" 1.65 100.0 -338_688 1_512_093 1;
    "AE" "AED" 3.97 100.0 252_048 552_708 1;
    "NG" "NGN" 1650.0 100.0 65_244 33_792 1;
    "TH" "THB" 38.0 100.0 137_563 1_005_018 1;
};

/// A line of trade: category code, typical amount against the card's own, share of card-not-present.
pub(super) struct Trade {
    pub(super) mcc: u16,
    pub(super) amount_factor: f64,
    pub(super) online: f64,
}

/// What merchants sell, the commonest first.
pub(super) const TRADES: &[Trade] = &[
    Trade {
        mcc: 5411,
        amount_factor: 1.0,
        online: 0.05,
    },
    Trade {
        mcc: 5812,
        amount_factor: 0.8,
        online: 0.05,
    },
    Trade {
        mcc: 5541,
        amount_factor: 1.4,
        online: 0.0,
    },
    Trade {
        mcc: 5814,
        amount_factor: 0.35,
        online: 0.1,
    },
    Trade {
        mcc: 4111,
        amount_factor: 0.2,
        online: 0.3,
    },
    Trade {
        mcc: 5999,
        amount_factor: 0.9,
        online: 0.7,
    },
    Trade {
        mcc: 5912,
        amount_factor: 0.6,
        online: 0.1,
    },
    Trade {
        mcc: 5651,
        amount_factor: 1.6,
        online: 0.4,
    },
    Trade {
        mcc: 6011,
        amount_factor: 2.0,
        online: 0.0,
    },
    Trade {
        mcc: 4899,
        amount_factor: 0.5,
        online: 1.0,
    },
    Trade {
        mcc: 5732,
        amount_factor: 3.0,
        online: 0.5,
    },
    Trade {
        mcc: 7011,
        amount_factor: 3.5,
        online: 0.5,
    },
];

/// Merchants in a city, known by their number in it.
pub(super) const MERCHANTS_PER_CITY: usize = 400;
/// A card's habitual merchants, at most.
const HABITUAL_MERCHANTS_MAX: i64 = 12;
/// Those of a busy card.
const BUSY_HABITUAL_MERCHANTS: (i64, i64) = (40, 120);
/// Busy cards (a company's, a fleet's): records of the run that are about this one, and at most this part of the whole run.
const BUSY: [(u32, f64); 2] = [(5_400, 0.27), (560, 0.06)];
/// In a run of fewer records no card is busy.
const BUSY_FROM_EVENTS: u32 = 2_000;
/// How far ordinary cards differ in use: standard deviation of the logarithm.
const ACTIVITY_LOG_DEVIATION: f64 = 0.9;
/// Merchant categories of cash machines.
pub(super) const MCC_ATM: u16 = 6011;

/// A merchant, by where it is and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Merchant {
    pub(super) city: u8,
    pub(super) number: u16,
}

impl Merchant {
    /// What it sells.
    pub(super) fn trade(self) -> &'static Trade {
        // The commonest trades are the first of the list: the product of two small numbers leans towards them.
        let spread = usize::from(self.number) % 7 * (usize::from(self.number) / 7 % 3);
        &TRADES[spread % TRADES.len()]
    }
}

/// One card and its habits.
pub(super) struct Card {
    pub(super) city: u8,
    pub(super) habitual: Vec<Merchant>,
    /// Mean of the logarithm of the amount in euro cents.
    pub(super) log_mean: f64,
    /// Standard deviation of that logarithm.
    pub(super) log_deviation: f64,
    /// How much it is used against the mean card.
    pub(super) activity: f64,
    pub(super) devices: u8,
    /// Its producer still writes version 1.
    pub(super) legacy: bool,
    /// Hour of the day (UTC) at which it is used most.
    pub(super) peak_hour: f64,
    /// From this share of the span on, it is in another city.
    pub(super) travels: Option<(f64, u8)>,
    /// Its first profile arrives before the stream (`Some(0.0)`), in the middle of it, or never.
    pub(super) profile_at: Option<f64>,
}

/// A city drawn by its weight.
pub(super) fn draw_city(dice: &mut Dice) -> u8 {
    let total: u32 = CITIES.iter().map(|city| city.weight).sum();
    let mut ticket = dice.below(u64::from(total));
    for (number, city) in (0_u8..).zip(CITIES) {
        if ticket < u64::from(city.weight) {
            return number;
        }
        ticket -= u64::from(city.weight);
    }
    0
}

/// A merchant of a city; small numbers are the popular ones.
#[allow(clippy::cast_possible_truncation)]
pub(super) fn draw_merchant(dice: &mut Dice, city: u8) -> Merchant {
    Merchant {
        city,
        number: dice.zipf(MERCHANTS_PER_CITY) as u16,
    }
}

/// Draws every card of the run.
pub(super) fn draw_cards(config: &SimConfig, dice: &mut Dice) -> Vec<Card> {
    let busy = busy_shares(config);
    let mut cards: Vec<Card> = (0..config.cards as usize)
        .map(|number| draw_card(config, number < busy.len(), dice))
        .collect();
    let (of_busy, ordinary) = (busy.iter().sum::<f64>(), busy.len());
    let used: f64 = cards.iter().skip(ordinary).map(|card| card.activity).sum();
    for (card, share) in cards.iter_mut().zip(busy) {
        card.activity = used * share / (1.0 - of_busy);
    }
    // A bank's profile goes by the mean card.
    let mean = used / (1.0 - of_busy) / f64::from(config.cards.max(1));
    cards.iter_mut().for_each(|card| card.activity /= mean);
    cards
}

/// Which share of the run each busy card has; they are the first cards.
fn busy_shares(config: &SimConfig) -> Vec<f64> {
    if config.events < BUSY_FROM_EVENTS || (config.cards as usize) <= BUSY.len() {
        return Vec::new();
    }
    let share = |(events, most): (u32, f64)| (f64::from(events) / f64::from(config.events)).min(most);
    BUSY.into_iter().map(share).collect()
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn draw_card(config: &SimConfig, is_busy: bool, dice: &mut Dice) -> Card {
    let city = draw_city(dice);
    let (fewest, most) = if is_busy {
        BUSY_HABITUAL_MERCHANTS
    } else {
        (3, HABITUAL_MERCHANTS_MAX)
    };
    let habits = dice.between(fewest, most);
    let longitude = f64::from(CITIES[usize::from(city)].longitude_e4) / 10_000.0;
    Card {
        city,
        habitual: (0..habits).map(|_| draw_merchant(dice, city)).collect(),
        log_mean: 7.9 + 0.5 * dice.normal(),
        log_deviation: 0.35 + 0.3 * dice.unit(),
        activity: libm::exp(ACTIVITY_LOG_DEVIATION * dice.normal()),
        devices: dice.between(1, 3) as u8,
        legacy: dice.chance(config.legacy_share),
        peak_hour: 14.0 + 2.5 * dice.normal() - longitude / 15.0,
        travels: dice
            .chance(config.traveller_share)
            .then(|| (0.2 + 0.5 * dice.unit(), draw_city(dice))),
        profile_at: if dice.chance(config.profile_share) {
            Some(0.0)
        } else if dice.chance(0.5) {
            Some(0.1 + 0.8 * dice.unit())
        } else {
            None
        },
    }
}
