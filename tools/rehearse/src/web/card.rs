//! A card's timeline as the page draws it. Pure.

use operate::explain::Stored;
use serde::Serialize;
use tidemark_domain::catalogue::{FeatureKey, FeatureKind};
use tidemark_domain::event::Verdict;
use tidemark_domain::history::{Entry, UNPRICED};
use tidemark_domain::policy::Policy;

const MS_PER_MINUTE: i64 = 60_000;

/// A card as the page draws it.
#[derive(Debug, Serialize)]
pub struct Timeline {
    card_id: String,
    version: u64,
    state_bytes: usize,
    profile_version: Option<u64>,
    accepted: u64,
    currency: String,
    /// Decimal digits of the currency's minor unit.
    minor_digits: u32,
    review: u16,
    alert: u16,
    windows: Vec<String>,
    events: Vec<Event>,
}

#[derive(Debug, Serialize)]
struct Event {
    time_ms: i64,
    seq: u64,
    /// Minor units of the base currency; `null` when there was no rate for the event's own.
    amount_minor: Option<u64>,
    country: String,
    approved: bool,
    score: u16,
    decision: &'static str,
    tier: &'static str,
    policy_version: u32,
    reasons: Vec<ReasonView>,
    label: Option<&'static str>,
    /// For each window: events in it up to this one, and the sum of their amounts, base minor units.
    in_windows: Vec<(u64, u64)>,
}

#[derive(Debug, Serialize)]
struct ReasonView {
    words: String,
    share_pct: u8,
}

/// Events of a card that are shown at most, the newest.
const EVENTS_SHOWN_MAX: usize = 400;

/// The newest events that the card keeps, with windows as of each.
pub fn timeline(stored: &Stored, policy: &Policy) -> Timeline {
    let entries = stored.state.all_entries();
    let newest = &entries[entries.len().saturating_sub(EVENTS_SHOWN_MAX)..];
    let base = policy.currency.base;
    Timeline {
        card_id: stored.card.as_str().to_owned(),
        version: stored.version,
        state_bytes: stored.state_bytes,
        profile_version: stored.profile.as_ref().map(|profile| profile.version),
        accepted: stored.state.next_seq(),
        currency: base.as_str().to_owned(),
        minor_digits: base.minor_digits(),
        review: policy.thresholds.review,
        alert: policy.thresholds.alert,
        windows: policy.windows().iter().map(|minutes| label(*minutes)).collect(),
        events: newest.iter().map(|entry| event(entry, &entries, policy)).collect(),
    }
}

fn event(entry: &Entry, entries: &[&Entry], policy: &Policy) -> Event {
    let reasons = entry.outcome.reasons.iter().map(|reason| ReasonView {
        words: reason.key.sentence(),
        share_pct: reason.share_pct,
    });
    Event {
        time_ms: entry.time_ms,
        seq: entry.seq,
        amount_minor: (entry.amount_base_minor != UNPRICED).then_some(entry.amount_base_minor),
        country: entry.country.as_str().to_owned(),
        approved: entry.approved,
        score: entry.outcome.score,
        decision: entry.outcome.decision.as_str(),
        tier: entry.outcome.tier.as_str(),
        policy_version: entry.outcome.policy_version,
        reasons: reasons.collect(),
        label: entry.label.map(|(verdict, _)| match verdict {
            Verdict::Fraud => "fraud",
            Verdict::Cleared => "cleared",
        }),
        in_windows: policy
            .windows()
            .iter()
            .map(|minutes| in_window(entry, entries, i64::from(*minutes) * MS_PER_MINUTE))
            .collect(),
    }
}

/// Events of (t − w, t], and the sum of their amounts.
fn in_window(entry: &Entry, entries: &[&Entry], window_ms: i64) -> (u64, u64) {
    let inside = entries
        .iter()
        .filter(|other| other.time_ms <= entry.time_ms && other.time_ms > entry.time_ms - window_ms);
    inside.fold((0, 0), |(count, sum), other| {
        (count + 1, u64::saturating_add(sum, other.amount_base_minor))
    })
}

fn label(minutes: u32) -> String {
    FeatureKey::new(FeatureKind::Count, minutes)
        .window_label()
        .unwrap_or_default()
}
