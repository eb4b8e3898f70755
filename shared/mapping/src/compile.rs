//! From the keys of a map's file to its rules: what the keys can't say by their types is checked here, each with its place.

mod field;
mod profile;

use std::collections::BTreeMap;

use tidemark_domain::catalogue::KeyName;
use tidemark_domain::event::LINKS_MAX;

use crate::keys::{Format, InputKeys, KindKeys, LabelKeys, MapKeys, ProfileKeys, TransactionKeys, WhenKeys};
use crate::limits::{COLUMNS_MAX, KINDS_MAX, MAP_BYTES_MAX};
use crate::problem::{MapProblem, Problems};
use crate::row::PathId;
use crate::rules::amount::AmountRule;
use crate::rules::choice::ChoiceRule;
use crate::rules::id::IdRule;
use crate::rules::number::NumberRule;
use crate::rules::time::TimeRule;

use field::Fields;
pub(crate) use profile::ProfileRule;

/// Where a salt is had from, by the name of its variable.
pub type Salts<'s> = &'s dyn Fn(&str) -> Option<String>;

/// A map that was read and checked.
#[derive(Clone, Debug)]
pub struct RowMap {
    pub(crate) input: InputRule,
    pub(crate) skip: Option<WhenRule>,
    pub(crate) kinds: Vec<KindRule>,
    /// Every column and path that the map names.
    pub(crate) paths: Vec<String>,
}

/// How the file is written.
#[derive(Clone, Debug)]
pub struct InputRule {
    /// What the file is.
    pub format: Format,
    /// Between the columns of a table.
    pub delimiter: u8,
    /// Around values that hold a delimiter.
    pub quote: u8,
    /// The names of the columns; `None`: the first row has them.
    pub columns: Option<Vec<String>>,
    /// What stands for nothing, besides nothing.
    pub empty: Vec<String>,
}

/// Rows by a value.
#[derive(Clone, Debug)]
pub(crate) struct WhenRule {
    pub(crate) from: PathId,
    pub(crate) is: Vec<String>,
}

/// Rows of one kind.
#[derive(Clone, Debug)]
pub(crate) struct KindRule {
    /// `None`: every row.
    pub(crate) when: Option<WhenRule>,
    pub(crate) transaction: Option<TransactionRule>,
    pub(crate) label: Option<LabelRule>,
    pub(crate) profile: Option<ProfileRule>,
}

/// What a transaction is made of.
#[derive(Clone, Debug)]
pub(crate) struct TransactionRule {
    /// The contract's version: the first that has all fields of the map.
    pub(crate) version: u32,
    pub(crate) event_id: IdRule,
    pub(crate) card_id: IdRule,
    pub(crate) occurred_at_ms: TimeRule,
    pub(crate) amount_minor: AmountRule,
    pub(crate) currency: ChoiceRule<String>,
    pub(crate) merchant_id: IdRule,
    pub(crate) mcc: ChoiceRule<u16>,
    pub(crate) country: ChoiceRule<String>,
    pub(crate) channel: ChoiceRule<String>,
    pub(crate) approved: ChoiceRule<bool>,
    pub(crate) device_id: Option<IdRule>,
    pub(crate) latitude: Option<NumberRule>,
    pub(crate) longitude: Option<NumberRule>,
    pub(crate) links: Vec<(String, IdRule)>,
    pub(crate) account_opened_at_ms: Option<TimeRule>,
}

/// What a label is made of. Beside a transaction, what is absent here is taken from that.
#[derive(Clone, Debug)]
pub(crate) struct LabelRule {
    pub(crate) verdict: ChoiceRule<String>,
    pub(crate) known_since_ms: TimeRule,
    pub(crate) event_id: Option<IdRule>,
    pub(crate) card_id: Option<IdRule>,
    pub(crate) occurred_at_ms: Option<TimeRule>,
    pub(crate) merchant_id: Option<IdRule>,
    pub(crate) device_id: Option<IdRule>,
}

/// The verdict of a row that says nothing.
pub(crate) const NO_VERDICT: &str = "none";

impl RowMap {
    /// Reads and checks a map; `salts` has the salts by the names of their variables.
    ///
    /// # Errors
    /// Every problem that was found, in the order of the file.
    pub fn parse(text: &str, file_name: &str, salts: Salts<'_>) -> Result<Self, Vec<MapProblem>> {
        let mut problems = Problems::new(file_name, text);
        if text.len() > MAP_BYTES_MAX {
            problems.at(0, format!("a map has at most {MAP_BYTES_MAX} bytes"));
        } else {
            match toml::from_str::<MapKeys>(text) {
                Ok(keys) => {
                    let map = compile(keys, &mut problems, salts);
                    return match problems.into_list() {
                        None => Ok(map),
                        Some(problems) => Err(problems),
                    };
                }
                Err(error) => problems.at(error.span().map_or(0, |span| span.start), said(&error)),
            }
        }
        Err(problems.into_list().unwrap_or_default())
    }
}

/// What the reader of TOML says, and what a person would miss in it.
fn said(error: &toml::de::Error) -> String {
    let message = error.message().trim_end();
    if message.contains("missing field") {
        return format!("{message}: docs/reference/map.md says what each field needs");
    }
    message.to_owned()
}

fn compile(keys: MapKeys, problems: &mut Problems<'_>, salts: Salts<'_>) -> RowMap {
    let mut fields = Fields::new(salts, keys.input.format);
    if keys.version != 1 {
        problems.of(&["version"], "expected version = 1, the only one that there is");
    }
    let input = input(keys.input, problems);
    let skip = keys.skip.map(|when| self::when(when, &mut fields, problems, &["skip"]));
    let says = Says {
        transaction: keys.transaction,
        label: keys.label,
        profile: keys.profile,
    };
    let mut kinds = Vec::new();
    match (!says.is_nothing(), keys.kinds.is_empty()) {
        (true, true) => {
            let at = Vec::new();
            kinds.push(kind(None, says, &mut fields, problems, &at));
        }
        (false, false) => {
            if keys.kinds.len() > KINDS_MAX {
                problems.of(&["kinds"], format!("a map tells at most {KINDS_MAX} kinds apart"));
            }
            for (number, each) in keys.kinds.into_iter().enumerate() {
                let at = vec!["kinds".to_owned(), number.to_string()];
                let KindKeys {
                    when,
                    transaction,
                    label,
                    profile,
                } = each;
                let says = Says {
                    transaction,
                    label,
                    profile,
                };
                kinds.push(kind(Some(when), says, &mut fields, problems, &at));
            }
        }
        (true, false) => problems.of(
            &["kinds"],
            "give either [transaction], [label] and [profile], or [[kinds]], not both",
        ),
        (false, true) => problems.at(
            0,
            "the map makes nothing: give [transaction], [label], [profile] or [[kinds]]",
        ),
    }
    RowMap {
        input,
        skip,
        kinds,
        paths: fields.into_paths(),
    }
}

fn input(keys: InputKeys, problems: &mut Problems<'_>) -> InputRule {
    let mut byte = |key: &str, given: Option<String>, usual: u8| match given.as_deref().map(str::as_bytes) {
        None => usual,
        Some([byte]) if byte.is_ascii() && !matches!(byte, b'\n' | b'\r') => *byte,
        Some(_) => {
            problems.of(
                &["input", key],
                format!("expected one ASCII character as `{key}`, such as \";\" or \"\\t\""),
            );
            usual
        }
    };
    let delimiter = byte("delimiter", keys.delimiter, b',');
    let quote = byte("quote", keys.quote, b'"');
    if delimiter == quote {
        problems.of(&["input"], "the delimiter and the quote are the same character");
    }
    if let Some(columns) = &keys.columns {
        let mut names: Vec<&String> = columns.iter().collect();
        names.sort();
        names.dedup();
        if columns.is_empty() || columns.len() > COLUMNS_MAX || names.len() < columns.len() {
            let expected = format!("expected 1 to {COLUMNS_MAX} names of columns, each once");
            problems.of(&["input", "columns"], expected);
        }
    }
    InputRule {
        format: keys.format,
        delimiter,
        quote,
        columns: keys.columns,
        empty: keys.empty,
    }
}

fn when(keys: WhenKeys, fields: &mut Fields<'_>, problems: &mut Problems<'_>, at: &[&str]) -> WhenRule {
    if keys.is.is_empty() {
        problems.of(at, "expected the values of `is`, found none");
    }
    WhenRule {
        from: fields.path(&keys.from, problems, at),
        is: keys.is,
    }
}

/// What a row says.
struct Says {
    transaction: Option<TransactionKeys>,
    label: Option<LabelKeys>,
    profile: Option<ProfileKeys>,
}

impl Says {
    const fn is_nothing(&self) -> bool {
        self.transaction.is_none() && self.label.is_none() && self.profile.is_none()
    }
}

fn kind(
    when: Option<WhenKeys>,
    says: Says,
    fields: &mut Fields<'_>,
    problems: &mut Problems<'_>,
    at: &[String],
) -> KindRule {
    let at: Vec<&str> = at.iter().map(String::as_str).collect();
    let under = |key| [&at[..], &[key]].concat();
    if says.is_nothing() {
        problems.of(
            &at,
            "this kind makes nothing: give it a transaction, a label or a profile",
        );
    }
    let Says {
        transaction,
        label,
        profile,
    } = says;
    let has_event = transaction.is_some();
    KindRule {
        when: when.map(|when| self::when(when, fields, problems, &under("when"))),
        transaction: transaction.map(|keys| self::transaction(keys, fields, problems, &under("transaction"))),
        label: label.map(|keys| self::label(keys, has_event, fields, problems, &under("label"))),
        profile: profile.map(|keys| profile::compile(keys, has_event, fields, problems, &under("profile"))),
    }
}

fn transaction(
    keys: TransactionKeys,
    fields: &mut Fields<'_>,
    problems: &mut Problems<'_>,
    at: &[&str],
) -> TransactionRule {
    let under = |key| [at, &[key]].concat();
    let has_device = keys.device_id.is_some() || keys.latitude.is_some() || keys.longitude.is_some();
    let version = match (
        has_device,
        !keys.links.is_empty() || keys.account_opened_at_ms.is_some(),
    ) {
        (_, true) => 3,
        (true, false) => 2,
        (false, false) => 1,
    };
    if keys.latitude.is_some() != keys.longitude.is_some() {
        problems.of(at, "`latitude` and `longitude` go together only");
    }
    TransactionRule {
        version,
        event_id: fields.id(keys.event_id, problems, &under("event_id")),
        card_id: fields.id(keys.card_id, problems, &under("card_id")),
        occurred_at_ms: fields.time(keys.occurred_at_ms, false, problems, &under("occurred_at_ms")),
        amount_minor: fields.amount(keys.amount_minor, problems, &under("amount_minor")),
        currency: fields.choice(keys.currency, problems, &under("currency")),
        merchant_id: fields.id(keys.merchant_id, problems, &under("merchant_id")),
        mcc: fields.choice(keys.mcc, problems, &under("mcc")),
        country: fields.choice(keys.country, problems, &under("country")),
        channel: fields.choice(keys.channel, problems, &under("channel")),
        approved: fields.choice(keys.approved, problems, &under("approved")),
        device_id: keys
            .device_id
            .map(|keys| fields.id(keys, problems, &under("device_id"))),
        latitude: keys.latitude.map(|keys| NumberRule {
            from: fields.path(&keys.from, problems, &under("latitude")),
        }),
        longitude: keys.longitude.map(|keys| NumberRule {
            from: fields.path(&keys.from, problems, &under("longitude")),
        }),
        links: links(keys.links, fields, problems, &under("links")),
        account_opened_at_ms: keys
            .account_opened_at_ms
            .map(|keys| fields.time(keys, false, problems, &under("account_opened_at_ms"))),
    }
}

fn links(
    keys: BTreeMap<String, crate::keys::IdKeys>,
    fields: &mut Fields<'_>,
    problems: &mut Problems<'_>,
    at: &[&str],
) -> Vec<(String, IdRule)> {
    if keys.len() > LINKS_MAX {
        problems.of(at, format!("a transaction has at most {LINKS_MAX} links"));
    }
    let mut rules = Vec::new();
    for (name, keys) in keys {
        let under = [at, &[name.as_str()]].concat();
        if KeyName::new(&name).is_none() {
            let expected = "expected a name of 1 to 16 of the characters a to z, 0 to 9 and _, a letter first";
            problems.of(&under, expected);
        }
        let rule = fields.id(keys, problems, &under);
        rules.push((name, rule));
    }
    rules
}

fn label(
    keys: LabelKeys,
    has_event: bool,
    fields: &mut Fields<'_>,
    problems: &mut Problems<'_>,
    at: &[&str],
) -> LabelRule {
    let under = |key| [at, &[key]].concat();
    if !has_event && (keys.event_id.is_none() || keys.card_id.is_none()) {
        problems.of(
            at,
            "a label without a transaction beside it needs `event_id` and `card_id`",
        );
    }
    let has_time = has_event || keys.occurred_at_ms.is_some();
    if keys.known_since_ms.from.is_none() && !has_time {
        let what =
            "a delay without `from` counts from the event's time: give `occurred_at_ms`, or a transaction beside it";
        problems.of(&under("known_since_ms"), what);
    }
    if !has_time && (keys.merchant_id.is_some() || keys.device_id.is_some()) {
        problems.of(
            at,
            "`merchant_id` and `device_id` of a label go with its `occurred_at_ms` only",
        );
    }
    let verdict = fields.choice(keys.verdict, problems, &under("verdict"));
    let said = verdict.values.iter().flat_map(BTreeMap::values);
    for word in said
        .chain(&verdict.constant)
        .chain(&verdict.otherwise)
        .chain(&verdict.empty)
    {
        if !["fraud", "cleared", NO_VERDICT].contains(&word.as_str()) {
            let what = format!("expected \"fraud\", \"cleared\" or \"{NO_VERDICT}\", found {word:?}");
            problems.of(&under("verdict"), what);
        }
    }
    LabelRule {
        verdict,
        known_since_ms: fields.time(keys.known_since_ms, true, problems, &under("known_since_ms")),
        event_id: keys.event_id.map(|keys| fields.id(keys, problems, &under("event_id"))),
        card_id: keys.card_id.map(|keys| fields.id(keys, problems, &under("card_id"))),
        occurred_at_ms: keys
            .occurred_at_ms
            .map(|keys| fields.time(keys, false, problems, &under("occurred_at_ms"))),
        merchant_id: keys
            .merchant_id
            .map(|keys| fields.id(keys, problems, &under("merchant_id"))),
        device_id: keys
            .device_id
            .map(|keys| fields.id(keys, problems, &under("device_id"))),
    }
}
