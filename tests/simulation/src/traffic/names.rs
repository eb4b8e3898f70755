//! What cards and events are called.

use std::collections::HashMap;
use std::sync::OnceLock;

use tidemark_domain::id::fingerprint32;

use crate::dice::Dice;

/// Ids in any script and with every character that some layer may take for its own. Several differ in one case, accent,
/// or space only.
const ODD: [&str; 20] = [
    "card-1 ",
    " card-1",
    "CARD-1",
    "Card-1",
    "caf\u{e9}",
    "cafe\u{301}",
    "\u{43a}\u{430}\u{440}\u{442}\u{430}-1",
    "\u{30ab}\u{30fc}\u{30c9}",
    "\u{1f0a1}\u{1f0b1}",
    "quote\"d",
    "back\\slash",
    "a/b#c?d&e=f",
    "{\"card_id\":\"card-1\"}",
    "d#card-1",
    "'; drop table cards; --",
    "%41%00",
    "null",
    "0",
    "-1",
    "stra\u{df}e",
];

/// The longest id that the contract takes, bytes.
const LONGEST: usize = 128;

/// A card's token. Where ids are odd, every other one is.
#[must_use]
pub fn card(number: u64, odd: bool) -> String {
    let at = usize::try_from(number).unwrap_or(0);
    if !odd || at % 2 == 1 {
        return format!("card-{number}");
    }
    match ODD.get(at / 2) {
        Some(odd) => (*odd).to_owned(),
        None => format!("{number}-{}", "x".repeat(LONGEST - 8)),
    }
}

/// An event's id.
#[must_use]
pub fn event(number: usize, odd: bool, dice: &mut Dice) -> String {
    if odd && dice.chance(0.2) {
        format!("e{number} {}", dice.pick(&ODD))
    } else {
        format!("e{number}")
    }
}

/// Two ids of one 32-bit fingerprint.
#[must_use]
pub fn twins() -> &'static (String, String) {
    static TWINS: OnceLock<(String, String)> = OnceLock::new();
    TWINS.get_or_init(|| {
        let mut seen: HashMap<u32, u32> = HashMap::new();
        for number in 0..u32::MAX {
            let name = |number: u32| format!("twin-{number}");
            if let Some(other) = seen.insert(fingerprint32(&name(number)), number) {
                return (name(other), name(number));
            }
        }
        unreachable!("2^32 ids have two of one fingerprint")
    })
}
