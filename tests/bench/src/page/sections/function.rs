//! The score function alone, with everything around it in memory.

use super::{Figures, Job, Sizes, named};
use crate::page::shell::{Said, figure_at};

const BENCH: &str = "target/release/bench";
/// Cards and invocations of 500 records.
const HANDLED: [(u32, u32); 3] = [(50, 20), (500, 10), (5_000, 10)];
const BATCH_RECORDS: u32 = 500;
/// For so many invocations that find their cards warm, `bench handler` makes one that finds them cold.
const WARM_PER_COLD: u32 = 10;
/// The template's batch, and some invocations of it.
const TOLD: (u32, u32) = (500, 21);
const RULES: u32 = 50;
const STARTS: u32 = 100;
/// What of telemetry is told apart, by words of its functions' names.
const TELEMETRY: [(&str, &str); 3] = [
    ("lines", "telemetry::metrics"),
    ("writing", "write_metrics"),
    ("log", "telemetry::log"),
];

pub fn handler(_: &Sizes) -> Vec<Job> {
    let of = |(cards, batches): (u32, u32)| {
        let line = format!("{BENCH} handler {cards} {batches}");
        Job::new(format!("handler_{cards}"), line, move |said, _| invoked(said, batches)).by_callgrind()
    };
    HANDLED.map(of).into()
}

pub fn rules(_: &Sizes) -> Vec<Job> {
    let (cards, batches) = HANDLED[1];
    let line = format!("{BENCH} handler {cards} {batches} --rules {RULES}");
    vec![Job::new("rules", line, move |said, _| invoked(said, batches)).by_callgrind()]
}

/// Instructions an event.
fn invoked(said: &Said, batches: u32) -> Figures {
    let an_event =
        |name, batches: u32| Ok::<f64, String>(said.instructions_in(name)? / f64::from(batches * BATCH_RECORDS));
    Ok(named([
        ("warm", an_event("invoke_warm", batches)?),
        ("cold", an_event("invoke_cold", batches.div_ceil(WARM_PER_COLD))?),
    ]))
}

pub fn bytes(_: &Sizes) -> Vec<Job> {
    vec![Job::new("bytes", format!("{BENCH} state-bytes"), |said, _| {
        let mut figures = Vec::new();
        for line in said.stdout.lines().filter(|line| line.contains("events:")) {
            let [events, state, item, units] = crate::page::shell::numbers(line)[..] else {
                return Err(format!("not a line of state-bytes: {line}"));
            };
            let of = |what| format!("{what}_{events}");
            figures.extend([(of("state"), state), (of("item"), item), (of("units"), units)]);
        }
        Ok(figures)
    })]
}

pub fn hot_card(_: &Sizes) -> Vec<Job> {
    let line = "cargo test --quiet --workspace --test all hot_cost -- --nocapture";
    vec![Job::new("hot_card", line, |said, _| {
        let mut figures = Vec::new();
        let lines: Vec<&str> = said.stdout.lines().collect();
        for pair in lines.windows(2).filter(|pair| pair[0].contains(" an invocation: ")) {
            let [
                a_batch,
                write,
                read,
                worst_write,
                worst_read,
                item,
                segments,
                segment_most,
                segment_bytes,
            ] = crate::page::shell::numbers(pair[0])[..]
            else {
                return Err(format!("not a line of hot_cost: {}", pair[0]));
            };
            let again = crate::page::shell::numbers(pair[1]);
            let of = |what| format!("{what}_{a_batch}");
            figures.extend([
                (of("write"), write),
                (of("read"), read),
                (of("worst_write"), worst_write),
                (of("worst_read"), worst_read),
                (of("item"), item),
                (of("segments"), segments),
                (of("segment_most"), segment_most),
                (of("segment_bytes"), segment_bytes),
                (of("again"), *again.first().ok_or("hot_cost told no duplicates")?),
            ]);
        }
        Ok(figures)
    })]
}

/// By the dev profile, where what is told apart is not one function after the optimiser.
pub fn telemetry(_: &Sizes) -> Vec<Job> {
    let (cards, batches) = TOLD;
    let line = format!("target/debug/bench telemetry {cards} {batches}");
    let figures = move |said: &Said, _: &_| {
        let whole = said
            .instructions_in("handler::invoke ")?
            .max(said.instructions_in("bench::handler::invoke")?);
        let mut figures = vec![("whole".to_owned(), whole)];
        let mut sum = 0.0;
        for (name, function) in TELEMETRY {
            let instructions = said.instructions_in(function)?;
            sum += instructions;
            figures.push((format!("{name}_percent"), instructions / whole * 100.0));
        }
        figures.push(("percent".to_owned(), sum / whole * 100.0));
        Ok(figures)
    };
    vec![Job::new("telemetry", line, figures).by_callgrind()]
}

pub fn cold_start(_: &Sizes) -> Vec<Job> {
    let line = format!("{BENCH} cold-start target/release/score {STARTS}");
    vec![Job::new("cold_start", line, |said, _| {
        let mut figures = Vec::new();
        for (name, label) in [("https", "https (AWS)"), ("http", "http (local)")] {
            let [median, ninety, least, cpu] = said.numbers_of(label)?[..] else {
                return Err(format!("not a line of cold-start:\n{}", said.stdout));
            };
            let of = |what| format!("{name}_{what}");
            figures.extend([
                (of("p50"), median),
                (of("p90"), ninety),
                (of("least"), least),
                (of("cpu"), cpu),
            ]);
        }
        Ok(figures)
    })]
}

/// The figures at these paths of the JSON that was printed, by the last part of each path.
pub fn json_figures(said: &Said, paths: &[&str]) -> Figures {
    let value = said.json()?;
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    paths
        .iter()
        .map(|path| Ok((last(path), figure_at(&value, path)?)))
        .collect()
}
