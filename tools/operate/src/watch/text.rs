//! The picture as a few lines, for one look. Pure.

use std::fmt::Write as _;

use terminal::ui::{self, grouped, paint, shown};

use super::view::health;
use super::watcher::Picture;
use super::words::{seconds, short};

/// Scores that are shown.
const TOP_MAX: usize = 3;

/// What a person has to know, the health first.
pub(super) fn told(picture: &Picture) -> String {
    let (word, _, why) = health(picture);
    let style = match word {
        "OK" => ui::GOOD,
        "BLIND" | "BEHIND" | "LOST" => ui::BAD,
        _ => ui::WARN,
    };
    let mut text = format!("{}  {}\n", paint(style, word), shown(&why));
    let mut line = |label: &str, value: String| {
        let _ = writeln!(text, "  {:<13} {value}", label);
    };
    let rate = |series: &[u64]| format!("{:.0} a second", Picture::rate(series));
    line("records in", rate(&picture.records_per_second));
    line("outcomes out", rate(&picture.outcomes_per_second));
    line(
        "latency",
        picture.latency_ms.map_or_else(
            || "no outcome in the last minute".to_owned(),
            |latency_ms| {
                let [p50, p95, p99] = latency_ms.map(seconds);
                format!("p50 {p50}, p95 {p95}, p99 {p99}")
            },
        ),
    );
    let listed = |counts: &std::collections::BTreeMap<String, u64>| {
        let words: Vec<String> = counts
            .iter()
            .map(|(name, count)| format!("{} {}", shown(name), grouped(*count)))
            .collect();
        words.join(", ")
    };
    line(
        "last minute",
        format!("{} outcomes: {}", grouped(picture.outcomes), listed(&picture.decisions)),
    );
    line(
        "tiers",
        format!(
            "{} ({:.2} % degraded)",
            listed(&picture.tiers),
            100.0 * picture.degraded_share()
        ),
    );
    let shards: Vec<String> = picture
        .shards
        .iter()
        .map(|shard| format!("shard {} {}", shown(short(&shard.shard_id)), seconds(shard.lag_ms)))
        .collect();
    line("behind", shards.join(", "));
    let queues: Vec<String> = picture
        .queues
        .iter()
        .map(|queue| {
            let messages = queue.messages.map_or_else(|| "not known".to_owned(), grouped);
            format!("{} {messages}", queue.name)
        })
        .collect();
    line("queues", queues.join(", "));
    line(
        "units",
        match (picture.write_units, picture.read_units) {
            (Some(write), Some(read)) => format!("{write:.0} write, {read:.1} read in the last minute"),
            _ => "not known: give the function's log with --log".to_owned(),
        },
    );
    for top in picture.top.iter().take(TOP_MAX) {
        let value = format!(
            "{} {}  {}",
            top.score,
            shown(&top.card_id),
            shown(&top.reasons.join(", "))
        );
        line("highest", value);
    }
    for problem in &picture.problems {
        line("not seen", shown(problem).into_owned());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::watcher::{QueueView, ShardView, TopView};
    use super::*;

    #[test]
    fn a_person_reads_it_at_a_glance() {
        let picture = Picture {
            records_per_second: vec![100; 60],
            outcomes_per_second: vec![90; 60],
            latency_ms: Some([500, 900, 1_200]),
            outcomes: 5_400,
            decisions: [("alert".to_owned(), 12), ("pass".to_owned(), 5_388)].into(),
            tiers: [("full".to_owned(), 5_400)].into(),
            shards: vec![ShardView {
                shard_id: "shardId-000000000012".to_owned(),
                records: 1_000,
                lag_ms: 450,
            }],
            queues: vec![QueueView {
                name: "quarantine".to_owned(),
                messages: Some(4_994),
            }],
            top: vec![TopView {
                card_id: "card\u{1b}[2J".to_owned(),
                event_id: "e".to_owned(),
                occurred_at_ms: 1,
                score: 987,
                decision: "alert".to_owned(),
                reasons: vec!["many transactions within 1h (40 %)".to_owned()],
            }],
            ..Picture::default()
        };
        let text = told(&picture);
        for part in [
            "QUARANTINE",
            "4,994 messages of refused records wait",
            "100 a second",
            "p50 500 ms, p95 900 ms, p99 1.2 s",
            "alert 12",
            "shard 12 450 ms",
            "987 card\\u001b[2J",
        ] {
            assert!(text.contains(part), "{part} is missing:\n{text}");
        }
        assert!(text.lines().count() <= 12, "{text}");
        assert!(text.lines().all(|line| line.chars().count() < 120), "{text}");
        assert!(told(&Picture::default()).contains("OK"));
    }
}
