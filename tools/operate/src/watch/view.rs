//! The picture on a terminal. Pure: a picture and what is selected in, cells out.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Clear, Paragraph, Row, Sparkline, Table, TableState, Wrap};
use terminal::ui::{grouped, shown};

use super::watcher::{Picture, ShardView};
use super::words::{broken_at_words, seconds, short};

/// From this width on panels stand side by side, columns.
const WIDE_COLUMNS: u16 = 80;
/// A lag from which on a shard is shown as behind, ms: the objective is an outcome within five seconds.
const LAG_WARN_MS: i64 = 5_000;
/// A lag from which on it is shown as bad, ms.
const LAG_BAD_MS: i64 = 30_000;

/// Columns of the panels of figures and shards at the narrowest wide screen: no digit is cut there.
const FIGURES_COLUMNS: u16 = 33;
const SHARDS_COLUMNS: u16 = 26;
/// Columns of a card's token among the highest scores.
const CARD_COLUMNS: u16 = 18;
/// From this width on an explanation leaves a margin.
const MARGIN_FROM_COLUMNS: u16 = 100;
/// Latencies from which on milliseconds say nothing to a person, ms.
const MS_SHOWN_MAX: i64 = 10_000;

/// What the person at the keys has chosen.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// The selected one of the top scores.
    pub selected: usize,
    /// An explanation that covers the picture: its title, its text.
    pub explained: Option<(String, String)>,
    /// The first line of it that is shown.
    pub scroll: u16,
    /// Whether the picture stands still.
    pub paused: bool,
}

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, picture: &Picture, choice: &Choice) {
    let area = frame.area();
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0), Constraint::Length(1)]).areas(area);
    frame.render_widget(Paragraph::new(headline(picture, choice)), head);
    if area.width >= WIDE_COLUMNS {
        wide(frame, body, picture, choice);
    } else {
        narrow(frame, body, picture, choice);
    }
    let keys = " q quit  ↑↓ choose  ⏎ explain  p pause";
    frame.render_widget(Paragraph::new(keys).style(Style::new().dim()), foot);
    if let Some((title, text)) = &choice.explained {
        explanation(frame, area, title, text, choice.scroll);
    }
}

fn wide(frame: &mut Frame<'_>, area: Rect, picture: &Picture, choice: &Choice) {
    let tall = u16::try_from(picture.shards.len().clamp(6, 10)).unwrap_or(10) + 2;
    let [rates, middle, top] =
        Layout::vertical([Constraint::Length(7), Constraint::Length(tall), Constraint::Min(4)]).areas(area);
    let [records, outcomes] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(rates);
    rate(frame, records, "records in", &picture.records_per_second, Color::Cyan);
    rate(
        frame,
        outcomes,
        "outcomes out",
        &picture.outcomes_per_second,
        Color::Green,
    );
    // What the longest figures take comes first; what is left over is shared out.
    let more = area.width.saturating_sub(WIDE_COLUMNS) / 3;
    let [numbers, shards, queues] = Layout::horizontal([
        Constraint::Length(FIGURES_COLUMNS + more),
        Constraint::Length(SHARDS_COLUMNS + more),
        Constraint::Fill(1),
    ])
    .areas(middle);
    figures(frame, numbers, picture);
    shard_table(frame, shards, &picture.shards);
    queue_list(frame, queues, picture);
    top_table(frame, top, picture, choice);
}

fn narrow(frame: &mut Frame<'_>, area: Rect, picture: &Picture, choice: &Choice) {
    let shards = u16::try_from(picture.shards.len().clamp(1, 4)).unwrap_or(4) + 2;
    let [records, numbers, middle, queues, top] = Layout::vertical([
        Constraint::Length(4),
        Constraint::Length(8),
        Constraint::Length(shards),
        Constraint::Length(5),
        Constraint::Min(3),
    ])
    .areas(area);
    rate(
        frame,
        records,
        "outcomes out",
        &picture.outcomes_per_second,
        Color::Green,
    );
    figures(frame, numbers, picture);
    shard_table(frame, middle, &picture.shards);
    queue_list(frame, queues, picture);
    top_table(frame, top, picture, choice);
}

fn panel(title: &str) -> Block<'_> {
    Block::new()
        .borders(Borders::ALL)
        .border_style(Style::new().dim())
        .title(Span::styled(
            format!(" {} ", shown(title)),
            Style::new().add_modifier(Modifier::BOLD),
        ))
}

/// The one line that says whether it is well.
fn headline<'a>(picture: &'a Picture, choice: &Choice) -> Line<'a> {
    let (word, style, why) = health(picture);
    let mut spans = vec![
        Span::styled(" tidemark ", Style::new().bold()),
        Span::styled(format!(" {word} "), style.add_modifier(Modifier::BOLD)),
        Span::raw(format!(" {}", shown(&why))),
    ];
    if choice.paused {
        spans.push(Span::styled("  paused", Style::new().fg(Color::Yellow)));
    }
    Line::from(spans)
}

/// Health in a word, and its first reason: what a person should look at first.
#[must_use]
pub fn health(picture: &Picture) -> (&'static str, Style, String) {
    let bad = Style::new().fg(Color::White).bg(Color::Red);
    let warn = Style::new().fg(Color::Black).bg(Color::Yellow);
    let good = Style::new().fg(Color::Black).bg(Color::Green);
    if let Some(problem) = picture.problems.first() {
        return ("BLIND", bad, problem.clone());
    }
    let waiting = |name: &str| {
        let queue = picture.queues.iter().find(|queue| queue.name == name);
        queue.and_then(|queue| queue.messages).filter(|messages| *messages > 0)
    };
    let slowest = picture.shards.iter().max_by_key(|shard| shard.lag_ms);
    if let Some(shard) = slowest.filter(|shard| shard.lag_ms >= LAG_BAD_MS) {
        let why = format!("{} is {} behind", short(&shard.shard_id), seconds(shard.lag_ms));
        return ("BEHIND", bad, why);
    }
    if let Some(messages) = waiting("unrecoverable") {
        return ("LOST", bad, format!("{messages} messages name records past retention"));
    }
    if let Some(messages) = waiting("dead-letter") {
        return ("DEAD LETTERS", warn, format!("{messages} batches wait for a redrive"));
    }
    if let Some(shard) = slowest.filter(|shard| shard.lag_ms >= LAG_WARN_MS) {
        let why = format!("{} is {} behind", short(&shard.shard_id), seconds(shard.lag_ms));
        return ("SLOW", warn, why);
    }
    if picture.degraded_share() > 0.01 {
        let why = format!("{:.1} % of outcomes lacked an input", 100.0 * picture.degraded_share());
        return ("DEGRADED", warn, why);
    }
    if let Some(messages) = waiting("quarantine") {
        let why = format!("{} messages of refused records wait", grouped(messages));
        return ("QUARANTINE", warn, why);
    }
    if let Some(queue) = picture.queues.iter().find(|queue| queue.messages.is_none()) {
        return ("BLIND", bad, format!("the queue {} can't be asked", queue.name));
    }
    ("OK", good, String::new())
}

fn rate(frame: &mut Frame<'_>, area: Rect, label: &str, series: &[u64], color: Color) {
    let title = format!("{label} {:.0}/s", Picture::rate(series));
    let block = panel(&title);
    let inner = block.inner(area);
    // The newest seconds are the right ones, however narrow the panel; the running second is not whole yet.
    let whole = &series[..series.len().saturating_sub(1)];
    let shown = &whole[whole.len().saturating_sub(usize::from(inner.width))..];
    let line = Sparkline::default()
        .data(shown)
        .style(Style::new().fg(color))
        .block(block);
    frame.render_widget(line, area);
}

fn figures(frame: &mut Frame<'_>, area: Rect, picture: &Picture) {
    let count = |name: &str| picture.decisions.get(name).copied().unwrap_or(0);
    let latency = picture.latency_ms.map_or_else(
        || "no outcome yet".to_owned(),
        |[p50, p95, p99]| {
            if p99 < MS_SHOWN_MAX {
                format!("{p50} / {p95} / {p99} ms")
            } else {
                format!("{} / {} / {}", seconds(p50), seconds(p95), seconds(p99))
            }
        },
    );
    let units = match (picture.write_units, picture.read_units) {
        (Some(write), Some(read)) => format!("{write:.0} write, {read:.1} read"),
        _ => "not known here".to_owned(),
    };
    let degraded = Style::new().fg(if picture.degraded_share() > 0.01 {
        Color::Yellow
    } else {
        Color::Reset
    });
    let rows = [
        ("latency", Span::raw(latency)),
        ("outcomes", Span::raw(grouped(picture.outcomes))),
        (
            "alert",
            Span::styled(grouped(count("alert")), Style::new().fg(Color::Red)),
        ),
        (
            "review",
            Span::styled(grouped(count("review")), Style::new().fg(Color::Yellow)),
        ),
        (
            "degraded",
            Span::styled(format!("{:.2} %", 100.0 * picture.degraded_share()), degraded),
        ),
        ("units", Span::raw(units)),
    ];
    let lines: Vec<Line<'_>> = rows
        .into_iter()
        .map(|(name, value)| Line::from(vec![Span::styled(format!(" {name:<9}"), Style::new().dim()), value]))
        .collect();
    frame.render_widget(Paragraph::new(lines).block(panel("last minute  p50 / p95 / p99")), area);
}

fn shard_table(frame: &mut Frame<'_>, area: Rect, shards: &[ShardView]) {
    let rows = shards.iter().map(|shard| {
        let color = match shard.lag_ms {
            lag if lag >= LAG_BAD_MS => Color::Red,
            lag if lag >= LAG_WARN_MS => Color::Yellow,
            _ => Color::Reset,
        };
        Row::new([
            Cell::from(format!(" {}", short(&shard.shard_id))),
            Cell::from(Span::styled(seconds(shard.lag_ms), Style::new().fg(color))),
            Cell::from(grouped(shard.records)),
        ])
    });
    let widths = [Constraint::Length(5), Constraint::Length(8), Constraint::Fill(1)];
    frame.render_widget(Table::new(rows, widths).block(panel("shard · behind · records")), area);
}

fn queue_list(frame: &mut Frame<'_>, area: Rect, picture: &Picture) {
    let lines: Vec<Line<'_>> = picture
        .queues
        .iter()
        .map(|queue| {
            let color = match queue.messages {
                Some(0) | None => Color::Reset,
                Some(_) => Color::Yellow,
            };
            let count = queue.messages.map_or_else(|| "–".to_owned(), grouped);
            Line::from(vec![
                Span::styled(format!("{:<14}", queue.name), Style::new().dim()),
                Span::styled(count, Style::new().fg(color)),
            ])
        })
        .collect();
    frame.render_widget(Paragraph::new(lines).block(panel("queues")), area);
}

fn top_table(frame: &mut Frame<'_>, area: Rect, picture: &Picture, choice: &Choice) {
    // Borders, the two columns before, a space behind each, and the mark of what is left out.
    let room = area.width.saturating_sub(2 + 6 + 1 + CARD_COLUMNS + 1 + 2).max(8);
    let rows = picture.top.iter().enumerate().map(|(at, top)| {
        let color = match top.decision.as_str() {
            "alert" => Color::Red,
            "review" => Color::Yellow,
            _ => Color::Reset,
        };
        let style = if at == choice.selected {
            Style::new().add_modifier(Modifier::REVERSED)
        } else {
            Style::new()
        };
        // The selected one tells all of its reasons, the others what fits on a line.
        let mut lines = broken_at_words(&shown(&top.reasons.join(", ")), usize::from(room));
        if at != choice.selected && lines.len() > 1 {
            lines.truncate(1);
            lines[0] += " …";
        }
        Row::new([
            Cell::from(Span::styled(
                format!(" {:>4}", top.score),
                Style::new().fg(color).bold(),
            )),
            Cell::from(shown(&top.card_id).into_owned()),
            Cell::from(lines.join("\n")),
        ])
        .height(u16::try_from(lines.len().max(1)).unwrap_or(1))
        .style(style)
    });
    let widths = [
        Constraint::Length(6),
        Constraint::Length(CARD_COLUMNS),
        Constraint::Fill(1),
    ];
    let table = Table::new(rows, widths).block(panel("cards with the highest scores of the last minute"));
    let mut at = TableState::new().with_selected(Some(choice.selected));
    frame.render_stateful_widget(table, area, &mut at);
}

fn explanation(frame: &mut Frame<'_>, area: Rect, title: &str, text: &str, scroll: u16) {
    let margin = if area.width >= MARGIN_FROM_COLUMNS { 4 } else { 0 };
    let inner = Rect {
        x: area.x + margin,
        y: area.y + 1,
        width: area.width.saturating_sub(2 * margin),
        height: area.height.saturating_sub(2),
    };
    frame.render_widget(Clear, inner);
    let block = panel(title).title_bottom(" ↑↓ scroll · Esc back ");
    // Long reasons break at words. Tables of numbers are as wide as the narrowest wide screen.
    let paragraph = Paragraph::new(text).block(block).scroll((scroll, 0));
    frame.render_widget(paragraph.wrap(Wrap { trim: false }), inner);
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::watcher::{QueueView, TopView};
    use super::*;

    fn picture() -> Picture {
        Picture {
            records_per_second: vec![100; 60],
            outcomes_per_second: vec![90; 60],
            latency_ms: Some([500, 900, 1_200]),
            outcomes: 5_400,
            decisions: [("alert".to_owned(), 12), ("review".to_owned(), 88)].into(),
            tiers: [("full".to_owned(), 5_400)].into(),
            shards: vec![
                ShardView {
                    shard_id: "shardId-000000000000".to_owned(),
                    records: 1_000,
                    lag_ms: 0,
                },
                ShardView {
                    shard_id: "shardId-000000000012".to_owned(),
                    records: 2_000,
                    lag_ms: 450,
                },
            ],
            queues: vec![QueueView {
                name: "quarantine".to_owned(),
                messages: Some(0),
            }],
            top: vec![TopView {
                card_id: "card-7".to_owned(),
                event_id: "e".to_owned(),
                occurred_at_ms: 1,
                score: 987,
                decision: "alert".to_owned(),
                reasons: vec!["unusually many in an hour".to_owned()],
            }],
            ..Picture::default()
        }
    }

    fn screen(width: u16, height: u16, picture: &Picture, choice: &Choice) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, picture, choice)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>() + "\n";
        (0..height).map(line).collect()
    }

    #[test]
    fn a_wide_terminal_shows_everything_at_once() {
        let text = screen(120, 36, &picture(), &Choice::default());
        for part in [
            " OK ",
            "records in 100/s",
            "outcomes out 90/s",
            "500 / 900 / 1200 ms",
            "5,400",
            "450 ms",
            "quarantine",
            " 987",
            "card-7",
            "unusually many",
            "q quit",
        ] {
            assert!(text.contains(part), "{part} is missing:\n{text}");
        }
    }

    #[test]
    fn a_terminal_of_40_columns_still_shows_what_matters() {
        let text = screen(40, 36, &picture(), &Choice::default());
        for part in [
            " OK ",
            "outcomes out 90/s",
            "500 / 900 / 1200 ms",
            "450 ms",
            " 987",
            "card-7",
            "q quit",
        ] {
            assert!(text.contains(part), "{part} is missing:\n{text}");
        }
    }

    #[test]
    fn at_80_columns_no_digit_is_cut_and_reasons_break_at_words() {
        let mut now = picture();
        now.latency_ms = Some([9_997, 9_998, 9_999]);
        now.outcomes = 1_234_567;
        now.shards[1].records = 7_654_321;
        now.shards[1].lag_ms = 46_633_996;
        now.queues.push(QueueView {
            name: "unrecoverable".to_owned(),
            messages: Some(4_994),
        });
        now.top[0].reasons =
            vec!["an amount far above what the card usually spends within thirty days (40 %)".to_owned(); 2];
        now.top.push(now.top[0].clone());
        now.top[1].card_id = "card\n\u{1b}[2J".to_owned();
        let text = screen(80, 36, &now, &Choice::default());
        for whole in [
            "9997 / 9998 / 9999 ms",
            "1,234,567",
            "7,654,321",
            "13 h",
            "unrecoverable 4,994",
            "thirty days (40 %),",
            "card\\n\\u001b[2J",
            " …",
        ] {
            assert!(text.contains(whole), "{whole} is missing:\n{text}");
        }
        now.latency_ms = Some([46_633_996, 46_633_996, 92_633_996]);
        let text = screen(80, 36, &now, &Choice::default());
        assert!(text.contains("13 h / 13 h / 26 h"), "{text}");
    }

    #[test]
    fn no_size_of_a_terminal_is_too_small() {
        for (width, height) in [(1, 1), (2, 40), (40, 3), (200, 2), (79, 10)] {
            screen(width, height, &picture(), &Choice::default());
            screen(width, height, &Picture::default(), &Choice::default());
        }
    }

    #[test]
    fn the_health_names_what_to_look_at_first() {
        let word = |picture: &Picture| health(picture).0;
        let mut now = picture();
        assert_eq!(word(&now), "OK");
        now.queues[0].messages = None;
        assert_eq!(word(&now), "BLIND", "what can't be seen is not well");
        now.queues[0].messages = Some(4_994);
        assert_eq!(health(&now).2, "4,994 messages of refused records wait");
        assert_eq!(word(&now), "QUARANTINE");
        now.tiers = [("full".to_owned(), 5_000), ("no_profile".to_owned(), 400)].into();
        assert_eq!(word(&now), "DEGRADED");
        now.shards[1].lag_ms = 6_000;
        assert_eq!(word(&now), "SLOW");
        now.queues.push(QueueView {
            name: "dead-letter".to_owned(),
            messages: Some(2),
        });
        assert_eq!(word(&now), "DEAD LETTERS");
        now.shards[1].lag_ms = 60_000;
        assert_eq!(word(&now), "BEHIND");
        now.problems.push("stream: throttled".to_owned());
        assert_eq!(word(&now), "BLIND");
    }

    #[test]
    fn an_explanation_covers_the_picture_and_scrolls() {
        let text: String = (0..100).map(|at| format!("line {at}\n")).collect();
        let choice = Choice {
            explained: Some(("card-7".to_owned(), text)),
            scroll: 50,
            ..Choice::default()
        };
        for width in [40, 120] {
            let shown = screen(width, 20, &picture(), &choice);
            assert!(shown.contains("line 50") && !shown.contains("line 49"), "{shown}");
        }
    }
}
