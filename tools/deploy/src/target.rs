//! Where a stage is deployed: the account, the region and the clients; and which endpoints go with which credentials.

use terminal::error::CliError;
use terminal::ui;
use tidemark_aws::admin::{Admin, AdminError};
use tidemark_aws::{AwsSettings, CredentialSource, is_loopback};

use crate::args::StageArgs;
use crate::stage::Stage;

/// How often a stack on AWS is looked at, in milliseconds.
const LOOK_MS: u64 = 2_000;
/// The same on an emulator.
const LOOK_LOCAL_MS: u64 = 200;

/// A stage and where it is.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) stage: Stage,
    pub(crate) admin: Admin,
    pub(crate) account: String,
    /// Who the credentials belong to.
    pub(crate) caller: String,
    pub(crate) region: String,
    /// The endpoint, where one is set.
    pub(crate) endpoint: Option<String>,
}

impl Target {
    /// Reads the stage, checks the endpoint, and asks who the caller is.
    pub(crate) async fn open(
        args: &StageArgs,
        set: &[String],
        mut settings: AwsSettings,
        patience_ms: u64,
    ) -> Result<Self, CliError> {
        let stage = Stage::read(&args.stage, args.config.as_deref(), set)?;
        if let Some(endpoint) = &args.endpoint {
            settings = AwsSettings {
                credentials: settings.credentials,
                ..AwsSettings::local(&settings.region, endpoint, None)
            };
        }
        let endpoint = settings.endpoints.all.clone();
        if stage.is_local() {
            local_endpoint(endpoint.as_deref())?;
            settings.credentials = CredentialSource::Local;
        }
        if let Some(region) = &stage.region {
            settings.region.clone_from(region);
        }
        let admin = Admin::connect(&settings).await.patient(patience_ms, ui::waiting);
        let is_loopback = endpoint.as_deref().is_some_and(is_loopback);
        if !is_loopback && admin.uses_test_credentials().await {
            return Err(test_credentials(endpoint.as_deref()));
        }
        let caller = match admin.caller_arn().await {
            Ok(caller) => caller,
            Err(error) => {
                let unknown = nobody(&error);
                return Err(match admin.credentials_problem().await {
                    Some(problem) => unknown.without_credentials(&problem),
                    None => unknown,
                });
            }
        };
        let account = caller.split(':').nth(4).unwrap_or_default().to_owned();
        Ok(Self {
            region: settings.region,
            stage,
            admin,
            account,
            caller,
            endpoint,
        })
    }

    /// How often what is under way is looked at, in milliseconds.
    pub(crate) fn look_ms(&self) -> u64 {
        if self.stage.is_local() { LOOK_LOCAL_MS } else { LOOK_MS }
    }

    /// Another verb on this deployment, as somebody types it next.
    pub(crate) fn command(&self, verb: &str) -> String {
        let of = match verb {
            "" => String::new(),
            verb => format!(" {verb}"),
        };
        let endpoint = match &self.endpoint {
            Some(url) if self.stage.is_local() => format!(" --endpoint {url}"),
            _ => String::new(),
        };
        format!("tidemark deploy{of} --stage {}{endpoint}", self.stage.name)
    }
}

/// Nobody knows who the caller is.
fn nobody(error: &AdminError) -> CliError {
    let what = if error.is_expired() {
        "the credentials have expired".to_owned()
    } else {
        format!("it is not known who the caller is: {error}")
    };
    CliError::service(
        "deploy_credentials",
        what,
        "Set AWS_PROFILE and AWS_REGION, or log in (`aws sso login`); for an emulator check --endpoint. Nothing was deployed.",
    )
}

/// Stage local is on this machine, and says where.
fn local_endpoint(endpoint: Option<&str>) -> Result<(), CliError> {
    match endpoint {
        Some(url) if is_loopback(url) => Ok(()),
        Some(url) => Err(CliError::usage(
            "deploy_endpoint",
            format!("the endpoint {url} is not on this machine, and stage local has test credentials"),
            "Give the emulator on loopback, such as --endpoint http://127.0.0.1:4566. Nothing was sent.",
        )),
        None => Err(CliError::usage(
            "deploy_endpoint",
            "stage local needs the endpoint of an emulator on this machine",
            "Give --endpoint http://127.0.0.1:4566, or set AWS_ENDPOINT_URL.",
        )),
    }
}

fn test_credentials(endpoint: Option<&str>) -> CliError {
    let place = endpoint.map_or_else(
        || "AWS itself would be asked".to_owned(),
        |url| format!("the endpoint {url} is not on this machine"),
    );
    CliError::usage(
        "deploy_endpoint",
        format!("the credentials are the test ones (AWS_ACCESS_KEY_ID=test), and {place}"),
        "For an emulator give --stage local and its endpoint on loopback; for AWS take the exports back (unset AWS_ACCESS_KEY_ID \
         AWS_SECRET_ACCESS_KEY AWS_ENDPOINT_URL). Nothing was sent.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_elsewhere_is_refused_with_what_to_give() {
        let error = local_endpoint(Some("http://10.0.0.5:4566")).unwrap_err();
        assert_eq!(error.code, "deploy_endpoint");
        assert!(
            error.what.contains("10.0.0.5") && error.advice.contains("127.0.0.1"),
            "{error:?}"
        );
        assert!(local_endpoint(None).is_err());
        local_endpoint(Some("http://127.0.0.1:1")).unwrap();
    }
}
