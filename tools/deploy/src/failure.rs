//! What a failed call means in the middle of a deployment: what happened, what is left, and the next command.

use terminal::error::CliError;
use tidemark_aws::admin::AdminError;

use crate::target::Target;

/// A service did not do what it was asked.
pub(crate) fn service(target: &Target, code: &'static str, what: &str, error: &AdminError) -> CliError {
    if error.is_expired() {
        return expired(target, what);
    }
    let advice = match error {
        AdminError::Refused { code, .. } if code.starts_with("AccessDenied") || code == "UnauthorizedOperation" => {
            format!(
                "The caller is {}: docs/reference/deploy.md says what it may have to do. Then run it again.",
                target.caller
            )
        }
        AdminError::Refused { .. } => format!(
            "Mend what it names, and run it again; `{}` says how things stand.",
            target.command("status")
        ),
        _ => format!("Run it again; `{}` says how things stand.", target.command("status")),
    };
    // The codes are written out where errors are looked for.
    let what = format!("{what}: {error}");
    match code {
        "deploy_artifacts" => CliError::service("deploy_artifacts", what, advice),
        "deploy_change" => CliError::service("deploy_change", what, advice),
        "deploy_smoke" => CliError::service("deploy_smoke", what, advice),
        _ => CliError::service("deploy_look", what, advice),
    }
}

/// The credentials were good at the beginning.
pub(crate) fn expired(target: &Target, what: &str) -> CliError {
    CliError::service(
        "deploy_credentials",
        format!("the credentials have expired in the middle: {what}"),
        format!(
            "What CloudFormation was doing goes on without you. Log in again (`aws sso login`), look with `{}`, and deploy again.",
            target.command("status")
        ),
    )
}
