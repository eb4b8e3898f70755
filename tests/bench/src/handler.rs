//! The `score` function's path with everything around it in memory: an invocation's JSON in, outcomes and metrics out, on
//! one core. In its steady state: before the first invocation that is measured, every card has as many events as its policy
//! keeps, so that a new one takes the place of the oldest.

mod stream;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use lambda_runtime::Context;
use score_function::ScoreFunction;
use tidemark_domain::policy::Policy;
use tidemark_engine::memory::{ManualClock, MemoryQuarantine, MemorySink, MemoryStore};
use tidemark_engine::port::Units;
use tidemark_engine::{Engine, EngineConfig};
use tidemark_telemetry::EmfLine;

use stream::{START_MS, Stream};

/// Records in an invocation, unless another number is asked for.
pub const BATCH_RECORDS: usize = 500;
/// Invocations measured for each number of cards, unless another number is asked for.
pub const BATCHES: usize = 200;
/// For so many invocations that find their cards warm, one more by a process that has just begun.
const WARM_PER_COLD: usize = 10;
/// Numbers of cards, unless one is asked for.
pub const CARDS: [usize; 3] = [50, 500, 5_000];

/// What some invocations gave.
struct Figures {
    events: usize,
    wall: Duration,
    /// Time on the processor, where the system says; unlike the wall's, it does not count what others did meanwhile.
    cpu: Option<Duration>,
    units: Units,
}

/// Measures with logs and metrics written to standard output, as the bootstrap writes them.
pub fn run_told(cards: usize, batches: usize, records: usize) -> Result<String, String> {
    tidemark_telemetry::logging::init(tracing::Level::INFO);
    let size = Size { batches, records };
    measure_all(&[cards], size, &Policy::default_policy(), write_metrics)
}

/// Measures and tells.
pub fn run(cards: &[usize], batches: usize, policy: &Policy) -> Result<String, String> {
    let records = BATCH_RECORDS;
    measure_all(cards, Size { batches, records }, policy, |_| Ok(()))
}

/// How many invocations are measured, and of how many records each.
#[derive(Clone, Copy)]
struct Size {
    batches: usize,
    records: usize,
}

/// On its own, so that a profile tells it apart.
#[inline(never)]
fn write_metrics(lines: &[EmfLine]) -> Result<(), String> {
    let mut output = io::stdout().lock();
    let mut lines = lines.iter();
    lines.try_for_each(|line| line.write_to(&mut output).map_err(|error| error.to_string()))
}

/// The built-in policy with so many rules of five comparisons each, of which two decide for nearly every event, and that hold for none.
pub fn with_rules(number: u32) -> String {
    let rule = |at: u32| {
        format!(
            "\n[[rules]]\nname = \"r{at}\"\nwhen = \"event.mcc == {} && event.amount_base_minor > {} && score > 990 || \
             event.country in ['US', 'GB'] && score > {}\"\nthen = \"alert\"\nreason = \"words\"\n",
            5_900 + at,
            20_000 + at,
            950 + at % 50
        )
    };
    Policy::default_text().to_owned() + &(0..number).map(rule).collect::<String>()
}

type Tell = fn(&[EmfLine]) -> Result<(), String>;

fn measure_all(cards: &[usize], size: Size, policy: &Policy, tell: Tell) -> Result<String, String> {
    let Size { batches, records } = size;
    let mut text = format!(
        "score handler in memory: invocations of {records} records as JSON, one thread, steady state\n\n  \
         cards        events   wall ms    cpu ms   events/s (wall)   events/s (cpu)   writes/event   reads/event\n"
    );
    for &cards in cards {
        let store = MemoryStore::default();
        let mut stream = Stream::begin(cards, policy, &store)?;
        let mut process = Process::new(policy, &store, tell, records);
        for _ in 0..cards.div_ceil(records) {
            process.measure(&mut stream, invoke)?;
        }
        let warm = (0..batches).map(|_| process.measure(&mut stream, invoke_warm));
        text += &line(cards, "warm", warm)?;
        let cold = (0..batches.div_ceil(WARM_PER_COLD)).map(|_| {
            let mut process = Process::new(policy, &store, tell, records);
            process.measure(&mut stream, invoke_cold)
        });
        text += &line(cards, "cold", cold)?;
    }
    Ok(text)
}

/// The line of all these invocations.
fn line(cards: usize, states: &str, all: impl Iterator<Item = Result<Figures, String>>) -> Result<String, String> {
    let mut sum = Figures {
        events: 0,
        wall: Duration::ZERO,
        cpu: Some(Duration::ZERO),
        units: Units::default(),
    };
    for one in all {
        let one = one?;
        sum.events += one.events;
        sum.wall += one.wall;
        sum.cpu = sum.cpu.zip(one.cpu).map(|(sum, one)| sum + one);
        sum.units += one.units;
    }
    let events = sum.events as f64;
    let per_second = |time: Duration| events / time.as_secs_f64();
    let cpu = sum.cpu.map_or(["-".to_owned(), "-".to_owned()], |cpu| {
        [
            format!("{:.0}", cpu.as_secs_f64() * 1e3),
            format!("{:.0}", per_second(cpu)),
        ]
    });
    Ok(format!(
        "{cards:>7}  {states} {:>8} {:>9.0} {:>9} {:>17.0} {:>16} {:>14.3} {:>13.3}\n",
        sum.events,
        sum.wall.as_secs_f64() * 1e3,
        cpu[0],
        per_second(sum.wall),
        cpu[1],
        sum.units.write / events,
        sum.units.read / events,
    ))
}

type MemoryFunction = ScoreFunction<MemoryStore, MemorySink, MemoryQuarantine, ManualClock>;

/// A process of the function. What it has read stays warm.
struct Process {
    function: MemoryFunction,
    sink: MemorySink,
    tell: Tell,
    records: usize,
}

impl Process {
    fn new(policy: &Policy, store: &MemoryStore, tell: Tell, records: usize) -> Self {
        let (clock, sink) = (ManualClock::at(START_MS), MemorySink::default());
        let (policy, config) = (Arc::new(policy.clone()), EngineConfig::default());
        let quarantine = MemoryQuarantine::default();
        let engine = Engine::new(store.clone(), sink.clone(), quarantine, clock.clone(), policy, config);
        Self {
            function: ScoreFunction::new(engine, clock, "score"),
            sink,
            tell,
            records,
        }
    }

    fn measure(&mut self, stream: &mut Stream, invocation: Invocation) -> Result<Figures, String> {
        let payload = stream.batch(self.records);
        let (cpu, wall) = (cpu_time(), now());
        let units = invocation(&self.function, &payload, self.tell)?;
        let (wall, cpu) = (wall.elapsed(), cpu_time().zip(cpu));
        let events = self.sink.take().len();
        if events != self.records {
            return Err(format!("{events} outcomes for {} events", self.records));
        }
        Ok(Figures {
            events,
            wall,
            cpu: cpu.map(|(after, before)| after - before),
            units,
        })
    }
}

type Invocation = fn(&MemoryFunction, &str, Tell) -> Result<Units, String>;

/// An invocation that finds its cards warm. On its own, so that a profile tells it apart.
#[inline(never)]
fn invoke_warm(function: &MemoryFunction, payload: &str, tell: Tell) -> Result<Units, String> {
    invoke(function, payload, tell).map_err(|error| format!("with warm cards: {error}"))
}

/// An invocation that reads all of its cards.
#[inline(never)]
fn invoke_cold(function: &MemoryFunction, payload: &str, tell: Tell) -> Result<Units, String> {
    invoke(function, payload, tell).map_err(|error| format!("with cold cards: {error}"))
}

/// One invocation; the units it consumed.
fn invoke(function: &MemoryFunction, payload: &str, tell: Tell) -> Result<Units, String> {
    let mut context = Context::default();
    context.deadline = i64::MAX as u64;
    // Ports in memory are always ready, so that polling once is the whole run.
    let handled = function
        .handle(payload, &context)
        .now_or_never()
        .ok_or("the invocation did not end")?;
    tell(&handled.metrics)?;
    match handled.report {
        Some(report) if report.scored == report.ends.len() as u64 => Ok(report.units),
        Some(report) => Err(format!("not every event was scored: {report:?}")),
        None => Err(format!("the payload was not read: {:?}", handled.answer)),
    }
}

/// Time this thread spent on a processor so far, where Linux says.
pub fn cpu_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?))
}

#[allow(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn now() -> Instant {
    Instant::now()
}
