//! What features there are.

/// What a feature measures. Numbers are persisted in outcomes: keep them stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum FeatureKind {
    /// Events in the window, the scored one included.
    Count = 1,
    /// Sum of amounts in the window, base minor units.
    Sum = 2,
    /// Mean amount in the window, base minor units.
    Mean = 3,
    /// Standard deviation (population) of amounts in the window, base minor units.
    Deviation = 4,
    /// Smallest amount in the window, base minor units.
    Min = 5,
    /// Largest amount in the window, base minor units.
    Max = 6,
    /// Declined share of the events in the window, 0 to 1.
    ShareDeclined = 7,
    /// Distinct merchants in the window.
    DistinctMerchants = 8,
    /// Distinct countries in the window.
    DistinctCountries = 9,
    /// Seconds since the card's previous transaction.
    SinceLast = 10,
    /// Amount against the card's own history: z-score.
    AmountZ = 11,
    /// Amount against the card's own history: ratio to the mean.
    AmountRatio = 12,
    /// Amount against the profile: z-score.
    ProfileAmountZ = 13,
    /// Count in a day against the profile's usual count: ratio.
    ProfileCountRatio = 14,
    /// 1 when the card's history does not hold this merchant.
    NewMerchant = 15,
    /// 1 when the card's history does not hold this country.
    NewCountry = 16,
    /// 1 when the card's history does not hold this device.
    NewDevice = 17,
    /// Great-circle speed from the previous placed transaction, km/h.
    Speed = 18,
    /// 1 when the country is not the profile's usual one.
    ForeignToProfile = 19,
}

impl FeatureKind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 19] = [
        Self::Count,
        Self::Sum,
        Self::Mean,
        Self::Deviation,
        Self::Min,
        Self::Max,
        Self::ShareDeclined,
        Self::DistinctMerchants,
        Self::DistinctCountries,
        Self::SinceLast,
        Self::AmountZ,
        Self::AmountRatio,
        Self::ProfileAmountZ,
        Self::ProfileCountRatio,
        Self::NewMerchant,
        Self::NewCountry,
        Self::NewDevice,
        Self::Speed,
        Self::ForeignToProfile,
    ];

    /// The kind's name in policies, outcomes and documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Mean => "mean",
            Self::Deviation => "deviation",
            Self::Min => "min",
            Self::Max => "max",
            Self::ShareDeclined => "share_declined",
            Self::DistinctMerchants => "distinct_merchants",
            Self::DistinctCountries => "distinct_countries",
            Self::SinceLast => "since_last",
            Self::AmountZ => "amount_z",
            Self::AmountRatio => "amount_ratio",
            Self::ProfileAmountZ => "profile_amount_z",
            Self::ProfileCountRatio => "profile_count_ratio",
            Self::NewMerchant => "new_merchant",
            Self::NewCountry => "new_country",
            Self::NewDevice => "new_device",
            Self::Speed => "speed",
            Self::ForeignToProfile => "foreign_to_profile",
        }
    }

    /// Whether it is measured over a window that its name carries.
    #[must_use]
    pub const fn is_windowed(self) -> bool {
        (self as u8) <= (Self::DistinctCountries as u8)
    }

    /// Whether the score has a model of how surprising it is, so that a policy may weigh it.
    #[must_use]
    pub const fn is_scored(self) -> bool {
        !matches!(self, Self::Mean | Self::Deviation | Self::Min | Self::Max)
    }

    /// The kind with that number; numbers are persisted.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// The persisted number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The reason's stable code in outcomes: what is unusual.
    #[must_use]
    pub const fn reason_code(self) -> &'static str {
        match self {
            Self::Count => "count_high",
            Self::Sum => "sum_high",
            Self::Mean => "mean_high",
            Self::Deviation => "deviation_high",
            Self::Min => "min_high",
            Self::Max => "max_high",
            Self::ShareDeclined => "declined_high",
            Self::DistinctMerchants => "merchants_many",
            Self::DistinctCountries => "countries_many",
            Self::SinceLast => "since_last_short",
            Self::AmountZ => "amount_high",
            Self::AmountRatio => "amount_ratio_high",
            Self::ProfileAmountZ => "profile_amount_high",
            Self::ProfileCountRatio => "profile_count_high",
            Self::NewMerchant => "merchant_new",
            Self::NewCountry => "country_new",
            Self::NewDevice => "device_new",
            Self::Speed => "speed_high",
            Self::ForeignToProfile => "foreign_to_profile",
        }
    }
}
