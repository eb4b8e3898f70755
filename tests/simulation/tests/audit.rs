//! The audit inside: in runs in which something is taken away or forged on purpose it says so, and names it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use simulation::audit::Forgery;
use simulation::run::{Control, Forgeries, Options};
use support::{all, options};

/// Seeds in which everything is forged, one after the other.
const SEEDS: u64 = 40;

#[test]
fn whatever_is_removed_or_forged_after_a_run_the_audit_names_it() {
    let outcomes = all(5_001..=5_000 + SEEDS, |seed| Options {
        forgeries: Forgeries::All,
        ..options(seed, Control::None)
    });
    for (seed, outcome) in &outcomes {
        assert!(
            outcome.violations.none(),
            "seed {seed} ({}): {:#?}",
            outcome.draws,
            outcome.violations.told
        );
    }
    for forgery in Forgery::ALL {
        let forged = outcomes.iter().filter(|(_, outcome)| outcome.forged.contains(&forgery));
        assert!(forged.count() as u64 > SEEDS / 4, "{forgery:?}");
    }
}
