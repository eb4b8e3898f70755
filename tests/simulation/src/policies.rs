//! The policies of a run: the one that the functions are started with, and those that are published.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidemark_domain::policy::{KeyField, Policy};

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
    // In every third run heads are sealed for their bytes, too, and not seldom.
    if seed.is_multiple_of(3) {
        text = text.replace("head_bytes_max = 900", "head_bytes_max = 256");
    }
    if !seed.is_multiple_of(2) {
        text.push_str("\n[low_risk]\namount_max_minor = 7_000\nfeatures = [\"count_1h\", \"amount_z\"]\n");
    }
    if has_rules(seed) {
        text.push_str(RULES);
    }
    if has_lists(seed) {
        text.push_str(LISTS);
    }
    text
}

/// In every fourth run the policies have rules, in half of these low risk besides.
const fn has_rules(seed: u64) -> bool {
    matches!(seed % 8, 3 | 4)
}

/// In every sixteenth run the policies declare lists, with rules that ask them, and low risk besides.
#[must_use]
pub const fn has_lists(seed: u64) -> bool {
    seed % 16 == 13
}

/// Lists: a rule decides by one and another watches what is not in the second; the third blocks cards.
const LISTS: &str = r#"
[[lists]]
name = "shops"
of = "ids"
[[lists]]
name = "places"
of = "countries"
[[lists]]
name = "blocked"
of = "ids"
overrides = "block"
[[rules]]
name = "listed"
when = "event.merchant_id in lists.shops && event.amount_minor % 2 == 0"
then = "alert"
reason = "A shop of the list"
[[rules]]
name = "elsewhere"
when = "!(event.country in lists.places)"
then = "review"
reason = "Not a place of the list"
mode = "observe"
"#;

/// Rules of every kind: one that decides, one that makes events pass, one that watches, and one that divides by zero now and then. They
/// read nothing that not every policy of a run has.
const RULES: &str = r#"
[[rules]]
name = "usual"
when = "has(profile.usual_country) && event.country == profile.usual_country && score < 300 && event.amount_minor % 5 == 0"
then = "pass"
reason = "At home, and nothing unusual"
[[rules]]
name = "many"
when = "features.count_1h >= 2 && event.amount_minor > 3000 || event.amount_minor % 11 == 0"
then = "alert"
reason = "Several within an hour"
[[rules]]
name = "no_result"
when = "event.amount_minor / (event.amount_minor % 3) > 1000"
then = "review"
reason = "Words of a rule that has no result for every third amount"
[[rules]]
name = "watched"
when = "!has(features.amount_z) || features.amount_z > 1.037"
then = "alert"
reason = "An unusual amount"
mode = "observe"
"#;

/// Features of a key, by its name.
const OF_KEYS: [&str; 4] = ["fraud_run", "fraud_run_age", "since_fraud", "frauds_30d"];
/// Each key's name and field.
const KEYS: [(&str, &str); 3] = [("terminal", "merchant_id"), ("device", "device_id"), ("ip", LINK)];
/// The link of the third key.
const LINK: &str = "links.ip";

/// In every fifth run the policies have a key by a link, too.
const fn has_links(seed: u64) -> bool {
    seed % 5 == 3
}

/// The text with the first so many keys, their features, and a table that says which events a card explains.
fn with_keys(text: &str, keys: usize, run_gap_days: u64) -> String {
    let names = KEYS.iter().take(keys);
    let names = names.flat_map(|(name, _)| OF_KEYS.map(|of| format!("\"{name}.{of}\", ")));
    let features = format!("features = [{}", names.collect::<String>());
    let mut text = text.replacen("features = [", &features, 1);
    text.push_str(&format!("\n[labels]\nrun_gap_days = {run_gap_days}\n"));
    for (name, field) in KEYS.iter().take(keys) {
        text.push_str(&format!(
            "[[keys]]\nname = \"{name}\"\nfield = \"{field}\"\nkeeps = \"labelled\"\n"
        ));
    }
    text.push_str("[explained]\nprior_bits = -1\nfrom_bits = 1\n");
    text.push_str("[[explained.tables]]\nfeature = \"count_1h\"\nedges = [3]\nbits = [0, 3]\n");
    text
}

/// Points of keys in place of weights.
const POINTS: &str = r#"
[points]
prior_bits = -6
[[points.tables]]
feature = "terminal.fraud_run"
edges = [1, 2]
bits = [0, 4, 8]
[[points.tables]]
feature = "device.frauds_30d"
edges = [1]
bits = [0, 3]
"#;

/// Points take the place of weights, and few features are left, which outcomes carry.
fn with_points(text: &str) -> String {
    let (before, rest) = text.split_once("[weights]").unwrap_or((text, ""));
    let after = rest.find("[thresholds]").map_or("", |at| &rest[at..]);
    let (head, list) = before.split_once("features = [").unwrap_or((before, ""));
    let tail = list.find(']').map_or("", |at| &list[at..]);
    let after = after.replace("[outcome]\nfeatures = false", "[outcome]\nfeatures = true");
    format!("{head}features = [\"count_1h\", \"amount_z\"{tail}{after}{POINTS}")
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

    /// The same policies, with keys: the functions' own scores by points of merchants and devices and keeps both, and in every fifth
    /// run a link; the second keeps the same, with other rows, the third keeps merchants alone, and the fourth none.
    #[must_use]
    pub fn with_keys(self, seed: u64, head: u64) -> Self {
        let most = if has_links(seed) { 3 } else { 2 };
        let own = with_keys(&with_points(&own_text(seed, head)), most, 30);
        let text = |version: u32, text: &str| match version {
            2 => with_keys(text, most, 2),
            3 => with_keys(text, 1, 30),
            _ => text.to_owned(),
        };
        let texts: BTreeMap<u32, String> = self
            .texts
            .iter()
            .map(|(version, old)| (*version, text(*version, old)))
            .collect();
        let mut all: BTreeMap<u32, Arc<Policy>> = texts.iter().map(|(version, text)| (*version, parse(text))).collect();
        all.insert(OWN, parse(&own));
        Self { all, texts }
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

    /// Whether a key is kept by a link.
    #[must_use]
    pub fn have_links(&self) -> bool {
        let keys = self.all.values().flat_map(|policy| &policy.keys);
        keys.map(|terms| terms.field)
            .any(|field| matches!(field, KeyField::Link(_)))
    }

    /// The functions' own.
    #[must_use]
    pub fn own_policy(&self) -> Arc<Policy> {
        self.all[&OWN].clone()
    }
}
