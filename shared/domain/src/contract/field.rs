//! The names that an event may use, all schemas together.

macro_rules! fields {
    ($($variant:ident = $name:literal,)*) => {
        /// A member of an event that some schema knows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(super) enum Field { $($variant,)* }

        impl Field {
            /// How many there are.
            pub(super) const COUNT: usize = [$($name,)*].len();

            /// The member's name in JSON.
            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The field of a name.
            pub(super) fn of(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The field's bit in a set.
            pub(super) const fn bit(self) -> u32 {
                1 << self as u32
            }
        }
    };
}

fields! {
    Schema = "schema",
    Version = "version",
    EventId = "event_id",
    CardId = "card_id",
    OccurredAtMs = "occurred_at_ms",
    AmountMinor = "amount_minor",
    Currency = "currency",
    MerchantId = "merchant_id",
    Mcc = "mcc",
    Country = "country",
    Channel = "channel",
    Approved = "approved",
    DeviceId = "device_id",
    Latitude = "latitude",
    Longitude = "longitude",
    Links = "links",
    ProfileVersion = "profile_version",
    UsualCountry = "usual_country",
    SpendMeanMinor = "spend_mean_minor",
    SpendDeviationMinor = "spend_deviation_minor",
    TransactionsPerDay = "transactions_per_day",
    AccountOpenedAtMs = "account_opened_at_ms",
    UpdatedAtMs = "updated_at_ms",
    Verdict = "verdict",
    KnownSinceMs = "known_since_ms",
}

/// What every event has.
const ENVELOPE: u32 = Field::Schema.bit() | Field::Version.bit() | Field::CardId.bit();

/// The fields of a transaction, version 1.
pub(super) const TRANSACTION_V1: u32 = ENVELOPE
    | Field::EventId.bit()
    | Field::OccurredAtMs.bit()
    | Field::AmountMinor.bit()
    | Field::Currency.bit()
    | Field::MerchantId.bit()
    | Field::Mcc.bit()
    | Field::Country.bit()
    | Field::Channel.bit()
    | Field::Approved.bit();

/// The fields of a transaction, version 2.
pub(super) const TRANSACTION_V2: u32 =
    TRANSACTION_V1 | Field::DeviceId.bit() | Field::Latitude.bit() | Field::Longitude.bit();

/// The fields of a transaction, version 3.
pub(super) const TRANSACTION_V3: u32 = TRANSACTION_V2 | Field::Links.bit() | Field::AccountOpenedAtMs.bit();

/// The fields of a profile, version 1.
pub(super) const PROFILE_V1: u32 = ENVELOPE
    | Field::ProfileVersion.bit()
    | Field::UsualCountry.bit()
    | Field::SpendMeanMinor.bit()
    | Field::SpendDeviationMinor.bit()
    | Field::TransactionsPerDay.bit()
    | Field::AccountOpenedAtMs.bit()
    | Field::UpdatedAtMs.bit();

/// The fields of a label, version 1.
pub(super) const LABEL_V1: u32 = ENVELOPE | Field::EventId.bit() | Field::Verdict.bit() | Field::KnownSinceMs.bit();

/// The fields of a label, version 2.
pub(super) const LABEL_V2: u32 =
    LABEL_V1 | Field::OccurredAtMs.bit() | Field::MerchantId.bit() | Field::DeviceId.bit() | Field::Links.bit();
