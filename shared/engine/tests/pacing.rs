//! Sinks and quarantines that take a second's worth at a time, as AWS's do: what takes some is no failure.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::{Arc, Mutex};

use crate::common::*;
use futures_util::FutureExt;
use tidemark_domain::contract::aggregate::{Aggregator, PackedRecord};
use tidemark_domain::event::Profile;
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::id::CardId;
use tidemark_domain::policy::Policy;
use tidemark_engine::memory::{Allowance, Fault, ManualClock, MemoryQuarantine, MemorySink, MemoryStore, Op};
use tidemark_engine::port::{
    Answers, Commit, DecisionItem, Freshness, KeyId, KeyWrite, Metered, OutcomeRecord, PortError, PutOnce, Quarantine,
    QuarantineMessage, ScoreSink, SegmentItem, StateItem, StateStore, StateWrite, Units,
};
use tidemark_engine::{BatchReport, End, Engine, EngineConfig, InRecord, Returned};

/// One shard of a scores stream: 1,000 records a second, the rest of a call refused one by one.
#[derive(Clone)]
struct ShardSink {
    clock: ManualClock,
    inner: MemorySink,
    limit: Arc<Mutex<Limit>>,
    calls: Arc<Mutex<Vec<usize>>>,
}

#[derive(Clone, Copy)]
enum Limit {
    /// A bucket that fills up evenly.
    Bucket(Allowance),
    /// So many in each second of the clock, however they come.
    Second { second: i64, taken: usize },
}

const PER_SECOND: usize = 1_000;
/// What a call takes of the time, ms.
const CALL_MS: i64 = 15;

impl ShardSink {
    fn new(clock: &ManualClock, limit: Limit) -> Self {
        Self {
            clock: clock.clone(),
            inner: MemorySink::default(),
            limit: Arc::new(Mutex::new(limit)),
            calls: Arc::default(),
        }
    }

    fn taken(&self) -> usize {
        self.inner.outcomes().len()
    }
}

impl ScoreSink for ShardSink {
    async fn send(&self, outcomes: &[OutcomeRecord]) -> Result<Vec<usize>, PortError> {
        self.clock.advance(CALL_MS);
        self.calls.lock().unwrap().push(outcomes.len());
        let now_ms = tidemark_engine::port::Clock::now_ms(&self.clock);
        let mut left = Vec::new();
        for (at, outcome) in outcomes.iter().enumerate() {
            let is_taken = match &mut *self.limit.lock().unwrap() {
                Limit::Bucket(bucket) => bucket.take(1, now_ms),
                Limit::Second { second, taken } => {
                    if *second != now_ms / 1_000 {
                        (*second, *taken) = (now_ms / 1_000, 0);
                    }
                    *taken += 1;
                    *taken <= PER_SECOND
                }
            };
            if is_taken {
                self.inner.send(std::slice::from_ref(outcome)).await?;
            } else {
                left.push(at);
            }
        }
        Ok(left)
    }
}

fn limits() -> [Limit; 2] {
    [
        Limit::Bucket(Allowance::new(PER_SECOND as u64)),
        Limit::Second { second: 0, taken: 0 },
    ]
}

fn engine<Q: Quarantine>(sink: &ShardSink, quarantine: Q) -> Engine<MemoryStore, ShardSink, Q, ManualClock> {
    let policy = Arc::new(Policy::default_policy());
    let config = EngineConfig {
        deadline_margin_ms: 1_000,
        ..EngineConfig::default()
    };
    Engine::new(
        MemoryStore::default(),
        sink.clone(),
        quarantine,
        sink.clock.clone(),
        policy,
        config,
    )
}

/// So many aggregates of so many events, each of a card of its own.
fn aggregates(records: usize, per: usize) -> Vec<Record> {
    let aggregate = |record: usize| {
        let mut aggregator = Aggregator::new();
        for at in 0..per {
            let data = tx(&format!("card-{record}-{at}"), &format!("e-{record}-{at}"), 60, 1_000);
            let user = PackedRecord {
                partition_key: "k",
                explicit_hash_key: None,
                data: &data,
            };
            assert!(aggregator.push(&user, usize::MAX));
        }
        aggregator.finish()
    };
    crate::common::records((0..records).map(aggregate))
}

fn process<S: StateStore, K: ScoreSink, Q: Quarantine>(
    engine: &Engine<S, K, Q, ManualClock>,
    records: &[Record],
    deadline_ms: i64,
) -> BatchReport {
    let batch: Vec<InRecord<'_>> = records.iter().map(Record::as_in).collect();
    let report = engine.process(&batch, deadline_ms).now_or_never().unwrap();
    assert_adds_up(&report, &batch);
    report
}

fn now_ms(clock: &ManualClock) -> i64 {
    tidemark_engine::port::Clock::now_ms(clock)
}

#[test]
fn outcomes_end_in_one_try_at_the_pace_of_the_shard() {
    for (count, per) in [(1, 500), (1, 1_900), (1, 3_500), (4, 900), (88, 200)] {
        for limit in limits() {
            let clock = ManualClock::at(START_MS);
            let sink = ShardSink::new(&clock, limit);
            let events = count * per;
            let report = process(
                &engine(&sink, MemoryQuarantine::default()),
                &aggregates(count, per),
                START_MS + 60_000,
            );
            assert_eq!(
                (report.scored, report.retry_from.clone()),
                (events as u64, None),
                "{count} x {per}: {:?}",
                report.returned
            );
            assert_eq!(sink.taken(), events, "none is sent twice");
            let took_ms = now_ms(&clock) - START_MS;
            let at_best_ms = i64::try_from(events / PER_SECOND).unwrap() * 1_000;
            assert!(took_ms < at_best_ms + 2_500, "{count} x {per} took {took_ms} ms");
            let calls = sink.calls.lock().unwrap().len();
            assert!(calls <= 3 * (events / PER_SECOND + 2), "{count} x {per}: {calls} calls");
        }
    }
}

#[test]
fn what_the_deadline_cuts_off_is_not_done_again_by_the_next_try() {
    let clock = ManualClock::at(START_MS);
    let sink = ShardSink::new(&clock, Limit::Bucket(Allowance::new(PER_SECOND as u64)));
    let engine = engine(&sink, MemoryQuarantine::default());
    // One aggregate that needs eight seconds, in tries of four.
    let batch = aggregates(1, 9_000);
    let mut tries = 0;
    loop {
        tries += 1;
        assert!(tries < 5, "it does not end");
        let report = process(&engine, &batch, now_ms(&clock) + 4_500);
        let Some(from) = report.retry_from else { break };
        assert_eq!(from, batch[0].sequence_number);
        assert_eq!(report.returned.keys().collect::<Vec<_>>(), [&Returned::Deadline]);
        assert_eq!(report.unsent > 0, tries == 1, "only the first try counts them");
    }
    assert_eq!(sink.taken(), 9_000, "each outcome was sent once");
    assert_eq!(sink.inner.outcomes().len(), 9_000);
}

#[test]
fn a_try_that_knows_of_none_before_it_sends_all_again() {
    let clock = ManualClock::at(START_MS);
    let sink = ShardSink::new(&clock, Limit::Bucket(Allowance::new(PER_SECOND as u64)));
    let batch = aggregates(1, 3_000);
    let store = MemoryStore::default();
    let new = || {
        Engine::new(
            store.clone(),
            sink.clone(),
            MemoryQuarantine::default(),
            clock.clone(),
            Arc::new(Policy::default_policy()),
            EngineConfig {
                deadline_margin_ms: 1_000,
                ..EngineConfig::default()
            },
        )
    };
    let report = process(&new(), &batch, now_ms(&clock) + 2_000);
    assert!(report.retry_from.is_some());
    let before = sink.taken();
    let report = process(&new(), &batch, now_ms(&clock) + 60_000);
    assert_eq!(
        (report.duplicate, report.outcomes_sent, report.outcomes_sent_before),
        (3_000, 3_000, 0)
    );
    assert_eq!(sink.taken(), before + 3_000);
    let report = process(&new(), &batch, now_ms(&clock) + 60_000);
    assert_eq!(
        report.outcomes_sent, 3_000,
        "a whole batch that comes again is sent again"
    );
}

#[test]
fn what_lies_behind_a_record_that_comes_again_is_not_sent_twice() {
    let world = World::new();
    let engine = world.engine();
    let batch = records([tx("a", "e1", 60, 100), tx("b", "e2", 50, 100), tx("c", "e3", 40, 100)]);
    world
        .faults
        .at(Op::Commit, 0..1, Fault::Before(PortError::Permanent("test".to_owned())));
    let report = run(&engine, &batch, FAR_MS).unwrap();
    assert_eq!(
        report.ends,
        [End::Returned(Returned::StoreRefused), End::Scored, End::Scored]
    );
    let report = run(&engine, &batch, FAR_MS).unwrap();
    assert_eq!(report.ends, [End::Scored, End::Duplicate, End::Duplicate]);
    assert_eq!((report.outcomes_sent, report.outcomes_sent_before), (1, 2));
    assert_eq!(world.sink.outcomes().len(), 3);
    let report = run(&engine, &batch, FAR_MS).unwrap();
    assert_eq!(
        (report.outcomes_sent, report.outcomes_sent_before),
        (3, 0),
        "it was whole: a redrive asks for all of it"
    );
    assert_as_expected(&world, &expect(&batch, &world.policy));
}

/// A quarantine in which each call takes its time.
#[derive(Clone)]
struct SlowQuarantine {
    clock: ManualClock,
    inner: MemoryQuarantine,
    calls: Arc<Mutex<usize>>,
}

/// What ten messages of one call take, ms.
const TEN_MESSAGES_MS: i64 = 100;

impl Quarantine for SlowQuarantine {
    async fn put(&self, messages: &[QuarantineMessage]) -> Result<Vec<usize>, PortError> {
        *self.calls.lock().unwrap() += 1;
        let tens = i64::try_from(messages.len().div_ceil(10)).unwrap();
        self.clock.advance(tens * TEN_MESSAGES_MS);
        self.inner.put(messages).await
    }
}

#[test]
fn a_flood_of_poison_looks_at_the_deadline_and_goes_on_where_it_was() {
    let clock = ManualClock::at(START_MS);
    let sink = ShardSink::new(&clock, Limit::Bucket(Allowance::new(PER_SECOND as u64)));
    let quarantine = SlowQuarantine {
        clock: clock.clone(),
        inner: MemoryQuarantine::default(),
        calls: Arc::default(),
    };
    let engine = engine(&sink, quarantine.clone());
    let batch = records((0..5_000).map(|n| format!("poison {n}").into_bytes()));
    let (mut rest, mut tries) = (&batch[..], 0);
    while !rest.is_empty() {
        tries += 1;
        assert!(tries < 6, "it does not end");
        let deadline_ms = now_ms(&clock) + 20_000;
        let report = process(&engine, rest, deadline_ms);
        assert!(now_ms(&clock) < deadline_ms, "the answer gets out before the deadline");
        let whole = match &report.retry_from {
            None => rest.len(),
            Some(from) => {
                assert_eq!(report.returned.keys().collect::<Vec<_>>(), [&Returned::Deadline]);
                rest.iter().position(|record| record.sequence_number == *from).unwrap()
            }
        };
        assert!(whole > 0, "each try gets on");
        rest = &rest[whole..];
    }
    assert_eq!(quarantine.inner.messages().len(), 5_000, "none is put there twice");
}

#[test]
fn large_payloads_go_a_few_at_a_time() {
    let clock = ManualClock::at(START_MS);
    let sink = ShardSink::new(&clock, Limit::Bucket(Allowance::new(PER_SECOND as u64)));
    let quarantine = SlowQuarantine {
        clock: clock.clone(),
        inner: MemoryQuarantine::default(),
        calls: Arc::default(),
    };
    let batch = records((0..20).map(|_| vec![b'x'; 900 * 1024]));
    let report = process(&engine(&sink, quarantine.clone()), &batch, START_MS + 60_000);
    assert_eq!((report.quarantined_total(), report.quarantine_messages), (20, 120));
    assert!(*quarantine.calls.lock().unwrap() >= 24, "a mebibyte a call");
}

/// A table that gives a partition so many write units a second, and writes what it has them for.
#[derive(Clone)]
struct PartitionStore {
    inner: MemoryStore,
    clock: ManualClock,
    units: Arc<Mutex<Allowance>>,
    written: Arc<Mutex<usize>>,
}

impl StateStore for PartitionStore {
    async fn load_states(&self, cards: &[CardId]) -> Result<Metered<Vec<Option<StateItem>>>, PortError> {
        self.inner.load_states(cards).await
    }

    async fn load_profiles(&self, cards: &[CardId]) -> Result<Metered<Vec<Option<Profile>>>, PortError> {
        self.inner.load_profiles(cards).await
    }

    async fn load_segments(
        &self,
        segments: &[(CardId, SegmentKey)],
        freshness: Freshness,
    ) -> Result<Metered<Vec<Option<Vec<u8>>>>, PortError> {
        self.inner.load_segments(segments, freshness).await
    }

    async fn put_segments(&self, segments: &[SegmentItem]) -> Result<Metered<()>, PortError> {
        self.clock.advance(CALL_MS);
        for segment in segments {
            let units = segment.bytes.len().div_ceil(1_024) as u64;
            if !self.units.lock().unwrap().take(units, now_ms(&self.clock)) {
                return Err(PortError::Throttled(
                    "BatchWriteItem: items left unprocessed".to_owned(),
                ));
            }
            *self.written.lock().unwrap() += 1;
            self.inner.put_segments(std::slice::from_ref(segment)).await?;
        }
        Ok(Metered {
            value: (),
            units: Units::default(),
        })
    }

    async fn load_state(&self, card: &CardId) -> Result<Metered<Option<StateItem>>, PortError> {
        self.inner.load_state(card).await
    }

    async fn commit(&self, writes: &[Arc<StateWrite>]) -> Answers<Commit> {
        self.inner.commit(writes).await
    }

    async fn load_keys(&self, keys: &[KeyId]) -> Result<Metered<Vec<Option<StateItem>>>, PortError> {
        self.inner.load_keys(keys).await
    }

    async fn load_key(&self, key: KeyId) -> Result<Metered<Option<StateItem>>, PortError> {
        self.inner.load_key(key).await
    }

    async fn commit_keys(&self, writes: &[Arc<KeyWrite>]) -> Answers<Commit> {
        self.inner.commit_keys(writes).await
    }

    async fn put_profile(&self, profile: &Profile) -> Result<Metered<PutOnce>, PortError> {
        self.inner.put_profile(profile).await
    }

    async fn put_decisions(&self, decisions: &[Arc<DecisionItem>]) -> Answers<PutOnce> {
        self.inner.put_decisions(decisions).await
    }
}

#[test]
fn more_sealed_segments_than_a_partition_takes_in_a_second_are_written_as_it_takes_them() {
    let clock = ManualClock::at(START_MS);
    let store = PartitionStore {
        inner: MemoryStore::default(),
        clock: clock.clone(),
        units: Arc::new(Mutex::new(Allowance::new(200))),
        written: Arc::default(),
    };
    let policy = Policy {
        head_events_max: 24,
        ..Policy::default_policy()
    };
    let (sink, quarantine) = (MemorySink::default(), MemoryQuarantine::default());
    let engine = Engine::new(
        store.clone(),
        sink,
        quarantine,
        clock.clone(),
        Arc::new(policy),
        EngineConfig::default(),
    );
    let events = (0..6_000).map(|n| tx("hot", &format!("e{n}"), 80_000 - n * 10, 1_000));
    let batch: Vec<Record> = records(events)
        .into_iter()
        .map(|record| Record {
            arrival_ms: START_MS,
            ..record
        })
        .collect();
    let report = process(&engine, &batch, now_ms(&clock) + 60_000);
    assert_eq!(
        (report.scored, report.retry_from),
        (6_000, None),
        "{:?}",
        report.returned
    );
    let (distinct, written) = (store.inner.segments().len(), *store.written.lock().unwrap());
    assert!(distinct > 300, "{distinct} segments are more than a second's worth");
    assert!(written < 2 * distinct, "{written} writes of {distinct} segments");
}
