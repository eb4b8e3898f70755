//! One pass over the JSON text: the members that some schema knows, and what is wrong with the text wherever it is.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};

use crate::event::LINKS_MAX;

use super::card_number::holds_card_number;
use super::field::Field;

/// A member's value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Raw<'de> {
    #[default]
    Absent,
    Null,
    Bool(bool),
    /// A whole number from 0 on.
    Whole(u64),
    /// A whole number below 0.
    Negative(i64),
    /// A number with a fraction or an exponent, or a whole one beyond 64 bits; always finite.
    Number(f64),
    Text(Cow<'de, str>),
    /// An object whose members are of interest: the first of them, one more than may be.
    Members(Box<[(Cow<'de, str>, Self)]>),
    /// An array, or any other object.
    Nested,
}

/// What the pass found.
#[derive(Debug)]
pub(super) struct Members<'de> {
    pub(super) values: [Raw<'de>; Field::COUNT],
    /// The bits of the fields that are there.
    pub(super) present: u32,
    /// Members of the top level that no schema knows.
    pub(super) strangers: u32,
    pub(super) flaws: Flaws,
}

/// What may be wrong with a text that is JSON.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flaws {
    pub(super) card_number: bool,
    pub(super) too_deep: bool,
    pub(super) duplicate_key: bool,
}

impl Members<'_> {
    /// Before the first member.
    pub(super) const fn none(flaws: Flaws) -> Self {
        Self {
            values: [const { Raw::Absent }; Field::COUNT],
            present: 0,
            strangers: 0,
            flaws,
        }
    }
}

/// Reads a text that must be one JSON object and nothing else.
pub(super) fn read(text: &str, nesting_max: usize) -> Result<Members<'_>, serde_json::Error> {
    let mut members = Members::none(Flaws {
        too_deep: nesting_max == 0,
        ..Flaws::default()
    });
    let mut json = serde_json::Deserializer::from_str(text);
    let top = Top {
        members: &mut members,
        nesting_max,
    };
    json.deserialize_map(top)?;
    json.end()?;
    Ok(members)
}

/// Fills the members in place: they are most of a kilobyte, and a move for each layer of the reader shows.
struct Top<'m, 'de> {
    members: &'m mut Members<'de>,
    nesting_max: usize,
}

impl<'de> Visitor<'de> for Top<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Self { members, nesting_max } = self;
        let mut strangers = BTreeSet::new();
        while let Some(name) = map.next_key_seed(Member {
            flaws: &mut members.flaws,
        })? {
            let value = map.next_value_seed(Value {
                flaws: &mut members.flaws,
                depth_left: nesting_max,
                keeps_members: matches!(name, Name::Known(Field::Links)),
            })?;
            match name {
                Name::Known(field) => {
                    members.flaws.duplicate_key |= members.present & field.bit() != 0;
                    members.present |= field.bit();
                    members.values[field as usize] = value;
                }
                Name::Stranger(key) => {
                    members.strangers = members.strangers.saturating_add(1);
                    members.flaws.duplicate_key |= !strangers.insert(key);
                }
            }
        }
        Ok(())
    }
}

/// What a member of the event is called.
enum Name<'de> {
    /// As in some schema: a name that holds no card number.
    Known(Field),
    /// As in none.
    Stranger(Cow<'de, str>),
}

/// The key of a member of the event.
struct Member<'f> {
    flaws: &'f mut Flaws,
}

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = Name<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        match Field::of(text) {
            Some(field) => Ok(Name::Known(field)),
            None => Key { flaws: self.flaws }.visit_borrowed_str(text).map(Name::Stranger),
        }
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        match Field::of(text) {
            Some(field) => Ok(Name::Known(field)),
            None => Key { flaws: self.flaws }.visit_str(text).map(Name::Stranger),
        }
    }
}

/// A key, borrowed from the text where it has no escapes.
struct Key<'f> {
    flaws: &'f mut Flaws,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Cow<'de, str>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        self.flaws.card_number |= holds_card_number(text);
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        self.flaws.card_number |= holds_card_number(text);
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// A value of any type. Arrays and objects are walked through and dropped.
struct Value<'f> {
    flaws: &'f mut Flaws,
    /// How many more levels of nesting are allowed, the one that holds this value counted.
    depth_left: usize,
    /// Whether the members of an object are kept, as many as links may be and one more.
    keeps_members: bool,
}

impl Value<'_> {
    /// Goes a level down.
    fn descend(&mut self) {
        self.depth_left = self.depth_left.saturating_sub(1);
        self.flaws.too_deep |= self.depth_left == 0;
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Raw<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Raw<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Raw::Whole(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(u64::try_from(value).map_or(Raw::Negative(value), Raw::Whole))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Self::Value, E> {
        if value.is_finite() {
            Ok(Raw::Number(value))
        } else {
            Err(E::custom("number out of range"))
        }
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        self.flaws.card_number |= holds_card_number(text);
        Ok(Raw::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        self.flaws.card_number |= holds_card_number(text);
        Ok(Raw::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Self::Value, A::Error> {
        self.descend();
        let depth_left = self.depth_left;
        while seq
            .next_element_seed(Value {
                flaws: &mut *self.flaws,
                depth_left,
                keeps_members: false,
            })?
            .is_some()
        {}
        Ok(Raw::Nested)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self::Value, A::Error> {
        self.descend();
        let depth_left = self.depth_left;
        let mut keys = BTreeSet::new();
        let mut kept = Vec::new();
        while let Some(key) = map.next_key_seed(Key {
            flaws: &mut *self.flaws,
        })? {
            let value = map.next_value_seed(Value {
                flaws: &mut *self.flaws,
                depth_left,
                keeps_members: false,
            })?;
            if self.keeps_members && kept.len() <= LINKS_MAX {
                kept.push((key.clone(), value));
            }
            self.flaws.duplicate_key |= !keys.insert(key);
        }
        Ok(if self.keeps_members {
            Raw::Members(kept.into())
        } else {
            Raw::Nested
        })
    }
}

/// Why a text could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// Not one JSON object.
    NotJson,
    /// Deeper than any reader goes.
    TooDeep,
    /// A number that no 64-bit float holds, or the literals `NaN` and `Infinity`, which JSON does not have.
    Number,
}

/// Sorts an error of [`read`].
///
/// serde_json does not tell these apart by type, so the start of its text must; a test of each refusal fails when a
/// release words them otherwise.
pub(super) fn sort(text: &str, error: &serde_json::Error) -> Unreadable {
    let message = error.to_string();
    if message.starts_with("recursion limit exceeded") {
        Unreadable::TooDeep
    } else if message.starts_with("number out of range") || is_not_a_number(text, error) {
        Unreadable::Number
    } else {
        Unreadable::NotJson
    }
}

/// Whether reading stopped at a value that is `NaN` or infinite, as some languages write it into JSON.
fn is_not_a_number(text: &str, error: &serde_json::Error) -> bool {
    let bytes = text.as_bytes();
    let line_start = match error.line() {
        0 | 1 => 0,
        line => bytes
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'\n')
            .nth(line - 2)
            .map_or(0, |(at, _)| at + 1),
    };
    let stop = (line_start + error.column().saturating_sub(1)).min(bytes.len());
    let in_word = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'+');
    let start = bytes[..stop]
        .iter()
        .rposition(|byte| !in_word(byte))
        .map_or(0, |at| at + 1);
    let length = bytes[start..]
        .iter()
        .position(|byte| !in_word(byte))
        .unwrap_or(bytes.len() - start);
    let word = String::from_utf8_lossy(&bytes[start..start + length]).to_ascii_lowercase();
    let before = bytes[..start].iter().rfind(|byte| !byte.is_ascii_whitespace());
    matches!(before, Some(b':' | b'[' | b','))
        && matches!(word.trim_start_matches(['-', '+']), "nan" | "inf" | "infinity")
}
