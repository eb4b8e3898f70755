//! A month in words.

use std::fmt::Write as _;

use terminal::ui::{self, grouped, paint};

use super::CostReport;
use super::plan::{Month, StreamMode};
use super::ways::Way;

pub(super) fn render(report: &CostReport) -> String {
    let (load, used) = (&report.load, &report.card);
    let mut text = format!(
        "{}\n\n  {} events a second at the peak, {:.1} on average; {} cards with {} events a day each\n  \
         measured: {:.2} write units an event, {:.2} read units when its card is not warm, {} bytes of a card in the table\n",
        paint(ui::HEADING, "What a month costs"),
        number(load.peak_rate),
        load.mean_rate(),
        number(load.cards),
        load.events_per_card_day,
        used.write_units,
        used.cold_read_units,
        number(used.stored_bytes),
    );
    for month in &report.months {
        bill(&mut text, month);
    }
    let _ = writeln!(text, "\n  {}", choice(&report.months));
    ways(&mut text, &report.ways);
    if let Some(month) = report.months.first() {
        limits(&mut text, month);
    }
    let assumed = &report.assumed;
    let _ = writeln!(
        text,
        "\n  {}",
        paint(
            ui::DIM,
            format!(
                "Assumed, not measured: {} ms a call of a service, {} ms of a core an event, {} bytes of log an invocation, {} % of \
                 the events refused. No two events of a card share a batch. Taxes, support and free tiers are left out.",
                assumed.call_ms,
                assumed.event_ms,
                assumed.log_bytes,
                100.0 * assumed.refused_share
            )
        )
    );
    text
}

fn bill(text: &mut String, month: &Month) {
    let name = match month.mode {
        StreamMode::OnDemand => "streams on demand",
        StreamMode::Provisioned => "streams provisioned",
    };
    let _ = writeln!(
        text,
        "\n  {:<24}{:>14} USD   {:.3} USD a million events",
        paint(ui::HEADING, name),
        money(month.usd),
        month.usd_per_million
    );
    for item in &month.items {
        let _ = writeln!(text, "    {:<22}{:>14}       {}", item.name, money(item.usd), item.of);
    }
    let _ = writeln!(
        text,
        "    {} shards, {} invocations, {:.1} events each; at the peak a shard is busy for {:.0} % of the time",
        number(month.shards),
        number(month.invocations),
        month.batch_events,
        100.0 * month.peak_busy
    );
    if month.peak_busy > 1.0 {
        let advice = "the function falls behind at the peak: raise MappingParallelizationFactor";
        let _ = writeln!(text, "    {}", paint(ui::BAD, advice));
    }
}

fn ways(text: &mut String, ways: &[Way]) {
    let heading = "How records come to the function, streams on demand";
    let _ = writeln!(text, "\n  {}", paint(ui::HEADING, heading));
    for way in ways {
        let _ = writeln!(
            text,
            "    {:<32}{:>14} USD   waits {:.2} s at most; {} invocations, {:.1} events each; {} USD of it reads, invocations, logs",
            way.name,
            money(way.usd),
            way.wait_seconds,
            number(way.invocations),
            way.batch_events,
            money(way.usd_of_it),
        );
    }
}

fn choice(months: &[Month]) -> String {
    let cheapest = months.iter().min_by(|a, b| a.usd.total_cmp(&b.usd));
    match cheapest.map(|month| month.mode) {
        Some(StreamMode::Provisioned) => {
            "Provisioned streams are cheaper at this load, and have to be scaled by hand or by a policy of yours; on demand follows the load."
        }
        _ => "On-demand streams are cheaper at this load, and follow it.",
    }
    .to_owned()
}

fn limits(text: &mut String, month: &Month) {
    let _ = writeln!(text, "\n  {}", paint(ui::HEADING, "Limits of an account"));
    for limit in &month.limits {
        let is_broken = limit.needed > limit.quota;
        let (style, sign) = if is_broken {
            (ui::BAD, "breaks")
        } else {
            (ui::GOOD, "holds")
        };
        let _ = write!(
            text,
            "    {:<36}{:>12} of {:<12}{}",
            limit.name,
            number(limit.needed),
            number(limit.quota),
            paint(style, sign)
        );
        let _ = writeln!(
            text,
            "{}",
            if is_broken {
                format!(": {}", limit.advice)
            } else {
                String::new()
            }
        );
    }
    let _ = writeln!(
        text,
        "    one card takes {:.0} events a second, more when they share batches",
        month.card_rate_max
    );
}

pub(super) fn money(usd: f64) -> String {
    let cents = (usd * 100.0).round() as u64;
    format!("{}.{:02}", grouped(cents / 100), cents % 100)
}

fn number(value: f64) -> String {
    grouped(value.ceil() as u64)
}
