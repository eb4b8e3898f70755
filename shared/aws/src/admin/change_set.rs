//! CloudFormation's change sets: what a deployment would do, before it is done.

use super::rim::Form;
use super::stack::is_absent;
use super::xml::Element;
use super::{Admin, AdminError};

/// Pages of changes that are read: a hundred changes each.
const PAGES_MAX: usize = 50;

/// Where a template is.
#[derive(Clone, Copy, Debug)]
pub enum TemplateAt<'a> {
    /// In the call; 51,200 bytes at most.
    Body(&'a str),
    /// In a bucket; a megabyte at most.
    Url(&'a str),
}

/// A resource that is there and that a stack is to take over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedResource {
    /// Its name in the template.
    pub logical_id: String,
    /// As in the template.
    pub resource_type: String,
    /// The property that tells it from others: `TableName`, `QueueUrl` …
    pub key: String,
    /// That property's value.
    pub value: String,
}

/// What kind of change it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeSetKind {
    /// Of a stack that is not there yet.
    Create,
    /// Of one that is.
    Update,
    /// Takes these over; the template has them, and nothing else that is new.
    Import(Vec<ImportedResource>),
}

impl ChangeSetKind {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Import(_) => "IMPORT",
        }
    }
}

/// A change set to make.
#[derive(Clone, Debug)]
pub struct NewChangeSet<'a> {
    /// The stack.
    pub stack: &'a str,
    /// Its own name.
    pub name: &'a str,
    /// What kind it is.
    pub kind: ChangeSetKind,
    /// The template.
    pub template: TemplateAt<'a>,
    /// Parameters that are given; the others have their defaults. One that is masked, as CloudFormation tells secrets, keeps what it has.
    pub parameters: &'a [(String, String)],
    /// Tags of everything in the stack.
    pub tags: &'a [(String, String)],
}

/// A change set as CloudFormation tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeSetInfo {
    /// `CREATE_PENDING`, `CREATE_IN_PROGRESS`, `CREATE_COMPLETE`, `FAILED` …
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// `AVAILABLE` when it can be carried out.
    pub execution_status: String,
    /// What it does.
    pub changes: Vec<StackChange>,
}

/// One change of a change set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StackChange {
    /// `Add`, `Modify`, `Remove`, `Import` …
    pub action: String,
    /// The resource, by its name in the template.
    pub logical_id: String,
    /// What it is called in AWS, where it is there already.
    pub physical_id: String,
    /// As in the template.
    pub resource_type: String,
    /// `True`, `False` or `Conditional`: whether a new one takes its place.
    pub replacement: Option<String>,
}

impl Admin {
    /// Has CloudFormation make a change set; it is not there yet when this returns.
    ///
    /// # Errors
    /// When CloudFormation does not answer, or refuses.
    pub async fn create_change_set(&self, new: &NewChangeSet<'_>) -> Result<(), AdminError> {
        self.cloudformation("CreateChangeSet", &form_of(new)).await.map(drop)
    }

    /// A change set with its changes; `None` when there is none.
    ///
    /// # Errors
    /// When CloudFormation does not answer, or refuses.
    pub async fn change_set(&self, stack: &str, name: &str) -> Result<Option<ChangeSetInfo>, AdminError> {
        let mut info = ChangeSetInfo::default();
        let mut token: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let mut form = named(stack, name);
            if let Some(token) = &token {
                form.add("NextToken", token);
            }
            let asked = self.patiently(|| self.cloudformation("DescribeChangeSet", &form)).await;
            let answer = match asked {
                Err(error) if is_absent(&error) => return Ok(None),
                other => other?,
            };
            info.status = answer.owned("Status");
            info.reason = answer.text_of("StatusReason").map(str::to_owned);
            info.execution_status = answer.owned("ExecutionStatus");
            info.changes.extend(answer.members("Changes").filter_map(change_of));
            token = answer.text_of("NextToken").map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        Ok(Some(info))
    }

    /// Begins to carry a change set out.
    ///
    /// # Errors
    /// When CloudFormation does not answer, or refuses.
    pub async fn execute_change_set(&self, stack: &str, name: &str) -> Result<(), AdminError> {
        let form = named(stack, name);
        self.cloudformation("ExecuteChangeSet", &form).await.map(drop)
    }

    /// Deletes a change set; nothing of the stack changes.
    ///
    /// # Errors
    /// When CloudFormation does not answer, or refuses.
    pub async fn delete_change_set(&self, stack: &str, name: &str) -> Result<(), AdminError> {
        let form = named(stack, name);
        self.cloudformation("DeleteChangeSet", &form).await.map(drop)
    }
}

/// The asterisks that stand for a secret, at least.
const MASK_BYTES_MIN: usize = 4;

fn named(stack: &str, name: &str) -> Form {
    Form::default().with("StackName", stack).with("ChangeSetName", name)
}

fn form_of(new: &NewChangeSet<'_>) -> Form {
    let mut form = named(new.stack, new.name).with("ChangeSetType", new.kind.as_str());
    match new.template {
        TemplateAt::Body(text) => form.add("TemplateBody", text),
        TemplateAt::Url(url) => form.add("TemplateURL", url),
    }
    // Roles and policies of functions; and SAM, which is a macro.
    let capabilities = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"];
    for (at, capability) in (1..).zip(capabilities) {
        form.add(&format!("Capabilities.member.{at}"), capability);
    }
    for (at, (name, value)) in (1..).zip(new.parameters) {
        form.add(&format!("Parameters.member.{at}.ParameterKey"), name);
        if is_masked(value) {
            form.add(&format!("Parameters.member.{at}.UsePreviousValue"), "true");
        } else {
            form.add(&format!("Parameters.member.{at}.ParameterValue"), value);
        }
    }
    for (at, (name, value)) in (1..).zip(new.tags) {
        form.add(&format!("Tags.member.{at}.Key"), name);
        form.add(&format!("Tags.member.{at}.Value"), value);
    }
    if let ChangeSetKind::Import(resources) = &new.kind {
        for (at, one) in (1..).zip(resources) {
            let of = |member: &str| format!("ResourcesToImport.member.{at}.{member}");
            form.add(&of("ResourceType"), &one.resource_type);
            form.add(&of("LogicalResourceId"), &one.logical_id);
            form.add(&of("ResourceIdentifier.entry.1.key"), &one.key);
            form.add(&of("ResourceIdentifier.entry.1.value"), &one.value);
        }
    }
    form
}

/// Whether a value is what CloudFormation tells in the place of a secret (`NoEcho`): whoever gives it back means what is there.
fn is_masked(value: &str) -> bool {
    value.len() >= MASK_BYTES_MIN && value.bytes().all(|byte| byte == b'*')
}

fn change_of(element: &Element) -> Option<StackChange> {
    let change = element.child("ResourceChange")?;
    Some(StackChange {
        action: change.owned("Action"),
        logical_id: change.owned("LogicalResourceId"),
        physical_id: change.owned("PhysicalResourceId"),
        resource_type: change.owned("ResourceType"),
        replacement: change.text_of("Replacement").map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CloudFormation tells a parameter that is a secret as asterisks. Given back as they are they would take the secret's place.
    #[test]
    fn a_masked_parameter_keeps_its_value() {
        let parameters = ["p", "****", "*****", "***"];
        let parameters: Vec<(String, String)> = (1..)
            .zip(parameters)
            .map(|(at, value)| (format!("P{at}"), value.to_owned()))
            .collect();
        let form = form_of(&NewChangeSet {
            stack: "s",
            name: "n",
            kind: ChangeSetKind::Update,
            template: TemplateAt::Body("{}"),
            parameters: &parameters,
            tags: &[],
        });
        let text = format!("{form:?}");
        for given in [
            "1.ParameterValue=p",
            "2.UsePreviousValue=true",
            "3.UsePreviousValue=true",
        ] {
            assert!(text.contains(&format!("Parameters.member.{given}")), "{given}: {text}");
        }
        assert!(!text.contains("member.2.ParameterValue") && text.contains("member.4.ParameterValue"));
    }
}
