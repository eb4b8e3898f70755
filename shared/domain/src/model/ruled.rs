//! What the rules of a policy say of an event: the facts that they are evaluated on.

use std::cell::Cell;

use crate::id::{DeviceId, LinkId};
use crate::measure::{Measured, Observed};
use crate::outcome::RuleHit;
use crate::policy::Policy;
use crate::rules::{CodeFact, Facts, NumberFact, TextFact, WholeFact, of_channel, of_country, of_currency};

use super::value;

/// What the rules say of an event of this score, in their order; hardly ever anything.
pub(super) fn hits(event: &Observed<'_>, measured: &Measured<'_>, policy: &Policy, score: u16) -> Vec<RuleHit> {
    if policy.rules.all().is_empty() {
        return Vec::new();
    }
    let facts = EventFacts {
        event,
        measured,
        policy,
        wholes: WholeFact::ALL.map(|fact| whole(fact, event, measured, score)),
        features: vec![Cell::new(Slot::Unread); policy.rules.features().len()],
    };
    policy.rules.hits(&facts)
}

fn whole(fact: WholeFact, event: &Observed<'_>, measured: &Measured<'_>, score: u16) -> Option<i64> {
    let (tx, profile) = (event.tx, measured.profile);
    // Amounts and versions beyond the range of whole numbers are none that anybody writes a rule of.
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    match fact {
        WholeFact::AmountMinor => Some(whole(tx.amount_minor)),
        WholeFact::AmountBaseMinor => event.amount.map(whole),
        WholeFact::Mcc => Some(tx.mcc.into()),
        WholeFact::OccurredAtMs => Some(tx.occurred_at_ms),
        WholeFact::AccountOpenedAtMs => tx.account_opened_at_ms,
        WholeFact::Score => Some(score.into()),
        WholeFact::ProfileVersion => profile.map(|profile| whole(profile.version)),
        WholeFact::ProfileAccountOpenedAtMs => profile.map(|profile| profile.account_opened_at_ms),
        WholeFact::ProfileUpdatedAtMs => profile.and_then(|profile| profile.updated_at_ms),
    }
}

/// A feature's value, which is measured when the first rule asks for it.
#[derive(Clone, Copy)]
enum Slot {
    Unread,
    Missing,
    Known(f64),
}

struct EventFacts<'a> {
    event: &'a Observed<'a>,
    measured: &'a Measured<'a>,
    policy: &'a Policy,
    /// Whole numbers are few, and at hand before the first rule asks.
    wholes: [Option<i64>; WholeFact::ALL.len()],
    features: Vec<Cell<Slot>>,
}

impl EventFacts<'_> {
    #[inline]
    fn feature(&self, at: usize) -> Option<f64> {
        let slot = self.features.get(at)?;
        match slot.get() {
            Slot::Known(value) => Some(value),
            Slot::Missing => None,
            Slot::Unread => {
                let feature = self.policy.rules.features().get(at).copied().flatten();
                let value = feature.and_then(|feature| value(feature, self.measured, self.policy));
                slot.set(value.map_or(Slot::Missing, Slot::Known));
                value
            }
        }
    }
}

impl Facts for EventFacts<'_> {
    #[inline(always)]
    fn whole(&self, fact: WholeFact) -> Option<i64> {
        self.wholes[fact as usize]
    }

    #[inline]
    fn number(&self, fact: NumberFact) -> Option<f64> {
        let profile = self.measured.profile;
        match fact {
            NumberFact::Feature(at) => self.feature(at),
            NumberFact::SpendMeanMinor => profile.map(|profile| profile.spend_mean_minor),
            NumberFact::SpendDeviationMinor => profile.map(|profile| profile.spend_deviation_minor),
            NumberFact::TransactionsPerDay => profile.map(|profile| profile.transactions_per_day),
        }
        .filter(|number| number.is_finite())
    }

    #[inline(always)]
    fn code(&self, fact: CodeFact) -> Option<u32> {
        let tx = self.event.tx;
        match fact {
            CodeFact::Currency => Some(of_currency(tx.currency)),
            CodeFact::Country => Some(of_country(tx.country)),
            CodeFact::Channel => Some(of_channel(tx.channel)),
            CodeFact::UsualCountry => self.measured.profile.map(|profile| of_country(profile.usual_country)),
        }
    }

    #[inline]
    fn text(&self, fact: TextFact) -> Option<&str> {
        let tx = self.event.tx;
        match fact {
            TextFact::CardId => Some(tx.card_id.as_str()),
            TextFact::Currency => Some(tx.currency.as_str()),
            TextFact::Country => Some(tx.country.as_str()),
            TextFact::MerchantId => Some(tx.merchant_id.as_str()),
            TextFact::Channel => Some(tx.channel.as_str()),
            TextFact::DeviceId => tx.device_id.as_ref().map(DeviceId::as_str),
            TextFact::Link(name) => tx.links.get(name).map(LinkId::as_str),
            TextFact::UsualCountry => self.measured.profile.map(|profile| profile.usual_country.as_str()),
        }
    }

    #[inline]
    fn approved(&self) -> bool {
        self.event.tx.approved
    }

    #[inline]
    fn listed(&self, list: usize, text: &str) -> Option<bool> {
        self.policy.lists.holds(list, text, self.event.key.time_ms)
    }
}
