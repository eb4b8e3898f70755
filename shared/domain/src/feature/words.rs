//! Reasons in words: a stable code for machines and a sentence for people.

use super::{FeatureKey, FeatureKind};

impl FeatureKind {
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

impl FeatureKey {
    /// The reason as a sentence's part for a person, as in "many transactions within 1h".
    #[must_use]
    pub fn sentence(self) -> String {
        let within = self
            .window_label()
            .map_or_else(String::new, |label| format!(" within {label}"));
        let words = match self.kind {
            FeatureKind::Count => "many transactions",
            FeatureKind::Sum => "large total amount for that many transactions",
            FeatureKind::Mean => "high mean amount",
            FeatureKind::Deviation => "amounts that vary widely",
            FeatureKind::Min => "high smallest amount",
            FeatureKind::Max => "high largest amount",
            FeatureKind::ShareDeclined => "many declined transactions",
            FeatureKind::DistinctMerchants => "many different merchants",
            FeatureKind::DistinctCountries => "many different countries",
            FeatureKind::SinceLast => "very soon after the previous transaction",
            FeatureKind::AmountZ => "amount far above this card's own history",
            FeatureKind::AmountRatio => "amount many times this card's usual one",
            FeatureKind::ProfileAmountZ => "amount far above the profile's usual one",
            FeatureKind::ProfileCountRatio => "more transactions in a day than the profile's usual number",
            FeatureKind::NewMerchant => "merchant never seen on this card",
            FeatureKind::NewCountry => "country never seen on this card",
            FeatureKind::NewDevice => "device never seen on this card",
            FeatureKind::Speed => "too far from the previous transaction for the time between",
            FeatureKind::ForeignToProfile => "country other than the profile's usual one",
        };
        format!("{words}{within}")
    }
}
