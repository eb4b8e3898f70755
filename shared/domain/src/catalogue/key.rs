//! Features by name: kind, underscore, window.

use std::fmt;

use super::feature::FeatureKind;

const MINUTES_PER_HOUR: u16 = 60;
const MINUTES_PER_DAY: u16 = 1440;

/// A feature's full name: what, and over which window (0: not windowed).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FeatureKey {
    /// What is measured.
    pub kind: FeatureKind,
    /// Over how many minutes up to the event, 1 to 43,200; 0 for a feature without a window.
    pub window_minutes: u16,
}

/// A feature's value; `None` where its inputs are missing (no history, no profile, no place).
pub type FeatureValue = (FeatureKey, Option<f64>);

/// A name that is not a feature's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownFeature {
    /// The name's beginning is no kind of feature.
    #[error("not the name of a feature")]
    Kind,
    /// The kind is measured over a window, and the name has none that can be read.
    #[error("this feature needs a window, as in \"_5m\", \"_1h\" or \"_7d\"")]
    WindowMissing,
    /// The window is not between 1 minute and 30 days.
    #[error("a window is 1 minute to 30 days")]
    WindowRange,
    /// The window is readable but not written in its largest whole unit.
    #[error("write the window in the largest whole unit: 60 minutes are \"1h\", 24 hours \"1d\"")]
    WindowUnit,
}

impl FeatureKey {
    /// The longest window in minutes: 30 days.
    pub const WINDOW_MINUTES_MAX: u16 = 43_200;

    /// A feature over a window of so many minutes; 0 for one without a window.
    #[must_use]
    pub const fn new(kind: FeatureKind, window_minutes: u16) -> Self {
        Self { kind, window_minutes }
    }

    /// Reads a name such as `count_1h` or `amount_z`.
    ///
    /// # Errors
    /// What is wrong with the name.
    pub fn parse(name: &str) -> Result<Self, UnknownFeature> {
        if let Some(kind) = FeatureKind::ALL.into_iter().find(|kind| kind.name() == name) {
            return if kind.is_windowed() {
                Err(UnknownFeature::WindowMissing)
            } else {
                Ok(Self::new(kind, 0))
            };
        }
        let (kind, label) = name.rsplit_once('_').ok_or(UnknownFeature::Kind)?;
        let kind = FeatureKind::ALL
            .into_iter()
            .find(|k| k.is_windowed() && k.name() == kind)
            .ok_or(UnknownFeature::Kind)?;
        Ok(Self::new(kind, parse_window(label)?))
    }

    /// The window as it is written in names: `7d`, `1h`, `5m`; `None` for a feature without one.
    #[must_use]
    pub fn window_label(self) -> Option<String> {
        (self.window_minutes > 0).then(|| WindowLabel(self.window_minutes).to_string())
    }

    /// The reason as a sentence's part for a person, as in "many transactions within 1h".
    #[must_use]
    pub fn sentence(self) -> String {
        let within = self
            .window_label()
            .map_or_else(String::new, |label| format!(" within {label}"));
        format!("{}{within}", self.kind.words())
    }
}

impl fmt::Display for FeatureKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        if self.window_minutes > 0 {
            write!(f, "_{}", WindowLabel(self.window_minutes))?;
        }
        Ok(())
    }
}

/// A window in minutes, written in its largest whole unit.
struct WindowLabel(u16);

impl fmt::Display for WindowLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            m if m % MINUTES_PER_DAY == 0 => write!(f, "{}d", m / MINUTES_PER_DAY),
            m if m % MINUTES_PER_HOUR == 0 => write!(f, "{}h", m / MINUTES_PER_HOUR),
            m => write!(f, "{m}m"),
        }
    }
}

fn parse_window(label: &str) -> Result<u16, UnknownFeature> {
    let unit_at = label
        .len()
        .checked_sub(1)
        .filter(|at| label.is_char_boundary(*at))
        .ok_or(UnknownFeature::WindowMissing)?;
    let (digits, unit) = label.split_at(unit_at);
    let unit_minutes = match unit {
        "m" => 1,
        "h" => u32::from(MINUTES_PER_HOUR),
        "d" => u32::from(MINUTES_PER_DAY),
        _ => return Err(UnknownFeature::WindowMissing),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(UnknownFeature::WindowMissing);
    }
    let minutes = digits
        .parse::<u32>()
        .ok()
        .and_then(|n| n.checked_mul(unit_minutes))
        .ok_or(UnknownFeature::WindowRange)?;
    let minutes = u16::try_from(minutes).map_err(|_| UnknownFeature::WindowRange)?;
    if !(1..=FeatureKey::WINDOW_MINUTES_MAX).contains(&minutes) {
        return Err(UnknownFeature::WindowRange);
    }
    if WindowLabel(minutes).to_string() == label {
        Ok(minutes)
    } else {
        Err(UnknownFeature::WindowUnit)
    }
}
