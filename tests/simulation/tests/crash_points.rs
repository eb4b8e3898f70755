//! Every fault at every call of a scenario, alone and in pairs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use simulation::crash::{scenario, scenario_of_labels};
use simulation::world::Fault;

/// Records of the scenario in which every single fault is played.
const SINGLE_EVENTS: usize = 200;
/// Records of the one in which every pair is.
const PAIR_EVENTS: usize = 30;

fn holds(events: usize, faults: &BTreeMap<u64, Fault>) -> u64 {
    let result = scenario(events, faults.clone());
    assert!(result.violations.none(), "{faults:?}: {:#?}", result.violations.told);
    result.played
}

#[test]
fn every_fault_at_every_call() {
    let quiet = scenario(SINGLE_EVENTS, BTreeMap::new());
    assert!(quiet.violations.none(), "{:#?}", quiet.violations.told);
    assert!(quiet.calls > 50, "{} calls", quiet.calls);
    let mut played = 0;
    for call in 0..quiet.calls {
        for fault in Fault::ALL {
            played += holds(SINGLE_EVENTS, &BTreeMap::from([(call, fault)]));
        }
    }
    assert!(played >= quiet.calls * 6, "{played} faults were played");
}

/// Records of the scenario in which labels teach keys, besides the labels.
const LABELLED_EVENTS: usize = 120;

#[test]
fn every_fault_at_every_call_while_labels_teach_keys() {
    let quiet = scenario_of_labels(LABELLED_EVENTS, BTreeMap::new());
    assert!(quiet.violations.none(), "{:#?}", quiet.violations.told);
    assert!(quiet.calls > 30, "{} calls", quiet.calls);
    let mut played = 0;
    for call in 0..quiet.calls {
        for fault in Fault::ALL {
            let result = scenario_of_labels(LABELLED_EVENTS, BTreeMap::from([(call, fault)]));
            let told = &result.violations.told;
            assert!(result.violations.none(), "{fault:?} at {call}: {told:#?}");
            played += result.played;
        }
    }
    assert!(played >= quiet.calls * 6, "{played} faults were played");
}

#[test]
fn every_pair_of_faults() {
    let calls = scenario(PAIR_EVENTS, BTreeMap::new()).calls;
    let mut played = 0;
    for first in 0..calls {
        for second in first + 1..calls + 3 {
            for a in Fault::ALL {
                for b in Fault::ALL {
                    played += holds(PAIR_EVENTS, &BTreeMap::from([(first, a), (second, b)]));
                }
            }
        }
    }
    assert!(played > calls * calls, "{played} faults were played");
}
