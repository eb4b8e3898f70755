//! How long a stream and a table keep what they hold.

use aws_sdk_dynamodb::types::{TimeToLiveSpecification, TimeToLiveStatus};
use tidemark_engine::port::PortError;

use super::Admin;
use super::error::{AdminError, admin_error};

impl Admin {
    /// Has a stream keep its records for so many hours. One that keeps them for longer is left as it is.
    pub async fn keep_for(&self, stream: &str, hours: u32) -> Result<(), AdminError> {
        if self.stream_info(stream).await?.retention_h >= hours {
            return Ok(());
        }
        let call = self.clients.kinesis.increase_stream_retention_period();
        let call = call
            .stream_name(stream)
            .retention_period_hours(i32::try_from(hours).unwrap_or(i32::MAX));
        let answer = call.send().await;
        answer.map_err(|error| admin_error("IncreaseStreamRetentionPeriod", &error))?;
        self.wait_for_stream(stream).await
    }

    /// Has a table delete items when the time of this attribute is past. One that does already is left as it is.
    pub async fn expire_by(&self, table: &str, attribute: &str) -> Result<(), AdminError> {
        let described = self
            .clients
            .dynamodb
            .describe_time_to_live()
            .table_name(table)
            .send()
            .await;
        let described = described.map_err(|error| admin_error("DescribeTimeToLive", &error))?;
        let status = described
            .time_to_live_description()
            .and_then(|told| told.time_to_live_status());
        if matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)) {
            return Ok(());
        }
        let wanted = TimeToLiveSpecification::builder()
            .attribute_name(attribute)
            .enabled(true)
            .build();
        let wanted = wanted.map_err(|error| PortError::Permanent(format!("UpdateTimeToLive: {error}")))?;
        let call = self.clients.dynamodb.update_time_to_live().table_name(table);
        let answer = call.time_to_live_specification(wanted).send().await;
        answer.map_err(|error| admin_error("UpdateTimeToLive", &error))?;
        Ok(())
    }
}
