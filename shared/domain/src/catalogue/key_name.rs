//! Names of keys beyond the card.

use std::fmt;

/// What a policy calls a key, such as `terminal`: 1 to [`KeyName::BYTES_MAX`] of the characters a to z, 0 to 9 and `_`, a letter
/// first. Held inline, since features are named by it and outcomes are made of features.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyName {
    /// Padded with zeros.
    bytes: [u8; Self::BYTES_MAX],
}

impl KeyName {
    /// The longest name, bytes.
    pub const BYTES_MAX: usize = 16;
    /// Stands for the card's own history, in names of features that other keys may have, too. No policy declares it.
    pub const CARD: Self = Self::of(b"card");
    /// Stands for how surprising a feature's value is, in place of the value: `surprise.sum_7d`. No policy declares it.
    pub const SURPRISE: Self = Self::of(b"surprise");

    const fn of(name: &[u8]) -> Self {
        let (mut bytes, mut at) = ([0; Self::BYTES_MAX], 0);
        while at < name.len() {
            bytes[at] = name[at];
            at += 1;
        }
        Self { bytes }
    }

    /// Whether the name means something already, so that no policy may declare it.
    #[must_use]
    pub fn is_reserved(self) -> bool {
        self == Self::CARD || self == Self::SURPRISE
    }

    /// The name; `None` where the text can't be one.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let first = name.bytes().next()?;
        if name.len() > Self::BYTES_MAX || !first.is_ascii_lowercase() || !name.bytes().all(is_word) {
            return None;
        }
        let mut bytes = [0; Self::BYTES_MAX];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        Some(Self { bytes })
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let length = self.bytes.iter().position(|byte| *byte == 0).unwrap_or(Self::BYTES_MAX);
        // Made of ASCII only.
        std::str::from_utf8(&self.bytes[..length]).unwrap_or_default()
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_short_word_that_begins_with_a_letter() {
        for name in ["a", "terminal", "ip_hash", "abcdefgh12345678"] {
            assert_eq!(KeyName::new(name).unwrap().as_str(), name);
        }
        for name in ["", "1a", "_a", "A", "a-b", "a.b", "\u{e4}", "abcdefgh123456789", "a\0"] {
            assert_eq!(KeyName::new(name), None, "{name:?}");
        }
        assert_eq!(KeyName::new("card"), Some(KeyName::CARD));
        assert_eq!(KeyName::new("surprise"), Some(KeyName::SURPRISE));
    }
}
