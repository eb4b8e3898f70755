//! Beside Tidemark: its peers, and the compiler.

use super::{Job, Sizes, named};
use crate::page::shell::figure_at;

const PEER_EVENTS: u32 = 2_000;
const CLONE: &str = "target/bench/clone";
const FUNCTIONS: &str = "tests/bench/functions/build";

pub fn powertools(sizes: &Sizes) -> Vec<Job> {
    let events = sizes.events.unwrap_or(PEER_EVENTS);
    let line = format!("env TIDEMARK_BIN=target/release tests/bench/peers/run --events {events} --json");
    vec![Job::new("powertools", line, |said, _| {
        let report = said.json()?;
        let mut figures = vec![("outcomes".to_owned(), figure_at(&report, "outcomes")?)];
        for (name, peer) in [("powertools", "Powertools"), ("tidemark", "Tidemark")] {
            for (figure, path) in [
                ("write_units", "write_units_an_outcome"),
                ("read_units", "read_units_an_outcome"),
                ("usd", "table_usd_a_million"),
            ] {
                let value = figure_at(&report, &format!("peers.{peer}.{path}"))?;
                figures.push((format!("{name}_{figure}"), value));
            }
        }
        figures.push((
            "powertools_calls".to_owned(),
            figure_at(&report, "peers.Powertools.calls_an_outcome")?,
        ));
        Ok(figures)
    })]
}

/// Each system by its name in the results and in what the script tells.
const BESIDE_FLINK: [(&str, &str); 4] = [
    ("functions", "Tidemark, its functions"),
    ("score", "Tidemark, `score` on a file"),
    ("heap", "Flink, heap"),
    ("rocksdb", "Flink, RocksDB"),
];

pub fn flink(sizes: &Sizes) -> Vec<Job> {
    let events = sizes.events.unwrap_or(crate::durable::EVENTS);
    let cards = crate::durable::CARDS.min(events / 4);
    let line = format!("tests/bench/peers/flink/run --events {events} --cards {cards} --json");
    vec![Job::new("flink", line, |said, _| {
        let report = said.json()?;
        let events = figure_at(&report, "events")?;
        let mut figures = named([("events", events), ("cards", figure_at(&report, "cards")?)]);
        for (name, system) in BESIDE_FLINK {
            let cpu_s = figure_at(&report, &format!("peers.{system}.cpu_s"))?;
            figures.push((format!("{name}_cpu_s"), cpu_s));
            figures.push((format!("{name}_us"), cpu_s / events * 1e6));
            if name == "heap" || name == "rocksdb" {
                let start_s = figure_at(&report, &format!("peers.{system}.start_cpu_s"))?;
                figures.push((format!("{name}_start_s"), start_s));
            }
        }
        Ok(figures)
    })]
}

pub fn build(_: &Sizes) -> Vec<Job> {
    let line =
        format!("cargo build --quiet --manifest-path {CLONE}/Cargo.toml --bin tidemark --bin score --bin redrive");
    // Downloads are no part of it. The clone stays, for who goes on in it.
    let before = [
        format!("rm -rf {CLONE}"),
        format!("git clone --quiet . {CLONE}"),
        "cargo fetch --locked".to_owned(),
    ];
    vec![
        Job::new("build", line, |said, _| {
            Ok(named([("wall_s", said.wall_s), ("cpu_s", said.cpu_s)]))
        })
        .after(&before),
    ]
}

pub fn functions(_: &Sizes) -> Vec<Job> {
    vec![
        Job::new("build_functions", FUNCTIONS, |said, shell| {
            let mb_of = |name: &str| Ok::<f64, String>(shell.bytes_of(&format!("lambda/{name}/bootstrap"))? / 1e6);
            Ok(named([
                ("wall_s", said.wall_s),
                ("cpu_s", said.cpu_s),
                ("score_mb", mb_of("score")?),
                ("redrive_mb", mb_of("redrive")?),
            ]))
        })
        .after(&[format!("{FUNCTIONS} --prepare")]),
    ]
}
