//! The table of prices that a month is told with.

use std::collections::BTreeMap;

use terminal::error::CliError;

/// A name, US dollars, and for what: us-east-1, as AWS's pricing pages had them in November 2026.
pub const PRICES: [(&str, f64, &str); 20] = [
    ("write_units", 0.625, "a million DynamoDB write units, on demand"),
    ("read_units", 0.125, "a million DynamoDB read units, on demand"),
    ("table_gb_month", 0.25, "a GB of the table, a month"),
    ("backup_gb_month", 0.20, "a GB of point-in-time recovery, a month"),
    ("requests", 0.20, "a million Lambda requests"),
    ("gb_second", 0.000_016_666_7, "a GB-second of Lambda"),
    (
        "put_gb",
        0.08,
        "a GB put into an on-demand stream, each record rounded up to whole KiB",
    ),
    ("get_gb", 0.04, "a GB read from an on-demand stream"),
    ("stream_hour", 0.04, "an hour of an on-demand stream"),
    (
        "retained_gb_month",
        0.10,
        "a GB that an on-demand stream keeps beyond a day, a month",
    ),
    ("shard_hour", 0.015, "an hour of a provisioned shard"),
    ("put_units", 0.014, "a million put payload units of 25 KB, provisioned"),
    (
        "retained_shard_hour",
        0.02,
        "an hour of a provisioned shard that keeps records beyond a day",
    ),
    (
        "fan_out_on_demand_gb",
        0.05,
        "a GB that an on-demand stream's enhanced fan-out gives",
    ),
    (
        "fan_out_shard_hour",
        0.015,
        "an hour of enhanced fan-out of a provisioned shard",
    ),
    (
        "fan_out_gb",
        0.013,
        "a GB that a provisioned stream's enhanced fan-out gives",
    ),
    ("log_gb", 0.50, "a GB of logs taken in"),
    ("metric_month", 0.30, "a custom metric, a month"),
    ("alarm_month", 0.10, "an alarm on one metric, a month"),
    ("messages", 0.40, "a million SQS requests"),
];

/// Prices by their names.
#[derive(Clone, Debug)]
pub struct PriceTable(BTreeMap<&'static str, f64>);

impl PriceTable {
    /// The table, with the prices that differ, as `name=dollars` with commas between.
    ///
    /// # Errors
    /// The first pair that is none.
    pub fn parse(text: &str) -> Result<Self, CliError> {
        let mut table: BTreeMap<&'static str, f64> = PRICES.iter().map(|(name, usd, _)| (*name, *usd)).collect();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let read = pair
                .split_once('=')
                .and_then(|(name, usd)| Some((name.trim(), usd.trim().parse::<f64>().ok()?)));
            let read = read.filter(|(_, usd)| usd.is_finite() && *usd >= 0.0);
            let entry = read.and_then(|(name, usd)| Some((PRICES.iter().find(|(known, ..)| *known == name)?.0, usd)));
            let Some((name, usd)) = entry else {
                let names: Vec<&str> = PRICES.iter().map(|(name, ..)| *name).collect();
                return Err(CliError::usage(
                    "cost_prices",
                    format!("{pair:?} is no price"),
                    format!(
                        "Write name=dollars with commas between; the names are {}.",
                        names.join(", ")
                    ),
                ));
            };
            table.insert(name, usd);
        }
        Ok(Self(table))
    }

    /// A price, US dollars.
    #[must_use]
    pub fn usd(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_named_and_what_is_none_is_refused() {
        let table = PriceTable::parse("write_units=1.25, stream_hour=0").unwrap();
        assert!((table.usd("write_units") - 1.25).abs() < 1e-9 && table.usd("stream_hour").abs() < 1e-9);
        assert!((table.usd("read_units") - 0.125).abs() < 1e-9);
        for bad in [
            "write_units",
            "gold=1",
            "write_units=-1",
            "write_units=NaN",
            "write_units=x",
        ] {
            let error = PriceTable::parse(bad).unwrap_err();
            assert!(
                error.code == "cost_prices" && error.what.contains(bad),
                "{bad}: {}",
                error.what
            );
        }
    }

    #[test]
    fn what_the_functions_count_with_has_the_same_prices_here() {
        let ours = PriceTable::parse("").unwrap();
        let theirs = tidemark_telemetry::price::Prices::default();
        for (name, usd) in [
            ("write_units", theirs.write_units_million_usd),
            ("read_units", theirs.read_units_million_usd),
            ("requests", theirs.requests_million_usd),
            ("gb_second", theirs.gb_second_usd),
            ("put_gb", theirs.put_gb_usd),
        ] {
            assert!((ours.usd(name) - usd).abs() < 1e-12, "{name}");
        }
    }

    #[test]
    fn the_page_has_the_table() {
        let page = include_str!("../../../../docs/reference/cost.md");
        for (name, usd, what) in PRICES {
            let row = page.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
            let row = row.unwrap_or_else(|| panic!("{name} is not on the page"));
            let told: f64 = row.split('|').nth(2).unwrap().trim().parse().unwrap();
            assert!((told - usd).abs() < 1e-12 && row.contains(what), "{row}");
        }
    }
}
