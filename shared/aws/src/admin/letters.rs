//! [`LetterBucket`] on S3: list, get and delete, in requests that are built and signed here. The redrive function uses it, and tools.

use std::time::Duration;

use tidemark_engine::port::PortError;
use tidemark_redrive::object::KEYS_PREFIX;
use tidemark_redrive::port::{BucketAnswer, LetterBucket, ObjectInfo, ObjectPage};

use super::bucket::{ask, bucket_uri};
use super::error::is_expired;
use super::rim::{Rim, encoded};
use super::xml::Element;
use super::{Admin, AdminError};
use crate::client::{AwsSettings, shared_config};
use crate::limits::{ATTEMPT_TIMEOUT_MS, LIST_KEYS_MAX, OBJECT_TIMEOUT_MS};

/// The name of a deployment's bucket of dead letters, as the template gives it. All of S3 has one space of names, so it says whose and
/// where; it is short, since a name has 63 letters and a prefix may have 31 of them.
#[must_use]
pub fn letter_bucket_name(prefix: &str, account: &str, region: &str) -> String {
    format!("{prefix}-dl-{account}-{region}")
}

/// A bucket of dead letters.
#[derive(Clone, Debug)]
pub struct S3Bucket {
    storage: Rim,
    name: String,
}

impl S3Bucket {
    /// The bucket called `name`. No network call.
    pub async fn connect(settings: &AwsSettings, name: impl Into<String>) -> Self {
        Self {
            storage: Rim::new("s3", settings, &shared_config(settings).await),
            name: name.into(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    async fn send(&self, operation: &str, method: &str, uri: &str, wait_ms: u64) -> Result<Vec<u8>, AdminError> {
        let sent = self.storage.send(ask(operation, method, uri, &[], &[]));
        let answered = tokio::time::timeout(Duration::from_millis(wait_ms), sent).await;
        let late = || PortError::Timeout(format!("{operation}: no answer within {wait_ms} ms"));
        answered.map_err(|_| late())?.map(|(_, body)| body)
    }

    async fn page(&self, after: Option<&str>) -> Result<ObjectPage, AdminError> {
        let mut query = format!("list-type=2&max-keys={LIST_KEYS_MAX}&prefix={}", encoded(KEYS_PREFIX));
        if let Some(after) = after {
            // Parameters stand in their order, as the signature has them.
            query += &format!("&start-after={}", encoded(after));
        }
        let uri = format!("{}?{query}", bucket_uri(&self.storage, &self.name, None));
        let body = self.send("ListObjectsV2", "GET", &uri, OBJECT_TIMEOUT_MS).await?;
        let listed = Element::read(&String::from_utf8_lossy(&body)).as_ref().and_then(listed);
        listed.ok_or_else(|| PortError::Unavailable("ListObjectsV2: the answer could not be read".to_owned()).into())
    }

    /// The letters from behind `after` on; `None`: there is no such bucket.
    ///
    /// # Errors
    /// When S3 does not answer, or refuses.
    pub async fn letters(&self, after: Option<&str>) -> Result<Option<ObjectPage>, AdminError> {
        match self.page(after).await {
            Ok(page) => Ok(Some(page)),
            Err(AdminError::Refused { code, .. }) if code == "NoSuchBucket" => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl LetterBucket for S3Bucket {
    fn list<'a>(&'a self, after: Option<&'a str>) -> BucketAnswer<'a, ObjectPage> {
        Box::pin(async move { self.page(after).await.map_err(of_port) })
    }

    fn get<'a>(&'a self, key: &'a str) -> BucketAnswer<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let uri = bucket_uri(&self.storage, &self.name, Some(key));
            match self.send("GetObject", "GET", &uri, OBJECT_TIMEOUT_MS).await {
                Ok(bytes) => Ok(Some(bytes)),
                Err(AdminError::Refused { code, .. }) if code == "NoSuchKey" => Ok(None),
                Err(error) => Err(of_port(error)),
            }
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> BucketAnswer<'a, ()> {
        Box::pin(async move {
            let uri = bucket_uri(&self.storage, &self.name, Some(key));
            // As short as any call: it is one of the last of an invocation.
            let done = self.send("DeleteObject", "DELETE", &uri, ATTEMPT_TIMEOUT_MS).await;
            done.map(drop).map_err(of_port)
        })
    }
}

impl Admin {
    /// The bucket of dead letters of the deployment `prefix`, whether it is there or not.
    ///
    /// # Errors
    /// When STS does not say whose the credentials are.
    pub async fn letter_bucket(&self, prefix: &str) -> Result<S3Bucket, AdminError> {
        let caller = self.caller_arn().await?;
        let account = caller.split(':').nth(4).unwrap_or_default();
        let storage = self.deploys.storage.clone();
        let name = letter_bucket_name(prefix, account, storage.region());
        Ok(S3Bucket { storage, name })
    }
}

/// What a failure means to a redrive. A refusal's words stay here, since they may repeat a name.
fn of_port(error: AdminError) -> PortError {
    match error {
        AdminError::Call(error) => error,
        AdminError::Refused { operation, code, .. } if is_expired(&code) => {
            // A function's credentials are renewed.
            PortError::Unavailable(format!("{operation}: {code}"))
        }
        AdminError::Refused { operation, code, .. } => PortError::Permanent(format!("{operation}: {code}")),
        other => PortError::Permanent(other.to_string()),
    }
}

/// What a list says; `None`: it is no list.
fn listed(root: &Element) -> Option<ObjectPage> {
    if root.name != "ListBucketResult" {
        return None;
    }
    let objects = root.children_of("Contents").map(|object| {
        Some(ObjectInfo {
            key: object.text_of("Key")?.to_owned(),
            bytes: object.text_of("Size")?.parse().ok()?,
            written_ms: written_ms(object.text_of("LastModified")?)?,
        })
    });
    Some(ObjectPage {
        objects: objects.collect::<Option<_>>()?,
        more: root.text_of("IsTruncated")? == "true",
    })
}

/// A time as S3 writes it: `2026-11-23T02:00:00.000Z`.
fn written_ms(text: &str) -> Option<i64> {
    let time = aws_smithy_types::DateTime::from_str(text, aws_smithy_types::date_time::Format::DateTime).ok()?;
    time.to_millis().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_whole_or_not_at_all() {
        let object = |key: &str| {
            format!(
                "<Contents><Key>{key}</Key><LastModified>2026-11-23T02:00:00.000Z</LastModified><ETag>&quot;e&quot;</ETag>\
                 <Size>7</Size><StorageClass>STANDARD</StorageClass></Contents>"
            )
        };
        let list = |more: bool, objects: &str| {
            format!(
                "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>\
                 <IsTruncated>{more}</IsTruncated>{objects}</ListBucketResult>"
            )
        };
        let read = |text: &str| listed(&Element::read(text).unwrap());
        let both = read(&list(true, &(object("a&amp;b") + &object("c")))).unwrap();
        let keys: Vec<&str> = both.objects.iter().map(|object| object.key.as_str()).collect();
        assert_eq!((keys, both.more), (vec!["a&b", "c"], true));
        assert_eq!(
            (both.objects[0].bytes, both.objects[0].written_ms),
            (7, 1_795_399_200_000)
        );
        assert_eq!(read(&list(false, "")), Some(ObjectPage::default()));
        assert_eq!(read("<Error><Code>x</Code></Error>"), None);
        assert_eq!(read(&list(false, &object("a").replace("Size", "Length"))), None);
    }

    #[test]
    fn a_refusal_names_its_code_and_no_more() {
        let refused = |code: &str| AdminError::Refused {
            operation: "GetObject".to_owned(),
            code: code.to_owned(),
            message: "aws/lambda/4111".to_owned(),
        };
        let denied = of_port(refused("AccessDenied"));
        assert_eq!(
            denied.to_string(),
            PortError::Permanent("GetObject: AccessDenied".to_owned()).to_string()
        );
        assert!(of_port(refused("ExpiredToken")).is_transient());
    }
}
