//! The plots of a comparison.

use std::fmt::Write as _;

use crate::page::svg::{
    BOTTOM, HEIGHT, LEFT, RIGHT, SQUARE_HEIGHT, TOP, WIDTH, across, float, level, open, plot_height, plot_width,
    score_axis, upright,
};

use super::measure::{BINS, Comparison, Limits, Samples, bin};

/// What an event that stands alone reaches on the logarithmic axis, so that it can be seen: in powers of ten.
const LOG_FLOOR: f64 = 0.3;

/// Where the decisions of a policy begin, as upright lines.
fn limits(svg: &mut String, limits: Option<Limits>, class: &str, height: f64) {
    let Some(limits) = limits else { return };
    for (score, name) in [(limits.review, "review"), (limits.alert, "alert")] {
        let x = across(score);
        let _ = write!(
            svg,
            r#"<line class="limit {class}" x1="{x:.1}" x2="{x:.1}" y1="{TOP}" y2="{:.1}"><title>{name} from {score} on ({class})</title></line>"#,
            height - BOTTOM
        );
        if class == "active" {
            let _ = write!(
                svg,
                r#"<text class="tick" x="{x:.1}" y="{:.1}" text-anchor="middle">{name}</text>"#,
                TOP - 6.0
            );
        }
    }
}

/// Events by score under both policies, on a logarithmic axis: alerts are a thousandth of the events.
pub(super) fn histogram(comparison: &Comparison) -> String {
    let (active, candidate) = (
        &comparison.active_scores.histogram,
        &comparison.candidate_scores.histogram,
    );
    let most = active.iter().chain(candidate).copied().max().unwrap_or(1).max(1);
    let top = float(most).log10().ceil().max(1.0);
    let rise = |power: f64| plot_height() * (power + LOG_FLOOR) / (top + LOG_FLOOR);
    let mut svg = open("events by score", HEIGHT);
    let floor = HEIGHT - BOTTOM;
    let mut power = 0.0;
    let mut count = 1_u64;
    while power <= top {
        level(&mut svg, floor - rise(power), &terminal::ui::grouped(count));
        power += 1.0;
        count = count.saturating_mul(10);
    }
    let step = plot_width() / float(BINS as u64);
    for (index, (a, b)) in active.iter().zip(candidate).enumerate() {
        let x = LEFT + step * float(index as u64);
        for (class, count, shift) in [("active", *a, 0.1), ("candidate", *b, 0.5)] {
            let height = if count == 0 { 0.0 } else { rise(float(count).log10()) };
            let _ = write!(
                svg,
                r#"<rect class="{class}" x="{:.1}" y="{:.1}" width="{:.1}" height="{height:.1}" rx="1.5"><title>{class}: {count} events</title></rect>"#,
                x + step * shift,
                floor - height,
                step * 0.4
            );
        }
    }
    limits(&mut svg, comparison.candidate_limits, "candidate", HEIGHT);
    limits(&mut svg, comparison.active_limits, "active", HEIGHT);
    score_axis(&mut svg, HEIGHT, "score");
    upright(&mut svg, HEIGHT, "events (logarithmic)");
    svg + "</svg>"
}

/// Where events lie under both: on the diagonal nothing changes.
pub(super) fn heat(comparison: &Comparison, samples: &Samples) -> String {
    let mut cells = vec![[0_u64; BINS]; BINS];
    for sample in &samples.events {
        cells[bin(sample.trial.candidate.score)][bin(sample.trial.active.score)] += 1;
    }
    let most = cells.iter().flatten().copied().max().unwrap_or(1).max(1);
    let (floor, rise) = (SQUARE_HEIGHT - BOTTOM, SQUARE_HEIGHT - TOP - BOTTOM);
    let (w, h) = (plot_width() / float(BINS as u64), rise / float(BINS as u64));
    let mut svg = open("score of the candidate over score of the active policy", SQUARE_HEIGHT);
    for score in (0..=1000_u16).step_by(200) {
        level(&mut svg, floor - rise * f64::from(score) / 1000.0, &score.to_string());
    }
    for (row, counts) in cells.iter().enumerate() {
        for (column, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let strength = 0.14 + 0.86 * (1.0 + float(*count)).ln() / (1.0 + float(most)).ln();
            let _ = write!(
                svg,
                r#"<rect class="heat" opacity="{strength:.2}" x="{:.1}" y="{:.1}" width="{:.1}" height="{:.1}" rx="2"><title>{count} events</title></rect>"#,
                LEFT + w * float(column as u64) + 0.5,
                floor - h * float(row as u64 + 1) + 0.5,
                w - 1.0,
                h - 1.0
            );
        }
    }
    let _ = write!(
        svg,
        r#"<line class="diagonal" x1="{LEFT}" y1="{floor:.1}" x2="{:.1}" y2="{TOP}"/>"#,
        WIDTH - RIGHT
    );
    limits(&mut svg, comparison.active_limits, "active", SQUARE_HEIGHT);
    for score in comparison
        .candidate_limits
        .iter()
        .flat_map(|limits| [limits.review, limits.alert])
    {
        let y = floor - rise * f64::from(score) / 1000.0;
        let _ = write!(
            svg,
            r#"<line class="limit candidate" x1="{LEFT}" x2="{:.1}" y1="{y:.1}" y2="{y:.1}"/>"#,
            WIDTH - RIGHT
        );
    }
    score_axis(&mut svg, SQUARE_HEIGHT, "score of the active policy");
    upright(&mut svg, SQUARE_HEIGHT, "score of the candidate");
    svg + "</svg>"
}

/// Share of events at or below each score: the greatest gap is the KS distance.
pub(super) fn cumulative(comparison: &Comparison, samples: &Samples) -> String {
    let whole = float(samples.events.len().max(1) as u64);
    let height_at = |below: usize| HEIGHT - BOTTOM - plot_height() * float(below as u64) / whole;
    let sorted = |score_of: &dyn Fn(usize) -> u16| {
        let mut scores: Vec<u16> = (0..samples.events.len()).map(score_of).collect();
        scores.sort_unstable();
        scores
    };
    let active = sorted(&|at| samples.events[at].trial.active.score);
    let candidate = sorted(&|at| samples.events[at].trial.candidate.score);
    let y_of = |scores: &[u16], score: u16| height_at(scores.partition_point(|other| *other <= score));
    let mut svg = open("share of events at or below a score", HEIGHT);
    for percent in [0, 25, 50, 75, 100] {
        let y = HEIGHT - BOTTOM - plot_height() * f64::from(percent) / 100.0;
        level(&mut svg, y, &format!("{percent} %"));
    }
    for (class, scores) in [("active", &active), ("candidate", &candidate)] {
        let mut points = String::new();
        for score in (0..=1000_u16).step_by(5) {
            let _ = write!(points, "{:.1},{:.1} ", across(score), y_of(scores, score));
        }
        let _ = write!(svg, r#"<polyline class="{class}" points="{points}"/>"#);
    }
    let drift = &comparison.drift;
    let (x, y1, y2) = (
        across(drift.ks_score),
        y_of(&active, drift.ks_score),
        y_of(&candidate, drift.ks_score),
    );
    let (anchor, shift) = if drift.ks_score > 600 {
        ("end", -8.0)
    } else {
        ("start", 8.0)
    };
    let _ = write!(
        svg,
        r#"<line class="gap" x1="{x:.1}" x2="{x:.1}" y1="{y1:.1}" y2="{y2:.1}"/><text class="note" x="{:.1}" y="{:.1}" text-anchor="{anchor}">greatest gap {:.1} % at {}</text>"#,
        x + shift,
        y1.max(y2) + 18.0,
        100.0 * drift.ks,
        drift.ks_score
    );
    score_axis(&mut svg, HEIGHT, "score");
    upright(&mut svg, HEIGHT, "share of events");
    svg + "</svg>"
}
