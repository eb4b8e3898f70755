//! The whole pipeline over HTTP on the local AWS.

use super::function::{self, json_figures, parts_of};
use super::{Job, Sizes, named};
use crate::page::shell::figure_at;

const TIDEMARK: &str = "target/release/tidemark";
const BENCH: &str = "target/release/bench";
/// Where the local AWS keeps its logs, and which function it runs: named, so that nothing is built meanwhile.
const PLACES: &str = "--data-dir target/bench/local --score-binary target/release/score";
const DEMO_EVENTS: u32 = 50_000;
/// Of so few cards a batch of 500 from one of two shards has five events each.
const FEW_CARDS: u32 = 200;
/// Where instructions are counted, by a processor that is fifty times slower: few cards, since each brings a profile that is written by itself.
const COUNTED_EVENTS: u32 = 100_000;
const COUNTED_CARDS: u32 = 2_000;
const PROFILES: &str = "durable";
/// Events a second and how many of them.
const RATES: [(u32, u32); 3] = [(100, 3_000), (500, 10_000), (2_000, 20_000)];
const REDRIVE_EVENTS: u32 = 5_000_000;
const PARTS: [u32; 3] = [1, 4, 16];

pub fn durable(sizes: &Sizes) -> Vec<Job> {
    let events = sizes.events.unwrap_or(crate::durable::EVENTS);
    let cards = crate::durable::CARDS.min(events / 4);
    vec![
        durable_of("durable", events, cards),
        durable_of("durable_few", events, FEW_CARDS),
    ]
}

fn durable_of(name: &str, events: u32, cards: u32) -> Job {
    let line = format!("{BENCH} durable {events} {cards}");
    let paths = [
        "events",
        "cards",
        "function_cpu_s",
        "function_cpu_us_per_event",
        "events_per_write",
        "write_units_per_event",
        "read_units_per_event",
        "wall_s",
    ];
    Job::new(name, line, move |said, _| json_figures(said, &paths))
}

/// Where the instructions of the functions' processes go.
pub fn durable_parts(_: &Sizes) -> Vec<Job> {
    let line = format!("{BENCH} durable {COUNTED_EVENTS} {COUNTED_CARDS} --profile target/bench/{PROFILES}");
    let job = Job::new("durable_parts", line, |said, shell| {
        let events = figure_at(&said.json()?, "events")?;
        let of_calls = [("calls", "orchestrator::try_op::"), ("hash", "sha2::sha256::")];
        let parts: Vec<(&str, &str)> = function::PARTS.iter().copied().chain(of_calls).collect();
        parts_of(&shell.profiles(PROFILES)?, &parts, events)
    });
    vec![job]
}

const OF_DEMO: [&str; 7] = [
    "arrival_to_outcome_ms.p50",
    "arrival_to_outcome_ms.p95",
    "arrival_to_outcome_ms.p99",
    "events_per_second",
    "sent",
    "write_units_per_scored",
    "read_units_per_scored",
];

pub fn demo(sizes: &Sizes) -> Vec<Job> {
    let events = sizes.events.unwrap_or(DEMO_EVENTS);
    let line = format!("{TIDEMARK} demo --events {events} --seed 1 --json {PLACES}");
    vec![Job::new("demo", line, |said, _| json_figures(said, &OF_DEMO))]
}

pub fn latency(_: &Sizes) -> Vec<Job> {
    let of = |reads: &'static str| {
        RATES.map(|(rate, events)| {
            let line =
                format!("{TIDEMARK} demo --reads {reads} --rate {rate} --events {events} --seed 1 --json {PLACES}");
            Job::new(format!("latency_{reads}_{rate}"), line, |said, _| {
                json_figures(said, &OF_DEMO[..4])
            })
        })
    };
    ["polling", "fan-out"].into_iter().flat_map(of).collect()
}

pub fn recovery(_: &Sizes) -> Vec<Job> {
    let line = "cargo test --quiet --workspace --test recovery -- --ignored --nocapture";
    vec![Job::new("recovery", line, |said, _| {
        // The report stands among what the test runner says.
        let report = said
            .stdout
            .split_once("\n{")
            .and_then(|(_, rest)| rest.split_once("\n}"));
        let (report, _) = report.ok_or("the test printed no report")?;
        let report = serde_json::from_str(&format!("{{{report}}}")).map_err(|error| error.to_string())?;
        let at = |path: &str| figure_at(&report, path);
        let (records, elapsed_ms) = (at("dead_letter_records")?, at("redrive.elapsed_ms")?);
        Ok(named([
            ("records", records),
            ("messages", at("dead_letter_messages")?),
            ("drain_s", elapsed_ms / 1e3),
            ("records_a_second", records / elapsed_ms * 1e3),
            ("before_p50", at("live_before_ms.p50")?),
            ("before_p95", at("live_before_ms.p95")?),
            ("before_p99", at("live_before_ms.p99")?),
            ("beside_p50", at("live_beside_ms.p50")?),
            ("beside_p95", at("live_beside_ms.p95")?),
            ("beside_p99", at("live_beside_ms.p99")?),
            ("unaccounted", at("account.unaccounted")?),
        ]))
    })]
}

pub fn redrive(sizes: &Sizes) -> Vec<Job> {
    let events = sizes.events.unwrap_or(REDRIVE_EVENTS);
    let of = |parts: u32| {
        let line = format!("{BENCH} redrive {events} {parts}");
        let paths = [
            "records",
            "found",
            "ended",
            "elapsed_s",
            "records_a_second",
            "live_a_second",
            "before.p50",
            "before.p99",
            "beside.p50",
            "beside.p99",
            "live_beside_records",
        ];
        Job::new(format!("redrive_{parts}"), line, move |said, _| {
            let report = said.json()?;
            let whole = |path: &&str| Ok((path.replace('.', "_"), figure_at(&report, path)?));
            paths.iter().map(whole).collect()
        })
    };
    PARTS.map(of).into()
}

pub fn drills(_: &Sizes) -> Vec<Job> {
    let line = format!("{TIDEMARK} drill --all --json {PLACES}");
    vec![Job::new("drills", line, |said, _| {
        let report = said.json()?;
        let drills = report.as_array().ok_or("drill printed no list")?;
        let of = |drill: &serde_json::Value| {
            let page = drill
                .get("page")
                .and_then(serde_json::Value::as_str)
                .ok_or("a drill of no page")?;
            Ok((page.to_owned(), figure_at(drill, "recovery_ms")? / 1e3))
        };
        drills.iter().map(of).collect()
    })]
}
