//! `[[rules]]`: what an analyst wrote, beside what the score says.

use std::sync::Arc;

use toml::Spanned;
use toml::de::DeValue;

use crate::outcome::{Decision, RULE_NAME_BYTES_MAX, RULE_REASON_BYTES_MAX, RULES_MAX, RuleSays};
use crate::policy::key_terms::KeyTerms;
use crate::policy::reader::{Problems, Section, Span};
use crate::policy::ruled::Rules;
use crate::rules::{Known, Rule, RuleMode, Slots};

const KEYS: [&str; 5] = ["name", "when", "then", "reason", "mode"];

/// The rules of a policy of this text; `None`: they are wrong, and that has been said.
pub(super) fn rules(
    top: &Section<'_, '_>,
    text: &str,
    (windows, keys): (&[u32], &[KeyTerms]),
    known: &Known<'_>,
    problems: &mut Problems,
) -> Option<Rules> {
    if !top.has("rules") {
        return Some(Rules::default());
    }
    let items = top.list("rules", problems)?;
    if items.len() > RULES_MAX {
        let message = format!("expected at most {RULES_MAX} rules, found {}", items.len());
        // At the first one too many.
        let place = items.get(RULES_MAX).map_or_else(|| top.place("rules"), Spanned::span);
        problems.push(&place, message);
    }
    let (mut slots, mut all) = (Slots::default(), Vec::with_capacity(items.len()));
    let mut names: Vec<String> = Vec::new();
    let before = problems.len();
    for item in items {
        all.extend(rule(item, text, known, &mut slots, &mut names, problems));
    }
    (before == problems.len()).then(|| Rules::new(all, slots, windows, keys))
}

fn rule(
    item: &Spanned<DeValue<'_>>,
    text: &str,
    known: &Known<'_>,
    slots: &mut Slots,
    names: &mut Vec<String>,
    problems: &mut Problems,
) -> Option<Rule> {
    let section = Section::item("rules", item, problems)?;
    section.refuse_unknown(&KEYS, problems);
    // Each is read before any is missed.
    let name = name(&section, names, problems);
    let reason = reason(&section, problems);
    let decisions = [Decision::Pass, Decision::Review, Decision::Alert];
    let then = one_of(&section, "then", None, decisions, Decision::as_str, problems);
    let modes = [RuleMode::Enforce, RuleMode::Observe];
    let mode = one_of(&section, "mode", Some("enforce"), modes, RuleMode::as_str, problems);
    let (when, span) = section.string("when", None, problems)?;
    // Checked whatever else is wrong with the rule, so that all problems come together.
    let says = RuleSays::new(name.unwrap_or("a"), reason.unwrap_or("a")).map(Arc::new)?;
    let head = (says, then.unwrap_or(Decision::Pass), mode.unwrap_or(RuleMode::Enforce));
    match Rule::new(head, when, known, slots) {
        Ok(rule) => name.and(reason).and(then).and(mode).map(|_| rule),
        Err(problem) => {
            let at = place_of(text, &span, when, problem.at);
            problems.push(
                &(at..at),
                format!("the rule `{}`: {}", name.unwrap_or("?"), problem.message),
            );
            None
        }
    }
}

fn name<'a>(section: &Section<'a, '_>, names: &mut Vec<String>, problems: &mut Problems) -> Option<&'a str> {
    let (name, span) = section.string("name", None, problems)?;
    if !RuleSays::is_name(name) {
        let message = format!(
            "expected rules.name to be 1 to {RULE_NAME_BYTES_MAX} of the characters a to z, 0 to 9 and _, a letter first, found {name:?}"
        );
        problems.push(&span, message);
        return None;
    }
    if names.iter().any(|other| other == name) {
        problems.push(
            &span,
            format!("two rules have the name `{name}`, expected a name of its own for each"),
        );
        return None;
    }
    names.push(name.to_owned());
    Some(name)
}

fn reason<'a>(section: &Section<'a, '_>, problems: &mut Problems) -> Option<&'a str> {
    let (reason, span) = section.string("reason", None, problems)?;
    if RuleSays::is_reason(reason) {
        return Some(reason);
    }
    let message = format!(
        "expected rules.reason to be 1 to {RULE_REASON_BYTES_MAX} bytes on one line, without a space at either end, found {} bytes",
        reason.len()
    );
    problems.push(&span, message);
    None
}

/// One of some words.
fn one_of<T: Copy, const N: usize>(
    section: &Section<'_, '_>,
    key: &str,
    default: Option<&'static str>,
    all: [T; N],
    word: fn(T) -> &'static str,
    problems: &mut Problems,
) -> Option<T> {
    let (found, span) = section.string(key, default, problems)?;
    let one = all.into_iter().find(|one| word(*one) == found);
    if one.is_none() {
        let words = all.map(|one| format!("{:?}", word(one)));
        let message = format!(
            "expected rules.{key} to be one of {}, found {found:?}",
            words.join(", ")
        );
        problems.push(&span, message);
    }
    one
}

/// Where a place of a string's value is in the file: the span is that of the string with its quotes. The beginning of the string where
/// that can't be told.
fn place_of(file: &str, span: &Span, value: &str, at: usize) -> usize {
    let raw = file.get(span.clone()).unwrap_or_default();
    // Behind what stands there for nothing, such as the end of a line.
    let within = Raw::new(raw).filter(|raw| raw.value_at == at).last();
    // Only if all was read as the reader of the file reads it.
    let is_read = Raw::new(raw).last().is_some_and(|last| last.value_at == value.len());
    span.start + within.filter(|_| is_read).map_or(0, |raw| raw.raw_at)
}

/// A place of a string in both, in bytes.
struct Place {
    raw_at: usize,
    value_at: usize,
}

/// The places between the characters of a string's value, the end last.
struct Raw<'t> {
    raw: &'t str,
    raw_at: usize,
    value_at: usize,
    is_basic: bool,
    is_done: bool,
}

impl<'t> Raw<'t> {
    fn new(raw: &'t str) -> Self {
        let quotes = ["\"\"\"", "'''", "\"", "'"];
        let quote = quotes
            .into_iter()
            .find(|quote| raw.starts_with(quote))
            .unwrap_or_default();
        let inside = raw
            .get(quote.len()..)
            .and_then(|rest| rest.strip_suffix(quote))
            .unwrap_or_default();
        // A line break right behind three quotes is not part of the value.
        let breaks = ["\r\n", "\n"].into_iter().filter(|_| quote.len() == 3);
        let skipped = breaks
            .into_iter()
            .find(|line| inside.starts_with(line))
            .map_or(0, str::len);
        Self {
            raw: raw.get(..quote.len() + inside.len()).unwrap_or_default(),
            raw_at: quote.len() + skipped,
            value_at: 0,
            is_basic: quote.starts_with('"'),
            is_done: false,
        }
    }

    /// How many bytes the next character takes in the file, and in the value.
    fn next_takes(&self) -> Option<(usize, usize)> {
        let rest = self.raw.get(self.raw_at..)?;
        let first = rest.chars().next()?;
        if first != '\\' || !self.is_basic {
            return Some((first.len_utf8(), first.len_utf8()));
        }
        let escaped = rest.get(1..)?;
        let code = |digits: usize| {
            let letter = u32::from_str_radix(escaped.get(1..=digits)?, 16)
                .ok()
                .and_then(char::from_u32)?;
            Some((2 + digits, letter.len_utf8()))
        };
        match escaped.chars().next()? {
            'x' => code(2),
            'u' => code(4),
            'U' => code(8),
            // A line that ends with a backslash goes on where the next word begins.
            ' ' | '\t' | '\r' | '\n' => Some((1 + escaped.len() - escaped.trim_start().len(), 0)),
            _ => Some((2, 1)),
        }
    }
}

impl Iterator for Raw<'_> {
    type Item = Place;

    fn next(&mut self) -> Option<Place> {
        if self.is_done {
            return None;
        }
        let place = Place {
            raw_at: self.raw_at,
            value_at: self.value_at,
        };
        match self.next_takes() {
            Some((raw, value)) => {
                self.raw_at += raw;
                self.value_at += value;
            }
            None => self.is_done = true,
        }
        Some(place)
    }
}
