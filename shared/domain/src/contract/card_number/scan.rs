//! Finding card numbers in characters: groups, shapes that are no card numbers, the Luhn check and the issuers' ranges.

use super::glyph::{Glyph, Kind, Span, kind_of};
use super::issuer::is_issued;
use super::suspect::{DIGITS_MAX, DIGITS_MIN};

/// The lengths of a UUID's groups of hexadecimal digits.
const UUID_GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
/// Characters of a UUID with its dashes.
const UUID_LENGTH: usize = 36;
/// How many hexadecimal digits tokens have: 128, 160 and 256 bits.
const TOKEN_DIGITS: [usize; 3] = [32, 40, 64];
/// Characters of the longest such token, with a dash after each digit.
const TOKEN_LENGTH_MAX: usize = 128;

/// Calls with the bytes of every digit of every card number; with some more than once.
pub(super) fn card_numbers(text: &[Glyph], found: &mut dyn FnMut(Span)) {
    let mut chain = Chain::default();
    let mut at = 0;
    // Whether the character before is a separator that follows a digit group of the chain.
    let mut joined = false;
    while at < text.len() {
        let word_end = word_end(text, at);
        if word_end == at {
            if kind_of(text[at].character) == Kind::Separator && !joined && !chain.digits.is_empty() {
                joined = true;
            } else {
                chain.flush(found);
                joined = false;
            }
            at += 1;
            continue;
        }
        joined = false;
        if let Some(end) = shape_end(text, at) {
            chain.flush(found);
            at = end;
            continue;
        }
        if !chain.push_word(&text[at..word_end]) {
            chain.flush(found);
        }
        at = word_end;
    }
    chain.flush(found);
}

/// Where the word (digits and letters) that starts here ends; here, when there is none.
fn word_end(text: &[Glyph], start: usize) -> usize {
    let in_word = |glyph: &Glyph| matches!(kind_of(glyph.character), Kind::Digit(_) | Kind::Letter);
    start + text[start..].iter().take_while(|glyph| in_word(glyph)).count()
}

/// The end of the shape that starts with this word, if it is one that is plainly no card number.
fn shape_end(text: &[Glyph], at: usize) -> Option<usize> {
    uuid_end(text, at).or_else(|| token_end(text, at))
}

/// The end of the UUID that starts with this word.
fn uuid_end(text: &[Glyph], at: usize) -> Option<usize> {
    let end = at + UUID_LENGTH;
    let mut groups = text.get(at..end)?.split(|glyph| glyph.character == '-');
    let is_group = |length| {
        groups
            .next()
            .is_some_and(|group| group.len() == length && group.iter().all(is_hex))
    };
    (UUID_GROUPS.into_iter().all(is_group) && word_end(text, end) == end).then_some(end)
}

/// The end of the hexadecimal token that starts with this word: as many digits as tokens have, one of them a letter, in any
/// groups with a dash between two of them, and nothing joined to it before or after.
fn token_end(text: &[Glyph], at: usize) -> Option<usize> {
    if at > 0 && text[at - 1].character == '-' {
        return None;
    }
    let (mut digits, mut has_letter, mut end) = (0, false, at);
    for glyph in &text[at..text.len().min(at + TOKEN_LENGTH_MAX)] {
        if is_hex(glyph) {
            digits += 1;
            has_letter |= glyph.character.is_ascii_alphabetic();
        } else if glyph.character != '-' || text[end - 1].character == '-' {
            break;
        }
        end += 1;
    }
    let is_token = has_letter && TOKEN_DIGITS.contains(&digits) && text[end - 1].character != '-';
    (is_token && word_end(text, end) == end).then_some(end)
}

const fn is_hex(glyph: &Glyph) -> bool {
    glyph.character.is_ascii_hexdigit()
}

/// A digit and where it was read from.
#[derive(Clone, Copy, Debug)]
struct Digit {
    value: u8,
    span: Span,
}

/// Groups of digits with single separators between them.
#[derive(Default)]
struct Chain {
    digits: Vec<Digit>,
    /// Where each group starts in `digits`.
    groups: Vec<usize>,
}

impl Chain {
    /// Adds a group; whether the word was one, that is, digits only.
    fn push_word(&mut self, word: &[Glyph]) -> bool {
        let first = self.digits.len();
        for glyph in word {
            let Kind::Digit(value) = kind_of(glyph.character) else {
                self.digits.truncate(first);
                return false;
            };
            self.digits.push(Digit {
                value,
                span: glyph.span(),
            });
        }
        self.groups.push(first);
        true
    }

    /// Tries every run of whole groups, and starts anew.
    fn flush(&mut self, found: &mut dyn FnMut(Span)) {
        for (number, &start) in self.groups.iter().enumerate() {
            let ends = self.groups[number + 1..].iter().copied().chain([self.digits.len()]);
            for end in ends.take_while(|end| end - start <= DIGITS_MAX) {
                let digits = &self.digits[start..end];
                if digits.len() >= DIGITS_MIN && luhn(digits) && is_issued(digits.iter().map(|digit| digit.value)) {
                    digits.iter().for_each(|digit| found(digit.span));
                }
            }
        }
        self.digits.clear();
        self.groups.clear();
    }
}

/// The Luhn check of ISO/IEC 7812-1: from the right, every second digit doubled.
fn luhn(digits: &[Digit]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let value = u32::from(digit.value);
            match (place % 2, value) {
                (0, _) => value,
                (_, 0..=4) => 2 * value,
                _ => 2 * value - 9,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}
