//! What CloudFormation reads from a bucket: the functions' zips and the templates, each under a name that follows from its bytes.
//! What is there already is not sent again, and nothing is ever overwritten: a stack that rolls back finds its old code.

use sha2::{Digest, Sha256};
use terminal::error::CliError;
use terminal::ui;
use tidemark_aws::admin::TemplateAt;

use crate::bootstrap::Bootstrap;
use crate::failure;
use crate::target::Target;
use crate::zip;

/// Digits of a digest in a name.
const DIGITS: usize = 32;

/// Bytes of a template in a call (CloudFormation's limit).
const TEMPLATE_BYTES_MAX: usize = 51_200;

/// A template, and how CloudFormation gets it.
#[derive(Clone, Debug)]
pub(crate) enum Placed {
    Text(String),
    Url(String),
}

impl Placed {
    pub(crate) fn at(&self) -> TemplateAt<'_> {
        match self {
            Self::Text(text) => TemplateAt::Body(text),
            Self::Url(url) => TemplateAt::Url(url),
        }
    }
}

/// A bucket that this account has.
#[derive(Clone, Debug)]
pub(crate) struct Artifacts<'a> {
    target: &'a Target,
    pub(crate) bucket: String,
}

impl<'a> Artifacts<'a> {
    /// The stage's bucket, which has to be there, or the account's own for this, which is made.
    pub(crate) async fn open(target: &'a Target) -> Result<Self, CliError> {
        let (admin, account) = (&target.admin, &target.account);
        let own = format!("tidemark-artifacts-{account}-{}", target.region);
        let bucket = target.stage.bucket.clone().unwrap_or_else(|| own.clone());
        let failed = |error| failure::service(target, "deploy_artifacts", &format!("bucket {bucket}"), &error);
        if !admin.bucket_is_there(&bucket, account).await.map_err(failed)? {
            if bucket != own {
                return Err(CliError::service(
                    "deploy_artifacts",
                    format!("there is no bucket {bucket}, which the stage names as s3_bucket"),
                    "Make it, or leave s3_bucket out: then one of this account's own is made. Nothing was deployed.",
                ));
            }
            admin.create_bucket(&bucket).await.map_err(failed)?;
        }
        Ok(Self { target, bucket })
    }

    /// Puts a function's zip; the answer is its place as SAM takes it.
    pub(crate) async fn function(&self, bootstrap: &Bootstrap, quiet: bool) -> Result<String, CliError> {
        let key = format!("{}/{}.zip", bootstrap.function, digest(&bootstrap.bytes));
        if !self.is_there(&key).await? {
            let bar = ui::step(
                &format!(
                    "packing and sending {} ({} MB)",
                    bootstrap.function,
                    bootstrap.bytes.len() >> 20
                ),
                quiet,
            );
            let packed = zip::zipped(&bootstrap.bytes).map_err(|error| {
                let what = format!("the {} function can't be packed: {error}", bootstrap.function);
                CliError::machine("deploy_artifacts", what, "Name a release build with --bootstraps.")
            })?;
            let sent = self.put(&key, &packed).await;
            bar.finish_and_clear();
            sent?;
        }
        Ok(format!("s3://{}/{key}", self.bucket))
    }

    /// A template as CloudFormation takes it: as it is, or put into the bucket when it is too large for a call.
    pub(crate) async fn template(&self, text: String) -> Result<Placed, CliError> {
        if text.len() <= TEMPLATE_BYTES_MAX {
            return Ok(Placed::Text(text));
        }
        let key = format!("template/{}.yaml", digest(text.as_bytes()));
        if !self.is_there(&key).await? {
            self.put(&key, text.as_bytes()).await?;
        }
        Ok(Placed::Url(self.target.admin.object_url(&self.bucket, &key)))
    }

    async fn is_there(&self, key: &str) -> Result<bool, CliError> {
        let asked = self
            .target
            .admin
            .object_is_there(&self.bucket, key, &self.target.account);
        asked.await.map_err(|error| self.failed(key, &error))
    }

    async fn put(&self, key: &str, bytes: &[u8]) -> Result<(), CliError> {
        let sent = self
            .target
            .admin
            .put_object(&self.bucket, key, &self.target.account, bytes);
        sent.await.map_err(|error| self.failed(key, &error))
    }

    fn failed(&self, key: &str, error: &tidemark_aws::admin::AdminError) -> CliError {
        let what = format!("s3://{}/{key}", self.bucket);
        failure::service(self.target, "deploy_artifacts", &what, error)
    }
}

fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let text: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    text.chars().take(DIGITS).collect()
}
