//! What files brought: every row of an import that ended is in its card once, or lies further back than its card keeps anything.

use tidemark_domain::invariant::Invariant;
use tidemark_domain::refusal::RefusalCode;
use tidemark_engine::End;

use super::Evidence;
use super::cards::Counted;
use super::sent::EventKey;
use crate::policies::OWN;
use crate::violations::Violations;
use crate::world::files::ImportFile;

impl Evidence<'_> {
    pub(super) fn imports(&self, counted: &Counted, violations: &mut Violations) {
        let stores = self.facts.stores;
        for (number, file) in stores.known.files.iter().enumerate() {
            violations.expect(Invariant::NothingLost, file.is_done(), || {
                format!("the import of file {number} has no end")
            });
            let policy = &self.facts.policies.all[&file.policy_version.max(OWN)];
            for (row, end) in file.rows.iter().zip(&file.ends) {
                let decoded = ImportFile::decode(row, policy, stores.now_ms);
                let Ok(Some(tx)) = decoded else {
                    let is_said = matches!((end, &decoded), (End::Quarantined(said), Err(code)) if said == code);
                    violations.expect(Invariant::NothingLost, is_said, || {
                        format!("file {number}: a row that is no transaction ended as {end:?}")
                    });
                    continue;
                };
                let key = (tx.card_id.to_string(), tx.event_id.to_string(), tx.occurred_at_ms);
                if stores.known.unseen.contains(&key.0) {
                    continue;
                }
                let is_right = match end {
                    End::Scored | End::Duplicate => counted.has(&key) || self.has_twin(&key),
                    End::Quarantined(RefusalCode::BeyondHorizon) => self.is_beyond_all(&key),
                    End::Quarantined(_) | End::Applied | End::Returned(_) => false,
                };
                violations.expect(Invariant::NothingLost, is_right, || {
                    format!("file {number}: event {key:?} ended as {end:?}, which its card does not bear out")
                });
            }
        }
    }

    /// Whether an event lies further behind the newest one of its card than some policy keeps anything.
    fn is_beyond_all(&self, key: &EventKey) -> bool {
        let lives = self.facts.stores.tables.lives.get(&key.0).into_iter().flatten();
        let newest_ms = lives.flat_map(|life| &life.accepted).map(|one| one.entry.time_ms).max();
        let kept_ms = self
            .facts
            .policies
            .all
            .values()
            .map(|policy| policy.retention_ms())
            .min();
        newest_ms
            .zip(kept_ms)
            .is_some_and(|(newest_ms, kept_ms)| key.2 <= newest_ms - kept_ms)
    }
}
