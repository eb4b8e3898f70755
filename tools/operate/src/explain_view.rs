//! A card, its windows and an outcome in words, for `tidemark explain`. Plain text; who prints it adds the colours.

use std::collections::HashSet;
use std::fmt::Write as _;

use terminal::escape::shown;
use tidemark_domain::catalogue::{FeatureKey, FeatureKind};
use tidemark_domain::event::{Profile, Verdict};
use tidemark_domain::history::{Entry, History, UNPRICED};
use tidemark_domain::id::EventId;
use tidemark_domain::outcome::Decision;
use tidemark_domain::policy::Policy;

use crate::explain_ids::EventIds;
use crate::explain_outcome::render_outcome;

/// Events of a card that are listed, the newest.
pub const EVENTS_LISTED_MAX: usize = 20;
/// Further events of one id whose times are told.
const OTHERS_MAX: usize = 5;
const MS_PER_MINUTE: i64 = 60_000;

/// What is known of a card.
#[derive(Clone, Copy, Debug)]
pub struct CardView<'a> {
    /// The card.
    pub card_id: &'a str,
    /// Its decoded state.
    pub state: &'a History,
    /// The version of its stored item: the number of commits.
    pub version: u64,
    /// Size of the encoded state, bytes.
    pub state_bytes: usize,
    /// Its profile, if it has one.
    pub profile: Option<&'a Profile>,
    /// The policy whose windows are shown.
    pub policy: &'a Policy,
}

/// The card: what it is, its windows as of its newest event, and its newest events.
#[must_use]
pub fn render_card(view: &CardView<'_>) -> String {
    card(view, None)
}

/// The same with the events' ids, as far as they are known.
#[must_use]
pub fn render_card_with_ids(view: &CardView<'_>, ids: &EventIds) -> String {
    card(view, Some(ids))
}

fn card(view: &CardView<'_>, ids: Option<&EventIds>) -> String {
    let entries = view.state.all_entries();
    let mut text = format!(
        "card {}\n  {} events kept in {} bytes, written {} times\n",
        shown(view.card_id),
        entries.len(),
        view.state_bytes,
        view.version,
    );
    let missing = view.state.missing_segments().len();
    if missing > 0 {
        let _ = writeln!(
            text,
            "  and more in {missing} sealed segments that were not read or have expired: windows may hold more"
        );
    }
    profile_lines(&mut text, view);
    let Some(newest) = entries.last() else {
        text.push_str("  no events\n");
        return text;
    };
    windows(&mut text, view, newest, "its newest event");
    let _ = writeln!(text, "\nnewest events");
    for entry in entries.iter().rev().take(EVENTS_LISTED_MAX) {
        let id = ids.map_or("", |ids| ids.of(entry).unwrap_or("(its id is no longer known)"));
        let line = format!("  {}  {}", event_line(entry, view.policy), shown(id));
        let _ = writeln!(text, "{}", line.trim_end());
    }
    if entries.len() > EVENTS_LISTED_MAX {
        let _ = writeln!(text, "  and {} older ones", entries.len() - EVENTS_LISTED_MAX);
    }
    text
}

/// Which event of a card: by its id, and by its time (ms since 1970-01-01T00:00:00Z) where the card has several of that id.
#[derive(Clone, Copy, Debug)]
pub struct Sought<'a> {
    /// Its id.
    pub event_id: &'a str,
    /// Its time; `None`: the newest of that id.
    pub at_ms: Option<i64>,
}

/// The event that is meant, and the times of the card's other events of its id (ms since 1970-01-01T00:00:00Z), the newest first.
#[must_use]
pub fn find_event<'s>(state: &'s History, sought: Sought<'_>) -> Option<(&'s Entry, Vec<i64>)> {
    let id = EventId::new(sought.event_id)?;
    let of_id: Vec<&Entry> = state
        .all_entries()
        .into_iter()
        .rev()
        .filter(|entry| entry.mark().has_id(&id))
        .collect();
    let is_meant = |entry: &&&Entry| sought.at_ms.is_none_or(|at_ms| entry.time_ms == at_ms);
    let entry = *of_id.iter().find(is_meant)?;
    let others = of_id.iter().filter(|other| other.seq != entry.seq);
    Some((entry, others.map(|other| other.time_ms).collect()))
}

/// One event of the card and why it got its outcome; `None` when the card's history does not hold it.
#[must_use]
pub fn render_event(view: &CardView<'_>, sought: Sought<'_>) -> Option<String> {
    let event_id = sought.event_id;
    let (entry, others) = find_event(view.state, sought)?;
    let mut text = format!(
        "event {} of card {}\n  {}\n\n",
        shown(event_id),
        shown(view.card_id),
        event_line(entry, view.policy)
    );
    if !others.is_empty() {
        let times: Vec<String> = others.iter().take(OTHERS_MAX).map(ToString::to_string).collect();
        let _ = writeln!(
            text,
            "  the card has {} more of this id, at {}: see --at\n",
            others.len(),
            times.join(", ")
        );
    }
    text.push_str(&render_outcome(&entry.outcome));
    let later = view
        .state
        .all_entries()
        .into_iter()
        .filter(|other| other.seq > entry.seq && other.time_ms <= entry.time_ms)
        .count();
    windows(&mut text, view, entry, "this event");
    if later > 0 {
        let _ = writeln!(
            text,
            "  {later} events of those times arrived after it: they are above, but not in its score"
        );
    }
    if !entry.outcome.features.is_empty() {
        text.push_str("\nfeatures it was scored on\n");
        for (key, value) in &entry.outcome.features {
            let value = value.map_or_else(|| "nothing to measure".to_owned(), |value| format!("{value:.4}"));
            let _ = writeln!(text, "  {:<24}{value}", key.to_string());
        }
    }
    Some(text)
}

fn profile_lines(text: &mut String, view: &CardView<'_>) {
    match view.profile {
        None => text.push_str("  no profile\n"),
        Some(profile) => {
            let _ = writeln!(
                text,
                "  profile {}: usually {}, {} ± {} a transaction, {} a day, account opened {}",
                profile.version,
                profile.usual_country.as_str(),
                money(profile.spend_mean_minor, view.policy),
                money(profile.spend_deviation_minor, view.policy),
                profile.transactions_per_day,
                time_words(profile.account_opened_at_ms),
            );
        }
    }
}

/// A table of the policy's windows as of an entry's time, over what the history holds today.
fn windows(text: &mut String, view: &CardView<'_>, entry: &Entry, of_what: &str) {
    let _ = writeln!(text, "\nwindows up to {of_what} ({})", time_words(entry.time_ms));
    let _ = writeln!(
        text,
        "  {:<6}{:>7}{:>16}{:>14}{:>10}{:>11}{:>11}",
        "", "count", "sum", "mean", "declined", "merchants", "countries"
    );
    for &minutes in view.policy.windows() {
        let from_ms = entry.time_ms - i64::from(minutes) * MS_PER_MINUTE;
        let inside: Vec<&Entry> = view
            .state
            .all_entries()
            .into_iter()
            .filter(|other| other.time_ms > from_ms && other.time_ms <= entry.time_ms)
            .collect();
        // Sums in 128 bits: what is shown is exact for any amount the state can hold.
        let sum: u128 = inside.iter().map(|other| u128::from(other.amount_base_minor)).sum();
        let priced = inside
            .iter()
            .filter(|other| other.amount_base_minor != UNPRICED)
            .count();
        #[allow(clippy::cast_precision_loss)]
        let (sum, count) = (sum as f64, priced as f64);
        let _ = writeln!(
            text,
            "  {:<6}{:>7}{:>16}{:>14}{:>10}{:>11}{:>11}",
            window_label(minutes),
            inside.len(),
            money(sum, view.policy),
            money(sum / count.max(1.0), view.policy),
            inside.iter().filter(|other| !other.approved).count(),
            inside
                .iter()
                .map(|other| other.merchant_fp)
                .collect::<HashSet<_>>()
                .len(),
            inside.iter().map(|other| other.country).collect::<HashSet<_>>().len(),
        );
    }
}

fn window_label(minutes: u32) -> String {
    let key = FeatureKey::new(FeatureKind::Count, minutes);
    key.window_label().unwrap_or_default()
}

fn event_line(entry: &Entry, policy: &Policy) -> String {
    #[allow(clippy::cast_precision_loss)]
    let amount = match entry.amount_base_minor {
        UNPRICED => "no rate".to_owned(),
        amount => money(amount as f64, policy),
    };
    let mut line = format!(
        "{}  {:>14}  {}  {}  score {:>4}  {}",
        time_words(entry.time_ms),
        amount,
        entry.country.as_str(),
        if entry.approved { "approved" } else { "declined" },
        entry.outcome.score,
        decision_word(entry.outcome.decision),
    );
    if let Some((verdict, since_ms)) = entry.label {
        let verdict = match verdict {
            Verdict::Fraud => "fraud",
            Verdict::Cleared => "cleared",
        };
        let _ = write!(line, "  [{verdict}, known since {}]", time_words(since_ms));
    }
    line
}

fn decision_word(decision: Decision) -> &'static str {
    match decision {
        Decision::Pass => "pass",
        Decision::Review => "review",
        Decision::Alert => "alert",
    }
}

/// Base minor units as an amount of the policy's base currency.
fn money(minor: f64, policy: &Policy) -> String {
    let digits = policy.currency.base.minor_digits();
    let units = minor / libm::pow(10.0, f64::from(digits));
    let places = if digits == 0 { 0 } else { 2 };
    format!("{units:.places$} {}", policy.currency.base.as_str())
}

/// A moment in UTC, to the second.
fn time_words(time_ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(time_ms) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        Err(_) => format!("{time_ms} ms"),
    }
}

#[cfg(test)]
mod tests {
    use tidemark_domain::contract;
    use tidemark_domain::event::Event;
    use tidemark_domain::fold;
    use tidemark_domain::model::ProfileInput;

    use super::*;
    use lab::simulate::{SimConfig, SimKind, generate};

    const NOW_MS: i64 = 1_760_000_000_000;

    /// The card of the first simulated takeover, and the last event of that.
    fn struck_card(policy: &Policy) -> (String, String, History) {
        let mut config = SimConfig::new(1, 1_500, 40, NOW_MS, policy).clean();
        config.fraud_card_share = 1.0;
        let mut events = Vec::new();
        for record in generate(&config) {
            let decoded = contract::decode(&record.payload, record.sent_at_ms, &policy.bounds).unwrap();
            if let Event::Transaction(tx) = decoded.event {
                events.push((record.kind, tx));
            }
        }
        let struck = events
            .iter()
            .rev()
            .find(|(kind, _)| *kind == SimKind::Takeover)
            .map(|(_, tx)| tx)
            .unwrap();
        let mut state = History::default();
        for (_, tx) in events.iter().filter(|(_, tx)| tx.card_id == struck.card_id) {
            fold::fold_transaction(&mut state, tx, ProfileInput::Absent, policy);
        }
        (
            struck.card_id.as_str().to_owned(),
            struck.event_id.as_str().to_owned(),
            state,
        )
    }

    fn newest(event_id: &str) -> Sought<'_> {
        Sought { event_id, at_ms: None }
    }

    #[test]
    fn of_several_events_of_one_id_the_time_tells_which() {
        let policy = Policy::default_policy();
        let (_, event_id, state) = struck_card(&policy);
        let (first, others) = find_event(&state, newest(&event_id)).unwrap();
        assert!(others.is_empty(), "{others:?}");
        let mut entries = state.entries().to_vec();
        let last_ms = entries.last().unwrap().time_ms;
        let mut again = first.clone();
        again.time_ms = last_ms + 5;
        again.seq = state.next_seq();
        entries.push(again);
        let reused = History::from_parts(entries, state.next_seq() + 1, None, None).unwrap();
        let at = |at_ms| {
            let sought = Sought {
                event_id: &event_id,
                at_ms,
            };
            find_event(&reused, sought).map(|(entry, others)| (entry.time_ms, others))
        };
        assert_eq!(at(None), Some((last_ms + 5, vec![first.time_ms])));
        assert_eq!(at(Some(first.time_ms)), Some((first.time_ms, vec![last_ms + 5])));
        assert_eq!(at(Some(last_ms + 6)), None);
    }

    #[test]
    fn a_card_and_its_event_are_told_in_words() {
        let policy = Policy::default_policy();
        let (card_id, event_id, state) = struck_card(&policy);
        let view = CardView {
            card_id: &card_id,
            state: &state,
            version: 12,
            state_bytes: 345,
            profile: None,
            policy: &policy,
        };
        let card = render_card(&view);
        let kept = state.entries().len();
        assert!(
            card.contains(&format!("{kept} events kept in 345 bytes, written 12 times")),
            "{card}"
        );
        // The longest window holds everything that the simulation sent.
        let month = card.lines().find(|line| line.trim_start().starts_with("30d")).unwrap();
        assert_eq!(
            month.split_whitespace().nth(1),
            Some(kept.to_string().as_str()),
            "{card}"
        );
        let event = render_event(&view, newest(&event_id)).unwrap();
        let entry = state
            .entries()
            .iter()
            .find(|entry| entry.mark().has_id(&EventId::new(&event_id).unwrap()))
            .unwrap();
        assert!(
            event.contains(&format!("score {} of 1000", entry.outcome.score)),
            "{event}"
        );
        for reason in &entry.outcome.reasons {
            assert!(event.contains(&reason.key.sentence()), "{event}");
        }
        assert!(event.contains("missing: the card had no profile"), "{event}");
        assert!(render_event(&view, newest("no such event")).is_none());
    }

    #[test]
    fn a_card_without_events_is_told_too() {
        let (policy, state) = (Policy::default_policy(), History::default());
        let view = CardView {
            card_id: "c",
            state: &state,
            version: 0,
            state_bytes: 0,
            profile: None,
            policy: &policy,
        };
        assert!(render_card(&view).contains("no events"));
    }
}
