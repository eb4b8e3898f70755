//! What features there are: one table declares each, and everything else that is said of a feature follows from its row.
//!
//! A row's number is persisted in states: it is never given to another feature. A feature that is new here does not compile until
//! [`measure`](crate::measure) has a value for it and [`model`](crate::model) says how surprising that is, or that it has no model.

use super::column::{LABELLED_MINUTES_MAX, Need, Needs, Subject, Unit, WINDOW_MINUTES_MAX};

/// A row of the table.
struct Row {
    /// In policies, outcomes and documents.
    name: &'static str,
    /// Whose history it is measured in.
    subject: Subject,
    /// Whether it is measured over a window that its name carries.
    windowed: bool,
    unit: Unit,
    needs: Needs,
    /// The stable code of its reason in outcomes: what is unusual.
    reason_code: &'static str,
    /// The reason as a sentence's part for a person.
    words: &'static str,
    /// Whether there is a model of how surprising its value is, so that a policy may weigh it.
    scored: bool,
}

/// Most features are of the card.
macro_rules! subject {
    () => {
        Subject::Card
    };
    ($subject:ident) => {
        Subject::$subject
    };
}

macro_rules! features {
    ($($(#[$doc:meta])* $number:literal $kind:ident {
        name: $name:literal, $(of: $subject:ident,)? windowed: $windowed:literal, unit: $unit:ident, needs: [$($need:ident),*],
        reason_code: $reason_code:literal, words: $words:literal, scored: $scored:literal,
    })*) => {
        /// What a feature measures. Numbers are persisted in outcomes: keep them stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum FeatureKind {
            $($(#[$doc])* $kind = $number,)*
        }

        impl FeatureKind {
            /// Every kind, in the order of the table.
            pub const ALL: [Self; [$($number),*].len()] = [$(Self::$kind),*];

            /// The kind with that number; numbers are persisted.
            #[must_use]
            pub const fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$kind),)*
                    _ => None,
                }
            }

            const fn row(self) -> &'static Row {
                match self {
                    $(Self::$kind => const { &Row {
                        name: $name,
                        subject: subject!($($subject)?),
                        windowed: $windowed,
                        unit: Unit::$unit,
                        needs: Needs::of(&[$(Need::$need),*]),
                        reason_code: $reason_code,
                        words: $words,
                        scored: $scored,
                    } },)*
                }
            }
        }
    };
}

features! {
    /// Events in the window, the scored one included.
    1 Count {
        name: "count", windowed: true, unit: Events, needs: [],
        reason_code: "count_high", words: "many transactions", scored: true,
    }
    /// Sum of amounts in the window, base minor units.
    2 Sum {
        name: "sum", windowed: true, unit: BaseMinor, needs: [Amount],
        reason_code: "sum_high", words: "large total amount for that many transactions", scored: true,
    }
    /// Mean amount in the window, base minor units.
    3 Mean {
        name: "mean", windowed: true, unit: BaseMinor, needs: [Amount],
        reason_code: "mean_high", words: "high mean amount", scored: false,
    }
    /// Standard deviation (population) of amounts in the window, base minor units.
    4 Deviation {
        name: "deviation", windowed: true, unit: BaseMinor, needs: [Amount],
        reason_code: "deviation_high", words: "amounts that vary widely", scored: false,
    }
    /// Smallest amount in the window, base minor units.
    5 Min {
        name: "min", windowed: true, unit: BaseMinor, needs: [Amount],
        reason_code: "min_high", words: "high smallest amount", scored: false,
    }
    /// Largest amount in the window, base minor units.
    6 Max {
        name: "max", windowed: true, unit: BaseMinor, needs: [Amount],
        reason_code: "max_high", words: "high largest amount", scored: false,
    }
    /// Declined share of the events in the window, 0 to 1.
    7 ShareDeclined {
        name: "share_declined", windowed: true, unit: Share, needs: [],
        reason_code: "declined_high", words: "many declined transactions", scored: true,
    }
    /// Distinct merchants in the window.
    8 DistinctMerchants {
        name: "distinct_merchants", windowed: true, unit: Merchants, needs: [Merchants],
        reason_code: "merchants_many", words: "many different merchants", scored: true,
    }
    /// Distinct countries in the window.
    9 DistinctCountries {
        name: "distinct_countries", windowed: true, unit: Countries, needs: [Countries],
        reason_code: "countries_many", words: "many different countries", scored: true,
    }
    /// Seconds since the card's previous transaction.
    10 SinceLast {
        name: "since_last", windowed: false, unit: Seconds, needs: [],
        reason_code: "since_last_short", words: "very soon after the previous transaction", scored: true,
    }
    /// Amount against the event's past: z-score.
    11 AmountZ {
        name: "amount_z", windowed: false, unit: Deviations, needs: [Amount],
        reason_code: "amount_high", words: "amount far above this card's own history", scored: true,
    }
    /// Amount against the event's past: ratio to the mean.
    12 AmountRatio {
        name: "amount_ratio", windowed: false, unit: Ratio, needs: [Amount],
        reason_code: "amount_ratio_high", words: "amount many times this card's usual one", scored: true,
    }
    /// Amount against the profile: z-score.
    13 ProfileAmountZ {
        name: "profile_amount_z", windowed: false, unit: Deviations, needs: [Amount, Profile],
        reason_code: "profile_amount_high", words: "amount far above the profile's usual one", scored: true,
    }
    /// Count in a day against the profile's usual count: ratio.
    14 ProfileCountRatio {
        name: "profile_count_ratio", windowed: false, unit: Ratio, needs: [Profile, Day],
        reason_code: "profile_count_high", words: "more transactions in a day than the profile's usual number", scored: true,
    }
    /// 1 when the event's past does not hold this merchant.
    15 NewMerchant {
        name: "new_merchant", windowed: false, unit: Flag, needs: [Merchants],
        reason_code: "merchant_new", words: "merchant never seen on this card", scored: true,
    }
    /// 1 when the event's past does not hold this country.
    16 NewCountry {
        name: "new_country", windowed: false, unit: Flag, needs: [Countries],
        reason_code: "country_new", words: "country never seen on this card", scored: true,
    }
    /// 1 when the event's past does not hold this device.
    17 NewDevice {
        name: "new_device", windowed: false, unit: Flag, needs: [Devices],
        reason_code: "device_new", words: "device never seen on this card", scored: true,
    }
    /// Great-circle speed from the previous placed transaction, km/h.
    18 Speed {
        name: "speed", windowed: false, unit: KmPerHour, needs: [Places],
        reason_code: "speed_high", words: "too far from the previous transaction for the time between", scored: true,
    }
    /// 1 when the country is not the profile's usual one.
    19 ForeignToProfile {
        name: "foreign_to_profile", windowed: false, unit: Flag, needs: [Profile, Abroad],
        reason_code: "foreign_to_profile", words: "country other than the profile's usual one", scored: true,
    }
    /// Known frauds in a row that their cards did not explain; a row ends when the policy's `run_gap_days` pass without one.
    20 FraudRun {
        name: "fraud_run", of: Key, windowed: false, unit: Frauds, needs: [Labels],
        reason_code: "fraud_run", words: "known frauds in a row", scored: false,
    }
    /// Seconds since the first fraud of that row.
    21 FraudRunAge {
        name: "fraud_run_age", of: Key, windowed: false, unit: Seconds, needs: [Labels],
        reason_code: "fraud_run_age", words: "a row of known frauds that began a short time ago", scored: false,
    }
    /// Known frauds in the window, explained ones included.
    22 Frauds {
        name: "frauds", of: KeyOrCard, windowed: true, unit: Frauds, needs: [Labels],
        reason_code: "frauds_many", words: "known frauds", scored: false,
    }
    /// Seconds since the latest known fraud that its card did not explain.
    23 SinceFraud {
        name: "since_fraud", of: Key, windowed: false, unit: Seconds, needs: [Labels],
        reason_code: "since_fraud_short", words: "a known fraud a short time ago", scored: false,
    }
    /// Amount over the median of the longest window's amounts before it.
    24 AmountMedianRatio {
        name: "amount_median_ratio", windowed: false, unit: Ratio, needs: [Amount, EachAmount],
        reason_code: "amount_median_high", words: "amount many times this card's median", scored: false,
    }
    /// Amount over the mean of the longest window's amounts before the window.
    25 AmountBeforeRatio {
        name: "amount_before_ratio", windowed: true, unit: Ratio, needs: [Amount],
        reason_code: "amount_before_high", words: "amount many times what was usual before", scored: false,
    }
    /// Largest amount of the window over the mean of the longest window's amounts before the window.
    26 MaxRatio {
        name: "max_ratio", windowed: true, unit: Ratio, needs: [Amount],
        reason_code: "max_ratio_high", words: "largest amount many times what was usual before", scored: false,
    }
    /// Bits of the amount's tail among the amounts of all cards, by the policy's table.
    27 AmountPopulation {
        name: "amount_population", windowed: false, unit: Bits, needs: [Amount],
        reason_code: "amount_population_high", words: "amount rare among all cards", scored: true,
    }
    /// Days since the card's account was opened, as the event says, or else the profile.
    28 CardAge {
        name: "card_age", windowed: false, unit: Days, needs: [],
        reason_code: "card_young", words: "account opened a short time ago", scored: false,
    }
    /// The hour of the day in the policy's zone, 0 to 23.
    29 HourOfDay {
        name: "hour_of_day", windowed: false, unit: Hours, needs: [Hours],
        reason_code: "hour_rare", words: "at an hour that is rare for this card", scored: true,
    }
    /// 1 on a Saturday or a Sunday in the policy's zone.
    30 Weekend {
        name: "weekend", windowed: false, unit: Flag, needs: [],
        reason_code: "weekend", words: "on a weekend", scored: false,
    }
    /// 1 when the event's past does not hold this merchant category.
    31 NewMerchantCategory {
        name: "new_merchant_category", windowed: false, unit: Flag, needs: [Categories],
        reason_code: "category_new", words: "merchant category never seen on this card", scored: true,
    }
}

impl FeatureKind {
    /// The greatest number of a kind.
    pub const NUMBER_MAX: u8 = {
        let (mut greatest, mut at) = (0, 0);
        while at < Self::ALL.len() {
            let number = Self::ALL[at].number();
            greatest = if number > greatest { number } else { greatest };
            at += 1;
        }
        greatest
    };

    /// The persisted number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The kind's name in policies, outcomes and documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// Whether it is measured over a window that its name carries.
    #[must_use]
    pub const fn is_windowed(self) -> bool {
        self.row().windowed
    }

    /// Whose history it is measured in.
    #[must_use]
    pub const fn subject(self) -> Subject {
        self.row().subject
    }

    /// The longest window that it may have, minutes.
    #[must_use]
    pub const fn window_minutes_max(self) -> u32 {
        match self.subject() {
            Subject::Card => WINDOW_MINUTES_MAX,
            Subject::Key | Subject::KeyOrCard => LABELLED_MINUTES_MAX,
        }
    }

    /// The unit of its value.
    #[must_use]
    pub const fn unit(self) -> Unit {
        self.row().unit
    }

    /// What it needs.
    #[must_use]
    pub const fn needs(self) -> Needs {
        self.row().needs
    }

    /// The reason's stable code in outcomes: what is unusual.
    #[must_use]
    pub const fn reason_code(self) -> &'static str {
        self.row().reason_code
    }

    /// The reason as a sentence's part for a person, without its window.
    #[must_use]
    pub const fn words(self) -> &'static str {
        self.row().words
    }

    /// Whether the score has a model of how surprising it is, so that a policy may weigh it.
    #[must_use]
    pub const fn is_scored(self) -> bool {
        self.row().scored
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_features_share_a_name_or_a_reason() {
        let distinct =
            |of: fn(FeatureKind) -> &'static str| FeatureKind::ALL.map(of).into_iter().collect::<BTreeSet<_>>();
        assert_eq!(distinct(FeatureKind::name).len(), FeatureKind::ALL.len());
        assert_eq!(distinct(FeatureKind::reason_code).len(), FeatureKind::ALL.len());
        assert_eq!(distinct(FeatureKind::words).len(), FeatureKind::ALL.len());
    }
}
