//! Writes events as a producer would: its own JSON text, not the contract's encoder, so that the decoder meets a stranger.

use std::fmt::Write as _;

use super::draft::{Draft, LabelDraft, ProfileDraft};
use super::links::{Ip, Linked};
use super::world::{CITIES, Merchant};

/// One transaction in so many carries a field that the contract doesn't know.
const UNKNOWN_FIELD_EVERY: u32 = 50;
/// One merchant in so many has a letter outside ASCII in its name.
const ACCENTED_MERCHANT_EVERY: u16 = 37;
/// Letters in a run's tag.
const TAG_LETTERS: usize = 6;

/// Names of cards, events and merchants in a run. They carry a tag of letters that follows from the seed, so that runs
/// with different seeds can share a table; and no long run of digits, which might look like a card number.
pub(super) struct Names {
    tag: [u8; TAG_LETTERS],
}

impl Names {
    pub(super) fn new(seed: u64) -> Self {
        let mut tag = [b'a'; TAG_LETTERS];
        let mut rest = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ seed;
        for letter in &mut tag {
            *letter = b'a' + u8::try_from(rest % 26).unwrap_or(0);
            rest /= 26;
        }
        Self { tag }
    }

    fn tag(&self) -> &str {
        std::str::from_utf8(&self.tag).unwrap_or_default()
    }

    pub(super) fn card(&self, card: u32) -> String {
        format!("card-{}-{card:06}", self.tag())
    }

    pub(super) fn event(&self, number: u32) -> String {
        format!("txn-{}-{number:08}", self.tag())
    }

    pub(super) fn broken(&self, fault: usize, variant: u32) -> String {
        format!("bad-{}-{fault}-{variant}", self.tag())
    }
}

/// A transaction's JSON, of version 3 where it has links.
pub(super) fn transaction(names: &Names, number: u32, draft: &Draft, linked: Option<&Linked>) -> Vec<u8> {
    let city = &CITIES[usize::from(draft.merchant.city)];
    let mut text = String::with_capacity(400);
    let version = match linked {
        Some(_) => 3,
        None if draft.legacy => 1,
        None => 2,
    };
    // Writing into a String can't fail.
    let _ = write!(
        text,
        "{{\"schema\":\"transaction\",\"version\":{version},\"event_id\":\"txn-{tag}-{number:08}\",\
         \"card_id\":\"card-{tag}-{card:06}\",\"occurred_at_ms\":{time},\"amount_minor\":{amount},\
         \"currency\":\"{currency}\",\"merchant_id\":\"",
        tag = names.tag(),
        card = draft.card,
        time = draft.occurred_ms,
        amount = draft.amount_minor,
        currency = city.currency,
    );
    merchant(&mut text, draft.merchant, number);
    let _ = write!(
        text,
        "\",\"mcc\":{mcc},\"country\":\"{country}\",\"channel\":\"{channel}\",\"approved\":{approved}",
        mcc = draft.mcc,
        country = city.country,
        channel = draft.channel.as_str(),
        approved = draft.approved,
    );
    device(&mut text, draft);
    if let Some((latitude, longitude)) = draft.place_e4 {
        text.push_str(",\"latitude\":");
        degrees(&mut text, latitude);
        text.push_str(",\"longitude\":");
        degrees(&mut text, longitude);
    }
    if let Some(linked) = linked {
        links(&mut text, names, linked);
        let _ = write!(text, ",\"account_opened_at_ms\":{}", linked.opened_at_ms);
    }
    if number % UNKNOWN_FIELD_EVERY == 7 {
        text.push_str(",\"loyalty\":{\"tier\":\"gold\",\"points\":[1,2,3]}");
    }
    text.push('}');
    text.into_bytes()
}

fn device(text: &mut String, draft: &Draft) {
    if let Some(device) = draft.device {
        let _ = match device {
            0..=2 => write!(text, ",\"device_id\":\"dev-{}-{device}\"", draft.card),
            _ => write!(text, ",\"device_id\":\"dev-x{device}\""),
        };
    }
}

fn links(text: &mut String, names: &Names, linked: &Linked) {
    let tag = names.tag();
    text.push_str(",\"links\":{");
    let _ = match linked.ip {
        Some(Ip::Home(number)) => write!(text, "\"ip\":\"ip-{tag}-{number}\","),
        Some(Ip::Away(number)) => write!(text, "\"ip\":\"ip-x{number}\","),
        None => Ok(()),
    };
    let _ = write!(text, "\"account\":\"acct-{tag}-{}\"}}", linked.account);
}

fn merchant(text: &mut String, merchant: Merchant, number: u32) {
    let _ = write!(text, "shop-{}-{}", merchant.city, merchant.number);
    if merchant.number % ACCENTED_MERCHANT_EVERY == 5 {
        // The same name in two spellings: both must give the same merchant.
        text.push_str(if number.is_multiple_of(2) {
            "-café"
        } else {
            "-caf\\u00e9"
        });
    }
}

/// Ten-thousandths of a degree as a decimal number.
fn degrees(text: &mut String, e4: i32) {
    let (sign, value) = (if e4 < 0 { "-" } else { "" }, e4.unsigned_abs());
    let _ = write!(text, "{sign}{}.{:04}", value / 10_000, value % 10_000);
}

/// A profile's JSON.
pub(super) fn profile(names: &Names, country: &str, draft: &ProfileDraft) -> Vec<u8> {
    format!(
        "{{\"schema\":\"profile\",\"version\":1,\"card_id\":\"{card}\",\"profile_version\":{version},\
         \"usual_country\":\"{country}\",\"spend_mean_minor\":{mean},\"spend_deviation_minor\":{deviation},\
         \"transactions_per_day\":{per_day},\"account_opened_at_ms\":{opened}}}",
        card = names.card(draft.card),
        version = draft.version,
        mean = draft.mean_minor,
        deviation = draft.deviation_minor,
        per_day = draft.per_day,
        opened = draft.opened_at_ms,
    )
    .into_bytes()
}

/// A label's JSON; `of` is its event with its links, where that was sent.
pub(super) fn label(names: &Names, draft: &LabelDraft, of: Option<(&Draft, Option<Linked>)>) -> Vec<u8> {
    let named = of.filter(|_| draft.names_event);
    let mut text = format!(
        "{{\"schema\":\"label\",\"version\":{version},\"event_id\":\"{event}\",\"card_id\":\"{card}\",\
         \"verdict\":\"{verdict}\",\"known_since_ms\":{since}",
        version = if named.is_some() { 2 } else { 1 },
        event = names.event(draft.of),
        card = names.card(draft.card),
        verdict = if draft.fraud { "fraud" } else { "cleared" },
        since = draft.known_since_ms,
    );
    if let Some((event, linked)) = named {
        // Writing into a String can't fail.
        let _ = write!(text, ",\"occurred_at_ms\":{},\"merchant_id\":\"", event.occurred_ms);
        merchant(&mut text, event.merchant, draft.of);
        text.push('"');
        device(&mut text, event);
        if let Some(linked) = linked {
            links(&mut text, names, &linked);
        }
    }
    text.push('}');
    text.into_bytes()
}
