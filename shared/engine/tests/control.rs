//! The control plane: the copy that a process keeps, and batches that are judged by it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod lists;
mod models;

use std::sync::Arc;

use crate::common::{FAR_MS, MemoryEngine, Record, START_MS, World, assert_adds_up, card, records, tx};
use futures_util::FutureExt;
use serde_json::Value;
use tidemark_domain::control::item::{ACTIVE, Field, Fields, MODE, OVERRIDES, policy_key};
use tidemark_domain::control::{
    ActivePointer, Mode, OWN_POLICY, Override, OverrideAction, Overrides, PolicyVersion, Rollout, Stamp,
};
use tidemark_domain::outcome::Decision;
use tidemark_domain::policy::Policy;
use tidemark_engine::control::{Control, ControlConfig, ControlProblem, SHADOW_COPY_MS_MAX};
use tidemark_engine::memory::{Fault, ManualClock, MemoryControl, Op};
use tidemark_engine::port::PortError;
use tidemark_engine::report::{End, Returned};
use tidemark_engine::{BatchReport, Candidate, Directives, InRecord};

fn stamp() -> Stamp {
    Stamp::new(START_MS, "on-call", "a test").unwrap()
}

/// The built-in policy under another version, with other thresholds.
fn policy_text(version: u32, alert: u16) -> String {
    Policy::default_text()
        .replace("version = 1\n", &format!("version = {version}\n"))
        .replace("alert = 800", &format!("alert = {alert}"))
        .replace("review = 600", &format!("review = {}", alert / 2))
}

fn policy(version: u32, alert: u16) -> Arc<Policy> {
    Arc::new(Policy::parse(&policy_text(version, alert), "test").unwrap())
}

fn run(engine: &MemoryEngine, records: &[Record], directives: &Directives) -> BatchReport {
    let batch: Vec<InRecord<'_>> = records.iter().map(Record::as_in).collect();
    let report = engine
        .process_by(&batch, FAR_MS, directives.clone())
        .now_or_never()
        .unwrap();
    assert_adds_up(&report, &batch);
    report
}

fn overrides(list: &[(&str, OverrideAction, i64)]) -> Arc<Overrides> {
    let list = list.iter().map(|(id, action, until_ms)| Override {
        card_id: card(id),
        action: *action,
        until_ms: *until_ms,
        stamp: stamp(),
    });
    Arc::new(Overrides::new(1, list.collect()))
}

fn outcome(world: &World, event: &str) -> Value {
    serde_json::from_slice(&world.outcomes()[event]).unwrap()
}

#[test]
fn an_override_makes_the_decision_by_arrival_and_a_duplicate_keeps_it() {
    let world = World::new();
    // The second record arrives when the override has ended.
    let batch = records([tx("a", "a1", 10, 500), tx("a", "a2", 9, 500), tx("b", "b1", 8, 500)]);
    let mut directives = Directives::standing(Arc::clone(&world.policy));
    directives.overrides = overrides(&[("a", OverrideAction::Block, START_MS + 1_000)]);
    let report = run(&world.engine(), &batch, &directives);
    assert_eq!((report.scored, report.overridden), (3, 1));
    assert_eq!(report.decisions[&Decision::Alert], 1);
    let blocked = outcome(&world, "a1");
    assert_eq!(blocked["decision"], "alert");
    assert_eq!(blocked["reasons"][0]["code"], "override_block");
    assert_eq!(outcome(&world, "a2")["decision"], "pass");
    assert_eq!(world.store.decisions().len(), 1, "a block is an alert, recorded as one");
    // Again, when it is cleared: World::outcomes panics if a duplicate's bytes differ (I3).
    directives.overrides = Arc::default();
    let again = run(&world.engine(), &batch, &directives);
    assert_eq!((again.duplicate, again.overridden), (3, 0));
    assert_eq!(outcome(&world, "a1"), blocked);
}

#[test]
fn paused_touches_nothing_and_gives_everything_back() {
    let world = World::new();
    let batch = records([tx("a", "a1", 10, 500), b"broken".to_vec()]);
    let mut directives = Directives::standing(Arc::clone(&world.policy));
    directives.mode = Mode::Paused;
    let report = run(&world.engine(), &batch, &directives);
    assert_eq!(report.retry_from.as_deref(), Some("95"));
    assert_eq!(report.ends, [End::Returned(Returned::Paused); 2]);
    assert!(
        world.faults.calls().is_empty(),
        "not one call: {:?}",
        world.faults.calls()
    );
    directives.mode = Mode::Live;
    let report = run(&world.engine(), &batch, &directives);
    assert_eq!((report.scored, report.quarantined_total()), (1, 1));
}

#[test]
fn shadow_keeps_outcomes_and_sends_none_and_live_sends_the_same_later() {
    let world = World::new();
    let batch = records([tx("a", "a1", 10, 500), tx("b", "b1", 9, 500), b"broken".to_vec()]);
    let mut directives = Directives::standing(Arc::clone(&world.policy));
    directives.overrides = overrides(&[("b", OverrideAction::Block, i64::MAX)]);
    directives.mode = Mode::Shadow;
    let report = run(&world.engine(), &batch, &directives);
    assert_eq!(
        (report.scored, report.outcomes_sent, report.outcomes_withheld),
        (2, 0, 2)
    );
    assert_eq!((world.sink.outcomes().len(), world.store.decisions().len()), (0, 0));
    assert_eq!(report.quarantined_total(), 1, "what is refused is kept as ever");
    directives.mode = Mode::Live;
    let report = run(&world.engine(), &batch, &directives);
    assert_eq!((report.duplicate, report.outcomes_sent), (2, 2));
    assert_eq!(outcome(&world, "b1")["decision"], "alert");
    assert_eq!(world.store.decisions().len(), 1);
}

fn with_candidate(world: &World, share_pct: u8) -> Directives {
    Directives {
        candidate: Some(Candidate {
            policy: policy(2, 20),
            rollout: Rollout {
                candidate: 2,
                share_pct,
            },
        }),
        ..Directives::standing(Arc::clone(&world.policy))
    }
}

/// Three cards with one quiet event and one that surprises.
fn surprising() -> Vec<Record> {
    let cards = ["a", "b", "c"];
    let quiet = cards
        .iter()
        .flat_map(|id| (0..8).map(move |at| tx(id, &format!("{id}{at}"), 5_000 - at * 60, 500)));
    let loud = cards.iter().map(|id| tx(id, &format!("{id}-loud"), 5, 90_000_000));
    records(quiet.chain(loud))
}

#[test]
fn a_candidate_scores_the_same_events_and_changes_nothing() {
    let batch = surprising();
    let (plain, tried) = (World::new(), World::new());
    run(
        &plain.engine(),
        &batch,
        &Directives::standing(Arc::clone(&plain.policy)),
    );
    let report = run(&tried.engine(), &batch, &with_candidate(&tried, 100));
    assert!(plain.states() == tried.states(), "states");
    assert_eq!(plain.outcomes(), tried.outcomes());
    assert_eq!((report.trials.scored, report.trials.lost), (27, 0));
    assert!(report.trials.flips > 0, "{:?}", report.trials);
    // The clock stands still in a batch: some were timed, and nothing took any time.
    assert!(report.trials.timed > 0, "{:?}", report.trials);
    assert_eq!((report.trials.active_ns, report.trials.candidate_ns), (0, 0));
    let items = tried.store.trials();
    assert_eq!(items.len(), 1, "one item a batch");
    let trials = &items[0].1;
    assert_eq!((trials.active, trials.candidate, trials.trials.len()), (1, 2, 27));
    let loud = trials.trials.iter().find(|trial| trial.event_id == "a-loud").unwrap();
    assert_eq!(
        u64::from(loud.active.score),
        outcome(&tried, "a-loud")["score"].as_u64().unwrap()
    );
    assert_eq!(loud.candidate.score, loud.active.score, "only thresholds differ");
    assert_eq!(loud.candidate.decision, Decision::Alert);
}

#[test]
fn a_trial_is_recorded_once_whatever_comes_again() {
    let world = World::new();
    let batch = surprising();
    let directives = with_candidate(&world, 100);
    // The sink takes nothing at first, so that the whole batch comes again.
    world
        .faults
        .at(Op::Send, 0..6, Fault::Before(PortError::Permanent("no".to_owned())));
    let first = run(&world.engine(), &batch, &directives);
    assert_eq!(first.retry_from.as_deref(), Some("95"));
    run(&world.engine(), &batch, &directives);
    run(&world.engine(), &batch[3..], &directives);
    let mut events: Vec<String> = world
        .store
        .trials()
        .into_iter()
        .flat_map(|(_, item)| item.trials)
        .map(|trial| trial.event_id)
        .collect();
    let all = events.len();
    events.sort();
    events.dedup();
    assert_eq!((all, events.len()), (27, 27));
}

#[test]
fn trials_that_cannot_be_recorded_are_counted_and_hold_nothing_up() {
    let world = World::new();
    world.faults.at(
        Op::PutTrials,
        0..9,
        Fault::Before(PortError::Throttled("busy".to_owned())),
    );
    let report = run(&world.engine(), &surprising(), &with_candidate(&world, 100));
    assert_eq!(
        (report.scored, report.retry_from.is_none(), report.trials.lost),
        (27, true, 27)
    );
    assert_eq!(world.faults.count(Op::PutTrials), 2);
}

#[test]
fn only_cards_of_the_share_are_tried() {
    let world = World::new();
    let directives = with_candidate(&world, 1);
    let in_share: Vec<String> = (0..400)
        .map(|number| format!("card-{number}"))
        .filter(|id| directives.candidate.as_ref().unwrap().rollout.holds(&card(id)))
        .collect();
    assert!(!in_share.is_empty() && in_share.len() < 20, "{}", in_share.len());
    let batch = records((0..400).map(|number| tx(&format!("card-{number}"), &format!("e{number}"), 5, 100)));
    let report = run(&world.engine(), &batch, &directives);
    assert_eq!(report.trials.scored, in_share.len() as u64);
}

#[test]
fn an_override_does_not_count_in_a_comparison() {
    let world = World::new();
    let mut directives = with_candidate(&world, 100);
    directives.overrides = overrides(&[("a", OverrideAction::Block, i64::MAX)]);
    run(&world.engine(), &records([tx("a", "a1", 5, 500)]), &directives);
    let trial = world.store.trials()[0].1.trials[0].clone();
    assert_eq!(outcome(&world, "a1")["decision"], "alert");
    assert_eq!(trial.active.decision, Decision::Pass);
}

// The copy.

struct Plane {
    plane: MemoryControl,
    control: Control<MemoryControl>,
    clock: ManualClock,
}

impl Plane {
    fn new() -> Self {
        let plane = MemoryControl::default();
        let own = Arc::new(Policy::default_policy());
        Self {
            control: Control::new(plane.clone(), own, ControlConfig::default()),
            plane,
            clock: ManualClock::at(START_MS),
        }
    }

    fn publish(&self, version: u32) {
        let published = PolicyVersion {
            version,
            text: policy_text(version, 900),
            stamp: stamp(),
        };
        self.plane.set(&policy_key(version), Some(published.to_fields()));
    }

    fn activate(&self, version: u32, rollout: Option<Rollout>) {
        let pointer = ActivePointer {
            rollout,
            ..ActivePointer::activated(None, version, stamp())
        };
        self.plane.set(ACTIVE, Some(pointer.to_fields()));
    }

    fn set_mode(&self, mode: Mode) {
        self.plane.set_mode(mode, START_MS);
    }

    fn ready(&self) -> Option<Directives> {
        self.control.ready(&self.clock).now_or_never().unwrap()
    }

    fn version(&self) -> u32 {
        self.ready().unwrap().policy.version
    }

    fn later(&self, duration_ms: i64) {
        self.clock.advance(duration_ms);
    }

    fn beside(&self) {
        self.control.beside(&self.clock, async {}).now_or_never().unwrap();
    }

    fn problems(&self) -> Vec<ControlProblem> {
        self.control.status(START_MS).problems
    }
}

#[test]
fn without_items_the_functions_own_policy_holds_live() {
    let plane = Plane::new();
    let directives = plane.ready().unwrap();
    assert_eq!((directives.policy.version, directives.mode), (1, Mode::Live));
    assert!(directives.candidate.is_none() && directives.overrides.list().is_empty());
    assert_eq!(plane.problems(), []);
}

#[test]
fn a_change_is_taken_beside_a_batch_after_five_seconds_and_before_one_after_ten() {
    let plane = Plane::new();
    plane.publish(2);
    assert_eq!(plane.version(), 1);
    plane.activate(2, None);
    plane.later(4_999);
    plane.beside();
    assert_eq!((plane.version(), plane.plane.reads()), (1, 1), "not due");
    plane.later(1);
    plane.beside();
    assert_eq!(plane.version(), 2, "read beside the batch before");
    plane.activate(OWN_POLICY, None);
    plane.later(9_999);
    assert_eq!(plane.version(), 2);
    plane.later(1);
    assert_eq!(plane.version(), 1, "read before the batch");
}

#[test]
fn a_table_that_fails_or_hangs_leaves_the_last_good_copy_and_its_age_grows() {
    let plane = Plane::new();
    plane.publish(2);
    plane.activate(2, None);
    plane.set_mode(Mode::Shadow);
    assert_eq!(plane.version(), 2);
    plane.plane.fail(Some(PortError::Unavailable("down".to_owned())));
    plane.later(60_000);
    let directives = plane.ready().unwrap();
    assert_eq!((directives.policy.version, directives.mode), (2, Mode::Shadow));
    let reads = plane.plane.reads();
    plane.ready();
    assert_eq!(
        plane.plane.reads(),
        reads,
        "a read that failed is not tried again at once"
    );
    plane.plane.fail(None);
    plane.plane.hang(true);
    plane.later(60_000);
    assert_eq!(plane.version(), 2);
    let status = plane.control.status(tidemark_engine::port::Clock::now_ms(&plane.clock));
    assert!(status.age_ms.unwrap() >= 120_000, "{status:?}");
    assert!(matches!(status.problems[..], [ControlProblem::Unread(_)]), "{status:?}");
}

/// What is withheld is not sent later: a process that was frozen for hours must not withhold by what it knew then.
#[test]
fn an_old_copy_withholds_nothing() {
    let plane = Plane::new();
    plane.set_mode(Mode::Shadow);
    assert_eq!(plane.ready().unwrap().mode, Mode::Shadow);
    plane.set_mode(Mode::Live);
    plane.plane.fail(Some(PortError::Throttled("busy".to_owned())));
    plane.later(SHADOW_COPY_MS_MAX);
    assert_eq!(plane.ready().unwrap().mode, Mode::Shadow, "as old as it may be");
    plane.later(1);
    assert!(plane.ready().is_none());
    // Other modes lose nothing: the last good copy goes on serving.
    plane.plane.fail(None);
    plane.later(10_000);
    assert_eq!(plane.ready().unwrap().mode, Mode::Live);
    plane.plane.fail(Some(PortError::Throttled("busy".to_owned())));
    plane.later(10 * SHADOW_COPY_MS_MAX);
    assert_eq!(plane.ready().unwrap().mode, Mode::Live);
}

#[test]
fn a_process_that_never_read_anything_has_no_directives() {
    let plane = Plane::new();
    plane.plane.fail(Some(PortError::Throttled("busy".to_owned())));
    assert!(plane.ready().is_none());
    // The table is there again: the next batch must not go back for a read that is not tried.
    plane.plane.fail(None);
    assert!(plane.ready().is_some());
}

fn wrong(fields: Fields, attribute: &str) -> Fields {
    let mut fields = fields;
    fields.insert(attribute.to_owned(), Field::Other("a map (M)"));
    fields
}

#[test]
fn an_item_written_by_hand_with_the_wrong_type_keeps_its_last_good_copy_and_the_others_go_on() {
    let plane = Plane::new();
    plane.publish(2);
    plane.publish(3);
    plane.activate(2, None);
    plane.set_mode(Mode::Shadow);
    assert_eq!(plane.version(), 2);
    // The pointer is damaged, the mode changes.
    let damaged = wrong(ActivePointer::activated(None, 3, stamp()).to_fields(), "active");
    plane.plane.set(ACTIVE, Some(damaged));
    plane.set_mode(Mode::Degraded);
    plane.later(10_000);
    let directives = plane.ready().unwrap();
    assert_eq!((directives.policy.version, directives.mode), (2, Mode::Degraded));
    let text = plane.problems()[0].to_string();
    assert_eq!(
        text,
        "control item active: active: expected a whole number (N) of type u32, found a map (M)"
    );
    // The mode and the overrides are damaged, the pointer is good again.
    plane.activate(3, None);
    plane.plane.set(MODE, Some(Fields::new()));
    plane.plane.set(OVERRIDES, Some(wrong(Fields::new(), "list")));
    plane.later(10_000);
    let directives = plane.ready().unwrap();
    assert_eq!((directives.policy.version, directives.mode), (3, Mode::Degraded));
    assert_eq!(plane.problems().len(), 2, "{:?}", plane.problems());
    assert!(
        plane.control.status(START_MS + 20_000).age_ms.unwrap() >= 20_000,
        "the copy is not whole"
    );
}

#[test]
fn a_policy_that_cannot_be_used_does_not_come_into_force() {
    let plane = Plane::new();
    plane.publish(2);
    plane.activate(2, None);
    assert_eq!(plane.version(), 2);
    let text_of = |version: u32, text: String| PolicyVersion {
        version,
        text,
        stamp: stamp(),
    };
    let other_base = policy_text(3, 900)
        .replace("base = \"EUR\"", "base = \"USD\"")
        .replace("USD = 0.92\n", "");
    for (case, item) in [
        ("never published", None),
        ("not a policy", Some(text_of(3, "version = 3".to_owned()).to_fields())),
        ("another version", Some(text_of(3, policy_text(4, 900)).to_fields())),
        ("another base currency", Some(text_of(3, other_base).to_fields())),
        (
            "changed by hand",
            Some(wrong(text_of(3, policy_text(3, 900)).to_fields(), "hash")),
        ),
    ] {
        plane.plane.set(&policy_key(3), item);
        plane.activate(3, None);
        plane.later(10_000);
        assert_eq!(plane.version(), 2, "{case}");
        assert_eq!(plane.problems().len(), 1, "{case}: {:?}", plane.problems());
    }
}

#[test]
fn a_broken_candidate_never_holds_up_a_rollback() {
    let plane = Plane::new();
    plane.publish(2);
    let rollout = Some(Rollout {
        candidate: 9,
        share_pct: 50,
    });
    plane.activate(2, rollout);
    let directives = plane.ready().unwrap();
    assert_eq!(directives.policy.version, 2);
    assert!(directives.candidate.is_none());
    assert_eq!(plane.problems().len(), 1);
}

#[test]
fn a_candidate_comes_with_its_share() {
    let plane = Plane::new();
    plane.publish(2);
    let rollout = Rollout {
        candidate: 2,
        share_pct: 50,
    };
    plane.activate(OWN_POLICY, Some(rollout));
    let candidate = plane.ready().unwrap().candidate.unwrap();
    assert_eq!((candidate.policy.version, candidate.rollout), (2, rollout));
}
