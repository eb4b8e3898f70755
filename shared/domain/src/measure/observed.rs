//! A transaction as its history keeps it and as a policy prices it: computed once an event, and handed on.

use crate::event::Transaction;
use crate::history::HistoryKey;
use crate::id::fingerprint32;
use crate::policy::{Policy, base_amount};

/// A transaction with what stands for it in a history.
pub(crate) struct Observed<'a> {
    pub(crate) tx: &'a Transaction,
    /// Which event of its card it is.
    pub(crate) key: HistoryKey,
    /// The amount in base minor units; `None` where the policy has no rate for its currency.
    pub(crate) amount: Option<u64>,
    pub(crate) merchant_fp: u32,
    pub(crate) device_fp: Option<u32>,
    /// What scores it: the policy, or its part for low risk.
    pub(crate) judge: &'a Policy,
    /// Whether the policy holds it for low risk.
    pub(crate) is_low_risk: bool,
}

impl<'a> Observed<'a> {
    pub(crate) fn new(tx: &'a Transaction, policy: &'a Policy) -> Self {
        let amount = base_amount(tx, policy);
        let low_risk = policy
            .low_risk
            .as_ref()
            .filter(|low_risk| low_risk.holds(tx.mcc, amount));
        Self {
            tx,
            key: HistoryKey::new(tx.event_id.as_str(), tx.occurred_at_ms),
            amount,
            merchant_fp: fingerprint32(tx.merchant_id.as_str()),
            device_fp: tx.device_id.as_ref().map(|device| fingerprint32(device.as_str())),
            judge: low_risk.map_or(policy, |low_risk| &*low_risk.policy),
            is_low_risk: low_risk.is_some(),
        }
    }
}
