//! What must hold in every state, by the invariant that it is a part of.

use stateright::{Model, Property};
use tidemark_domain::invariant::Invariant;

use crate::item::ItemFacts;
use crate::scenario::{EVENTS, Source};
use crate::state::World;
use crate::world::Protocol;

/// The words behind an invariant's label. The checker keeps a property's name as a text that is there for ever.
macro_rules! of {
    ($invariant:ident, $words:literal) => {{
        const LABEL: &str = Invariant::$invariant.label();
        const WORDS: &str = concat!(": ", $words);
        const BYTES: [u8; LABEL.len() + WORDS.len()] = joined(LABEL.as_bytes(), WORDS.as_bytes());
        match str::from_utf8(&BYTES) {
            Ok(name) => name,
            Err(_) => WORDS,
        }
    }};
}

const fn joined<const LENGTH: usize>(first: &[u8], second: &[u8]) -> [u8; LENGTH] {
    let (mut bytes, mut at) = ([0; LENGTH], 0);
    while at < LENGTH {
        bytes[at] = if at < first.len() {
            first[at]
        } else {
            second[at - first.len()]
        };
        at += 1;
    }
    bytes
}

/// Whatever the store held, it held each event once, and its bytes are those of the plain fold.
pub const ONCE: &str = of!(
    CountsOnce,
    "each event counts at most once, in the state of the plain fold"
);
/// What the mapping or a redrive was told is done is in the state, and its outcome is sent: nothing is lost, either.
pub const SETTLED: &str = of!(CountsOnce, "what is settled counts and its outcome is sent");
/// Whatever happened, the way to the end is open, and at the end all is in.
pub const ENDS: &str = of!(
    CountsOnce,
    "a state in which nothing can happen is one in which all is settled"
);
/// One outcome for one event.
pub const ONE_OUTCOME: &str = of!(OneOutcome, "all outcomes sent for an event are equal");
/// It is the outcome that the state holds.
pub const COMMITTED_FIRST: &str = of!(
    OneOutcome,
    "an outcome is sent only when the state that holds it is committed"
);
/// Each item follows from the one before it.
pub const NO_LOST_UPDATE: &str = of!(
    OnlyOnVersionRead,
    "versions count up by one, and no write takes away what another wrote"
);
/// A delivery fails only by a fault: so each path ends, and the search is complete without a limit of depth.
pub const NO_LIVELOCK: &str = "each delivery beyond the first of its batch has a fault as its reason";

/// All of them.
#[must_use]
pub fn all() -> Vec<Property<Protocol>> {
    vec![
        Property::always(ONCE, once),
        Property::always(SETTLED, settled),
        Property::always(ENDS, ends),
        Property::always(ONE_OUTCOME, one_outcome),
        Property::always(COMMITTED_FIRST, committed_first),
        Property::always(NO_LOST_UPDATE, no_lost_update),
        Property::always(NO_LIVELOCK, no_livelock),
    ]
}

/// What must hold in the store although a restore took its item away: what was there before is forgotten, and what was written
/// since is not.
#[must_use]
pub fn of_restores() -> Vec<Property<Protocol>> {
    vec![
        Property::always(ONCE, once),
        Property::always(NO_LOST_UPDATE, no_lost_update),
    ]
}

fn once(protocol: &Protocol, world: &World) -> bool {
    let lives = protocol.lives();
    world.history.iter().all(|id| {
        let facts = lives.items.facts(*id);
        facts.is_fold && facts.times.iter().all(|times| *times <= 1)
    })
}

fn settled(protocol: &Protocol, world: &World) -> bool {
    let lives = protocol.lives();
    let current = world.history.last().map(|id| lives.items.facts(*id));
    Source::ALL.iter().all(|source| {
        let progress = world.sources[source.index()];
        source.batches().iter().enumerate().all(|(batch, events)| {
            let settled = match usize::from(progress.batch) {
                at if batch < at => events.len(),
                at if batch == at => usize::from(progress.from),
                _ => 0,
            };
            events[..settled].iter().all(|event| {
                let is_sent = world
                    .sent
                    .iter()
                    .any(|outcome| lives.items.event_of(*outcome) == *event);
                is_sent && current.is_some_and(|facts| facts.times[*event] == 1)
            })
        })
    })
}

fn ends(protocol: &Protocol, world: &World) -> bool {
    if Source::ALL
        .iter()
        .all(|source| world.sources[source.index()].is_done(*source))
    {
        return true;
    }
    let mut actions = Vec::new();
    protocol.actions(world, &mut actions);
    !actions.is_empty()
}

fn one_outcome(protocol: &Protocol, world: &World) -> bool {
    let lives = protocol.lives();
    (0..EVENTS).all(|event| {
        let of_event = world
            .sent
            .iter()
            .filter(|outcome| lives.items.event_of(**outcome) == event);
        of_event.count() <= 1
    })
}

fn committed_first(protocol: &Protocol, world: &World) -> bool {
    let lives = protocol.lives();
    let current = world.history.last().map(|id| lives.items.facts(*id));
    world.sent.iter().all(|outcome| {
        let event = lives.items.event_of(*outcome);
        current.is_some_and(|facts| facts.outcomes[event] == Some(*outcome))
    })
}

fn no_lost_update(protocol: &Protocol, world: &World) -> bool {
    let lives = protocol.lives();
    let mut before: Option<&ItemFacts> = None;
    world.history.iter().enumerate().all(|(place, id)| {
        let facts = lives.items.facts(*id);
        let follows = match before {
            _ if world.restored.contains(&place) => true,
            None => facts.item.version.number == 1,
            Some(before) => facts.item.version.number == before.item.version.number + 1 && facts.holds_all_of(before),
        };
        before = Some(facts);
        follows
    })
}

fn no_livelock(_: &Protocol, world: &World) -> bool {
    let begun = |source: &Source| {
        let progress = world.sources[source.index()];
        let current = u8::from(progress.is_out || progress.from > 0);
        progress.deliveries.saturating_sub(progress.batch + current)
    };
    let repeated: u8 = Source::ALL.iter().map(begun).sum();
    repeated <= world.faults
}
