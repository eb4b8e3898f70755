//! A batch's plan: which records are refused, and which cards have what to do, each in stream order. Pure.

use tidemark_domain::event::Event;
use tidemark_domain::id::CardId;
use tidemark_domain::mapped::{Judged, MapsInForce, NotJudged, judge};
use tidemark_domain::policy::Policy;

use crate::directives::Directives;
use crate::hash::FixedMap;
use crate::record::InRecord;
use crate::user_record::{Refused, UserRecords, take_apart};

/// What is to be done with a batch.
#[derive(Debug, Default)]
pub struct Plan<'a> {
    /// The batch's user records; `record` below is an index into `all` of these.
    pub records: UserRecords<'a>,
    /// A part for each card, in the order of its first event.
    pub cards: Vec<CardPlan>,
    /// User records that the contract refuses, in stream order.
    pub refused: Vec<Refused>,
    /// Fields of accepted events that the contract does not know.
    pub unknown_fields: u64,
}

/// What is to be done with a card: its events of one batch, in stream order (I4).
#[derive(Debug)]
pub struct CardPlan {
    /// The card's token.
    pub card_id: CardId,
    /// What happened.
    pub events: Vec<Planned>,
}

/// An accepted event, and which user record of the batch it was.
#[derive(Debug)]
pub struct Planned {
    /// Index among the batch's user records.
    pub record: usize,
    /// When the record arrived, ms since 1970-01-01T00:00:00Z.
    pub arrival_ms: i64,
    /// What happened.
    pub event: Event,
}

impl Planned {
    pub(crate) fn is_transaction(&self) -> bool {
        matches!(self.event, Event::Transaction(_))
    }

    pub(crate) fn is_profile(&self) -> bool {
        matches!(self.event, Event::Profile(_))
    }
}

impl CardPlan {
    /// Whether the card's state is needed: a profile alone does not touch it.
    #[must_use]
    pub fn needs_state(&self) -> bool {
        !self.events.iter().all(Planned::is_profile)
    }

    /// Whether the card has a transaction in this batch that the snapshot wants scored with a profile; `None`: it has none
    /// at all.
    #[must_use]
    pub fn needs_profile(&self, directives: &Directives) -> Option<bool> {
        let wanted = self.events.iter().filter_map(|planned| match &planned.event {
            Event::Transaction(tx) => Some(directives.wants_profile(tx)),
            _ => None,
        });
        wanted.reduce(|any, one| any || one)
    }
}

/// Takes a batch apart, decodes its user records and groups them by card. What is beyond a batch's limits is left out.
///
/// # Errors
/// When a record can't be judged yet, since the published map that is in force for it is not known or not at hand.
pub fn plan<'a>(batch: &'a [InRecord<'a>], policy: &Policy, maps: Option<&MapsInForce>) -> Result<Plan<'a>, NotJudged> {
    let mut plan = Plan {
        records: take_apart(batch),
        ..Plan::default()
    };
    let mut place_of: FixedMap<CardId, usize> = FixedMap::default();
    let mut aggregates = std::mem::take(&mut plan.records.refused).into_iter().peekable();
    for (record, user) in plan.records.all[..plan.records.looked_at].iter().enumerate() {
        if let Some(refused) = aggregates.next_if(|refused| refused.record == record) {
            plan.refused.push(refused);
            continue;
        }
        let arrival_ms = batch[user.record].arrival_ms;
        match judge(user.data, arrival_ms, &policy.bounds, maps) {
            Judged::NotYet(why) => return Err(why),
            Judged::Refused(refusal) => plan.refused.push(Refused { record, refusal }),
            Judged::Event(decoded) => {
                plan.unknown_fields += u64::from(decoded.unknown_fields);
                let planned = Planned {
                    record,
                    arrival_ms,
                    event: decoded.event,
                };
                match place_of.get(planned.event.card_id()) {
                    Some(place) => plan.cards[*place].events.push(planned),
                    None => {
                        let card_id = planned.event.card_id().clone();
                        place_of.insert(card_id.clone(), plan.cards.len());
                        plan.cards.push(CardPlan {
                            card_id,
                            events: vec![planned],
                        });
                    }
                }
            }
        }
    }
    Ok(plan)
}
