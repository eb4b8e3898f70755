//! Random runs: whatever the function does, every record ends exactly once, in order of its key, and a seed replays.

use std::collections::BTreeMap;

use super::*;

/// A linear congruential generator (Knuth's MMIX constants): the runs are the same for ever.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

const RECORDS: u64 = 200;

fn options(dice: &mut Dice) -> EsmOptions {
    EsmOptions {
        batch_size: 1 + u32::try_from(dice.roll(20)).unwrap(),
        batching_window_ms: dice.roll(3) * 100,
        parallelization_factor: 1 + u32::try_from(dice.roll(10)).unwrap(),
        bisect_on_error: dice.roll(2) == 0,
        retries_max: Some(u32::try_from(dice.roll(4)).unwrap()),
        record_age_s_max: (dice.roll(3) == 0).then_some(60),
        payload_bytes_max: 50 + usize::try_from(dice.roll(100)).unwrap(),
        ..reporting()
    }
}

/// What one run did: the end of each record, and a trace.
fn run(seed: u64) -> (BTreeMap<u64, &'static str>, Vec<String>) {
    let mut dice = Dice(seed);
    let mut bench = Bench::new(options(&mut dice));
    let keys: Vec<String> = (0..RECORDS).map(|_| format!("k{}", dice.roll(17))).collect();
    let mut ends: BTreeMap<u64, &'static str> = BTreeMap::new();
    let mut trace = Vec::new();
    let mut next = 0;
    for _ in 0..200_000 {
        if next < RECORDS && dice.roll(3) == 0 {
            bench.put("a", &[(next, &keys[usize::try_from(next).unwrap()])]);
            next += 1;
        }
        bench.poll();
        if let Some(call) = pick(&bench.calls, &mut dice) {
            trace.push(format!("{} {:?}", bench.now_ms, call.records));
            let first_open = call.records.iter().position(|n| ends.contains_key(n));
            assert_eq!(
                first_open, None,
                "seed {seed}: a record that had ended came again: {call:?}"
            );
            in_order(&bench.calls, &ends, &call, &keys, seed);
            finish_somehow(&mut bench, &call, &mut ends, &mut dice);
        }
        if !bench.notices.is_empty() && dice.roll(2) == 0 {
            note_given_up(&mut bench, &mut ends, &keys);
        }
        if next == RECORDS && bench.esm.is_idle() {
            return (ends, trace);
        }
        bench.now_ms += i64::try_from(dice.roll(50)).unwrap();
    }
    panic!("seed {seed}: the run does not end");
}

fn pick(calls: &[Call], dice: &mut Dice) -> Option<Call> {
    let index = usize::try_from(dice.roll(calls.len().max(1) as u64)).unwrap();
    calls.get(index).cloned()
}

/// Every earlier record of a key has ended before a record is invoked, or is in the same batch before it.
fn in_order(calls: &[Call], ends: &BTreeMap<u64, &'static str>, call: &Call, keys: &[String], seed: u64) {
    let key = |n: u64| &keys[usize::try_from(n).unwrap()];
    assert!(call.records.is_sorted(), "seed {seed}");
    for &n in &call.records {
        let earlier = (0..n).filter(|&e| key(e) == key(n) && !ends.contains_key(&e));
        for open in earlier {
            assert!(
                call.records.contains(&open),
                "seed {seed}: {n} before {open} of the same key; {calls:?}"
            );
        }
    }
}

fn finish_somehow(bench: &mut Bench, call: &Call, ends: &mut BTreeMap<u64, &'static str>, dice: &mut Dice) {
    let done_before = match dice.roll(10) {
        0 => {
            bench.finish(call, &failed());
            0
        }
        1 => {
            let index = usize::try_from(dice.roll(call.records.len() as u64)).unwrap();
            bench.finish(call, &answered(&failures(&call.records[index..=index])));
            index
        }
        2 => {
            bench.finish(call, &InvokeOutcome::NotRun);
            0
        }
        _ => {
            bench.finish(call, &answered(""));
            call.records.len()
        }
    };
    for n in &call.records[..done_before] {
        ends.insert(*n, "done");
    }
}

/// The message names a range; which records of it the batch held follows from the lane, so from what is not done.
fn note_given_up(bench: &mut Bench, ends: &mut BTreeMap<u64, &'static str>, keys: &[String]) {
    let notice = bench.take_notice();
    let info = &notice["KinesisBatchInfo"];
    let small = |field: &str| info[field].as_str().unwrap()[2..].parse::<u64>().unwrap();
    let (from, to) = (small("startSequenceNumber"), small("endSequenceNumber"));
    let lanes = bench.esm.options().parallelization_factor as usize;
    let lane = |n: u64| super::super::shard::lane_of(&keys[usize::try_from(n).unwrap()], lanes);
    let mut given_up = 0;
    for n in (from..=to).filter(|&n| lane(n) == lane(from)) {
        assert_eq!(ends.insert(n, "given up"), None, "record {n} ended twice");
        given_up += 1;
    }
    assert_eq!(info["batchSize"], given_up);
}

#[test]
fn every_record_ends_exactly_once_and_keys_stay_in_order() {
    let mut given_up = 0;
    for seed in 1..=40 {
        let (ends, _) = run(seed);
        assert_eq!(ends.len() as u64, RECORDS, "seed {seed}");
        given_up += ends.values().filter(|end| **end == "given up").count();
    }
    assert!(given_up > 100, "the runs give records up too: {given_up}");
}

#[test]
fn a_seed_replays_to_the_same_trace() {
    assert_eq!(run(7).1, run(7).1);
    assert_ne!(run(7).1, run(8).1);
}
