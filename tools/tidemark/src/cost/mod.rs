//! `tidemark cost`: what a load costs a month, and which limits of an account it meets.

mod card;
mod plan;
mod prices;
mod text;
mod ways;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use terminal::error::{CliError, Exit};
use terminal::{files, ui};
use tidemark_engine::EngineConfig;
use tidemark_telemetry::Metric;

pub use card::CardUse;
pub use plan::{Assumed, Load, Month};
use plan::{StreamMode, month};
pub use prices::{PRICES, PriceTable};
pub use ways::Way;
use ways::ways;

/// The help below the options.
pub const HELP: &str = "What an event costs of the table is measured: typical cards go through the engine, for as long as the policy keeps their events.\nAll else is arithmetic on a table of prices (us-east-1); docs/reference/cost.md has the prices, their names and the formulas.\n\nExamples:\n  tidemark cost --rate 2000 --cards 3e6 --events-per-card-day 2\n  tidemark cost --rate 100000 --json | jq '.months[].usd'\n  tidemark cost --rate 50 --prices write_units=0.705,put_gb=0.088";

const SECONDS_PER_DAY: f64 = 86_400.0;
/// Alarms on metrics in infra/observability.yaml; composite ones are left out.
const ALARMS: f64 = 40.0;

/// Arguments of `cost`.
#[derive(Debug, Args)]
pub struct CostArgs {
    /// Events a second at the peak
    #[arg(long, value_parser = positive)]
    pub rate: f64,
    /// Cards that have events, such as 3e6 [default: as many as make the peak rate the average]
    #[arg(long, value_parser = positive)]
    pub cards: Option<f64>,
    /// Events of a card in a day
    #[arg(long, default_value_t = 2.0, value_parser = positive)]
    pub events_per_card_day: f64,
    /// A policy file (TOML) [default: the built-in policy]
    #[arg(long)]
    pub policy: Option<PathBuf>,
    /// Prices that differ, as name=dollars with commas between
    #[arg(long, default_value = "", value_name = "PRICES")]
    pub prices: String,
    /// The mapping's batching window, seconds
    #[arg(long, default_value_t = 0.0, value_parser = not_negative)]
    pub window_seconds: f64,
    /// Most records of a batch
    #[arg(long, default_value_t = 500.0, value_parser = positive)]
    pub batch_records: f64,
    /// Memory of the function, MiB
    #[arg(long, default_value_t = 1_024.0, value_parser = positive)]
    pub memory_mib: f64,
    /// How long the streams keep records, hours
    #[arg(long, default_value_t = 168.0, value_parser = positive)]
    pub retention_hours: f64,
    /// The mapping reads by enhanced fan-out
    #[arg(long)]
    pub fan_out: bool,
    /// Assumed time of a call of a service, ms
    #[arg(long, default_value_t = 8.0, value_parser = not_negative)]
    pub call_ms: f64,
    /// Assumed processor time of an event on a whole core, ms
    #[arg(long, default_value_t = 0.2, value_parser = not_negative)]
    pub event_ms: f64,
    /// Assumed log of an invocation, bytes
    #[arg(long, default_value_t = 3_000.0, value_parser = not_negative)]
    pub log_bytes: f64,
    /// Assumed share of events that are refused, 0 to 1
    #[arg(long, default_value_t = 0.001, value_parser = not_negative)]
    pub refused_share: f64,
}

/// What is told.
#[derive(Clone, Debug, Serialize)]
pub struct CostReport {
    /// The load.
    pub load: Load,
    /// What is assumed.
    pub assumed: Assumed,
    /// What was measured.
    pub card: CardUse,
    /// A month with streams on demand, and one with provisioned ones.
    pub months: Vec<Month>,
    /// The ways in which records can come to the function, with streams on demand.
    pub ways: Vec<Way>,
}

/// Measures, reckons and tells.
///
/// # Errors
/// `cost_load` when the cards have more events than the peak rate says; `cost_prices`, `policy_file` and what a policy's problems are.
pub fn run(args: &CostArgs, json: bool) -> Result<Exit, CliError> {
    let policy = files::policy(args.policy.as_deref())?;
    let prices = PriceTable::parse(&args.prices)?;
    let load = load(args)?;
    let assumed = assumed(args);
    let card = card::measure(&policy, load.events_per_card_day)?;
    let modes = [StreamMode::OnDemand, StreamMode::Provisioned];
    let months = modes.map(|mode| month(&load, mode, &card, &assumed, &prices)).to_vec();
    let ways = ways(&load, &card, &assumed, &prices).to_vec();
    let report = CostReport {
        ways,
        load,
        assumed,
        card,
        months,
    };
    ui::out(&ui::json_or(json, &report, text::render)?);
    Ok(Exit::Ok)
}

fn assumed(args: &CostArgs) -> Assumed {
    Assumed {
        call_ms: args.call_ms,
        event_ms: args.event_ms,
        log_bytes: args.log_bytes,
        refused_share: args.refused_share,
    }
}

fn load(args: &CostArgs) -> Result<Load, CliError> {
    let engine = EngineConfig::default();
    let cards = args
        .cards
        .unwrap_or(args.rate * SECONDS_PER_DAY / args.events_per_card_day);
    let load = Load {
        peak_rate: args.rate,
        cards,
        events_per_card_day: args.events_per_card_day,
        window_seconds: args.window_seconds,
        batch_records: args.batch_records,
        memory_mib: args.memory_mib,
        warm_cards: engine.cache_cards_max as f64,
        commits_concurrent: engine.commits_concurrent_max as f64,
        retention_hours: args.retention_hours,
        fan_out: args.fan_out,
        metrics: Metric::ALL.len() as f64,
        alarms: ALARMS,
    };
    // A rounded number of cards is no contradiction.
    if load.mean_rate() > load.peak_rate * 1.01 {
        return Err(CliError::usage(
            "cost_load",
            format!(
                "{} cards of {} events a day are {:.1} events a second on average, more than the peak of {}",
                args.cards.unwrap_or_default(),
                args.events_per_card_day,
                load.mean_rate(),
                args.rate
            ),
            "Raise --rate to what the peak is, or lower --cards or --events-per-card-day.",
        ));
    }
    Ok(load)
}

fn positive(text: &str) -> Result<f64, String> {
    number(text)
        .filter(|value| *value > 0.0)
        .ok_or_else(|| "expected a number above 0, such as 2000 or 3e6".to_owned())
}

fn not_negative(text: &str) -> Result<f64, String> {
    number(text)
        .filter(|value| *value >= 0.0)
        .ok_or_else(|| "expected a number from 0 on".to_owned())
}

fn number(text: &str) -> Option<f64> {
    text.parse::<f64>()
        .ok()
        .filter(|value| value.is_finite() && *value <= 1e15)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;
    use tidemark_domain::policy::Policy;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: CostArgs,
    }

    fn args(line: &str) -> CostArgs {
        Line::try_parse_from(std::iter::once("cost").chain(line.split(' ')))
            .unwrap()
            .args
    }

    #[test]
    fn without_cards_the_peak_is_the_average_and_more_cards_than_that_are_refused() {
        let all_day = load(&args("--rate 2000")).unwrap();
        assert!((all_day.mean_rate() - 2_000.0).abs() < 1e-6 && (all_day.cards - 86.4e6).abs() < 1.0);
        let peak = load(&args("--rate 2000 --cards 3e6 --events-per-card-day 2")).unwrap();
        assert!((peak.mean_rate() - 69.44).abs() < 0.01);
        let error = load(&args("--rate 10 --cards 3e6")).unwrap_err();
        assert!(
            error.code == "cost_load" && error.what.contains("69.4"),
            "{}",
            error.what
        );
    }

    /// The page's table of ways is what the command says: who changes a price or a formula writes the rows that this test asks for.
    #[test]
    fn the_page_has_what_each_way_costs() {
        let page = include_str!("../../../../docs/reference/cost.md");
        let (policy, prices) = (Policy::default_policy(), PriceTable::parse("").unwrap());
        let mut rows = 0;
        for rate in [1, 100, 10_000] {
            let args = args(&format!("--rate {rate}"));
            let assumed = assumed(&args);
            let card = card::measure(&policy, args.events_per_card_day).unwrap();
            for way in ways(&load(&args).unwrap(), &card, &assumed, &prices) {
                let (usd, of_it) = (text::money(way.usd), text::money(way.usd_of_it));
                let (name, wait, events) = (way.name, way.wait_seconds, way.batch_events);
                let rate = ui::grouped(rate);
                let row = format!("| {rate} | {name} | {wait:.2} | {events:.1} | {usd} | {of_it} |\n");
                assert!(page.contains(&row), "docs/reference/cost.md has no row {row}");
                rows += 1;
            }
        }
        assert_eq!(
            page.matches(" | a look a second").count() + page.matches(" | enhanced fan-out, no").count(),
            rows
        );
    }

    #[test]
    fn as_many_alarms_are_paid_as_there_are() {
        let template = include_str!("../../../../infra/observability.yaml");
        assert_eq!(template.matches("Type: AWS::CloudWatch::Alarm").count() as f64, ALARMS);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for bad in ["--rate 0", "--rate NaN", "--rate 1e99", "--rate 5 --call-ms -1"] {
            assert!(
                Line::try_parse_from(std::iter::once("cost").chain(bad.split(' '))).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn the_text_has_both_bills_and_the_limits() {
        let report = CostReport {
            load: load(&args("--rate 60000 --events-per-card-day 5")).unwrap(),
            assumed: Assumed {
                call_ms: 8.0,
                event_ms: 0.2,
                log_bytes: 3_000.0,
                refused_share: 0.001,
            },
            card: CardUse {
                write_units: 1.2,
                cold_read_units: 1.0,
                stored_bytes: 900.0,
                record_bytes: 400.0,
                outcome_bytes: 300.0,
                ..CardUse::default()
            },
            months: Vec::new(),
            ways: Vec::new(),
        };
        let prices = PriceTable::parse("").unwrap();
        let months = [StreamMode::OnDemand, StreamMode::Provisioned];
        let months = months
            .map(|mode| month(&report.load, mode, &report.card, &report.assumed, &prices))
            .to_vec();
        let ways = ways(&report.load, &report.card, &report.assumed, &prices).to_vec();
        let text = text::render(&CostReport { months, ways, ..report });
        for part in [
            "streams on demand",
            "streams provisioned",
            "table, writes",
            "ask for a higher",
            "Assumed, not measured",
            "no window",
            "enhanced fan-out",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
