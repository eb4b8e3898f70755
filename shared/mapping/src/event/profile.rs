//! The profile of a row.

use tidemark_domain::refusal::Refusal;

use crate::compile::{KindRule, ProfileRule};
use crate::row::RowView;
use crate::rules::id::IdRule;
use crate::rules::nothing;

use super::{Object, Unmade, currency, field_of, first_card_number};

/// The profile of a row, and as of when it is known at the earliest: ms since 1970-01-01T00:00:00Z.
pub(super) fn make(rule: &ProfileRule, row: &RowView<'_>, of_event: Option<&str>) -> Result<(Vec<u8>, i64), Unmade> {
    let card_id = match &rule.card_id {
        Some(rule) => rule.require(row)?,
        None => of_event.unwrap_or_default().to_owned(),
    };
    let currency = currency(&rule.currency, row)?;
    let updated_at_ms = match &rule.updated_at_ms {
        Some(rule) => rule.make(row, None)?,
        None => None,
    };
    let own_version = match &rule.profile_version {
        Some(rule) => Some(rule.require(row)?),
        None => updated_at_ms.and_then(|ms| u64::try_from(ms).ok()),
    };
    let Some(version) = own_version else {
        let path = rule.updated_at_ms.as_ref().and_then(|rule| rule.from);
        return Err(nothing(path).into());
    };
    let per_day = rule.transactions_per_day;
    let transactions_per_day = per_day.make(row)?.ok_or_else(|| nothing(Some(per_day.from)))?;
    let opened_ms = rule.account_opened_at_ms.require(row, None)?;
    let mut json = Object::new("profile", 1);
    json.text("card_id", &card_id);
    json.whole("profile_version", version);
    json.text("usual_country", &rule.usual_country.require(row)?);
    json.whole("spend_mean_minor", rule.spend_mean_minor.require(row, currency)?);
    json.whole(
        "spend_deviation_minor",
        rule.spend_deviation_minor.require(row, currency)?,
    );
    json.plain("transactions_per_day", &transactions_per_day.to_string());
    json.whole("account_opened_at_ms", opened_ms);
    if let Some(updated_at_ms) = updated_at_ms {
        json.whole("updated_at_ms", updated_at_ms);
    }
    Ok((json.end(), updated_at_ms.unwrap_or(opened_ms).max(opened_ms)))
}

/// The column that a profile's refused field came from.
pub(super) fn blame(rule: &ProfileRule, kind: &KindRule, row: &RowView<'_>, refusal: Refusal) -> Unmade {
    let of_event = kind.transaction.as_ref();
    let card_number = || first_card_number(rule.card_id.iter(), row);
    let path = match field_of(&refusal) {
        "card_id" => match &rule.card_id {
            Some(rule) => rule.path(),
            None => of_event.and_then(|of| IdRule::path(&of.card_id)),
        },
        "profile_version" => rule.profile_version.as_ref().and_then(|rule| rule.from),
        "usual_country" => rule.usual_country.from,
        "spend_mean_minor" => Some(rule.spend_mean_minor.from),
        "spend_deviation_minor" => Some(rule.spend_deviation_minor.from),
        "transactions_per_day" => Some(rule.transactions_per_day.from),
        "account_opened_at_ms" => rule.account_opened_at_ms.from,
        "updated_at_ms" => rule.updated_at_ms.as_ref().and_then(|rule| rule.from),
        _ => card_number(),
    };
    Unmade::Contract(path, refusal)
}
