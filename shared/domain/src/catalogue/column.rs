//! What the table of features may say of one.

/// The longest window in minutes: 30 days.
pub(super) const WINDOW_MINUTES_MAX: u32 = 43_200;
/// The longest window over labelled events in minutes: 120 days, since chargebacks come late.
pub(super) const LABELLED_MINUTES_MAX: u32 = 172_800;

/// Whose history a feature is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The card's own.
    Card,
    /// That of a key which the policy declares.
    Key,
    /// That of a key or of the card.
    KeyOrCard,
}

/// The unit of a feature's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of events.
    Events,
    /// Minor units of the policy's base currency.
    BaseMinor,
    /// A share, 0 to 1.
    Share,
    /// A number of merchants.
    Merchants,
    /// A number of countries.
    Countries,
    /// Seconds.
    Seconds,
    /// Standard deviations.
    Deviations,
    /// One number over another of the same unit.
    Ratio,
    /// 1 for yes, 0 for no.
    Flag,
    /// Kilometres an hour.
    KmPerHour,
    /// A number of frauds.
    Frauds,
    /// Days.
    Days,
    /// Hours.
    Hours,
    /// log2 of one over a probability.
    Bits,
}

impl Unit {
    /// As it is written in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::BaseMinor => "base minor units",
            Self::Share => "0 to 1",
            Self::Merchants => "merchants",
            Self::Countries => "countries",
            Self::Seconds => "seconds",
            Self::Deviations => "deviations",
            Self::Ratio => "ratio",
            Self::Flag => "0 or 1",
            Self::KmPerHour => "km/h",
            Self::Frauds => "frauds",
            Self::Days => "days",
            Self::Hours => "hours",
            Self::Bits => "bits",
        }
    }
}

macro_rules! needs {
    ($($(#[$doc:meta])* $need:ident,)*) => {
        /// What a feature needs besides the counts that every sweep over a card's history gives.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Need {
            $($(#[$doc])* $need,)*
        }

        impl Need {
            /// Every need.
            pub const ALL: &'static [Self] = &[$(Self::$need,)*];
        }
    };
}

needs! {
    /// The event's amount in the base currency: where the policy has no rate for it, there is no value.
    Amount,
    /// The card's profile: events of low risk, which are scored without one, can't have the feature.
    Profile,
    /// A whole day of history: the policy names a window of a day or more.
    Day,
    /// Every merchant by itself.
    Merchants,
    /// Every country by itself.
    Countries,
    /// Every device by itself, for an event that names one.
    Devices,
    /// The latest place before the event.
    Places,
    /// How many events were outside the profile's usual country.
    Abroad,
    /// What labels say of a key beyond the card, or of the card's own events.
    Labels,
    /// Every known amount of the longest window by itself, as far as the head holds it.
    EachAmount,
    /// The hours of the day of every event, as far as the head holds it.
    Hours,
    /// Every merchant category by itself, as far as the head holds it.
    Categories,
}

/// Some of the needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs(u16);

impl Needs {
    /// The set of these needs.
    #[must_use]
    pub const fn of(needs: &[Need]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < needs.len() {
            bits |= 1 << needs[at] as u16;
            at += 1;
        }
        Self(bits)
    }

    /// These and others.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether a need is among them.
    #[must_use]
    pub const fn has(self, need: Need) -> bool {
        self.0 & 1 << need as u16 != 0
    }
}
