//! Reads entries, whatever the bytes are. The order of the fields is the drawing's at the head of the module above.

use crate::catalogue::{FeatureKey, FeatureKind, FeatureValue, KeyName};
use crate::event::{Place, Verdict};
use crate::history::bits::{BitReader, unzigzag};
use crate::history::entry::Entry;
use crate::history::error::{CodecError, InvalidState};
use crate::outcome::{Decision, KeyRead, Missing, Reason, StoredOutcome, Tier};
use crate::trees::TreeModelKey;

use super::fields::{get_country, get_fingerprint, get_index, get_u32};
use super::format::{
    CATEGORY_BITS, Context, Expected, INSTANT_WIDTH, KEY_VERSION_WIDTH, KEYS_BITS, KIND_BITS, KNOWN_SINCE_WIDTH,
    LINKS_BITS, LONG_WINDOW_BITS, LOW_RISK, POLICY_WIDTH, PROFILE_WIDTH, SEQ_WIDTH, SHARE_BITS, WHOLE_MAX, WHOLE_WIDTH,
    WINDOW_BITS, part,
};
use super::listed::get_lists;
use super::names::get_name;
use super::parts::is_whole;
use super::ruled::get_rules;
use super::usual::{Usual, rare_parts};

/// Reads so many entries; the first one's time stands against the context's if that says something. The list has room for half as many
/// more if it is to grow.
pub(super) fn get_entries(
    bits: &mut BitReader<'_>,
    context: &mut Context,
    count: usize,
    (has_floor, is_to_grow): (bool, bool),
) -> Result<Vec<Entry>, CodecError> {
    // An entry takes 38 bits and more, so that the bytes are at least a 100th of the memory.
    let least = count.min(bits.left() / 38 + 1);
    let mut entries = Vec::with_capacity(if is_to_grow { least + least / 2 + 1 } else { least });
    for index in 0..count {
        let time_ms = if index == 0 && !has_floor {
            unzigzag(bits.number(INSTANT_WIDTH)?)
        } else {
            let elapsed_ms = bits.series(&mut context.time)?;
            context
                .last
                .time_ms
                .checked_add_unsigned(elapsed_ms)
                .ok_or(CodecError::NumberRange)?
        };
        entries.push(get_entry(bits, context, time_ms)?);
    }
    Ok(entries)
}

fn get_entry(bits: &mut BitReader<'_>, context: &mut Context, time_ms: i64) -> Result<Entry, CodecError> {
    let event_fp = get_u32(bits)?;
    let amount_base_minor = bits.series(&mut context.amount)?;
    let score = u16::try_from(bits.series(&mut context.score)?).map_err(|_| InvalidState::Score)?;
    let (merchant, merchant_fp) = get_fingerprint(bits, &context.merchants)?;
    let mut expected = context.expected(merchant);
    if context.format.has_keys() && merchant == context.merchants.len() {
        expected.highs.merchant = get_high(bits)?;
        if context.format.has_links() {
            expected.category = get_category(bits)?;
        }
    }
    let place = get_place(bits, context, merchant)?;
    let device = if bits.flag()? {
        let (device, device_fp) = get_fingerprint(bits, &context.devices)?;
        expected.highs.device = context.expected_device_high(device);
        if context.format.has_keys() && device == context.devices.len() {
            expected.highs.device = get_high(bits)?;
        }
        Some((device, device_fp))
    } else {
        None
    };
    let approved = bits.flag()?;
    let last = &context.last;
    let outcome = StoredOutcome {
        score,
        decision: Decision::Pass,
        tier: last.tier,
        missing: last.missing,
        reasons: Vec::new(),
        policy_version: last.policy_version,
        profile_version: last.profile_version,
        features: Vec::new(),
        approximate: Vec::new(),
        explained: false,
        keys: Vec::new(),
        model: last.model,
        rules: Vec::new(),
        lists: last.lists.clone(),
    };
    let mut entry = Entry {
        time_ms,
        seq: context.expected_seq(),
        event_fp,
        event_fp_high: None,
        amount_base_minor,
        merchant_fp,
        merchant_fp_high: expected.highs.merchant,
        country: context.expected_country(merchant),
        device_fp: device.map(|(_, device_fp)| device_fp),
        device_fp_high: expected.highs.device,
        links: context.links.clone(),
        category: expected.category,
        place,
        approved,
        outcome,
        label: None,
    };
    if !bits.flag()? {
        get_parts(bits, context, &mut entry, merchant, expected)?;
        let is_new_merchant = merchant == context.merchants.len();
        let is_new_device = device.is_some_and(|(device, _)| device == context.devices.len());
        // What is new has said these itself: a rare part has nothing to add.
        if (is_new_merchant && !expected.is_of_merchant(&entry)) || (is_new_device && !expected.is_of_device(&entry)) {
            return Err(InvalidState::Spelling.into());
        }
    }
    if let Some((device, device_fp)) = device {
        context.learn_device(device, device_fp, entry.device_fp_high);
    }
    if context.is_newest(&entry) {
        entry.event_fp_high = context.newest.and_then(|(_, high)| high);
    }
    context.learn(&entry, merchant);
    Ok(entry)
}

fn get_place(bits: &mut BitReader<'_>, context: &mut Context, merchant: usize) -> Result<Option<Place>, CodecError> {
    if !bits.flag()? {
        return Ok(None);
    }
    let known = context.known_place(merchant);
    if known.is_some() && bits.flag()? {
        return Ok(known);
    }
    let mut degrees = |before: i32| -> Result<i32, CodecError> {
        let difference = unzigzag(bits.series(&mut context.degrees)?);
        let sum = i64::from(before).checked_add(difference).ok_or(InvalidState::Place)?;
        Ok(i32::try_from(sum).map_err(|_| InvalidState::Place)?)
    };
    let latitude_e4 = degrees(context.place.latitude_e4)?;
    let longitude_e4 = degrees(context.place.longitude_e4)?;
    context.place = Place {
        latitude_e4,
        longitude_e4,
    };
    if known == Some(context.place) {
        return Err(InvalidState::Spelling.into());
    }
    Ok(Some(context.place))
}

fn get_high(bits: &mut BitReader<'_>) -> Result<Option<u32>, CodecError> {
    Ok(if bits.flag()? { Some(get_u32(bits)?) } else { None })
}

fn get_category(bits: &mut BitReader<'_>) -> Result<Option<u16>, CodecError> {
    // 14 bits fit.
    Ok(if bits.flag()? {
        Some(bits.get(CATEGORY_BITS)? as u16)
    } else {
        None
    })
}

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

fn get_parts(
    bits: &mut BitReader<'_>,
    context: &mut Context,
    entry: &mut Entry,
    merchant: usize,
    expected: Expected,
) -> Result<(), CodecError> {
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
    Ok(())
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
