//! A draft's text: each field with the column that it was guessed from, and with what somebody has to state.

use std::fmt::Write as _;

use tidemark_domain::event::{Country, Currency};

use tidemark_mapping::{Format, shown_value};

use super::Looked;
use super::facts::Facts;
use super::guess::{Guesses, LISTED_MAX, is_mcc};
use super::times::TimeGuess;
use super::words;

/// Stands where somebody has to state a word; no row passes by it.
const UNKNOWN: &str = "???";
/// Examples of a column.
const EXAMPLES: usize = 3;

/// The text, and the fields that somebody has to state or to look at.
pub(super) fn draft(looked: &Looked, guesses: &Guesses, name: &str, examples: bool) -> (String, Vec<String>) {
    let mut draft = Draft {
        looked,
        examples,
        text: String::new(),
        to_state: Vec::new(),
    };
    draft.line(&format!(
        "# A draft of a map for {}, by its first {} rows: `tidemark map check` shows what it makes of them.",
        quoted(name),
        looked.rows
    ));
    draft.line("# Look at each line with STATE: nobody can guess it. docs/reference/map.md has every key.");
    draft.line("version = 1\n");
    draft.input();
    draft.line("[transaction]");
    draft.event_id(guesses, name);
    draft.card_id(guesses);
    draft.time("occurred_at_ms", guesses.occurred_at_ms, "");
    draft.amount(guesses);
    draft.currency(guesses);
    draft.plain_id("merchant_id", guesses.merchant_id);
    draft.mcc(guesses);
    draft.country(guesses);
    draft.channel(guesses);
    draft.approved(guesses);
    draft.optional(guesses);
    draft.label(guesses);
    (draft.text, draft.to_state)
}

struct Draft<'l> {
    looked: &'l Looked,
    examples: bool,
    text: String,
    to_state: Vec<String>,
}

impl Draft<'_> {
    fn line(&mut self, line: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{line}");
    }

    /// A line that somebody has to look at, and why.
    fn state(&mut self, field: &str, line: &str, why: &str) {
        self.line(&format!("{line} # STATE: {why}"));
        self.to_state.push(format!("{field}: {why}"));
    }

    /// Says which column a field is guessed from, by which examples.
    fn from(&mut self, at: Option<usize>) -> Option<usize> {
        let facts = self.looked.columns.get(at?)?;
        let mut said = format!(
            "# column {} ({}), filled in {} of {} rows",
            quoted(&facts.name),
            at? + 1,
            facts.filled,
            self.looked.rows
        );
        if self.examples && facts.card_numbers == 0 {
            let values = facts
                .values
                .keys()
                .take(EXAMPLES)
                .map(|value| quoted(&shown_value(value)));
            said += &format!(": {}", values.collect::<Vec<_>>().join(", "));
        }
        self.line(&said);
        at
    }

    fn facts(&self, at: usize) -> Option<&Facts> {
        self.looked.columns.get(at)
    }

    fn name(&self, at: usize) -> String {
        quoted(self.facts(at).map_or("", |facts| &facts.name))
    }

    fn input(&mut self) {
        match (self.looked.format, self.looked.delimiter) {
            (Format::JsonLines, _) => self.line("[input]\nformat = \"json_lines\"\n"),
            (Format::Parquet, _) => self.line("[input]\nformat = \"parquet\"\n"),
            (Format::Csv, b',') => {}
            (Format::Csv, delimiter) => {
                let delimiter = quoted(&char::from(delimiter).to_string());
                self.line(&format!("[input]\ndelimiter = {delimiter}\n"));
            }
        }
    }

    fn event_id(&mut self, guesses: &Guesses, file: &str) {
        let Some(at) = self.from(guesses.event_id) else {
            let stem: String = file.chars().filter(char::is_ascii_alphanumeric).take(16).collect();
            let stem = if stem.is_empty() { "row" } else { &stem };
            let line = format!(
                "event_id = {{ line_number = true, prefix = {} }}",
                quoted(&format!("{stem}-"))
            );
            return self.state(
                "event_id",
                &line,
                "no column is different in each row: the number of the line names it, in this file only",
            );
        };
        let prefix = if self.is_digits(at) { ", prefix = \"t-\"" } else { "" };
        self.line(&format!("event_id = {{ from = {}{prefix} }}", self.name(at)));
    }

    fn card_id(&mut self, guesses: &Guesses) {
        let Some(at) = self.from(guesses.card_id) else {
            return self.state(
                "card_id",
                "card_id = { from = \"???\" }",
                "which column names the card?",
            );
        };
        let name = self.name(at);
        if self.facts(at).is_some_and(|facts| facts.card_numbers > 0) {
            self.line("# It holds card numbers: only a salted hash of them leaves this machine. Keep the salt: openssl rand -hex 16");
            let line = format!(
                "card_id = {{ from = {name}, strip = \" -\", hash = \"sha256\", salt_env = \"TIDEMARK_SALT\", prefix = \"c-\" }}"
            );
            return self.line(&line);
        }
        let prefix = if self.is_digits(at) { ", prefix = \"c-\"" } else { "" };
        self.line(&format!("card_id = {{ from = {name}{prefix} }}"));
    }

    /// Digits alone may look like a card number: a letter before them does not.
    fn is_digits(&self, at: usize) -> bool {
        self.facts(at)
            .is_some_and(|facts| facts.all(|value| value.bytes().all(|byte| byte.is_ascii_digit())))
    }

    fn plain_id(&mut self, field: &str, at: Option<usize>) {
        match self.from(at) {
            Some(at) => {
                let prefix = if self.is_digits(at) { ", prefix = \"m-\"" } else { "" };
                self.line(&format!("{field} = {{ from = {}{prefix} }}", self.name(at)));
            }
            None => self.state(
                field,
                &format!("{field} = {{ value = \"unknown\" }}"),
                "no column looks like it: all rows get the same one",
            ),
        }
    }

    fn time(&mut self, field: &str, at: Option<usize>, more: &str) {
        let Some(at) = self.from(at) else {
            return self.state(
                field,
                &format!("{field} = {{ from = \"???\" }}"),
                "which column says when it happened, and how?",
            );
        };
        let name = self.name(at);
        let zone = "which zone do these clocks show?";
        match self.facts(at).and_then(|facts| facts.times.guess()) {
            None | Some(TimeGuess::Iso { has_zones: true }) => {
                self.line(&format!("{field} = {{ from = {name}{more} }}"));
            }
            Some(TimeGuess::Epoch(unit)) => {
                self.line(&format!("{field} = {{ from = {name}, time = \"{unit}\"{more} }}"));
            }
            Some(TimeGuess::Iso { has_zones: false }) => {
                self.state(
                    field,
                    &format!("{field} = {{ from = {name}, zone = \"UTC\"{more} }}"),
                    zone,
                );
            }
            Some(TimeGuess::Format(format)) => {
                let line = format!(
                    "{field} = {{ from = {name}, time = {}, zone = \"UTC\"{more} }}",
                    quoted(&format)
                );
                self.state(field, &line, zone);
            }
            Some(TimeGuess::Either(first, second)) => {
                let why = format!(
                    "time = {} or time = {}: these rows don't tell which; and the zone",
                    quoted(&first),
                    quoted(&second)
                );
                self.state(
                    field,
                    &format!("{field} = {{ from = {name}, zone = \"UTC\"{more} }}"),
                    &why,
                );
            }
        }
    }

    fn amount(&mut self, guesses: &Guesses) {
        let Some(at) = self.from(guesses.amount_minor) else {
            let line = "amount_minor = { from = \"???\", unit = \"decimal\" }";
            return self.state("amount_minor", line, "which column is the amount?");
        };
        let Some(facts) = self.looked.columns.get(at) else {
            return;
        };
        let amounts = &facts.amounts;
        let is_minor = facts
            .words
            .iter()
            .any(|word| ["minor", "cents", "pence", "cent"].contains(&word.as_str()));
        let unit = if is_minor { "minor" } else { "decimal" };
        let mut keys = format!("from = {}, unit = \"{unit}\"", self.name(at));
        if !amounts.signs.is_empty() {
            keys += &format!(", strip = {}", quoted(&amounts.signs));
        }
        if amounts.has_negative {
            keys += ", absolute = true";
        }
        match amounts.separators() {
            Some((decimal, thousands)) => {
                if decimal != '.' {
                    keys += &format!(", decimal = \"{decimal}\"");
                }
                if let Some(thousands) = thousands {
                    keys += &format!(", thousands = \"{thousands}\"");
                }
                let line = format!("amount_minor = {{ {keys} }}");
                if amounts.has_negative {
                    self.state(
                        "amount_minor",
                        &line,
                        "some amounts are negative: their sign is passed over",
                    );
                } else if !is_minor && !amounts.has_fraction {
                    self.state(
                        "amount_minor",
                        &line,
                        "no amount has a fraction: are they minor units (unit = \"minor\")?",
                    );
                } else {
                    self.line(&line);
                }
            }
            None => self.state(
                "amount_minor",
                &format!("amount_minor = {{ {keys} }}"),
                "what do . and , mean? Give `decimal` and `thousands`",
            ),
        }
    }

    fn currency(&mut self, guesses: &Guesses) {
        let Some(at) = self.from(guesses.currency) else {
            return self.state(
                "currency",
                &format!("currency = {{ value = \"{UNKNOWN}\" }}"),
                "no column looks like it: a code such as EUR",
            );
        };
        self.words(
            "currency",
            at,
            |value| Currency::new(value).is_some(),
            |value| Currency::new(&value.to_uppercase()).map(|currency| currency.as_str().to_owned()),
        );
    }

    fn country(&mut self, guesses: &Guesses) {
        let Some(at) = self.from(guesses.country) else {
            return self.state(
                "country",
                &format!("country = {{ value = \"{UNKNOWN}\" }}"),
                "no column looks like it: the merchant's, a code such as BE",
            );
        };
        self.words(
            "country",
            at,
            |value| Country::new(value).is_some(),
            |value| Country::new(&value.to_uppercase()).map(|country| country.as_str().to_owned()),
        );
    }

    fn channel(&mut self, guesses: &Guesses) {
        let Some(at) = self.from(guesses.channel) else {
            let why = "no column looks like it: point_of_sale, ecommerce, atm, mail_phone or recurring";
            return self.state("channel", &format!("channel = {{ value = \"{UNKNOWN}\" }}"), why);
        };
        self.words(
            "channel",
            at,
            |value| tidemark_domain::event::Channel::from_name(value).is_some(),
            |value| words::channel(value).map(str::to_owned),
        );
    }

    /// A field out of a few words: as they are, or each translated.
    fn words(
        &mut self,
        field: &str,
        at: usize,
        is_plain: impl Fn(&str) -> bool,
        means: impl Fn(&str) -> Option<String>,
    ) {
        let name = self.name(at);
        let Some(facts) = self.facts(at) else { return };
        if facts.all(is_plain) {
            return self.line(&format!("{field} = {{ from = {name} }}"));
        }
        let values = facts.few(LISTED_MAX).unwrap_or_default();
        let mut is_whole = true;
        let listed: Vec<String> = values
            .iter()
            .map(|value| {
                let meaning = means(value);
                is_whole &= meaning.is_some();
                format!("{} = \"{}\"", quoted(value), meaning.as_deref().unwrap_or(UNKNOWN))
            })
            .collect();
        let line = format!("{field} = {{ from = {name}, values = {{ {} }} }}", listed.join(", "));
        if is_whole {
            self.line(&line);
        } else {
            self.state(field, &line, "what do these values mean?");
        }
    }

    fn mcc(&mut self, guesses: &Guesses) {
        let Some(at) = self.from(guesses.mcc) else {
            return self.state(
                "mcc",
                "mcc = { value = 5999 }",
                "no column looks like it: every merchant is of one category",
            );
        };
        let name = self.name(at);
        let Some(facts) = self.facts(at) else { return };
        if is_mcc(facts) {
            return self.line(&format!("mcc = {{ from = {name} }}"));
        }
        let values = facts.few(LISTED_MAX).unwrap_or_default();
        let listed = values
            .iter()
            .map(|value| format!("{} = {}", quoted(value), words::mcc(value).unwrap_or(5999)));
        let line = format!(
            "mcc = {{ from = {name}, values = {{ {} }} }}",
            listed.collect::<Vec<_>>().join(", ")
        );
        self.state("mcc", &line, "which codes of ISO 18245 are these categories?");
    }

    fn approved(&mut self, guesses: &Guesses) {
        let Some(at) = self.from(guesses.approved) else {
            return self.state(
                "approved",
                "approved = { value = true }",
                "no column says what the issuer answered: all count as approved",
            );
        };
        let name = self.name(at);
        let Some(facts) = self.facts(at) else { return };
        // A column that is called `declined` says the opposite.
        let is_reversed = facts.words.iter().any(|word| word == "declined");
        let values = facts.few(LISTED_MAX).unwrap_or_default();
        let known = values.iter().filter_map(|value| Some((value, words::approved(value)?)));
        let listed = known.map(|(value, approved)| format!("{} = {}", quoted(value), approved != is_reversed));
        let listed: Vec<String> = listed.collect();
        let line = format!("approved = {{ from = {name}, values = {{ {} }}", listed.join(", "));
        if listed.len() == values.len() {
            self.line(&format!("{line} }}"));
        } else {
            self.state(
                "approved",
                &format!("{line}, otherwise = false }}"),
                "do all other values mean that it was declined?",
            );
        }
    }

    fn optional(&mut self, guesses: &Guesses) {
        if let Some(at) = self.from(guesses.device_id) {
            self.line(&format!("device_id = {{ from = {} }}", self.name(at)));
        }
        if let Some((latitude, longitude)) = guesses.place {
            self.from(Some(latitude));
            self.line(&format!("latitude = {{ from = {} }}", self.name(latitude)));
            self.from(Some(longitude));
            self.line(&format!("longitude = {{ from = {} }}", self.name(longitude)));
        }
        if guesses.ip.is_some() {
            self.line("\n[transaction.links]");
            if let Some(at) = self.from(guesses.ip) {
                self.line(&format!(
                    "ip = {{ from = {}, hash = \"sha256\", salt_env = \"TIDEMARK_SALT\" }}",
                    self.name(at)
                ));
            }
        }
    }

    fn label(&mut self, guesses: &Guesses) {
        let Some(at) = guesses.verdict else { return };
        self.line("\n[label]");
        self.from(Some(at));
        let name = self.name(at);
        let values = self
            .facts(at)
            .and_then(|facts| facts.few(LISTED_MAX))
            .unwrap_or_default();
        let listed = values.iter().map(|value| {
            // That nobody called it fraud is no verdict of somebody who looked.
            let verdict = if words::is_fraud(value) == Some(true) {
                "fraud"
            } else {
                "none"
            };
            format!("{} = \"{verdict}\"", quoted(value))
        });
        let listed = listed.collect::<Vec<_>>().join(", ");
        self.line(&format!("verdict = {{ from = {name}, values = {{ {listed} }} }}"));
        if guesses.known_since_ms.is_some() {
            self.time("known_since_ms", guesses.known_since_ms, "");
        } else {
            let why = "no column says since when it is known: so long after the event";
            self.state("known_since_ms", "known_since_ms = { delay = \"7d\" }", why);
        }
    }
}

/// A text as TOML has it.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
