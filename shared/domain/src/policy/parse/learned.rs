//! `[[keys]]`, `[labels]`, `[population]`, `[points]`, `[explained]` and `[expected]`: what was learned, or is to be learned from.

use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::DeValue;

use crate::catalogue::{FeatureKey, KeyName, Subject};
use crate::outcome::KEYS_MAX;
use crate::policy::compiled::Feature;
use crate::policy::key_terms::{KeyField, KeyTerms};
use crate::policy::learned::{ExpectedShares, Explained, Points, PointsTable, Population};
use crate::policy::reader::{self, Problems, Section};

use super::features::feature;

const MS_PER_DAY: i64 = 86_400_000;
/// After so many days without a fraud a row of them is over, unless the policy says otherwise.
const RUN_GAP_DAYS: i64 = 30;
const RUN_GAPS: RangeInclusive<i64> = 1..=120;
/// Bits of points: beyond these one bin alone decides.
const BITS: RangeInclusive<f64> = -100.0..=100.0;
const EDGES: RangeInclusive<f64> = -1e15..=1e15;
const AMOUNTS: RangeInclusive<f64> = 0.0..=1e15;
const SHARES: RangeInclusive<f64> = 0.0..=1.0;
/// The most tables of points.
const TABLES_MAX: usize = 64;
/// The most edges of a table, and the most amounts of the population's.
const EDGES_MAX: usize = 64;

/// All of it, before features are known by their windows.
pub(super) struct Learned {
    pub(super) keys: Vec<KeyTerms>,
    pub(super) run_gap_ms: i64,
    pub(super) population: Option<Population>,
    pub(super) points: Option<Points>,
    pub(super) explained: Option<Explained>,
    pub(super) expected: Option<ExpectedShares>,
}

/// The keys that the policy declares.
pub(super) fn keys(top: &Section<'_, '_>, problems: &mut Problems) -> Option<Vec<KeyTerms>> {
    if !top.has("keys") {
        return Some(Vec::new());
    }
    let items = top.list("keys", problems)?;
    let mut keys: Vec<KeyTerms> = Vec::new();
    for item in items {
        let Some(section) = Section::item("keys", item, problems) else {
            continue;
        };
        section.refuse_unknown(&["name", "field", "keeps"], problems);
        let terms = key_name(&section, problems).zip(key_field(&section, problems));
        kept(&section, problems);
        let Some((name, field)) = terms else { continue };
        if keys.iter().any(|key| key.name == name) {
            problems.push(&item.span(), format!("key `{name}` is declared twice, expected once"));
        } else {
            keys.push(KeyTerms { name, field });
        }
    }
    if items.len() > KEYS_MAX {
        problems.push(
            &top.place("keys"),
            format!("expected at most {KEYS_MAX} keys, found {}", items.len()),
        );
    }
    Some(keys)
}

fn key_name(section: &Section<'_, '_>, problems: &mut Problems) -> Option<KeyName> {
    let (text, span) = section.string("name", None, problems)?;
    let name = KeyName::new(text).filter(|name| !name.is_reserved());
    if name.is_none() {
        let longest = KeyName::BYTES_MAX;
        let message = format!(
            "expected keys.name to be 1 to {longest} of the characters a to z, 0 to 9 and _, a letter first, and \
             neither `card` nor `surprise`, found `{text}`"
        );
        problems.push(&span, message);
    }
    name
}

fn key_field(section: &Section<'_, '_>, problems: &mut Problems) -> Option<KeyField> {
    let (text, span) = section.string("field", None, problems)?;
    let field = KeyField::parse(text);
    if field.is_none() {
        let message = format!(
            "expected keys.field to be merchant_id, device_id or the name of a link, as in `links.ip`, found `{text}`"
        );
        problems.push(&span, message);
    }
    field
}

fn kept(section: &Section<'_, '_>, problems: &mut Problems) {
    if let Some((text, span)) = section.string("keeps", None, problems)
        && text != "labelled"
    {
        problems.push(&span, format!("expected keys.keeps to be \"labelled\", found `{text}`"));
    }
}

/// The sections that were learned. `features` are the policy's.
pub(super) fn learned(
    top: &Section<'_, '_>,
    keys: Vec<KeyTerms>,
    windows: &[u32],
    features: &[FeatureKey],
    problems: &mut Problems,
) -> Option<Learned> {
    let labels = top.inside("labels", false, problems);
    labels.refuse_unknown(&["run_gap_days"], problems);
    let run_gap_days = labels.integer("run_gap_days", &RUN_GAPS, Some(RUN_GAP_DAYS), problems);
    let reader = Tables {
        features,
        windows,
        keys: &keys,
    };
    let points = section(top, "points", problems)
        .map(|section| reader.points(&section, &["prior_bits", "tables"], true, problems));
    let explained = section(top, "explained", problems).map(|section| reader.explained(&section, problems));
    let population = section(top, "population", problems).map(|section| population(&section, problems));
    let population = flipped(population)?;
    let expected = section(top, "expected", problems).map(|section| expected(&section, problems));
    let wants_population = features.iter().any(|key| key.kind.name() == "amount_population");
    if wants_population && population.is_none() {
        let message = "`amount_population` needs the table [population]: `tidemark train` fits one";
        problems.push(&top.place("features"), message);
    }
    Some(Learned {
        run_gap_ms: run_gap_days? * MS_PER_DAY,
        population,
        points: flipped(points)?,
        explained: flipped(explained)?,
        expected: flipped(expected)?,
        keys,
    })
}

/// An optional section that is there.
pub(super) fn section<'a, 'i>(
    top: &Section<'a, 'i>,
    name: &'static str,
    problems: &mut Problems,
) -> Option<Section<'a, 'i>> {
    top.has(name).then(|| top.inside(name, true, problems))
}

/// `None` where something was there and wrong.
#[allow(clippy::option_option)] // there or not, and if there, right or not
pub(super) fn flipped<T>(found: Option<Option<T>>) -> Option<Option<T>> {
    match found {
        None => Some(None),
        Some(Some(value)) => Some(Some(value)),
        Some(None) => None,
    }
}

/// What tables are held against.
struct Tables<'p> {
    features: &'p [FeatureKey],
    windows: &'p [u32],
    keys: &'p [KeyTerms],
}

impl Tables<'_> {
    fn explained(&self, section: &Section<'_, '_>, problems: &mut Problems) -> Option<Explained> {
        let from_bits = section.number("from_bits", &BITS, None, problems);
        let points = self.points(section, &["from_bits", "prior_bits", "tables"], false, problems);
        Some(Explained {
            points: points?,
            from_bits: from_bits?,
        })
    }

    fn points(
        &self,
        section: &Section<'_, '_>,
        known: &[&str],
        may_be_of_keys: bool,
        problems: &mut Problems,
    ) -> Option<Points> {
        section.refuse_unknown(known, problems);
        let prior_bits = section.number("prior_bits", &BITS, None, problems);
        let items = section.list("tables", problems)?;
        if items.is_empty() || items.len() > TABLES_MAX {
            let found = items.len();
            problems.push(
                &section.place("tables"),
                format!("expected 1 to {TABLES_MAX} tables, found {found}"),
            );
        }
        let mut tables: Vec<PointsTable> = Vec::new();
        for item in items {
            let Some(table) = self.table(item, may_be_of_keys, problems) else {
                continue;
            };
            let key = table.key();
            if tables.iter().any(|other| other.key() == key) {
                problems.push(&item.span(), format!("`{key}` has two tables, expected one"));
            }
            tables.push(table);
        }
        Some(Points {
            prior_bits: prior_bits?,
            tables,
        })
    }

    fn table(&self, item: &Spanned<DeValue<'_>>, may_be_of_keys: bool, problems: &mut Problems) -> Option<PointsTable> {
        let section = Section::item("tables", item, problems)?;
        section.refuse_unknown(&["feature", "edges", "bits", "missing_bits"], problems);
        let feature = self.feature(&section, may_be_of_keys, problems);
        let edges = numbers(&section, "edges", &EDGES, problems);
        let bits = numbers(&section, "bits", &BITS, problems);
        let missing_bits = section.number("missing_bits", &BITS, Some(0.0), problems);
        let (edges, bits) = (edges?, bits?);
        if !edges.is_sorted_by(|a, b| a < b) || edges.len() > EDGES_MAX {
            let message = format!("expected at most {EDGES_MAX} edges, each above the one before");
            problems.push(&section.place("edges"), message);
        }
        if bits.len() != edges.len() + 1 {
            let message = format!(
                "expected {} bits, one more than edges, found {}",
                edges.len() + 1,
                bits.len()
            );
            problems.push(&section.place("bits"), message);
        }
        Some(PointsTable {
            feature: Feature::new(feature?, self.windows, self.keys),
            edges,
            bits,
            missing_bits: missing_bits?,
        })
    }

    fn feature(&self, section: &Section<'_, '_>, may_be_of_keys: bool, problems: &mut Problems) -> Option<FeatureKey> {
        let (name, span) = section.string("feature", None, problems)?;
        let found = feature(name, None, None).and_then(|key| {
            if !self.features.contains(&key) {
                return Err(format!("`{name}` has points, expected it in `features` too"));
            }
            if !may_be_of_keys && key.kind.subject() != Subject::Card {
                return Err(format!(
                    "`{name}` is not of the card alone, expected a feature that no label changes"
                ));
            }
            Ok(key)
        });
        found.map_err(|message| problems.push(&span, message)).ok()
    }
}

fn population(section: &Section<'_, '_>, problems: &mut Problems) -> Option<Population> {
    section.refuse_unknown(&["amounts_minor", "bits"], problems);
    let amounts = numbers(section, "amounts_minor", &AMOUNTS, problems);
    let bits = numbers(section, "bits", &BITS, problems);
    let (amounts, bits) = (amounts?, bits?);
    if amounts.is_empty() || amounts.len() > EDGES_MAX || !amounts.is_sorted_by(|a, b| a < b) {
        let message = format!("expected 1 to {EDGES_MAX} amounts, each above the one before");
        problems.push(&section.place("amounts_minor"), message);
    }
    if bits.len() != amounts.len() || !bits.is_sorted() {
        let message = "expected as many bits as amounts, none below the one before";
        problems.push(&section.place("bits"), message);
    }
    Some(Population { amounts, bits })
}

fn expected(section: &Section<'_, '_>, problems: &mut Problems) -> Option<ExpectedShares> {
    section.refuse_unknown(&["alert_share", "review_share"], problems);
    let alert_share = section.number("alert_share", &SHARES, None, problems);
    let review_share = section.number("review_share", &SHARES, None, problems);
    let expected = ExpectedShares {
        alert_share: alert_share?,
        review_share: review_share?,
    };
    if expected.alert_share + expected.review_share > 1.0 {
        let message = "expected alert_share and review_share to be 1 together at most";
        problems.push(&section.place("review_share"), message);
    }
    Some(expected)
}

/// A list of numbers in a range.
fn numbers(
    section: &Section<'_, '_>,
    key: &str,
    range: &RangeInclusive<f64>,
    problems: &mut Problems,
) -> Option<Vec<f64>> {
    let items = section.list(key, problems)?;
    let numbers = items
        .iter()
        .map(|item| reader::number(key, &item.span(), item.get_ref(), range, problems));
    // Each is read before any is missed.
    numbers.collect::<Vec<_>>().into_iter().collect()
}
