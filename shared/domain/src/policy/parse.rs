//! From TOML to a checked [`Policy`]: every key, its range and its default stands here once.

mod features;
mod learned;
mod listed;
mod low_risk;
mod ruled;
mod trees;

use std::ops::RangeInclusive;
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeTable;

use crate::catalogue::FeatureKey;
use crate::contract::Bounds;
use crate::event::Currency;
use crate::lifetime::HORIZON_MS_MAX;
use crate::lists::ListTerms;
use crate::rules::Known;
use crate::trees::{TreeModel, TreeModelKey};

use super::compiled::Compiled;
use super::listed::PolicyLists;
use super::problem::PolicyProblem;
use super::reader::{self, Problems, Section, Span};
use super::terms::{CurrencyRates, Policy, Scoring, Thresholds};

pub use trees::NamedModel;

/// Where a model of trees is had from by its name.
type Models<'m> = &'m dyn Fn(TreeModelKey) -> Option<Arc<TreeModel>>;

/// The built-in policy's text.
const DEFAULT_TEXT: &str = include_str!("../../policies/default.toml");
/// The name under which the built-in policy reports problems.
const DEFAULT_NAME: &str = "default.toml";

const MS_PER_MINUTE: i64 = 60_000;
const MS_PER_DAY: i64 = 86_400_000;
/// Windows, from one minute to 30 days.
const WINDOW_MINUTES: RangeInclusive<i64> = 1..=FeatureKey::WINDOW_MINUTES_MAX as i64;
/// The dedupe horizon unless the policy names one, ms.
const DEDUPE_HORIZON_MS: i64 = 7 * MS_PER_DAY;
/// Payloads, bytes: room for an event at least, never over 64 KiB.
const PAYLOAD_BYTES: RangeInclusive<i64> = 1024..=65_536;
/// Nesting of a payload: an event is one level, unknown fields may be deeper.
const NESTING: RangeInclusive<i64> = 1..=64;
const SCORES: RangeInclusive<i64> = 1..=crate::outcome::SCORE_MAX as i64;
const RATES: RangeInclusive<f64> = 1e-9..=1e9;
const BITS: RangeInclusive<f64> = 0.1..=1000.0;

/// Earlier events below which an event without its profile is neutral, unless the policy says otherwise.
const NEUTRAL_BELOW_EVENTS: i64 = 1;
/// Ages of profiles, days.
const PROFILE_DAYS: RangeInclusive<i64> = 1..=3650;

/// How far zones are ahead of UTC, minutes: −12 to 14 hours.
const HEAD_BYTES: RangeInclusive<i64> = 256..=307_200;
/// A state of so many bytes, the event that comes then, and an item's other attributes fit one write unit, for a card id of 64 characters, too.
const HEAD_BYTES_DEFAULT: i64 = 900;
const ZONE_MINUTES: RangeInclusive<i64> = -720..=840;

const TOP_KEYS: [&str; 25] = [
    "version",
    "windows_minutes",
    "features",
    "weights",
    "thresholds",
    "scoring",
    "bounds",
    "currency",
    "outcome",
    "dedupe_horizon_ms",
    "head_events_max",
    "head_bytes_max",
    "low_risk",
    "neutral_below_events",
    "profile_max_age_days",
    "zone_offset_minutes",
    "keys",
    "labels",
    "population",
    "points",
    "explained",
    "expected",
    "trees",
    "rules",
    "lists",
];

impl Policy {
    /// Reads and checks a policy that names no model of trees; one that does is wrong here.
    ///
    /// # Errors
    /// Every problem that was found, in the order of the file.
    pub fn parse(toml: &str, file_name: &str) -> Result<Self, Vec<PolicyProblem>> {
        Self::parse_with(toml, file_name, &|_| None)
    }

    /// Reads and checks a policy; `models` has the model of trees that it may name.
    ///
    /// # Errors
    /// Every problem that was found, in the order of the file.
    pub fn parse_with(
        toml: &str,
        file_name: &str,
        models: &dyn Fn(TreeModelKey) -> Option<Arc<TreeModel>>,
    ) -> Result<Self, Vec<PolicyProblem>> {
        parse(toml, file_name, models)
    }

    /// The model of trees that a policy's text names, for whoever has to fetch it first; `None` where it names none that could be
    /// fetched. Whether the text is a policy, [`Policy::parse_with`] says.
    #[must_use]
    pub fn model_named(toml: &str) -> Option<NamedModel> {
        trees::named(toml)
    }

    /// The lists that a policy's text declares, for whoever has to fetch them first. Whether the text is a policy,
    /// [`Policy::parse_with`] says.
    #[must_use]
    pub fn lists_named(toml: &str) -> Vec<ListTerms> {
        listed::named(toml)
    }

    /// The built-in policy.
    #[must_use]
    pub fn default_policy() -> Self {
        match Self::parse(DEFAULT_TEXT, DEFAULT_NAME) {
            Ok(policy) => policy,
            // A test parses the same text, so that a build which reaches this has not passed its tests.
            Err(problems) => unreachable!("the built-in policy is wrong: {problems:?}"),
        }
    }

    /// The built-in policy's text, for a person to start from.
    #[must_use]
    pub const fn default_text() -> &'static str {
        DEFAULT_TEXT
    }
}

fn parse(text: &str, file: &str, models: Models<'_>) -> Result<Policy, Vec<PolicyProblem>> {
    let mut problems = Problems::default();
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        problems.push(&error.span().unwrap_or(0..0), error.message().trim_end());
    }
    // After a syntax error what the parser guessed may be wrong, so its contents are not judged.
    if !problems.is_empty() {
        return Err(problems.into_list(text, file));
    }
    match read(&document, text, models, &mut problems) {
        Some(policy) if problems.is_empty() => Ok(policy),
        _ => Err(problems.into_list(text, file)),
    }
}

fn read(document: &Spanned<DeTable<'_>>, text: &str, models: Models<'_>, problems: &mut Problems) -> Option<Policy> {
    let top = Section::top(document, &TOP_KEYS, problems);
    // Each part is read before any is missed, so that all problems come together.
    let version = top.integer("version", &(1..=i64::from(u32::MAX)), None, problems);
    let windows = windows(&top, problems);
    let keys = learned::keys(&top, problems);
    let features = features::features(&top, windows.as_deref(), keys.as_deref(), problems);
    let weights = features::weights(&top, features.as_deref(), problems);
    let thresholds = thresholds(&top, problems);
    let scoring = scoring(&top, problems);
    let bounds = bounds(&top, problems);
    let dedupe_horizon_ms = dedupe_horizon(&top, bounds.as_ref(), problems);
    let currency = currency(&top, problems);
    let outcome = top.inside("outcome", false, problems);
    outcome.refuse_unknown(&["features"], problems);
    let outcome_features = outcome.boolean("features", false, problems);
    let head_limit = i64::try_from(Policy::HEAD_EVENTS_LIMIT).unwrap_or(i64::MAX);
    let head_events_max = top.integer("head_events_max", &(1..=head_limit), Some(head_limit), problems);
    let head_bytes_max = top.integer("head_bytes_max", &HEAD_BYTES, Some(HEAD_BYTES_DEFAULT), problems);
    let neutral_below_events = top.integer(
        "neutral_below_events",
        &(0..=head_limit),
        Some(NEUTRAL_BELOW_EVENTS),
        problems,
    );
    let profile_max_age_days = top
        .has("profile_max_age_days")
        .then(|| top.integer("profile_max_age_days", &PROFILE_DAYS, None, problems));
    let zone_offset_minutes = top.integer("zone_offset_minutes", &ZONE_MINUTES, Some(0), problems);
    let low_risk = low_risk::read(&top, features.as_deref(), weights.as_deref(), problems);
    let (windows, features) = (windows?, features?);
    let learned = learned::learned(&top, keys?, &windows, &features, problems)?;
    let trees = trees::trees(&top, &learned.keys, &windows, &features, models, problems);
    let lists = listed::lists(&top, problems);
    let terms: Vec<ListTerms> = lists.iter().flatten().map(|list| list.terms).collect();
    let known = Known {
        features: &features,
        lists: &terms,
    };
    let rules = ruled::rules(&top, text, (&windows, &learned.keys), &known, problems)?;
    let trees = trees?;
    let policy = Policy {
        version: u32::try_from(version?).ok()?,
        bounds: bounds?,
        compiled: Compiled::with_keys(windows, &learned.keys, &features, &weights?),
        thresholds: thresholds?,
        scoring: scoring?,
        dedupe_horizon_ms: dedupe_horizon_ms?,
        takes_history: false,
        currency: currency?,
        outcome_features: outcome_features?,
        head_events_max: usize::try_from(head_events_max?).ok()?,
        head_bytes_max: usize::try_from(head_bytes_max?).ok()?,
        low_risk: None,
        neutral_below_events: u32::try_from(neutral_below_events?).ok()?,
        profile_max_age_ms: profile_max_age_days.flatten().map(|days| days * MS_PER_DAY),
        keys: learned.keys,
        run_gap_ms: learned.run_gap_ms,
        population: learned.population,
        points: learned.points,
        trees,
        explained: learned.explained,
        expected: learned.expected,
        zone_offset_ms: zone_offset_minutes? * MS_PER_MINUTE,
        rules,
        lists: PolicyLists::new(&lists?),
    };
    let low_risk = low_risk.map(|rules| rules.applied_to(&policy));
    Some(Policy { low_risk, ..policy })
}

fn windows(top: &Section<'_, '_>, problems: &mut Problems) -> Option<Vec<u32>> {
    let items = top.list("windows_minutes", problems)?;
    let mut windows: Vec<u32> = Vec::new();
    for item in items {
        let minutes = reader::integer(
            "windows_minutes",
            &item.span(),
            item.get_ref(),
            &WINDOW_MINUTES,
            problems,
        )
        .and_then(|minutes| u32::try_from(minutes).ok());
        match minutes {
            Some(minutes) if windows.contains(&minutes) => {
                problems.push(
                    &item.span(),
                    format!("the window of {minutes} minutes is named twice, expected once"),
                );
            }
            Some(minutes) => windows.push(minutes),
            None => {}
        }
    }
    if items.is_empty() || items.len() > Policy::WINDOWS_LIMIT {
        let (found, limit) = (items.len(), Policy::WINDOWS_LIMIT);
        problems.push(
            &top.place("windows_minutes"),
            format!("expected 1 to {limit} windows, found {found}"),
        );
    }
    windows.sort_unstable();
    Some(windows)
}

fn thresholds(top: &Section<'_, '_>, problems: &mut Problems) -> Option<Thresholds> {
    let section = top.inside("thresholds", true, problems);
    section.refuse_unknown(&["review", "alert"], problems);
    let review = section.integer("review", &SCORES, None, problems);
    let alert = section.integer("alert", &SCORES, None, problems);
    let (review, alert) = (u16::try_from(review?).ok()?, u16::try_from(alert?).ok()?);
    if review >= alert {
        let message = format!("expected thresholds.review to be below thresholds.alert, found {review} and {alert}");
        problems.push(&section.place("review"), message);
    }
    Some(Thresholds { review, alert })
}

fn scoring(top: &Section<'_, '_>, problems: &mut Problems) -> Option<Scoring> {
    let default = Scoring::default();
    let section = top.inside("scoring", false, problems);
    let keys = [
        "half_bits",
        "quiet_bits",
        "feature_bits_max",
        "reasons_min_score",
        "reasons_min_share_pct",
    ];
    section.refuse_unknown(&keys, problems);
    let half_bits = section.number("half_bits", &BITS, Some(default.half_bits), problems);
    let quiet_bits = section.number("quiet_bits", &(0.0..=100.0), Some(default.quiet_bits), problems);
    let feature_bits_max = section.number("feature_bits_max", &BITS, Some(default.feature_bits_max), problems);
    let min_score = section.integer(
        "reasons_min_score",
        &SCORES,
        Some(default.reasons_min_score.into()),
        problems,
    );
    let min_share = section.integer(
        "reasons_min_share_pct",
        &(1..=100),
        Some(default.reasons_min_share_pct.into()),
        problems,
    );
    Some(Scoring {
        half_bits: half_bits?,
        quiet_bits: quiet_bits?,
        feature_bits_max: feature_bits_max?,
        reasons_min_score: u16::try_from(min_score?).ok()?,
        reasons_min_share_pct: u8::try_from(min_share?).ok()?,
    })
}

fn bounds(top: &Section<'_, '_>, problems: &mut Problems) -> Option<Bounds> {
    let default = Bounds::default();
    let section = top.inside("bounds", false, problems);
    let keys = [
        "payload_bytes_max",
        "nesting_max",
        "skew_ms",
        "lateness_ms",
        "amount_minor_max",
    ];
    section.refuse_unknown(&keys, problems);
    let payload_default = i64::try_from(default.payload_bytes_max).ok();
    let payload_bytes_max = section.integer("payload_bytes_max", &PAYLOAD_BYTES, payload_default, problems);
    let nesting_max = section.integer(
        "nesting_max",
        &NESTING,
        i64::try_from(default.nesting_max).ok(),
        problems,
    );
    let skew_ms = section.integer("skew_ms", &(0..=MS_PER_DAY), Some(default.skew_ms), problems);
    let lateness_ms = section.integer(
        "lateness_ms",
        &(0..=HORIZON_MS_MAX),
        Some(default.lateness_ms),
        problems,
    );
    let amounts = 1..=i64::try_from(crate::history::BASE_AMOUNT_MAX).unwrap_or(i64::MAX);
    let amount_default = i64::try_from(default.amount_minor_max).ok();
    let amount_minor_max = section.integer("amount_minor_max", &amounts, amount_default, problems);
    Some(Bounds {
        payload_bytes_max: usize::try_from(payload_bytes_max?).ok()?,
        nesting_max: usize::try_from(nesting_max?).ok()?,
        skew_ms: skew_ms?,
        lateness_ms: lateness_ms?,
        amount_minor_max: u64::try_from(amount_minor_max?).ok()?,
    })
}

fn dedupe_horizon(top: &Section<'_, '_>, bounds: Option<&Bounds>, problems: &mut Problems) -> Option<i64> {
    let horizon = top.integer(
        "dedupe_horizon_ms",
        &(1..=HORIZON_MS_MAX),
        Some(DEDUPE_HORIZON_MS),
        problems,
    )?;
    let bounds = bounds?;
    let least = bounds.lateness_ms.saturating_add(bounds.skew_ms);
    if horizon < least {
        let message = format!(
            "expected dedupe_horizon_ms to be at least bounds.lateness_ms + bounds.skew_ms = {least}, found {horizon}: \
             an event that is accepted must never be too old to be told from a duplicate"
        );
        problems.push(&top.place("dedupe_horizon_ms"), message);
    }
    Some(horizon)
}

fn currency(top: &Section<'_, '_>, problems: &mut Problems) -> Option<CurrencyRates> {
    let section = top.inside("currency", false, problems);
    section.refuse_unknown(&["base", "rates"], problems);
    let base = section
        .string("base", Some("EUR"), problems)
        .and_then(|(code, span)| code_of(code, &span, problems));
    let rates_section = section.inside("currency.rates", false, problems);
    let mut rates: Vec<(Currency, f64)> = Vec::new();
    for (code, key_span, value) in rates_section.entries() {
        let path = format!("currency.rates.{code}");
        let rate = reader::number(&path, &value.span(), value.get_ref(), &RATES, problems);
        let currency = code_of(code, &key_span, problems);
        if currency.is_some() && currency == base {
            problems.push(
                &key_span,
                format!("`{code}` is the base currency, expected rates of other currencies only"),
            );
        }
        rates.extend(currency.zip(rate));
    }
    rates.sort_by_key(|(currency, _)| *currency);
    Some(CurrencyRates { base: base?, rates })
}

fn code_of(code: &str, span: &Span, problems: &mut Problems) -> Option<Currency> {
    let currency = Currency::new(code);
    if currency.is_none() {
        problems.push(
            span,
            format!("unknown currency `{code}`, expected a code of ISO 4217 such as \"EUR\""),
        );
    }
    currency
}
