//! The two templates, as they are in `infra`, and the few things that a deployment does to their text: it names the packaged
//! functions and cuts out what a stack takes over. The templates are ours, so their form is known: two spaces before a name of a section, four before what belongs to it.

use std::collections::BTreeSet;

const PIPELINE: &str = include_str!("../../../infra/template.yaml");
const ALARMS: &str = include_str!("../../../infra/observability.yaml");
/// What stands before the places of functions' code.
const CODE: &str = "CodeUri: ../functions/";
/// What outlives the stack says so.
const KEPT: &str = "\n    DeletionPolicy: RetainExceptOnCreate\n";

/// One of the templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    text: &'static str,
    path: &'static str,
}

/// A resource as the text of the template has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'a> {
    pub(crate) name: &'a str,
    pub(crate) text: &'a str,
}

/// A resource that outlives the stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeptResource {
    /// Its name in the template.
    pub(crate) logical_id: String,
    /// As in the template.
    pub(crate) resource_type: String,
    /// What its name ends with, after the prefix.
    pub(crate) suffix: String,
}

impl Template {
    pub(crate) const PIPELINE: Self = Self {
        text: PIPELINE,
        path: "infra/template.yaml",
    };
    pub(crate) const ALARMS: Self = Self {
        text: ALARMS,
        path: "infra/observability.yaml",
    };

    /// Where it is in the project.
    pub(crate) const fn path(self) -> &'static str {
        self.path
    }

    /// The names of its parameters.
    pub(crate) fn parameters(self) -> BTreeSet<&'static str> {
        let section = section(self.text, "Parameters");
        blocks(section).into_iter().map(|block| block.name).collect()
    }

    /// A parameter's default.
    pub(crate) fn default_of(self, parameter: &str) -> Option<&'static str> {
        let section = section(self.text, "Parameters");
        let block = blocks(section).into_iter().find(|block| block.name == parameter)?;
        value_of(block.text, "Default")
    }

    /// The value of an output that is written out.
    #[cfg(test)]
    pub(crate) fn output(self, name: &str) -> Option<&'static str> {
        let outputs = blocks(section(self.text, "Outputs"));
        let block = outputs.into_iter().find(|block| block.name == name)?;
        value_of(block.text, "Value")
    }

    /// Its text.
    pub(crate) fn text(self) -> String {
        self.text.to_owned()
    }

    /// The same, as it is here.
    pub(crate) const fn whole(self) -> &'static str {
        self.text
    }

    /// Its text with each function's code where it was put; `place` has the place of a function by its name.
    pub(crate) fn packaged(self, place: impl Fn(&str) -> String) -> String {
        let mut parts = self.text.split(CODE);
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('\n').unwrap_or((part, ""));
            text += &format!("CodeUri: {}\n{rest}", place(name));
        }
        text
    }

    /// What outlives its stack.
    pub(crate) fn kept(self) -> Vec<KeptResource> {
        let resources = blocks(section(self.text, "Resources"));
        let kept = resources.into_iter().filter(|block| block.text.contains(KEPT));
        kept.map(|block| KeptResource {
            logical_id: block.name.to_owned(),
            resource_type: value_of(block.text, "Type").unwrap_or_default().to_owned(),
            suffix: suffix_of(block.text).unwrap_or_default().to_owned(),
        })
        .collect()
    }

    /// A template of these resources alone, for a stack that takes them over: CloudFormation allows nothing new beside them,
    /// no output and no macro.
    pub(crate) fn only(self, wanted: &[&str]) -> String {
        let of = |name: &str| format!("\n{name}:\n{}", section(self.text, name));
        let resources = blocks(section(self.text, "Resources"));
        let wanted = resources.into_iter().filter(|block| wanted.contains(&block.name));
        let mut text = "AWSTemplateFormatVersion: \"2010-09-09\"\n".to_owned();
        text += &format!(
            "Description: {}\n",
            value_at(self.text, "Description: ").unwrap_or_default()
        );
        text += &of("Parameters");
        text += &of("Conditions");
        text += "\nResources:\n";
        wanted.for_each(|block| text += block.text);
        text
    }
}

/// The text of a section of a template, up to the next one.
pub(crate) fn section(text: &'static str, name: &str) -> &'static str {
    let heading = format!("\n{name}:\n");
    let Some((_, rest)) = text.split_once(&heading) else {
        return "";
    };
    let lines = rest.split_inclusive('\n');
    let end = lines
        .scan(0, |at, line| {
            let begin = *at;
            *at += line.len();
            Some((begin, line))
        })
        .find(|(_, line)| line.starts_with(|letter: char| letter.is_ascii_alphabetic()))
        .map_or(rest.len(), |(begin, _)| begin);
    &rest[..end]
}

/// The named parts of a section, each with the lines that belong to it. A comment before one belongs to the one before it.
pub(crate) fn blocks(section: &'static str) -> Vec<Block<'static>> {
    let mut starts: Vec<(usize, &str)> = Vec::new();
    let mut at = 0;
    for line in section.split_inclusive('\n') {
        let name = line.strip_prefix("  ").and_then(|rest| rest.split(':').next());
        if let Some(name) = name.filter(|name| name.starts_with(|letter: char| letter.is_ascii_alphabetic())) {
            starts.push((at, name));
        }
        at += line.len();
    }
    let ends = starts.iter().skip(1).map(|(start, _)| *start).chain([section.len()]);
    let both = starts.iter().zip(ends);
    both.map(|((start, name), end)| Block {
        name,
        text: &section[*start..end],
    })
    .collect()
}

/// The value of a member of a block, without quotes.
pub(crate) fn value_of(block: &'static str, member: &str) -> Option<&'static str> {
    value_at(block, &format!("\n    {member}: ")).map(|value| value.trim_matches('"'))
}

fn value_at(text: &'static str, beginning: &str) -> Option<&'static str> {
    let (_, rest) = text.split_once(beginning)?;
    rest.lines().next().map(str::trim)
}

/// What stands behind the prefix in a resource's own name.
pub(crate) fn suffix_of(block: &'static str) -> Option<&'static str> {
    let (_, rest) = block.split_once("ame: !Sub \"${Prefix}-")?;
    rest.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_those_of_their_section() {
        let parameters = Template::PIPELINE.parameters();
        assert!(parameters.contains("Prefix") && parameters.contains("MappingRecordAgeSecondsMax"));
        assert!(!parameters.contains("VpcIsWhole") && !parameters.contains("ScoresStream"));
        assert_eq!(Template::PIPELINE.default_of("TableDeletionProtection"), Some("true"));
        assert_eq!(Template::PIPELINE.default_of("Architecture"), Some("x86_64"));
        assert_eq!(Template::PIPELINE.default_of("Nothing"), None);
    }

    #[test]
    fn each_function_is_named_where_it_was_put() {
        let text = Template::PIPELINE.packaged(|name| format!("s3://b/{name}.zip"));
        for function in ["score", "redrive"] {
            assert_eq!(text.matches(&format!("CodeUri: s3://b/{function}.zip\n")).count(), 1);
        }
        assert!(!text.contains(CODE));
        assert_eq!(text.lines().count(), PIPELINE.lines().count());
    }

    #[test]
    fn what_is_kept_is_known_with_type_and_name() {
        let kept = Template::PIPELINE.kept();
        let told: Vec<(&str, &str)> = kept
            .iter()
            .map(|one| (one.resource_type.as_str(), one.suffix.as_str()))
            .collect();
        let expected = [
            ("AWS::Kinesis::Stream", "transactions"),
            ("AWS::DynamoDB::Table", "cards"),
            ("AWS::SQS::Queue", "quarantine"),
            ("AWS::SQS::Queue", "dead-letter"),
            ("AWS::SQS::Queue", "unrecoverable"),
            ("AWS::S3::Bucket", "dl-${AWS::AccountId}-${AWS::Region}"),
        ];
        assert_eq!(told, expected);
        assert!(Template::ALARMS.kept().is_empty());
    }

    #[test]
    fn a_part_of_the_template_has_its_resources_parameters_and_conditions_and_no_more() {
        let part = Template::PIPELINE.only(&["CardsTable", "DeadLetterQueue"]);
        assert!(part.contains("  CardsTable:\n") && part.contains("  DeadLetterQueue:\n"));
        assert!(part.contains("\n  TableIsProtected: ") && part.contains("\n  HasKmsKey: "));
        for absent in [
            "Transform",
            "\nOutputs:",
            "\nRules:",
            "ScoresStream:",
            "VpcIsWhole",
            "DeadLetterQueuePolicy:",
        ] {
            assert!(!part.contains(absent), "{absent}");
        }
    }
}
