//! Reads the parts of an entry that are not as usual.

use crate::catalogue::{FeatureKey, FeatureKind, FeatureValue, KeyName};
use crate::event::Verdict;
use crate::history::bits::{BitReader, unzigzag};
use crate::history::entry::Entry;
use crate::history::error::{CodecError, InvalidState};
use crate::outcome::{Decision, KeyRead, Missing, Reason, Tier};
use crate::trees::TreeModelKey;

use super::fields::{get_category, get_country, get_high, get_index, get_u32};
use super::format::{
    Context, Expected, KEY_VERSION_WIDTH, KEYS_BITS, KIND_BITS, KNOWN_SINCE_WIDTH, LINKS_BITS, LONG_WINDOW_BITS,
    LOW_RISK, POLICY_WIDTH, PROFILE_WIDTH, SEQ_WIDTH, SHARE_BITS, WHOLE_MAX, WHOLE_WIDTH, WINDOW_BITS, part,
};
use super::listed::get_lists;
use super::names::get_name;
use super::parts::is_whole;
use super::ruled::get_rules;
use super::usual::{Usual, rare_parts};

fn get_links(bits: &mut BitReader<'_>, context: &mut Context) -> Result<Vec<(KeyName, u64)>, CodecError> {
    let count = bits.get(LINKS_BITS)?;
    (0..count)
        .map(|_| {
            let name = get_name(bits, context)?;
            let index = get_index(bits, context.identities.len())?;
            if let Some(identity) = context.identities.get(index) {
                return Ok((name, *identity));
            }
            let identity = bits.get(64)?;
            if context.identities.contains(&identity) {
                return Err(InvalidState::Spelling.into());
            }
            context.identities.push(identity);
            Ok((name, identity))
        })
        .collect()
}

/// Reads what is not as usual of an entry; which parts these are.
pub(super) fn get_parts(
    bits: &mut BitReader<'_>,
    context: &mut Context,
    entry: &mut Entry,
    merchant: usize,
    expected: Expected,
) -> Result<u32, CodecError> {
    // 18 bits fit.
    let parts = bits.get(context.format.part_bits())? as u32;
    let outcome = &mut entry.outcome;
    if parts & part::SEQ != 0 {
        entry.seq = context
            .expected_seq()
            .wrapping_add(unzigzag(bits.number(SEQ_WIDTH)?).cast_unsigned());
    }
    if parts & part::COUNTRY != 0 {
        entry.country = get_country(bits)?;
    }
    if parts & part::DECISION != 0 {
        outcome.decision = get_decision(bits.get(2)?)?;
        if context.format.has_keys() {
            outcome.tier = get_any_tier(bits.get(3)?)?;
            outcome.missing = Missing(bits.get(8)? as u8);
        } else {
            let tier = bits.get(2)?;
            let missing = bits.get(8)? as u8;
            outcome.tier = get_tier(tier, missing & LOW_RISK != 0)?;
            outcome.missing = Missing(missing & !LOW_RISK);
        }
    }
    if parts & part::POLICY != 0 {
        let version = bits.number(POLICY_WIDTH)?;
        outcome.policy_version = u32::try_from(version).map_err(|_| CodecError::NumberRange)?;
    }
    if parts & part::PROFILE != 0 {
        outcome.profile_version = if bits.flag()? {
            Some(bits.number(PROFILE_WIDTH)?)
        } else {
            None
        };
    }
    if parts & part::REASONS != 0 {
        outcome.reasons = get_reasons(bits, context)?;
    }
    if parts & part::LABEL != 0 {
        let verdict = if bits.flag()? { Verdict::Cleared } else { Verdict::Fraud };
        let since_ms = unzigzag(bits.number(KNOWN_SINCE_WIDTH)?);
        entry.label = Some((verdict, entry.time_ms.wrapping_add(since_ms)));
    }
    if parts & part::FEATURES != 0 {
        outcome.features = get_features(bits, context)?;
    }
    if parts & part::APPROXIMATE != 0 {
        let errors = get_features(bits, context)?.into_iter();
        let errors = errors.map(|(key, error)| error.map(|error| (key, error)).ok_or(InvalidState::Features.into()));
        outcome.approximate = errors.collect::<Result<_, CodecError>>()?;
    }
    if parts & part::IDENTITY != 0 {
        entry.event_fp_high = Some(get_u32(bits)?);
    }
    if parts & part::KEY_IDENTITIES != 0 {
        entry.merchant_fp_high = get_high(bits)?;
        entry.device_fp_high = get_high(bits)?;
    }
    entry.outcome.explained = parts & part::EXPLAINED != 0;
    if parts & part::KEYS != 0 {
        entry.outcome.keys = get_keys(bits, context)?;
    }
    if parts & part::LINKS != 0 {
        entry.links = get_links(bits, context)?;
    }
    if parts & part::CATEGORY != 0 {
        entry.category = get_category(bits)?;
    }
    if parts & part::MODEL != 0 {
        entry.outcome.model = get_model(bits, context)?;
    }
    if parts & part::RULES != 0 {
        entry.outcome.rules = get_rules(bits, context)?;
    }
    if parts & part::LISTS != 0 {
        entry.outcome.lists = get_lists(bits, context)?;
    }
    let usual = Usual::read(context, merchant, expected, context.is_newest(entry));
    if parts == 0 || rare_parts(&usual, entry) != parts {
        return Err(InvalidState::Spelling.into());
    }
    Ok(parts)
}

fn get_decision(number: u64) -> Result<Decision, CodecError> {
    [Decision::Pass, Decision::Review, Decision::Alert]
        .into_iter()
        .find(|decision| *decision as u64 == number)
        .ok_or(CodecError::UnknownNumber {
            what: "a decision",
            number,
        })
}

fn get_tier(number: u64, is_low_risk: bool) -> Result<Tier, CodecError> {
    if is_low_risk && number == 0 {
        return Ok(Tier::LowRisk);
    }
    [Tier::Full, Tier::NoProfile, Tier::HistoryOnly, Tier::Neutral]
        .into_iter()
        .find(|tier| *tier as u64 == number && !is_low_risk)
        .ok_or(CodecError::UnknownNumber { what: "a tier", number })
}

fn get_any_tier(number: u64) -> Result<Tier, CodecError> {
    let tier = Tier::ALL.into_iter().find(|tier| *tier as u64 == number);
    tier.ok_or(CodecError::UnknownNumber { what: "a tier", number })
}

fn get_keys(bits: &mut BitReader<'_>, context: &mut Context) -> Result<Vec<KeyRead>, CodecError> {
    let count = bits.get(KEYS_BITS)?;
    (0..count)
        .map(|_| {
            let name = get_name(bits, context)?;
            let version = if bits.flag()? {
                Some(bits.number(KEY_VERSION_WIDTH)?)
            } else {
                None
            };
            Ok(KeyRead { name, version })
        })
        .collect()
}

fn get_model(bits: &mut BitReader<'_>, context: &mut Context) -> Result<Option<TreeModelKey>, CodecError> {
    if !bits.flag()? {
        return Ok(None);
    }
    let index = get_index(bits, context.models.len())?;
    if let Some(model) = context.models.get(index) {
        return Ok(Some(*model));
    }
    let model = TreeModelKey(bits.get(64)?);
    if context.models.contains(&model) {
        return Err(InvalidState::Spelling.into());
    }
    context.models.push(model);
    Ok(Some(model))
}

fn get_key(bits: &mut BitReader<'_>, context: &mut Context) -> Result<FeatureKey, CodecError> {
    let number = bits.get(KIND_BITS)?;
    let kind = FeatureKind::from_number(number as u8).ok_or(CodecError::UnknownNumber {
        what: "a feature",
        number,
    })?;
    if !context.format.has_keys() || !bits.flag()? {
        // 16 bits fit.
        return Ok(FeatureKey::new(kind, bits.get(WINDOW_BITS)? as u32));
    }
    let window_minutes = bits.get(LONG_WINDOW_BITS)? as u32;
    Ok(FeatureKey::of_key(get_name(bits, context)?, kind, window_minutes))
}

fn get_reasons(bits: &mut BitReader<'_>, context: &mut Context) -> Result<Vec<Reason>, CodecError> {
    let count = bits.get(3)?;
    (0..count)
        .map(|_| {
            Ok(Reason {
                key: get_key(bits, context)?,
                share_pct: bits.get(SHARE_BITS)? as u8,
            })
        })
        .collect()
}

fn get_features(bits: &mut BitReader<'_>, context: &mut Context) -> Result<Vec<FeatureValue>, CodecError> {
    let index = get_index(bits, context.lists.len())?;
    if index == context.lists.len() {
        let count = bits.get(8)?;
        let list = (0..count).map(|_| get_key(bits, context)).collect::<Result<_, _>>()?;
        if context.lists.contains(&list) {
            return Err(InvalidState::Spelling.into());
        }
        context.lists.push(list);
    }
    let list = context.lists.get(index).map_or(&[][..], Vec::as_slice);
    list.iter().map(|key| Ok((*key, get_value(bits)?))).collect()
}

fn get_value(bits: &mut BitReader<'_>) -> Result<Option<f64>, CodecError> {
    match bits.get(2)? {
        0 => Ok(None),
        1 => Some(bits.number(WHOLE_WIDTH)? as f64)
            .filter(|number| *number < WHOLE_MAX)
            .map_or_else(|| Err(InvalidState::Spelling.into()), |number| Ok(Some(number))),
        2 => Some(f64::from_bits(bits.get(64)?))
            .filter(|number| !is_whole(*number))
            .map_or_else(|| Err(InvalidState::Spelling.into()), |number| Ok(Some(number))),
        number => Err(CodecError::UnknownNumber {
            what: "a feature's value",
            number,
        }),
    }
}
