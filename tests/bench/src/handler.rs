//! The `score` function's path with everything around it in memory: an invocation's JSON in, outcomes and metrics out, on
//! one core.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt;
use lambda_runtime::Context;
use score_function::ScoreFunction;
use serde_json::{Value, json};
use tidemark_domain::policy::Policy;
use tidemark_engine::memory::{ManualClock, MemoryQuarantine, MemorySink, MemoryStore};
use tidemark_engine::{Engine, EngineConfig};
use tidemark_telemetry::EmfLine;

/// Records in an invocation.
const BATCH_RECORDS: usize = 500;
/// Events that every card has before the measurement starts: what fits in one write unit.
const EVENTS_BEFORE: usize = 60;
/// Invocations measured for each number of cards, unless another number is asked for.
pub const BATCHES: usize = 200;
/// Numbers of cards, unless one is asked for.
pub const CARDS: [usize; 3] = [50, 500, 5_000];
/// When the stream starts, milliseconds since 1970-01-01T00:00:00Z.
const START_MS: i64 = 1_790_000_000_000;
/// Time between two events of one card, milliseconds: half a day, so that a month's window holds the 60 events.
const CARD_STEP_MS: i64 = 43_200_000;

/// What one number of cards gave.
struct Figures {
    cards: usize,
    events: usize,
    wall: Duration,
    /// Time on the processor, where the system says; unlike the wall's, it does not count what others did meanwhile.
    cpu: Option<Duration>,
    writes_per_event: f64,
}

/// Measures with logs and metrics written to standard output, as the bootstrap writes them.
pub fn run_told(cards: &[usize], batches: usize) -> Result<String, String> {
    tidemark_telemetry::logging::init(tracing::Level::INFO);
    measure_all(cards, batches, &Policy::default_policy(), write_metrics)
}

/// Measures and tells.
pub fn run(cards: &[usize], batches: usize, policy: &Policy) -> Result<String, String> {
    measure_all(cards, batches, policy, |_| Ok(()))
}

/// On its own, so that a profile tells it apart.
#[inline(never)]
fn write_metrics(lines: &[EmfLine]) -> Result<(), String> {
    let mut output = io::stdout().lock();
    let mut lines = lines.iter();
    lines.try_for_each(|line| line.write_to(&mut output).map_err(|error| error.to_string()))
}

type Tell = fn(&[EmfLine]) -> Result<(), String>;

fn measure_all(cards: &[usize], batches: usize, policy: &Policy, tell: Tell) -> Result<String, String> {
    let mut text = format!(
        "score handler in memory: {batches} invocations of {BATCH_RECORDS} records as JSON, one thread, \
         {EVENTS_BEFORE} events a card at the start\n\n  cards   events   wall ms    cpu ms   events/s (wall)   events/s (cpu)   writes/event\n"
    );
    for &cards in cards {
        let figures = measure(cards, batches, policy, tell)?;
        let per_second = |time: Duration| figures.events as f64 / time.as_secs_f64();
        let cpu = figures.cpu.map_or(["-".to_owned(), "-".to_owned()], |cpu| {
            [
                format!("{:.0}", cpu.as_secs_f64() * 1e3),
                format!("{:.0}", per_second(cpu)),
            ]
        });
        text += &format!(
            "{:>7} {:>8} {:>9.0} {:>9} {:>17.0} {:>16} {:>14.3}\n",
            figures.cards,
            figures.events,
            figures.wall.as_secs_f64() * 1e3,
            cpu[0],
            per_second(figures.wall),
            cpu[1],
            figures.writes_per_event,
        );
    }
    Ok(text)
}

fn measure(cards: usize, batches: usize, policy: &Policy, tell: Tell) -> Result<Figures, String> {
    let (clock, sink) = (ManualClock::at(START_MS), MemorySink::default());
    let (store, quarantine) = (MemoryStore::default(), MemoryQuarantine::default());
    let (policy, config) = (Arc::new(policy.clone()), EngineConfig::default());
    let engine = Engine::new(store, sink.clone(), quarantine, clock.clone(), policy, config);
    let function = ScoreFunction::new(engine, clock, "score");
    let mut stream = Stream { cards, next: 0 };
    for _ in 0..(cards * EVENTS_BEFORE).div_ceil(BATCH_RECORDS) {
        invoke(&function, &stream.batch(BATCH_RECORDS), tell)?;
        drop(sink.take());
    }
    let mut figures = Figures {
        cards,
        events: 0,
        wall: Duration::ZERO,
        cpu: Some(Duration::ZERO),
        writes_per_event: 0.0,
    };
    for _ in 0..batches {
        let payload = stream.batch(BATCH_RECORDS);
        let (cpu, wall) = (cpu_time(), now());
        let write_units = invoke(&function, &payload, tell)?;
        figures.wall += wall.elapsed();
        figures.cpu = figures
            .cpu
            .zip(cpu_time().zip(cpu))
            .map(|(sum, (after, before))| sum + (after - before));
        figures.events += sink.take().len();
        figures.writes_per_event += write_units;
    }
    if figures.events != batches * BATCH_RECORDS {
        return Err(format!(
            "{} outcomes for {} events",
            figures.events,
            batches * BATCH_RECORDS
        ));
    }
    figures.writes_per_event /= figures.events as f64;
    Ok(figures)
}

type MemoryFunction = ScoreFunction<MemoryStore, MemorySink, MemoryQuarantine, ManualClock>;

/// One invocation; the write units it consumed.
fn invoke(function: &MemoryFunction, payload: &str, tell: Tell) -> Result<f64, String> {
    let mut context = Context::default();
    context.deadline = i64::MAX as u64;
    // Ports in memory are always ready, so that polling once is the whole run.
    let handled = function
        .handle(payload, &context)
        .now_or_never()
        .ok_or("the invocation did not end")?;
    tell(&handled.metrics)?;
    match handled.report {
        Some(report) if report.scored as usize == BATCH_RECORDS => Ok(report.units.write),
        Some(report) => Err(format!("not every event was scored: {report:?}")),
        None => Err(format!("the payload was not read: {:?}", handled.answer)),
    }
}

/// Events of all cards in turn.
struct Stream {
    cards: usize,
    next: usize,
}

impl Stream {
    fn batch(&mut self, records: usize) -> String {
        let records: Vec<Value> = (0..records).map(|_| self.record()).collect();
        json!({ "Records": records }).to_string()
    }

    fn record(&mut self) -> Value {
        let number = self.next;
        self.next += 1;
        let (card, turn) = (number % self.cards, number / self.cards);
        // Scattered without a generator: a multiplication spreads consecutive numbers over the range.
        let scatter = (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let time_ms = START_MS + turn as i64 * CARD_STEP_MS + card as i64;
        let card_id = format!("card-{card:08}");
        let event = json!({
            "schema": "transaction", "version": 2, "event_id": format!("event-{number:012}"), "card_id": card_id,
            "occurred_at_ms": time_ms, "amount_minor": 500 + scatter % 20_000, "currency": "EUR",
            "merchant_id": format!("merchant-{:05}", scatter % 4_000), "mcc": 5_411, "country": "FR",
            "channel": "point_of_sale", "approved": !scatter.is_multiple_of(20), "device_id": format!("device-{card:06}"),
            "latitude": 48.8566, "longitude": 2.3522,
        });
        let sequence_number = format!("{:056}", 49_590_338_271_490_256_608_u128 + number as u128);
        json!({
            "kinesis": {
                "kinesisSchemaVersion": "1.0", "partitionKey": card_id, "sequenceNumber": sequence_number,
                "data": STANDARD.encode(event.to_string()), "approximateArrivalTimestamp": (time_ms + 200) as f64 / 1e3,
            },
            "eventSource": "aws:kinesis", "eventVersion": "1.0", "eventID": format!("shardId-000000000000:{sequence_number}"),
            "eventName": "aws:kinesis:record", "invokeIdentityArn": "arn:aws:iam::123456789012:role/score",
            "awsRegion": "eu-west-1",
            "eventSourceARN": "arn:aws:kinesis:eu-west-1:123456789012:stream/tidemark-transactions",
        })
    }
}

/// Time this thread spent on a processor so far, where Linux says.
fn cpu_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?))
}

#[allow(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn now() -> Instant {
    Instant::now()
}
