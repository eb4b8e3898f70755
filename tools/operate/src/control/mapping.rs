//! The function's mappings as a mode wants them: polling or not, and with a record age at which no backlog is given up.
//!
//! A mapping that comes to a record older than its record age gives it up at once, to the dead-letter queue. After a long pause
//! that would be the whole backlog, and younger records would run before it.

use serde_json::{Value, json};
use tidemark_aws::admin::{Admin, AdminError, MappingChange, MappingState, RECORD_AGE_S_MAX};

/// What is given up all the same must still be in the stream for a redrive: for a quarter of its retention, a day at most, hours.
const REDRIVE_H_MAX: u32 = 24;
/// The least record age that a mapping can have, seconds.
const RECORD_AGE_S_MIN: u32 = 60;
const S_PER_HOUR: u32 = 3_600;

/// A mapping, and the record age that it needs for a backlog; `None`: its own serves.
#[derive(Clone, Debug)]
pub(super) struct Lift {
    pub(super) mapping: MappingState,
    pub(super) age_s: Option<u32>,
}

/// The record age for a backlog in a stream that keeps its records so many hours, seconds.
fn backlog_age_s(retention_h: u32) -> u32 {
    let redrive_h = (retention_h / 4).min(REDRIVE_H_MAX);
    let age_s = retention_h.saturating_sub(redrive_h).saturating_mul(S_PER_HOUR);
    age_s.clamp(RECORD_AGE_S_MIN, RECORD_AGE_S_MAX)
}

/// The function's mappings; at least one.
async fn found(admin: &Admin, function: &str) -> Result<Vec<MappingState>, AdminError> {
    let mappings = admin.mappings(function).await?;
    if mappings.is_empty() {
        return Err(AdminError::NotFound {
            operation: format!("ListEventSourceMappings of {function}"),
        });
    }
    Ok(mappings)
}

/// The stream of a mapping's source, which is the stream itself, or with enhanced fan-out a consumer of it
/// (`…:stream/NAME/consumer/CONSUMER:TIME`).
fn stream_of(source: &str) -> &str {
    let (_, name) = source.split_once(":stream/").unwrap_or_default();
    name.split('/').next().unwrap_or_default()
}

/// What each of the function's mappings needs before it comes to a backlog.
pub(super) async fn lifts(admin: &Admin, function: &str) -> Result<Vec<Lift>, AdminError> {
    let mut lifts = Vec::new();
    for mapping in found(admin, function).await? {
        let stream = stream_of(&mapping.source);
        let age_s = match mapping.record_age_s {
            None => None,
            Some(own_s) => {
                let age_s = backlog_age_s(admin.stream_info(stream).await?.retention_h);
                (age_s > own_s).then_some(age_s)
            }
        };
        lifts.push(Lift { mapping, age_s });
    }
    Ok(lifts)
}

/// Lets the mappings poll, each with the record age that it needs.
pub(super) async fn turn_on(admin: &Admin, lifts: &[Lift]) -> Result<Value, AdminError> {
    let change = |lift: &Lift| MappingChange {
        enabled: Some(true),
        record_age_s: lift.age_s,
    };
    let changes = lifts.iter().map(|lift| (&lift.mapping, change(lift)));
    change_all(admin, changes.collect()).await
}

/// Lets the mappings poll no longer.
pub(super) async fn turn_off(admin: &Admin, function: &str) -> Result<Value, AdminError> {
    let change = MappingChange {
        enabled: Some(false),
        record_age_s: None,
    };
    let mappings = found(admin, function).await?;
    change_all(admin, mappings.iter().map(|mapping| (mapping, change)).collect()).await
}

/// Gives the mappings this record age.
pub(super) async fn set_age(admin: &Admin, function: &str, age_s: u32) -> Result<Value, AdminError> {
    let change = MappingChange {
        enabled: None,
        record_age_s: Some(age_s),
    };
    let mappings = found(admin, function).await?;
    change_all(admin, mappings.iter().map(|mapping| (mapping, change)).collect()).await
}

async fn change_all(admin: &Admin, changes: Vec<(&MappingState, MappingChange)>) -> Result<Value, AdminError> {
    let mut states = Vec::with_capacity(changes.len());
    for (mapping, change) in changes {
        let state = admin.change_mapping(&mapping.uuid, change).await?;
        states.push(json!({
            "uuid": state.uuid, "state": state.state, "source": state.source, "record_age_s": state.record_age_s,
        }));
    }
    Ok(Value::from(states))
}

/// A span for a person, in the largest whole unit.
pub(super) fn span(seconds: u32) -> String {
    match seconds {
        s if s >= 2 * 86_400 && s.is_multiple_of(86_400) => format!("{} days", s / 86_400),
        s if s >= S_PER_HOUR && s.is_multiple_of(S_PER_HOUR) => format!("{} h", s / S_PER_HOUR),
        s => format!("{s} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_of_a_mapping_is_found_behind_a_consumer_too() {
        let stream = "arn:aws:kinesis:eu-west-1:111122223333:stream/tidemark-transactions";
        assert_eq!(stream_of(stream), "tidemark-transactions");
        assert_eq!(
            stream_of(&format!("{stream}/consumer/tidemark-score:1790812800")),
            "tidemark-transactions"
        );
        assert_eq!(stream_of("arn:aws:sqs:eu-west-1:111122223333:queue"), "");
    }

    #[test]
    fn a_backlog_may_be_as_old_as_the_stream_allows_less_the_time_for_a_redrive() {
        let days = |hours: u32| span(backlog_age_s(hours));
        assert_eq!(days(168), "6 days");
        assert_eq!(days(48), "36 h");
        assert_eq!(days(24), "18 h");
        assert_eq!(days(336), "7 days", "Lambda takes no more");
        assert_eq!(days(0), "60 s", "nor less");
    }
}
