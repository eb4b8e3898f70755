//! `tidemark deploy destroy`: deletes both stacks, and says what is kept, why, and how to take it back or delete it, too.

use std::io::IsTerminal;

use serde_json::{Value, json};
use terminal::error::{CliError, Exit};
use terminal::ui::{self, paint};
use tidemark_aws::AwsSettings;
use tidemark_aws::admin::{ImportedResource, StackInfo};

use crate::args::DestroyArgs;
use crate::emulated;
use crate::failure;
use crate::progress;
use crate::standing;
use crate::target::Target;

pub(crate) async fn run(
    args: &DestroyArgs,
    settings: AwsSettings,
    patience_ms: u64,
    json: bool,
) -> Result<Exit, CliError> {
    let target = Target::open(&args.of, &[], settings, patience_ms).await?;
    let stage = &target.stage;
    let failed = |error| failure::service(&target, "deploy_look", "the stacks can't be looked at", &error);
    // The alarms go first: they would ring for a pipeline that goes away.
    let mut there: Vec<StackInfo> = Vec::new();
    for plan in [&stage.alarms, &stage.pipeline] {
        let found = target.admin.stack(&plan.name).await.map_err(failed)?;
        if let Some(stack) = found {
            own(&target, &stack)?;
            there.push(stack);
        }
    }
    if !there.is_empty() {
        if !json {
            ui::note(&going(&target, &there));
        }
        if !args.yes {
            confirmed(stage.prefix())?;
        }
    }
    if target.stage.is_local() && !there.is_empty() {
        emulated::part(&target).await?;
    }
    for stack in &there {
        delete(&target, &stack.name, json).await?;
    }
    let kept = standing::kept(&target).await?;
    let deleted: Vec<&str> = there.iter().map(|stack| stack.name.as_str()).collect();
    let text = ui::json_or(json, &report(&target, &deleted, &kept), |_| {
        text(&target, &deleted, &kept)
    })?;
    ui::out(&text);
    Ok(Exit::Ok)
}

/// Refuses a stack of the stage's name that is not of its prefix: it is somebody else's.
fn own(target: &Target, stack: &StackInfo) -> Result<(), CliError> {
    let prefix = target.stage.prefix();
    match stack.parameters.get("Prefix") {
        Some(has) if has != prefix => Err(CliError::refused(
            "deploy_prefix",
            format!(
                "the stack {} has the prefix {has}, and the stage has {prefix}",
                stack.name
            ),
            format!("Give the stage Prefix={has}, if that deployment is to be deleted. Nothing was deleted."),
        )),
        _ => Ok(()),
    }
}

async fn delete(target: &Target, stack: &str, quiet: bool) -> Result<(), CliError> {
    let before = progress::newest_event(target, stack).await;
    let begun = target.admin.delete_stack(stack).await;
    begun.map_err(|error| {
        failure::service(
            target,
            "deploy_change",
            &format!("the stack {stack} is not deleted"),
            &error,
        )
    })?;
    progress::gone(target, stack, before, quiet).await
}

fn going(target: &Target, there: &[StackInfo]) -> String {
    let names: Vec<String> = there
        .iter()
        .map(|stack| format!("{} ({})", stack.name, stack.status))
        .collect();
    format!(
        "These stacks will be deleted: {}. With them go the functions, the mapping, the alarms, the logs and the stream {}-scores.\n\
         Kept will be the stream {}-transactions, the table {}-cards the queues, and the bucket of dead letters where there is one: what they hold is nowhere else.",
        names.join(", "),
        target.stage.prefix(),
        target.stage.prefix(),
        target.stage.prefix(),
    )
}

/// Asks at the terminal: for the prefix, which nobody types by habit.
fn confirmed(prefix: &str) -> Result<(), CliError> {
    let refused = |what: &str| {
        CliError::refused(
            "not_confirmed",
            what,
            "Nothing was deleted. --yes goes without the question.",
        )
    };
    if !std::io::stdin().is_terminal() {
        return Err(refused("nobody is there to be asked"));
    }
    ui::note(&format!("Type the prefix ({prefix}) to delete the deployment."));
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    if read.is_ok() && answer.trim() == prefix {
        Ok(())
    } else {
        Err(refused("the answer was not the prefix"))
    }
}

fn report(target: &Target, deleted: &[&str], kept: &[ImportedResource]) -> Value {
    json!({
        "stage": target.stage.name,
        "deleted": deleted,
        "kept": kept.iter().map(|one| json!({ "resource_type": one.resource_type, "name": one.value })).collect::<Vec<_>>(),
    })
}

fn text(target: &Target, deleted: &[&str], kept: &[ImportedResource]) -> String {
    let mut text = match deleted {
        [] => format!(
            "Stage {} has no stack: there is nothing to delete.\n",
            target.stage.name
        ),
        deleted => format!("{} {}\n", paint(ui::GOOD, "Deleted:"), deleted.join(", ")),
    };
    if kept.is_empty() {
        return text;
    }
    text += &format!("{}\n", paint(ui::HEADING, "Kept, with what they hold"));
    for one in kept {
        let why = match one.resource_type.as_str() {
            "AWS::Kinesis::Stream" => "events until its retention is over; it costs while it is there",
            "AWS::DynamoDB::Table" => "every card's history, decisions and the control plane",
            _ => "messages, for 14 days",
        };
        text += &format!("  {}: {why}\n", one.value);
    }
    text += &format!("`{}` takes them back with what they hold.\n", target.command(""));
    text += "To delete them for good, too:\n";
    for one in kept {
        text += &for_good(one);
    }
    text
}

/// What deletes a kept resource.
fn for_good(one: &ImportedResource) -> String {
    let name = &one.value;
    match one.resource_type.as_str() {
        "AWS::Kinesis::Stream" => format!("  aws kinesis delete-stream --stream-name {name}\n"),
        "AWS::DynamoDB::Table" => format!(
            "  aws dynamodb update-table --table-name {name} --no-deletion-protection-enabled && aws dynamodb delete-table --table-name {name}\n"
        ),
        _ => format!("  aws sqs delete-queue --queue-url {name}\n"),
    }
}
