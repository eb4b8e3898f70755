//! Waits until a stack has settled, and says what is going on.

use std::collections::BTreeSet;

use terminal::clock;
use terminal::error::CliError;
use terminal::ui;
use tidemark_aws::admin::{StackEvent, StackInfo};

use crate::failure;
use crate::standing;
use crate::target::Target;

/// How long a stack may take, in milliseconds: the slowest way for a new version to take over is 100 minutes.
const SETTLE_MS_MAX: u64 = 3 * 3_600_000;
/// How long a change may take to begin, in milliseconds: until its first event the stack has the status of before.
const BEGIN_MS_MAX: u64 = 60_000;
/// Failed looks in a row before it is given up.
const FAILED_LOOKS_MAX: u32 = 20;
/// What CloudFormation says of a resource that fails only because another one did.
const FOLLOWS: &str = "ancelled";
/// Failures that are told one by one.
const TOLD_MAX: usize = 5;

/// The id of the newest event of a stack; `None` when there is none yet.
pub(crate) async fn newest_event(target: &Target, stack: &str) -> Option<String> {
    let events = target.admin.stack_events(stack, None).await.ok()?;
    events.into_iter().next().map(|event| event.id)
}

/// Waits until a change is done. An error tells what failed, what is left and what to do.
pub(crate) async fn settle(
    target: &Target,
    stack: &str,
    since: Option<String>,
    changes: usize,
    quiet: bool,
) -> Result<(), CliError> {
    let (ended, events) = wait(target, stack, since, changes, quiet).await?;
    let Some(ended) = ended else {
        return Err(CliError::service(
            "deploy_failed",
            format!("the stack {stack} was deleted while it was deployed"),
            "Ask who deleted it, then deploy again.",
        ));
    };
    let is_good = ended.status.ends_with("_COMPLETE") && !ended.status.contains("ROLLBACK");
    if is_good {
        return Ok(());
    }
    let left = standing::left_of(target, stack).await;
    let advice = match ended.status.as_str() {
        "UPDATE_ROLLBACK_COMPLETE" | "IMPORT_ROLLBACK_COMPLETE" => {
            "The stack is as it was before. Mend what failed, and deploy again.".to_owned()
        }
        "UPDATE_ROLLBACK_FAILED" => format!(
            "Mend what failed, then `aws cloudformation continue-update-rollback --stack-name {stack}`, and deploy again."
        ),
        _ => format!(
            "Mend what failed, delete what is left with `{}`, and deploy again.",
            target.command("destroy")
        ),
    };
    Err(CliError::service(
        "deploy_failed",
        format!(
            "the stack {stack} ended in {}; {left}{}",
            ended.status,
            reasons(&events)
        ),
        advice,
    ))
}

/// Waits until a stack is deleted; the answer is whether it is, and what happened.
pub(crate) async fn gone(target: &Target, stack: &str, since: Option<String>, quiet: bool) -> Result<(), CliError> {
    let (ended, events) = wait(target, stack, since, 0, quiet).await?;
    match ended {
        None => Ok(()),
        Some(ended) => {
            let left = standing::left_of(target, stack).await;
            Err(CliError::service(
                "deploy_failed",
                format!(
                    "the stack {stack} ended in {}; {left}{}",
                    ended.status,
                    reasons(&events)
                ),
                format!("Mend what failed, and run `{}` again.", target.command("destroy")),
            ))
        }
    }
}

/// Looks until the stack is not in progress any more, or not there; with the events since, the newest first.
async fn wait(
    target: &Target,
    stack: &str,
    since: Option<String>,
    changes: usize,
    quiet: bool,
) -> Result<(Option<StackInfo>, Vec<StackEvent>), CliError> {
    let bar = ui::step(&format!("stack {stack}"), quiet);
    let mut all: Vec<StackEvent> = Vec::new();
    let (mut waited_ms, mut failed_looks) = (0, 0);
    let ended = loop {
        let seen = all.first().map(|event| event.id.clone()).or_else(|| since.clone());
        let looked = look(target, stack, seen.as_deref()).await;
        match looked {
            Ok((info, new)) => {
                failed_looks = 0;
                all.splice(0..0, new);
                bar.set_message(said(stack, &all, changes));
                match info {
                    Some(info) if info.status.ends_with("_IN_PROGRESS") => {}
                    // The status of before: nothing has happened yet.
                    Some(_) if all.is_empty() && waited_ms < BEGIN_MS_MAX => {}
                    ended => break Ok((ended, all)),
                }
            }
            Err(error) if error.is_expired() => {
                break Err(failure::expired(
                    target,
                    &format!("the stack {stack} was being changed"),
                ));
            }
            Err(error) => {
                failed_looks += 1;
                if failed_looks >= FAILED_LOOKS_MAX {
                    break Err(failure::service(
                        target,
                        "deploy_look",
                        &format!("the stack {stack} can't be looked at"),
                        &error,
                    ));
                }
            }
        }
        if waited_ms >= SETTLE_MS_MAX {
            break Err(CliError::service(
                "deploy_unfinished",
                format!(
                    "the stack {stack} has not settled within {} min",
                    SETTLE_MS_MAX / 60_000
                ),
                format!("CloudFormation goes on. Look with `{}`.", target.command("status")),
            ));
        }
        clock::pause(target.look_ms()).await;
        waited_ms += target.look_ms();
    };
    bar.finish_and_clear();
    ended
}

async fn look(
    target: &Target,
    stack: &str,
    seen: Option<&str>,
) -> Result<(Option<StackInfo>, Vec<StackEvent>), tidemark_aws::admin::AdminError> {
    let info = target.admin.stack(stack).await?;
    let events = match info {
        Some(_) => target.admin.stack_events(stack, seen).await?,
        None => Vec::new(),
    };
    Ok((info, events))
}

/// How far it is, for the bar.
fn said(stack: &str, events: &[StackEvent], changes: usize) -> String {
    let own = |event: &&StackEvent| event.logical_id != stack;
    let done: BTreeSet<&str> = events
        .iter()
        .filter(own)
        .filter(|event| event.status.ends_with("_COMPLETE"))
        .map(|event| event.logical_id.as_str())
        .collect();
    let of = if changes == 0 {
        String::new()
    } else {
        format!(" of {changes}")
    };
    let now = events.iter().find(own);
    let now = now.map_or_else(String::new, |event| format!(", {} {}", event.logical_id, event.status));
    format!("stack {stack}: {}{of} done{now}", done.len())
}

/// Why resources failed, the first one first, without those that failed only because of it.
fn reasons(events: &[StackEvent]) -> String {
    let failed = events.iter().rev().filter(|event| event.status.ends_with("FAILED"));
    let own = failed.filter(|event| event.reason.as_ref().is_none_or(|reason| !reason.contains(FOLLOWS)));
    own.take(TOLD_MAX)
        .map(|event| {
            let reason = event.reason.as_deref().unwrap_or("no reason is told");
            format!("\n{} ({}): {reason}", event.logical_id, event.resource_type)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(logical_id: &str, status: &str, reason: Option<&str>) -> StackEvent {
        StackEvent {
            logical_id: logical_id.to_owned(),
            status: status.to_owned(),
            reason: reason.map(str::to_owned),
            resource_type: "T".to_owned(),
            ..StackEvent::default()
        }
    }

    #[test]
    fn the_first_failure_is_told_first_and_what_follows_from_it_is_not() {
        let events = [
            event("Stack", "ROLLBACK_IN_PROGRESS", None),
            event("B", "CREATE_FAILED", Some("Resource creation cancelled")),
            event("C", "CREATE_FAILED", Some("second")),
            event("A", "CREATE_FAILED", Some("first")),
            event("A", "CREATE_IN_PROGRESS", None),
        ];
        assert_eq!(reasons(&events), "\nA (T): first\nC (T): second");
    }

    #[test]
    fn a_resource_counts_once_and_the_stack_itself_does_not() {
        let events = [
            event("s", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", None),
            event("A", "UPDATE_COMPLETE", None),
            event("A", "CREATE_COMPLETE", None),
            event("s", "CREATE_COMPLETE", None),
        ];
        assert_eq!(said("s", &events, 3), "stack s: 1 of 3 done, A UPDATE_COMPLETE");
    }
}
