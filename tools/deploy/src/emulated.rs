//! The alarms that a stage on an emulator gets. Emulators compute nothing from several metrics: what can be said without stands in
//! `infra/emulators.yaml`, and takes the place of the alarm of the same name. Alarms that join two others are made after the stack:
//! an emulator's CloudFormation does not know them, its CloudWatch does.

use std::collections::{BTreeMap, BTreeSet};

use terminal::error::CliError;

use crate::failure;
use crate::target::Target;
use crate::templates::{Template, blocks, section, suffix_of, value_of};

const TEXT: &str = include_str!("../../../infra/emulators.yaml");
const JOINS: &str = "\n    Type: AWS::CloudWatch::CompositeAlarm\n";
const COMPUTES: &str = "\n      Metrics:\n";
const MS_PER_SECOND: u64 = 1_000;
const SECONDS_PER_HOUR: u64 = 3_600;
/// A record may wait so long before `iterator-age` rings.
const ITERATOR_AGE_SECONDS: u64 = 60;
/// Hours that a dead letter has left when `oldest-dead-letter` rings.
const DEAD_LETTER_HOURS: u64 = 24;
/// A minute's units of one unit a second, times the share of them at which an alarm rings.
const UNITS_PER_MINUTE: u64 = 60 * 80 / 100;

/// What an emulator gets of the alarms.
#[derive(Debug)]
pub(crate) struct Emulated {
    /// The stack's template.
    pub(crate) text: String,
    /// The alarms that are made after the stack.
    pub(crate) joined: Vec<JoinedAlarm>,
    /// What stands behind the prefix in the names of the alarms that are left out.
    pub(crate) left_out: Vec<&'static str>,
}

/// An alarm that rings when two others do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JoinedAlarm {
    /// What stands behind the prefix in its name.
    pub(crate) suffix: &'static str,
    rule: &'static str,
    description: &'static str,
}

/// The alarms for an emulator.
pub(crate) fn alarms() -> Emulated {
    let mut emulated = Emulated {
        text: Template::ALARMS.text(),
        joined: Vec::new(),
        left_out: Vec::new(),
    };
    let mut own = String::new();
    let mut said = BTreeSet::new();
    for block in blocks(section(TEXT, "Resources")) {
        let suffix = suffix_of(block.text).unwrap_or_default();
        said.insert(suffix);
        if block.text.contains(JOINS) {
            emulated.joined.push(JoinedAlarm {
                suffix,
                rule: rule_of(block.text),
                description: described(block.text),
            });
        } else {
            own += block.text.trim_end();
            own += "\n\n";
        }
    }
    for block in blocks(section(Template::ALARMS.whole(), "Resources")) {
        if block.text.contains(COMPUTES) || block.text.contains(JOINS) {
            emulated.text = emulated.text.replacen(block.text, "", 1);
            let suffix = suffix_of(block.text).unwrap_or_default();
            if !said.contains(suffix) {
                emulated.left_out.push(suffix);
            }
        }
    }
    let known = Template::ALARMS.parameters();
    let more = blocks(section(TEXT, "Parameters"));
    let more: String = more
        .iter()
        .filter(|block| !known.contains(block.name))
        .map(|block| block.text)
        .collect();
    let text = emulated
        .text
        .replacen("\nParameters:\n", &format!("\nParameters:\n{more}"), 1);
    emulated.text = text.replacen("\nResources:\n", &format!("\nResources:\n{own}"), 1);
    emulated
}

/// The values that the other template computes, of the alarms' parameters.
pub(crate) fn computed(parameters: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let number = |name: &str| -> u64 {
        let value = parameters.get(name).map(String::as_str);
        let value = value.or_else(|| Template::ALARMS.default_of(name));
        value.and_then(|value| value.parse().ok()).unwrap_or_default()
    };
    let retention_hours = number("StreamRetentionHours").saturating_sub(DEAD_LETTER_HOURS);
    let waits_seconds = ITERATOR_AGE_SECONDS + number("MappingWindowSeconds");
    [
        ("IteratorAgeMsMax", waits_seconds * MS_PER_SECOND),
        (
            "OldestDeadLetterAgeMsMax",
            retention_hours * SECONDS_PER_HOUR * MS_PER_SECOND,
        ),
        (
            "TableReadUnitsPerMinuteMax",
            number("TableReadUnitsMax") * UNITS_PER_MINUTE,
        ),
        (
            "TableWriteUnitsPerMinuteMax",
            number("TableWriteUnitsMax") * UNITS_PER_MINUTE,
        ),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_string()))
    .into()
}

/// The alarms that others join: one of them alone says nothing.
pub(crate) fn parts(target: &Target) -> BTreeSet<String> {
    let prefix = target.stage.prefix();
    let rules = alarms()
        .joined
        .into_iter()
        .map(|one| one.rule.replace("${Prefix}", prefix));
    let names = |rule: String| -> Vec<String> { rule.split('"').skip(1).step_by(2).map(str::to_owned).collect() };
    rules.flat_map(names).collect()
}

/// Makes the alarms that join others, or makes them anew.
pub(crate) async fn join(target: &Target, joined: &[JoinedAlarm]) -> Result<(), CliError> {
    let topic = target.stage.alarms.parameters.get("AlarmTopicArn");
    let topic = topic.map(String::as_str).filter(|topic| !topic.is_empty());
    for one in joined {
        let name = format!("{}-{}", target.stage.prefix(), one.suffix);
        let rule = one.rule.replace("${Prefix}", target.stage.prefix());
        let made = target
            .admin
            .put_joined_alarm(&name, &rule, one.description, topic)
            .await;
        made.map_err(|error| {
            failure::service(
                target,
                "deploy_change",
                &format!("the alarm {name} is not made"),
                &error,
            )
        })?;
    }
    Ok(())
}

/// Deletes them, before the alarms that they join.
pub(crate) async fn part(target: &Target) -> Result<(), CliError> {
    let failed = |error| failure::service(target, "deploy_change", "alarms are not deleted", &error);
    let there = target.admin.alarms(&format!("{}-", target.stage.prefix())).await;
    let there: BTreeSet<String> = there.map_err(failed)?.into_iter().map(|alarm| alarm.name).collect();
    let joined = alarms().joined.into_iter();
    let names: Vec<String> = joined
        .map(|one| format!("{}-{}", target.stage.prefix(), one.suffix))
        .filter(|name| there.contains(name))
        .collect();
    // CloudWatch deletes one such alarm with a call.
    for name in names {
        let deleted = target.admin.delete_alarms(std::slice::from_ref(&name)).await;
        deleted.map_err(failed)?;
    }
    Ok(())
}

fn rule_of(block: &'static str) -> &'static str {
    let rule = block
        .split_once("AlarmRule: !Sub '")
        .and_then(|(_, rest)| rest.split_once('\''));
    rule.map(|(rule, _)| rule).unwrap_or_default()
}

fn described(block: &'static str) -> &'static str {
    value_of(block, "  AlarmDescription").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str, kind: &str) -> usize {
        text.matches(&format!("    Type: AWS::CloudWatch::{kind}\n")).count()
    }

    #[test]
    fn each_alarm_is_of_one_metric_or_joined_or_left_out() {
        let emulated = alarms();
        let all = Template::ALARMS.whole();
        let parts = 2 * emulated.joined.len();
        assert_eq!(
            count(&emulated.text, "Alarm") - parts + emulated.joined.len() + emulated.left_out.len(),
            count(all, "Alarm") + count(all, "CompositeAlarm")
        );
        assert!(!emulated.text.contains(COMPUTES) && !emulated.text.contains(JOINS));
        assert!(emulated.text.contains("\nOutputs:\n") && count(&emulated.text, "Dashboard") == 1);
        assert!(emulated.text.contains("\n  OldestDeadLetterAgeMsMax:\n"));
        assert_eq!(emulated.text.matches("\n  AlarmTopicArn:\n").count(), 1);
        assert!(
            emulated.left_out.contains(&"commit-ratio") && !emulated.left_out.contains(&""),
            "{:?}",
            emulated.left_out
        );
        let joined: Vec<&str> = emulated.joined.iter().map(|one| one.suffix).collect();
        assert_eq!(joined, ["heartbeat", "heartbeat-trickle", "redrive-stuck"]);
        for one in &emulated.joined {
            assert!(one.description.contains("Runbook: docs/runbook/"), "{one:?}");
            let expected = format!("ALARM(\"${{Prefix}}-{}-", one.suffix);
            assert_eq!(one.rule.matches(&expected).count(), 2, "{one:?}");
        }
    }

    #[test]
    fn what_the_template_computes_is_computed_here() {
        let parameters = |given: &[(&str, &str)]| -> BTreeMap<String, String> {
            let both = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            given.iter().map(both).collect()
        };
        let defaults = computed(&parameters(&[]));
        for (name, value) in &defaults {
            let block = blocks(section(TEXT, "Parameters"))
                .into_iter()
                .find(|block| block.name == name);
            assert_eq!(value_of(block.unwrap().text, "Default"), Some(value.as_str()), "{name}");
        }
        let others = [
            ("StreamRetentionHours", "48"),
            ("MappingWindowSeconds", "60"),
            ("TableReadUnitsMax", "1000"),
            ("TableWriteUnitsMax", "500"),
        ];
        let expected = [
            ("IteratorAgeMsMax", "120000"),
            ("OldestDeadLetterAgeMsMax", "86400000"),
            ("TableReadUnitsPerMinuteMax", "48000"),
            ("TableWriteUnitsPerMinuteMax", "24000"),
        ];
        assert_eq!(computed(&parameters(&others)), parameters(&expected));
    }
}
