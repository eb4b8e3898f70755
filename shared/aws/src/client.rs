//! The SDK's clients: endpoints, credentials, timeouts and TLS in one place.
//!
//! Nothing here goes to the network: credentials and connections come with the first call.

use std::time::Duration;

use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};

use crate::limits;

/// Where the services are; `None` is AWS's own endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// For every service without an endpoint of its own (`AWS_ENDPOINT_URL`).
    pub all: Option<String>,
    /// DynamoDB's (`AWS_ENDPOINT_URL_DYNAMODB`).
    pub dynamodb: Option<String>,
    /// Kinesis's (`AWS_ENDPOINT_URL_KINESIS`).
    pub kinesis: Option<String>,
    /// SQS's (`AWS_ENDPOINT_URL_SQS`).
    pub sqs: Option<String>,
    /// Lambda's (`AWS_ENDPOINT_URL_LAMBDA`); only tools invoke functions.
    pub lambda: Option<String>,
    /// STS's (`AWS_ENDPOINT_URL_STS`); only tools ask who the caller is.
    pub sts: Option<String>,
}

impl Endpoints {
    /// Reads the AWS variables that name endpoints through `variable`; an empty value counts as absent.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let read = |name| variable(name).filter(|value| !value.is_empty());
        Self {
            all: read("AWS_ENDPOINT_URL"),
            dynamodb: read("AWS_ENDPOINT_URL_DYNAMODB"),
            kinesis: read("AWS_ENDPOINT_URL_KINESIS"),
            sqs: read("AWS_ENDPOINT_URL_SQS"),
            lambda: read("AWS_ENDPOINT_URL_LAMBDA"),
            sts: read("AWS_ENDPOINT_URL_STS"),
        }
    }

    /// Whether no call can need TLS: each service has an endpoint, and all are plain HTTP.
    #[must_use]
    pub fn plain_http_only(&self) -> bool {
        [&self.dynamodb, &self.kinesis, &self.sqs].into_iter().all(|own| {
            own.as_ref()
                .or(self.all.as_ref())
                .is_some_and(|url| url.starts_with("http://"))
        })
    }
}

/// Where credentials come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CredentialSource {
    /// The usual chain: environment, profile files, web identity, container, instance.
    #[default]
    Chain,
    /// Fixed test credentials, for a local AWS that checks none.
    Local,
}

/// What the clients need to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsSettings {
    /// The region, always named: looking it up would cost a call to the instance's metadata service.
    pub region: String,
    /// Where the services are.
    pub endpoints: Endpoints,
    /// Where credentials come from.
    pub credentials: CredentialSource,
}

impl AwsSettings {
    /// Settings for a local AWS on loopback: test credentials, and DynamoDB's endpoint apart where it has one.
    #[must_use]
    pub fn local(region: &str, endpoint: &str, dynamodb_endpoint: Option<&str>) -> Self {
        Self {
            region: region.to_owned(),
            endpoints: Endpoints {
                all: Some(endpoint.to_owned()),
                dynamodb: dynamodb_endpoint.map(str::to_owned),
                ..Endpoints::default()
            },
            credentials: CredentialSource::Local,
        }
    }
}

/// Whether a URL names this machine's loopback: what test credentials may be sent to.
#[must_use]
pub fn is_loopback(url: &str) -> bool {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let Some(host) = host.filter(|host| !host.contains('@')) else {
        return false;
    };
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// One client a service, sharing one HTTP client.
#[derive(Clone, Debug)]
pub struct Clients {
    /// DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// Kinesis.
    pub kinesis: aws_sdk_kinesis::Client,
    /// SQS.
    pub sqs: aws_sdk_sqs::Client,
}

/// Builds the clients. No network call.
pub async fn connect(settings: &AwsSettings) -> Clients {
    clients_of(settings, &shared_config(settings).await)
}

/// The clients over what they share.
pub(crate) fn clients_of(settings: &AwsSettings, shared: &SdkConfig) -> Clients {
    let Endpoints {
        all,
        dynamodb,
        kinesis,
        sqs,
        ..
    } = &settings.endpoints;
    let mut for_dynamodb = aws_sdk_dynamodb::config::Builder::from(shared);
    let mut for_kinesis = aws_sdk_kinesis::config::Builder::from(shared);
    let mut for_sqs = aws_sdk_sqs::config::Builder::from(shared);
    // Set on each service, so that what was read once is what holds, whatever the environment says later.
    if let Some(url) = dynamodb.as_ref().or(all.as_ref()) {
        for_dynamodb = for_dynamodb.endpoint_url(url);
    }
    if let Some(url) = kinesis.as_ref().or(all.as_ref()) {
        for_kinesis = for_kinesis.endpoint_url(url);
    }
    if let Some(url) = sqs.as_ref().or(all.as_ref()) {
        for_sqs = for_sqs.endpoint_url(url);
    }
    Clients {
        dynamodb: aws_sdk_dynamodb::Client::from_conf(for_dynamodb.build()),
        kinesis: aws_sdk_kinesis::Client::from_conf(for_kinesis.build()),
        sqs: aws_sdk_sqs::Client::from_conf(for_sqs.build()),
    }
}

pub(crate) async fn shared_config(settings: &AwsSettings) -> SdkConfig {
    // A named version, so that an update of the SDK does not change behaviour by itself.
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(Region::new(settings.region.clone()))
        .http_client(http_client(settings.endpoints.plain_http_only()))
        .timeout_config(timeouts())
        .retry_config(RetryConfig::standard().with_max_attempts(limits::SDK_ATTEMPTS_MAX))
        // Every answer is small and bounded by the attempt's timeout; watching its throughput would only cost.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if let Some(all) = &settings.endpoints.all {
        loader = loader.endpoint_url(all);
    }
    if settings.credentials == CredentialSource::Local {
        loader = loader.credentials_provider(Credentials::new("test", "test", None, None, "tidemark-local"));
    }
    loader.load().await
}

fn timeouts() -> TimeoutConfig {
    let attempt = Duration::from_millis(limits::ATTEMPT_TIMEOUT_MS);
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_millis(limits::CONNECT_TIMEOUT_MS))
        .read_timeout(Duration::from_millis(limits::READ_TIMEOUT_MS))
        .operation_attempt_timeout(attempt)
        .operation_timeout(attempt)
        .build()
}

/// rustls on ring. Where no call can need TLS, the machine's root certificates (some ten milliseconds) are not read.
fn http_client(plain_http_only: bool) -> SharedHttpClient {
    let builder = Builder::new()
        .pool_idle_timeout(limits::IDLE_CONNECTION_KEPT)
        .tls_provider(Provider::Rustls(CryptoMode::Ring));
    if !plain_http_only {
        return builder.build_https();
    }
    match TlsContext::builder().with_trust_store(TrustStore::empty()).build() {
        Ok(context) => builder.tls_context(context).build_https(),
        Err(_) => builder.build_https(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_come_from_the_variables_of_aws() {
        let endpoints = Endpoints::from_variables(|name| match name {
            "AWS_ENDPOINT_URL" => Some("http://127.0.0.1:1".to_owned()),
            "AWS_ENDPOINT_URL_DYNAMODB" => Some("http://127.0.0.1:2".to_owned()),
            "AWS_ENDPOINT_URL_SQS" => Some(String::new()),
            _ => None,
        });
        assert_eq!(endpoints.all.as_deref(), Some("http://127.0.0.1:1"));
        assert_eq!(endpoints.dynamodb.as_deref(), Some("http://127.0.0.1:2"));
        assert_eq!(endpoints.sqs, None, "an empty variable is an absent one");
    }

    #[test]
    fn only_names_and_addresses_of_this_machine_are_loopback() {
        for url in [
            "http://127.0.0.1:4566",
            "http://localhost",
            "http://[::1]:1/",
            "http://127.9.9.9",
            "https://LOCALHOST:1",
        ] {
            assert!(is_loopback(url), "{url}");
        }
        for url in [
            "http://10.0.0.5:4566",
            "http://localhost.evil.example",
            "http://127.0.0.1@evil.example",
            "http://localstack:4566",
            "127.0.0.1",
            "http://0.0.0.0",
            "",
        ] {
            assert!(!is_loopback(url), "{url}");
        }
    }

    #[test]
    fn tls_roots_are_spared_only_when_every_service_is_plain_http() {
        let local = AwsSettings::local("eu-west-1", "http://127.0.0.1:1", Some("http://127.0.0.1:2")).endpoints;
        assert!(local.plain_http_only());
        assert!(!Endpoints::default().plain_http_only(), "AWS itself is HTTPS");
        let mixed = Endpoints {
            sqs: Some("https://sqs.example".to_owned()),
            ..local
        };
        assert!(!mixed.plain_http_only());
        let only_dynamodb = Endpoints {
            dynamodb: Some("http://127.0.0.1:2".to_owned()),
            ..Endpoints::default()
        };
        assert!(!only_dynamodb.plain_http_only(), "the others still go to AWS");
    }
}
