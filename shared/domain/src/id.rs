//! Identifiers: bounded strings, and the fingerprints that stand for them in a card's state.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest identifier the contract accepts, in bytes of UTF-8.
pub const ID_BYTES_MAX: usize = 128;

/// Whether the contract takes a character in an identifier: no control (C0, DEL, C1), no separator of lines or paragraphs, and no
/// mark that turns the direction of writing. Whoever prints an identifier must not be commanded by it. Joiners stay
/// allowed: Persian and the languages of India need them inside words.
#[must_use]
pub const fn is_id_character(c: char) -> bool {
    !matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A stable 32-bit fingerprint of a string (the low half of XXH3-64, seed 0). Persisted: never change it.
#[must_use]
pub fn fingerprint32(text: &str) -> u32 {
    #[allow(clippy::cast_possible_truncation)]
    {
        xxhash_rust::xxh3::xxh3_64(text.as_bytes()) as u32
    }
}

/// A stable 64-bit hash of a string (XXH3-64, seed 0). Persisted: never change it.
#[must_use]
pub fn fingerprint64(text: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(text.as_bytes())
}

/// The hash that a name of 16 hexadecimal digits in small letters is; `None`: it is no such name.
pub(crate) fn hash_of_name(text: &str) -> Option<u64> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let is_name = text.len() == 16 && text.bytes().all(is_digit);
    is_name.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes a string of 1 to [`ID_BYTES_MAX`] bytes; any other is `None`.
            #[must_use]
            pub fn new(text: &str) -> Option<Self> {
                (!text.is_empty() && text.len() <= ID_BYTES_MAX).then(|| Self(text.into()))
            }

            /// The identifier as the producer wrote it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// What a producer calls a transaction. It names an event together with its card and time: [`EventKey`].
    EventId
);
id!(
    /// A card's token: the partition key of the stream and the key of the card's state. Never a card number.
    CardId
);
id!(
    /// The merchant (or the merchant's terminal).
    MerchantId
);
id!(
    /// The device that the customer used, where there is one.
    DeviceId
);
id!(
    /// A further id of a transaction, under a name that the policy knows: an ip, an account, the hash of an address.
    LinkId
);

/// What makes an event one event: its card, its id and when it happened. A record that has all three in common with another
/// is the same event; the same id on another card, or at another time, is another event. Whatever compares events compares
/// these.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EventKey {
    /// The card's token.
    pub card_id: CardId,
    /// What the producer calls it.
    pub event_id: EventId,
    /// Event time: milliseconds since 1970-01-01T00:00:00Z.
    pub occurred_at_ms: i64,
}

impl EventKey {
    /// The event of these; `None` where an identifier is not valid.
    #[must_use]
    pub fn new(card_id: &str, event_id: &str, occurred_at_ms: i64) -> Option<Self> {
        Some(Self {
            card_id: CardId::new(card_id)?,
            event_id: EventId::new(event_id)?,
            occurred_at_ms,
        })
    }
}

impl std::fmt::Display for EventKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            card_id,
            event_id,
            occurred_at_ms,
        } = self;
        write!(f, "event {event_id} of card {card_id} at {occurred_at_ms}")
    }
}
