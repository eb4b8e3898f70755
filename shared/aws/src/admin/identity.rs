//! STS: who the credentials belong to. One operation, signed here as Lambda's are.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{HttpConnector as _, SharedHttpConnector};
use aws_smithy_types::byte_stream::ByteStream;
use tidemark_engine::causes;
use tidemark_engine::port::PortError;

use super::rim::refusal;
use super::signed::{Unsigned, connector, public_endpoint};
use super::{Admin, AdminError};
use crate::client::AwsSettings;

const OPERATION: &str = "GetCallerIdentity";
const BODY: &[u8] = b"Action=GetCallerIdentity&Version=2011-06-15";
/// Time for the call: it decides a name in a record, and nothing waits longer for that.
const WAIT: Duration = Duration::from_secs(5);
/// The key id that local clouds are used with.
const TEST_KEY_ID: &str = "test";
/// Characters of an ARN (IAM's limit).
const ARN_CHARS_MAX: usize = 2_048;

/// Where callers are named.
#[derive(Clone, Debug)]
pub(super) struct Sts {
    endpoint: String,
    region: String,
    credentials: Option<SharedCredentialsProvider>,
    http: SharedHttpConnector,
}

impl Sts {
    /// No network call.
    pub(super) fn new(settings: &AwsSettings, shared: &SdkConfig) -> Self {
        let own = settings.endpoints.sts.as_ref().or(settings.endpoints.all.as_ref());
        let endpoint = own.cloned().unwrap_or_else(|| public_endpoint("sts", &settings.region));
        Self {
            http: connector(&endpoint),
            endpoint,
            region: settings.region.clone(),
            credentials: shared.credentials_provider(),
        }
    }

    async fn ask(&self) -> Result<String, AdminError> {
        let unavailable = |why: &str| AdminError::Call(PortError::Unavailable(format!("{OPERATION}: {why}")));
        let uri = format!("{}/", self.endpoint.trim_end_matches('/'));
        let unsigned = Unsigned {
            service: "sts",
            method: "POST",
            uri: &uri,
            content_type: "application/x-www-form-urlencoded",
            headers: &[],
            payload: BODY,
        };
        let request = unsigned.sign(self.credentials.as_ref(), &self.region).await?;
        let response = self.http.call(request).await;
        let mut response = response.map_err(|_| unavailable("connection failed"))?;
        let status = response.status().as_u16();
        let body = ByteStream::new(response.take_body()).collect().await;
        let body = body.map_err(|_| unavailable("the answer broke off"))?.to_vec();
        if !(200..300).contains(&status) {
            return Err(refusal(OPERATION, status, &String::from_utf8_lossy(&body)));
        }
        arn_in(&String::from_utf8_lossy(&body)).ok_or_else(|| unavailable("the answer names no ARN"))
    }
}

impl Admin {
    /// The ARN of whoever the credentials belong to. IAM can't forbid this call.
    ///
    /// # Errors
    /// When there are no credentials, or STS does not answer.
    pub async fn caller_arn(&self) -> Result<String, AdminError> {
        let asked = tokio::time::timeout(WAIT, self.sts.ask()).await;
        asked.unwrap_or_else(|_| {
            let text = format!("{OPERATION}: no answer within {} s", WAIT.as_secs());
            Err(AdminError::Call(PortError::Timeout(text)))
        })
    }

    /// Whether the credentials are the ones that local clouds are used with: AWS knows nobody of that name.
    pub async fn uses_test_credentials(&self) -> bool {
        let Some(provider) = &self.sts.credentials else {
            return false;
        };
        let given = tokio::time::timeout(WAIT, provider.provide_credentials()).await;
        matches!(given, Ok(Ok(credentials)) if credentials.access_key_id() == TEST_KEY_ID)
    }

    /// Why there are no credentials, with every cause that is known; `None` when there are some. It says nothing of whether a
    /// service takes them.
    pub async fn credentials_problem(&self) -> Option<String> {
        let Some(provider) = &self.sts.credentials else {
            return Some("nothing gives credentials".to_owned());
        };
        match tokio::time::timeout(WAIT, provider.provide_credentials()).await {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(causes(&error)),
            Err(_) => Some(format!("no credentials came within {} s", WAIT.as_secs())),
        }
    }
}

/// The ARN of an answer, which is XML with one element `Arn`, or the same as JSON.
fn arn_in(answer: &str) -> Option<String> {
    let after = ["<Arn>", "\"Arn\":"]
        .into_iter()
        .find_map(|start| answer.split(start).nth(1))?;
    let text = after.trim_start_matches([' ', '"']);
    let arn = text.split(['<', '"']).next()?;
    let is_arn =
        arn.starts_with("arn:") && arn.len() <= ARN_CHARS_MAX && arn.bytes().all(|byte| byte.is_ascii_graphic());
    is_arn.then(|| arn.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arn_is_found_in_xml_and_json_and_nothing_else_is_taken_for_one() {
        let xml = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
                   <Arn>arn:aws:sts::123456789012:assumed-role/OnCall/alice</Arn><UserId>AROA:alice</UserId>\
                   <Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";
        let arn = "arn:aws:sts::123456789012:assumed-role/OnCall/alice";
        assert_eq!(arn_in(xml).as_deref(), Some(arn));
        assert_eq!(arn_in(&format!("{{\"Arn\": \"{arn}\"}}")).as_deref(), Some(arn));
        for wrong in [
            "",
            "<Arn></Arn>",
            "<Arn>alice</Arn>",
            "<Arn>arn:a\u{1b}[2J</Arn>",
            "{\"Account\":1}",
        ] {
            assert_eq!(arn_in(wrong), None, "{wrong:?}");
        }
    }
}
