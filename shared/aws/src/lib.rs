//! The ports on DynamoDB, Kinesis and SQS: the only crate that names the AWS SDK.

pub mod admin;
