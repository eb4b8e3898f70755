//! A month's bill and its limits, from a load and from what an event was measured to cost. Pure.

use serde::Serialize;

use super::card::CardUse;
use super::prices::PriceTable;

/// Hours of a month: a twelfth of a year.
const HOURS: f64 = 730.0;
const SECONDS_PER_HOUR: f64 = 3_600.0;
const SECONDS_PER_DAY: f64 = 86_400.0;
const MILLION: f64 = 1e6;
const KIB: f64 = 1_024.0;
const KIB_PER_GB: f64 = 1_048_576.0;
const BYTES_PER_GB: f64 = 1_073_741_824.0;
/// What a shard takes in a second (Kinesis, quotas and limits).
const SHARD_RECORDS: f64 = 1_000.0;
/// Shards that an on-demand stream begins with: 4 MB a second.
const ON_DEMAND_SHARDS_MIN: f64 = 4.0;
/// An on-demand stream takes twice its peak of the last 30 days.
const ON_DEMAND_HEADROOM: f64 = 2.0;
/// Room that a provisioned stream is given over its peak.
const PROVISIONED_HEADROOM: f64 = 1.25;
/// Lambda polls each shard of a mapping once a second.
pub(super) const POLL_SECONDS: f64 = 1.0;
/// Enhanced fan-out pushes records some 70 ms after they came (Kinesis, enhanced fan-out consumers).
pub(super) const PUSH_SECONDS: f64 = 0.07;
/// Write units a second that a new account's on-demand table takes, and concurrent invocations of an account.
const TABLE_WRITE_UNITS_MAX: f64 = 40_000.0;
const ACCOUNT_CONCURRENCY_MAX: f64 = 1_000.0;
/// Write units a second of one partition, so of one card.
const PARTITION_WRITE_UNITS_MAX: f64 = 1_000.0;
/// Shards of an account in the largest regions, and in the others.
const ACCOUNT_SHARDS_MAX: f64 = 20_000.0;
/// Lambda's memory that has one whole core, MiB.
const CORE_MIB: f64 = 1_769.0;

/// What is assumed of time and of logs: nothing here was measured on AWS. Flags set each.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Assumed {
    /// A call of a service, ms.
    pub call_ms: f64,
    /// Processor time of an event on a whole core, ms.
    pub event_ms: f64,
    /// Bytes of log of an invocation.
    pub log_bytes: f64,
    /// Share of events that are refused.
    pub refused_share: f64,
}

/// The load, and how it is deployed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Load {
    /// Events a second at the peak.
    pub peak_rate: f64,
    /// Cards that have events.
    pub cards: f64,
    /// Events of a card in a day.
    pub events_per_card_day: f64,
    /// The mapping's batching window, seconds.
    pub window_seconds: f64,
    /// Most records of a batch.
    pub batch_records: f64,
    /// The function's memory, MiB.
    pub memory_mib: f64,
    /// Cards whose state a process keeps warm.
    pub warm_cards: f64,
    /// Writes of a batch that are under way at once.
    pub commits_concurrent: f64,
    /// How long the streams keep records, hours.
    pub retention_hours: f64,
    /// Whether the mapping reads by enhanced fan-out.
    pub fan_out: bool,
    /// Custom metrics.
    pub metrics: f64,
    /// Alarms.
    pub alarms: f64,
}

/// How the streams are paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamMode {
    /// By the GB.
    OnDemand,
    /// By the shard.
    Provisioned,
}

/// A line of the bill.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CostItem {
    /// The service and what of it.
    pub name: &'static str,
    /// US dollars a month.
    pub usd: f64,
    /// Of what it is made.
    pub of: String,
}

/// A limit, and the rate at which it breaks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Limit {
    /// What has the limit.
    pub name: &'static str,
    /// What the peak needs of it.
    pub needed: f64,
    /// What an account has of it unless somebody asks for more.
    pub quota: f64,
    /// What to do when it is not enough.
    pub advice: &'static str,
}

/// A month.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Month {
    /// How the streams are paid.
    pub mode: StreamMode,
    /// Events of the month.
    pub events: f64,
    /// Shards of the transactions stream.
    pub shards: f64,
    /// Invocations.
    pub invocations: f64,
    /// Mean events of a batch.
    pub batch_events: f64,
    /// Share of events whose card's state is not warm.
    pub cold_share: f64,
    /// How busy an invocation keeps its shard at the peak: above 1 it falls behind.
    pub peak_busy: f64,
    /// The bill.
    pub items: Vec<CostItem>,
    /// Its sum, US dollars.
    pub usd: f64,
    /// US dollars a million events.
    pub usd_per_million: f64,
    /// Events a second of one card at most: it is one partition of the table. Events of one batch share a write.
    pub card_rate_max: f64,
    /// The limits.
    pub limits: Vec<Limit>,
}

impl Load {
    /// Events a second on average.
    #[must_use]
    pub fn mean_rate(&self) -> f64 {
        self.cards * self.events_per_card_day / SECONDS_PER_DAY
    }

    fn shards(&self, mode: StreamMode, record_bytes: f64) -> f64 {
        let by_bytes = self.peak_rate * record_bytes / (KIB * KIB);
        let needed = (self.peak_rate / SHARD_RECORDS).max(by_bytes);
        match mode {
            StreamMode::OnDemand => (ON_DEMAND_HEADROOM * needed).ceil().max(ON_DEMAND_SHARDS_MIN),
            StreamMode::Provisioned => (PROVISIONED_HEADROOM * needed).ceil().max(1.0),
        }
    }

    /// Invocations a second of a shard with so many records a second: it is looked at once a cycle, and a look that finds something
    /// invokes (records come at random: Poisson), or as often as a full batch is together.
    fn invocations(&self, shard_rate: f64) -> f64 {
        let cycle = if self.fan_out {
            self.window_seconds.max(PUSH_SECONDS)
        } else {
            self.window_seconds.max(POLL_SECONDS)
        };
        let looks = (1.0 - (-shard_rate * cycle).exp()) / cycle;
        looks.max(shard_rate / self.batch_records)
    }

    /// Time of an invocation with so many events, ms: it loads, commits cards side by side, and sends; the calls wait, the events work.
    fn invocation_ms(&self, events: f64, cold_share: f64, assumed: &Assumed) -> f64 {
        let loads = if cold_share > 0.0 { 1.0 } else { 0.0 };
        let calls = loads + (events / self.commits_concurrent).ceil() + 1.0;
        let cores = (self.memory_mib / CORE_MIB).min(1.0);
        calls * assumed.call_ms + events * assumed.event_ms / cores
    }
}

/// The month of a load.
#[must_use]
pub fn month(load: &Load, mode: StreamMode, used: &CardUse, assumed: &Assumed, prices: &PriceTable) -> Month {
    let events = load.mean_rate() * SECONDS_PER_HOUR * HOURS;
    let shards = load.shards(mode, used.record_bytes);
    let shard_rate = load.mean_rate() / shards;
    let invocations_a_second = load.invocations(shard_rate);
    let batch_events = shard_rate / invocations_a_second.max(f64::MIN_POSITIVE);
    let invocations = shards * invocations_a_second * SECONDS_PER_HOUR * HOURS;
    let cold_share = (1.0 - load.warm_cards * shards / load.cards.max(1.0)).clamp(0.0, 1.0);
    let seconds = invocations * load.invocation_ms(batch_events, cold_share, assumed) / 1e3;
    let peak_shard = load.peak_rate / shards;
    let peak_a_second = load.invocations(peak_shard);
    let peak_batch = peak_shard / peak_a_second.max(f64::MIN_POSITIVE);
    let peak_busy = peak_a_second * load.invocation_ms(peak_batch, cold_share, assumed) / 1e3;

    let mut items = streams(load, mode, shards, events, used, prices);
    items.extend(table(load, events, cold_share, used, prices));
    items.extend(compute(load, invocations, seconds, events, assumed, prices));
    let usd: f64 = items.iter().map(|item| item.usd).sum();
    Month {
        mode,
        events,
        shards,
        invocations,
        batch_events,
        cold_share,
        peak_busy,
        usd,
        usd_per_million: usd / (events / MILLION),
        card_rate_max: PARTITION_WRITE_UNITS_MAX / used.write_units,
        limits: limits(load, shards, used),
        items,
    }
}

fn streams(
    load: &Load,
    mode: StreamMode,
    shards: f64,
    events: f64,
    used: &CardUse,
    prices: &PriceTable,
) -> Vec<CostItem> {
    let gb = |bytes: f64| events * (bytes / KIB).ceil() / KIB_PER_GB;
    let fan_out = fan_out(load, mode, shards, gb(used.record_bytes), prices);
    let (put_gb, retained) = (
        gb(used.record_bytes) + gb(used.outcome_bytes),
        (load.retention_hours / 24.0 - 1.0).max(0.0),
    );
    match mode {
        StreamMode::OnDemand => {
            let kept_gb = put_gb / (HOURS / 24.0) * retained;
            let read_gb = if load.fan_out { 0.0 } else { gb(used.record_bytes) };
            let mut items = vec![
                item(
                    "streams, put",
                    put_gb * prices.usd("put_gb"),
                    format!("{put_gb:.1} GB in both, whole KiB a record"),
                ),
                item(
                    "streams, read",
                    read_gb * prices.usd("get_gb"),
                    format!("{read_gb:.1} GB by the mapping"),
                ),
                item(
                    "streams, kept",
                    kept_gb * prices.usd("retained_gb_month"),
                    format!("{kept_gb:.1} GB beyond the first day"),
                ),
                item(
                    "streams, hours",
                    2.0 * HOURS * prices.usd("stream_hour"),
                    "two streams".to_owned(),
                ),
            ];
            items.extend(fan_out);
            items
        }
        StreamMode::Provisioned => {
            let shard_hours = 2.0 * shards * HOURS;
            let kept_hours = if retained > 0.0 { shard_hours } else { 0.0 };
            let puts = 2.0 * events / MILLION;
            let mut items = vec![
                item(
                    "streams, shards",
                    shard_hours * prices.usd("shard_hour"),
                    format!("{shards:.0} shards in each of two"),
                ),
                item(
                    "streams, put",
                    puts * prices.usd("put_units"),
                    format!("{puts:.1} million payload units"),
                ),
                item(
                    "streams, kept",
                    kept_hours * prices.usd("retained_shard_hour"),
                    "beyond the first day".to_owned(),
                ),
            ];
            items.extend(fan_out);
            items
        }
    }
}

/// Enhanced fan-out: an on-demand stream bills what is read, a provisioned one its shards' hours besides.
fn fan_out(load: &Load, mode: StreamMode, shards: f64, read_gb: f64, prices: &PriceTable) -> Option<CostItem> {
    let (hours, gb) = match mode {
        StreamMode::OnDemand => (0.0, "fan_out_on_demand_gb"),
        StreamMode::Provisioned => (shards * HOURS, "fan_out_gb"),
    };
    let usd = hours * prices.usd("fan_out_shard_hour") + read_gb * prices.usd(gb);
    let of = format!("{hours:.0} shard hours and {read_gb:.1} GB");
    load.fan_out.then(|| item("streams, fan-out", usd, of))
}

fn table(load: &Load, events: f64, cold_share: f64, used: &CardUse, prices: &PriceTable) -> Vec<CostItem> {
    let writes = events * used.write_units / MILLION;
    let read_each = used.warm_read_units + cold_share * (used.cold_read_units - used.warm_read_units).max(0.0);
    let reads = events * read_each / MILLION;
    let stored_gb = load.cards * used.stored_bytes / BYTES_PER_GB;
    let gb_month = prices.usd("table_gb_month") + prices.usd("backup_gb_month");
    vec![
        item(
            "table, writes",
            writes * prices.usd("write_units"),
            format!("{:.2} units an event", used.write_units),
        ),
        item(
            "table, reads",
            reads * prices.usd("read_units"),
            format!(
                "{read_each:.2} units an event, {:.0} % of them cold",
                100.0 * cold_share
            ),
        ),
        item(
            "table, stored",
            stored_gb * gb_month,
            format!("{stored_gb:.1} GB and their recovery"),
        ),
    ]
}

fn compute(
    load: &Load,
    invocations: f64,
    seconds: f64,
    events: f64,
    assumed: &Assumed,
    prices: &PriceTable,
) -> Vec<CostItem> {
    let gb_seconds = seconds * load.memory_mib / KIB;
    let log_gb = invocations * assumed.log_bytes / BYTES_PER_GB;
    let told = load.metrics * prices.usd("metric_month") + load.alarms * prices.usd("alarm_month");
    let messages = events * assumed.refused_share / MILLION;
    vec![
        item(
            "function, requests",
            invocations / MILLION * prices.usd("requests"),
            format!("{:.1} million", invocations / MILLION),
        ),
        item(
            "function, time",
            gb_seconds * prices.usd("gb_second"),
            format!("{gb_seconds:.0} GB-seconds"),
        ),
        item("logs", log_gb * prices.usd("log_gb"), format!("{log_gb:.1} GB")),
        item(
            "metrics, alarms",
            told,
            format!("{:.0} and {:.0}", load.metrics, load.alarms),
        ),
        item(
            "quarantine",
            messages * prices.usd("messages"),
            format!("{:.2} % of the events", 100.0 * assumed.refused_share),
        ),
    ]
}

fn item(name: &'static str, usd: f64, of: String) -> CostItem {
    CostItem { name, usd, of }
}

fn limits(load: &Load, shards: f64, used: &CardUse) -> Vec<Limit> {
    vec![
        Limit {
            name: "write units a second of the table",
            needed: load.peak_rate * used.write_units,
            quota: TABLE_WRITE_UNITS_MAX,
            advice: "ask for a higher table-level write throughput, and set warm throughput before the first day",
        },
        Limit {
            name: "invocations at once",
            needed: shards,
            quota: ACCOUNT_CONCURRENCY_MAX,
            advice: "ask for more concurrent executions; each shard holds one, times MappingParallelizationFactor",
        },
        Limit {
            name: "shards of the two streams",
            needed: 2.0 * shards,
            quota: ACCOUNT_SHARDS_MAX,
            advice: "ask for more shards; outside of the largest regions an account has 1,000 or 6,000",
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const USED: CardUse = CardUse {
        write_units: 1.5,
        warm_read_units: 0.0,
        cold_read_units: 2.0,
        stored_bytes: 2_000.0,
        record_bytes: 400.0,
        outcome_bytes: 300.0,
    };
    const ASSUMED: Assumed = Assumed {
        call_ms: 10.0,
        event_ms: 0.2,
        log_bytes: 1_000.0,
        refused_share: 0.0,
    };
    const LOAD: Load = Load {
        peak_rate: 2_000.0,
        cards: 3e6,
        events_per_card_day: 2.0,
        window_seconds: 1.0,
        batch_records: 500.0,
        memory_mib: 1_024.0,
        warm_cards: 20_000.0,
        commits_concurrent: 32.0,
        retention_hours: 168.0,
        fan_out: false,
        metrics: 10.0,
        alarms: 10.0,
    };

    fn of(load: &Load, mode: StreamMode) -> Month {
        month(load, mode, &USED, &ASSUMED, &PriceTable::parse("").unwrap())
    }

    fn usd(month: &Month, name: &str) -> f64 {
        month.items.iter().find(|item| item.name == name).unwrap().usd
    }

    #[test]
    fn a_month_is_the_sum_of_its_items_by_hand() {
        let month = of(&LOAD, StreamMode::OnDemand);
        let events = 6e6 / 86_400.0 * 3_600.0 * 730.0;
        assert!((month.events - events).abs() < 1.0 && (month.shards - 4.0).abs() < 1e-9);
        // 1.5 units at 0.625 dollars a million; a KiB in each stream at 8 cents a GB.
        assert!((usd(&month, "table, writes") - events / 1e6 * 1.5 * 0.625).abs() < 1e-6);
        assert!((usd(&month, "streams, put") - 2.0 * events / 1_048_576.0 * 0.08).abs() < 1e-6);
        assert!((usd(&month, "streams, hours") - 58.4).abs() < 1e-9);
        let sum: f64 = month.items.iter().map(|item| item.usd).sum();
        assert!((month.usd - sum).abs() < 1e-9 && (month.usd_per_million - sum / (events / 1e6)).abs() < 1e-9);
        // 80,000 of 3,000,000 cards are warm.
        assert!((month.cold_share - (1.0 - 80_000.0 / 3e6)).abs() < 1e-9);
    }

    #[test]
    fn a_quiet_shard_is_invoked_for_each_event_and_a_busy_one_for_full_batches() {
        let quiet = Load {
            peak_rate: 1.0,
            cards: 100.0,
            ..LOAD
        };
        let month = of(&quiet, StreamMode::OnDemand);
        assert!((month.batch_events - 1.0).abs() < 0.01, "{month:?}");
        let busy = Load {
            peak_rate: 1e5,
            cards: 1e9,
            events_per_card_day: 8.64,
            ..LOAD
        };
        let month = of(&busy, StreamMode::Provisioned);
        assert!(
            (month.batch_events - 500.0).abs() < 1e-6 && (month.shards - 125.0).abs() < 1e-9,
            "{month:?}"
        );
    }

    #[test]
    fn a_limit_breaks_where_the_peak_needs_more_than_an_account_has() {
        let broken = |peak_rate: f64| -> Vec<&'static str> {
            let load = Load { peak_rate, ..LOAD };
            let month = of(&load, StreamMode::OnDemand);
            month
                .limits
                .iter()
                .filter(|limit| limit.needed > limit.quota)
                .map(|limit| limit.name)
                .collect()
        };
        assert!(broken(2_000.0).is_empty());
        assert_eq!(broken(30_000.0), ["write units a second of the table"]);
        assert_eq!(broken(1e6).len(), 2);
    }

    #[test]
    fn fan_out_and_a_shorter_window_cost_more_invocations() {
        let pushed = Load {
            fan_out: true,
            window_seconds: 0.0,
            ..LOAD
        };
        let (polled, pushed) = (of(&LOAD, StreamMode::OnDemand), of(&pushed, StreamMode::OnDemand));
        assert!(pushed.invocations > 5.0 * polled.invocations);
        let (given, read) = (usd(&pushed, "streams, fan-out"), usd(&polled, "streams, read"));
        assert!((given / read - 0.05 / 0.04).abs() < 1e-9, "by what is read alone");
        assert!(usd(&pushed, "streams, read").abs() < 1e-9);
        let provisioned = of(&Load { fan_out: true, ..LOAD }, StreamMode::Provisioned);
        assert!(usd(&provisioned, "streams, fan-out") > provisioned.shards * 730.0 * 0.015);
    }
}
