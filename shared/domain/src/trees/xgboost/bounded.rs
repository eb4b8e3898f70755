//! What is kept of a file: no more of a list than its limit, and of a text what a message shows.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, SeqAccess, Visitor};

/// Letters of a text that a message shows at most.
const EXCERPT_CHARS_MAX: usize = 200;

/// The beginning of a text, for a message.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(EXCERPT_CHARS_MAX).collect()
}

/// A list of any length, of which the first `MAX` elements are kept and the others counted.
#[derive(Debug)]
pub(super) struct Kept<T, const MAX: usize> {
    pub(super) kept: Vec<T>,
    /// How many there are.
    pub(super) count: usize,
}

/// How long a list is.
pub(super) type Length = Kept<IgnoredAny, 0>;

impl<T, const MAX: usize> Default for Kept<T, MAX> {
    fn default() -> Self {
        Self {
            kept: Vec::new(),
            count: 0,
        }
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Kept<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(KeptVisitor(PhantomData))
    }
}

struct KeptVisitor<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for KeptVisitor<T, MAX> {
    type Value = Kept<T, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut kept = Vec::new();
        while kept.len() < MAX {
            match list.next_element()? {
                Some(element) => kept.push(element),
                None => {
                    let count = kept.len();
                    return Ok(Kept { kept, count });
                }
            }
        }
        let mut count = kept.len();
        while list.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(Kept { kept, count })
    }
}

/// A whole number that is written as a text, as XGBoost writes its parameters.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quoted(pub(super) u32);

impl<'de> Deserialize<'de> for Quoted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(QuotedVisitor)
    }
}

struct QuotedVisitor;

impl Visitor<'_> for QuotedVisitor {
    type Value = Quoted;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number in quotes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Quoted, E> {
        text.parse()
            .map(Quoted)
            .map_err(|_| E::custom(format_args!("{:?} is not a whole number from 0", excerpt(text))))
    }
}
