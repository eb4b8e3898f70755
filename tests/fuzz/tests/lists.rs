//! Runs the target for lists over a fixed number of mutations, the same ones every time.
#![allow(missing_docs)]

use std::collections::BTreeSet;

use fuzz::lists::{check, samples};
use fuzz::random::Random;

/// Inputs tried.
const RUNS: u64 = 200_000;
/// Mutations of one input at most.
const MUTATIONS_MAX: u64 = 4;

#[test]
fn any_bytes_of_a_list_get_a_sound_answer() {
    let samples = samples();
    assert_eq!(samples.len(), 2);
    let (mut read, mut refused) = (0, BTreeSet::new());
    for run in 0..RUNS {
        let mut random = Random::new(run);
        let mut bytes = samples[random.below(samples.len())].clone();
        for _ in 0..random.next() % (MUTATIONS_MAX + 1) {
            let at = random.below(bytes.len() + 1);
            match random.next() % 6 {
                0 if at < bytes.len() => bytes[at] = random.byte(),
                1..=3 if at < bytes.len() => bytes[at] ^= 1 << (random.next() % 8),
                4 => bytes.truncate(at),
                _ => bytes.insert(at, random.byte()),
            }
        }
        match check(&bytes) {
            Ok(None) => read += 1,
            Ok(Some(why)) => _ = refused.insert(why),
            Err(finding) => panic!("run {run}: {finding}: {bytes:02x?}"),
        }
    }
    assert!(read > RUNS / 10, "{read}");
    assert!(refused.len() > 5, "{refused:?}");
}
