//! Files: scoring, the reference stream, and the simulated streams that much else is measured with.

use super::{Figures, Job, Sizes, named};
use crate::page::shell::{Said, Shell, figure_at};

const TIDEMARK: &str = "target/release/tidemark";
const BENCH: &str = "target/release/bench";
const FOLDER: &str = "target/bench";
const LINES: u32 = 1_000_000;
const COUNTED_LINES: u32 = 50_000;
/// Of the file of many cards: a million ever, a tenth of them at a time.
const MANY_LINES: u32 = 4_000_000;
const MANY: &str = "many-cards.jsonl";

pub fn score(sizes: &Sizes) -> Vec<Job> {
    let lines = sizes.events.unwrap_or(LINES);
    let counted = COUNTED_LINES.min(lines);
    let simulate = |lines: u32, name: &str| {
        format!(
            "{TIDEMARK} simulate --events {lines} --cards {} --seed 1 --now-ms 1790812800000 --clean -o {FOLDER}/{name}",
            lines / 20
        )
    };
    let score = |name: &str| format!("{TIDEMARK} score -i {FOLDER}/{name} -o {FOLDER}/outcomes.jsonl --json");
    let many = sizes.events.map_or(MANY_LINES, |lines| lines * 4);
    vec![
        Job::new("score", score("s.jsonl"), scored)
            .after(&[simulate(lines, "s.jsonl")])
            .may_refuse(),
        Job::new("score_many", score(MANY), scored)
            .after(&[format!("{BENCH} many-cards {many} {FOLDER}/{MANY}")])
            .may_refuse(),
        Job::new("score_counted", score("counted.jsonl"), |said, _| {
            let lines = figure_at(&said.json()?, "lines")?;
            Ok(named([
                ("lines", lines),
                ("instructions", said.profile.whole()? / lines),
            ]))
        })
        .after(&[simulate(counted, "counted.jsonl")])
        .may_refuse()
        .by_callgrind(),
    ]
}

fn scored(said: &Said, _: &Shell) -> Figures {
    let lines = figure_at(&said.json()?, "lines")?;
    Ok(named([
        ("lines", lines),
        ("cards", figure_at(&said.json()?, "cards")?),
        ("wall_s", said.wall_s),
        ("cpu_s", said.cpu_s),
        ("lines_a_second", lines / said.cpu_s),
        ("peak_mb", said.peak_mb),
    ]))
}

pub fn handbook(_: &Sizes) -> Vec<Job> {
    let stream = format!("{FOLDER}/handbook.jsonl");
    vec![
        Job::new(
            "handbook",
            format!("{BENCH} handbook DIR --jsonl {stream}"),
            |said, _| {
                let (sizes, compared) = (said.numbers_of(" events of ")?, said.numbers_of(" published ones: ")?);
                let ([events, cards, wall_s, a_second, ..], [rows, values, differ, at_ties, ..]) =
                    (&sizes[..], &compared[..])
                else {
                    return Err(format!("not what handbook prints:\n{}", said.stdout));
                };
                Ok(named([
                    ("events", *events),
                    ("cards", *cards),
                    ("wall_s", *wall_s),
                    ("events_a_second", *a_second),
                    ("rows", *rows),
                    ("values", *values),
                    ("differ", *differ),
                    ("differ_at_ties", *at_ties),
                ]))
            },
        ),
        Job::new(
            "handbook_score",
            format!("{TIDEMARK} score -i {stream} -o {FOLDER}/outcomes.jsonl --json"),
            scored,
        )
        .may_refuse(),
    ]
}

pub fn simulation(_: &Sizes) -> Vec<Job> {
    let name = "simulated.jsonl";
    vec![
        Job::new(
            "simulation",
            format!("{TIDEMARK} simulate --events {LINES} --seed 1 --now-ms 1790812800000 -o {FOLDER}/{name}"),
            move |said, shell| {
                Ok(named([
                    ("records", f64::from(LINES)),
                    ("mb", shell.bytes_of(name)? / 1e6),
                    ("cpu_s", said.cpu_s),
                    ("records_a_second", f64::from(LINES) / said.cpu_s),
                ]))
            },
        ),
        Job::new("oracle", format!("{BENCH} oracle {COUNTED_LINES}"), |said, _| {
            let value = said.json()?;
            let at = |path: &str| figure_at(&value, path);
            Ok(named([
                ("records", at("records")?),
                ("cards", at("cards")?),
                ("cpu_s", at("cpu_s")?),
            ]))
        }),
    ]
}
