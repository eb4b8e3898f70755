//! The ways in which records can come to the function, side by side.

use serde::Serialize;

use super::card::CardUse;
use super::plan::{Assumed, Load, POLL_SECONDS, PUSH_SECONDS, StreamMode, month};
use super::prices::PriceTable;

/// A way in which records come to the function, and what it costs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Way {
    /// How.
    pub name: &'static str,
    /// The longest wait of a record for its invocation while the function keeps up, seconds.
    pub wait_seconds: f64,
    /// Invocations of a month.
    pub invocations: f64,
    /// Mean events of a batch.
    pub batch_events: f64,
    /// US dollars a month, all of it.
    pub usd: f64,
    /// Of these, what invocations, their time and their logs cost, and enhanced fan-out or the mapping's reads.
    pub usd_of_it: f64,
}

/// The ways in which records can come to the function.
#[must_use]
pub fn ways(load: &Load, used: &CardUse, assumed: &Assumed, prices: &PriceTable) -> [Way; 4] {
    let own = [
        "function, requests",
        "function, time",
        "logs",
        "streams, read",
        "streams, fan-out",
    ];
    [
        ("a look a second, no window", 0.0, false),
        ("a look a second, window of 1 s", 1.0, false),
        ("a look a second, window of 5 s", 5.0, false),
        ("enhanced fan-out, no window", 0.0, true),
    ]
    .map(|(name, window_seconds, fan_out)| {
        let load = Load {
            window_seconds,
            fan_out,
            ..*load
        };
        let month = month(&load, StreamMode::OnDemand, used, assumed, prices);
        let of_it = month.items.iter().filter(|item| own.contains(&item.name));
        Way {
            name,
            wait_seconds: window_seconds + if fan_out { PUSH_SECONDS } else { POLL_SECONDS },
            invocations: month.invocations,
            batch_events: month.batch_events,
            usd: month.usd,
            usd_of_it: of_it.map(|item| item.usd).sum(),
        }
    })
}
