//! What operators decided for single cards holds for every event that arrived before its end, whenever that is scored.

use tidemark_domain::id::CardId;
use tidemark_domain::outcome::OverrideAction;

use super::Evidence;
use super::sent::EventKey;
use crate::violations::Violations;
use crate::world::known::{Accepted, Decided};

impl Evidence<'_> {
    /// What the lists that an outcome names decide for its card.
    fn listed(&self, key: &EventKey, accepted: &Accepted) -> Option<OverrideAction> {
        let outcome = &accepted.entry.outcome;
        let policy = self.facts.policies.all.get(&outcome.policy_version)?;
        let policy = self.with_lists(policy, &accepted.entry);
        policy.lists.decided(&CardId::new(&key.0)?, key.2)
    }

    pub(super) fn decided(&self, key: &EventKey, accepted: &Accepted, violations: &mut Violations) {
        let known = &self.facts.stores.known.decided;
        let found = accepted.entry.outcome.override_action();
        if found.is_some() && found == self.listed(key, accepted) {
            // A list of the policy says so, as it was when the outcome was made.
            return;
        }
        if known.is_empty() {
            violations.expect(None, found.is_none(), || {
                format!("event {key:?} is overridden, and nobody said so")
            });
            return;
        }
        let copies = self.sent.events.get(key).map_or(&[][..], |event| &event.copies);
        let of_card = || known.iter().filter(|decided| decided.card_id == key.0);
        if let Some(action) = found {
            let first_ms = copies.iter().map(|copy| copy.arrival_ms).min().unwrap_or(i64::MAX);
            let is_said = of_card().any(|decided| decided.action == action && first_ms < decided.until_ms);
            violations.expect(None, is_said, || {
                format!("event {key:?} is overridden, and nobody said so")
            });
        }
        // Whoever judged it had a copy that holds the decision.
        let revision = accepted.judged.overrides_revision;
        let is_held =
            |decided: &&Decided| decided.revision <= revision && decided.ended.is_none_or(|ended| revision < ended);
        for decided in of_card().filter(is_held) {
            // Which of its copies came first is not known: all have to say the same.
            let all_before = copies.iter().all(|copy| copy.arrival_ms < decided.until_ms);
            let all_after = copies.iter().all(|copy| copy.arrival_ms >= decided.since_ms);
            violations.expect(None, !all_before || !all_after || found == Some(decided.action), || {
                format!(
                    "event {key:?} arrived while its card was decided on ({:?}), and was not",
                    decided.action
                )
            });
        }
    }
}
