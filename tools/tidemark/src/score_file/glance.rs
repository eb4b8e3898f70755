//! What a line says about itself at a glance: whose it is, and when it was.
//!
//! A glance judges nothing: the contract does that, in the engine. It is right about every line that the contract accepts,
//! and may say anything about the others.

use std::borrow::Cow;

use memchr::memchr;
use memchr::memmem::Finder;
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
    pub(crate) fn of(line: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Schema {
            schema: Kind,
        }
        serde_json::from_slice::<Schema>(line).map_or(Self::Unknown, |line| line.schema)
    }
}

/// A line at a glance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Glance {
    /// A fingerprint of the card: all lines of a card have the same.
    pub(crate) card: u64,
    /// When a transaction happened, ms since 1970-01-01T00:00:00Z.
    pub(crate) occurred_at_ms: Option<i64>,
}

/// Looks at lines.
pub(crate) struct Glances {
    card_id: Finder<'static>,
    occurred_at_ms: Finder<'static>,
}

impl Default for Glances {
    fn default() -> Self {
        Self {
            card_id: Finder::new("\"card_id\""),
            occurred_at_ms: Finder::new("\"occurred_at_ms\""),
        }
    }
}

impl Glances {
    /// Looks at a line.
    pub(crate) fn at(&self, line: &[u8]) -> Glance {
        self.plain(line).unwrap_or_else(|| by_json(line))
    }

    /// Most lines have each name once, and nothing in them is spelled by an escape: what follows a name is its value then.
    fn plain(&self, line: &[u8]) -> Option<Glance> {
        if memchr(b'\\', line).is_some() {
            return None;
        }
        let card = sole(&self.card_id, line)?.strip_prefix(b"\"")?;
        let card = &card[..memchr(b'"', card)?];
        let occurred_at_ms = match self.occurred_at_ms.find(line) {
            Some(_) => Some(whole(sole(&self.occurred_at_ms, line)?)?),
            None => None,
        };
        Some(Glance {
            card: fingerprint64(std::str::from_utf8(card).ok()?),
            occurred_at_ms,
        })
    }
}

/// What follows a name that stands in a line just once.
fn sole<'a>(name: &Finder<'_>, line: &'a [u8]) -> Option<&'a [u8]> {
    let after = &line[name.find(line)? + name.needle().len()..];
    if name.find(after).is_some() {
        return None;
    }
    after
        .trim_ascii_start()
        .strip_prefix(b":")
        .map(<[u8]>::trim_ascii_start)
}

/// The whole number that a text begins with.
fn whole(text: &[u8]) -> Option<i64> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit())?;
    if matches!(text[end], b'.' | b'e' | b'E') {
        return None;
    }
    std::str::from_utf8(&text[..end]).ok()?.parse().ok()
}

/// As any reader of JSON sees a line.
fn by_json(line: &[u8]) -> Glance {
    #[derive(Deserialize)]
    struct Timed<'a> {
        #[serde(borrow)]
        card_id: Cow<'a, str>,
        #[serde(default)]
        occurred_at_ms: Option<i64>,
    }
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        card_id: Cow<'a, str>,
    }
    if let Ok(timed) = serde_json::from_slice::<Timed<'_>>(line) {
        return Glance {
            card: fingerprint64(&timed.card_id),
            occurred_at_ms: timed.occurred_at_ms,
        };
    }
    // A profile or a label may have a member of that name that is no time: the contract does not know it there.
    serde_json::from_slice::<Named<'_>>(line).map_or_else(
        |_| Glance::default(),
        |named| Glance {
            card: fingerprint64(&named.card_id),
            occurred_at_ms: None,
        },
    )
}

#[cfg(test)]
mod tests {
    use lab::simulate::{SimConfig, generate};
    use tidemark_domain::contract;
    use tidemark_domain::event::Event;
    use tidemark_domain::policy::Policy;

    use super::*;

    fn glance(line: &str) -> Glance {
        Glances::default().at(line.as_bytes())
    }

    #[test]
    fn a_card_is_the_same_in_every_spelling_and_whatever_else_a_line_has() {
        let plain = glance(r#"{"schema":"transaction", "card_id" : "ab", "occurred_at_ms": 5 }"#);
        assert_eq!((plain.card, plain.occurred_at_ms), (fingerprint64("ab"), Some(5)));
        for line in [
            r#"{"x":[{"card_id":1}],"card_id":"ab","occurred_at_ms":5}"#,
            r#"{"x":{"occurred_at_ms":7},"card_id":"ab","occurred_at_ms":5}"#,
            r#"{"card_\u0069d":"\u0061b","occurred_at_ms":5}"#,
        ] {
            assert_eq!(glance(line), plain, "{line}");
        }
        for line in [
            r#"{"schema":"label","card_id":"ab","occurred_at_ms":"5"}"#,
            r#"{"schema":"label","card_id":"ab","occurred_at_ms":[1]}"#,
            r#"{"schema":"label","card_id":"ab"}"#,
        ] {
            assert_eq!(glance(line).card, plain.card, "{line}");
        }
    }

    #[test]
    fn a_glance_is_right_about_every_line_that_the_contract_accepts() {
        let policy = Policy::default_policy();
        let config = SimConfig::new(11, 6_000, 100, 1_760_000_000_000, &policy);
        let glances = Glances::default();
        for record in generate(&config) {
            let glance = glances.at(&record.payload);
            let Ok(decoded) = contract::decode(&record.payload, record.sent_at_ms, &policy.bounds) else {
                continue;
            };
            assert_eq!(glance.card, fingerprint64(decoded.event.card_id().as_str()));
            assert_eq!(
                Kind::of(&record.payload) == Kind::Transaction,
                glance.occurred_at_ms.is_some()
            );
            if let Event::Transaction(tx) = &decoded.event {
                assert_eq!(glance.occurred_at_ms, Some(tx.occurred_at_ms));
            }
        }
    }

    #[test]
    fn a_line_calls_itself_by_its_schema() {
        assert_eq!(Kind::of(br#"{"schema":"label","card_id":7}"#), Kind::Label);
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
