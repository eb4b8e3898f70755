//! S3: the bucket that a deployment's code and templates go to.

use super::rim::{Ask, Rim, encoded};
use super::{Admin, AdminError};

/// The region in which a bucket is made without naming it.
const NAMELESS_REGION: &str = "us-east-1";

impl Admin {
    /// Whether a bucket is there, and is this account's.
    ///
    /// # Errors
    /// When it is somebody else's, or S3 does not answer.
    pub async fn bucket_is_there(&self, bucket: &str, account: &str) -> Result<bool, AdminError> {
        let owner = [("x-amz-expected-bucket-owner", account)];
        let uri = bucket_uri(&self.deploys.storage, bucket, None);
        let ask = ask("HeadBucket", "HEAD", &uri, &owner, &[]);
        found(self.deploys.storage.send(ask).await)
    }

    /// Makes a bucket. S3 encrypts what is put into it, and lets nobody else read it, by its own defaults.
    ///
    /// # Errors
    /// When S3 does not answer, or refuses.
    pub async fn create_bucket(&self, bucket: &str) -> Result<(), AdminError> {
        let region = self.deploys.storage.region();
        let body = if region == NAMELESS_REGION {
            String::new()
        } else {
            format!(
                "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>{region}</LocationConstraint>\
                 </CreateBucketConfiguration>"
            )
        };
        let uri = bucket_uri(&self.deploys.storage, bucket, None);
        let ask = ask("CreateBucket", "PUT", &uri, &[], body.as_bytes());
        match self.deploys.storage.send(ask).await {
            Err(AdminError::Refused { code, .. }) if code == "BucketAlreadyOwnedByYou" => Ok(()),
            other => other.map(drop),
        }
    }

    /// Whether an object is there.
    ///
    /// # Errors
    /// When S3 does not answer, or refuses.
    pub async fn object_is_there(&self, bucket: &str, key: &str, account: &str) -> Result<bool, AdminError> {
        let owner = [("x-amz-expected-bucket-owner", account)];
        let uri = bucket_uri(&self.deploys.storage, bucket, Some(key));
        found(
            self.deploys
                .storage
                .send(ask("HeadObject", "HEAD", &uri, &owner, &[]))
                .await,
        )
    }

    /// Puts an object.
    ///
    /// # Errors
    /// When S3 does not answer, or refuses.
    pub async fn put_object(&self, bucket: &str, key: &str, account: &str, bytes: &[u8]) -> Result<(), AdminError> {
        let owner = [("x-amz-expected-bucket-owner", account)];
        let uri = bucket_uri(&self.deploys.storage, bucket, Some(key));
        self.deploys
            .storage
            .send(ask("PutObject", "PUT", &uri, &owner, bytes))
            .await
            .map(drop)
    }

    /// Where an object is, as CloudFormation takes it for a template.
    #[must_use]
    pub fn object_url(&self, bucket: &str, key: &str) -> String {
        bucket_uri(&self.deploys.storage, bucket, Some(key))
    }
}

/// A bucket's place: a host of its own on AWS, a folder of an endpoint that was set.
pub(super) fn bucket_uri(storage: &Rim, bucket: &str, key: Option<&str>) -> String {
    let key = key.map_or_else(String::new, |key| {
        key.split('/').map(encoded).collect::<Vec<_>>().join("/")
    });
    if let Some(endpoint) = storage.endpoint() {
        return match key.as_str() {
            "" => format!("{endpoint}/{bucket}"),
            key => format!("{endpoint}/{bucket}/{key}"),
        };
    }
    let region = storage.region();
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://{bucket}.s3.{region}.amazonaws.com{suffix}/{key}")
}

pub(super) fn ask<'a>(
    operation: &'a str,
    method: &'a str,
    uri: &'a str,
    headers: &'a [(&'a str, &'a str)],
    payload: &'a [u8],
) -> Ask<'a> {
    Ask {
        operation,
        method,
        uri,
        content_type: "application/octet-stream",
        headers,
        payload,
    }
}

/// What HEAD says: it has no body, so the status is all.
fn found(answer: Result<(u16, Vec<u8>), AdminError>) -> Result<bool, AdminError> {
    match answer {
        Ok(_) => Ok(true),
        Err(AdminError::Refused { code, .. })
            if code == "HTTP 404" || code == "NoSuchKey" || code == "NoSuchBucket" =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
