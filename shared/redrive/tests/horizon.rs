//! The dedupe horizon: however late a redrive comes, no event counts twice within it; beyond it an event is refused with its
//! reason, never counted in silence.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::common::*;
use tidemark_domain::refusal::RefusalCode;
use tidemark_engine::port::Clock;

/// One second, eleven minutes (beyond DynamoDB's ten-minute tokens), 25 hours (beyond a day's retention), six days.
const LATE: [i64; 4] = [SECOND_MS, 11 * MINUTE_MS, 25 * HOUR_MS, 6 * DAY_MS];

/// The last record of the first batch.
const LAST: u64 = 19;

/// A batch that was scored although its answer was lost, so that it was given up too; then live traffic on the same cards; then
/// so much time.
fn given_up(scored: bool, late_ms: i64) -> World {
    let world = World::new();
    world.put_transactions(LAST + 1);
    if scored {
        assert_eq!(world.live(SHARD, 0..=LAST).scored, 20);
    }
    world.letter(0, LAST);
    world.clock.advance(late_ms);
    let now_ms = world.clock.now_ms();
    for card in 0..5 {
        let at = LAST + 1 + card;
        world.put(SHARD, at, tx(&format!("card-{card}"), &format!("newer-{card}"), now_ms));
    }
    assert_eq!(world.live(SHARD, LAST + 1..=LAST + 5).scored, 5);
    world
}

#[test]
fn within_the_horizon_what_was_counted_counts_once_however_late() {
    for late_ms in LATE {
        let world = given_up(true, late_ms);
        let before = world.states();
        for _ in 0..2 {
            let account = world.redrive().account;
            assert_eq!((account.scored, account.quarantined), (0, 0), "{late_ms} ms late");
            world.letter(0, LAST);
        }
        assert_eq!(world.counted_total(), 25);
        assert_eq!(world.outcomes().len(), 25, "each with the outcome that it got first");
        assert!(world.states() == before, "{late_ms} ms late: a state changed");
    }
}

#[test]
fn within_the_horizon_what_was_not_counted_counts_once_however_late_and_however_often() {
    for late_ms in LATE {
        let world = given_up(false, late_ms);
        let first = world.redrive().account;
        assert_eq!(
            (first.scored, first.quarantined),
            (20, 0),
            "{late_ms} ms late: {first:?}"
        );
        for _ in 0..2 {
            world.letter(0, LAST);
            world.clock.advance(late_ms);
            let again = world.redrive().account;
            assert_eq!((again.scored, again.already_done), (0, 20), "{late_ms} ms late");
        }
        assert_eq!(world.counted_total(), 25);
    }
}

#[test]
fn beyond_the_horizon_an_event_is_refused_with_its_reason_and_never_counted() {
    for late_ms in [7 * DAY_MS + HOUR_MS, 30 * DAY_MS] {
        let world = given_up(false, late_ms);
        let account = world.redrive().account;
        assert_eq!(
            (account.scored, account.quarantined),
            (0, 20),
            "{late_ms} ms late: {account:?}"
        );
        assert_eq!(world.counted_total(), 5);
        let refused = world.quarantined();
        assert_eq!(refused.len(), 20);
        assert!(refused.iter().all(|message| message.code == RefusalCode::BeyondHorizon));
        assert!(
            refused.iter().all(|message| message.detail.contains("horizon")),
            "{}",
            refused[0].detail
        );
    }
}

#[test]
fn beyond_the_horizon_what_was_counted_does_not_count_again() {
    for late_ms in [7 * DAY_MS + HOUR_MS, 36 * DAY_MS, 80 * DAY_MS] {
        let world = given_up(true, late_ms);
        let counted = world.counted_total();
        let account = world.redrive().account;
        assert_eq!(account.scored, 0, "{late_ms} ms late: {account:?}");
        assert_eq!(account.already_done + account.quarantined, 20);
        assert_eq!(world.counted_total(), counted);
    }
}

#[test]
fn the_horizon_is_the_policys() {
    let mut world = given_up(false, 3 * DAY_MS);
    let mut policy = tidemark_domain::policy::Policy::default_policy();
    policy.dedupe_horizon_ms = 2 * DAY_MS;
    world.policy = std::sync::Arc::new(policy);
    let account = world.redrive().account;
    assert_eq!((account.scored, account.quarantined), (0, 20));
}
