//! The audit inside: in runs in which something is taken away or forged on purpose it says so, and names it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use simulation::audit::Forgery;
use simulation::draws::Draw;
use simulation::run::{Ablation, Forgeries, Options};
use support::{all, options, with};

/// Seeds in which everything is forged, one after the other.
const SEEDS: u64 = 40;

#[test]
fn whatever_is_removed_or_forged_after_a_run_the_audit_names_it() {
    let outcomes = all(5_001..=5_000 + SEEDS, |seed| Options {
        forgeries: Forgeries::All,
        ..options(seed, Ablation::None)
    });
    for (seed, outcome) in &outcomes {
        assert!(
            outcome.violations.none(),
            "seed {seed} ({}): {:#?}",
            outcome.draws,
            outcome.violations.told
        );
    }
    for forgery in Forgery::ALL
        .into_iter()
        .filter(|forgery| !Forgery::OF_KEYS.contains(forgery))
    {
        let forged = outcomes.iter().filter(|(_, outcome)| outcome.forged.contains(&forgery));
        assert!(forged.count() as u64 > SEEDS / 4, "{forgery:?}");
    }
}

/// Seeds in which labels teach keys.
const LABEL_SEEDS: u64 = 16;

#[test]
fn whatever_is_removed_or_forged_of_a_key_the_audit_names_it() {
    let outcomes = all(6_001..=6_000 + LABEL_SEEDS, |seed| Options {
        forgeries: Forgeries::All,
        ..with(seed, &[Draw::Labels], Ablation::None)
    });
    for (seed, outcome) in &outcomes {
        assert!(outcome.violations.none(), "seed {seed}: {:#?}", outcome.violations.told);
    }
    for forgery in Forgery::OF_KEYS {
        let forged = outcomes.iter().filter(|(_, outcome)| outcome.forged.contains(&forgery));
        assert!(forged.count() as u64 > LABEL_SEEDS / 2, "{forgery:?}");
    }
}
