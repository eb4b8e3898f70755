//! The troubles that drills make on the local AWS, and how they end.

use std::path::Path;

use lab::simulate::{self, SimConfig};
use localcloud::{EsmOptions, FaultKind, FaultPlan, Service};
use terminal::clock::{now_ms, pause};
use terminal::error::CliError;
use tidemark_aws::admin::PutRecord;
use tidemark_domain::policy::Policy;

use super::broken;
use super::learned;
use super::pipeline::{Child, Pipeline};
use super::published;
use super::region;
use super::sign::Sign;
use crate::stack::mapping_options;

/// Events of ordinary traffic before and while there is trouble.
const TRAFFIC_EVENTS: u32 = 600;
/// Cards of that traffic.
const TRAFFIC_CARDS: u32 = 30;
/// Records that nobody can read, for the flood.
const POISON_RECORDS: usize = 200;
/// Events of one card, for the hot one: more than a head holds.
const HOT_EVENTS: u32 = 900;
/// How long a slow table takes, ms.
const SLOW_MS: u64 = 1_500;
/// Retries of a batch in a drill: few, so that an outage of seconds dead-letters what one of hours would.
const RETRIES_MAX: u32 = 1;
/// How long the trouble may take to show, ms.
const SHOWS_MS_MAX: u64 = 60_000;
/// How often that is looked at, ms.
const WATCH_MS: u64 = 100;

/// A trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// None: ordinary traffic.
    Steady,
    /// The table answers late.
    SlowTable,
    /// The table answers most of the writes with "slow down".
    ThrottledTable,
    /// The table answers nothing, until batches are given up.
    StoreOutage,
    /// Reads fail so often that the breaker opens.
    ProfileOutage,
    /// Somebody left the mode `paused`.
    Paused,
    /// A producer sends what nobody can read.
    PoisonFlood,
    /// A dead letter names records that the stream no longer has.
    Trimmed,
    /// The control plane's items can't be read for a while.
    ControlOutage,
    /// One card has more events than all others.
    HotCard,
    /// Somebody damaged the labelled history of a merchant.
    KeyDamaged,
    /// Every process of the function dies.
    Crashing,
    /// Batches were given up, and their dead letters are not there.
    LettersLost,
    /// Somebody damaged the state of a card.
    StateDamaged,
    /// A policy alerts far more than it expects, and labels were not sent.
    Drift,
    /// The region does not come back, and another one takes over from a copy of the table.
    RegionLost,
    /// A map is in force that is not there.
    MapMissing,
    /// A rule of the policy in force divides by zero.
    RuleUndefined,
}

impl Trouble {
    /// As pages name them.
    pub const ALL: [(&'static str, Self); 18] = [
        ("steady", Self::Steady),
        ("slow-table", Self::SlowTable),
        ("throttled-table", Self::ThrottledTable),
        ("store-outage", Self::StoreOutage),
        ("profile-outage", Self::ProfileOutage),
        ("function-down", Self::Paused),
        ("poison-flood", Self::PoisonFlood),
        ("trimmed", Self::Trimmed),
        ("control-outage", Self::ControlOutage),
        ("hot-card", Self::HotCard),
        ("key-damaged", Self::KeyDamaged),
        ("crashing", Self::Crashing),
        ("letters-lost", Self::LettersLost),
        ("state-damaged", Self::StateDamaged),
        ("drift", Self::Drift),
        ("region-lost", Self::RegionLost),
        ("map-missing", Self::MapMissing),
        ("rule-undefined", Self::RuleUndefined),
    ];

    /// Finds one by its name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, trouble)| *trouble)
    }

    /// What happens, for a person.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Steady => "ordinary traffic",
            Self::SlowTable => "the table answers most calls a second and a half late",
            Self::ThrottledTable => "the table refuses most of the writes: slow down",
            Self::StoreOutage => "the table is down until batches are given up",
            Self::ProfileOutage => "most reads of the table fail",
            Self::Paused => "somebody left the mode paused",
            Self::PoisonFlood => "a producer sends what nobody can read",
            Self::Trimmed => "a dead letter names records that the stream no longer has",
            Self::ControlOutage => "reads of the table, the control plane's among them, fail",
            Self::HotCard => "one card has more events than all others together",
            Self::KeyDamaged => "the labelled history of a merchant is damaged, and a label for it comes",
            Self::Crashing => "every process of the function dies within a moment",
            Self::LettersLost => "the table was down until batches were given up, and their dead letters are not there",
            Self::StateDamaged => "the state of a card is damaged, and a transaction of it comes",
            Self::Drift => "a policy alerts far more than it expects, and labels were not sent",
            Self::RegionLost => "the region is lost, and another one has an older copy of the table",
            Self::MapMissing => "a map is in force that is not in the table, and records come that it judges",
            Self::RuleUndefined => "a rule of the policy in force divides by zero",
        }
    }

    /// What the score function tells in it, where its alarm is one on such a metric and minutes are enough for it.
    fn sign(self) -> Option<Sign> {
        let (metric, above) = match self {
            Self::SlowTable => ("LateOutcomes", 0.0),
            Self::ThrottledTable => ("CommitFailures", 0.0),
            Self::ProfileOutage => ("Degraded", 0.0),
            Self::ControlOutage => ("ControlAge", 60_000.0),
            Self::PoisonFlood => ("Quarantined", 50.0),
            Self::KeyDamaged => ("KeysUnread", 0.0),
            Self::StateDamaged => ("StateCorrupt", 0.0),
            Self::MapMissing => ("MapProblems", 0.0),
            Self::RuleUndefined => ("RulesUndefined", 0.0),
            _ => return None,
        };
        Some(Sign::new(metric, above))
    }

    /// Whether the drill is about batches that the mapping gave up.
    fn gives_up(self) -> bool {
        matches!(
            self,
            Self::StoreOutage | Self::KeyDamaged | Self::LettersLost | Self::StateDamaged
        )
    }

    /// The mapping's options for the drill.
    #[must_use]
    pub fn mapping(self) -> EsmOptions {
        EsmOptions {
            retries_max: Some(if self.gives_up() { RETRIES_MAX } else { 1_000 }),
            ..mapping_options()
        }
    }

    /// Makes the trouble, with traffic under way, and waits until it shows.
    pub(super) async fn begin(self, pipeline: &Pipeline) -> Result<(), CliError> {
        let faults = pipeline.stack().cloud.faults();
        let add = |plan: FaultPlan| {
            if let Some(faults) = faults {
                faults.add(plan);
            }
        };
        match self {
            Self::SlowTable => add(FaultPlan::new(Service::DynamoDb, FaultKind::Delay { ms: SLOW_MS }, 0.8)),
            Self::ThrottledTable => {
                let most = FaultKind::Partial { share: 0.9 };
                add(FaultPlan::new(Service::DynamoDb, most, 1.0).on("BatchExecuteStatement"));
            }
            Self::StoreOutage | Self::LettersLost => add(FaultPlan::down(Service::DynamoDb)),
            Self::Crashing => broken::crash(pipeline),
            Self::StateDamaged => broken::damage_state(pipeline).await?,
            Self::ProfileOutage => add(FaultPlan::new(Service::DynamoDb, FaultKind::Error500, 0.7).on("BatchGetItem")),
            Self::ControlOutage => {
                for operation in ["BatchGetItem", "GetItem", "Query"] {
                    add(FaultPlan::new(Service::DynamoDb, FaultKind::Error500, 1.0).on(operation));
                }
            }
            Self::Paused => pipeline
                .run(Child::own(&["mode", "paused", "--reason", "drill"]))
                .await?
                .must_succeed()?,
            Self::Trimmed => return pipeline.send_dead_letter(&past_retention(pipeline)).await,
            Self::PoisonFlood => {
                let poison = |at: usize| PutRecord {
                    partition_key: format!("poison-{at}"),
                    data: format!("not an event {at}").into_bytes(),
                };
                pipeline
                    .put(&(0..POISON_RECORDS).map(poison).collect::<Vec<_>>())
                    .await?;
            }
            Self::HotCard => pipeline.put(&hot_card()).await?,
            Self::KeyDamaged => learned::damage_key(pipeline).await?,
            Self::Drift => learned::drift(pipeline).await?,
            Self::RegionLost => region::lose(pipeline, traffic).await?,
            Self::MapMissing => published::lose_map(pipeline).await?,
            Self::RuleUndefined => published::divide_by_zero(pipeline).await?,
            Self::Steady => {}
        }
        pipeline.put(&traffic(pipeline.seed + 1)).await?;
        if self.gives_up() {
            let given_up = || pipeline.stack().mapping.stats().esm.on_failure_sent > 0;
            wait_until(given_up).await?;
        }
        if let Some(sign) = self.sign() {
            sign.shows(pipeline, traffic).await?;
        }
        match self {
            Self::Crashing => wait_until(|| pipeline.stack().mapping.stats().esm.failures > 0).await,
            Self::MapMissing => published::put_own_records(pipeline).await,
            // The outage is over when somebody looks; what it left is not.
            Self::LettersLost => {
                if let Some(faults) = faults {
                    faults.clear();
                }
                let drained = pipeline.stack().mapping.drained(SHOWS_MS_MAX).await;
                drained
                    .map_err(|e| CliError::service("drill_trouble", e, "Look at the logs in the data directory."))?;
                broken::lose_letters(pipeline).await
            }
            _ => Ok(()),
        }
    }

    /// Ends the trouble where a person's commands do not.
    pub(super) async fn end(self, pipeline: &Pipeline) -> Result<(), CliError> {
        if let Some(faults) = pipeline.stack().cloud.faults() {
            faults.clear();
        }
        match self {
            Self::KeyDamaged => learned::restore_key(pipeline).await,
            Self::StateDamaged => broken::restore_state(pipeline).await,
            Self::RegionLost => region::answers_as_before(pipeline).await,
            Self::Crashing => {
                broken::crash_no_more(pipeline).await;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Ordinary traffic, events that the contract refuses among it.
pub(super) fn traffic(seed: u64) -> Vec<PutRecord> {
    let policy = Policy::default_policy();
    let config = SimConfig::new(seed, TRAFFIC_EVENTS, TRAFFIC_CARDS, now_ms(), &policy);
    simulate::generate(&config)
        .map(|record| PutRecord {
            partition_key: record.partition_key,
            data: record.payload,
        })
        .collect()
}

fn hot_card() -> Vec<PutRecord> {
    let from_ms = now_ms() - i64::from(HOT_EVENTS) * 1_000;
    (0..HOT_EVENTS)
        .map(|event| {
            let payload = serde_json::json!({
                "schema": "transaction", "version": 2, "event_id": format!("hot-{event}"), "card_id": "hot-card",
                "occurred_at_ms": from_ms + i64::from(event) * 1_000, "amount_minor": 500 + event, "currency": "EUR",
                "merchant_id": "m", "mcc": 5411, "country": "FR", "channel": "ecommerce", "approved": true,
            });
            PutRecord {
                partition_key: "hot-card".to_owned(),
                data: payload.to_string().into_bytes(),
            }
        })
        .collect()
}

/// A dead letter as the mapping writes it, of records before the stream's first.
fn past_retention(pipeline: &Pipeline) -> String {
    let function = format!(
        "arn:aws:lambda:{}:000000000000:function:{}",
        pipeline.stack().cloud.region(),
        pipeline.stack().names.function
    );
    letter(&function, &pipeline.stack().provisioned.transactions_stream_arn)
}

fn letter(function_arn: &str, stream_arn: &str) -> String {
    // Numbers of real streams begin with 49: these are of the same length, and before them.
    let number = |last: u32| format!("1{last:055}");
    let time = "2020-01-01T00:00:00.000Z";
    serde_json::json!({
        "requestContext": {
            "requestId": "00000000-0000-0000-0000-000000000000",
            "functionArn": function_arn,
            "condition": "RecordAgeExceeded", "approximateInvokeCount": 1,
        },
        "version": "1.0", "timestamp": time,
        "KinesisBatchInfo": {
            "shardId": "shardId-000000000000", "startSequenceNumber": number(1), "endSequenceNumber": number(9),
            "approximateArrivalOfFirstRecord": time, "approximateArrivalOfLastRecord": time, "batchSize": 9,
            "streamArn": stream_arn,
        },
    })
    .to_string()
}

async fn wait_until(holds: impl Fn() -> bool) -> Result<(), CliError> {
    for _ in 0..SHOWS_MS_MAX / WATCH_MS {
        if holds() {
            return Ok(());
        }
        pause(WATCH_MS).await;
    }
    Err(CliError::service(
        "drill_trouble",
        format!("the trouble did not show within {SHOWS_MS_MAX} ms"),
        "Look at the logs in the data directory, then run the drill again.",
    ))
}

/// The policy that a rollback has to go back from, as a file. Merchants are keys to it, as to a policy that learned.
pub(super) fn second_policy(folder: &Path) -> std::io::Result<std::path::PathBuf> {
    let path = folder.join("second-policy.toml");
    std::fs::write(&path, learned::policy_with_keys(2))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use tidemark_redrive::letter::{Home, Letter};

    use super::*;

    #[test]
    fn every_sign_is_a_metric() {
        let signs: Vec<Sign> = Trouble::ALL.iter().filter_map(|(_, trouble)| trouble.sign()).collect();
        assert!(signs.len() > 5);
        for sign in signs {
            let known = tidemark_telemetry::Metric::ALL
                .iter()
                .any(|metric| metric.name() == sign.metric());
            assert!(known, "{sign:?}");
        }
    }

    /// One that the redrive takes for no letter at all would not be lost by retention, and its page would drill something else.
    #[test]
    fn the_letter_of_lost_records_is_one_that_the_redrive_reads() {
        let stream = "arn:aws:kinesis:eu-west-1:000000000000:stream/tidemark-transactions";
        let text = letter("arn:aws:lambda:eu-west-1:000000000000:function:tidemark-score", stream);
        let read = Letter::parse(&text, &Home::new("tidemark-transactions"));
        assert!(read.is_ok(), "{read:?}");
    }
}
