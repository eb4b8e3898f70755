//! Plots as SVG text: no script, no file from elsewhere.

use std::fmt::Write as _;

use super::measure::{BINS, Comparison, Samples, bin};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 46.0;
const BOTTOM: f64 = 34.0;
const TOP: f64 = 12.0;
const RIGHT: f64 = 12.0;

fn plot_width() -> f64 {
    WIDTH - LEFT - RIGHT
}

fn plot_height() -> f64 {
    HEIGHT - TOP - BOTTOM
}

fn open(label: &str, height: f64) -> String {
    format!(
        r#"<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}" xmlns="http://www.w3.org/2000/svg">"#
    )
}

/// The axis of scores below a plot of this height.
fn score_axis(svg: &mut String, height: f64, title: &str) {
    let y = height - BOTTOM;
    for score in (0..=1000).step_by(200) {
        let x = LEFT + plot_width() * f64::from(score) / 1000.0;
        let _ = write!(
            svg,
            r#"<text class="tick" x="{x:.1}" y="{:.1}" text-anchor="middle">{score}</text>"#,
            y + 15.0
        );
    }
    let _ = write!(
        svg,
        r#"<text class="axis" x="{:.1}" y="{:.1}" text-anchor="middle">{title}</text>"#,
        LEFT + plot_width() / 2.0,
        height - 4.0
    );
}

#[allow(clippy::cast_precision_loss, reason = "counts of events are far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

/// Events by score under both policies, on a logarithmic axis: alerts are a thousandth of the events.
pub(super) fn histogram(comparison: &Comparison) -> String {
    let (active, candidate) = (
        &comparison.active_scores.histogram,
        &comparison.candidate_scores.histogram,
    );
    let most = active.iter().chain(candidate).copied().max().unwrap_or(1).max(1);
    let top = float(most).log10().ceil().max(1.0);
    let height_of = |count: u64| {
        if count == 0 {
            0.0
        } else {
            plot_height() * (float(count).log10() + 0.3) / (top + 0.3)
        }
    };
    let mut svg = open("events by score", HEIGHT);
    let floor = HEIGHT - BOTTOM;
    let mut power = 0.0;
    while power <= top {
        let y = floor - plot_height() * (power + 0.3) / (top + 0.3);
        let _ = write!(
            svg,
            r#"<line class="grid" x1="{LEFT}" x2="{:.1}" y1="{y:.1}" y2="{y:.1}"/><text class="tick" x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
            WIDTH - RIGHT,
            LEFT - 5.0,
            y + 4.0,
            10_f64.powf(power)
        );
        power += 1.0;
    }
    let step = plot_width() / float(BINS as u64);
    for (index, (a, b)) in active.iter().zip(candidate).enumerate() {
        let x = LEFT + step * float(index as u64);
        for (class, count, shift) in [("active", *a, 0.1), ("candidate", *b, 0.5)] {
            let height = height_of(count);
            let _ = write!(
                svg,
                r#"<rect class="{class}" x="{:.1}" y="{:.1}" width="{:.1}" height="{height:.1}"><title>{class}: {count}</title></rect>"#,
                x + step * shift,
                floor - height,
                step * 0.4
            );
        }
    }
    score_axis(&mut svg, HEIGHT, "score (events, logarithmic)");
    svg + "</svg>"
}

/// Where events lie under both: on the diagonal nothing changes.
pub(super) fn heat(samples: &Samples) -> String {
    let mut cells = vec![[0_u64; BINS]; BINS];
    for sample in &samples.events {
        cells[bin(sample.trial.candidate.score)][bin(sample.trial.active.score)] += 1;
    }
    let most = cells.iter().flatten().copied().max().unwrap_or(1).max(1);
    let height = 420.0;
    let (w, h) = (
        plot_width() / float(BINS as u64),
        (height - TOP - BOTTOM) / float(BINS as u64),
    );
    let mut svg = open("score of the candidate over score of the active policy", height);
    for (row, counts) in cells.iter().enumerate() {
        for (column, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let strength = 0.12 + 0.88 * (1.0 + float(*count)).ln() / (1.0 + float(most)).ln();
            let _ = write!(
                svg,
                r#"<rect class="heat" opacity="{strength:.2}" x="{:.1}" y="{:.1}" width="{w:.1}" height="{h:.1}"><title>{count} events</title></rect>"#,
                LEFT + w * float(column as u64),
                height - BOTTOM - h * float(row as u64 + 1)
            );
        }
    }
    let _ = write!(
        svg,
        r#"<line class="diagonal" x1="{LEFT}" y1="{:.1}" x2="{:.1}" y2="{TOP}"/>"#,
        height - BOTTOM,
        WIDTH - RIGHT
    );
    for score in (0..=1000).step_by(200) {
        let y = height - BOTTOM - (height - TOP - BOTTOM) * f64::from(score) / 1000.0;
        let _ = write!(
            svg,
            r#"<text class="tick" x="{:.1}" y="{:.1}" text-anchor="end">{score}</text>"#,
            LEFT - 5.0,
            y + 4.0
        );
    }
    score_axis(&mut svg, height, "score of the active policy (up: of the candidate)");
    svg + "</svg>"
}

/// Share of events at or below each score: the greatest gap is the KS distance.
pub(super) fn cumulative(samples: &Samples) -> String {
    let whole = float(samples.events.len().max(1) as u64);
    let line = |score_of: &dyn Fn(usize) -> u16| {
        let mut scores: Vec<u16> = (0..samples.events.len()).map(score_of).collect();
        scores.sort_unstable();
        let mut points = String::new();
        for score in (0..=1000_u16).step_by(10) {
            let below = scores.partition_point(|other| *other <= score);
            let x = LEFT + plot_width() * f64::from(score) / 1000.0;
            let y = HEIGHT - BOTTOM - plot_height() * float(below as u64) / whole;
            let _ = write!(points, "{x:.1},{y:.1} ");
        }
        points
    };
    let mut svg = open("share of events at or below a score", HEIGHT);
    for percent in [0, 25, 50, 75, 100] {
        let y = HEIGHT - BOTTOM - plot_height() * f64::from(percent) / 100.0;
        let _ = write!(
            svg,
            r#"<line class="grid" x1="{LEFT}" x2="{:.1}" y1="{y:.1}" y2="{y:.1}"/><text class="tick" x="{:.1}" y="{:.1}" text-anchor="end">{percent} %</text>"#,
            WIDTH - RIGHT,
            LEFT - 5.0,
            y + 4.0
        );
    }
    let active = line(&|at| samples.events[at].trial.active.score);
    let candidate = line(&|at| samples.events[at].trial.candidate.score);
    let _ = write!(
        svg,
        r#"<polyline class="active" points="{active}"/><polyline class="candidate" points="{candidate}"/>"#
    );
    score_axis(&mut svg, HEIGHT, "score");
    svg + "</svg>"
}
