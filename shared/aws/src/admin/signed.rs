//! Requests that are built and signed here, for the few operations whose generated clients would cost more than they do.

use std::time::{Duration, SystemTime};

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use tidemark_engine::port::PortError;

use super::AdminError;

/// Time to ask for credentials and to sign.
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(10);

/// A request before it is signed.
pub(super) struct Unsigned<'a> {
    /// The service's name in signatures, and in its endpoint.
    pub(super) service: &'a str,
    pub(super) method: &'a str,
    pub(super) uri: &'a str,
    pub(super) content_type: &'a str,
    /// Headers besides the type of the payload; names in lower case.
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) payload: &'a [u8],
}

impl Unsigned<'_> {
    pub(super) async fn sign(
        &self,
        provider: Option<&SharedCredentialsProvider>,
        region: &str,
    ) -> Result<HttpRequest, AdminError> {
        let failed = |why: &str| AdminError::Call(PortError::Permanent(format!("{}: {why}", self.service)));
        let provider = provider.ok_or_else(|| failed("no credentials"))?;
        let credentials = tokio::time::timeout(CREDENTIALS_TIMEOUT, provider.provide_credentials())
            .await
            .map_err(|_| failed("no credentials within their time"))?
            .map_err(|error| failed(&format!("no credentials: {error}")))?;
        let identity = credentials.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(self.service)
            .time(now())
            .settings(signing(self.service))
            .build()
            .map_err(|error| failed(&error.to_string()))?
            .into();
        let own = [("content-type", self.content_type)];
        let headers = || own.iter().chain(self.headers).copied();
        let body = SignableBody::Bytes(self.payload);
        let signable =
            SignableRequest::new(self.method, self.uri, headers(), body).map_err(|error| failed(&error.to_string()))?;
        let (instructions, _) = sign(signable, &params)
            .map_err(|error| failed(&error.to_string()))?
            .into_parts();
        let mut request = HttpRequest::new(SdkBody::from(self.payload));
        request
            .set_method(self.method)
            .map_err(|error| failed(&error.to_string()))?;
        request.set_uri(self.uri).map_err(|error| failed(&error.to_string()))?;
        let signature = instructions
            .headers()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let plain = headers().map(|(name, value)| (name.to_owned(), value.to_owned()));
        for (name, value) in plain.chain(signature) {
            request.headers_mut().insert(name, value);
        }
        Ok(request)
    }
}

/// How a service wants to be signed to: S3 has its own rules.
fn signing(service: &str) -> SigningSettings {
    let mut settings = SigningSettings::default();
    if service == "s3" {
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    }
    settings
}

/// A service's endpoint in a region, where none is set.
pub(super) fn public_endpoint(service: &str, region: &str) -> String {
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://{service}.{region}.amazonaws.com{suffix}")
}

/// rustls on ring; the machine's root certificates are read only where TLS is needed.
pub(super) fn connector(endpoint: &str) -> SharedHttpConnector {
    let builder = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::Ring));
    if endpoint.starts_with("http://")
        && let Ok(context) = TlsContext::builder().with_trust_store(TrustStore::empty()).build()
    {
        return SharedHttpConnector::new(builder.tls_context(context).build());
    }
    SharedHttpConnector::new(builder.build())
}

#[allow(
    clippy::disallowed_methods,
    reason = "the rim: a signature names the time at which it was made"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_those_of_the_region() {
        assert_eq!(
            public_endpoint("lambda", "eu-west-1"),
            "https://lambda.eu-west-1.amazonaws.com"
        );
        assert_eq!(
            public_endpoint("sts", "cn-north-1"),
            "https://sts.cn-north-1.amazonaws.com.cn"
        );
    }
}
