//! An outcome as JSON. The only place where its bytes are made, always from what the state keeps: so the outcome of a
//! duplicate is the first one's, byte for byte (I3).

use std::io::Write as _;

use crate::catalogue::{FeatureKey, FeatureValue};
use crate::history::Entry;
use crate::id::{CardId, EventId};
use crate::outcome::{KeyRead, ListRead, Missing, OUTCOME_VERSION, REASONS_MAX, RuleEnd, RuleHit, StoredOutcome};

/// What an outcome without features takes at most times, bytes; the buffer's first size.
const BYTES_TYPICAL: usize = 512;
const HEX: &[u8; 16] = b"0123456789abcdef";

/// The outcome of an entry, as one JSON object without line breaks. Fields come in the order of the schema.
#[must_use]
pub fn render_json(card_id: &CardId, event_id: &EventId, entry: &Entry) -> Vec<u8> {
    let outcome = &entry.outcome;
    let mut out = Json(Vec::with_capacity(BYTES_TYPICAL));
    out.raw(r#"{"schema":"outcome","version":"#)
        .whole(u64::from(OUTCOME_VERSION));
    out.raw(r#","event_id":"#).text(event_id.as_str());
    out.raw(r#","card_id":"#).text(card_id.as_str());
    out.raw(r#","occurred_at_ms":"#).instant(entry.time_ms);
    out.raw(r#","score":"#).whole(u64::from(outcome.score));
    out.raw(r#","decision":""#).raw(outcome.decision.as_str());
    out.raw(r#"","reasons":["#).reasons(outcome);
    out.raw(r#"],"policy_version":"#)
        .whole(u64::from(outcome.policy_version));
    if let Some(model) = outcome.model {
        out.raw(r#","model":""#).display(model).raw("\"");
    }
    out.raw(r#","profile_version":"#);
    match outcome.profile_version {
        Some(version) => out.whole(version),
        None => out.raw("null"),
    };
    out.raw(r#","tier":""#).raw(outcome.tier.as_str());
    out.raw(r#"","state_version":"#).whole(entry.seq);
    if outcome.keys.iter().any(|key| key.version.is_some()) {
        out.raw(r#","key_versions":{"#).key_versions(&outcome.keys).raw("}");
    }
    if outcome.lists.all().iter().any(|list| list.version.is_some()) {
        out.raw(r#","list_versions":{"#)
            .list_versions(outcome.lists.all())
            .raw("}");
    }
    out.raw(r#","missing":["#)
        .missing(outcome.missing, &outcome.keys, outcome.lists.all())
        .raw("]");
    if !outcome.rules.is_empty() {
        out.raw(r#","rules":{"#).rules(&outcome.rules).raw("}");
    }
    if !outcome.approximate.is_empty() {
        out.raw(r#","approximate":{"#).errors(&outcome.approximate).raw("}");
    }
    if !outcome.features.is_empty() {
        out.raw(r#","features":{"#).features(&outcome.features).raw("}");
    }
    out.raw("}");
    out.0
}

struct Json(Vec<u8>);

impl Json {
    fn raw(&mut self, text: &str) -> &mut Self {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    fn whole(&mut self, mut number: u64) -> &mut Self {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            // A digit fits a byte.
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.0.extend_from_slice(&digits[at..]);
        self
    }

    fn instant(&mut self, time_ms: i64) -> &mut Self {
        if time_ms < 0 {
            self.raw("-");
        }
        self.whole(time_ms.unsigned_abs())
    }

    /// A string in quotes. Quotes, backslashes and control characters are escaped, all else stays as it is.
    fn text(&mut self, text: &str) -> &mut Self {
        self.0.push(b'"');
        let mut rest = text.as_bytes();
        while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)) {
            let byte = rest[at];
            self.0.extend_from_slice(&rest[..at]);
            match byte {
                b'"' | b'\\' => self.0.extend_from_slice(&[b'\\', byte]),
                _ => {
                    self.0.extend_from_slice(b"\\u00");
                    self.0
                        .extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
                }
            }
            rest = &rest[at + 1..];
        }
        self.0.extend_from_slice(rest);
        self.0.push(b'"');
        self
    }

    /// An override decides alone, then the first rule that held, whatever the shares of the model's reasons that follow.
    fn reasons(&mut self, outcome: &StoredOutcome) -> &mut Self {
        let mut told = 0;
        if let Some(action) = outcome.override_action() {
            self.raw(r#"{"code":""#)
                .raw(action.reason_code())
                .raw(r#"","share_pct":100}"#);
            told += 1;
        }
        let held = outcome.rules.iter().filter(|hit| hit.held().is_some());
        for hit in held.take(REASONS_MAX - told) {
            self.comma(told)
                .raw(r#"{"code":""#)
                .raw(RuleHit::REASON_CODE)
                .raw(r#"","rule":""#)
                .raw(hit.says.name())
                .raw(r#"","reason":"#)
                .text(hit.says.reason())
                .raw(r#","share_pct":100}"#);
            told += 1;
        }
        for (index, reason) in outcome.reasons.iter().take(REASONS_MAX - told).enumerate() {
            self.comma(told + index)
                .raw(r#"{"code":""#)
                .raw(reason.key.kind.reason_code());
            if let Some(key) = reason.key.key() {
                self.raw(r#"","key":""#).raw(key.as_str());
            }
            if let Some(window) = reason.key.window_label() {
                self.raw(r#"","window":""#).raw(&window);
            }
            self.raw(r#"","share_pct":"#)
                .whole(u64::from(reason.share_pct))
                .raw("}");
        }
        self
    }

    /// Names of inputs, then of keys and lists that could not be read, as in `key_unavailable:terminal`.
    fn missing(&mut self, missing: Missing, keys: &[KeyRead], lists: &[ListRead]) -> &mut Self {
        let names = Missing::NAMES.iter().filter(|(bit, _)| missing.0 & bit != 0);
        let mut index = 0;
        for (_, name) in names {
            self.comma(index).raw("\"").raw(name).raw("\"");
            index += 1;
        }
        let keys = keys.iter().filter(|key| key.version.is_none());
        let keys = keys.map(|key| (Missing::KEY_UNAVAILABLE, key.name));
        let lists = lists.iter().filter(|list| list.version.is_none());
        let lists = lists.map(|list| (Missing::LIST_UNAVAILABLE, list.name));
        for (what, name) in keys.chain(lists) {
            self.comma(index).raw("\"").raw(what).raw(name.as_str()).raw("\"");
            index += 1;
        }
        self
    }

    /// The names of the rules that held, that only watched, and that had no result, as far as there are any.
    fn rules(&mut self, hits: &[RuleHit]) -> &mut Self {
        let mut lists = 0;
        for (index, list) in RuleEnd::LISTS.into_iter().enumerate() {
            let mut names = 0;
            for hit in hits.iter().filter(|hit| hit.end.list() == index) {
                if names == 0 {
                    self.comma(lists).raw("\"").raw(list).raw("\":[");
                    lists += 1;
                }
                self.comma(names).raw("\"").raw(hit.says.name()).raw("\"");
                names += 1;
            }
            if names > 0 {
                self.raw("]");
            }
        }
        self
    }

    /// Of each key that said something, how many of its labels were known.
    fn key_versions(&mut self, keys: &[KeyRead]) -> &mut Self {
        let read = keys
            .iter()
            .filter_map(|key| key.version.map(|version| (key.name, version)));
        for (index, (name, version)) in read.enumerate() {
            self.comma(index).raw("\"").raw(name.as_str()).raw("\":").whole(version);
        }
        self
    }

    /// Of each list that was read, which content it had.
    fn list_versions(&mut self, lists: &[ListRead]) -> &mut Self {
        let read = lists
            .iter()
            .filter_map(|list| list.version.map(|version| (list.name, version)));
        for (index, (name, version)) in read.enumerate() {
            self.comma(index)
                .raw("\"")
                .raw(name.as_str())
                .raw("\":\"")
                .display(version)
                .raw("\"");
        }
        self
    }

    fn features(&mut self, features: &[FeatureValue]) -> &mut Self {
        for (index, (key, value)) in features.iter().enumerate() {
            self.comma(index).raw("\"").display(*key).raw("\":").float(*value);
        }
        self
    }

    fn errors(&mut self, errors: &[(FeatureKey, f64)]) -> &mut Self {
        for (index, (key, error)) in errors.iter().enumerate() {
            self.comma(index).raw("\"").display(*key).raw("\":").float(Some(*error));
        }
        self
    }

    fn comma(&mut self, index: usize) -> &mut Self {
        if index > 0 { self.raw(",") } else { self }
    }

    fn display(&mut self, what: impl std::fmt::Display) -> &mut Self {
        // Writing to a vector can't fail.
        let _ = write!(self.0, "{what}");
        self
    }

    /// The shortest decimal that reads back as the same bits; `null` for no number.
    fn float(&mut self, value: Option<f64>) -> &mut Self {
        match value.and_then(serde_json::Number::from_f64) {
            Some(number) => {
                let _ = write!(self.0, "{number}");
                self
            }
            None => self.raw("null"),
        }
    }
}
