//! Runs the target for decoding states over a fixed number of mutations, the same ones every time.
#![allow(missing_docs)]

use std::collections::BTreeSet;

use fuzz::random::Random;
use fuzz::state::{SEEDS, check, check_segment, segments};
use tidemark_domain::policy::Policy;

/// Inputs tried.
const RUNS: u64 = 200_000;
/// Mutations of one input at most.
const MUTATIONS_MAX: u64 = 6;

/// Mostly the small states: they are quick, and one bit in them matters more.
fn mutate(random: &mut Random) -> Vec<u8> {
    let bytes = match random.next() % 64 {
        0 => SEEDS[3].to_vec(),
        8..20 => SEEDS[4 + random.below(2)].to_vec(),
        20..32 => SEEDS[6].to_vec(),
        32..40 => SEEDS[7 + random.below(3)].to_vec(),
        1..8 => (0..random.below(64)).map(|_| random.byte()).collect(),
        choice => SEEDS[choice as usize % 3].to_vec(),
    };
    mutated(bytes, random)
}

fn mutated(mut bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
    for _ in 0..random.next() % (MUTATIONS_MAX + 1) {
        let at = random.below(bytes.len() + 1);
        match random.next() % 8 {
            0 if at < bytes.len() => bytes[at] = random.byte(),
            1..=3 if at < bytes.len() => bytes[at] ^= 1 << (random.next() % 8),
            4 => bytes.truncate(at),
            5 => bytes.insert(at, random.byte()),
            6 => bytes.extend((0..random.below(40)).map(|_| 0)),
            7 => {
                // A piece of the input once more, somewhere else.
                let end = (at + random.below(40)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            _ => {}
        }
    }
    bytes
}

#[test]
fn any_bytes_get_a_sound_answer() {
    let policy = Policy::default_policy();
    let (mut states, mut errors) = (0, BTreeSet::new());
    for run in 0..RUNS {
        let bytes = mutate(&mut Random::new(run));
        match check(&bytes, &policy) {
            Ok(None) => states += 1,
            Ok(Some(error)) => {
                errors.insert(error.to_string());
            }
            Err(finding) => panic!("run {run}: {finding}: {bytes:02x?}"),
        }
    }
    // The mutations are worth their time only if they reach both ends: states, and refusals of most kinds.
    assert!(states > RUNS / 50, "only {states} inputs were states");
    assert!(errors.len() > 20, "{errors:?}");
}

#[test]
fn any_bytes_of_a_segment_get_a_sound_answer() {
    let policy = Policy::default_policy();
    let segments = segments();
    let mut sound = 0;
    for run in 0..RUNS / 4 {
        let mut random = Random::new(run);
        let original = segments[random.below(segments.len())];
        let bytes = mutated(original.to_vec(), &mut random);
        match check_segment(original, &bytes, &policy) {
            Ok(is_segment) => sound += u64::from(is_segment),
            Err(finding) => panic!("run {run}: {finding}: {bytes:02x?}"),
        }
    }
    assert!(sound > RUNS / 200 && sound < RUNS / 4, "{sound} inputs were segments");
}
