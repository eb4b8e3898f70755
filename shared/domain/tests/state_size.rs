//! How much a state takes: typical cards fit a write unit, and nothing outgrows an item.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

use std::time::Instant;

use lab::typical;
use tidemark_domain::history::History;

#[test]
fn sixty_typical_events_fit_one_write_unit() {
    for (events, largest) in typical::run() {
        let sizes = typical::measure(events);
        let mean = sizes.iter().sum::<usize>() / sizes.len();
        println!(
            "{events} events: {mean} bytes on average, at most {largest} of {} cards",
            sizes.len()
        );
        if events <= 60 {
            assert!(
                largest + typical::ITEM_BYTES <= 1024,
                "a card of {events} events takes {largest} bytes"
            );
        }
    }
}

/// Not an assertion on time: `cargo test -p tidemark-domain --test all state_size -- --nocapture` prints it.
#[test]
#[allow(clippy::disallowed_methods)] // a stop watch
fn speed_of_the_codec() {
    let states: Vec<History> = (0..10).map(|seed| typical::typical_card(60, seed)).collect();
    let (mut bytes, rounds) = (0, 2_000);
    let start = Instant::now();
    for _ in 0..rounds {
        bytes += states.iter().map(|state| state.encode().len()).sum::<usize>();
    }
    println!("encode of 60 events: {:?}", start.elapsed() / (rounds * 10));
    let encoded: Vec<Vec<u8>> = states.iter().map(History::encode).collect();
    let start = Instant::now();
    for _ in 0..rounds {
        bytes += encoded
            .iter()
            .map(|bytes| History::decode(bytes).unwrap().entries().len())
            .sum::<usize>();
    }
    println!("decode of 60 events: {:?}", start.elapsed() / (rounds * 10));
    assert!(bytes > 0);
}
