//! CloudFormation: stacks, what happens in them, what they hold. Change sets are in [`super::change_set`].
//!
//! A dozen operations of one service, signed here as Lambda's are: the generated client has more source than all of ours.

use std::collections::BTreeMap;

use super::rim::Form;
use super::xml::Element;
use super::{Admin, AdminError};

/// The version of CloudFormation's API.
pub(super) const API_VERSION: &str = "2010-05-15";
/// Pages of one list that are read; a page has a hundred stacks, events or resources.
const PAGES_MAX: usize = 200;

/// A stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StackInfo {
    /// Its name.
    pub name: String,
    /// As CloudFormation says it: `CREATE_COMPLETE`, `UPDATE_ROLLBACK_FAILED` …
    pub status: String,
    /// Why it is in that status, where that is told.
    pub reason: Option<String>,
    /// The template's description.
    pub description: String,
    /// When it was changed last, or else made: a time as CloudFormation writes it.
    pub changed_at: String,
    /// Its parameters.
    pub parameters: BTreeMap<String, String>,
    /// Its outputs.
    pub outputs: BTreeMap<String, String>,
}

/// Something that happened in a stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StackEvent {
    /// Its id.
    pub id: String,
    /// The resource, by its name in the template; the stack's own name for the stack itself.
    pub logical_id: String,
    /// What it is called in AWS, where that is known.
    pub physical_id: String,
    /// As in the template: `AWS::Kinesis::Stream`.
    pub resource_type: String,
    /// `CREATE_IN_PROGRESS`, `UPDATE_FAILED` …
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// When, as CloudFormation writes it.
    pub at: String,
}

/// A resource of a stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StackResource {
    /// Its name in the template.
    pub logical_id: String,
    /// What it is called in AWS.
    pub physical_id: String,
    /// As in the template.
    pub resource_type: String,
    /// `CREATE_COMPLETE`, `DELETE_SKIPPED` …
    pub status: String,
}

impl Admin {
    /// Every stack of the region that is not deleted.
    ///
    /// # Errors
    /// When CloudFormation does not answer, or refuses.
    pub async fn stacks(&self) -> Result<Vec<StackInfo>, AdminError> {
        let pages = self.pages("DescribeStacks", &Form::default(), "Stacks").await?;
        Ok(pages.iter().map(stack_of).collect())
    }

    /// A stack; `None` when there is none of that name, or when it is deleted.
    ///
    /// # Errors
    /// When CloudFormation does not answer, or refuses.
    pub async fn stack(&self, name: &str) -> Result<Option<StackInfo>, AdminError> {
        let form = Form::default().with("StackName", name);
        match self.pages("DescribeStacks", &form, "Stacks").await {
            Ok(found) => Ok(found
                .iter()
                .map(stack_of)
                .find(|stack| stack.status != "DELETE_COMPLETE")),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What happened in a stack, the newest first, up to the event of this id; all that is kept without one.
    ///
    /// # Errors
    /// When there is no such stack, or CloudFormation does not answer.
    pub async fn stack_events(&self, name: &str, until: Option<&str>) -> Result<Vec<StackEvent>, AdminError> {
        let mut events = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let mut form = Form::default().with("StackName", name);
            if let Some(token) = &token {
                form.add("NextToken", token);
            }
            let answer = self.cloudformation("DescribeStackEvents", &form).await?;
            for event in answer.members("StackEvents").map(event_of) {
                if until.is_some_and(|until| until == event.id) {
                    return Ok(events);
                }
                events.push(event);
            }
            token = answer.text_of("NextToken").map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        Ok(events)
    }

    /// What a stack holds.
    ///
    /// # Errors
    /// When there is no such stack, or CloudFormation does not answer.
    pub async fn stack_resources(&self, name: &str) -> Result<Vec<StackResource>, AdminError> {
        let form = Form::default().with("StackName", name);
        let list = "StackResourceSummaries";
        let found = self.pages("ListStackResources", &form, list).await?;
        Ok(found.iter().map(resource_of).collect())
    }

    /// Begins to delete a stack; one that is not there is no error.
    ///
    /// # Errors
    /// When CloudFormation does not answer, or refuses.
    pub async fn delete_stack(&self, name: &str) -> Result<(), AdminError> {
        let form = Form::default().with("StackName", name);
        self.cloudformation("DeleteStack", &form).await.map(drop)
    }

    /// Calls an operation; the answer is its result.
    pub(super) async fn cloudformation(&self, operation: &str, form: &Form) -> Result<Element, AdminError> {
        let root = self.deploys.cloudformation.query(API_VERSION, operation, form).await?;
        let result = root.child(&format!("{operation}Result")).cloned();
        Ok(result.unwrap_or_default())
    }

    /// The members of a list over all its pages. It is a read, so it may be repeated.
    async fn pages(&self, operation: &str, form: &Form, list: &str) -> Result<Vec<Element>, AdminError> {
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let mut form = form.clone();
            if let Some(token) = &token {
                form.add("NextToken", token);
            }
            let answer = self.patiently(|| self.cloudformation(operation, &form)).await?;
            found.extend(answer.members(list).cloned());
            token = answer.text_of("NextToken").map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        Ok(found)
    }
}

/// Whether CloudFormation says that there is no such stack or change set. It has no code for it: this is the one place that reads
/// a message, and a message of another wording is told as what it is.
pub(super) fn is_absent(error: &AdminError) -> bool {
    match error {
        AdminError::Refused { code, message, .. } => {
            code == "ChangeSetNotFound" || (code.starts_with("ValidationError") && message.contains("does not exist"))
        }
        AdminError::NotFound { .. } => true,
        _ => false,
    }
}

fn stack_of(element: &Element) -> StackInfo {
    let pairs = |list: &str, name: &str, value: &str| {
        let members = element.members(list);
        members.map(|one| (one.owned(name), one.owned(value))).collect()
    };
    let changed = element
        .text_of("LastUpdatedTime")
        .or_else(|| element.text_of("CreationTime"));
    StackInfo {
        name: element.owned("StackName"),
        status: element.owned("StackStatus"),
        reason: element.text_of("StackStatusReason").map(str::to_owned),
        description: element.owned("Description"),
        changed_at: changed.unwrap_or_default().to_owned(),
        parameters: pairs("Parameters", "ParameterKey", "ParameterValue"),
        outputs: pairs("Outputs", "OutputKey", "OutputValue"),
    }
}

fn event_of(element: &Element) -> StackEvent {
    StackEvent {
        id: element.owned("EventId"),
        logical_id: element.owned("LogicalResourceId"),
        physical_id: element.owned("PhysicalResourceId"),
        resource_type: element.owned("ResourceType"),
        status: element.owned("ResourceStatus"),
        reason: element.text_of("ResourceStatusReason").map(str::to_owned),
        at: element.owned("Timestamp"),
    }
}

fn resource_of(element: &Element) -> StackResource {
    StackResource {
        logical_id: element.owned("LogicalResourceId"),
        physical_id: element.owned("PhysicalResourceId"),
        resource_type: element.owned("ResourceType"),
        status: element.owned("ResourceStatus"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_read_with_parameters_and_outputs() {
        let answer = "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>s</StackName>\
                      <StackStatus>ROLLBACK_COMPLETE</StackStatus><CreationTime>2026-11-30T00:00:00Z</CreationTime>\
                      <Parameters><member><ParameterKey>Prefix</ParameterKey><ParameterValue>p</ParameterValue></member></Parameters>\
                      <Outputs><member><OutputKey>CardsTableName</OutputKey><OutputValue>p-cards</OutputValue></member></Outputs>\
                      </member></Stacks></DescribeStacksResult></DescribeStacksResponse>";
        let root = Element::read(answer).unwrap();
        let stack = root
            .find("DescribeStacksResult")
            .unwrap()
            .members("Stacks")
            .map(stack_of)
            .next()
            .unwrap();
        assert_eq!((stack.name.as_str(), stack.status.as_str()), ("s", "ROLLBACK_COMPLETE"));
        assert_eq!(stack.parameters["Prefix"], "p");
        assert_eq!(stack.outputs["CardsTableName"], "p-cards");
        assert_eq!(
            (stack.reason, stack.changed_at.as_str()),
            (None, "2026-11-30T00:00:00Z")
        );
    }

    #[test]
    fn only_the_words_for_an_absent_stack_mean_that_there_is_none() {
        let refused = |code: &str, message: &str| AdminError::Refused {
            operation: "DescribeStacks".to_owned(),
            code: code.to_owned(),
            message: message.to_owned(),
        };
        assert!(is_absent(&refused("ValidationError", "Stack with id s does not exist")));
        assert!(is_absent(&refused("ChangeSetNotFound", "ChangeSet [c] does not exist")));
        assert!(!is_absent(&refused("ValidationError", "Template format error")));
        assert!(!is_absent(&refused("AccessDenied", "role r does not exist")));
    }
}
