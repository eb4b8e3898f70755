//! The policies of a run: the one that the functions are started with, and those that are published.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidemark_domain::policy::Policy;

use crate::dice::Dice;

/// Every policy of a run, by version; the first is the functions' own.
#[derive(Clone, Debug)]
pub struct Policies {
    /// By version.
    pub all: BTreeMap<u32, Arc<Policy>>,
    /// Texts of those that are published.
    pub texts: BTreeMap<u32, String>,
}

/// The version of the functions' own policy.
pub const OWN: u32 = 1;

/// The built-in policy's windows, and how they are longer and shorter.
const WINDOWS: &str = "windows_minutes = [5, 60, 1440, 10080, 43200]";
const HORIZON: &str = "dedupe_horizon_ms = 604_800_000";
const LATENESS: &str = "lateness_ms = 172_800_000";

/// A policy that looks back for a day only.
const SHORT: &str = r#"version = 4
windows_minutes = [60, 1440]
features = ["count_1h", "count_1d", "sum_1d", "amount_z"]
dedupe_horizon_ms = 180_000_000
[weights]
count_1h = 1.0
amount_z = 1.0
[thresholds]
review = 250
alert = 500
"#;

/// The functions' own text. In every second run some three of four amounts are of low risk.
fn own_text(seed: u64, head: u64) -> String {
    // Scores below the alert threshold are rare in made-up traffic; decisions are wanted.
    let mut text = Policy::default_text()
        .replace("review = 600", "review = 200")
        .replace("alert = 800", "alert = 400")
        .replace("head_events_max = 400", &format!("head_events_max = {head}"));
    if !seed.is_multiple_of(2) {
        text.push_str("\n[low_risk]\namount_max_minor = 7_000\nfeatures = [\"count_1h\", \"amount_z\"]\n");
    }
    text
}

fn parse(text: &str) -> Arc<Policy> {
    let parsed = Policy::parse(text, "simulation.toml");
    Arc::new(parsed.unwrap_or_else(|problems| unreachable!("{problems:?}")))
}

impl Policies {
    /// The functions' own policy alone.
    #[must_use]
    pub fn own(seed: u64, head: u64) -> Self {
        Self {
            all: BTreeMap::from([(OWN, parse(&own_text(seed, head)))]),
            texts: BTreeMap::new(),
        }
    }

    /// With those that a seed publishes: other thresholds and weights, other bounds, a shorter memory.
    #[must_use]
    pub fn published(seed: u64, head: u64, dice: &mut Dice) -> Self {
        let mut policies = Self::own(seed, head);
        let own = own_text(seed, head);
        let scores = own
            .replace("version = 1", "version = 2")
            .replace("review = 200", "review = 150")
            .replace("alert = 400", "alert = 300")
            .replace("amount_z = 1.0", "amount_z = 2.0")
            .replace(&format!("head_events_max = {head}"), "head_events_max = 40");
        let lateness = *dice.pick(&["86_400_000", "250_000_000"]);
        let bounds = own
            .replace("version = 1", "version = 3")
            .replace(LATENESS, &format!("lateness_ms = {lateness}"))
            .replace(HORIZON, "dedupe_horizon_ms = 400_000_000");
        for (version, text) in [(2, scores), (3, bounds), (4, SHORT.to_owned())] {
            debug_assert!(own.contains(WINDOWS), "the built-in policy's text has changed");
            policies.all.insert(version, parse(&text));
            policies.texts.insert(version, text);
        }
        policies
    }

    /// The functions' own.
    #[must_use]
    pub fn own_policy(&self) -> Arc<Policy> {
        self.all[&OWN].clone()
    }
}
