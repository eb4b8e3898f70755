//! What a seed draws besides its faults: each draw is on or off, so that a few of them meet in a run and not always all.

use crate::dice::Dice;

/// Something that a seed may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Draw {
    /// The store drops items some hours after their time to live.
    Ttl,
    /// An operator restores a card's item, or the whole table, to an earlier time, and redrives the stream from there.
    Restore,
    /// Producers send for days and weeks, not for minutes.
    Days,
    /// Policies are published, activated and rolled back; one is tried beside another.
    Policies,
    /// Operators decide for single cards, until a time.
    Overrides,
    /// The mode changes: shadow, degraded, pauses of minutes and of hours.
    Modes,
    /// Producers aggregate user records; now and then an aggregate holds an aggregate.
    Aggregates,
    /// An id is used on two cards, at two times, and two ids have one fingerprint.
    ReusedIds,
    /// Ids in any script, with quotes, backslashes and spaces; ids that differ in one case or accent.
    OddIds,
    /// A part of the producers takes another partition key than the card.
    Keys,
    /// A shard takes so many records a second, a partition so many units.
    Capacity,
    /// The redrive function itself: its walk over a shard, its queues with their visibility, its cursor.
    Walk,
    /// One card has most of the events.
    Hot,
    /// The policies keep keys of merchants and devices, and labels teach them: early and weeks late, twice, of both versions, with a
    /// verdict that changes, of another card's event or of a forgotten one.
    Labels,
}

impl Draw {
    /// Every draw.
    pub const ALL: [Self; 14] = [
        Self::Ttl,
        Self::Restore,
        Self::Days,
        Self::Policies,
        Self::Overrides,
        Self::Modes,
        Self::Aggregates,
        Self::ReusedIds,
        Self::OddIds,
        Self::Keys,
        Self::Capacity,
        Self::Walk,
        Self::Hot,
        // At the end, so that a seed draws the others as it did.
        Self::Labels,
    ];

    /// The share of seeds that have it.
    const fn share(self) -> f64 {
        match self {
            // These change the most of what is checked strictly elsewhere.
            Self::Restore | Self::Keys => 0.2,
            Self::Labels => 0.15,
            Self::Ttl | Self::Days | Self::Capacity | Self::Hot => 0.25,
            Self::Modes | Self::Overrides | Self::Policies => 0.3,
            Self::Aggregates | Self::ReusedIds | Self::OddIds => 0.35,
            Self::Walk => 0.5,
        }
    }
}

/// Which draws a run has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Draws(u32);

impl Draws {
    /// None: what a run had before there were draws.
    pub const NONE: Self = Self(0);

    /// Just these.
    #[must_use]
    pub fn of(list: &[Draw]) -> Self {
        list.iter().fold(Self::NONE, |draws, draw| draws.with(*draw))
    }

    /// The seed's.
    #[must_use]
    pub fn draw(dice: &mut Dice) -> Self {
        // A part of the seeds has none, so that what they find is plain.
        let plain = dice.chance(0.1);
        let drawn = Draw::ALL.into_iter().filter(|draw| dice.chance(draw.share()));
        let drawn = drawn.fold(Self::NONE, Self::with);
        if plain { Self::NONE } else { drawn.whole() }
    }

    /// With what a draw can't do without: an item is dropped after weeks only, and a restore is made good by a walk.
    fn whole(self) -> Self {
        let mut draws = self;
        if draws.has(Draw::Restore) {
            draws = draws.with(Draw::Walk);
        }
        if draws.has(Draw::Ttl) {
            draws = draws.with(Draw::Days);
        }
        draws
    }

    /// With this one, too.
    #[must_use]
    pub const fn with(self, draw: Draw) -> Self {
        Self(self.0 | 1 << draw as u32)
    }

    /// Whether it is on.
    #[must_use]
    pub const fn has(self, draw: Draw) -> bool {
        self.0 >> draw as u32 & 1 == 1
    }

    /// Those that are on.
    pub fn list(self) -> impl Iterator<Item = Draw> {
        Draw::ALL.into_iter().filter(move |draw| self.has(*draw))
    }
}

impl std::fmt::Display for Draws {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<String> = self.list().map(|draw| format!("{draw:?}")).collect();
        f.write_str(if names.is_empty() { "none" } else { "" })?;
        f.write_str(&names.join("+"))
    }
}
