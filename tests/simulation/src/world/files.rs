//! The files of a run that operators import: what they hold, and what became of it.

use std::sync::Arc;

use tidemark_domain::contract;
use tidemark_domain::event::{Event, Transaction};
use tidemark_domain::policy::Policy;
use tidemark_domain::refusal::RefusalCode;
use tidemark_engine::End;

/// A file, and what became of it.
#[derive(Clone, Debug, Default)]
pub struct ImportFile {
    /// Its rows.
    pub rows: Vec<Arc<[u8]>>,
    /// Rows of one batch at most.
    pub batch_rows: usize,
    /// The version of the policy by which it was taken.
    pub policy_version: u32,
    /// The end of each row, once a run of it has ended.
    pub ends: Vec<End>,
}

impl ImportFile {
    /// Whether a run of it has ended.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.ends.len() == self.rows.len()
    }

    /// The transaction of a row, as an import under a policy reads it.
    ///
    /// # Errors
    /// The contract's refusal.
    pub fn decode(row: &[u8], policy: &Policy, now_ms: i64) -> Result<Option<Transaction>, RefusalCode> {
        let decoded = contract::decode(row, now_ms, &policy.for_import().bounds);
        let event = decoded.map_err(|refusal| refusal.code)?.event;
        Ok(match event {
            Event::Transaction(tx) => Some(tx),
            Event::Profile(_) | Event::Label(_) => None,
        })
    }
}
