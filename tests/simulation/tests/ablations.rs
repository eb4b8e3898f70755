//! With a rule taken away the harness has to notice: one ablation for each draw at least. The same seeds and draws hold where
//! the rule is in force, or the ablation would show nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use simulation::draws::Draw;
use simulation::run::{Ablation, run};
use simulation::violations::Violation;
use support::{all, options, with};
use tidemark_domain::invariant::Invariant;

/// Seeds within which an ablation has to be noticed.
const ABLATION_SEEDS: u64 = 20;

/// An ablation is noticed, by one of these invariants; and with the rule in force the same seed holds.
fn noticed(draws: &[Draw], ablation: Ablation, broken: &[Invariant]) {
    let is_broken = |invariant| broken.contains(&invariant);
    noticed_by(draws, ablation, |told| told.invariant.is_some_and(is_broken));
}

/// The same, by such a violation.
fn noticed_by(draws: &[Draw], ablation: Ablation, is_one: impl Fn(&Violation) -> bool) {
    for seed in 1..=ABLATION_SEEDS {
        let outcome = run(&with(seed, draws, ablation));
        if outcome.violations.told.iter().any(&is_one) {
            let whole = run(&with(seed, draws, Ablation::None));
            assert!(whole.violations.none(), "seed {seed}: {:#?}", whole.violations.told);
            return;
        }
    }
    panic!("nothing noticed in {ABLATION_SEEDS} seeds");
}

#[test]
fn without_the_condition_on_the_version_the_harness_finds_lost_updates() {
    noticed(
        &[],
        Ablation::NoCondition,
        &[Invariant::OnlyOnVersionRead, Invariant::CountsOnce],
    );
}

#[test]
fn with_a_ten_minute_token_for_a_dedupe_record_the_harness_finds_events_that_count_twice() {
    let outcomes = all(1..=ABLATION_SEEDS, |seed| options(seed, Ablation::TenMinuteToken));
    let told = outcomes.iter().flat_map(|(_, outcome)| &outcome.violations.told);
    let found = told.filter(|told| matches!(told.invariant, Some(Invariant::CountsOnce | Invariant::PureScore)));
    assert!(found.count() > 0, "nothing noticed in {ABLATION_SEEDS} seeds");
}

/// A call of many writes is taken in part: what it does not tell apart is lost.
#[test]
fn writes_that_are_refused_and_count_as_done_are_found() {
    noticed(
        &[],
        Ablation::RefusedWritesCountAsDone,
        &[Invariant::NothingLost, Invariant::CountsOnce, Invariant::OneOutcome],
    );
}

#[test]
fn ttl_states_that_are_dropped_an_hour_after_they_were_written_are_found() {
    noticed(
        &[Draw::Ttl, Draw::Days],
        Ablation::ForgottenStates,
        &[Invariant::CountsOnce],
    );
}

#[test]
fn restore_without_a_redrive_is_found() {
    noticed(
        &[Draw::Restore, Draw::Walk],
        Ablation::NoRedriveAfterRestore,
        &[Invariant::NothingLost, Invariant::CountsOnce],
    );
}

#[test]
fn restore_with_a_condition_on_the_number_alone_is_found() {
    noticed(
        &[Draw::Restore, Draw::Walk],
        Ablation::NumberOnly,
        &[Invariant::OnlyOnVersionRead, Invariant::CountsOnce],
    );
}

#[test]
fn days_in_a_stream_that_keeps_an_hour_are_found() {
    noticed(
        &[Draw::Days, Draw::Modes],
        Ablation::ShortRetention,
        &[Invariant::NothingLost],
    );
}

#[test]
fn policies_of_one_version_and_two_texts_are_found() {
    noticed(
        &[Draw::Policies],
        Ablation::PolicyPublishedTwice,
        &[Invariant::PureScore, Invariant::CountsOnce],
    );
}

#[test]
fn overrides_that_are_pruned_when_they_end_are_found() {
    noticed_by(&[Draw::Overrides], Ablation::OverridesPruned, |told| {
        told.invariant.is_none() && told.words.starts_with("event")
    });
}

#[test]
fn modes_a_pause_after_which_the_backlog_is_given_up_for_its_age_is_found() {
    noticed(
        &[Draw::Modes, Draw::Days],
        Ablation::PauseForgetsAge,
        &[Invariant::CardOrder],
    );
}

#[test]
fn aggregates_that_are_done_in_halves_are_found() {
    noticed(
        &[Draw::Aggregates],
        Ablation::AggregateInHalves,
        &[Invariant::NothingLost],
    );
}

#[test]
fn reused_ids_with_decisions_that_are_known_without_their_time_are_found() {
    noticed(
        &[Draw::ReusedIds],
        Ablation::DecisionsWithoutTime,
        &[Invariant::OneOutcome],
    );
}

#[test]
fn odd_ids_in_a_store_that_ignores_case_and_spaces_are_found() {
    noticed(
        &[Draw::OddIds],
        Ablation::FoldedIds,
        &[
            Invariant::NothingLost,
            Invariant::CountsOnce,
            Invariant::OnlyOnVersionRead,
            Invariant::PureScore,
        ],
    );
}

#[test]
fn keys_that_are_no_card_s_without_the_condition_are_found() {
    noticed(
        &[Draw::Keys],
        Ablation::NoCondition,
        &[Invariant::OnlyOnVersionRead, Invariant::CountsOnce],
    );
}

#[test]
fn capacity_what_a_busy_shard_leaves_out_and_counts_as_sent_is_found() {
    noticed(
        &[Draw::Capacity],
        Ablation::LeftOutCountsAsSent,
        &[Invariant::NothingLost],
    );
}

#[test]
fn walk_with_a_queue_that_forgets_what_was_received_is_found() {
    noticed(&[Draw::Walk], Ablation::ForgetfulQueue, &[Invariant::NothingLost]);
}

/// Files are imported in two of seven seeds, whatever else they draw.
#[test]
fn an_import_that_died_and_is_taken_for_done_is_found() {
    noticed_by(&[], Ablation::ImportBrokenOff, |told| {
        told.invariant == Some(Invariant::NothingLost) && told.words.starts_with("file ")
    });
}

#[test]
fn labels_whose_keys_lose_a_write_are_found() {
    noticed(&[Draw::Labels], Ablation::KeyWritesLost, &[Invariant::CountsOnce]);
}

#[test]
fn labels_that_a_key_takes_twice_are_found() {
    noticed(&[Draw::Labels], Ablation::LabelsDoubled, &[Invariant::CountsOnce]);
}

#[test]
fn labels_that_are_read_before_they_are_known_are_found() {
    noticed(&[Draw::Labels], Ablation::LabelsKnownTooEarly, &[Invariant::PureScore]);
}

#[test]
fn labels_without_the_condition_on_a_key_s_version_are_found() {
    noticed_by(&[Draw::Labels], Ablation::NoCondition, |told| {
        told.invariant == Some(Invariant::OnlyOnVersionRead) && told.words.starts_with("key ")
    });
}

#[test]
fn hot_cards_without_the_condition_are_found() {
    noticed(
        &[Draw::Hot],
        Ablation::NoCondition,
        &[Invariant::OnlyOnVersionRead, Invariant::CountsOnce],
    );
}
