//! Plots as SVG text: no script, no file from elsewhere.

use std::fmt::Write as _;

/// In units of the drawing.
pub const WIDTH: f64 = 640.0;
/// In units of the drawing.
pub const HEIGHT: f64 = 250.0;
/// In units of the drawing.
pub const SQUARE_HEIGHT: f64 = 640.0;
/// In units of the drawing.
pub const LEFT: f64 = 76.0;
/// In units of the drawing.
pub const BOTTOM: f64 = 38.0;
/// In units of the drawing.
pub const TOP: f64 = 20.0;
/// In units of the drawing.
pub const RIGHT: f64 = 20.0;

/// The width that data has.
#[must_use]
pub fn plot_width() -> f64 {
    WIDTH - LEFT - RIGHT
}

/// The height that data has, in a plot of [`HEIGHT`].
#[must_use]
pub fn plot_height() -> f64 {
    HEIGHT - TOP - BOTTOM
}

/// Where a score lies, from the left.
#[must_use]
pub fn across(score: u16) -> f64 {
    LEFT + plot_width() * f64::from(score) / 1000.0
}

/// A drawing's beginning.
#[must_use]
pub fn open(label: &str, height: f64) -> String {
    format!(
        r#"<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}" xmlns="http://www.w3.org/2000/svg">"#
    )
}

/// The axis of scores below a plot of this height.
pub fn score_axis(svg: &mut String, height: f64, title: &str) {
    let y = height - BOTTOM;
    for score in (0..=1000).step_by(200) {
        let _ = write!(
            svg,
            r#"<text class="tick" x="{:.1}" y="{:.1}" text-anchor="middle">{score}</text>"#,
            across(score),
            y + 15.0
        );
    }
    let _ = write!(
        svg,
        r#"<text class="axis" x="{:.1}" y="{:.1}" text-anchor="middle">{title}</text>"#,
        LEFT + plot_width() / 2.0,
        height - 5.0
    );
}

/// A line of the grid with its figure.
pub fn level(svg: &mut String, y: f64, figure: &str) {
    let _ = write!(
        svg,
        r#"<line class="grid" x1="{LEFT}" x2="{:.1}" y1="{y:.1}" y2="{y:.1}"/><text class="tick" x="{:.1}" y="{:.1}" text-anchor="end">{figure}</text>"#,
        WIDTH - RIGHT,
        LEFT - 7.0,
        y + 4.0
    );
}

/// The title of the upright axis.
pub fn upright(svg: &mut String, height: f64, title: &str) {
    let y = TOP + (height - TOP - BOTTOM) / 2.0;
    let _ = write!(
        svg,
        r#"<text class="axis" x="12" y="{y:.1}" text-anchor="middle" transform="rotate(-90 12 {y:.1})">{title}</text>"#
    );
}

/// A count as a number to draw.
#[allow(clippy::cast_precision_loss, reason = "counts of events are far below 2^53")]
#[must_use]
pub fn float(count: u64) -> f64 {
    count as f64
}

/// An axis: its title, and where figures stand on it, from 0 to 1.
#[derive(Clone, Debug, Default)]
pub struct Axis {
    /// What it is an axis of.
    pub title: String,
    /// Places and what stands there.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Shares from 0 to 100 %.
    #[must_use]
    pub fn shares(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            ticks: (0..=4_u32)
                .map(|quarter| (f64::from(quarter) / 4.0, format!("{} %", quarter * 25)))
                .collect(),
        }
    }

    /// Whole numbers from 0 to the greatest, which is rounded up; answers with that.
    #[must_use]
    pub fn counts(title: &str, greatest: f64) -> (Self, f64) {
        let mut step = 1.0;
        let steps = [2.0, 2.5, 2.0];
        let mut at = 0;
        while greatest / step > 5.0 {
            step *= steps[at % steps.len()];
            at += 1;
        }
        let count = (greatest / step).ceil().max(1.0);
        let most = count * step;
        let mut ticks = Vec::new();
        let mut value = 0.0;
        while value <= most {
            ticks.push((value / most, format!("{value}")));
            value += step;
        }
        let title = title.to_owned();
        (Self { title, ticks }, most)
    }
}

/// A line: places on both axes, from 0 to 1 each.
#[derive(Clone, Debug, Default)]
pub struct Curve {
    /// The series that it belongs to.
    pub class: String,
    /// From left to right.
    pub points: Vec<[f64; 2]>,
    /// Around each point, from where to where; empty, or as many as points.
    pub band: Vec<[f64; 2]>,
}

/// A plot of lines.
#[must_use]
pub fn lines(label: &str, across: &Axis, up: &Axis, curves: &[Curve]) -> String {
    let x_of = |share: f64| LEFT + plot_width() * share.clamp(0.0, 1.0);
    let y_of = |share: f64| HEIGHT - BOTTOM - plot_height() * share.clamp(0.0, 1.0);
    let mut svg = open(label, HEIGHT);
    for (share, figure) in &up.ticks {
        level(&mut svg, y_of(*share), figure);
    }
    for (share, figure) in &across.ticks {
        let _ = write!(
            svg,
            r#"<text class="tick" x="{:.1}" y="{:.1}" text-anchor="middle">{figure}</text>"#,
            x_of(*share),
            HEIGHT - BOTTOM + 15.0
        );
    }
    for Curve { class, points, band } in curves {
        if band.len() == points.len() && points.len() > 1 {
            let edge = |side: usize| points.iter().zip(band).map(move |(point, band)| [point[0], band[side]]);
            let outline: Vec<[f64; 2]> = edge(0).chain(edge(1).collect::<Vec<_>>().into_iter().rev()).collect();
            let _ = write!(
                svg,
                r#"<polygon class="band {class}" points="{}"/>"#,
                places(&outline, &x_of, &y_of)
            );
        }
        let _ = write!(
            svg,
            r#"<polyline class="{class}" points="{}"/>"#,
            places(points, &x_of, &y_of)
        );
        if points.len() < 16 {
            for [x, y] in points {
                let _ = write!(
                    svg,
                    r#"<rect class="{class}" x="{:.1}" y="{:.1}" width="6" height="6" rx="3"/>"#,
                    x_of(*x) - 3.0,
                    y_of(*y) - 3.0
                );
            }
        }
    }
    let _ = write!(
        svg,
        r#"<text class="axis" x="{:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
        LEFT + plot_width() / 2.0,
        HEIGHT - 5.0,
        across.title
    );
    upright(&mut svg, HEIGHT, &up.title);
    svg + "</svg>"
}

fn places(points: &[[f64; 2]], x_of: &dyn Fn(f64) -> f64, y_of: &dyn Fn(f64) -> f64) -> String {
    let mut text = String::new();
    for [x, y] in points {
        let _ = write!(text, "{:.1},{:.1} ", x_of(*x), y_of(*y));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_of_counts_has_few_round_figures_and_holds_the_greatest() {
        for greatest in [0.0, 0.4, 1.0, 7.0, 23.0, 99.0, 1_234.5, 1e6] {
            let (axis, most) = Axis::counts("n", greatest);
            assert!(most >= greatest && most > 0.0, "{greatest} {most}");
            assert!((2..=7).contains(&axis.ticks.len()), "{greatest}: {axis:?}");
        }
    }
}
