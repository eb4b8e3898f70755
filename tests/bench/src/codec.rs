//! A card's state read, and written in each way: what one call of each takes, by the instructions in a profile.

use std::hint::black_box;
use std::time::{Duration, Instant};

use lab::typical::typical_card;
use tidemark_domain::event::{Channel, Country, Currency, Links, Transaction};
use tidemark_domain::fold::fold_transaction;
use tidemark_domain::history::History;
use tidemark_domain::id::{CardId, EventId, MerchantId};
use tidemark_domain::model::ProfileInput;
use tidemark_domain::policy::Policy;

/// Events of a card, unless another number is asked for: as many as the handler's cards keep.
pub const EVENTS: usize = 74;
/// Cards whose histories differ.
const CARDS: u64 = 20;
/// Calls for each card.
const ROUNDS: u32 = 10;
/// Calls of each kind.
pub const CALLS: u32 = CARDS as u32 * ROUNDS;
/// What is called; in a profile these are `codec_decode` and so on.
pub const CALLED: [&str; 4] = ["decode", "decode_noted", "encode", "encode_again"];

/// Time from a card's last event to the one that comes before its state is written again, milliseconds: half a day.
const STEP_MS: i64 = 43_200_000;

/// Reads and writes the states of typical cards of so many events, and tells.
pub fn run(events: usize) -> Result<String, String> {
    let policy = Policy::default_policy();
    let mut spent = [Duration::ZERO; 4];
    for card in 0..CARDS {
        let bytes = typical_card(events, card).encode();
        for _ in 0..ROUNDS {
            let read = timed(&mut spent[0], || codec_decode(&bytes));
            let noted = timed(&mut spent[1], || codec_decode_noted(&bytes));
            let (read, mut noted) = read
                .and_then(|read| Ok((read, noted?)))
                .map_err(|error| error.to_string())?;
            let plain = timed(&mut spent[2], || codec_encode(&read));
            let event = next_event(&noted).ok_or("no event can come to a card without one")?;
            fold_transaction(&mut noted, &event, ProfileInput::Absent, &policy);
            let again = timed(&mut spent[3], || codec_encode_again(&mut noted));
            if plain != bytes || again != noted.encode() {
                return Err("a state was written in two ways".to_owned());
            }
        }
    }
    let lines = CALLED.iter().zip(spent).map(|(name, spent)| {
        let micros = spent.as_secs_f64() * 1e6 / f64::from(CALLS);
        format!("{name:>13} {micros:>9.1} µs\n")
    });
    Ok(format!(
        "{CALLS} calls each, for states of {events} events\n{}",
        lines.collect::<String>()
    ))
}

/// The event that comes next to a card.
fn next_event(state: &History) -> Option<Transaction> {
    Some(Transaction {
        event_id: EventId::new("next")?,
        card_id: CardId::new("card-1")?,
        occurred_at_ms: state.entries().last()?.time_ms + STEP_MS,
        amount_minor: 2_000,
        currency: Currency::new("EUR")?,
        merchant_id: MerchantId::new("merchant-1")?,
        mcc: 5_411,
        country: Country::new("FR")?,
        channel: Channel::PointOfSale,
        approved: true,
        device_id: None,
        place: None,
        links: Links::NONE,
        account_opened_at_ms: None,
    })
}

#[allow(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn timed<T>(spent: &mut Duration, call: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let result = call();
    *spent += begin.elapsed();
    result
}

type Decoded = Result<History, tidemark_domain::history::CodecError>;

// On their own, so that a profile tells them apart.

#[inline(never)]
fn codec_decode(bytes: &[u8]) -> Decoded {
    History::decode(black_box(bytes))
}

#[inline(never)]
fn codec_decode_noted(bytes: &[u8]) -> Decoded {
    History::decode_noted(black_box(bytes))
}

#[inline(never)]
fn codec_encode(state: &History) -> Vec<u8> {
    black_box(state).encode()
}

/// An event came meanwhile.
#[inline(never)]
fn codec_encode_again(state: &mut History) -> Vec<u8> {
    black_box(state).encode_again()
}
