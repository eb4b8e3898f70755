//! How often a token that is no card number is refused as one, and how often a card number is missed: measured, and compared
//! with the tables of docs/reference/contract.md. `cargo test -p tidemark-domain --test all card_number_rates -- --include-ignored
//! --nocapture` prints them. The generator has a seed, so that the figures are the same on every machine.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::borrow::Cow;
use std::fmt::Write as _;

use lab::dice::SplitMix;
use tidemark_domain::contract::mask_card_numbers;

/// Random tokens of a shape.
const TOKENS: u32 = 1_000_000;
/// As many where a test has no more time.
const TOKENS_FEW: u32 = 20_000;
/// Card numbers of a range and length, for each separator.
const NUMBERS: u32 = 200;

/// The lab's plain dice: enough for tokens, and the same everywhere.
struct Dice(lab::dice::Dice<SplitMix>);

impl Dice {
    fn of(seed: u64) -> Self {
        Self(lab::dice::Dice::plain(seed))
    }

    fn draw(&mut self) -> u64 {
        self.0.any()
    }

    fn text(&mut self, alphabet: &[u8], length: usize) -> String {
        let letter =
            |dice: &mut Self| char::from(alphabet[usize::try_from(dice.draw() % alphabet.len() as u64).unwrap()]);
        (0..length).map(|_| letter(self)).collect()
    }
}

const HEX: &[u8] = b"0123456789abcdef";
const DIGITS: &[u8] = b"0123456789";
const CROCKFORD: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE64_URL: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";

/// A shape's name and how one is made.
type Shape = (&'static str, fn(&mut Dice) -> String);

fn groups(dice: &mut Dice, lengths: &[usize]) -> String {
    let groups: Vec<String> = lengths.iter().map(|length| dice.text(HEX, *length)).collect();
    groups.join("-")
}

const SHAPES: [Shape; 12] = [
    ("UUID", |dice| groups(dice, &[8, 4, 4, 4, 12])),
    ("ULID", |dice| format!("0{}", dice.text(CROCKFORD, 25))),
    ("32 hexadecimal digits", |dice| dice.text(HEX, 32)),
    ("32 hexadecimal digits in groups of 8", |dice| {
        groups(dice, &[8, 8, 8, 8])
    }),
    ("32 hexadecimal digits in groups of 4", |dice| groups(dice, &[4; 8])),
    ("19 hexadecimal digits", |dice| dice.text(HEX, 19)),
    ("16 hexadecimal digits", |dice| dice.text(HEX, 16)),
    ("22 characters of base64 for URLs", |dice| dice.text(BASE64_URL, 22)),
    ("16 letters and digits", |dice| dice.text(BASE62, 16)),
    ("`txn` and 16 digits", |dice| format!("txn{}", dice.text(DIGITS, 16))),
    ("a time in milliseconds", |dice| {
        (1_700_000_000_000 + dice.draw() % 200_000_000_000).to_string()
    }),
    ("16 digits", |dice| dice.text(DIGITS, 16)),
];

/// Ranges of issuers, by their first digits, with the lengths of their numbers.
const ISSUED: [(&str, &[&str], &[usize]); 12] = [
    ("American Express", &["34", "37"], &[15]),
    ("Diners Club", &["300", "305", "3095", "36", "38", "39"], &[14, 16, 19]),
    ("Discover", &["6011", "622126", "622925", "644", "649", "65"], &[16, 19]),
    ("JCB", &["3528", "3589"], &[16, 19]),
    (
        "Maestro",
        &["5018", "5020", "5038", "5893", "6304", "6759", "6761", "6763"],
        &[13, 16, 19],
    ),
    ("Mastercard", &["51", "55", "2221", "2720"], &[16]),
    ("Mir", &["2200", "2204"], &[16, 19]),
    ("RuPay", &["60", "65", "81", "82", "508", "353", "356"], &[16]),
    ("Troy, UzCard, Humo, Napas", &["9792", "8600", "9860", "9704"], &[16]),
    ("UATP", &["1"], &[15]),
    ("UnionPay", &["62", "81"], &[16, 17, 18, 19]),
    ("Visa", &["4"], &[13, 16, 18, 19]),
];

/// How the groups of four are parted.
const SEPARATORS: [(&str, &str); 9] = [
    ("nothing", ""),
    ("space", " "),
    ("dash", "-"),
    ("no-break space", "\u{A0}"),
    ("en dash", "\u{2013}"),
    ("plus, `%20`", "%20"),
    ("zero-width space", "\u{200B}"),
    ("two spaces", "  "),
    ("full stop", "."),
];

fn is_found(text: &str) -> bool {
    let json = serde_json::json!({ "id": text }).to_string();
    matches!(mask_card_numbers(json.as_bytes()), Cow::Owned(_))
}

fn luhn_sum(digits: &str) -> u32 {
    let worth = |(place, digit): (usize, u8)| {
        let digit = u32::from(digit - b'0') * if place.is_multiple_of(2) { 1 } else { 2 };
        digit / 10 + digit % 10
    };
    digits.bytes().rev().enumerate().map(worth).sum()
}

fn card_number(dice: &mut Dice, prefix: &str, length: usize) -> String {
    let body = format!("{prefix}{}", dice.text(DIGITS, length - 1 - prefix.len()));
    let sum = luhn_sum(&format!("{body}0"));
    format!("{body}{}", (10 - sum % 10) % 10)
}

fn in_fours(number: &str, separator: &str) -> String {
    let groups: Vec<&str> = (0..number.len())
        .step_by(4)
        .map(|at| &number[at..number.len().min(at + 4)])
        .collect();
    groups.join(separator)
}

/// A table of the contract's page, as it is written there.
fn false_refusals(tokens: u32) -> String {
    let mut table = "| a million random tokens | refused |\n|---|---|\n".to_owned();
    for (name, shape) in SHAPES {
        let mut dice = Dice::of(1);
        let refused = (0..tokens).filter(|_| is_found(&shape(&mut dice))).count();
        let _ = writeln!(table, "| {name} | {} |", grouped(refused));
    }
    table
}

fn missed() -> String {
    let mut table = "| between groups of four | numbers tried | missed |\n|---|---|---|\n".to_owned();
    for (name, separator) in SEPARATORS {
        let (mut dice, mut tried, mut missed) = (Dice::of(2), 0, 0);
        for (_, prefixes, lengths) in ISSUED {
            for (prefix, length) in prefixes
                .iter()
                .flat_map(|prefix| lengths.iter().map(move |length| (prefix, length)))
            {
                for _ in 0..NUMBERS {
                    let number = card_number(&mut dice, prefix, *length);
                    assert_eq!(luhn_sum(&number) % 10, 0);
                    tried += 1;
                    missed += usize::from(!is_found(&format!("card {}.", in_fours(&number, separator))));
                }
            }
        }
        let _ = writeln!(table, "| {name} | {} | {} |", grouped(tried), grouped(missed));
    }
    table
}

fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn assert_stated(table: &str) {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/contract.md");
    let page = std::fs::read_to_string(page).unwrap();
    println!("{table}");
    assert!(page.contains(table), "the page has other figures than these:\n{table}");
}

#[test]
#[ignore = "half a minute on a quiet core: twelve million tokens"]
fn the_contract_states_how_many_tokens_are_refused() {
    assert_stated(&false_refusals(TOKENS));
}

#[test]
fn the_contract_states_how_many_numbers_are_missed() {
    assert_stated(&missed());
}

/// The shapes that are never refused, in the page's table, with fewer tokens.
#[test]
fn plain_ids_are_not_refused() {
    let table = false_refusals(TOKENS_FEW);
    let refused: Vec<&str> = table.lines().skip(2).filter(|line| !line.ends_with("| 0 |")).collect();
    assert!(
        refused.iter().all(|line| line.contains("16 ") || line.contains("19 ")),
        "{table}"
    );
}
