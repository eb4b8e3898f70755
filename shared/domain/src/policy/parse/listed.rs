//! `[[lists]]`: the lists that rules ask, by their names.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::catalogue::KeyName;
use crate::lists::{ListOf, ListTerms};
use crate::outcome::{OverrideAction, POLICY_LISTS_MAX};
use crate::policy::listed::Declared;
use crate::policy::reader::{Problems, Section};

/// The lists that the policy declares.
pub(super) fn lists(top: &Section<'_, '_>, problems: &mut Problems) -> Option<Vec<Declared>> {
    if !top.has("lists") {
        return Some(Vec::new());
    }
    let items = top.list("lists", problems)?;
    let mut lists: Vec<Declared> = Vec::new();
    for item in items {
        let Some(section) = Section::item("lists", item, problems) else {
            continue;
        };
        section.refuse_unknown(&["name", "of", "overrides"], problems);
        let terms = name(&section, problems).zip(of(&section, problems));
        let Some((name, of)) = terms else { continue };
        let overrides = overrides(&section, of, problems);
        if lists.iter().any(|list| list.terms.name == name) {
            let message = format!("the list `{name}` is declared twice, expected once");
            problems.push(&section.place("name"), message);
        } else {
            lists.push(Declared {
                terms: ListTerms { name, of },
                overrides,
            });
        }
    }
    if items.len() > POLICY_LISTS_MAX {
        let message = format!("expected at most {POLICY_LISTS_MAX} lists, found {}", items.len());
        problems.push(&top.place("lists"), message);
    }
    Some(lists)
}

fn name(section: &Section<'_, '_>, problems: &mut Problems) -> Option<KeyName> {
    let (text, span) = section.string("name", None, problems)?;
    let name = KeyName::new(text);
    if name.is_none() {
        let longest = KeyName::BYTES_MAX;
        let message = format!(
            "expected lists.name to be 1 to {longest} of the characters a to z, 0 to 9 and _, a letter first, found `{text}`"
        );
        problems.push(&span, message);
    }
    name
}

fn of(section: &Section<'_, '_>, problems: &mut Problems) -> Option<ListOf> {
    let (text, span) = section.string("of", None, problems)?;
    let of = ListOf::from_name(text);
    if of.is_none() {
        let all = ListOf::ALL.map(|of| format!("{:?}", of.as_str()));
        let message = format!("expected lists.of to be one of {}, found {text:?}", all.join(", "));
        problems.push(&span, message);
    }
    of
}

/// What a list does to the decisions of the cards that are in it.
fn overrides(section: &Section<'_, '_>, of: ListOf, problems: &mut Problems) -> Option<OverrideAction> {
    if !section.has("overrides") {
        return None;
    }
    let (text, span) = section.string("overrides", None, problems)?;
    let action = OverrideAction::ALL.into_iter().find(|action| action.as_str() == text);
    if action.is_none() {
        let all = OverrideAction::ALL.map(|action| format!("{:?}", action.as_str()));
        let message = format!("expected lists.overrides to be {}, found {text:?}", all.join(" or "));
        problems.push(&span, message);
    } else if of != ListOf::Ids {
        let message = "a list that overrides the decisions of cards holds their ids, expected lists.of to be \"ids\"";
        problems.push(&span, message.to_owned());
    }
    action
}

/// The lists that a text declares, whatever else the text is.
pub(super) fn named(text: &str) -> Vec<ListTerms> {
    let (document, _) = DeTable::parse_recoverable(text);
    let lists = document.get_ref().get("lists").map(Spanned::get_ref);
    let Some(DeValue::Array(items)) = lists else {
        return Vec::new();
    };
    let terms = items.iter().filter_map(|item| {
        let table = item.get_ref().as_table()?;
        let text = |key: &str| table.get(key).and_then(|value| value.get_ref().as_str());
        Some(ListTerms {
            name: KeyName::new(text("name")?)?,
            of: ListOf::from_name(text("of")?)?,
        })
    });
    terms.take(POLICY_LISTS_MAX).collect()
}
