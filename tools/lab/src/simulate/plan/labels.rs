//! Labels of a stream with scenarios: days to weeks after their events, of most frauds and of some others.

use super::{DAY_MS, Plan, Slot, What, number};
use crate::dice::Dice;
use crate::simulate::draft::LabelDraft;
use crate::simulate::{SECOND_MS, SimConfig, SimKind};

/// No label comes sooner after its event.
const DELAY_MS_MIN: i64 = DAY_MS;
/// How much later labels come in the mean.
const DELAY_MS_MEAN: f64 = 5.0 * DAY_MS as f64;
/// No label comes later after its event.
pub(in crate::simulate) const DELAY_MS_MAX: i64 = 30 * DAY_MS;
/// Share of frauds that nobody reports.
const UNREPORTED_SHARE: f64 = 0.03;

impl Plan {
    /// `count` labels: of frauds first, then of ordinary transactions that somebody looked into. What would be known after the
    /// end is not there yet.
    pub(super) fn place_late_labels(&mut self, config: &SimConfig, count: u32, ordinary: usize, dice: &mut Dice) {
        let mut frauds: Vec<usize> = Vec::new();
        for (at, draft) in self.drafts.iter().enumerate().take(ordinary) {
            if draft.kind.is_fraud() && !dice.chance(UNREPORTED_SHARE) {
                frauds.push(at);
            }
        }
        let mut left = count;
        for at in frauds {
            left -= u32::from(left > 0 && self.place_late_label(config, at, true, dice));
        }
        // Few draws hit a fraud, or an event whose label would come too late: so many are enough.
        for _ in 0..u64::from(count) * 50 {
            if left == 0 {
                return;
            }
            let at = dice.index(ordinary);
            if !self.drafts[at].kind.is_fraud() {
                left -= u32::from(self.place_late_label(config, at, false, dice));
            }
        }
    }

    #[allow(clippy::cast_possible_truncation)]
    fn place_late_label(&mut self, config: &SimConfig, at: usize, fraud: bool, dice: &mut Dice) -> bool {
        let delay_ms = (DELAY_MS_MIN + dice.exponential(DELAY_MS_MEAN) as i64).min(DELAY_MS_MAX);
        let orphan = dice.chance(config.orphan_label_share);
        let known_since_ms = self.drafts[at].occurred_ms + delay_ms;
        // Nobody sends a label before its event.
        let sent_ms = (known_since_ms + dice.between(0, SECOND_MS)).max(self.slots[at].sent_ms + 1);
        if sent_ms > config.labels_until_ms {
            return false;
        }
        let place = number(self.labels.len());
        self.labels.push(LabelDraft {
            of: if orphan {
                number(self.drafts.len()) + place
            } else {
                number(at)
            },
            card: self.drafts[at].card,
            fraud,
            known_since_ms,
            orphan,
            // Producers of both versions.
            names_event: !orphan && at % 2 == 1,
        });
        self.slots.push(Slot {
            sent_ms,
            what: What::Label(place),
        });
        true
    }
}

impl SimKind {
    /// Whether it is fraud.
    #[must_use]
    pub const fn is_fraud(self) -> bool {
        matches!(
            self,
            Self::CardTesting
                | Self::Takeover
                | Self::ImpossibleTravel
                | Self::BigTicket
                | Self::BadTerminal
                | Self::DeviceRing
        )
    }
}
