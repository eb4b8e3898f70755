//! Cards that leave memory and come back: the same bytes as if they had stayed.

use lab::simulate::{self, Scenario, SimConfig};
use tidemark_domain::policy::Policy;

use super::*;

const NOW_MS: i64 = 1_790_812_800_000;
const DAY_MS: i64 = 86_400_000;

/// What comes of a stream, line by line, with so much memory for cards, and how often a card was moved to the file; twice over, 500 days apart, so that cards come back whose
/// whole history is older than anything is kept.
fn ends(seed: u64, cards: u32, chunk_lines: usize, stored_bytes_max: usize) -> (Vec<String>, ScoreSummary, u64) {
    let policy = Policy::default_policy();
    let mut scorer = Scorer::within(policy.clone(), true, Arrival::AtEventTime, stored_bytes_max);
    let mut told = Vec::new();
    let mut chunk = LineChunk::default();
    let mut number = 0;
    for now_ms in [NOW_MS - 500 * DAY_MS, NOW_MS] {
        // Profiles and labels, late events, duplicates and broken ones are in it.
        let config = SimConfig::new(seed, 600, cards, now_ms, &policy).with_scenarios(&Scenario::ALL, 40 * DAY_MS);
        for record in simulate::generate(&config) {
            number += 1;
            chunk.push(number, Ok(&record.payload));
            if chunk.lines.len() == chunk_lines {
                told.extend(scorer.score(&chunk).unwrap().iter().map(|end| format!("{end:?}")));
                chunk.clear();
            }
        }
    }
    told.extend(scorer.score(&chunk).unwrap().iter().map(|end| format!("{end:?}")));
    let moved = scorer.moved();
    (told, scorer.into_summary(), moved)
}

#[test]
fn outcomes_are_the_same_with_hardly_any_memory() {
    for seed in 1..=16 {
        // From one card to hundreds, and from a line at a time to many.
        let (cards, chunk_lines) = (1 + seed * seed % 190, 1 + seed * 7 % 45);
        let lines = chunk_lines as usize;
        let kept = ends(u64::from(seed), cards, lines, usize::MAX);
        let outcomes = kept.0.iter().filter(|end| end.starts_with("Outcome")).count();
        assert!(outcomes > 300, "seed {seed}: {outcomes}");
        assert_eq!(kept.2, 0, "seed {seed}");
        let moved = ends(u64::from(seed), cards, lines, 4_000);
        assert!(moved.2 > 100 || cards < 20, "seed {seed}: {} cards moved", moved.2);
        assert!(kept.0 == moved.0, "seed {seed}: outcomes differ");
        assert_eq!(format!("{:?}", kept.1), format!("{:?}", moved.1), "seed {seed}");
    }
}
