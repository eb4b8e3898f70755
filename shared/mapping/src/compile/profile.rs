//! The rules of a profile.

use crate::keys::ProfileKeys;
use crate::problem::Problems;
use crate::rules::amount::AmountRule;
use crate::rules::choice::ChoiceRule;
use crate::rules::id::IdRule;
use crate::rules::number::NumberRule;
use crate::rules::time::TimeRule;

use super::field::Fields;

/// What a profile is made of.
#[derive(Clone, Debug)]
pub(crate) struct ProfileRule {
    /// `None`: the transaction's.
    pub(crate) card_id: Option<IdRule>,
    /// `None`: the time as of which it is known, ms since 1970-01-01T00:00:00Z.
    pub(crate) profile_version: Option<ChoiceRule<u64>>,
    pub(crate) usual_country: ChoiceRule<String>,
    pub(crate) currency: ChoiceRule<String>,
    pub(crate) spend_mean_minor: AmountRule,
    pub(crate) spend_deviation_minor: AmountRule,
    pub(crate) transactions_per_day: NumberRule,
    pub(crate) account_opened_at_ms: TimeRule,
    pub(crate) updated_at_ms: Option<TimeRule>,
}

pub(super) fn compile(
    keys: ProfileKeys,
    has_event: bool,
    fields: &mut Fields<'_>,
    problems: &mut Problems<'_>,
    at: &[&str],
) -> ProfileRule {
    let under = |key| [at, &[key]].concat();
    if keys.card_id.is_none() && !has_event {
        problems.of(at, "expected `card_id`: there is no transaction to take it from");
    }
    if keys.profile_version.is_none() && keys.updated_at_ms.is_none() {
        problems.of(
            at,
            "expected `profile_version`, or `updated_at_ms`, which stands for it: the greatest one wins",
        );
    }
    ProfileRule {
        card_id: keys.card_id.map(|keys| fields.id(keys, problems, &under("card_id"))),
        profile_version: keys
            .profile_version
            .map(|keys| fields.choice(keys, problems, &under("profile_version"))),
        usual_country: fields.choice(keys.usual_country, problems, &under("usual_country")),
        currency: fields.choice(keys.currency, problems, &under("currency")),
        spend_mean_minor: fields.amount(keys.spend_mean_minor, problems, &under("spend_mean_minor")),
        spend_deviation_minor: fields.amount(keys.spend_deviation_minor, problems, &under("spend_deviation_minor")),
        transactions_per_day: NumberRule {
            from: fields.path(
                &keys.transactions_per_day.from,
                problems,
                &under("transactions_per_day"),
            ),
        },
        account_opened_at_ms: fields.time(
            keys.account_opened_at_ms,
            false,
            problems,
            &under("account_opened_at_ms"),
        ),
        updated_at_ms: keys
            .updated_at_ms
            .map(|keys| fields.time(keys, false, problems, &under("updated_at_ms"))),
    }
}
