//! Change sets: what CloudFormation would do, and having it done.

use std::collections::BTreeMap;

use terminal::clock;
use terminal::error::CliError;
use tidemark_aws::admin::{ChangeSetInfo, ChangeSetKind, NewChangeSet, StackChange, TemplateAt};

use crate::failure;
use crate::progress;
use crate::stage::StackPlan;
use crate::target::Target;
use crate::templates::Template;

/// How long a change set may take to be made, in milliseconds.
const MADE_MS_MAX: u64 = 300_000;
/// What CloudFormation says of a change set that would change nothing: it counts as failed.
const NOTHING: [&str; 2] = ["didn't contain changes", "No updates are to be performed"];

/// A change set that can be carried out.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) stack: String,
    pub(crate) name: String,
    pub(crate) changes: Vec<StackChange>,
    /// Whether the stack was not there before.
    pub(crate) is_new: bool,
}

/// What came of asking for one.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    /// It can be carried out.
    Made(Made),
    /// The stack is as it should be.
    Nothing,
    /// An emulator can't do it; what it says.
    Unable(String),
}

/// Has CloudFormation make a change set for a stack, and waits for it.
pub(crate) async fn ask(
    target: &Target,
    plan: &StackPlan,
    kind: ChangeSetKind,
    template: TemplateAt<'_>,
    parameters: &BTreeMap<String, String>,
) -> Result<Asked, CliError> {
    let name = format!("tidemark-{}", clock::now_ms());
    let parameters: Vec<(String, String)> = parameters.clone().into_iter().collect();
    let is_new = kind != ChangeSetKind::Update;
    let failed = |error| {
        failure::service(
            target,
            "deploy_change",
            &format!("the change set of {} was not made", plan.name),
            &error,
        )
    };
    let new = NewChangeSet {
        stack: &plan.name,
        name: &name,
        kind,
        template,
        parameters: &parameters,
        tags: &plan.tags,
    };
    target.admin.create_change_set(&new).await.map_err(failed)?;
    let info = ready(target, &plan.name, &name).await?;
    if info.status == "CREATE_COMPLETE" && info.execution_status == "AVAILABLE" {
        return Ok(Asked::Made(Made {
            stack: plan.name.clone(),
            name,
            changes: info.changes,
            is_new,
        }));
    }
    let reason = info
        .reason
        .unwrap_or_else(|| format!("{} {}", info.status, info.execution_status));
    drop_made(target, &plan.name, &name, is_new).await;
    if NOTHING.iter().any(|words| reason.contains(words)) {
        return Ok(Asked::Nothing);
    }
    if target.stage.is_local() && reason.contains("not supported by this emulator") {
        return Ok(Asked::Unable(reason));
    }
    Err(CliError::refused(
        "deploy_change",
        format!("CloudFormation can't change the stack {}: {reason}", plan.name),
        "Mend the parameter or the resource that it names; nothing was changed.",
    ))
}

async fn ready(target: &Target, stack: &str, name: &str) -> Result<ChangeSetInfo, CliError> {
    let mut waited_ms = 0;
    loop {
        let asked = target.admin.change_set(stack, name).await;
        let asked = asked.map_err(|error| {
            failure::service(target, "deploy_change", &format!("the change set of {stack}"), &error)
        })?;
        if let Some(info) =
            asked.filter(|info| !info.status.ends_with("_PENDING") && !info.status.ends_with("_IN_PROGRESS"))
        {
            return Ok(info);
        }
        if waited_ms >= MADE_MS_MAX {
            return Err(CliError::service(
                "deploy_change",
                format!(
                    "the change set {name} of {stack} was not made within {} s",
                    MADE_MS_MAX / 1_000
                ),
                "Nothing was changed. Run it again.",
            ));
        }
        clock::pause(target.look_ms()).await;
        waited_ms += target.look_ms();
    }
}

/// Carries a change set out and waits until the stack has settled.
pub(crate) async fn carry_out(target: &Target, made: &Made, quiet: bool) -> Result<(), CliError> {
    let before = progress::newest_event(target, &made.stack).await;
    let begun = target.admin.execute_change_set(&made.stack, &made.name).await;
    begun.map_err(|error| {
        failure::service(
            target,
            "deploy_change",
            &format!("the change set of {} was not begun", made.stack),
            &error,
        )
    })?;
    progress::settle(target, &made.stack, before, made.changes.len(), quiet).await
}

/// Takes change sets back that were made only to be looked at, and the empty stacks that were made with them.
pub(crate) async fn take_back(target: &Target, all: &[&Made]) {
    for made in all {
        drop_made(target, &made.stack, &made.name, made.is_new).await;
    }
}

async fn drop_made(target: &Target, stack: &str, name: &str, is_new: bool) {
    // What is left of either costs nothing and is in nobody's way: the next deployment begins where it is.
    drop(target.admin.delete_change_set(stack, name).await);
    if is_new {
        let is_husk =
            matches!(target.admin.stack(stack).await, Ok(Some(found)) if found.status == "REVIEW_IN_PROGRESS");
        if is_husk {
            drop(target.admin.delete_stack(stack).await);
        }
    }
}

/// Refuses a change that puts a new resource in the place of one that holds data, or takes one away.
pub(crate) fn keeps_data(target: &Target, changes: &[StackChange]) -> Result<(), CliError> {
    match lost(changes) {
        None => Ok(()),
        Some(lost) => Err(CliError::refused(
            "deploy_replaces",
            format!(
                "the change would put a new, empty {} in the place of {}",
                lost.logical_id, lost.physical_id
            ),
            format!(
                "The old one would be kept, and nothing would read it. Give the stage {} the parameters that the stack has (`{}` tells \
                 them). Nothing was deployed.",
                target.stage.name,
                target.command("status")
            ),
        )),
    }
}

/// The first change that takes a resource away that holds data.
fn lost(changes: &[StackChange]) -> Option<&StackChange> {
    let kept = Template::PIPELINE.kept();
    changes.iter().find(|change| {
        let holds_data = kept.iter().any(|one| one.logical_id == change.logical_id);
        let goes = change.action == "Remove" || change.replacement.as_deref() == Some("True");
        holds_data && goes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(action: &str, logical_id: &str, replacement: Option<&str>) -> StackChange {
        StackChange {
            action: action.to_owned(),
            logical_id: logical_id.to_owned(),
            replacement: replacement.map(str::to_owned),
            ..StackChange::default()
        }
    }

    #[test]
    fn what_holds_data_is_never_replaced_or_removed_and_all_else_may_be() {
        let fine = [
            change("Modify", "CardsTable", Some("False")),
            change("Modify", "TransactionsStream", Some("Conditional")),
            change("Modify", "ScoresStream", Some("True")),
            change("Remove", "RedriveFunction", None),
            change("Add", "DeadLetterQueue", None),
            change("Import", "QuarantineQueue", None),
        ];
        assert_eq!(lost(&fine), None);
        for wrong in [
            change("Modify", "CardsTable", Some("True")),
            change("Remove", "TransactionsStream", None),
            // From a bucket of dead letters there is no way back to the queue alone: nobody would read what is in it.
            change("Remove", "LetterBucket", None),
            change("Modify", "UnrecoverableQueue", Some("True")),
        ] {
            let all = [fine[0].clone(), wrong.clone()];
            assert_eq!(lost(&all), Some(&wrong));
        }
    }
}
