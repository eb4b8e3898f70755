//! The loop around the picture: keys in, looks at the streams in between.

use std::io::IsTerminal;
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use terminal::clock::now_ms;
use terminal::error::{CliError, Exit};
use tidemark_aws::admin::Admin;
use tidemark_domain::policy::Policy;

use super::sample::Sampler;
use super::view::{Choice, draw};
use super::watcher::Picture;
use crate::explain;
use crate::explain_view::Sought;

/// How long a key is waited for before the picture is drawn again, ms.
const KEY_POLL_MS: u64 = 50;

fn unusable(error: &std::io::Error) -> CliError {
    CliError::machine(
        "terminal",
        format!("the terminal can't be used: {error}"),
        "Run it in a terminal, or with --json for machines.",
    )
}

/// Watches until `q`.
pub(super) async fn watch(
    admin: &Admin,
    mut sampler: Sampler,
    table: &str,
    policy: &Policy,
    interval_ms: u64,
) -> Result<Exit, CliError> {
    if !std::io::stdout().is_terminal() {
        return Err(unusable(&std::io::Error::other("standard output is not a terminal")));
    }
    let mut picture = sampler.look(now_ms()).await;
    let mut terminal = ratatui::try_init().map_err(|e| unusable(&e))?;
    let mut choice = Choice::default();
    let mut next_look_ms = now_ms();
    let result = loop {
        if !choice.paused && now_ms() >= next_look_ms {
            picture = sampler.look(now_ms()).await;
            next_look_ms = now_ms() + i64::try_from(interval_ms).unwrap_or(i64::MAX);
            choice.selected = choice.selected.min(picture.top.len().saturating_sub(1));
        }
        if let Err(error) = terminal.draw(|frame| draw(frame, &picture, &choice)) {
            break Err(unusable(&error));
        }
        match next_key() {
            Err(error) => break Err(unusable(&error)),
            Ok(None) => {}
            Ok(Some(Key::Quit)) => break Ok(Exit::Ok),
            Ok(Some(Key::Explain)) => explain_selected(admin, table, policy, &picture, &mut choice).await,
            Ok(Some(key)) => turn(key, &picture, &mut choice),
        }
    };
    ratatui::restore();
    result
}

/// What a key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Quit,
    Up,
    Down,
    Explain,
    Back,
    Pause,
}

fn next_key() -> std::io::Result<Option<Key>> {
    if !event::poll(Duration::from_millis(KEY_POLL_MS))? {
        return Ok(None);
    }
    let Event::Key(key) = event::read()? else {
        return Ok(None);
    };
    if key.kind == KeyEventKind::Release {
        return Ok(None);
    }
    Ok(match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Quit),
        KeyCode::Char('q') => Some(Key::Quit),
        KeyCode::Char('p') => Some(Key::Pause),
        KeyCode::Up | KeyCode::Char('k') => Some(Key::Up),
        KeyCode::Down | KeyCode::Char('j') => Some(Key::Down),
        KeyCode::Enter => Some(Key::Explain),
        KeyCode::Esc | KeyCode::Backspace => Some(Key::Back),
        _ => None,
    })
}

fn turn(key: Key, picture: &Picture, choice: &mut Choice) {
    match (key, choice.explained.is_some()) {
        (Key::Up, true) => choice.scroll = choice.scroll.saturating_sub(1),
        (Key::Down, true) => choice.scroll = choice.scroll.saturating_add(1),
        (Key::Up, false) => choice.selected = choice.selected.saturating_sub(1),
        (Key::Down, false) => choice.selected = (choice.selected + 1).min(picture.top.len().saturating_sub(1)),
        (Key::Back, _) => choice.explained = None,
        (Key::Pause, _) => choice.paused = !choice.paused,
        (Key::Quit | Key::Explain, _) => {}
    }
}

async fn explain_selected(admin: &Admin, table: &str, policy: &Policy, picture: &Picture, choice: &mut Choice) {
    let Some(top) = picture.top.get(choice.selected) else {
        return;
    };
    let sought = Sought {
        event_id: &top.event_id,
        at_ms: Some(top.occurred_at_ms),
    };
    let text = explain::text(admin, table, &top.card_id, Some(sought), policy).await;
    let text = text.unwrap_or_else(|error| format!("{error}\n{}", error.advice));
    choice.explained = Some((top.card_id.clone(), text));
    choice.scroll = 0;
}

#[cfg(test)]
mod tests {
    use super::super::watcher::TopView;
    use super::*;

    #[test]
    fn keys_choose_scroll_and_pause_within_bounds() {
        let top = TopView {
            card_id: "c".to_owned(),
            event_id: "e".to_owned(),
            occurred_at_ms: 1,
            score: 1,
            decision: "pass".to_owned(),
            reasons: Vec::new(),
        };
        let picture = Picture {
            top: vec![top.clone(), top],
            ..Picture::default()
        };
        let mut choice = Choice::default();
        for _ in 0..5 {
            turn(Key::Down, &picture, &mut choice);
        }
        assert_eq!(choice.selected, 1);
        for _ in 0..5 {
            turn(Key::Up, &picture, &mut choice);
        }
        assert_eq!(choice.selected, 0);
        choice.explained = Some((String::new(), String::new()));
        turn(Key::Down, &picture, &mut choice);
        assert_eq!((choice.scroll, choice.selected), (1, 0));
        turn(Key::Back, &picture, &mut choice);
        turn(Key::Pause, &picture, &mut choice);
        assert!(choice.explained.is_none() && choice.paused);
    }
}
