//! Cards: the store of their states and profiles, and what stays warm of it from one batch to the next.

use std::sync::Mutex;

use tidemark_domain::history::History;
use tidemark_domain::id::CardId;

use crate::cache::Cache;
use crate::call::BatchContext;
use crate::config::EngineConfig;
use crate::keys::Keys;
use crate::lock::lock;
use crate::port::{Clock, StateItem, StateStore, StateVersion};
use crate::profile::Profiles;
use crate::report::Returned;

/// A card's state as it was read or kept warm, and the version that its next writer must name.
#[derive(Debug, Default)]
pub(crate) struct Warm {
    pub(crate) state: History,
    /// `None`: the store has no item for the card.
    pub(crate) version: Option<StateVersion>,
}

impl Warm {
    /// What an item holds; `None` is a card without one.
    pub(crate) fn from_item(item: Option<StateItem>) -> Result<Self, Returned> {
        let Some(item) = item else { return Ok(Self::default()) };
        let state = History::decode_noted(&item.bytes).map_err(|_| Returned::StateCorrupt)?;
        Ok(Self {
            state,
            version: Some(item.version),
        })
    }

    /// What it takes in memory, bytes (estimated from its newest entry, so that it costs the same for any length).
    fn bytes(&self) -> usize {
        let entries = self.state.entries();
        let one = entries.last().map_or(0, |entry| {
            size_of_val(entry) + size_of_val(&*entry.outcome.reasons) + size_of_val(&*entry.outcome.features)
        });
        let kept = entries.len() + self.state.sealed_refs() + self.state.segment_items_held();
        size_of::<Self>() + kept * one + self.state.spelling_bytes()
    }
}

/// The cards of a process.
pub(crate) struct Cards<S> {
    pub(crate) store: S,
    pub(crate) states: Mutex<Cache<CardId, Warm>>,
    pub(crate) profiles: Profiles,
    pub(crate) keys: Keys,
}

impl<S> Cards<S> {
    /// Nothing is warm.
    pub(crate) fn new(store: S, config: &EngineConfig) -> Self {
        Self {
            store,
            states: Mutex::new(Cache::new(config.cache_cards_max, config.cache_bytes_max)),
            profiles: Profiles::new(config),
            keys: Keys::new(config),
        }
    }

    /// Keeps a committed state for the next batch.
    pub(crate) fn keep_warm(&self, card: &CardId, warm: Warm) {
        let bytes = warm.bytes();
        lock(&self.states).put(card.clone(), warm, bytes);
    }
}

impl<S: StateStore> Cards<S> {
    /// Reads states of at most [`LOAD_CARDS_MAX`](crate::config::LOAD_CARDS_MAX) cards, in the order asked for.
    pub(crate) async fn read_states<C: Clock>(
        &self,
        context: &BatchContext<'_, C>,
        cards: &[CardId],
    ) -> Result<Vec<Option<StateItem>>, Returned> {
        let call = || self.store.load_states(cards);
        let answer = context.with_retries(context.bounds.stop_at_ms, call).await;
        let items = answer
            .map(|answer| context.metered(answer))
            .map_err(|_| Returned::LoadFailed)?;
        // A port that answers with another number of items can't be trusted in which is whose.
        if items.len() == cards.len() {
            Ok(items)
        } else {
            Err(Returned::LoadFailed)
        }
    }

    /// Reads the state of a card that another writer has written, where the store did not hand it back.
    pub(crate) async fn read_winner<C: Clock>(
        &self,
        context: &BatchContext<'_, C>,
        card: &CardId,
    ) -> Result<Option<StateItem>, Returned> {
        let call = || self.store.load_state(card);
        let answer = context.with_retries(context.bounds.stop_at_ms, call).await;
        answer
            .map(|answer| context.metered(answer))
            .map_err(|_| Returned::LoadFailed)
    }
}

#[cfg(test)]
mod tests {
    use tidemark_domain::catalogue::FeatureValue;
    use tidemark_domain::event::{Channel, Country, Currency, Links, Transaction};
    use tidemark_domain::fold::{FoldAnswer, fold_transaction};
    use tidemark_domain::history::{Entry, STATE_BYTES_MAX};
    use tidemark_domain::id::{EventId, MerchantId};
    use tidemark_domain::model::ProfileInput;
    use tidemark_domain::outcome::Reason;
    use tidemark_domain::policy::Policy;

    use super::*;

    const START_MS: i64 = 1_780_000_000_000;

    fn warm(policy: &Policy, events: i64) -> Warm {
        let mut warm = Warm::default();
        for number in 0..events {
            let tx = Transaction {
                event_id: EventId::new(&format!("e{number}")).unwrap(),
                card_id: CardId::new("a").unwrap(),
                occurred_at_ms: START_MS + number * 1_000,
                // The last one is out of the ordinary: it has reasons.
                amount_minor: if number + 1 == events { 10_000_000 } else { 100 },
                currency: Currency::new("EUR").unwrap(),
                merchant_id: MerchantId::new("m").unwrap(),
                mcc: 5_411,
                country: Country::new("FR").unwrap(),
                channel: Channel::Ecommerce,
                approved: true,
                device_id: None,
                links: Links::NONE,
                account_opened_at_ms: None,
                place: None,
            };
            let applied = fold_transaction(&mut warm.state, &tx, ProfileInput::Absent, policy);
            assert!(matches!(applied, FoldAnswer::Scored { .. }));
        }
        warm
    }

    #[test]
    fn what_is_warm_counts_every_entry_reason_feature_and_segment_item() {
        let policy = Policy {
            outcome_features: true,
            head_bytes_max: STATE_BYTES_MAX,
            ..Policy::default_policy()
        };
        assert_eq!(Warm::default().bytes(), size_of::<Warm>());
        let head = warm(&policy, 30);
        let last = &head.state.entries()[29].outcome;
        let (reasons, features) = (last.reasons.len(), last.features.len());
        assert!(reasons > 0 && features > 0);
        let one = size_of::<Entry>() + reasons * size_of::<Reason>() + features * size_of::<FeatureValue>();
        assert_eq!(head.bytes(), size_of::<Warm>() + 30 * one);
        let (before, mut written) = (head.bytes(), head);
        let bytes = written.state.encode_again().len();
        assert!(written.bytes() > before + bytes);
        assert_eq!(written.bytes(), before + written.state.spelling_bytes());
        let hot = warm(&Policy::default_policy(), 450);
        let (refs, held) = (hot.state.sealed_refs(), hot.state.segment_items_held());
        let entries = hot.state.entries().len();
        assert!(refs > 0 && held > 0 && entries < 450);
        let last = &hot.state.entries()[entries - 1].outcome;
        let one = size_of::<Entry>() + last.reasons.len() * size_of::<Reason>();
        // How it is written is known beside: where a head is sealed follows from its length.
        let spelling = hot.state.spelling_bytes();
        assert!(spelling > 0);
        assert_eq!(
            hot.bytes(),
            size_of::<Warm>() + (entries + refs + held) * one + spelling
        );
    }
}
