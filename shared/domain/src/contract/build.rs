//! From the members of a text to an event: presence, types, values, and times against arrival.

use crate::event::{Channel, Country, Currency, Event, Label, Links, Place, Profile, Transaction, Verdict};
use crate::id::{CardId, DeviceId, EventId, ID_BYTES_MAX, MerchantId, is_id_character};
use crate::refusal::{Refusal, RefusalCode};

use super::bounds::{
    Bounds, Decoded, MCC_MAX, PLACE_SCALE, SPEND_MINOR_MAX, TIME_MS_END, TIME_MS_START, TRANSACTIONS_PER_DAY_MAX,
    label_v, profile_v, transaction_v,
};
use super::field::{self, Field};
use super::read::{Members, Raw};

/// Two to the power of 64: from here on a whole number no longer fits 64 bits.
const WHOLE_END: f64 = 18_446_744_073_709_551_616.0;

/// Makes the event that the members describe.
pub(super) fn build(members: &Members<'_>, arrival_ms: i64, bounds: &Bounds) -> Result<Decoded, Refusal> {
    let schema = members.text(Field::Schema)?;
    if !matches!(schema, transaction_v::NAME | profile_v::NAME | label_v::NAME) {
        return Err(Refusal::new(
            RefusalCode::UnknownSchema,
            "`schema`: expected `transaction`, `profile` or `label`",
        ));
    }
    let version = members.version()?;
    let (known, event) = match (schema, version) {
        (transaction_v::NAME, transaction_v::V1) => (
            field::TRANSACTION_V1,
            Event::Transaction(transaction(members, version, arrival_ms, bounds)?),
        ),
        (transaction_v::NAME, transaction_v::V2) => (
            field::TRANSACTION_V2,
            Event::Transaction(transaction(members, version, arrival_ms, bounds)?),
        ),
        (transaction_v::NAME, transaction_v::V3) => (
            field::TRANSACTION_V3,
            Event::Transaction(transaction(members, version, arrival_ms, bounds)?),
        ),
        (profile_v::NAME, profile_v::V1) => (field::PROFILE_V1, Event::Profile(profile(members, arrival_ms, bounds)?)),
        (label_v::NAME, label_v::V1) => (
            field::LABEL_V1,
            Event::Label(label(members, false, arrival_ms, bounds)?),
        ),
        (label_v::NAME, label_v::V2) => (field::LABEL_V2, Event::Label(label(members, true, arrival_ms, bounds)?)),
        _ => {
            return Err(Refusal::new(
                RefusalCode::UnknownVersion,
                "`version`: expected 1 to 3 for a transaction, 1 or 2 for a label, 1 for a profile",
            ));
        }
    };
    let foreign = (members.present & !known).count_ones();
    Ok(Decoded {
        event,
        unknown_fields: members.strangers.saturating_add(foreign),
    })
}

fn transaction(members: &Members<'_>, version: u32, arrival_ms: i64, bounds: &Bounds) -> Result<Transaction, Refusal> {
    let event_id = members.id(Field::EventId, EventId::new)?;
    let card_id = members.id(Field::CardId, CardId::new)?;
    let occurred_at_ms = members.time(Field::OccurredAtMs)?;
    let amount_minor = members.amount(bounds.amount_minor_max)?;
    let currency = members.currency()?;
    let merchant_id = members.id(Field::MerchantId, MerchantId::new)?;
    let mcc = members.mcc()?;
    let country = members.country(Field::Country)?;
    let channel = members.channel()?;
    let approved = members.flag(Field::Approved)?;
    let (device_id, place) = if version >= transaction_v::V2 {
        (members.optional_id(Field::DeviceId, DeviceId::new)?, members.place()?)
    } else {
        (None, None)
    };
    let (links, account_opened_at_ms) = if version >= transaction_v::V3 {
        (members.links()?, members.optional_time(Field::AccountOpenedAtMs)?)
    } else {
        (Links::NONE, None)
    };
    check_times(occurred_at_ms, account_opened_at_ms, arrival_ms, bounds)?;
    Ok(Transaction {
        event_id,
        card_id,
        occurred_at_ms,
        amount_minor,
        currency,
        merchant_id,
        mcc,
        country,
        channel,
        approved,
        device_id,
        place,
        links,
        account_opened_at_ms,
    })
}

/// Refuses a transaction whose times can't be, or whose event is too old.
fn check_times(
    occurred_at_ms: i64,
    account_opened_at_ms: Option<i64>,
    arrival_ms: i64,
    bounds: &Bounds,
) -> Result<(), Refusal> {
    not_ahead(Field::OccurredAtMs, occurred_at_ms, arrival_ms, bounds)?;
    if let Some(opened_ms) = account_opened_at_ms {
        not_ahead(Field::AccountOpenedAtMs, opened_ms, arrival_ms, bounds)?;
    }
    if occurred_at_ms < arrival_ms.saturating_sub(bounds.lateness_ms) {
        let detail = format!(
            "`occurred_at_ms`: expected at most {} ms before arrival",
            bounds.lateness_ms
        );
        return Err(Refusal::new(RefusalCode::TooLate, detail));
    }
    if account_opened_at_ms.is_some_and(|opened_ms| opened_ms > occurred_at_ms.saturating_add(bounds.skew_ms)) {
        let expected = format!("at most {} ms after `occurred_at_ms`", bounds.skew_ms);
        return Err(refusal(
            RefusalCode::AccountAfterEvent,
            Field::AccountOpenedAtMs,
            &expected,
        ));
    }
    Ok(())
}

fn profile(members: &Members<'_>, arrival_ms: i64, bounds: &Bounds) -> Result<Profile, Refusal> {
    let profile = Profile {
        card_id: members.id(Field::CardId, CardId::new)?,
        version: members.whole(Field::ProfileVersion)?,
        usual_country: members.country(Field::UsualCountry)?,
        spend_mean_minor: members.number(Field::SpendMeanMinor, 0.0, SPEND_MINOR_MAX)?,
        spend_deviation_minor: members.number(Field::SpendDeviationMinor, 0.0, SPEND_MINOR_MAX)?,
        transactions_per_day: members.number(Field::TransactionsPerDay, 0.0, TRANSACTIONS_PER_DAY_MAX)?,
        account_opened_at_ms: members.time(Field::AccountOpenedAtMs)?,
        updated_at_ms: members.optional_time(Field::UpdatedAtMs)?,
    };
    not_ahead(
        Field::AccountOpenedAtMs,
        profile.account_opened_at_ms,
        arrival_ms,
        bounds,
    )?;
    if let Some(updated_at_ms) = profile.updated_at_ms {
        not_ahead(Field::UpdatedAtMs, updated_at_ms, arrival_ms, bounds)?;
    }
    Ok(profile)
}

fn label(members: &Members<'_>, with_event: bool, arrival_ms: i64, bounds: &Bounds) -> Result<Label, Refusal> {
    let mut label = Label {
        event_id: members.id(Field::EventId, EventId::new)?,
        card_id: members.id(Field::CardId, CardId::new)?,
        verdict: members.verdict()?,
        known_since_ms: members.time(Field::KnownSinceMs)?,
        occurred_at_ms: None,
        merchant_id: None,
        device_id: None,
        links: Links::NONE,
    };
    not_ahead(Field::KnownSinceMs, label.known_since_ms, arrival_ms, bounds)?;
    if with_event {
        let occurred_at_ms = members.time(Field::OccurredAtMs)?;
        not_ahead(Field::OccurredAtMs, occurred_at_ms, arrival_ms, bounds)?;
        label.occurred_at_ms = Some(occurred_at_ms);
        label.merchant_id = members.optional_id(Field::MerchantId, MerchantId::new)?;
        label.device_id = members.optional_id(Field::DeviceId, DeviceId::new)?;
        label.links = members.links()?;
    }
    Ok(label)
}

/// Refuses a time ahead of arrival by more than the skew bound.
fn not_ahead(field: Field, time_ms: i64, arrival_ms: i64, bounds: &Bounds) -> Result<(), Refusal> {
    if time_ms > arrival_ms.saturating_add(bounds.skew_ms) {
        let detail = format!(
            "`{}`: expected at most {} ms after arrival",
            field.name(),
            bounds.skew_ms
        );
        return Err(Refusal::new(RefusalCode::FutureTimestamp, detail));
    }
    Ok(())
}

pub(super) fn refusal(code: RefusalCode, field: Field, expected: &str) -> Refusal {
    Refusal::new(code, format!("`{}`: expected {expected}", field.name()))
}

/// The id of a text.
pub(super) fn id_of<T>(field: Field, text: &str, new: impl Fn(&str) -> Option<T>) -> Result<T, Refusal> {
    let id = new(text).ok_or_else(|| {
        let code = if text.is_empty() {
            RefusalCode::EmptyId
        } else {
            RefusalCode::OverlongId
        };
        refusal(code, field, &format!("1 to {ID_BYTES_MAX} bytes of UTF-8"))
    })?;
    // Nearly every id is of visible ASCII, which one look at its bytes tells.
    if text.bytes().all(|byte| (b' '..0x7f).contains(&byte)) || text.chars().all(is_id_character) {
        return Ok(id);
    }
    let expected = "no control character, line separator or bidirectional mark";
    Err(refusal(RefusalCode::UnprintableId, field, expected))
}

/// A required field without a value of the expected type.
fn mistyped(field: Field, value: &Raw<'_>, expected: &str) -> Refusal {
    let code = if *value == Raw::Absent {
        RefusalCode::MissingField
    } else {
        RefusalCode::MistypedField
    };
    refusal(code, field, expected)
}

impl Members<'_> {
    pub(super) fn get(&self, field: Field) -> &Raw<'_> {
        &self.values[field as usize]
    }

    /// Whether an optional field has no value: absent and `null` are the same.
    fn is_without(&self, field: Field) -> bool {
        matches!(self.get(field), Raw::Absent | Raw::Null)
    }

    fn text(&self, field: Field) -> Result<&str, Refusal> {
        match self.get(field) {
            Raw::Text(text) => Ok(text),
            other => Err(mistyped(field, other, "a string")),
        }
    }

    fn flag(&self, field: Field) -> Result<bool, Refusal> {
        match self.get(field) {
            Raw::Bool(value) => Ok(*value),
            other => Err(mistyped(field, other, "true or false")),
        }
    }

    fn id<T>(&self, field: Field, new: impl Fn(&str) -> Option<T>) -> Result<T, Refusal> {
        id_of(field, self.text(field)?, new)
    }

    fn optional_id<T>(&self, field: Field, new: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Refusal> {
        if self.is_without(field) {
            Ok(None)
        } else {
            self.id(field, new).map(Some)
        }
    }

    /// A version: a whole number; one that no version can have is an unknown one.
    fn version(&self) -> Result<u32, Refusal> {
        let value = self.whole_or(Field::Version, || RefusalCode::UnknownVersion)?;
        u32::try_from(value)
            .map_err(|_| refusal(RefusalCode::UnknownVersion, Field::Version, "a version of the schema"))
    }

    fn whole(&self, field: Field) -> Result<u64, Refusal> {
        self.whole_or(field, || RefusalCode::NumberOutOfRange)
    }

    /// A whole number from 0 to 2⁶⁴ − 1, written without fraction and exponent.
    fn whole_or(&self, field: Field, out_of_range: impl Fn() -> RefusalCode) -> Result<u64, Refusal> {
        let expected = "a whole number from 0 on, without fraction and exponent";
        match self.get(field) {
            Raw::Whole(value) => Ok(*value),
            Raw::Negative(_) => Err(refusal(out_of_range(), field, expected)),
            Raw::Number(value) if value.abs() >= WHOLE_END => Err(refusal(out_of_range(), field, expected)),
            other => Err(mistyped(field, other, expected)),
        }
    }

    fn mcc(&self) -> Result<u16, Refusal> {
        let value = self.whole(Field::Mcc)?;
        u16::try_from(value)
            .ok()
            .filter(|mcc| *mcc <= MCC_MAX)
            .ok_or_else(|| refusal(RefusalCode::NumberOutOfRange, Field::Mcc, &format!("0 to {MCC_MAX}")))
    }

    fn amount(&self, amount_minor_max: u64) -> Result<u64, Refusal> {
        let field = Field::AmountMinor;
        let not_positive = || refusal(RefusalCode::AmountNotPositive, field, "at least 1 minor unit");
        let too_large = || {
            refusal(
                RefusalCode::AmountTooLarge,
                field,
                &format!("at most {amount_minor_max} minor units"),
            )
        };
        match self.get(field) {
            Raw::Whole(0) | Raw::Negative(_) => Err(not_positive()),
            Raw::Whole(value) if *value > amount_minor_max => Err(too_large()),
            Raw::Whole(value) => Ok(*value),
            // serde_json gives -0 and whole numbers beyond 64 bits as floats.
            Raw::Number(value) if *value == 0.0 || *value <= -WHOLE_END => Err(not_positive()),
            Raw::Number(value) if *value >= WHOLE_END => Err(too_large()),
            Raw::Number(_) => Err(refusal(
                RefusalCode::AmountFraction,
                field,
                "whole minor units, written without fraction and exponent",
            )),
            other => Err(mistyped(field, other, "a whole number of minor units")),
        }
    }

    fn time(&self, field: Field) -> Result<i64, Refusal> {
        let expected = "milliseconds since 1970-01-01T00:00:00Z, a whole number of 12 to 14 digits";
        let value = self.whole_or(field, || match self.get(field) {
            Raw::Negative(_) => RefusalCode::NumberOutOfRange,
            // Too many digits, whatever the sign: nanoseconds and finer.
            _ => RefusalCode::TimeUnit,
        })?;
        i64::try_from(value)
            .ok()
            .filter(|time_ms| (TIME_MS_START..TIME_MS_END).contains(time_ms))
            .ok_or_else(|| refusal(RefusalCode::TimeUnit, field, expected))
    }

    fn optional_time(&self, field: Field) -> Result<Option<i64>, Refusal> {
        if self.is_without(field) {
            Ok(None)
        } else {
            self.time(field).map(Some)
        }
    }

    fn number(&self, field: Field, least: f64, most: f64) -> Result<f64, Refusal> {
        #[allow(clippy::cast_precision_loss)] // as JSON's readers do
        let value = match self.get(field) {
            Raw::Whole(value) => *value as f64,
            Raw::Negative(value) => *value as f64,
            Raw::Number(value) => *value,
            other => return Err(mistyped(field, other, "a number")),
        };
        if (least..=most).contains(&value) {
            // −0 is 0.
            Ok(value + 0.0)
        } else {
            Err(refusal(
                RefusalCode::NumberOutOfRange,
                field,
                &format!("{least} to {most}"),
            ))
        }
    }

    fn place(&self) -> Result<Option<Place>, Refusal> {
        match (self.is_without(Field::Latitude), self.is_without(Field::Longitude)) {
            (true, true) => Ok(None),
            (false, true) => Err(refusal(
                RefusalCode::MissingField,
                Field::Longitude,
                "a number beside `latitude`",
            )),
            (true, false) => Err(refusal(
                RefusalCode::MissingField,
                Field::Latitude,
                "a number beside `longitude`",
            )),
            (false, false) => Ok(Some(Place {
                latitude_e4: grid(self.number(Field::Latitude, -90.0, 90.0)?),
                longitude_e4: grid(self.number(Field::Longitude, -180.0, 180.0)?),
            })),
        }
    }

    fn currency(&self) -> Result<Currency, Refusal> {
        Currency::new(self.text(Field::Currency)?).ok_or_else(|| {
            refusal(
                RefusalCode::UnknownCurrency,
                Field::Currency,
                "three capital letters of ISO 4217, a currency with a minor unit",
            )
        })
    }

    fn country(&self, field: Field) -> Result<Country, Refusal> {
        Country::new(self.text(field)?).ok_or_else(|| {
            refusal(
                RefusalCode::UnknownCountry,
                field,
                "two capital letters of ISO 3166-1 alpha-2",
            )
        })
    }

    fn channel(&self) -> Result<Channel, Refusal> {
        let expected = "one of `point_of_sale`, `ecommerce`, `atm`, `mail_phone`, `recurring`";
        match self.get(Field::Channel) {
            Raw::Text(text) => {
                Channel::from_name(text).ok_or_else(|| refusal(RefusalCode::MistypedField, Field::Channel, expected))
            }
            other => Err(mistyped(Field::Channel, other, expected)),
        }
    }

    fn verdict(&self) -> Result<Verdict, Refusal> {
        let expected = "`fraud` or `cleared`";
        match self.get(Field::Verdict) {
            Raw::Text(text) if text == Verdict::Fraud.as_str() => Ok(Verdict::Fraud),
            Raw::Text(text) if text == Verdict::Cleared.as_str() => Ok(Verdict::Cleared),
            Raw::Text(_) => Err(refusal(RefusalCode::MistypedField, Field::Verdict, expected)),
            other => Err(mistyped(Field::Verdict, other, expected)),
        }
    }
}

/// Degrees on the grid of [`Place`].
fn grid(degrees: f64) -> i32 {
    #[allow(clippy::cast_possible_truncation)] // at most 180 × 10⁴
    {
        libm::round(degrees * PLACE_SCALE) as i32
    }
}
