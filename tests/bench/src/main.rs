//! Benchmarks and measurements. docs/reference/benchmarks.md has the figures and the commands that gave them.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a main: its output is what it is for

mod codec;
mod cold_start;
mod detection;
mod durable;
mod handbook;
mod handler;
mod live;
mod page;
mod redrive;
mod streams;
mod trees;

use std::path::Path;
use std::process::ExitCode;

use detection::Weeks;
use durable::Also;
use lab::typical;
use terminal::files;
use tidemark_domain::policy::Policy;

/// As the functions and the command have it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "usage: bench <what>

  handbook DIR [--jsonl FILE]   the Fraud Detection Handbook's stream through contract and fold: counts and means over
                                1, 7 and 30 days against the published ones; exits with 1 when one differs without a tie.
                                --jsonl writes the stream as events for `tidemark score`.
  detection DIR [--json | --published | --choice]
                                the same stream by the Handbook's protocol: what `tidemark train` learns on five training
                                weeks, and what XGBoost does on the same rows (its pinned release is installed at need), scored on
                                the weeks after next; figures as one line of JSON. --published measures the
                                last of the five alone, --choice the three earlier weeks that choices are made by. Takes minutes
  parity DIR                    the frauds of a terminal that labels tell of, against the published ones of the book's delayed
                                windows; exits with 1 when one differs
  live DIR [--json]             50,000 events of the same stream through the local AWS with the score function's binary, their labels a
                                week late in between, and through `tidemark score`: outcomes byte for byte, units and bytes; exits
                                with 1 when one differs that no label which had not reached its key yet explains. Takes minutes
  handler [CARDS BATCHES [--policy FILE | --rules NUMBER]]
                                the score function's path in memory: a Kinesis batch of 500 as JSON in, outcomes out
  codec [EVENTS]                a typical card's state (74 events) read, and written in each way, once an event came too; in a profile
                                these are `codec_decode`, `codec_decode_noted`, `codec_encode`, `codec_encode_again`
  durable [EVENTS CARDS [--jsonl FILE | --profile DIR]]
                                a simulated stream through the local AWS: what the score function's processes take on the processor;
                                --jsonl writes the stream, too; --profile runs the processes by callgrind and puts their profiles there
  telemetry CARDS BATCHES RECORDS
                                the handler's path with so many records a batch, and with logs and metrics written to standard output, as the
                                bootstrap does; its own figures go to standard error
  cold-start BINARY RUNS        from the start of a function's process to its first request for work
  redrive EVENTS PARTS          a backlog as a range in parts, beside live traffic on the local AWS; exits with 1 unless each record has
                                one end and the audit holds
  oracle EVENTS                 processor time of the oracle for a simulated stream
  many-cards LINES FILE         a simulated stream in which a tenth of its cards live at a time
  page [--only SECTION]         measures and renders docs/reference/benchmarks.md; `page --help` says more
  state-bytes                   bytes of state for cards of 10, 60, 150 and 400 events
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args.as_slice() {
        ["handbook", directory] => run_handbook(directory, None),
        ["handbook", directory, "--jsonl", file] => run_handbook(directory, Some(file)),
        ["detection", directory] | ["detection", directory, "--json"] => run_detection(directory, Weeks::Five),
        ["detection", directory, "--published"] => run_detection(directory, Weeks::Published),
        ["detection", directory, "--choice"] => run_detection(directory, Weeks::Choice),
        ["parity", directory] if handbook::is_there(directory.as_ref()) => detection::parity(directory.as_ref()),
        ["live", directory] if handbook::is_there(directory.as_ref()) => live::run(directory.as_ref(), false),
        ["live", directory, "--json"] if handbook::is_there(directory.as_ref()) => live::run(directory.as_ref(), true),
        ["handler"] => handler::run(&handler::CARDS, handler::BATCHES, &Policy::default_policy()),
        ["handler", cards, batches] => run_handler(cards, batches, None),
        ["handler", cards, batches, "--policy", file] => run_handler(cards, batches, Some(file)),
        ["handler", cards, batches, "--rules", number] => run_ruled(cards, batches, number),
        ["telemetry", cards, batches, records] => match (cards.parse(), batches.parse(), records.parse()) {
            (Ok(cards), Ok(batches), Ok(records @ 1..)) => {
                let told = handler::run_told(cards, batches, records);
                return report(told, |text| eprint!("{text}"));
            }
            _ => Err("expected numbers of cards, of batches and of a batch's records".to_owned()),
        },
        ["codec"] => codec::run(codec::EVENTS),
        ["codec", events] => match events.parse() {
            Ok(events) => codec::run(events),
            Err(_) => Err("expected a number of events".to_owned()),
        },
        ["durable"] => durable::run(durable::EVENTS, durable::CARDS, Also::Nothing),
        ["durable", events, cards] => run_durable(events, cards, Also::Nothing),
        ["durable", events, cards, "--jsonl", file] => run_durable(events, cards, Also::Jsonl(file.as_ref())),
        ["durable", events, cards, "--profile", folder] => run_durable(events, cards, Also::Profile(folder.as_ref())),
        ["cold-start", binary, runs] => match runs.parse() {
            Ok(runs) => cold_start::run(binary.as_ref(), runs),
            Err(_) => Err("expected a number of runs".to_owned()),
        },
        ["redrive", events, parts] => match (events.parse(), parts.parse()) {
            (Ok(events), Ok(parts)) => redrive::run(events, parts),
            _ => Err("expected numbers of events and of parts".to_owned()),
        },
        ["oracle", events] => match events.parse() {
            Ok(events) => streams::time_oracle(events),
            Err(_) => Err("expected a number of events".to_owned()),
        },
        ["many-cards", lines, file] => match lines.parse() {
            Ok(lines) => streams::many_cards(lines, file.as_ref()),
            Err(_) => Err("expected a number of lines".to_owned()),
        },
        ["page", words @ ..] => page::run(words),
        ["state-bytes"] => Ok(run_state_bytes()),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    report(result, |text| print!("{text}"))
}

fn report(result: Result<String, String>, show: impl Fn(&str)) -> ExitCode {
    match result {
        Ok(text) => {
            show(&text);
            ExitCode::SUCCESS
        }
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

fn run_handbook(directory: &str, jsonl: Option<&str>) -> Result<String, String> {
    if !handbook::is_there(directory.as_ref()) {
        return Err(format!(
            "{directory} does not hold the reference stream (two .csv.gz files)"
        ));
    }
    handbook::run(&handbook::Options {
        directory: directory.into(),
        jsonl: jsonl.map(Into::into),
    })
}

fn run_detection(directory: &str, weeks: Weeks) -> Result<String, String> {
    if !handbook::is_there(directory.as_ref()) {
        return Err(format!(
            "{directory} does not hold the reference stream (two .csv.gz files)"
        ));
    }
    detection::run(&detection::Options {
        directory: directory.into(),
        weeks,
    })
}

/// With so many rules more than the built-in policy has.
fn run_ruled(cards: &str, batches: &str, number: &str) -> Result<String, String> {
    let (Ok(cards), Ok(batches), Ok(number)) = (cards.parse(), batches.parse(), number.parse()) else {
        return Err("expected numbers of cards, of batches and of rules".to_owned());
    };
    let policy = Policy::parse(&handler::with_rules(number), "rules").map_err(|problems| format!("{problems:?}"))?;
    handler::run(&[cards], batches, &policy)
}

fn run_handler(cards: &str, batches: &str, policy: Option<&str>) -> Result<String, String> {
    let (Ok(cards), Ok(batches)) = (cards.parse(), batches.parse()) else {
        return Err("expected numbers of cards and of batches".to_owned());
    };
    let policy = files::policy(policy.map(Path::new)).map_err(|error| error.to_string())?;
    handler::run(&[cards], batches, &policy)
}

fn run_durable(events: &str, cards: &str, also: Also<'_>) -> Result<String, String> {
    match (events.parse(), cards.parse()) {
        (Ok(events), Ok(cards)) => durable::run(events, cards, also),
        _ => Err("expected numbers of events and of cards".to_owned()),
    }
}

fn run_state_bytes() -> String {
    let mut text = format!("the largest of {} typical cards each\n", typical::CARDS);
    for (events, bytes) in typical::run() {
        let item = bytes + typical::ITEM_BYTES;
        text.push_str(&format!(
            "{events:>4} events: state {bytes:>5} bytes, item {item:>5}, write units {}\n",
            item.div_ceil(1024)
        ));
    }
    text
}
