//! An outcome as it came out of the stream of scores, in the domain's words.

use serde::{Deserialize, Deserializer};
use tidemark_domain::id::EventKey;
use tidemark_domain::outcome::{Decision, Missing, Tier};

/// An outcome that was sent, as far as people are told of it.
#[derive(Clone, Debug, Deserialize)]
pub struct SentOutcome {
    /// The event.
    pub event_id: String,
    /// Its card.
    pub card_id: String,
    /// Event time, ms since 1970-01-01T00:00:00Z.
    pub occurred_at_ms: i64,
    /// 0 to 1000.
    pub score: u16,
    /// What to do.
    pub decision: Decision,
    /// The reasons that it gives for its score.
    pub reasons: Vec<SentReason>,
    /// Which inputs served.
    pub tier: Tier,
    /// Events of the card accepted before it.
    pub state_version: u64,
    /// Missing inputs.
    #[serde(deserialize_with = "missing")]
    pub missing: Missing,
}

/// A reason of an outcome: a feature's code, that of an override, or that of a rule.
#[derive(Clone, Debug, Deserialize)]
pub struct SentReason {
    /// What is unusual.
    pub code: String,
    /// The rule, where the reason is one.
    #[serde(default)]
    pub rule: Option<String>,
    /// The rule's own reason.
    #[serde(default)]
    pub reason: Option<String>,
    /// Within which window.
    #[serde(default)]
    pub window: Option<String>,
    /// Its share of the surprise, percent.
    pub share_pct: u8,
}

impl SentOutcome {
    /// What makes its event one event; `None` where its ids are none.
    #[must_use]
    pub fn key(&self) -> Option<EventKey> {
        EventKey::new(&self.card_id, &self.event_id, self.occurred_at_ms)
    }

    /// Whether the card had no profile.
    #[must_use]
    pub const fn is_without_profile(&self) -> bool {
        self.missing.0 & Missing::PROFILE_ABSENT != 0
    }
}

/// The bits of the names that are known.
fn missing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Missing, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    let bits = Missing::NAMES
        .into_iter()
        .filter(|(_, name)| names.iter().any(|known| known == name))
        .map(|(bit, _)| bit);
    Ok(Missing(bits.fold(0, |all, bit| all | bit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_read_in_the_words_of_the_domain() {
        let text = r#"{"schema":"outcome","version":1,"event_id":"e","card_id":"c","occurred_at_ms":5,"score":900,
            "decision":"alert","reasons":[{"code":"count_high","window":"1h","share_pct":60}],"policy_version":1,
            "profile_version":null,"tier":"no_profile","state_version":3,"missing":["profile_absent","of_tomorrow"]}"#;
        let outcome: SentOutcome = serde_json::from_str(text).unwrap();
        assert_eq!((outcome.decision, outcome.tier), (Decision::Alert, Tier::NoProfile));
        assert_eq!(outcome.missing, Missing(Missing::PROFILE_ABSENT));
        assert!(outcome.is_without_profile());
        assert_eq!(outcome.reasons[0].window.as_deref(), Some("1h"));
        assert_eq!(outcome.key(), EventKey::new("c", "e", 5));
    }
}
