//! What there is already: the stage's stacks, other stacks with its prefix, and what a deleted stack has kept.

use terminal::error::CliError;
use tidemark_aws::admin::{AdminError, ImportedResource, StackInfo, letter_bucket_name};

use crate::failure;
use crate::stage::StackPlan;
use crate::target::Target;
use crate::templates::Template;

/// What our templates' descriptions begin with.
const OURS: &str = "Tidemark: ";
/// A stack that a change set has made and that was never carried out: it is nothing yet.
const REVIEW: &str = "REVIEW_IN_PROGRESS";
/// Statuses of a stack that can be updated.
const WHOLE: [&str; 5] = [
    "CREATE_COMPLETE",
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
    "IMPORT_COMPLETE",
    "IMPORT_ROLLBACK_COMPLETE",
];
/// Resources that are told one by one.
const TOLD_MAX: usize = 8;

/// A stack of the stage.
#[derive(Clone, Debug)]
pub(crate) enum Standing {
    /// There is none.
    Absent,
    /// There is none, and these of its resources are there.
    Kept(Vec<ImportedResource>),
    /// It is there and whole.
    Present(Box<StackInfo>),
}

impl Standing {
    pub(crate) fn present(&self) -> Option<&StackInfo> {
        match self {
            Self::Present(stack) => Some(stack),
            _ => None,
        }
    }
}

/// Both stacks; an error when one of them can't be deployed as it stands.
pub(crate) async fn look(target: &Target) -> Result<(Standing, Standing), CliError> {
    let stage = &target.stage;
    let stacks = target.admin.stacks().await;
    let stacks =
        stacks.map_err(|error| failure::service(target, "deploy_look", "the stacks can't be listed", &error))?;
    let own = [stage.pipeline.name.as_str(), stage.alarms.name.as_str()];
    let other = stacks.iter().find(|stack| {
        let has_prefix = stack.parameters.get("Prefix").is_some_and(|has| has == stage.prefix());
        has_prefix && is_ours(stack) && stack.status != REVIEW && !own.contains(&stack.name.as_str())
    });
    if let Some(other) = other {
        return Err(CliError::refused(
            "deploy_prefix",
            format!(
                "the prefix {} is taken by the stack {}, which stage {} does not name",
                stage.prefix(),
                other.name,
                stage.name
            ),
            format!(
                "Two stacks can't have one name for their resources. Give the stage another prefix (--set Prefix=NAME), or stack_name = \
                 \"{}\" where that one is meant. Nothing was deployed.",
                other.name
            ),
        ));
    }
    let alarms = stand(target, &stacks, &stage.alarms).await?;
    let mut pipeline = stand(target, &stacks, &stage.pipeline).await?;
    if matches!(pipeline, Standing::Absent) {
        let kept = kept(target).await?;
        if !kept.is_empty() {
            pipeline = Standing::Kept(kept);
        }
    }
    Ok((alarms, pipeline))
}

/// Whether a stack is of one of our templates: by its description, which an emulator may not tell, or by an output of either.
fn is_ours(stack: &StackInfo) -> bool {
    let outputs = ["CardsTableName", "DashboardName"];
    stack.description.starts_with(OURS) || outputs.iter().any(|output| stack.outputs.contains_key(*output))
}

async fn stand(target: &Target, stacks: &[StackInfo], plan: &StackPlan) -> Result<Standing, CliError> {
    let Some(stack) = stacks.iter().find(|stack| stack.name == plan.name) else {
        return Ok(Standing::Absent);
    };
    let status = stack.status.as_str();
    if status == REVIEW {
        return Ok(Standing::Absent);
    }
    if WHOLE.contains(&status) {
        let prefix = target.stage.prefix();
        return match stack.parameters.get("Prefix") {
            Some(has) if has != prefix => Err(CliError::refused(
                "deploy_prefix",
                format!(
                    "the stack {} has the prefix {has}, and the stage has {prefix}",
                    plan.name
                ),
                format!(
                    "Another prefix would make new streams and a new, empty table in the place of those that hold your data. Give the stage \
                     Prefix={has}, or another stack_name for a second deployment. Nothing was deployed."
                ),
            )),
            _ => Ok(Standing::Present(Box::new(stack.clone()))),
        };
    }
    Err(stuck(target, stack).await)
}

/// A stack that can't be updated: why, what is left of it, and what to do.
async fn stuck(target: &Target, stack: &StackInfo) -> CliError {
    let (name, status) = (&stack.name, &stack.status);
    let why = stack
        .reason
        .as_ref()
        .map_or_else(String::new, |reason| format!(" ({reason})"));
    let left = left_of(target, name).await;
    let advice = if status.ends_with("_IN_PROGRESS") {
        format!(
            "Somebody's deployment is under way. Look with `{}`, and deploy when it has ended.",
            target.command("status")
        )
    } else if status == "UPDATE_ROLLBACK_FAILED" {
        format!(
            "Mend what the stack's events name, then `aws cloudformation continue-update-rollback --stack-name {name}`, and deploy again."
        )
    } else {
        format!(
            "CloudFormation updates no such stack. `{}` deletes what is left of it, and keeps data; then deploy again.",
            target.command("destroy")
        )
    };
    CliError::refused(
        "deploy_state",
        format!("the stack {name} is in {status}{why}; {left}"),
        advice,
    )
}

/// What a stack still holds, in a sentence.
pub(crate) async fn left_of(target: &Target, stack: &str) -> String {
    match target.admin.stack_resources(stack).await {
        Ok(resources) => {
            let there = resources
                .iter()
                .filter(|one| !one.status.starts_with("DELETE_") && !one.physical_id.is_empty());
            let names: Vec<&str> = there.map(|one| one.logical_id.as_str()).collect();
            match names.len() {
                0 => "it holds nothing any more".to_owned(),
                all if all <= TOLD_MAX => format!("it still holds {}", names.join(", ")),
                all => format!(
                    "it still holds {all} resources, among them {}",
                    names[..TOLD_MAX].join(", ")
                ),
            }
        }
        Err(error) => format!("what it still holds is not known ({error})"),
    }
}

/// The resources of the prefix that a deleted stack kept, as an import names them.
pub(crate) async fn kept(target: &Target) -> Result<Vec<ImportedResource>, CliError> {
    let (admin, prefix) = (&target.admin, target.stage.prefix());
    let mut found = Vec::new();
    for one in Template::PIPELINE.kept() {
        let name = format!("{prefix}-{}", one.suffix);
        let (key, value) = match one.resource_type.as_str() {
            "AWS::Kinesis::Stream" => (
                "Name",
                is_there(admin.stream_info(&name).await).map(|there| there.map(|_| name.clone())),
            ),
            "AWS::DynamoDB::Table" => {
                let asked = is_there(admin.get_item(&name, "-", "-").await);
                ("TableName", asked.map(|there| there.map(|_| name.clone())))
            }
            // A stage without the bucket has no place for it: what is in it is seen by `dlq` all the same.
            "AWS::S3::Bucket" if !target.stage.has_letter_bucket() => continue,
            "AWS::S3::Bucket" => {
                let bucket = letter_bucket_name(prefix, &target.account, &target.region);
                let there = admin.bucket_is_there(&bucket, &target.account).await;
                ("BucketName", there.map(|there| there.then_some(bucket)))
            }
            _ => ("QueueUrl", is_there(admin.queue_url(&name).await)),
        };
        let value = value
            .map_err(|error| failure::service(target, "deploy_look", &format!("{name} can't be looked for"), &error))?;
        found.extend(value.map(|value| ImportedResource {
            logical_id: one.logical_id,
            resource_type: one.resource_type,
            key: key.to_owned(),
            value,
        }));
    }
    Ok(found)
}

fn is_there<T>(answer: Result<T, AdminError>) -> Result<Option<T>, AdminError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(AdminError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
