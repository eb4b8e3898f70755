//! What an amount is worth in the base currency, by the policy's rates.

use tidemark_domain::event::{Currency, Transaction};
use tidemark_domain::policy::Policy;

/// Amounts above this count as this, base minor units.
const AMOUNT_CAP: u64 = 1 << 50;

/// The amount in minor units of the base currency, where there is a rate for it.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
pub(super) fn base_amount(tx: &Transaction, policy: &Policy) -> Option<u64> {
    let base = policy.currency.base;
    let rate = match policy
        .currency
        .rates
        .iter()
        .find(|(currency, _)| *currency == tx.currency)
    {
        Some((_, rate)) => Some(*rate),
        None if tx.currency == base => Some(1.0),
        None => None,
    };
    let rate = rate?;
    if tx.currency == base {
        return Some(tx.amount_minor.clamp(1, AMOUNT_CAP));
    }
    let scale = |currency: Currency| libm::pow(10.0, f64::from(currency.minor_digits()));
    let minor = tx.amount_minor as f64 * rate * scale(base) / scale(tx.currency);
    Some((libm::round(minor) as u64).clamp(1, AMOUNT_CAP))
}
