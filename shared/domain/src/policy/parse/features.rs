//! `features` and `[weights]`: what is computed, and what is scored.

use std::ops::RangeInclusive;

use toml::de::DeValue;

use crate::catalogue::{FeatureKey, FeatureKind, KeyName, Need, Subject, UnknownFeature};
use crate::policy::key_terms::KeyTerms;
use crate::policy::reader::{self, Problems, Section};
use crate::policy::terms::Policy;

/// A weight's most: beyond it one feature alone decides.
const WEIGHTS: RangeInclusive<f64> = 0.0..=100.0;

pub(super) fn features(
    top: &Section<'_, '_>,
    windows: Option<&[u32]>,
    keys: Option<&[KeyTerms]>,
    problems: &mut Problems,
) -> Option<Vec<FeatureKey>> {
    named(top, |name| feature(name, windows, keys), problems)
}

/// The list `features` of a section: each is named once, and is what `read` says of its name.
pub(super) fn named(
    section: &Section<'_, '_>,
    read: impl Fn(&str) -> Result<FeatureKey, String>,
    problems: &mut Problems,
) -> Option<Vec<FeatureKey>> {
    let mut features: Vec<FeatureKey> = Vec::new();
    for item in section.list("features", problems)? {
        let DeValue::String(name) = item.get_ref() else {
            let found = reader::kind(item.get_ref());
            problems.push(
                &item.span(),
                format!("expected a feature's name in quotes, found {found}"),
            );
            continue;
        };
        match read(name) {
            Ok(key) if features.contains(&key) => {
                problems.push(&item.span(), format!("feature `{key}` is named twice, expected once"));
            }
            Ok(key) => features.push(key),
            Err(message) => problems.push(&item.span(), message),
        }
    }
    Some(features)
}

/// Reads one feature's name and holds it against windows and keys.
pub(super) fn feature(name: &str, windows: Option<&[u32]>, keys: Option<&[KeyTerms]>) -> Result<FeatureKey, String> {
    let key = FeatureKey::parse(name).map_err(|error| match error {
        UnknownFeature::Kind => format!("unknown feature `{name}`, expected one of: {}", names(|_| true)),
        other => format!("`{name}`: {other}"),
    })?;
    if let (Some(of), Some(keys)) = (key.key(), keys)
        && !keys.iter().any(|terms| terms.name == of)
    {
        return Err(format!("`{name}` is of the key `{of}`, expected it among [[keys]]"));
    }
    let Some(windows) = windows else { return Ok(key) };
    let longest = windows.last().copied().unwrap_or(0);
    if key.kind.subject() != Subject::Card {
        // Of a key's own history, which is kept apart; of the card's, as far as the longest window reaches.
        return if key.of == Some(KeyName::CARD) && key.window_minutes > longest {
            Err(format!(
                "`{name}` reaches beyond the longest of windows_minutes, expected at most {longest} minutes"
            ))
        } else {
            Ok(key)
        };
    }
    if key.window_minutes > 0 && !windows.contains(&key.window_minutes) {
        let list: Vec<String> = windows.iter().map(u32::to_string).collect();
        let minutes = key.window_minutes;
        return Err(format!(
            "`{name}` needs the window of {minutes} minutes, expected one of windows_minutes: {}",
            list.join(", ")
        ));
    }
    if key.kind.needs().has(Need::Day) && longest < Policy::MINUTES_PER_DAY {
        return Err(format!(
            "`{name}` counts over one day, expected a window of 1440 minutes or more in windows_minutes"
        ));
    }
    Ok(key)
}

/// The names of the kinds for which `which` holds, windowed ones with a placeholder.
fn names(which: impl Fn(FeatureKind) -> bool) -> String {
    let names: Vec<String> = FeatureKind::ALL
        .into_iter()
        .filter(|kind| which(*kind))
        .map(|kind| format!("{}{}", kind.name(), if kind.is_windowed() { "_<window>" } else { "" }))
        .collect();
    names.join(", ")
}

pub(super) fn weights(
    top: &Section<'_, '_>,
    features: Option<&[FeatureKey]>,
    problems: &mut Problems,
) -> Option<Vec<(FeatureKey, f64)>> {
    // Where points or trees score, there may be none.
    let section = top.inside("weights", !top.has("points") && !top.has("trees"), problems);
    let mut weights: Vec<(FeatureKey, f64)> = Vec::new();
    for (name, key_span, value) in section.entries() {
        let path = format!("weights.{name}");
        let weight = reader::number(&path, &value.span(), value.get_ref(), &WEIGHTS, problems);
        match weighable(name, features) {
            Ok(key) => weights.extend(weight.filter(|weight| *weight > 0.0).map(|weight| (key, weight))),
            Err(message) => problems.push(&key_span, message),
        }
    }
    let order = |key: &FeatureKey| features.and_then(|list| list.iter().position(|other| other == key));
    weights.sort_by_key(|(key, _)| order(key));
    Some(weights)
}

fn weighable(name: &str, features: Option<&[FeatureKey]>) -> Result<FeatureKey, String> {
    let key = feature(name, None, None)?;
    if !key.kind.is_scored() || key.of.is_some() {
        return Err(format!(
            "`{name}` is not scored, expected a weight for one of: {}",
            names(FeatureKind::is_scored)
        ));
    }
    if features.is_some_and(|features| !features.contains(&key)) {
        return Err(format!("`{name}` has a weight, expected it in `features` too"));
    }
    Ok(key)
}
