//! Properties: round trips, no panic on any bytes, and no card number left by masking.

use std::borrow::Cow;

use proptest::prelude::*;
use tidemark_domain::catalogue::KeyName;
use tidemark_domain::contract::{Bounds, decode, encode, mask_card_numbers};
use tidemark_domain::event::{Channel, Country, Currency, Event, Label, Links, Place, Profile, Transaction, Verdict};
use tidemark_domain::id::{CardId, DeviceId, EventId, LinkId, MerchantId};
use tidemark_domain::refusal::RefusalCode;

use super::payload::{ARRIVAL_MS, Payload, read};

/// Identifiers with what JSON must escape (of what an id may hold), letters of several scripts with a joiner, and too few
/// digits for a card number.
fn id() -> impl Strategy<Value = String> {
    "[a-zA-Zé漢می\u{200c}\"\\\\/ _-]{1,30}[0-9]{0,8}"
}

fn event_time() -> impl Strategy<Value = i64> {
    let bounds = Bounds::default();
    ARRIVAL_MS - bounds.lateness_ms..=ARRIVAL_MS + bounds.skew_ms
}

/// Every decimal of up to 15 digits is read as the nearest float.
fn number(most: u32) -> impl Strategy<Value = f64> {
    (0..=most).prop_map(|value| f64::from(value) / 100.0)
}

fn country() -> impl Strategy<Value = Country> {
    (0u8..249).prop_map(|index| Country::from_index(index).unwrap())
}

fn transaction() -> impl Strategy<Value = Event> {
    let currencies: Vec<Currency> = Currency::all().collect();
    let place = (-900_000..=900_000i32, -1_800_000..=1_800_000i32).prop_map(|(latitude_e4, longitude_e4)| Place {
        latitude_e4,
        longitude_e4,
    });
    (
        (
            id(),
            id(),
            event_time(),
            1..=Bounds::default().amount_minor_max,
            prop::sample::select(currencies),
            id(),
        ),
        (
            0..10_000u16,
            country(),
            prop::sample::select(&Channel::ALL[..]),
            any::<bool>(),
        ),
        (prop::option::of(id()), prop::option::of(place), links(), account_age()),
    )
        .prop_map(
            |((event, card, time, amount, currency, merchant), (mcc, country, channel, approved), extra)| {
                Event::Transaction(Transaction {
                    event_id: EventId::new(&event).unwrap(),
                    card_id: CardId::new(&card).unwrap(),
                    occurred_at_ms: time,
                    amount_minor: amount,
                    currency,
                    merchant_id: MerchantId::new(&merchant).unwrap(),
                    mcc,
                    country,
                    channel,
                    approved,
                    device_id: extra.0.map(|id| DeviceId::new(&id).unwrap()),
                    place: extra.1,
                    links: extra.2,
                    // Opened before the event, or after it by what clocks may differ.
                    account_opened_at_ms: extra.3.map(|age_ms| (time - age_ms).max(100_000_000_000)),
                })
            },
        )
}

fn links() -> impl Strategy<Value = Links> {
    let names = vec!["ip", "account", "email_hash", "a", "a234567890123456"];
    let link = (prop::sample::select(names), id());
    let links = proptest::collection::btree_map(link.0, link.1, 0..6);
    links.prop_map(|links| {
        let links = links.iter();
        Links::new(links.map(|(name, id)| (KeyName::new(name).unwrap(), LinkId::new(id).unwrap()))).unwrap()
    })
}

fn account_age() -> impl Strategy<Value = Option<i64>> {
    prop::option::of(-Bounds::default().skew_ms..=100_000_000_000)
}

fn profile() -> impl Strategy<Value = Event> {
    (
        id(),
        any::<u64>(),
        country(),
        number(u32::MAX),
        number(u32::MAX),
        number(1_000_000),
        100_000_000_000..ARRIVAL_MS,
        proptest::option::of(100_000_000_000..ARRIVAL_MS),
    )
        .prop_map(
            |(card, version, usual_country, mean, deviation, per_day, opened, updated)| {
                Event::Profile(Profile {
                    card_id: CardId::new(&card).unwrap(),
                    version,
                    usual_country,
                    spend_mean_minor: mean,
                    spend_deviation_minor: deviation,
                    transactions_per_day: per_day,
                    account_opened_at_ms: opened,
                    updated_at_ms: updated,
                })
            },
        )
}

fn label() -> impl Strategy<Value = Event> {
    let of_event = prop::option::of((
        100_000_000_000..=ARRIVAL_MS,
        prop::option::of(id()),
        prop::option::of(id()),
        links(),
    ));
    let label = (id(), id(), any::<bool>(), 100_000_000_000..=ARRIVAL_MS, of_event);
    label.prop_map(|(event, card, fraud, known_since_ms, of_event)| {
        let (occurred_at_ms, merchant, device, links) = match of_event {
            Some((time_ms, merchant, device, links)) => (Some(time_ms), merchant, device, links),
            None => (None, None, None, Links::NONE),
        };
        Event::Label(Label {
            event_id: EventId::new(&event).unwrap(),
            card_id: CardId::new(&card).unwrap(),
            verdict: if fraud { Verdict::Fraud } else { Verdict::Cleared },
            known_since_ms,
            occurred_at_ms,
            merchant_id: merchant.map(|id| MerchantId::new(&id).unwrap()),
            device_id: device.map(|id| DeviceId::new(&id).unwrap()),
            links,
        })
    })
}

/// Whether a text holds a card number, the naive way: every stretch of characters is tried.
fn naive_card_number(text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let is_word = |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(|c| c.is_alphanumeric());
    let tokens = naive_tokens(&text);
    (0..text.len()).any(|start| {
        (start + 13..=text.len().min(start + 37)).any(|end| {
            let stretch = &text[start..end];
            let digits: Vec<u32> = stretch.iter().filter_map(|c| c.to_digit(10)).collect();
            let one_apart = stretch.windows(2).all(|pair| pair.iter().any(char::is_ascii_digit));
            let only = stretch.iter().all(|c| c.is_ascii_digit() || matches!(c, ' ' | '-'));
            let ends = [stretch.first(), stretch.last()]
                .iter()
                .all(|c| c.is_some_and(char::is_ascii_digit));
            let whole = !is_word(start.checked_sub(1)) && !is_word(Some(end));
            let sum: u32 = digits
                .iter()
                .rev()
                .enumerate()
                .map(|(place, digit)| {
                    if place.is_multiple_of(2) {
                        *digit
                    } else {
                        digit * 2 / 10 + digit * 2 % 10
                    }
                })
                .sum();
            let of_token = tokens.iter().any(|token| token.start < end && start < token.end);
            only && one_apart
                && ends
                && whole
                && !of_token
                && (13..=19).contains(&digits.len())
                && sum.is_multiple_of(10)
                && naive_issuer(&digits)
        })
    })
}

/// Where a text holds a hexadecimal token, whose groups are part of something else: 32, 40 or 64 digits with a letter among
/// them, in groups with one dash between two.
fn naive_tokens(text: &[char]) -> Vec<std::ops::Range<usize>> {
    let is_part = |at: usize| text[at].is_ascii_hexdigit() || text[at] == '-';
    let mut tokens = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let end = (start..text.len()).find(|at| !is_part(*at)).unwrap_or(text.len());
        let run: String = text[start..end].iter().collect();
        let digits = run.chars().filter(char::is_ascii_hexdigit).count();
        let has_letter = run.contains(|c: char| c.is_ascii_alphabetic());
        let is_grouped = run.split('-').all(|group| !group.is_empty());
        let is_apart = !start
            .checked_sub(1)
            .is_some_and(|before| text[before].is_alphanumeric())
            && !text.get(end).is_some_and(|after| after.is_alphanumeric());
        if [32, 40, 64].contains(&digits) && has_letter && is_grouped && is_apart {
            tokens.push(start..end);
        }
        start = end + 1;
    }
    tokens
}

/// Whether a scheme issues such numbers, read from its digits as text.
fn naive_issuer(digits: &[u32]) -> bool {
    let text: String = digits.iter().filter_map(|digit| char::from_digit(*digit, 10)).collect();
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| text.starts_with(prefix));
    let between = |low: u32, high: u32| {
        let width = low.to_string().len();
        text[..width]
            .parse()
            .is_ok_and(|first: u32| (low..=high).contains(&first))
    };
    match text.len() {
        16 if between(51, 55) || between(2221, 2720) || begins(&["8600", "9792", "9860"]) => true,
        15 if begins(&["34", "37", "1", "2014", "2149"]) => true,
        16.. if between(3528, 3589) || between(2200, 2205) || begins(&["81", "82", "9704", "1946"]) => true,
        14.. if begins(&["30", "36", "38", "39"]) => true,
        19 if begins(&["31"]) => true,
        _ => begins(&["4", "50", "56", "57", "58", "6"]),
    }
}

#[test]
fn a_group_of_a_token_is_no_card_number_whatever_stands_before_it() {
    for text in [
        "6 8441898261693-aa0000aa000aaa0aaa0",
        "6 8441898261693",
        "6 8441898261693-aa",
    ] {
        let payload = Payload::transaction().set("note", &format!("\"{text}\"")).bytes();
        let found = read(&payload).err().map(|refusal| refusal.code) == Some(RefusalCode::CardNumber);
        assert_eq!(
            (found, naive_card_number(text)),
            (text.len() < 20, text.len() < 20),
            "{text}"
        );
    }
}

/// What a card number may be written as, and what may stand beside it.
const ENCODED: &[&[u8]] = &[
    b"4111111111111111",
    b"4111 1111 1111 1111",
    b"4111%201111%2011111111",
    b"%34111111111111111",
    b"\\u0034111111111111111",
    b"NDExMTExMTExMTExMTExMQ==",
    b"TkRFeE1URXhNVEV4TVRFeE1URXhNUT09",
    b"34313131313131313131313131313131",
    b"4\x001\x001\x001\x001\x001\x001\x001\x001\x001\x001\x001\x001\x001\x001\x001\x00",
    b"\xF4\xF1\xF1\xF1\xF1\xF1\xF1\xF1\xF1\xF1\xF1\xF1\xF1\xF1\xF1\xF1",
    b"\xE2\x80\x8B",
    b"\r\n",
    b"\\n",
    b"%",
    b"-",
    b"+",
    b" ",
    b"|",
    b"x",
    b"7",
    b"\0",
    b"\xFF",
];

/// Puts a mutation into a payload.
fn mutate(mut payload: Vec<u8>, mutations: &[(usize, u8, u8)]) -> Vec<u8> {
    for &(at, byte, kind) in mutations {
        let at = at % payload.len().max(1);
        match kind % 4 {
            0 if at < payload.len() => payload[at] = byte,
            1 => payload.insert(at.min(payload.len()), byte),
            2 if at < payload.len() => drop(payload.remove(at)),
            _ => payload.truncate(payload.len().saturating_sub(at % 8)),
        }
    }
    payload
}

/// What holds of any payload.
fn check_any(payload: &[u8]) -> Result<(), TestCaseError> {
    let masked = mask_card_numbers(payload);
    prop_assert_eq!(masked.len(), payload.len());
    prop_assert!(matches!(mask_card_numbers(&masked), Cow::Borrowed(_)));
    match read(payload) {
        Ok(decoded) => {
            let again = read(&encode(&decoded.event, 2)).map_err(|refusal| TestCaseError::fail(refusal.to_string()))?;
            prop_assert_eq!(again.event, decoded.event);
        }
        Err(refusal) if refusal.code == RefusalCode::CardNumber => {
            prop_assert!(matches!(masked, Cow::Owned(_)));
            prop_assert_ne!(
                read(&masked).err().map(|refusal| refusal.code),
                Some(RefusalCode::CardNumber)
            );
        }
        Err(_) => {}
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_encoded_event_decodes_to_itself(event in prop_oneof![transaction(), profile(), label()]) {
        let decoded = decode(&encode(&event, 2), ARRIVAL_MS, &Bounds::default());
        prop_assert_eq!(decoded.map(|decoded| (decoded.event, decoded.unknown_fields)), Ok((event, 0)));
    }

    #[test]
    fn version_1_leaves_out_device_and_place(event in transaction()) {
        let decoded = decode(&encode(&event, 1), ARRIVAL_MS, &Bounds::default());
        let Event::Transaction(transaction) = event else { unreachable!("a transaction") };
        let expected = Event::Transaction(Transaction {
            device_id: None,
            place: None,
            links: Links::NONE,
            account_opened_at_ms: None,
            ..transaction
        });
        prop_assert_eq!(decoded.map(|decoded| (decoded.event, decoded.unknown_fields)), Ok((expected, 0)));
    }

    #[test]
    fn any_bytes_get_an_answer(payload in prop::collection::vec(any::<u8>(), 0..300)) {
        check_any(&payload)?;
    }

    #[test]
    fn any_mutation_of_an_event_gets_an_answer(
        which in 0..Payload::all().len(),
        mutations in prop::collection::vec((any::<usize>(), any::<u8>(), any::<u8>()), 0..6),
    ) {
        check_any(&mutate(Payload::all()[which].1.bytes(), &mutations))?;
    }

    #[test]
    fn strings_of_digits_are_judged_as_the_naive_way_does(text in "[0-9 x-]{0,3}[0-9]{1,8}[ -]?[0-9]{4,8}[ -]?[0-9]{0,6}[ -]{0,2}[0-9a]{0,19}[.]?") {
        let payload = Payload::transaction().set("note", &format!("\"{text}\"")).bytes();
        let found = read(&payload).err().map(|refusal| refusal.code) == Some(RefusalCode::CardNumber);
        prop_assert_eq!(found, naive_card_number(&text));
        let masked = mask_card_numbers(text.as_bytes());
        prop_assert_eq!(matches!(masked, Cow::Owned(_)), found);
        prop_assert!(!naive_card_number(&String::from_utf8_lossy(&masked)));
        check_any(&payload)?;
    }

    /// Encodings within encodings, next to each other and cut anywhere: what is masked once holds nothing more.
    #[test]
    fn masking_leaves_nothing_in_any_mix_of_encodings(
        pieces in prop::collection::vec(prop::sample::select(ENCODED), 1..8),
        (cut, in_json) in (0_usize..60, any::<bool>()),
    ) {
        let text: Vec<u8> = pieces.concat();
        let text = &text[cut.min(text.len())..];
        check_any(text)?;
        if in_json && let Ok(text) = std::str::from_utf8(text) {
            let note = serde_json::Value::from(text).to_string();
            check_any(&Payload::transaction().set("note", &note).bytes())?;
        }
    }

    #[test]
    fn a_uuid_is_never_a_card_number(bits in any::<u128>(), decimal in any::<bool>()) {
        // Half of them of decimal digits only, which is where chance could strike.
        let hex = if decimal { format!("{:032}", bits % 10u128.pow(32)) } else { format!("{bits:032x}") };
        let uuid = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
        let payload = Payload::transaction().set("event_id", &format!("\"{uuid}\"")).bytes();
        prop_assert!(read(&payload).is_ok());
        prop_assert!(matches!(mask_card_numbers(&payload), Cow::Borrowed(_)));
    }
}
