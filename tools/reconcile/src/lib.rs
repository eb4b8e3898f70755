//! The account of a stream and the audit's judgement, over plain values: no AWS, no I/O, no clock. The command reads them from
//! a deployment, the simulation from its stores in memory.
//!
//! Nothing here is taken by subtraction or from a function's own report: a record counts where something durable shows it,
//! namely an outcome in the scores stream, a message in a queue, an item in the table.
//!
//! ```
//! use std::collections::HashMap;
//! use reconcile::{Accepted, BoundsInForce, Evidence, Horizon, Record, judge};
//! use tidemark_domain::contract::Bounds;
//!
//! // 1. The records of the transactions stream, in the order of each shard.
//! let accepted = Accepted {
//!     shard_id: "shardId-000000000000".into(),
//!     sequence_number: "1".to_owned(),
//!     partition_key: "card-1".to_owned(),
//!     arrival_ms: 1_795_399_200_000,
//!     payload: b"poison".to_vec(),
//! };
//! let records = Record::all_of(&accepted, &BoundsInForce::always(Bounds::BUILT_IN));
//!
//! // 2. The evidence, read after the records: outcomes, messages of the queues.
//! let evidence = Evidence::default();
//!
//! // 3. What the table holds of each card, read after the outcomes, and for how long it keeps that.
//! let cards = HashMap::new();
//! let horizon = Horizon { now_ms: 1_795_399_260_000, kept_ms: 7 * 86_400_000 };
//!
//! // 4. What it holds of the keys that the policies keep (here none), read after the cards.
//! let keys = HashMap::new();
//!
//! let judgement = judge(records, evidence, &cards, &keys, horizon)?;
//! assert!(!judgement.holds);
//! assert!(judgement.breaks[0].what.contains("1 of shardId-000000000000"));
//! # Ok::<(), reconcile::Broken>(())
//! ```

use tidemark_domain::id::CardId;

mod account;
mod card;
mod dead;
mod evidence;
mod judge;
mod judgement;
mod keys;
mod ledger;
mod quarantine;
mod record;
mod seen;

pub use account::{Account, EXAMPLES_MAX};
pub use card::{StoredCard, supply};
pub use evidence::{CardFacts, Evidence, Outcome, OutcomeCopies, SequenceRange, digest};
pub use judge::{Audit, Horizon, judge};
pub use judgement::{BREAKS_MAX, Break, Judgement, OutcomeChecks};
pub use keys::{KeyChecks, KeysInForce};
pub use ledger::Ledger;
pub use quarantine::{QuarantineNote, Quarantined};
pub use record::{Accepted, BoundsInForce, Claim, Record};

/// Something that was read back is none of ours: what, and why.
#[derive(Debug, thiserror::Error)]
#[error("can't read back {what}")]
pub struct Broken {
    /// What it is.
    pub what: String,
    /// What its decoder says.
    #[source]
    pub why: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Broken {
    fn new(what: &str, why: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self {
            what: what.to_owned(),
            why: Some(Box::new(why)),
        }
    }

    /// The same, of a card.
    #[must_use]
    pub fn of_card(self, card: &CardId) -> Self {
        Self {
            what: format!("card {card}: {}", self.what),
            ..self
        }
    }
}
