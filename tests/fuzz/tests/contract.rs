//! Runs the target for decoding events over a fixed number of mutations, the same ones every time.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use fuzz::contract::{PIECES, SEEDS, check};
use fuzz::random::Random;

/// Payloads tried.
const RUNS: u64 = 100_000;
/// Mutations of one payload at most.
const MUTATIONS_MAX: u64 = 8;

fn mutate(random: &mut Random) -> Vec<u8> {
    let mut payload = SEEDS[random.below(SEEDS.len())].to_vec();
    for _ in 0..random.next() % (MUTATIONS_MAX + 1) {
        let at = random.below(payload.len() + 1);
        match random.next() % 6 {
            0 if at < payload.len() => payload[at] = random.next().to_le_bytes()[0],
            1 if at < payload.len() => payload[at] ^= 1 << (random.next() % 8),
            2 => payload.truncate(at),
            3 => {
                let end = (at + random.below(12)).min(payload.len());
                payload.drain(at..end);
            }
            4 => {
                // A piece of the payload once more, somewhere else.
                let end = (at + random.below(80)).min(payload.len());
                let piece = payload[at..end].to_vec();
                let to = random.below(payload.len() + 1);
                payload.splice(to..to, piece);
            }
            _ => {
                let piece = PIECES[random.below(PIECES.len())];
                payload.splice(at..at, piece.iter().copied());
            }
        }
    }
    payload
}

#[test]
fn any_payload_gets_a_sound_answer() {
    for run in 0..RUNS {
        let payload = mutate(&mut Random::new(run));
        if let Err(finding) = check(&payload) {
            panic!("run {run}: {finding}: {:?}", String::from_utf8_lossy(&payload));
        }
    }
}

/// The mutations are worth their time only if they reach both ends: accepted and refused in many ways.
#[test]
fn the_mutations_reach_most_answers() {
    use std::collections::BTreeMap;
    use tidemark_domain::contract::{Bounds, decode};
    let mut answers: BTreeMap<String, u32> = BTreeMap::new();
    for run in 0..20_000 {
        let payload = mutate(&mut Random::new(run));
        let answer = decode(&payload, fuzz::contract::ARRIVAL_MS, &Bounds::default());
        *answers
            .entry(
                answer
                    .err()
                    .map_or("accepted".to_owned(), |refusal| refusal.code.to_string()),
            )
            .or_default() += 1;
    }
    assert!(answers["accepted"] > 500, "{answers:?}");
    assert!(answers.len() >= 15, "{answers:?}");
}
