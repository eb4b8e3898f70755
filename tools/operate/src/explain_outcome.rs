//! An outcome and its reasons in words.

use std::fmt::Write as _;

use terminal::escape::shown;
use tidemark_domain::catalogue::{FeatureKey, FeatureKind};
use tidemark_domain::outcome::{Decision, Missing, RuleEnd, StoredOutcome, Tier};

use crate::outcome::SentReason;

/// A sent outcome's reason for a person: words, window, share.
#[must_use]
pub fn reason_in_words(reason: &SentReason) -> String {
    if let (Some(rule), Some(words)) = (&reason.rule, &reason.reason) {
        return format!("{} (rule {})", shown(words), shown(rule));
    }
    let kind = FeatureKind::ALL
        .into_iter()
        .find(|kind| kind.reason_code() == reason.code);
    let words = kind.map_or_else(|| reason.code.clone(), |kind| FeatureKey::new(kind, 0).sentence());
    let within = reason
        .window
        .as_ref()
        .map_or_else(String::new, |window| format!(" within {}", shown(window)));
    let words = shown(&words);
    format!("{words}{within} ({} %)", reason.share_pct)
}

/// Why an outcome is what it is.
#[must_use]
pub fn render_outcome(stored: &StoredOutcome) -> String {
    let mut text = String::new();
    outcome(&mut text, stored);
    text
}

fn outcome(text: &mut String, stored: &StoredOutcome) {
    let _ = writeln!(
        text,
        "score {} of 1000: {}",
        stored.score,
        decision_words(stored.decision)
    );
    if let Some(action) = stored.override_action() {
        let _ = writeln!(text, "  100 %  somebody decided for this card: {}", action.as_str());
    }
    rules(text, stored);
    if stored.reasons.is_empty() && !stored.rules.iter().any(|hit| hit.held().is_some()) {
        text.push_str("  nothing stands out\n");
    }
    for reason in &stored.reasons {
        let _ = writeln!(text, "  {:>3} %  {}", reason.share_pct, reason.key.sentence());
    }
    let profile = stored
        .profile_version
        .map_or_else(|| "no profile".to_owned(), |version| format!("profile {version}"));
    let _ = writeln!(
        text,
        "  from policy {} and {profile}, {}",
        stored.policy_version,
        tier_words(stored.tier)
    );
    for (bit, name) in Missing::NAMES {
        if stored.missing.0 & bit != 0 {
            let _ = writeln!(text, "  missing: {}", missing_words(bit, name));
        }
    }
    for list in stored.lists.all() {
        let _ = match list.version {
            Some(version) => writeln!(text, "  with the list {} as of version {version}", list.name),
            None => writeln!(text, "  missing: the list {} could not be read", list.name),
        };
    }
}

/// What the rules said: those that held, the one that decides first, then those that only watch or have no result.
fn rules(text: &mut String, stored: &StoredOutcome) {
    let held = stored.rules.iter().filter(|hit| hit.held().is_some());
    for (index, hit) in held.enumerate() {
        let place = if index == 0 { "" } else { ", after the first" };
        let (name, reason, then) = (hit.says.name(), shown(hit.says.reason()), hit.held());
        let then = then.map_or("", Decision::as_str);
        let _ = writeln!(text, "  100 %  {reason} (rule {name} says {then}{place})");
    }
    for hit in &stored.rules {
        let (name, reason) = (hit.says.name(), shown(hit.says.reason()));
        let _ = match hit.end {
            RuleEnd::Held(_) => Ok(()),
            RuleEnd::Observed(then) => writeln!(
                text,
                "  watching: rule {name} held and would say {} ({reason})",
                then.as_str()
            ),
            RuleEnd::Undefined => writeln!(
                text,
                "  no result: rule {name} divides by zero here, or comes to a number that is out of range; it did not hold"
            ),
        };
    }
}

fn decision_words(decision: Decision) -> &'static str {
    match decision {
        Decision::Pass => "pass, nothing unusual",
        Decision::Review => "review, a person should look",
        Decision::Alert => "alert, act now",
    }
}

fn tier_words(tier: Tier) -> &'static str {
    match tier {
        Tier::Full => "every input at hand",
        Tier::NoProfile => "the profile out of reach",
        Tier::HistoryOnly => "the history only",
        Tier::Neutral => "too little at hand: a neutral score",
        Tier::LowRisk => "low risk by the policy: the history and a part of the features",
        Tier::NoKeys => "a key's labels out of reach",
        Tier::NoLists => "a list out of reach",
    }
}

fn missing_words(bit: u8, name: &'static str) -> &'static str {
    match bit {
        Missing::PROFILE_ABSENT => "the card had no profile",
        Missing::PROFILE_UNAVAILABLE => "the profile was not read",
        Missing::PROFILE_STALE => "the profile was older than the policy allows",
        Missing::HISTORY_TRUNCATED => "the card's limit had cut history that a window needed",
        Missing::CURRENCY_RATE => {
            "the policy has no rate for the currency of this event, or of one before it: its amount is not known and counts in no sum"
        }
        Missing::OVERRIDE_UNAVAILABLE => "the override could not be read",
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tidemark_domain::outcome::{RuleHit, RuleSays};

    use super::*;

    #[test]
    fn rules_are_told_with_what_they_say_and_those_that_only_watch_behind() {
        let hit = |name: &str, end| RuleHit {
            says: Arc::new(RuleSays::new(name, &format!("words of {name}")).unwrap()),
            end,
        };
        let stored = StoredOutcome {
            score: 12,
            decision: Decision::Alert,
            tier: Tier::Full,
            missing: Missing(0),
            reasons: Vec::new(),
            policy_version: 3,
            profile_version: None,
            features: Vec::new(),
            approximate: Vec::new(),
            explained: false,
            keys: Vec::new(),
            model: None,
            rules: vec![
                hit("watched", RuleEnd::Observed(Decision::Review)),
                hit("first", RuleEnd::Held(Decision::Alert)),
                hit("broken", RuleEnd::Undefined),
                hit("second", RuleEnd::Held(Decision::Pass)),
            ],
            lists: tidemark_domain::outcome::ListReads::NONE,
        };
        let text = render_outcome(&stored);
        for line in [
            "score 12 of 1000: alert, act now",
            "  100 %  words of first (rule first says alert)",
            "  100 %  words of second (rule second says pass, after the first)",
            "  watching: rule watched held and would say review (words of watched)",
            "  no result: rule broken divides by zero here",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert!(!text.contains("nothing stands out"), "{text}");
    }

    #[test]
    fn reasons_are_told_in_words() {
        let reason = SentReason {
            code: "count_high".into(),
            rule: None,
            reason: None,
            window: Some("1h".into()),
            share_pct: 40,
        };
        assert_eq!(reason_in_words(&reason), "many transactions within 1h (40 %)");
        let unknown = SentReason {
            code: "x".into(),
            rule: None,
            reason: None,
            window: None,
            share_pct: 1,
        };
        assert_eq!(reason_in_words(&unknown), "x (1 %)");
        let rule = SentReason {
            code: "rule".into(),
            rule: Some("young_cards".into()),
            reason: Some("gift cards on a young card".into()),
            window: None,
            share_pct: 100,
        };
        assert_eq!(reason_in_words(&rule), "gift cards on a young card (rule young_cards)");
    }
}
