//! What an account may have, as its services tell it; and its alarms.

use std::time::Duration;

use serde_json::Value;
use tidemark_engine::port::PortError;

use super::error::admin_error;
use super::function::ACCOUNT_API_VERSION;
use super::rim::Form;
use super::{Admin, AdminError};

/// The version of CloudWatch's API.
const ALARM_API_VERSION: &str = "2010-08-01";
/// Pages of alarms that are read: a hundred each.
const PAGES_MAX: usize = 20;
/// Time for one call.
const WAIT: Duration = Duration::from_secs(10);

/// Invocations at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency {
    /// Of all functions of the account together.
    pub account: u64,
    /// Of these, those that no function has for itself.
    pub unreserved: u64,
}

/// What streams an account may have in a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamQuota {
    /// Shards of provisioned streams at most.
    pub shards_max: u64,
    /// Shards that there are.
    pub shards: u64,
    /// Streams on demand at most.
    pub on_demand_max: u64,
    /// Streams on demand that there are.
    pub on_demand: u64,
}

/// Units a second that one table of an account may serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableQuota {
    /// Reads.
    pub read_units_max: u64,
    /// Writes.
    pub write_units_max: u64,
}

/// An alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmInfo {
    /// Its name.
    pub name: String,
    /// `OK`, `ALARM` or `INSUFFICIENT_DATA`.
    pub state: String,
}

impl Admin {
    /// How many invocations at once the account has.
    ///
    /// # Errors
    /// When Lambda does not answer, or refuses.
    pub async fn concurrency(&self) -> Result<Concurrency, AdminError> {
        let operation = "GetAccountSettings";
        let failed = |error: PortError| AdminError::Call(error);
        let asked = tokio::time::timeout(WAIT, self.lambda.get(ACCOUNT_API_VERSION, "account-settings/"));
        let (status, body) = asked
            .await
            .map_err(|_| failed(PortError::Timeout(format!("{operation}: no answer in time"))))??;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        let of = |name: &str| answer["AccountLimit"][name].as_u64();
        let text = format!("{operation}: HTTP {status}");
        if !(200..300).contains(&status) {
            return Err(failed(if status >= 500 {
                PortError::Unavailable(text)
            } else {
                PortError::Permanent(text)
            }));
        }
        match (of("ConcurrentExecutions"), of("UnreservedConcurrentExecutions")) {
            (Some(account), Some(unreserved)) => Ok(Concurrency { account, unreserved }),
            _ => Err(failed(PortError::Permanent(text))),
        }
    }

    /// What streams the account may have.
    ///
    /// # Errors
    /// When Kinesis does not answer, or refuses.
    pub async fn stream_quota(&self) -> Result<StreamQuota, AdminError> {
        let told = self.clients.kinesis.describe_limits().send().await;
        let told = told.map_err(|error| admin_error("DescribeLimits", &error))?;
        let count = |number: i32| u64::try_from(number).unwrap_or_default();
        Ok(StreamQuota {
            shards_max: count(told.shard_limit()),
            shards: count(told.open_shard_count()),
            on_demand_max: count(told.on_demand_stream_count_limit()),
            on_demand: count(told.on_demand_stream_count()),
        })
    }

    /// What one table of the account may serve.
    ///
    /// # Errors
    /// When DynamoDB does not answer, or refuses.
    pub async fn table_quota(&self) -> Result<TableQuota, AdminError> {
        let told = self.clients.dynamodb.describe_limits().send().await;
        let told = told.map_err(|error| admin_error("DescribeLimits", &error))?;
        let count = |number: Option<i64>| u64::try_from(number.unwrap_or_default()).unwrap_or_default();
        Ok(TableQuota {
            read_units_max: count(told.table_max_read_capacity_units()),
            write_units_max: count(told.table_max_write_capacity_units()),
        })
    }

    /// The alarms whose names begin so, in the order of their names.
    ///
    /// # Errors
    /// When CloudWatch does not answer, or refuses.
    pub async fn alarms(&self, prefix: &str) -> Result<Vec<AlarmInfo>, AdminError> {
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let mut form = Form::default()
                .with("AlarmNamePrefix", prefix)
                .with("AlarmTypes.member.1", "MetricAlarm")
                .with("AlarmTypes.member.2", "CompositeAlarm");
            if let Some(token) = &token {
                form.add("NextToken", token);
            }
            let ask = || {
                self.deploys
                    .cloudwatch
                    .query(ALARM_API_VERSION, "DescribeAlarms", &form)
            };
            let root = self.patiently(ask).await?;
            let Some(answer) = root.child("DescribeAlarmsResult") else {
                break;
            };
            let both = answer.members("MetricAlarms").chain(answer.members("CompositeAlarms"));
            found.extend(both.map(|one| AlarmInfo {
                name: one.owned("AlarmName"),
                state: one.owned("StateValue"),
            }));
            token = answer.text_of("NextToken").map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }

    /// Makes an alarm that rings by a rule over others, or makes it anew; `topic` hears of it.
    ///
    /// # Errors
    /// When CloudWatch does not answer, or refuses.
    pub async fn put_joined_alarm(
        &self,
        name: &str,
        rule: &str,
        description: &str,
        topic: Option<&str>,
    ) -> Result<(), AdminError> {
        let mut form = Form::default()
            .with("AlarmName", name)
            .with("AlarmRule", rule)
            .with("AlarmDescription", description);
        for actions in ["AlarmActions.member.1", "OKActions.member.1"] {
            if let Some(topic) = topic {
                form.add(actions, topic);
            }
        }
        self.alarm_call("PutCompositeAlarm", &form).await
    }

    /// Deletes alarms.
    ///
    /// # Errors
    /// When CloudWatch does not answer, or refuses.
    pub async fn delete_alarms(&self, names: &[String]) -> Result<(), AdminError> {
        let mut form = Form::default();
        for (at, name) in names.iter().enumerate() {
            form.add(&format!("AlarmNames.member.{}", at + 1), name);
        }
        self.alarm_call("DeleteAlarms", &form).await
    }

    async fn alarm_call(&self, operation: &'static str, form: &Form) -> Result<(), AdminError> {
        let ask = || self.deploys.cloudwatch.query(ALARM_API_VERSION, operation, form);
        self.patiently(ask).await.map(drop)
    }
}
