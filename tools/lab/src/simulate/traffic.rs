//! What the cards do: ordinary shopping, the fraud patterns, and the card that is used too much.

use super::draft::{Channel, Draft, STRANGER_DEVICE_FROM};
use super::world::{self, CITIES, Card, MCC_ATM, Merchant};
use super::{HOUR_MS, MINUTE_MS, SECOND_MS, SimConfig, SimKind};
use crate::dice::Dice;

/// Events of a hot card beyond what its head holds.
const HOT_CARD_EXTRA_EVENTS: u32 = 60;
/// Cities are this wide: places lie within this many ten-thousandths of a degree of the centre (10 km).
const CITY_RADIUS_E4: i64 = 900;
/// Mean gap between two transactions of one shopping trip.
const TRIP_GAP_MS_MEAN: f64 = 2.5 * 60_000.0;

/// Draws `total` transactions (hot cards not counted), and those of the hot cards after them.
pub(super) fn draw(config: &SimConfig, cards: &[Card], total: u32, dice: &mut Dice) -> Vec<Draft> {
    let mut traffic = Traffic {
        config,
        cards,
        dice,
        drafts: Vec::new(),
    };
    let quota = quotas(cards, total);
    for (card, &count) in (0_u32..).zip(&quota) {
        let before = traffic.drafts.len();
        if traffic.dice.chance(config.fraud_card_share) {
            traffic.fraud(card, count);
        }
        let left = (count as usize).saturating_sub(traffic.drafts.len() - before);
        traffic.ordinary(card, left);
    }
    for number in 0..config.hot_cards {
        traffic.hot_card(config.cards + number);
    }
    traffic.drafts
}

/// Transactions that hot cards add to the stream.
pub(super) fn hot_events(config: &SimConfig) -> u32 {
    config.hot_cards * (config.head_events_max + HOT_CARD_EXTRA_EVENTS)
}

/// Shares `total` among the cards by their activity, exactly.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn quotas(cards: &[Card], total: u32) -> Vec<u32> {
    let sum: f64 = cards.iter().map(|card| card.activity).sum();
    let (mut given, mut reached) = (0_u32, 0.0);
    let mut quotas: Vec<u32> = cards
        .iter()
        .map(|card| {
            reached += card.activity / sum * f64::from(total);
            let count = (reached as u32).min(total) - given;
            given += count;
            count
        })
        .collect();
    if let Some(last) = quotas.last_mut() {
        *last += total - given;
    }
    quotas
}

struct Traffic<'a> {
    config: &'a SimConfig,
    cards: &'a [Card],
    dice: &'a mut Dice,
    drafts: Vec<Draft>,
}

impl Traffic<'_> {
    fn start_ms(&self) -> i64 {
        self.config.now_ms - self.config.span_ms
    }

    /// A moment of the span, likelier near the card's hour; `margin_ms` before now stays free.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    fn moment(&mut self, peak_hour: f64, margin_ms: i64) -> i64 {
        let room = (self.config.span_ms - margin_ms).max(1);
        for _ in 0..8 {
            let time = self.start_ms() + self.dice.between(0, room - 1);
            let hour = time.rem_euclid(24 * HOUR_MS) as f64 / HOUR_MS as f64;
            let warmth = 0.5 + 0.5 * libm::cos((hour - peak_hour) / 24.0 * 2.0 * std::f64::consts::PI);
            if self.dice.chance(0.08 + 0.92 * warmth) {
                return time;
            }
        }
        self.start_ms() + self.dice.between(0, room - 1)
    }

    /// An amount in euro cents around the card's habit, times a factor.
    fn euro_cents(&mut self, card: &Card, factor: f64) -> f64 {
        libm::exp(card.log_mean + card.log_deviation * self.dice.normal()) * factor
    }

    fn place(&mut self, city: u8) -> (i32, i32) {
        let centre = &CITIES[usize::from(city)];
        let mut shift = |at: i32| at + i32::try_from(self.dice.between(-CITY_RADIUS_E4, CITY_RADIUS_E4)).unwrap_or(0);
        (shift(centre.latitude_e4), shift(centre.longitude_e4))
    }

    /// Adds a transaction; what is not said is drawn.
    fn add(
        &mut self,
        card_number: u32,
        occurred_ms: i64,
        merchant: Merchant,
        amount: f64,
        kind: SimKind,
    ) -> &mut Draft {
        let card = &self.cards[card_number as usize % self.cards.len()];
        let (legacy, devices) = (card.legacy, u64::from(card.devices));
        let trade = merchant.trade();
        let channel = match () {
            () if trade.mcc == MCC_ATM => Channel::Atm,
            () if self.dice.chance(trade.online) && self.dice.chance(0.15) => Channel::Recurring,
            () if self.dice.chance(trade.online) => Channel::Ecommerce,
            () if self.dice.chance(0.01) => Channel::MailPhone,
            () => Channel::PointOfSale,
        };
        let own_device = u32::try_from(self.dice.below(devices)).unwrap_or(0);
        let place_e4 = matches!(channel, Channel::PointOfSale | Channel::Atm).then(|| self.place(merchant.city));
        self.drafts.push(Draft {
            card: card_number,
            occurred_ms: occurred_ms.min(self.config.now_ms - 1),
            amount_minor: local_minor(amount, merchant.city),
            merchant,
            mcc: trade.mcc,
            channel,
            approved: !self.dice.chance(0.025),
            device: (!legacy && channel == Channel::Ecommerce).then_some(own_device),
            place_e4: place_e4.filter(|_| !legacy),
            legacy,
            kind,
        });
        let last = self.drafts.len() - 1;
        &mut self.drafts[last]
    }

    /// Shopping trips of one to a few transactions, mostly at habitual merchants.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    fn ordinary(&mut self, card_number: u32, mut left: usize) {
        let cards = self.cards;
        let card = &cards[card_number as usize];
        while left > 0 {
            let mut time = self.moment(card.peak_hour, MINUTE_MS);
            let travelling = card
                .travels
                .filter(|(from, _)| time - self.start_ms() > (self.config.span_ms as f64 * from) as i64);
            let mut in_trip = 0;
            while left > 0 && (in_trip == 0 || self.dice.chance(0.5)) {
                let merchant = match travelling {
                    Some((_, city)) => world::draw_merchant(self.dice, city),
                    None if self.dice.chance(0.88) => card.habitual[self.dice.zipf(card.habitual.len())],
                    None => world::draw_merchant(self.dice, card.city),
                };
                let amount = self.euro_cents(card, merchant.trade().amount_factor);
                self.add(card_number, time, merchant, amount, SimKind::Ordinary);
                (left, in_trip) = (left - 1, in_trip + 1);
                // Now and then two transactions carry the same millisecond: they count in arrival order.
                if !self.dice.chance(0.02) {
                    time += 1 + self.dice.exponential(TRIP_GAP_MS_MEAN) as i64;
                }
                if time >= self.config.now_ms {
                    break;
                }
            }
        }
    }

    /// One fraud pattern, within `budget` transactions.
    fn fraud(&mut self, card: u32, budget: u32) {
        let budget = i64::from(budget);
        match self.dice.below(4) {
            0 if budget >= 12 => self.card_testing(card, budget),
            1 if budget >= 5 => self.takeover(card),
            2 if budget >= 2 => self.impossible_travel(card),
            _ if budget >= 1 => self.big_ticket(card),
            _ => {}
        }
    }

    fn card_testing(&mut self, card: u32, budget: i64) {
        let mut time = self.moment(3.0, 30 * MINUTE_MS);
        let city = world::draw_city(self.dice);
        let tries = self.dice.between(8, (budget - 1).min(24));
        let device = Some(self.stranger());
        for number in 0..=tries {
            let merchant = Merchant {
                city,
                number: 300 + u16::try_from(self.dice.below(100)).unwrap_or(0),
            };
            let small = 80.0 + 300.0 * self.dice.unit();
            let amount = if number == tries {
                60_000.0 + 90_000.0 * self.dice.unit()
            } else {
                small
            };
            let approved = number == tries || self.dice.chance(0.45);
            let draft = self.add(card, time, merchant, amount, SimKind::CardTesting);
            (draft.channel, draft.mcc, draft.place_e4, draft.approved) = (Channel::Ecommerce, 5999, None, approved);
            draft.device = device.filter(|_| !draft.legacy);
            time += self.dice.between(5 * SECOND_MS, 40 * SECOND_MS);
        }
    }

    fn takeover(&mut self, card: u32) {
        let mut time = self.moment(2.0, 3 * HOUR_MS);
        let city = self.elsewhere(card);
        let device = Some(self.stranger());
        for _ in 0..self.dice.between(3, 5) {
            let merchant = Merchant {
                city,
                number: 200 + u16::try_from(self.dice.below(200)).unwrap_or(0),
            };
            let amount = 25_000.0 + 120_000.0 * self.dice.unit();
            let approved = self.dice.chance(0.8);
            let draft = self.add(card, time, merchant, amount, SimKind::Takeover);
            (draft.channel, draft.mcc, draft.place_e4, draft.approved) = (Channel::Ecommerce, 5732, None, approved);
            draft.device = device.filter(|_| !draft.legacy);
            time += self.dice.between(2 * MINUTE_MS, 25 * MINUTE_MS);
        }
    }

    fn impossible_travel(&mut self, card: u32) {
        let cards = self.cards;
        let home = cards[card as usize].city;
        let time = self.moment(14.0, 2 * HOUR_MS);
        let later = time + self.dice.between(8 * MINUTE_MS, 45 * MINUTE_MS);
        let away = self.elsewhere(card);
        for (at, city) in [(time, home), (later, away)] {
            let merchant = world::draw_merchant(self.dice, city);
            let amount = self.euro_cents(&cards[card as usize], if city == home { 1.0 } else { 3.0 });
            let place = self.place(city);
            let draft = self.add(card, at, merchant, amount, SimKind::ImpossibleTravel);
            (draft.channel, draft.device) = (Channel::PointOfSale, None);
            draft.place_e4 = Some(place).filter(|_| !draft.legacy);
        }
    }

    fn big_ticket(&mut self, card: u32) {
        let cards = self.cards;
        let city = cards[card as usize].city;
        let time = self.moment(15.0, HOUR_MS);
        let merchant = Merchant { city, number: 399 };
        let factor = 10.0 + 20.0 * self.dice.unit();
        let amount = self.euro_cents(&cards[card as usize], factor);
        self.add(card, time, merchant, amount, SimKind::BigTicket);
    }

    /// A card with more events than its head holds, evenly spaced and in order.
    fn hot_card(&mut self, card: u32) {
        let count = i64::from(self.config.head_events_max + HOT_CARD_EXTRA_EVENTS);
        let step = (self.config.span_ms - HOUR_MS.min(self.config.span_ms / 4)) / count;
        for number in 0..count {
            let time = self.start_ms() + MINUTE_MS / 2 + number * step;
            let merchant = Merchant {
                city: 0,
                number: u16::try_from(number % 40).unwrap_or(0),
            };
            let amount = 900.0 + 200.0 * self.dice.unit();
            self.add(card, time, merchant, amount, SimKind::HotCard);
        }
    }

    fn stranger(&mut self) -> u32 {
        u32::try_from(STRANGER_DEVICE_FROM + self.dice.below(1_000_000)).unwrap_or(u32::MAX)
    }

    /// A city in another country than the card's.
    fn elsewhere(&mut self, card: u32) -> u8 {
        let home = CITIES[usize::from(self.cards[card as usize].city)].country;
        loop {
            let city = world::draw_city(self.dice);
            if CITIES[usize::from(city)].country != home {
                return city;
            }
        }
    }
}

/// Euro cents in the minor units of a city's currency, at least 1.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn local_minor(euro_cents: f64, city: u8) -> u64 {
    let city = &CITIES[usize::from(city)];
    let minor = euro_cents / 100.0 * city.per_euro * city.minor_per_unit;
    (libm::round(minor) as u64).max(1)
}
