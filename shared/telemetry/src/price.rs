//! What a batch cost, from what it consumed and a table of prices.

use std::fmt;

/// Prices in US dollars. The defaults are those of us-east-1, on demand; put your own region's and contract's
/// (`TIDEMARK_PRICES`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prices {
    /// A million DynamoDB write units.
    pub write_units_million_usd: f64,
    /// A million DynamoDB read units.
    pub read_units_million_usd: f64,
    /// A million Lambda requests.
    pub requests_million_usd: f64,
    /// A GB-second of Lambda.
    pub gb_second_usd: f64,
    /// A GB put into the scores stream.
    pub put_gb_usd: f64,
}

impl Default for Prices {
    fn default() -> Self {
        Self {
            write_units_million_usd: 0.625,
            read_units_million_usd: 0.125,
            requests_million_usd: 0.20,
            gb_second_usd: 0.000_016_666_7,
            put_gb_usd: 0.08,
        }
    }
}

/// A table of prices that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceProblem(pub String);

impl fmt::Display for PriceProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Prices, and the memory that a function's time is charged with.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tariff {
    /// The table of prices.
    pub prices: Prices,
    /// Memory of the function, MiB; 0 when it is not known (outside Lambda), and then time costs nothing.
    pub memory_mib: u32,
}

impl Tariff {
    /// The price of one invocation, in millionths of a dollar; the memory is the tariff's.
    #[must_use]
    pub fn cost_microusd(&self, consumed: Consumed) -> f64 {
        self.prices.cost_microusd(&Consumed {
            memory_mib: f64::from(self.memory_mib),
            ..consumed
        })
    }
}

/// What a batch consumed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Consumed {
    /// DynamoDB write units.
    pub write_units: f64,
    /// DynamoDB read units.
    pub read_units: f64,
    /// Time in the function, ms.
    pub duration_ms: f64,
    /// Memory of the function, MiB; 0 when it is not known (outside Lambda), and then time costs nothing.
    pub memory_mib: f64,
    /// KiB of the outcomes put, each record's bytes rounded up to whole ones: so an on-demand stream bills them (Kinesis Data Streams
    /// pricing, "Data-In").
    pub put_kib: f64,
}

const MILLION: f64 = 1_000_000.0;
const MS_PER_SECOND: f64 = 1_000.0;
const MIB_PER_GB: f64 = 1_024.0;
const KIB_PER_GB: f64 = 1_048_576.0;

impl Prices {
    /// The names in a table, in the order of the reference.
    pub const NAMES: [&'static str; 5] = ["write_units", "read_units", "requests", "gb_second", "put_gb"];

    /// Reads `name=dollars` pairs with commas between; what is not named keeps its default.
    ///
    /// # Errors
    /// The first pair that can't be read, with what was expected.
    pub fn parse(text: &str) -> Result<Self, PriceProblem> {
        let mut prices = Self::default();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let expected = || {
                let names = Self::NAMES.join(", ");
                PriceProblem(format!("expected name=dollars with one of {names}, found {pair:?}"))
            };
            let (name, dollars) = pair.split_once('=').ok_or_else(expected)?;
            let dollars: f64 = dollars.trim().parse().map_err(|_| expected())?;
            if !dollars.is_finite() || dollars < 0.0 {
                return Err(expected());
            }
            let field = match name.trim() {
                "write_units" => &mut prices.write_units_million_usd,
                "read_units" => &mut prices.read_units_million_usd,
                "requests" => &mut prices.requests_million_usd,
                "gb_second" => &mut prices.gb_second_usd,
                "put_gb" => &mut prices.put_gb_usd,
                _ => return Err(expected()),
            };
            *field = dollars;
        }
        Ok(prices)
    }

    /// The price of one invocation that consumed this, in millionths of a dollar. So a batch's cost divided by its outcomes
    /// is the cost of a million outcomes in dollars.
    #[must_use]
    pub fn cost_microusd(&self, consumed: &Consumed) -> f64 {
        let gb_seconds = consumed.duration_ms / MS_PER_SECOND * consumed.memory_mib / MIB_PER_GB;
        consumed.write_units * self.write_units_million_usd
            + consumed.read_units * self.read_units_million_usd
            + self.requests_million_usd
            + gb_seconds * self.gb_second_usd * MILLION
            + consumed.put_kib / KIB_PER_GB * self.put_gb_usd * MILLION
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_write_units_cost_their_price() {
        let consumed = Consumed {
            write_units: MILLION,
            ..Consumed::default()
        };
        let cost = Prices::default().cost_microusd(&consumed);
        // Dollars to millionths, and the one request.
        assert!((cost - (0.625 * MILLION + 0.2)).abs() < 1e-6, "{cost}");
    }

    #[test]
    fn time_and_bytes_cost_too() {
        let consumed = Consumed {
            duration_ms: 2_000.0,
            memory_mib: 512.0,
            put_kib: KIB_PER_GB / 2.0,
            ..Consumed::default()
        };
        let cost = Prices::default().cost_microusd(&consumed);
        assert!((cost - (0.2 + 16.666_7 + 40_000.0)).abs() < 1e-6, "{cost}");
    }

    #[test]
    fn a_table_names_what_it_changes_and_refuses_the_rest() {
        let prices = Prices::parse(" write_units=1.5, put_gb=0 ").unwrap();
        assert!((prices.write_units_million_usd - 1.5).abs() < f64::EPSILON && prices.put_gb_usd.abs() < f64::EPSILON);
        assert!((prices.read_units_million_usd - Prices::default().read_units_million_usd).abs() < f64::EPSILON);
        assert_eq!(Prices::parse(""), Ok(Prices::default()));
        for wrong in [
            "write_units",
            "writes=1",
            "read_units=-1",
            "requests=NaN",
            "gb_second=x",
        ] {
            assert!(Prices::parse(wrong).unwrap_err().0.contains("expected"), "{wrong}");
        }
    }
}
