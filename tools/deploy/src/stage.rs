//! Stages: which stacks a deployment has, under which prefix and with which parameters. They are the environments of SAM's own
//! `samconfig.toml`, so that `sam deploy --config-env` and this command deploy the same.

use std::collections::BTreeMap;
use std::path::Path;

use terminal::error::CliError;
use toml::{Table, Value};

use crate::templates::Template;

/// The file with stages, in the folder that the command is run in.
pub(crate) const FILE: &str = "samconfig.toml";
/// The stages that the command has when there is no such file.
const OWN: &str = include_str!("../../../samconfig.toml");
/// The stage that is an emulator on this machine.
const LOCAL: &str = "local";
/// What the name of the stage with the alarms' stack ends with.
const ALARMS: &str = "-alarms";

/// One stack of a stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StackPlan {
    pub(crate) name: String,
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) tags: Vec<(String, String)>,
}

/// A stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stage {
    pub(crate) name: String,
    pub(crate) region: Option<String>,
    pub(crate) bucket: Option<String>,
    pub(crate) pipeline: StackPlan,
    pub(crate) alarms: StackPlan,
}

impl Stage {
    /// Reads a stage from the file that was named, from [`FILE`] where that is there, or from the command's own. `set` are parameters
    /// from the command line, which go before those of the stage.
    pub(crate) fn read(name: &str, file: Option<&Path>, set: &[String]) -> Result<Self, CliError> {
        let here = Path::new(FILE);
        let (text, from) = match file.or_else(|| here.is_file().then_some(here)) {
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    let what = format!("{} can't be read: {error}", path.display());
                    CliError::input(
                        "deploy_stage",
                        what,
                        "Name a readable file of SAM's form with --config, or leave it out.",
                    )
                })?;
                (text, path.display().to_string())
            }
            None => (OWN.to_owned(), "the command's own samconfig.toml".to_owned()),
        };
        Self::parse(name, &text, &from, set)
    }

    /// Whether it is an emulator on this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.name == LOCAL
    }

    /// The prefix of its resources.
    pub(crate) fn prefix(&self) -> &str {
        self.pipeline
            .parameters
            .get("Prefix")
            .map_or("tidemark", String::as_str)
    }

    /// Whether its stack has a bucket of dead letters.
    pub(crate) fn has_letter_bucket(&self) -> bool {
        let destination = self.pipeline.parameters.get("DeadLetterDestination");
        destination.is_some_and(|destination| destination != "queue")
    }

    fn parse(name: &str, text: &str, from: &str, set: &[String]) -> Result<Self, CliError> {
        let wrong = |what: String| {
            let advice = format!(
                "Mend {from}, or name another file with --config: docs/reference/deploy.md says what stands in it."
            );
            CliError::input("deploy_stage", what, advice)
        };
        let file: Table = text
            .parse()
            .map_err(|error| wrong(format!("{from} is no TOML: {error}")))?;
        let parameters_of = |section: &str| {
            let deploy = file.get(section)?.get("deploy")?;
            deploy.get("parameters")?.as_table()
        };
        let Some(own) = parameters_of(name).filter(|_| !name.ends_with(ALARMS)) else {
            let known: Vec<&str> = file
                .keys()
                .map(String::as_str)
                .filter(|known| !known.ends_with(ALARMS) && parameters_of(known).is_some())
                .collect();
            let what = format!("there is no stage {name} in {from}; it has {}", known.join(", "));
            let advice = format!(
                "Take one of these, or add [{name}.deploy.parameters] and [{name}{ALARMS}.deploy.parameters] to {FILE}."
            );
            return Err(CliError::usage("deploy_stage", what, advice));
        };
        let text_of = |table: &Table, key: &str| table.get(key).and_then(Value::as_str).map(str::to_owned);
        let mut pipeline = stack(own, name).map_err(wrong)?;
        for given in set {
            let (parameter, value) = pair(given).map_err(|what| {
                CliError::usage(
                    "deploy_stage",
                    what,
                    "Write --set NAME=VALUE with a parameter of infra/template.yaml.",
                )
            })?;
            pipeline.parameters.insert(parameter, value);
        }
        let empty = Table::new();
        let alarms_section = parameters_of(&format!("{name}{ALARMS}")).unwrap_or(&empty);
        let mut alarms = stack(alarms_section, &format!("{}{ALARMS}", pipeline.name)).map_err(wrong)?;
        if !alarms_section.contains_key("tags") {
            alarms.tags = pipeline.tags.clone();
        }
        // What both templates have is the pipeline's: two values of one thing would make its alarms wrong.
        for parameter in Template::ALARMS.parameters() {
            if let Some(value) = pipeline.parameters.get(parameter) {
                alarms.parameters.insert(parameter.to_owned(), value.clone());
            }
        }
        for (plan, template) in [(&pipeline, Template::PIPELINE), (&alarms, Template::ALARMS)] {
            let declared = template.parameters();
            if let Some(unknown) = plan.parameters.keys().find(|given| !declared.contains(&given.as_str())) {
                let what = format!(
                    "{} has no parameter {unknown}, which stage {name} of {from} or --set gives it",
                    template.path()
                );
                return Err(wrong(what));
            }
        }
        Ok(Self {
            name: name.to_owned(),
            region: text_of(own, "region"),
            bucket: text_of(own, "s3_bucket"),
            pipeline,
            alarms,
        })
    }
}

fn stack(table: &Table, name: &str) -> Result<StackPlan, String> {
    let own = table.get("stack_name").and_then(Value::as_str);
    Ok(StackPlan {
        name: own.unwrap_or(name).to_owned(),
        parameters: pairs(table.get("parameter_overrides"))?.into_iter().collect(),
        tags: pairs(table.get("tags"))?,
    })
}

/// `NAME=VALUE` pairs as SAM takes them: a list, or one text with spaces between and quotes around values that have some.
fn pairs(value: Option<&Value>) -> Result<Vec<(String, String)>, String> {
    match value {
        None => Ok(Vec::new()),
        Some(Value::Array(list)) => {
            let texts = list
                .iter()
                .map(|one| one.as_str().ok_or("a parameter that is no text".to_owned()));
            texts.map(|text| pair(text?)).collect()
        }
        Some(Value::String(text)) => split(text).iter().map(|text| pair(text)).collect(),
        Some(other) => Err(format!("parameter_overrides and tags are lists or texts, not {other}")),
    }
}

fn split(text: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut quote = None;
    for letter in text.chars() {
        match letter {
            '"' | '\'' if quote == Some(letter) => quote = None,
            '"' | '\'' if quote.is_none() => quote = Some(letter),
            letter if letter.is_whitespace() && quote.is_none() => found.push(String::new()),
            letter => found.iter_mut().rev().take(1).for_each(|last| last.push(letter)),
        }
    }
    found.retain(|one| !one.is_empty());
    found
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            let value = value.trim().trim_matches(['"', '\'']);
            Ok((name.trim().to_owned(), value.to_owned()))
        }
        _ => Err(format!("{text:?} is no NAME=VALUE")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(name: &str, set: &[&str]) -> Result<Stage, CliError> {
        let set: Vec<String> = set.iter().map(|one| (*one).to_owned()).collect();
        Stage::parse(name, OWN, "own", &set)
    }

    #[test]
    fn the_commands_own_stages_are_whole_and_their_prefixes_differ() {
        let stages = ["dev", "stage", "prod", "local"].map(|name| own(name, &[]).unwrap());
        let [dev, stage, prod, local] = &stages;
        assert_eq!(
            [dev.prefix(), stage.prefix(), prod.prefix()],
            ["tidemark-dev", "tidemark-stage", "tidemark"]
        );
        assert_eq!(
            (prod.pipeline.name.as_str(), prod.alarms.name.as_str()),
            ("tidemark", "tidemark-alarms")
        );
        assert!(local.is_local() && !prod.is_local());
        for stage in &stages {
            assert_eq!(stage.alarms.parameters["Prefix"], stage.prefix(), "{}", stage.name);
        }
    }

    #[test]
    fn what_both_templates_have_is_given_to_both() {
        let stage = own("prod", &["StreamShards=8", "ScoreMemoryMb=2048"]).unwrap();
        assert_eq!(stage.pipeline.parameters["ScoreMemoryMb"], "2048");
        assert_eq!(stage.alarms.parameters["StreamShards"], "8");
        assert!(!stage.alarms.parameters.contains_key("ScoreMemoryMb"));
    }

    #[test]
    fn a_stage_or_a_parameter_that_is_not_there_is_refused_with_what_is() {
        let error = own("live", &[]).unwrap_err();
        assert_eq!(error.code, "deploy_stage");
        assert!(
            error.what.contains("there is no stage live") && error.what.contains("dev, local, prod, stage"),
            "{error}"
        );
        assert!(own("prod-alarms", &[]).is_err(), "the alarms' stack is no stage");
        let error = own("dev", &["ScoreMemory=1"]).unwrap_err();
        assert!(
            error.what.contains("infra/template.yaml has no parameter ScoreMemory"),
            "{error}"
        );
        assert!(own("dev", &["novalue"]).is_err());
        assert!(
            Stage::parse("dev", "[dev", "f", &[])
                .unwrap_err()
                .what
                .contains("no TOML")
        );
    }

    #[test]
    fn parameters_may_be_a_list_or_a_text_with_quotes() {
        let of = |text: &str| {
            let text = format!("[x.deploy.parameters]\nstack_name = \"s\"\nparameter_overrides = {text}");
            Stage::parse("x", &text, "f", &[]).unwrap().pipeline.parameters
        };
        let listed = of(r#"["Prefix=a-b", "Prices=write_units=0.7,put_gb=1"]"#);
        assert_eq!(listed, of(r#""Prefix=a-b  Prices=\"write_units=0.7,put_gb=1\"""#));
        assert_eq!(listed["Prices"], "write_units=0.7,put_gb=1");
    }
}
