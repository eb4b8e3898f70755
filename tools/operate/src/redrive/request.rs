//! From the command line to the function's request. Pure: what is wrong is told before anything is called.

use terminal::error::CliError;
use terminal::when;
use tidemark_engine::record::compare_sequence_numbers;
use tidemark_redrive::{RangeRequest, Request, Source};

use super::args::RedriveArgs;
use crate::account::message::{SEQUENCE_DIGITS_MAX, is_sequence_number};

/// The request of a command line.
pub(super) fn build(args: &RedriveArgs, now_ms: i64) -> Result<Request, CliError> {
    let source = source(&args.source)?;
    let range = range(args, now_ms)?;
    if range.is_some() && source != Source::Range {
        return Err(CliError::usage(
            "range_without_source",
            format!("a range goes with --source range, not with --source {}", args.source),
            "Leave --since, --until, --shard, --from and --to out, or take --source range.",
        ));
    }
    if range.is_none() && source == Source::Range {
        return Err(CliError::usage(
            "range_missing",
            "--source range needs a range",
            "Give --since, or --shard with --from.",
        ));
    }
    Ok(Request {
        dry_run: args.dry_run,
        records_max: args.max,
        rate_per_second: args.rate,
        reasons: args.reason.clone(),
        range,
        ..Request::new(source)
    })
}

fn source(name: &str) -> Result<Source, CliError> {
    match name {
        "dead-letter" => Ok(Source::DeadLetter),
        "quarantine" => Ok(Source::Quarantine),
        "range" => Ok(Source::Range),
        _ => Err(CliError::usage(
            "unknown_source",
            format!("there is no source {name:?}"),
            "Take dead-letter, quarantine or range.",
        )),
    }
}

fn range(args: &RedriveArgs, now_ms: i64) -> Result<Option<RangeRequest>, CliError> {
    let (since_ms, until_ms) = when::range(args.since.as_deref(), args.until.as_deref(), now_ms)?;
    for (option, number) in [("--from", &args.from), ("--to", &args.to)] {
        if let Some(number) = number
            && !is_sequence_number(number)
        {
            return Err(CliError::usage(
                "sequence_number",
                format!("{option} is no sequence number: 1 to {SEQUENCE_DIGITS_MAX} digits were expected"),
                "Take it from `tidemark dlq --json`, a quarantine message or the stream itself.",
            ));
        }
        if number.is_some() && args.shard.is_none() {
            return Err(CliError::usage(
                "shard_missing",
                format!("{option} needs --shard: a sequence number has a meaning in its shard only"),
                "Name the shard.",
            ));
        }
    }
    if let (Some(from), Some(to)) = (&args.from, &args.to)
        && compare_sequence_numbers(from, to).is_gt()
    {
        return Err(CliError::usage(
            "range_reversed",
            "--to is before --from",
            "Swap them: --from is the lower one.",
        ));
    }
    let range = RangeRequest {
        shard_id: args.shard.clone(),
        from_sequence_number: args.from.clone(),
        to_sequence_number: args.to.clone(),
        since_ms,
        until_ms,
        cut: None,
    };
    Ok((range != RangeRequest::default()).then_some(range))
}
