//! Evidence first; what the contract refuses depends on the policy that was in force when a record arrived.
#![allow(clippy::unwrap_used)]

use crate::world::{DAY_MS, NOW_MS, World, transaction};
use reconcile::BoundsInForce;
use tidemark_domain::contract::Bounds;
use tidemark_domain::invariant::Invariant;

const WIDE: Bounds = Bounds {
    lateness_ms: 6 * DAY_MS,
    ..Bounds::BUILT_IN
};
/// When the wider bounds came into force.
const CHANGED_MS: i64 = NOW_MS - 3_600_000;

fn late(id: &str, arrival_ms: i64) -> (i64, Vec<u8>) {
    (arrival_ms, transaction("card-1", id, arrival_ms - 3 * DAY_MS, 500))
}

/// Before and after the change, a timely event and one that only the wider bounds take.
fn changing(audited: BoundsInForce) -> World {
    let mut world = World::new();
    world.bounds = audited;
    for (bounds, arrival_ms) in [(Bounds::BUILT_IN, CHANGED_MS - 1_000), (WIDE, CHANGED_MS + 1_000)] {
        world.policy.bounds = bounds;
        let (at_ms, payload) = late(&format!("late-{arrival_ms}"), arrival_ms);
        world.run(at_ms, payload);
        world.run(
            arrival_ms,
            transaction("card-1", &format!("timely-{arrival_ms}"), arrival_ms, 500),
        );
    }
    world
}

#[test]
fn a_range_of_two_policies_is_judged_by_each_in_its_time() {
    let history = BoundsInForce::changing(Bounds::BUILT_IN, vec![(CHANGED_MS, WIDE)]);
    let account = changing(history).holds().account;
    assert_eq!((account.scored, account.quarantined["too_late"]), (3, 1));
}

#[test]
fn an_outcome_is_evidence_whatever_the_policy_says() {
    // Whoever audits knows the built-in policy only, or a policy came into force while the record waited.
    for audited in [Bounds::BUILT_IN, WIDE] {
        let account = changing(BoundsInForce::always(audited)).holds().account;
        assert_eq!((account.scored, account.quarantined["too_late"]), (3, 1));
    }
}

#[test]
fn what_the_policy_of_its_time_refuses_and_is_not_in_quarantine_is_lost() {
    let history = || BoundsInForce::changing(Bounds::BUILT_IN, vec![(CHANGED_MS, WIDE)]);
    let mut world = changing(history());
    world.quarantine.clear();
    world.breaks(Invariant::NothingLost, "the policy in force when it arrived refuses it");

    // Also where an earlier record of the event was scored in time: this one is another record.
    let mut world = World::new();
    let time_ms = NOW_MS - 3 * DAY_MS;
    world.run(time_ms, transaction("card-1", "e", time_ms, 500));
    world.run(NOW_MS, transaction("card-1", "e", time_ms, 500));
    assert_eq!(world.holds().account.quarantined_total(), 1);
    world.quarantine.clear();
    world.breaks(Invariant::NothingLost, "the policy in force when it arrived refuses it");
}
