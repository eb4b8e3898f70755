//! What a line says about itself at a glance: whose it is.
//!
//! A glance judges nothing: the contract does that, in the engine. It is right about every line that the contract accepts,
//! and may say anything about the others.

use std::borrow::Cow;

use memchr::memchr;
use memchr::memmem::{self, Finder};
use serde::Deserialize;
use tidemark_domain::id::fingerprint64;

/// What a line calls itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A transaction.
    Transaction,
    /// A profile.
    Profile,
    /// A label.
    Label,
    /// Nothing that the contract takes.
    #[serde(other)]
    Unknown,
}

impl Kind {
    /// What a line calls itself.
    #[must_use]
    pub fn of(line: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Schema {
            schema: Kind,
        }
        serde_json::from_slice::<Schema>(line).map_or(Self::Unknown, |line| line.schema)
    }

    /// Whether a line calls itself a label. Most lines have neither the word nor an escape that could spell it, and need not be
    /// read as JSON.
    #[must_use]
    pub fn is_label(line: &[u8]) -> bool {
        let may_be = memmem::find(line, b"\"label\"").is_some() || memchr(b'\\', line).is_some();
        may_be && Self::of(line) == Self::Label
    }
}

/// Looks at lines.
pub struct Glances {
    card_id: Finder<'static>,
}

impl Default for Glances {
    fn default() -> Self {
        Self {
            card_id: Finder::new("\"card_id\""),
        }
    }
}

impl Glances {
    /// A fingerprint of a line's card: all lines of a card have the same.
    #[must_use]
    pub fn card(&self, line: &[u8]) -> u64 {
        self.plain(line).unwrap_or_else(|| by_json(line))
    }

    /// Most lines have the name once, and nothing in them is spelled by an escape: what follows the name is its value then.
    fn plain(&self, line: &[u8]) -> Option<u64> {
        if memchr(b'\\', line).is_some() {
            return None;
        }
        let after = &line[self.card_id.find(line)? + self.card_id.needle().len()..];
        if self.card_id.find(after).is_some() {
            return None;
        }
        let value = after.trim_ascii_start().strip_prefix(b":")?;
        let card = value.trim_ascii_start().strip_prefix(b"\"")?;
        let card = &card[..memchr(b'"', card)?];
        Some(fingerprint64(std::str::from_utf8(card).ok()?))
    }
}

/// As any reader of JSON sees a line.
fn by_json(line: &[u8]) -> u64 {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        card_id: Cow<'a, str>,
    }
    serde_json::from_slice::<Named<'_>>(line).map_or(0, |named| fingerprint64(&named.card_id))
}

#[cfg(test)]
mod tests {
    use lab::simulate::{SimConfig, generate};
    use tidemark_domain::contract;
    use tidemark_domain::event::Event;
    use tidemark_domain::policy::Policy;

    use super::*;

    fn card(line: &str) -> u64 {
        Glances::default().card(line.as_bytes())
    }

    #[test]
    fn a_card_is_the_same_in_every_spelling_and_whatever_else_a_line_has() {
        let plain = card(r#"{"schema":"transaction", "card_id" : "ab", "occurred_at_ms": 5 }"#);
        assert_eq!(plain, fingerprint64("ab"));
        for line in [
            r#"{"x":[{"card_id":1}],"card_id":"ab","occurred_at_ms":5}"#,
            r#"{"x":{"occurred_at_ms":7},"card_id":"ab","occurred_at_ms":5}"#,
            r#"{"card_\u0069d":"\u0061b","occurred_at_ms":5}"#,
            r#"{"schema":"label","card_id":"ab","occurred_at_ms":"5"}"#,
            r#"{"schema":"label","card_id":"ab","occurred_at_ms":[1]}"#,
            r#"{"schema":"label","card_id":"ab"}"#,
        ] {
            assert_eq!(card(line), plain, "{line}");
        }
    }

    #[test]
    fn a_glance_is_right_about_every_line_that_the_contract_accepts() {
        let policy = Policy::default_policy();
        let config = SimConfig::new(11, 6_000, 100, 1_760_000_000_000, &policy);
        let glances = Glances::default();
        for record in generate(&config) {
            let Ok(decoded) = contract::decode(&record.payload, record.sent_at_ms, &policy.bounds) else {
                continue;
            };
            let card = glances.card(&record.payload);
            assert_eq!(card, fingerprint64(decoded.event.card_id().as_str()));
            let is_transaction = matches!(decoded.event, Event::Transaction(_));
            assert_eq!(Kind::of(&record.payload) == Kind::Transaction, is_transaction);
        }
    }

    #[test]
    fn a_line_calls_itself_by_its_schema() {
        assert_eq!(Kind::of(br#"{"schema":"label","card_id":7}"#), Kind::Label);
        assert!(Kind::is_label(br#"{"schema":"label"}"#) && Kind::is_label(br#"{"schema":"l\u0061bel"}"#));
        assert!(!Kind::is_label(br#"{"schema":"profile","merchant_id":"label"}"#));
        for line in [
            "",
            "{",
            "5",
            r#"{"card_id":"a"}"#,
            r#"{"schema":"refund"}"#,
            r#"{"schema":1}"#,
        ] {
            assert_eq!(Kind::of(line.as_bytes()), Kind::Unknown, "{line}");
        }
    }
}
