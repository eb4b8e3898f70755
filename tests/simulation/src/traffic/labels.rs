//! Labels that teach keys: of the transactions that were sent, early and weeks late, twice, with a verdict that changes; of events
//! that are another card's, that nobody sent, and that every card has forgotten.

use crate::dice::Dice;
use crate::world::START_MS;

use super::payload::{self, Happened, Said};
use super::{DAY_MS, Past, Sent};

const MINUTE_MS: i64 = 60_000;
/// How long after its event a label comes, ms: before it, soon, days and weeks after.
const DELAYS_MS: [i64; 8] = [
    -5 * MINUTE_MS,
    MINUTE_MS,
    10 * MINUTE_MS,
    30 * MINUTE_MS,
    DAY_MS,
    5 * DAY_MS,
    25 * DAY_MS,
    50 * DAY_MS,
];

/// Puts labels among what is sent, in the order of their times.
pub(super) fn add(dice: &mut Dice, sent: &mut Vec<Sent>, past: &[Past]) {
    let share = *dice.pick(&[0.05, 0.1, 0.2]);
    // In most seeds the last labels come soon: weeks after, there is nothing else for them to meet.
    let most = *dice.pick(&[4, 4, 6, 8]);
    let mut labels = Vec::new();
    for (number, of) in past.iter().enumerate() {
        if dice.chance(share) {
            let other = &past[number.saturating_sub(7)];
            story(dice, sent, (of, other), most, &mut labels);
        }
    }
    for number in 0..dice.below(6) {
        labels.push(forgotten(dice, number));
    }
    sent.extend(labels);
    sent.sort_by_key(|sent| sent.at_ms);
}

/// What becomes known of one event: one label or several.
fn story(dice: &mut Dice, sent: &[Sent], (of, other): (&Past, &Past), most: u64, labels: &mut Vec<Sent>) {
    let body: serde_json::Value = serde_json::from_slice(&sent[of.sent].data).unwrap_or_default();
    let (merchant, device) = (body["merchant_id"].as_str(), body["device_id"].as_str());
    for turn in 0..dice.between(1, 4) {
        let delay_ms = DELAYS_MS[usize::try_from(dice.below(most)).unwrap_or(0)];
        let at_ms = (sent[of.sent].at_ms + delay_ms).max(START_MS);
        // Known at once, or for a while.
        let known_since_ms = at_ms - *dice.pick(&[0, 0, MINUTE_MS, DAY_MS]);
        let is_fraud = turn % 2 == 0 || dice.chance(0.2);
        let with_event = dice.chance(0.6);
        let names = dice.chance(0.8);
        let named = Happened {
            time_ms: of.time_ms,
            merchant: merchant.filter(|_| names),
            device: device.filter(|_| names),
            links: body.get("links").filter(|_| names),
        };
        let said = payload::said(&Said {
            // Now and then somebody names another card.
            card: if dice.chance(0.05) { &other.card } else { &of.card },
            event: &of.event,
            verdict: if is_fraud == dice.chance(0.9) {
                "fraud"
            } else {
                "cleared"
            },
            known_since_ms,
            of: with_event.then_some(named),
        });
        let label = Sent {
            at_ms,
            key: of.card.clone(),
            data: said,
        };
        if dice.chance(0.2) {
            let again_ms = at_ms + *dice.pick(&[0, MINUTE_MS, 20 * MINUTE_MS]);
            labels.push(Sent {
                at_ms: again_ms,
                ..label.clone()
            });
        }
        labels.push(label);
    }
}

/// A label of an event of two years ago.
fn forgotten(dice: &mut Dice, number: u64) -> Sent {
    let at_ms = START_MS + i64::try_from(dice.below(20)).unwrap_or(0) * MINUTE_MS;
    let (card, event) = (format!("card-{}", number % 3), format!("old-{}", number % 2));
    let merchant = format!("m{}", number % 3);
    let verdict = if dice.chance(0.7) { "fraud" } else { "cleared" };
    let data = payload::said(&Said {
        card: &card,
        event: &event,
        verdict,
        known_since_ms: at_ms,
        of: Some(Happened {
            time_ms: START_MS - 700 * DAY_MS,
            merchant: Some(&merchant),
            device: None,
            links: None,
        }),
    });
    Sent { at_ms, key: card, data }
}
