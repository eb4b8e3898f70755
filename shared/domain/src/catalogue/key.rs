//! Features by name: kind, underscore, window.

use std::fmt;

use super::column::{self, Subject};
use super::feature::FeatureKind;
use super::key_name::KeyName;

const MINUTES_PER_HOUR: u32 = 60;
const MINUTES_PER_DAY: u32 = 1440;

/// A feature's full name: what, over which window (0: not windowed), and of whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FeatureKey {
    /// What is measured.
    pub kind: FeatureKind,
    /// Over how many minutes up to the event: 1 to [`FeatureKey::WINDOW_MINUTES_MAX`], of labelled events
    /// [`FeatureKey::LABELLED_MINUTES_MAX`]; 0 for a feature without a window.
    pub window_minutes: u32,
    /// Of which key's history, as in `terminal.fraud_run`, or how surprising it is, as in `surprise.sum_7d`; `None`: the value of the
    /// card's own, as most are.
    pub of: Option<KeyName>,
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
    /// The window is not between 1 minute and 30 days, or, of labelled events, 120 days.
    #[error("a window is 1 minute to 30 days, of labelled events to 120 days")]
    WindowRange,
    /// The feature is of another key's history than the card's, and the name does not say which.
    #[error(
        "this feature is of a key that the policy declares, as in \"terminal.fraud_run\", or of the card, as in \"card.frauds_7d\""
    )]
    KeyMissing,
    /// There is no model of how surprising the feature's value is.
    #[error("there is no model of how surprising this feature is: `surprise.` can't stand before it")]
    Unsurprising,
    /// The feature is of the card's own history, and the name says another.
    #[error("this feature is of the card's own history: no key stands before it")]
    KeyRefused,
    /// The window is readable but not written in its largest whole unit.
    #[error("write the window in the largest whole unit: 60 minutes are \"1h\", 24 hours \"1d\"")]
    WindowUnit,
}

impl FeatureKey {
    /// The longest window in minutes: 30 days.
    pub const WINDOW_MINUTES_MAX: u32 = column::WINDOW_MINUTES_MAX;
    /// The longest window over labelled events in minutes: 120 days, since chargebacks come late.
    pub const LABELLED_MINUTES_MAX: u32 = column::LABELLED_MINUTES_MAX;

    /// A feature of the card over a window of so many minutes; 0 for one without a window.
    #[must_use]
    pub const fn new(kind: FeatureKind, window_minutes: u32) -> Self {
        Self {
            kind,
            window_minutes,
            of: None,
        }
    }

    /// A feature of a key's history.
    #[must_use]
    pub const fn of_key(key: KeyName, kind: FeatureKind, window_minutes: u32) -> Self {
        Self {
            kind,
            window_minutes,
            of: Some(key),
        }
    }

    /// Reads a name such as `count_1h`, `amount_z` or `terminal.fraud_run`.
    ///
    /// # Errors
    /// What is wrong with the name.
    pub fn parse(name: &str) -> Result<Self, UnknownFeature> {
        let (of, name) = match name.split_once('.') {
            Some((key, name)) => (Some(KeyName::new(key).ok_or(UnknownFeature::Kind)?), name),
            None => (None, name),
        };
        let (kind, window_minutes) = parse_kind(name)?;
        match (kind.subject(), of) {
            (Subject::Card, None) => {}
            (Subject::Card, Some(KeyName::SURPRISE)) if kind.is_scored() => {}
            (Subject::Card, Some(KeyName::SURPRISE)) => return Err(UnknownFeature::Unsurprising),
            (Subject::Card, Some(_)) => return Err(UnknownFeature::KeyRefused),
            (Subject::Key, Some(key)) if !key.is_reserved() => {}
            (Subject::KeyOrCard, Some(key)) if key != KeyName::SURPRISE => {}
            (Subject::Key | Subject::KeyOrCard, _) => return Err(UnknownFeature::KeyMissing),
        }
        Ok(Self {
            kind,
            window_minutes,
            of,
        })
    }

    /// The window as it is written in names: `7d`, `1h`, `5m`; `None` for a feature without one.
    #[must_use]
    pub fn window_label(self) -> Option<String> {
        (self.window_minutes > 0).then(|| WindowLabel(self.window_minutes).to_string())
    }

    /// The key whose history it is measured in; `None` for the card's own.
    #[must_use]
    pub fn key(self) -> Option<KeyName> {
        self.of.filter(|name| !name.is_reserved())
    }

    /// Whether it is how surprising a value is, not the value.
    #[must_use]
    pub fn is_surprise(self) -> bool {
        self.of == Some(KeyName::SURPRISE)
    }

    /// The reason as a sentence's part for a person, as in "many transactions within 1h" or "frauds in a row (terminal)".
    #[must_use]
    pub fn sentence(self) -> String {
        let within = self
            .window_label()
            .map_or_else(String::new, |label| format!(" within {label}"));
        let whose = self.key().map_or_else(String::new, |key| format!(" ({key})"));
        format!("{}{within}{whose}", self.kind.words())
    }
}

impl fmt::Display for FeatureKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(key) = self.of {
            write!(f, "{key}.")?;
        }
        f.write_str(self.kind.name())?;
        if self.window_minutes > 0 {
            write!(f, "_{}", WindowLabel(self.window_minutes))?;
        }
        Ok(())
    }
}

/// A window in minutes, written in its largest whole unit.
struct WindowLabel(u32);

impl fmt::Display for WindowLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            m if m % MINUTES_PER_DAY == 0 => write!(f, "{}d", m / MINUTES_PER_DAY),
            m if m % MINUTES_PER_HOUR == 0 => write!(f, "{}h", m / MINUTES_PER_HOUR),
            m => write!(f, "{m}m"),
        }
    }
}

/// Kind and window of a name without its key.
fn parse_kind(name: &str) -> Result<(FeatureKind, u32), UnknownFeature> {
    if let Some(kind) = FeatureKind::ALL.into_iter().find(|kind| kind.name() == name) {
        return if kind.is_windowed() {
            Err(UnknownFeature::WindowMissing)
        } else {
            Ok((kind, 0))
        };
    }
    let (kind, label) = name.rsplit_once('_').ok_or(UnknownFeature::Kind)?;
    let kind = FeatureKind::ALL
        .into_iter()
        .find(|k| k.is_windowed() && k.name() == kind)
        .ok_or(UnknownFeature::Kind)?;
    Ok((kind, parse_window(label, kind.window_minutes_max())?))
}

fn parse_window(label: &str, minutes_max: u32) -> Result<u32, UnknownFeature> {
    let unit_at = label
        .len()
        .checked_sub(1)
        .filter(|at| label.is_char_boundary(*at))
        .ok_or(UnknownFeature::WindowMissing)?;
    let (digits, unit) = label.split_at(unit_at);
    let unit_minutes = match unit {
        "m" => 1,
        "h" => MINUTES_PER_HOUR,
        "d" => MINUTES_PER_DAY,
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
    if !(1..=minutes_max).contains(&minutes) {
        return Err(UnknownFeature::WindowRange);
    }
    if WindowLabel(minutes).to_string() == label {
        Ok(minutes)
    } else {
        Err(UnknownFeature::WindowUnit)
    }
}
