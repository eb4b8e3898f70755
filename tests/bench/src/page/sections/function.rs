//! The score function alone, with everything around it in memory.

use super::{Figures, Job, Sizes, named};
use crate::page::shell::{Profile, Said, figure_at};

const BENCH: &str = "target/release/bench";
const TIDEMARK: &str = "target/release/tidemark";
/// Cards and invocations of 500 records.
const HANDLED: [(u32, u32); 3] = [(50, 20), (500, 10), (5_000, 10)];
const BATCH_RECORDS: u32 = crate::handler::BATCH_RECORDS as u32;
/// For so many invocations that find their cards warm, `bench handler` makes one that finds them cold.
const WARM_PER_COLD: u32 = 10;
/// Cards, invocations and records of each: the template's batch, and what a look once a second finds at ten events a second.
const TOLD: [(u32, u32, u32); 2] = [(500, 21, 500), (500, 200, 10)];
/// Events of a card whose state is read and written.
const CODED_EVENTS: usize = crate::codec::EVENTS;
const RULES: u32 = 50;
/// Events a second at the peak, and events of a card a day.
const COSTED: [(u32, u32); 6] = [(2_000, 1), (2_000, 2), (2_000, 5), (2_000, 10), (2_000, 30), (10, 2)];
/// Half a read unit for a card's state and half a one for its profile: what a card without segments takes cold.
const STATE_AND_PROFILE_UNITS: f64 = 1.0;
const STARTS: u32 = 100;
/// What of a warm event is told apart, by words of its functions' names; none calls another.
pub const PARTS: &[(&str, &str)] = &[
    ("payload", "kinesis::Batch::parse "),
    ("contract", "contract::decode "),
    ("needed", "fold::needed "),
    ("measure", "Sweep::measure "),
    ("judge", "model::judge "),
    ("insert", "History>::insert "),
    ("encode", "History>::encode_again "),
    ("render", "render::render_json "),
];
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
    let mut jobs = Vec::from(HANDLED.map(of));
    jobs.push(parts());
    jobs
}

/// Where the instructions of a warm event go.
fn parts() -> Job {
    let (cards, batches) = HANDLED[1];
    let line = format!("{BENCH} handler {cards} {batches}");
    Job::new("parts", line, move |said, _| {
        parts_of(&said.profile, PARTS, f64::from(batches * BATCH_RECORDS))
    })
    .within("invoke_warm")
}

/// Instructions an event, of the whole and of its parts.
pub fn parts_of(profile: &Profile, parts: &[(&str, &str)], events: f64) -> Figures {
    let mut figures = vec![("whole".to_owned(), profile.whole()? / events)];
    for (name, function) in parts {
        figures.push(((*name).to_owned(), profile.of(function)? / events));
    }
    Ok(figures)
}

pub fn rules(_: &Sizes) -> Vec<Job> {
    let (cards, batches) = HANDLED[1];
    let line = format!("{BENCH} handler {cards} {batches} --rules {RULES}");
    vec![Job::new("rules", line, move |said, _| invoked(said, batches)).by_callgrind()]
}

/// Instructions a call.
pub fn codec(_: &Sizes) -> Vec<Job> {
    let line = format!("{BENCH} codec {CODED_EVENTS}");
    vec![
        Job::new("codec", line, |said, _| {
            let a_call = |name: &str| {
                let instructions = said.profile.of(&format!("codec_{name} "))?;
                Ok((name.to_owned(), instructions / f64::from(crate::codec::CALLS)))
            };
            crate::codec::CALLED.into_iter().map(a_call).collect()
        })
        .by_callgrind(),
    ]
}

/// Instructions an event.
fn invoked(said: &Said, batches: u32) -> Figures {
    let an_event = |name, batches: u32| Ok::<f64, String>(said.profile.of(name)? / f64::from(batches * BATCH_RECORDS));
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

pub fn units(_: &Sizes) -> Vec<Job> {
    let of = |(rate, a_day): (u32, u32)| {
        let line = format!("{TIDEMARK} cost --rate {rate} --events-per-card-day {a_day} --json");
        Job::new(format!("cost_{rate}_{a_day}"), line, |said, _| {
            let report = said.json()?;
            let mut figures: Vec<(String, f64)> = ["write_units", "warm_read_units", "cold_read_units"]
                .into_iter()
                .map(|name| Ok((name.to_owned(), figure_at(&report, &format!("card.{name}"))?)))
                .collect::<Result<_, String>>()?;
            let cold = figure_at(&report, "card.cold_read_units")?;
            figures.push(("segment_read_units".to_owned(), cold - STATE_AND_PROFILE_UNITS));
            let items = report.pointer("/months/0/items").and_then(serde_json::Value::as_array);
            let mut sums = [0.0; 3];
            for item in items.ok_or("the month has no items")? {
                let usd = figure_at(item, "usd")?;
                let name = item.pointer("/name").and_then(serde_json::Value::as_str);
                sums[0] += usd;
                match name {
                    Some("logs") => sums[1] += usd,
                    Some("metrics, alarms") => sums[2] += usd,
                    _ => {}
                }
            }
            let [whole, logs, metrics] = sums;
            figures.extend(named([
                ("usd", whole),
                ("logs_percent", logs / whole * 100.0),
                ("metrics_percent", metrics / whole * 100.0),
                ("telemetry_percent", (logs + metrics) / whole * 100.0),
            ]));
            Ok(figures)
        })
    };
    COSTED.map(of).into()
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
    TOLD.map(told).into()
}

fn told((cards, batches, records): (u32, u32, u32)) -> Job {
    let line = format!("target/debug/bench telemetry {cards} {batches} {records}");
    let figures = move |said: &Said, _: &_| {
        let whole = said
            .profile
            .of("handler::invoke ")?
            .max(said.profile.of("bench::handler::invoke")?);
        let mut figures = vec![("whole".to_owned(), whole)];
        let mut sum = 0.0;
        for (name, function) in TELEMETRY {
            let instructions = said.profile.of(function)?;
            sum += instructions;
            figures.push((format!("{name}_percent"), instructions / whole * 100.0));
        }
        figures.push(("percent".to_owned(), sum / whole * 100.0));
        Ok(figures)
    };
    Job::new(format!("telemetry_{records}"), line, figures).by_callgrind()
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
