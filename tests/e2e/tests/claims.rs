//! docs/concepts/exactly-once.md says what people build on. Here it is held to the code: every figure, every place that it names,
//! and what it says of the horizon.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;

use e2e::workspace_root;
use tidemark_aws::item;
use tidemark_domain::control::trial::TRIAL_DAYS_KEPT;
use tidemark_domain::event::{Channel, Country, Currency, Links, Transaction};
use tidemark_domain::fold::{FoldAnswer, fold_transaction};
use tidemark_domain::history::History;
use tidemark_domain::id::{CardId, EventId, MerchantId};
use tidemark_domain::lifetime::{
    HISTORY_MS, HORIZON_MS_MAX, QUEUE_RETENTION_MS_MAX, RECORD_MS_MAX, RETENTION_MS_MAX, SEGMENT_MS,
    STREAM_RETENTION_MS_MAX, WINDOW_MS_MAX,
};
use tidemark_domain::model::ProfileInput;
use tidemark_domain::policy::Policy;
use tidemark_domain::refusal::RefusalCode;
use tidemark_engine::EngineConfig;

const PAGE: &str = "docs/concepts/exactly-once.md";
const DAY_MS: i64 = 86_400_000;
const NOW_MS: i64 = 1_790_000_000_000;

fn text(path: &str) -> String {
    std::fs::read_to_string(workspace_root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The page with single spaces, so that the end of a line does not end a sentence.
fn page() -> String {
    text(PAGE).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A whole number after this beginning, in a source or a document.
fn number(path: &str, beginning: &str) -> i64 {
    let text = text(path);
    let rest = text.split(beginning).nth(1);
    let rest = rest.unwrap_or_else(|| panic!("{path} has no {beginning:?}"));
    let digits = rest.chars().take_while(|c| c.is_ascii_digit() || "_,".contains(*c));
    digits.filter(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

fn days(ms: i64) -> i64 {
    assert_eq!(ms % DAY_MS, 0, "{ms} ms are no whole days");
    ms / DAY_MS
}

/// 1,000 as the documents write it.
fn grouped(number: i64) -> String {
    match number {
        0..1_000 => number.to_string(),
        _ => format!("{},{:03}", number / 1_000, number % 1_000),
    }
}

fn word(number: i64) -> &'static str {
    match number {
        2 => "two",
        3 => "three",
        10 => "ten",
        100 => "a hundred",
        other => panic!("{other} has no word here"),
    }
}

/// The last figure in the row of all mutants.
fn survivors(page: &str) -> &str {
    let row = page.lines().find(|line| line.starts_with("| **all** |")).unwrap();
    row.trim_end_matches("** |").rsplit("**").next().unwrap()
}

/// How sure it is that two events are told apart, by the bits that a history keeps of an id.
fn odds() -> Vec<String> {
    let (short, long) = (u32::BITS, u64::BITS);
    let of_short = f64::from(short).exp2();
    let one_in = format!("one in {:.1} × 10⁹", of_short / 1e9);
    let years = of_short / (10_000_000.0 * 12.0);
    vec![
        format!("{short} of {long} bits, and all {long} where that may matter"),
        format!("| {long} | one in {:.0} × 10¹⁸ |", f64::from(long).exp2() / 1e18),
        format!("| {short} | {one_in} |"),
        "by a release before 0.2.0".to_owned(),
        format!("With ten million pairs of the second kind a month, one event in {years:.0} years"),
        format!("probability of {one_in} for each later event"),
    ]
}

/// Every sentence of the page with a figure, with the figure from the code.
fn claims() -> Vec<String> {
    let policy = Policy::default_policy();
    let (retention, window) = (days(policy.retention_ms()), days(policy.window_max_ms()));
    let horizon = days(policy.dedupe_horizon_ms);
    let (lateness, skew) = (days(policy.bounds.lateness_ms), policy.bounds.skew_ms / 60_000);
    let (stream, queue) = (days(STREAM_RETENTION_MS_MAX), days(QUEUE_RETENTION_MS_MAX));
    let (record, history, segment) = (days(RECORD_MS_MAX), days(HISTORY_MS), days(SEGMENT_MS));
    let (window_max, horizon_max) = (days(WINDOW_MS_MAX), days(HORIZON_MS_MAX));
    let retention_max = days(RETENTION_MS_MAX);
    let profile_s = EngineConfig::default().profile_max_age_ms / 1_000;
    let (seeds, crash_points) = (
        "tests/simulation/tests/seeds.rs",
        "tests/simulation/tests/crash_points.rs",
    );
    let mutants = "docs/reference/mutants.md";
    vec![
        format!("together: {retention} days by the built-in policy ({window} and {horizon})"),
        format!("a new event may lie ({horizon} days by the built-in policy)"),
        format!("({lateness} days and {skew} minutes there)"),
        format!("It waits in its stream for up to {stream} days"),
        format!("lies in a queue for up to {queue} days more"),
        format!("So {record} days after its arrival"),
        format!("windows of {window_max} days, and a horizon or lateness of {horizon_max} days"),
        format!(
            "| {history} days after its newest event | {horizon_max} days of lateness, {window_max} days of a window that reaches back, {record} days of the record |"
        ),
        format!(
            "| {segment} days after its last event | a state may name it for {retention_max} days, and lives for {history} days after that |"
        ),
        format!("| {record} days after its end |"),
        format!("| {TRIAL_DAYS_KEPT} days | a comparison"),
        format!("A profile is copied for up to {profile_s} s"),
        format!(
            "the policy's lateness and {record} days after its event time, {} days by the built-in policy",
            record + lateness
        ),
        format!(
            "`{}<occurred_at_ms, {} digits>#<event_id>`",
            item::DECISION_PREFIX,
            number("shared/aws/src/item.rs", "{DECISION_PREFIX}{:0")
        ),
        "Up to 0.1.0 the sort key was".to_owned(),
        format!(
            "{} seeds of {} records in each test run",
            grouped(number(seeds, "const SEEDS: u64 = ")),
            grouped(number(
                "tests/simulation/tests/support/mod.rs",
                "const EVENTS: usize = "
            ))
        ),
        format!(
            "{} records; {} for pairs",
            number(crash_points, "const SINGLE_EVENTS: usize = "),
            number(crash_points, "const PAIR_EVENTS: usize = ")
        ),
        format!(
            "{} workers, {} events",
            word(number("tests/model/src/state.rs", "pub const WORKERS: usize = ")),
            word(number("tests/model/src/scenario.rs", "pub const EVENTS: usize = "))
        ),
        format!(
            "{} kills in a run",
            word(number("tools/tidemark/tests/chaos.rs", "kills: "))
        ),
        format!(
            "all {}, {} alive with a reason",
            grouped(number(mutants, "| **all** | **")),
            survivors(&text(mutants))
        ),
        format!(
            "a token of {} minutes",
            word(number("tests/simulation/src/run.rs", "const TOKEN_MS: i64 = ") / 60_000)
        ),
    ]
}

#[test]
fn every_figure_of_the_page_is_that_of_the_code() {
    let mut page = page();
    for claim in claims().into_iter().chain(odds()) {
        assert!(page.contains(&claim), "{PAGE} does not say: {claim}");
        page = page.replace(&claim, "");
    }
    // What is left has no figure that nobody holds to anything: only the invariants' names, and the numbers of a list.
    let is_known = |word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_invariant = bare.len() == 2 && bare.starts_with('I');
        let is_place = word.contains("](") || word.contains('/');
        let is_of_list = word.len() == 2 && word.ends_with('.');
        is_invariant || is_place || is_of_list
    };
    let figures: Vec<&str> = page
        .split(' ')
        .filter(|word| word.contains(|c: char| c.is_ascii_digit()) && !is_known(word))
        .collect();
    assert!(
        figures.is_empty(),
        "{PAGE} has figures that no check reads: {figures:?}"
    );
}

#[test]
fn every_place_that_the_page_names_is_there() {
    let text = text(PAGE);
    let folder = Path::new(PAGE).parent().unwrap();
    let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let mut seen = 0;
    for link in links {
        let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
        let file = if file.is_empty() {
            PAGE.into()
        } else {
            folder.join(file)
        };
        let linked = std::fs::read_to_string(workspace_root().join(&file));
        let linked = linked.unwrap_or_else(|error| panic!("{link}: {error}"));
        let slug = |title: &str| title.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        let mut titles = linked.lines().filter(|line| line.starts_with('#')).map(slug);
        assert!(
            anchor.is_empty() || titles.any(|title| title == anchor),
            "{link}: no such title"
        );
        seen += 1;
    }
    for quoted in text.split('`').skip(1).step_by(2) {
        if ["tests/", "shared/", "tools/"]
            .iter()
            .any(|folder| quoted.starts_with(folder))
        {
            assert!(workspace_root().join(quoted).exists(), "{quoted} is not there");
            seen += 1;
        }
    }
    assert!(seen > 12, "the search finds the places");
}

fn event(id: &str, at_ms: i64) -> Transaction {
    Transaction {
        event_id: EventId::new(id).unwrap(),
        card_id: CardId::new("a").unwrap(),
        occurred_at_ms: at_ms,
        amount_minor: 100,
        currency: Currency::new("EUR").unwrap(),
        merchant_id: MerchantId::new("m").unwrap(),
        mcc: 5_411,
        country: Country::new("FR").unwrap(),
        channel: Channel::Ecommerce,
        approved: true,
        device_id: None,
        links: Links::NONE,
        account_opened_at_ms: None,
        place: None,
    }
}

/// The section on the horizon, sentence by sentence, by the built-in policy.
#[test]
fn the_horizon_is_as_the_page_says() {
    let policy = Policy::default_policy();
    assert_eq!(policy.retention_ms(), policy.window_max_ms() + policy.dedupe_horizon_ms);
    assert!(
        policy.dedupe_horizon_ms < policy.window_max_ms(),
        "shorter than the longest window"
    );
    let mut state = History::default();
    let mut apply =
        |id: &str, at_ms: i64| fold_transaction(&mut state, &event(id, at_ms), ProfileInput::Absent, &policy);
    let is_beyond = |applied: FoldAnswer| match applied {
        FoldAnswer::Refused(refusal) => refusal.code == RefusalCode::BeyondHorizon,
        _ => false,
    };
    assert!(matches!(
        apply("old", NOW_MS - policy.retention_ms() + 1),
        FoldAnswer::Scored { .. }
    ));
    assert!(matches!(apply("newest", NOW_MS), FoldAnswer::Scored { .. }));
    // While an event is kept, its repetition is found; one that is not found may lie so far behind, and no further.
    assert!(matches!(
        apply("old", NOW_MS - policy.retention_ms() + 1),
        FoldAnswer::Duplicate { .. }
    ));
    assert!(matches!(
        apply("late", NOW_MS - policy.dedupe_horizon_ms + 1),
        FoldAnswer::Scored { .. }
    ));
    assert!(is_beyond(apply("later", NOW_MS - policy.dedupe_horizon_ms)));
    // Once it is dropped, it is refused.
    assert!(matches!(apply("next", NOW_MS + 1), FoldAnswer::Scored { .. }));
    assert!(is_beyond(apply("old", NOW_MS - policy.retention_ms() + 1)));
}

#[test]
fn a_horizon_below_lateness_and_skew_is_refused() {
    let least_ms = {
        let bounds = Policy::default_policy().bounds;
        bounds.lateness_ms + bounds.skew_ms
    };
    let with = |horizon_ms: i64| {
        let text = Policy::default_text().replace(
            "dedupe_horizon_ms = 604_800_000",
            &format!("dedupe_horizon_ms = {horizon_ms}"),
        );
        Policy::parse(&text, "test.toml").map(|policy| policy.dedupe_horizon_ms)
    };
    assert_eq!(with(least_ms), Ok(least_ms));
    assert!(with(least_ms - 1).is_err());
}
