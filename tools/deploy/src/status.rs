//! `tidemark deploy status`: how the stacks, the mapping and the alarms stand.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use terminal::error::{CliError, Exit};
use terminal::ui::{self, paint};
use tidemark_aws::AwsSettings;
use tidemark_aws::admin::{AlarmInfo, MappingState, StackInfo};

use crate::args::StageArgs;
use crate::emulated;
use crate::failure;
use crate::release::{self, Release};
use crate::standing;
use crate::target::Target;

/// What was seen.
struct Seen {
    pipeline: Option<StackInfo>,
    alarms: Option<StackInfo>,
    mappings: Vec<MappingState>,
    rings: Vec<AlarmInfo>,
    /// Alarms that say something only together with another one.
    parts: BTreeSet<String>,
    kept: Vec<String>,
}

pub(crate) async fn run(
    args: &StageArgs,
    settings: AwsSettings,
    patience_ms: u64,
    json: bool,
) -> Result<Exit, CliError> {
    let target = Target::open(args, &[], settings, patience_ms).await?;
    let seen = look(&target).await?;
    let text = ui::json_or(json, &report(&target, &seen), |_| text(&target, &seen))?;
    ui::out(&text);
    Ok(if seen.is_well() { Exit::Ok } else { Exit::Failed })
}

async fn look(target: &Target) -> Result<Seen, CliError> {
    let stage = &target.stage;
    let failed = |error| failure::service(target, "deploy_look", "the deployment can't be looked at", &error);
    let pipeline = target.admin.stack(&stage.pipeline.name).await.map_err(failed)?;
    let alarms = target.admin.stack(&stage.alarms.name).await.map_err(failed)?;
    let mappings = match &pipeline {
        Some(_) => target
            .admin
            .mappings(&format!("{}-score", stage.prefix()))
            .await
            .map_err(failed)?,
        None => Vec::new(),
    };
    let prefix = format!("{}-", stage.prefix());
    let rings = match &alarms {
        Some(_) => target.admin.alarms(&prefix).await.map_err(failed)?,
        None => Vec::new(),
    };
    let kept = match &pipeline {
        Some(_) => Vec::new(),
        None => standing::kept(target).await?.into_iter().map(|one| one.value).collect(),
    };
    let parts = if stage.is_local() {
        emulated::parts(target)
    } else {
        BTreeSet::new()
    };
    Ok(Seen {
        pipeline,
        alarms,
        mappings,
        rings,
        parts,
        kept,
    })
}

impl Seen {
    /// Whether both stacks are whole, the mapping polls and nothing rings.
    fn is_well(&self) -> bool {
        let is_whole = |stack: &Option<StackInfo>| {
            let status = stack.as_ref().map(|stack| stack.status.as_str());
            status.is_some_and(|status| status.ends_with("_COMPLETE") && !status.starts_with("ROLLBACK"))
        };
        let polls = self.mappings.iter().any(|mapping| mapping.state == "Enabled");
        is_whole(&self.pipeline) && is_whole(&self.alarms) && polls && self.ringing().next().is_none()
    }

    fn release(&self) -> Release {
        let outputs = self.pipeline.as_ref().map(|stack| &stack.outputs);
        outputs.map(Release::of).unwrap_or_default()
    }

    fn ringing(&self) -> impl Iterator<Item = &AlarmInfo> {
        let rings = self.rings.iter().filter(|alarm| alarm.state == "ALARM");
        rings.filter(|alarm| !self.parts.contains(&alarm.name))
    }
}

fn report(target: &Target, seen: &Seen) -> Value {
    let stack = |stack: &Option<StackInfo>, name: &str| {
        json!({
            "name": name,
            "status": stack.as_ref().map(|stack| &stack.status),
            "reason": stack.as_ref().and_then(|stack| stack.reason.as_ref()),
            "changed_at": stack.as_ref().map(|stack| &stack.changed_at),
            "parameters": stack.as_ref().map(|stack| &stack.parameters),
        })
    };
    let stage = &target.stage;
    json!({
        "stage": stage.name,
        "prefix": stage.prefix(),
        "well": seen.is_well(),
        "release": seen.release().version,
        "release_of_command": release::OWN,
        "pipeline": stack(&seen.pipeline, &stage.pipeline.name),
        "alarms": stack(&seen.alarms, &stage.alarms.name),
        "mapping": seen.mappings.iter().map(|mapping| &mapping.state).collect::<Vec<_>>(),
        "alarm_states": seen.rings.iter().map(|alarm| (alarm.name.clone(), json!(alarm.state))).collect::<serde_json::Map<_, _>>(),
        "kept": seen.kept,
    })
}

fn text(target: &Target, seen: &Seen) -> String {
    let stage = &target.stage;
    let mut text = format!(
        "{}\n",
        paint(ui::HEADING, format!("Stage {}, prefix {}", stage.name, stage.prefix()))
    );
    for (stack, name) in [
        (&seen.pipeline, &stage.pipeline.name),
        (&seen.alarms, &stage.alarms.name),
    ] {
        text += &match stack {
            None => format!("  stack {name}: there is none\n"),
            Some(stack) => {
                let reason = stack
                    .reason
                    .as_ref()
                    .map_or_else(String::new, |reason| format!(": {reason}"));
                let good = stack.status.ends_with("_COMPLETE") && !stack.status.starts_with("ROLLBACK");
                let style = if good { ui::GOOD } else { ui::BAD };
                format!(
                    "  stack {name}: {}{reason}, since {}\n",
                    paint(style, &stack.status),
                    stack.changed_at
                )
            }
        };
    }
    if let Some(stack) = &seen.pipeline {
        let version = seen.release().version.unwrap_or_else(|| "not said".to_owned());
        text += &format!("  release {version}; this command is {}\n", release::OWN);
        let given: Vec<String> = stack
            .parameters
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        text += &format!("  parameters: {}\n", given.join(" "));
        text += &match seen.mappings.as_slice() {
            [] => paint(ui::BAD, "  no mapping invokes the score function\n"),
            mappings => mappings
                .iter()
                .map(|mapping| format!("  mapping {}: {}\n", mapping.uuid, mapping.state))
                .collect(),
        };
    }
    if seen.alarms.is_some() {
        let count = |state: &str| seen.rings.iter().filter(|alarm| alarm.state == state).count();
        text += &format!(
            "  alarms: {} ok, {} without data yet, {} ringing\n",
            count("OK"),
            count("INSUFFICIENT_DATA"),
            seen.ringing().count()
        );
        for alarm in seen.ringing() {
            text += &format!("    {} {}\n", paint(ui::BAD, "rings"), alarm.name);
        }
    }
    if !seen.kept.is_empty() {
        text += &format!("  kept from a deployment that was deleted: {}\n", seen.kept.join(", "));
    }
    if seen.pipeline.is_none() {
        text += &format!("Deploy it with `{}`.\n", target.command(""));
    }
    text
}
