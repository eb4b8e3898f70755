//! Reads a state, whatever the bytes are. The order of the fields is the drawing's at the head of the module above.

use crate::card::bits::{BitError, BitReader, index_bits, unzigzag};
use crate::card::{CardState, Entry, Truncation};
use crate::event::{Country, Place, Verdict};
use crate::feature::{FeatureKey, FeatureKind, FeatureValue};
use crate::outcome::{Decision, Missing, Reason, StoredOutcome, Tier};

use super::encode::{is_whole, rare_parts};
use super::segments::get_refs;
use super::{
    COUNT_BITS, CodecError, Context, DECODE_BYTES_MAX, DROPPED_WIDTH, ENTRIES_MAX, Format, INSTANT_WIDTH, InvalidState,
    KIND_BITS, KNOWN_SINCE_WIDTH, LOW_RISK, POLICY_WIDTH, PROFILE_WIDTH, REFS_BITS, SEQ_WIDTH, SHARE_BITS,
    TRUNCATED_SPAN_WIDTH, TRUNCATED_WIDTH, WHOLE_MAX, WHOLE_WIDTH, WINDOW_BITS, part,
};

impl From<BitError> for CodecError {
    fn from(error: BitError) -> Self {
        match error {
            BitError::End => Self::Truncated,
            BitError::Range => Self::NumberRange,
            BitError::Trailing => Self::Trailing,
        }
    }
}

pub(super) fn decode(bytes: &[u8]) -> Result<CardState, CodecError> {
    match bytes {
        [] => Err(CodecError::Empty),
        _ if bytes.len() > DECODE_BYTES_MAX => Err(CodecError::TooLong),
        [version, rest @ ..] => match Format::of_version(*version) {
            Some(format) => decode_state(format, rest),
            None => Err(CodecError::UnknownVersion(*version)),
        },
    }
}

fn decode_state(format: Format, bytes: &[u8]) -> Result<CardState, CodecError> {
    let mut bits = BitReader::new(bytes);
    let count = bits.get(COUNT_BITS)? as usize;
    if count > ENTRIES_MAX {
        return Err(InvalidState::TooManyEntries.into());
    }
    let first_seq = bits.number(DROPPED_WIDTH)?;
    let next_seq = first_seq.checked_add(count as u64).ok_or(CodecError::NumberRange)?;
    let (mut floor_ms, mut truncation) = (None, None);
    if bits.flag()? {
        let floor = unzigzag(bits.number(INSTANT_WIDTH)?);
        floor_ms = Some(floor);
        if bits.flag()? {
            let events = bits.number(TRUNCATED_WIDTH)?;
            let span_ms = bits.number(TRUNCATED_SPAN_WIDTH)?;
            let floor_ms = floor.checked_sub_unsigned(span_ms).ok_or(CodecError::NumberRange)?;
            truncation = Some(Truncation { events, floor_ms });
        }
    }
    let has_refs = match format {
        Format::V1 => false,
        Format::V2 => true,
        Format::V3 => bits.flag()?,
    };
    let sealed = if has_refs {
        let count = bits.get(REFS_BITS)? as usize;
        if count == 0 && format == Format::V3 {
            return Err(InvalidState::Spelling.into());
        }
        get_refs(&mut bits, count)?
    } else {
        Vec::new()
    };
    let mut context = Context::new(format, count, first_seq, floor_ms.unwrap_or(0));
    if format == Format::V3 {
        let high = if bits.flag()? { Some(get_u32(&mut bits)?) } else { None };
        context.newest = Some((next_seq.wrapping_sub(1), high));
    }
    let entries = get_entries(&mut bits, &mut context, count, floor_ms.is_some())?;
    bits.end()?;
    if context.newest.is_some_and(|(_, high)| high.is_some()) {
        // Of an entry that is not there.
        return Err(InvalidState::Spelling.into());
    }
    let mut state = CardState::from_parts(entries, next_seq, floor_ms, truncation)?;
    state.sealed = sealed;
    state.check_sealed()?;
    if Format::of(&state) != format {
        return Err(InvalidState::Version.into());
    }
    Ok(state)
}

/// Reads so many entries; the first one's time stands against the context's if that says something.
pub(super) fn get_entries(
    bits: &mut BitReader<'_>,
    context: &mut Context,
    count: usize,
    has_floor: bool,
) -> Result<Vec<Entry>, CodecError> {
    // An entry takes 38 bits and more, so that the bytes are at least a 40th of the memory.
    let mut entries = Vec::with_capacity(count.min(bits.left() / 38 + 1));
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
    let place = get_place(bits, context, merchant)?;
    let device_fp = if bits.flag()? {
        Some(get_device(bits, context)?)
    } else {
        None
    };
    let approved = bits.flag()?;
    let last = context.last;
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
    };
    let mut entry = Entry {
        time_ms,
        seq: context.expected_seq(),
        event_fp,
        event_fp_high: None,
        amount_base_minor,
        merchant_fp,
        country: context.expected_country(merchant),
        device_fp,
        place,
        approved,
        outcome,
        label: None,
    };
    if !bits.flag()? {
        get_parts(bits, context, &mut entry, merchant)?;
    }
    if context.is_newest(&entry) {
        entry.event_fp_high = context.newest.and_then(|(_, high)| high);
    }
    context.learn(&entry, merchant);
    Ok(entry)
}

pub(super) fn get_u32(bits: &mut BitReader<'_>) -> Result<u32, CodecError> {
    // 32 bits fit.
    Ok(bits.get(32)? as u32)
}

/// Reads an index among `known` items; `known` itself stands for a new one.
pub(super) fn get_index(bits: &mut BitReader<'_>, known: usize) -> Result<usize, CodecError> {
    let index = bits.get(index_bits(known + 1))?;
    if index > known as u64 {
        return Err(CodecError::UnknownNumber {
            what: "a dictionary",
            number: index,
        });
    }
    Ok(index as usize)
}

/// Reads a fingerprint and where it is among those so far; a new one stands behind them.
#[inline(always)]
pub(super) fn get_fingerprint(bits: &mut BitReader<'_>, known: &[u32]) -> Result<(usize, u32), CodecError> {
    let index = get_index(bits, known.len())?;
    if let Some(fingerprint) = known.get(index) {
        return Ok((index, *fingerprint));
    }
    let fingerprint = get_u32(bits)?;
    if known.contains(&fingerprint) {
        return Err(InvalidState::Spelling.into());
    }
    Ok((index, fingerprint))
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

fn get_device(bits: &mut BitReader<'_>, context: &mut Context) -> Result<u32, CodecError> {
    let (index, device_fp) = get_fingerprint(bits, &context.devices)?;
    if index == context.devices.len() {
        context.devices.push(device_fp);
    }
    Ok(device_fp)
}

fn get_parts(
    bits: &mut BitReader<'_>,
    context: &mut Context,
    entry: &mut Entry,
    merchant: usize,
) -> Result<(), CodecError> {
    // 10 bits fit.
    let parts = bits.get(context.format.part_bits())? as u16;
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
        let tier = bits.get(2)?;
        let missing = bits.get(8)? as u8;
        outcome.tier = get_tier(tier, missing & LOW_RISK != 0)?;
        outcome.missing = Missing(missing & !LOW_RISK);
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
        outcome.reasons = get_reasons(bits)?;
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
    if parts == 0 || rare_parts(context, entry, merchant) != parts {
        return Err(InvalidState::Spelling.into());
    }
    Ok(())
}

pub(super) fn get_country(bits: &mut BitReader<'_>) -> Result<Country, CodecError> {
    let mut letters = [b'A'; 2];
    for letter in &mut letters {
        let number = bits.get(5)?;
        if number >= 26 {
            return Err(CodecError::UnknownNumber {
                what: "a country's letter",
                number,
            });
        }
        *letter += number as u8;
    }
    // Not held against today's list of countries: what was accepted once is read for ever.
    Ok(Country(letters))
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

fn get_key(bits: &mut BitReader<'_>) -> Result<FeatureKey, CodecError> {
    let number = bits.get(KIND_BITS)?;
    let kind = FeatureKind::from_number(number as u8).ok_or(CodecError::UnknownNumber {
        what: "a feature",
        number,
    })?;
    Ok(FeatureKey {
        kind,
        window_minutes: bits.get(WINDOW_BITS)? as u16,
    })
}

fn get_reasons(bits: &mut BitReader<'_>) -> Result<Vec<Reason>, CodecError> {
    let count = bits.get(3)?;
    (0..count)
        .map(|_| {
            Ok(Reason {
                key: get_key(bits)?,
                share_pct: bits.get(SHARE_BITS)? as u8,
            })
        })
        .collect()
}

fn get_features(bits: &mut BitReader<'_>, context: &mut Context) -> Result<Vec<FeatureValue>, CodecError> {
    let index = get_index(bits, context.lists.len())?;
    if index == context.lists.len() {
        let count = bits.get(8)?;
        let list = (0..count).map(|_| get_key(bits)).collect::<Result<_, _>>()?;
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
