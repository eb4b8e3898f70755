//! Which column is which field: by its name and by what its values have in common.

use tidemark_domain::event::{Country, Currency, MCC_MAX};

use super::Looked;
use super::facts::Facts;
use super::words;

/// Values that are few enough to be listed.
pub(crate) const LISTED_MAX: usize = 20;

/// The columns that were guessed, by their places.
#[derive(Debug, Default)]
pub(crate) struct Guesses {
    pub(crate) event_id: Option<usize>,
    pub(crate) card_id: Option<usize>,
    pub(crate) occurred_at_ms: Option<usize>,
    pub(crate) amount_minor: Option<usize>,
    pub(crate) currency: Option<usize>,
    pub(crate) merchant_id: Option<usize>,
    pub(crate) mcc: Option<usize>,
    pub(crate) country: Option<usize>,
    pub(crate) channel: Option<usize>,
    pub(crate) approved: Option<usize>,
    pub(crate) device_id: Option<usize>,
    pub(crate) ip: Option<usize>,
    pub(crate) place: Option<(usize, usize)>,
    pub(crate) verdict: Option<usize>,
    pub(crate) known_since_ms: Option<usize>,
}

/// Guesses each field; a column is one field at most.
pub(crate) fn guess(looked: &Looked) -> Guesses {
    let mut hunt = Hunt {
        columns: &looked.columns,
        taken: vec![false; looked.columns.len()],
    };
    // What tells most by its values comes first.
    let verdict = hunt.find(
        &["fraud", "isfraud", "fraudulent", "chargeback", "class", "label"],
        |facts| {
            facts
                .few(4)
                .is_some_and(|values| values.iter().all(|value| words::is_fraud(value).is_some()))
        },
    );
    let known_since_ms = hunt.find(&["known", "reported", "chargeback", "confirmed", "fraud"], |facts| {
        facts.times.guess().is_some()
    });
    let occurred_at_ms = hunt.find(
        &[
            "datetime",
            "timestamp",
            "occurred",
            "when",
            "time",
            "date",
            "ts",
            "created",
            "at",
            "seconds",
        ],
        |facts| facts.times.guess().is_some(),
    );
    let occurred_at_ms = occurred_at_ms.or_else(|| hunt.first(|facts| facts.times.guess().is_some()));
    let amount_minor = hunt.find(
        &[
            "amount", "amt", "montant", "betrag", "importe", "value", "total", "price", "sum", "cents",
        ],
        |facts| facts.amounts.is_numeric() && facts.times.guess().is_none(),
    );
    let currency = hunt.find(
        &["currency", "ccy", "cur", "curr", "devise", "waehrung", "whg"],
        |facts| facts.few(LISTED_MAX).is_some(),
    );
    let currency = currency.or_else(|| hunt.by_values(|value| Currency::new(&value.to_uppercase()).is_some()));
    let mcc = hunt.find(&["mcc", "category", "categorycode"], |facts| {
        is_mcc(facts) || facts.few(LISTED_MAX).is_some()
    });
    let place = (
        hunt.find(&["latitude", "lat"], |facts| facts.amounts.is_numeric()),
        hunt.find(&["longitude", "lon", "lng", "long"], |facts| facts.amounts.is_numeric()),
    );
    let ip = hunt.find(&["ip", "ipaddress"], |_| true);
    let device_id = hunt.find(&["device", "fingerprint"], |_| true);
    let country = hunt.find(&["country", "land", "pays", "ctry"], |facts| {
        facts.few(LISTED_MAX).is_some()
    });
    let country = country.or_else(|| hunt.by_values(|value| Country::new(&value.to_uppercase()).is_some()));
    let merchant_id = hunt.find(
        &[
            "merchant", "terminal", "shop", "store", "payee", "vendor", "acceptor", "dest",
        ],
        |_| true,
    );
    let channel = hunt.find(&["channel", "entry", "mode", "presence", "type"], |facts| {
        facts
            .few(LISTED_MAX)
            .is_some_and(|values| values.iter().any(|value| words::channel(value).is_some()))
    });
    let approved = hunt.find(
        &[
            "approved", "response", "resp", "status", "result", "auth", "declined", "outcome",
        ],
        |facts| {
            facts
                .few(LISTED_MAX)
                .is_some_and(|values| values.iter().any(|value| words::approved(value).is_some()))
        },
    );
    let card_id = hunt.find(
        &[
            "pan",
            "card",
            "cc",
            "cardnumber",
            "customer",
            "account",
            "user",
            "client",
            "orig",
        ],
        |facts| facts.filled > 0,
    );
    let card_id = card_id.or_else(|| hunt.first(|facts| facts.card_numbers * 2 > facts.filled));
    let event_id = hunt.find(
        &[
            "transaction",
            "txn",
            "tx",
            "trans",
            "event",
            "id",
            "reference",
            "ref",
            "rrn",
            "uuid",
            "nr",
            "number",
        ],
        |facts| facts.is_unique() && !facts.amounts.has_fraction,
    );
    Guesses {
        event_id,
        card_id,
        occurred_at_ms,
        amount_minor,
        currency,
        merchant_id,
        mcc,
        country,
        channel,
        approved,
        device_id,
        ip,
        place: place.0.zip(place.1),
        verdict,
        known_since_ms: known_since_ms.filter(|_| verdict.is_some()),
    }
}

/// Whether a column's values are codes of categories.
pub(crate) fn is_mcc(facts: &Facts) -> bool {
    facts.all(|value| {
        let whole = value.strip_suffix(".0").unwrap_or(value);
        whole.parse::<u16>().is_ok_and(|code| code <= MCC_MAX)
    })
}

struct Hunt<'c> {
    columns: &'c [Facts],
    taken: Vec<bool>,
}

impl Hunt<'_> {
    /// The column whose name has the best of these words, the first of which is the best; among those that pass.
    fn find(&mut self, names: &[&str], passes: impl Fn(&Facts) -> bool) -> Option<usize> {
        let rank = |facts: &Facts| {
            let glued = facts.words.concat();
            let is_named = |name: &str| {
                let is_word = facts.words.iter().any(|word| word == name) || glued == *name;
                // Two letters within a longer word mean nothing.
                is_word || (name.len() > 3 && glued.contains(name))
            };
            names
                .iter()
                .position(|name| is_named(name))
                .map(|rank| (rank, facts.words.len()))
        };
        let free = self
            .columns
            .iter()
            .enumerate()
            .filter(|(at, _)| !self.taken.get(*at).copied().unwrap_or(true));
        let ranked = free.filter_map(|(at, facts)| Some((rank(facts)?, at)).filter(|_| passes(facts)));
        let (_, at) = ranked.min()?;
        self.take(at)
    }

    /// The first column all of whose values are such, of which there are few.
    fn by_values(&mut self, is: impl Fn(&str) -> bool) -> Option<usize> {
        self.first(|facts| facts.few(LISTED_MAX).is_some() && facts.all(&is))
    }

    fn first(&mut self, is: impl Fn(&Facts) -> bool) -> Option<usize> {
        let mut free = self
            .columns
            .iter()
            .enumerate()
            .filter(|(at, _)| !self.taken.get(*at).copied().unwrap_or(true));
        let at = free
            .find(|(_, facts)| facts.filled > 0 && is(facts))
            .map(|(at, _)| at)?;
        self.take(at)
    }

    fn take(&mut self, at: usize) -> Option<usize> {
        *self.taken.get_mut(at)? = true;
        Some(at)
    }
}
