//! The text of a policy that learned: what the one it began with says, and the tables that were learned, with what lay in each bin.

use std::fmt::Write as _;

use learn::points::{FeatureReport, FitReport};
use learn::quantiles::LearnedPopulation;
use learn::rarity::Rarity;
use tidemark_domain::rules::features_named;
use toml::{Table, Value};

use super::LearningError;

/// The tables that training writes anew.
const LEARNED: [&str; 6] = ["population", "points", "trees", "explained", "expected", "weights"];

/// A policy under way: the file that it began with, as far as it stays, and what was learned.
#[derive(Clone, Debug)]
pub struct PolicyText {
    base: Table,
    learned: String,
}

impl PolicyText {
    /// What stays of a policy's text.
    ///
    /// # Errors
    /// When it is no TOML.
    pub fn new(text: &str) -> Result<Self, LearningError> {
        let mut base: Table = toml::from_str(text).map_err(LearningError::Base)?;
        LEARNED.iter().for_each(|name| _ = base.remove(*name));
        Ok(Self {
            base,
            learned: String::new(),
        })
    }

    /// The version that the policy has.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.base.get("version").and_then(Value::as_integer).unwrap_or(0)
    }

    /// Sets a member of the file's top level.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.base.insert(key.to_owned(), value.into());
    }

    /// Sets a member of a table of the file.
    pub fn set_in(&mut self, table: &str, key: &str, value: impl Into<Value>) {
        let entry = self.base.entry(table).or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(table) = entry {
            table.insert(key.to_owned(), value.into());
        }
    }

    /// Sets the features to these, and those that must stay because another part of the file names them; each once, by name.
    pub fn set_features(&mut self, mut names: Vec<String>) {
        let rules = self.base.get("rules").and_then(Value::as_array).into_iter().flatten();
        let whens = rules.filter_map(|rule| rule.get("when").and_then(Value::as_str));
        names.extend(whens.flat_map(features_named));
        let low_risk = self.base.get("low_risk").and_then(|table| table.get("features"));
        let elsewhere = low_risk.and_then(Value::as_array).into_iter().flatten();
        names.extend(elsewhere.filter_map(Value::as_str).map(str::to_owned));
        names.sort_unstable();
        names.dedup();
        self.set("features", names);
    }

    /// Gives the file weights, which it must have without points; nobody looks at what is scored by these.
    pub fn weigh_anything(&mut self) {
        self.set_in("weights", "amount_population", 1.0);
    }

    /// Adds the population's amounts.
    pub fn add_population(&mut self, population: &LearnedPopulation) {
        let knots = population.knots();
        let amounts: Vec<String> = knots.iter().map(|knot| knot.amount_minor.to_string()).collect();
        let bits: Vec<f64> = knots.iter().map(|knot| knot.bits).collect();
        let _ = write!(
            self.learned,
            "\n# How rare amounts are among all cards, base minor units and bits.\n[population]\namounts_minor = [{}]\nbits = [{}]\n",
            amounts.join(", "),
            numbers(&bits),
        );
    }

    /// Adds tables of points under a name, with what lay in each bin beside it.
    pub fn add_points(&mut self, name: &str, words: &str, first: &str, prior_bits: f64, report: &FitReport) {
        let _ = write!(
            self.learned,
            "\n# {words}\n# Learned from {} events, {} of them fraud.\n[{name}]\n{first}prior_bits = {}\n",
            report.events,
            report.frauds,
            number(prior_bits)
        );
        for feature in &report.features {
            self.learned.push_str(&table_of(name, feature));
        }
    }

    /// Adds tables of how rare values are, with how many events lay in each bin beside it.
    pub fn add_rarity(&mut self, rarity: &Rarity) {
        let _ = write!(
            self.learned,
            "\n# How rare the values of features are, of {} events; no label was looked at. The sum is no odds: 0 bits are where the alerts begin.\n\
             [points]\nprior_bits = {}\n",
            rarity.events,
            number(rarity.points.prior_bits)
        );
        for (feature, counts) in rarity.points.features.iter().zip(&rarity.counts) {
            let counts: Vec<String> = counts.iter().map(ToString::to_string).collect();
            let lay = format!("events, bin by bin, missing last: {}", counts.join(" "));
            let (edges, bits) = (&feature.edges, &feature.bits);
            self.learned.push_str(&table(
                "points",
                &feature.name,
                (edges, bits, feature.missing_bits),
                &lay,
            ));
        }
    }

    /// The file.
    ///
    /// # Errors
    /// When it can't be written, which is a bug.
    pub fn render(&self, head: &str) -> Result<String, LearningError> {
        let base = toml::to_string(&self.base).map_err(LearningError::Render)?;
        Ok(format!("{head}{base}{}", self.learned))
    }
}

fn table_of(name: &str, feature: &FeatureReport) -> String {
    let bins = || feature.bins.iter().filter(|bin| !bin.missing);
    let edges: Vec<f64> = bins().filter_map(|bin| bin.from).collect();
    let bits: Vec<f64> = bins().map(|bin| bin.bits).collect();
    let missing = feature.bins.iter().find(|bin| bin.missing);
    let share = |bin: &learn::points::BinReport| format!("{}/{}", bin.frauds, bin.events);
    let shares: Vec<String> = feature.bins.iter().map(share).collect();
    let lay = format!("frauds of events, bin by bin, missing last: {}", shares.join(" "));
    let missing_bits = missing.map_or(0.0, |bin| bin.bits);
    table(name, &feature.feature, (&edges, &bits, missing_bits), &lay)
}

/// A feature's edges, the bits of its bins, and those of a missing value, with what lay in each.
fn table(name: &str, feature: &str, (edges, bits, missing_bits): (&[f64], &[f64], f64), lay: &str) -> String {
    format!(
        "\n[[{name}.tables]]\nfeature = \"{feature}\"\nedges = [{}]\nbits = [{}]\nmissing_bits = {}\n# {lay}\n",
        numbers(edges),
        numbers(bits),
        number(missing_bits),
    )
}

fn numbers(values: &[f64]) -> String {
    let values: Vec<String> = values.iter().copied().map(number).collect();
    values.join(", ")
}

/// A number as TOML has it: the shortest that reads back as the same.
fn number(value: f64) -> String {
    let text = format!("{value}");
    if text.contains(['.', 'e']) {
        text
    } else {
        format!("{text}.0")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_scored_before_goes_and_what_declares_stays() {
        let base =
            "version = 7\n[trees]\nmodel = \"0123456789abcdef\"\n[weights]\na = 1\n[[keys]]\nname = \"terminal\"\n";
        let text = PolicyText::new(base).unwrap();
        assert_eq!(text.version(), 7);
        let rendered = text.render("").unwrap();
        assert!(
            rendered.contains("terminal") && !rendered.contains("trees") && !rendered.contains("weights"),
            "{rendered}"
        );
    }
}
