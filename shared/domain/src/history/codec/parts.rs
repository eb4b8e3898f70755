//! Writes what an entry has that is not as usual. The order of the parts is the drawing's at the head of the module above.

use crate::catalogue::{FeatureKey, FeatureValue, KeyName};
use crate::history::bits::{BitWriter, index_bits, zigzag};
use crate::history::entry::Entry;
use crate::outcome::{KeyRead, Reason, Tier};
use crate::trees::TreeModelKey;

use super::fields::put_country;
use super::format::{
    CATEGORY_BITS, Context, KEY_VERSION_WIDTH, KEYS_BITS, KIND_BITS, KNOWN_SINCE_WIDTH, LINKS_BITS, LONG_WINDOW_BITS,
    LOW_RISK, POLICY_WIDTH, PROFILE_WIDTH, SEQ_WIDTH, SHARE_BITS, WHOLE_MAX, WHOLE_WIDTH, WINDOW_BITS, part,
};
use super::listed::put_lists;
use super::names::put_name;
use super::ruled::put_rules;

pub(super) fn put_high(bits: &mut BitWriter<'_>, high: Option<u32>) {
    bits.flag(high.is_some());
    if let Some(high) = high {
        bits.put(u64::from(high), 32);
    }
}

pub(super) fn put_category(bits: &mut BitWriter<'_>, category: Option<u16>) {
    bits.flag(category.is_some());
    if let Some(category) = category {
        bits.put(u64::from(category), CATEGORY_BITS);
    }
}

/// Writes these parts; `seq` is the usual one.
pub(super) fn put_parts<'b>(
    mut writer: BitWriter<'b>,
    context: &mut Context,
    entry: &Entry,
    (parts, seq): (u32, u64),
) -> BitWriter<'b> {
    let bits = &mut writer;
    let outcome = &entry.outcome;
    bits.put(u64::from(parts), context.format.part_bits());
    if parts & part::SEQ != 0 {
        bits.number(zigzag(entry.seq.wrapping_sub(seq).cast_signed()), SEQ_WIDTH);
    }
    if parts & part::COUNTRY != 0 {
        put_country(bits, entry.country);
    }
    if parts & part::DECISION != 0 {
        bits.put(outcome.decision as u64, 2);
        if context.format.has_keys() {
            bits.put(outcome.tier as u64, 3);
            bits.put(u64::from(outcome.missing.0), 8);
        } else {
            let (tier, low_risk) = match outcome.tier {
                Tier::LowRisk => (Tier::Full, LOW_RISK),
                tier => (tier, 0),
            };
            bits.put(tier as u64, 2);
            bits.put(u64::from(outcome.missing.0 | low_risk), 8);
        }
    }
    if parts & part::POLICY != 0 {
        bits.number(u64::from(outcome.policy_version), POLICY_WIDTH);
    }
    if parts & part::PROFILE != 0 {
        bits.flag(outcome.profile_version.is_some());
        if let Some(version) = outcome.profile_version {
            bits.number(version, PROFILE_WIDTH);
        }
    }
    if parts & part::REASONS != 0 {
        put_reasons(bits, context, &outcome.reasons);
    }
    if let Some((verdict, known_since_ms)) = entry.label {
        bits.put(verdict as u64 - 1, 1);
        bits.number(zigzag(known_since_ms.wrapping_sub(entry.time_ms)), KNOWN_SINCE_WIDTH);
    }
    if parts & part::FEATURES != 0 {
        put_features(bits, context, &outcome.features);
    }
    if parts & part::APPROXIMATE != 0 {
        let errors: Vec<FeatureValue> = outcome
            .approximate
            .iter()
            .map(|(key, error)| (*key, Some(*error)))
            .collect();
        put_features(bits, context, &errors);
    }
    if parts & part::IDENTITY != 0
        && let Some(high) = entry.event_fp_high
    {
        bits.put(u64::from(high), 32);
    }
    if parts & part::KEY_IDENTITIES != 0 {
        put_high(bits, entry.merchant_fp_high);
        put_high(bits, entry.device_fp_high);
    }
    if parts & part::KEYS != 0 {
        put_keys(bits, context, &outcome.keys);
    }
    if parts & part::LINKS != 0 {
        put_links(bits, context, &entry.links);
    }
    if parts & part::CATEGORY != 0 {
        put_category(bits, entry.category);
    }
    if parts & part::MODEL != 0 {
        put_model(bits, context, outcome.model);
    }
    if parts & part::RULES != 0 {
        put_rules(bits, context, &outcome.rules);
    }
    if parts & part::LISTS != 0 {
        put_lists(bits, context, &outcome.lists);
    }
    writer
}

fn put_links(bits: &mut BitWriter<'_>, context: &mut Context, links: &[(KeyName, u64)]) {
    bits.put(links.len() as u64, LINKS_BITS);
    for (name, identity) in links {
        put_name(bits, context, *name);
        let known = context.identities.len();
        let index = context.identities.iter().position(|other| other == identity);
        bits.put(index.unwrap_or(known) as u64, index_bits(known + 1));
        if index.is_none() {
            bits.put(*identity, 64);
            context.identities.push(*identity);
        }
    }
}

/// The index of a model among those so far; a new one is spelt.
fn put_model(bits: &mut BitWriter<'_>, context: &mut Context, model: Option<TreeModelKey>) {
    bits.flag(model.is_some());
    let Some(model) = model else { return };
    let known = context.models.len();
    let index = context.models.iter().position(|other| *other == model).unwrap_or(known);
    bits.put(index as u64, index_bits(known + 1));
    if index == known {
        bits.put(model.0, 64);
        context.models.push(model);
    }
}

fn put_keys(bits: &mut BitWriter<'_>, context: &mut Context, keys: &[KeyRead]) {
    bits.put(keys.len() as u64, KEYS_BITS);
    for key in keys {
        put_name(bits, context, key.name);
        bits.flag(key.version.is_some());
        if let Some(version) = key.version {
            bits.number(version, KEY_VERSION_WIDTH);
        }
    }
}

fn put_reasons(bits: &mut BitWriter<'_>, context: &mut Context, reasons: &[Reason]) {
    bits.put(reasons.len() as u64, 3);
    for reason in reasons {
        put_key(bits, context, reason.key);
        bits.put(u64::from(reason.share_pct), SHARE_BITS);
    }
}

fn put_key(bits: &mut BitWriter<'_>, context: &mut Context, key: FeatureKey) {
    bits.put(u64::from(key.kind.number()), KIND_BITS);
    if context.format.has_keys() {
        bits.flag(key.of.is_some());
    }
    match key.of {
        None => bits.put(u64::from(key.window_minutes), WINDOW_BITS),
        Some(name) => {
            bits.put(u64::from(key.window_minutes), LONG_WINDOW_BITS);
            put_name(bits, context, name);
        }
    }
}

fn put_features(bits: &mut BitWriter<'_>, context: &mut Context, features: &[FeatureValue]) {
    let is_same = |list: &Vec<FeatureKey>| list.iter().eq(features.iter().map(|(key, _)| key));
    let index = context.lists.iter().position(is_same).unwrap_or(context.lists.len());
    bits.put(index as u64, index_bits(context.lists.len() + 1));
    if index == context.lists.len() {
        bits.put(features.len() as u64, 8);
        features.iter().for_each(|(key, _)| put_key(bits, context, *key));
        context.lists.push(features.iter().map(|(key, _)| *key).collect());
    }
    for (_, value) in features {
        match value.filter(|number| number.is_finite()) {
            None => bits.put(0, 2),
            Some(number) if is_whole(number) => {
                bits.put(1, 2);
                bits.number(number as u64, WHOLE_WIDTH);
            }
            Some(number) => {
                bits.put(2, 2);
                bits.put(number.to_bits(), 64);
            }
        }
    }
}

/// Whether a number is one of 0, 1, 2 … below [`WHOLE_MAX`]. −0 is not.
pub(super) fn is_whole(number: f64) -> bool {
    number < WHOLE_MAX && ((number as u64) as f64).to_bits() == number.to_bits()
}
