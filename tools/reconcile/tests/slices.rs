//! A range in slices: the same account as at once, whatever lies between a record and its evidence.
#![allow(clippy::unwrap_used)]

use crate::world::{DAY_MS, NOW_MS, World, key, label, transaction};
use reconcile::{Audit, Evidence, Horizon, Judgement, Ledger, Outcome, StoredCard};

const MINUTE_MS: i64 = 60_000;
const FROM_MS: i64 = NOW_MS - 100 * MINUTE_MS;

/// Cards with reused ids, copies, labels and refused records, one every ten seconds; each outcome comes so much later.
fn world(lag_ms: i64) -> World {
    let mut world = World::new();
    for at in 0..300_i64 {
        let arrival_ms = FROM_MS + at * 10_000;
        let (card, id) = (format!("card-{}", at % 7), format!("e{}", at % 13));
        match at % 10 {
            0 => world.run(arrival_ms, b"poison".to_vec()),
            1 => world.run(arrival_ms, label(&card, &id, arrival_ms)),
            2 if at > 20 => {
                let copy = world.records[usize::try_from(at).unwrap() - 18].payload.clone();
                world.run(arrival_ms, copy);
            }
            _ => world.run(arrival_ms, transaction(&card, &id, arrival_ms, 500)),
        }
    }
    for (arrival_ms, _) in &mut world.outcomes {
        *arrival_ms += lag_ms;
    }
    world
}

/// The judgement in slices of so many minutes, and how far everything was done after each.
fn in_slices(world: &World, minutes: i64) -> (Judgement, Vec<Option<i64>>) {
    let (records, _) = world.read();
    let horizon = Horizon {
        now_ms: NOW_MS,
        kept_ms: 7 * DAY_MS,
    };
    let (mut ledger, mut done) = (Ledger::default(), Vec::new());
    let mut from_ms = FROM_MS;
    while from_ms < NOW_MS {
        let end_ms = from_ms + minutes * MINUTE_MS;
        let is_last = end_ms >= NOW_MS;
        let in_slice = |arrival_ms: i64| arrival_ms >= from_ms && (arrival_ms < end_ms || is_last);
        let mut slice = ledger.take_open();
        slice.extend(records.iter().filter(|record| in_slice(record.arrival_ms)).cloned());
        let mut evidence = Evidence::default();
        for (arrival_ms, bytes) in world.outcomes.iter().filter(|(arrival_ms, _)| in_slice(*arrival_ms)) {
            evidence.take(Outcome::read(*arrival_ms, bytes).unwrap());
        }
        for note in world.quarantine.iter().filter(|_| is_last) {
            evidence.quarantined.take(note.clone());
        }
        let mut audit = Audit::new(slice, evidence, horizon);
        let none = StoredCard::default();
        for card in audit.cards() {
            audit
                .take_card(&card, world.stored.get(&card).unwrap_or(&none))
                .unwrap();
        }
        audit.close(&mut ledger, is_last);
        done.push(ledger.done_until_ms(end_ms));
        from_ms = end_ms;
    }
    (ledger.judgement(), done)
}

#[test]
fn slices_of_any_length_give_the_account_of_the_whole() {
    for lag_ms in [0, 5_000, 25 * MINUTE_MS] {
        let world = world(lag_ms);
        let whole = world.holds();
        assert!(whole.account.duplicate > 10 && whole.account.applied > 10, "{whole:#?}");
        for minutes in [1, 7, 200] {
            let (sliced, _) = in_slices(&world, minutes);
            assert_eq!(sliced.account, whole.account, "{lag_ms} ms, {minutes} min");
            assert_eq!(sliced.breaks, whole.breaks);
            assert!(sliced.holds);
        }
    }
}

#[test]
fn what_is_lost_is_named_whichever_slice_it_is_in() {
    let mut world = world(5_000);
    let lost_ms = FROM_MS + 33 * 10_000;
    world.lose_outcome(&key("card-5", "e7", lost_ms));
    let (sliced, done) = in_slices(&world, 7);
    assert_eq!(sliced.breaks, world.judge().breaks);
    assert_eq!(sliced.account.unaccounted, 1);
    // As long as it is open nothing after it counts as done; once it is lost, nothing does.
    assert!(done.iter().flatten().all(|done_ms| *done_ms <= lost_ms), "{done:?}");
    assert_eq!(done.last(), Some(&None));
}

#[test]
fn a_checkpoint_lies_before_what_is_not_done() {
    let world = world(0);
    let (_, done) = in_slices(&world, 10);
    // The first refused record waits for the queue, which is read at the end.
    assert_eq!(done[0], Some(FROM_MS));
    assert!(
        done.last().unwrap().is_some_and(|done_ms| done_ms >= NOW_MS),
        "{done:?}"
    );
}
