//! The troubles of what somebody published, and of what is learned.

use super::MINUTES_PER_DAY;
use super::troubles::{Case, case, ordinary};
use super::world::{Minute, own};

pub fn learning() -> Vec<Case> {
    let expects = ordinary().with(&own("AlertsExpected"), 1.0);
    vec![
        case(
            "the history of a key is damaged, as recorded",
            Minute::recorded("keys-unread").times(15),
            &["keys-unread", "state-corrupt"],
        ),
        case(
            "a map is in force and not there, as recorded: its records come again",
            Minute::recorded("map-missing").times(5),
            &["canary-returned", "map-problems"],
        ),
        case(
            "one read of a map failed",
            ordinary()
                .with(&own("MapProblems"), 1.0)
                .times(2)
                .then(ordinary().with(&own("MapProblems"), 0.0).times(1)),
            &[],
        ),
        case(
            "a rule divides by zero, as recorded",
            Minute::recorded("rules-undefined").times(15),
            &["rules-undefined"],
        ),
        case(
            "a rule had no result for ten minutes",
            ordinary()
                .with(&own("RulesUndefined"), 5.0)
                .times(10)
                .then(ordinary().with(&own("RulesUndefined"), 0.0).times(5)),
            &[],
        ),
        case(
            "a policy alerts five times as often as it was set to",
            expects.clone().with(&own("Alerts"), 5.0).times(MINUTES_PER_DAY),
            &["decisions-drift"],
        ),
        case(
            "a policy alerts as often as it was set to",
            expects.with(&own("Alerts"), 1.0).times(MINUTES_PER_DAY),
            &[],
        ),
        case(
            "no labels come",
            ordinary().with(&own("Labels"), 0.0).times(3 * MINUTES_PER_DAY),
            &["labels-stopped"],
        ),
        case(
            "the policy in force has no keys",
            ordinary().without(&own("Labels")).times(3 * MINUTES_PER_DAY),
            &[],
        ),
    ]
}
