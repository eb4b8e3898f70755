//! Runs the targets for models of trees over a fixed number of mutations, the same ones every time.
#![allow(missing_docs)]

use std::collections::BTreeSet;

use fuzz::random::Random;
use fuzz::trees::{JSON, MODEL, PIECES, check, check_json};

/// Inputs tried as a model's own bytes.
const RUNS: u64 = 100_000;
/// Inputs tried as XGBoost's JSON: reading one takes longer.
const JSON_RUNS: u64 = 20_000;
/// Mutations of one input at most.
const MUTATIONS_MAX: u64 = 4;

fn mutated(bytes: &[u8], pieces: &[&[u8]], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..random.next() % (MUTATIONS_MAX + 1) {
        let at = random.below(bytes.len() + 1);
        match random.next() % 16 {
            0 if at < bytes.len() => bytes[at] = random.byte(),
            1..=4 if at < bytes.len() => bytes[at] ^= 1 << (random.next() % 8),
            5 => bytes.truncate(at),
            6 => {
                let end = (at + random.below(12)).min(bytes.len());
                bytes.drain(at..end);
            }
            7 => {
                // A piece of the input once more, somewhere else.
                let end = (at + random.below(80)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            8..=15 if !pieces.is_empty() => {
                // A whole number of the text is another one, or something else.
                let digits = |byte: &u8| byte.is_ascii_digit() || b"-.E".contains(byte);
                let piece = pieces[random.below(pieces.len())];
                let from = bytes[..at]
                    .iter()
                    .rposition(|byte| !digits(byte))
                    .map_or(0, |from| from + 1);
                let to = at + bytes[at..].iter().position(|byte| !digits(byte)).unwrap_or(0);
                bytes.splice(from..to, piece.iter().copied());
            }
            _ => {}
        }
    }
    bytes
}

#[test]
fn any_bytes_of_a_model_get_a_sound_answer() {
    let (mut models, mut errors) = (0, BTreeSet::new());
    for run in 0..RUNS {
        let mut random = Random::new(run);
        // Few bytes of the model are structure: a short piece of it is hit more often.
        let bytes = if run % 8 == 0 {
            (0..random.below(64))
                .map(|at| if at == 0 { 1 } else { random.byte() })
                .collect()
        } else {
            mutated(MODEL, &[], &mut random)
        };
        match check(&bytes) {
            Ok(None) => models += 1,
            Ok(Some(error)) => {
                errors.insert(error);
            }
            Err(finding) => panic!("run {run}: {finding}: {bytes:02x?}"),
        }
    }
    // The mutations are worth their time only if they reach both ends: models, and refusals of most kinds.
    assert!(models > RUNS / 20, "only {models} inputs were models");
    assert!(errors.len() > 20, "{errors:?}");
}

#[test]
fn any_bytes_of_a_file_get_a_sound_answer() {
    let (mut models, mut errors) = (0, BTreeSet::new());
    for run in 0..JSON_RUNS {
        let bytes = mutated(JSON, &PIECES, &mut Random::new(run));
        match check_json(&bytes) {
            Ok(None) => models += 1,
            Ok(Some(error)) => {
                // What kind of refusal it is, whatever the place and the number.
                errors.insert(error.replace(|letter: char| letter.is_ascii_digit(), ""));
            }
            Err(finding) => panic!("run {run}: {finding}: {}", String::from_utf8_lossy(&bytes)),
        }
    }
    assert!(models > JSON_RUNS / 20, "only {models} inputs were models");
    assert!(errors.len() > 40, "{errors:?}");
}
