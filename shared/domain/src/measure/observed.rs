//! A transaction as its history keeps it and as a policy prices it: computed once an event, and handed on.

use crate::catalogue::{KeyName, Need};
use crate::event::Transaction;
use crate::history::HistoryKey;
use crate::history::{high, low};
use crate::id::{LinkId, fingerprint64};
use crate::policy::{KeyField, Policy, base_amount};

/// A transaction with what stands for it in a history.
pub(crate) struct Observed<'a> {
    pub(crate) tx: &'a Transaction,
    /// Which event of its card it is.
    pub(crate) key: HistoryKey,
    /// The amount in base minor units; `None` where the policy has no rate for its currency.
    pub(crate) amount: Option<u64>,
    pub(crate) merchant_fp: u32,
    pub(crate) device_fp: Option<u32>,
    /// The upper halves of the fingerprints, where the policy keeps labelled histories by them.
    pub(crate) merchant_fp_high: Option<u32>,
    pub(crate) device_fp_high: Option<u32>,
    /// The links that the policy keeps labelled histories by, by name.
    pub(crate) links: Vec<(KeyName, u64)>,
    /// The merchant category, where the policy has a feature of it.
    pub(crate) category: Option<u16>,
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
        let is_key = |field: KeyField| policy.keys.iter().any(|key| key.field == field);
        let merchant = fingerprint64(tx.merchant_id.as_str());
        let device = tx.device_id.as_ref().map(|device| fingerprint64(device.as_str()));
        Self {
            tx,
            key: HistoryKey::new(tx.event_id.as_str(), tx.occurred_at_ms),
            amount,
            merchant_fp: low(merchant),
            device_fp: device.map(low),
            merchant_fp_high: is_key(KeyField::Merchant).then(|| high(merchant)),
            device_fp_high: device.filter(|_| is_key(KeyField::Device)).map(high),
            links: links_of(tx, policy),
            category: policy.compiled.needs().has(Need::Categories).then_some(tx.mcc),
            judge: low_risk.map_or(policy, |low_risk| &*low_risk.policy),
            is_low_risk: low_risk.is_some(),
        }
    }
}

/// What stands for the links of a transaction that a policy has keys by, each once, by name.
fn links_of(tx: &Transaction, policy: &Policy) -> Vec<(KeyName, u64)> {
    if tx.links.is_empty() {
        return Vec::new();
    }
    let is_key = |name: KeyName| policy.keys.iter().any(|key| key.field == KeyField::Link(name));
    let links = tx.links.iter().filter(|(name, _)| is_key(**name));
    links
        .map(|(name, id)| (*name, fingerprint64(LinkId::as_str(id))))
        .collect()
}
