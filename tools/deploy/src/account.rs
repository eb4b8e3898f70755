//! What the account may have, held against what the stage asks for: a deployment that would fail for a quota fails here, before it
//! has begun.

use std::collections::BTreeMap;

use serde::Serialize;
use terminal::error::CliError;
use tidemark_aws::admin::{AdminError, Concurrency, StreamQuota, TableQuota};

use crate::target::Target;
use crate::templates::Template;

/// Invocations at once that no function may reserve (Lambda's rule).
const UNRESERVED_MIN: u64 = 100;
/// Shards that a stream on demand begins with.
const ON_DEMAND_SHARDS: u64 = 4;
/// The streams of a deployment.
const STREAMS: u64 = 2;

/// What was looked at, for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Look {
    pub(crate) what: String,
    /// Whether it is as it should be; a warning otherwise.
    pub(crate) good: bool,
}

/// The numbers of a stage that quotas bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wants {
    shards: u64,
    factor: u64,
    reserved: u64,
    reads_max: u64,
    writes_max: u64,
}

impl Wants {
    /// By parameters, or the template's defaults.
    pub(crate) fn of(parameters: &BTreeMap<String, String>) -> Self {
        let number = |name: &str| {
            let given = parameters.get(name).map(String::as_str);
            let text = given.or_else(|| Template::PIPELINE.default_of(name));
            text.and_then(|text| text.parse::<u64>().ok()).unwrap_or_default()
        };
        Self {
            shards: number("StreamShards"),
            factor: number("MappingParallelizationFactor"),
            reserved: number("ScoreConcurrencyReserved") + number("RedriveConcurrencyMax"),
            reads_max: number("TableReadUnitsMax"),
            writes_max: number("TableWriteUnitsMax"),
        }
    }
}

/// Asks every service and holds its answers against the stage. `has` is what the stack has now, if it is there.
pub(crate) async fn look(target: &Target, wants: Wants, has: Option<Wants>) -> Result<Vec<Look>, CliError> {
    let admin = &target.admin;
    let (lambda, kinesis, dynamodb) = (
        admin.concurrency().await,
        admin.stream_quota().await,
        admin.table_quota().await,
    );
    Ok(vec![
        judged("Lambda", lambda, |quota| of_lambda(quota, wants, has))?,
        judged("Kinesis", kinesis, |quota| of_kinesis(quota, wants, has))?,
        judged("DynamoDB", dynamodb, |quota| of_dynamodb(quota, wants))?,
    ])
}

/// A quota that is not told (a right that is missing, an emulator) stops nothing.
fn judged<T>(
    service: &str,
    told: Result<T, AdminError>,
    judge: impl FnOnce(T) -> Result<Look, String>,
) -> Result<Look, CliError> {
    match told {
        Ok(quota) => judge(quota).map_err(|what| {
            let advice = "Ask for more (`aws service-quotas request-service-quota-increase`), or ask the stage for less. Nothing was deployed.";
            CliError::refused("deploy_quota", what, advice)
        }),
        Err(error) => Ok(Look {
            what: format!("{service}: quotas are not told ({error})"),
            good: true,
        }),
    }
}

fn of_lambda(quota: Concurrency, wants: Wants, has: Option<Wants>) -> Result<Look, String> {
    let more = wants.reserved.saturating_sub(has.map_or(0, |has| has.reserved));
    if more > 0 && quota.unreserved < UNRESERVED_MIN + more {
        return Err(format!(
            "the stage reserves {more} more invocations at once (ScoreConcurrencyReserved, RedriveConcurrencyMax); the account has {} \
             unreserved, of which Lambda keeps {UNRESERVED_MIN}",
            quota.unreserved
        ));
    }
    let shards = if wants.shards == 0 {
        ON_DEMAND_SHARDS
    } else {
        wants.shards
    };
    let at_once = shards * wants.factor.max(1);
    let enough = quota.unreserved > at_once;
    let scarce = if enough {
        ""
    } else {
        ", and other functions want some, too"
    };
    Ok(Look {
        what: format!(
            "Lambda: {} invocations at once, {} unreserved; {shards} shards take up to {at_once}{scarce}",
            quota.account, quota.unreserved
        ),
        good: enough,
    })
}

fn of_kinesis(quota: StreamQuota, wants: Wants, has: Option<Wants>) -> Result<Look, String> {
    let had = has.map_or(0, |has| has.shards);
    let more = STREAMS * wants.shards.saturating_sub(had);
    let room = quota.shards_max.saturating_sub(quota.shards);
    if more > room {
        return Err(format!(
            "the stage wants {more} more shards (StreamShards, for two streams); the account has room for {room} of {}",
            quota.shards_max
        ));
    }
    let becomes_on_demand = wants.shards == 0 && has.is_none_or(|has| has.shards > 0);
    let streams = quota.on_demand_max.saturating_sub(quota.on_demand);
    if becomes_on_demand && streams < STREAMS {
        return Err(format!(
            "the stage wants two streams on demand; the account has room for {streams} of {}",
            quota.on_demand_max
        ));
    }
    Ok(Look {
        what: format!(
            "Kinesis: {} of {} shards, {} of {} streams on demand are there",
            quota.shards, quota.shards_max, quota.on_demand, quota.on_demand_max
        ),
        good: true,
    })
}

fn of_dynamodb(quota: TableQuota, wants: Wants) -> Result<Look, String> {
    for (name, wanted, most) in [
        ("TableReadUnitsMax", wants.reads_max, quota.read_units_max),
        ("TableWriteUnitsMax", wants.writes_max, quota.write_units_max),
    ] {
        if wanted > most {
            return Err(format!(
                "{name} is {wanted}, and a table of this account has {most} at most"
            ));
        }
    }
    Ok(Look {
        what: format!(
            "DynamoDB: a table serves up to {} reads and {} writes a second",
            quota.read_units_max, quota.write_units_max
        ),
        good: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants(given: &[(&str, &str)]) -> Wants {
        let given = given
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Wants::of(&given.collect())
    }

    #[test]
    fn a_new_account_of_ten_may_reserve_nothing() {
        let small = Concurrency {
            account: 10,
            unreserved: 10,
        };
        let look = of_lambda(small, wants(&[]), None).unwrap();
        assert!(look.good && look.what.contains("take up to 4"), "{look:?}");
        let why = of_lambda(small, wants(&[("RedriveConcurrencyMax", "2")]), None).unwrap_err();
        assert!(
            why.contains("reserves 2 more") && why.contains("10 unreserved"),
            "{why}"
        );
        let has = wants(&[("RedriveConcurrencyMax", "2")]);
        assert!(
            of_lambda(small, has, Some(has)).is_ok(),
            "what it has already is no more"
        );
        let look = of_lambda(small, wants(&[("MappingParallelizationFactor", "10")]), None).unwrap();
        assert!(!look.good, "{look:?}");
    }

    #[test]
    fn shards_count_for_both_streams_and_only_what_is_new() {
        let quota = StreamQuota {
            shards_max: 20,
            shards: 10,
            on_demand_max: 50,
            on_demand: 49,
        };
        assert!(of_kinesis(quota, wants(&[("StreamShards", "5")]), None).is_ok());
        let why = of_kinesis(quota, wants(&[("StreamShards", "6")]), None).unwrap_err();
        assert!(
            why.contains("12 more shards") && why.contains("room for 10 of 20"),
            "{why}"
        );
        assert!(
            of_kinesis(
                quota,
                wants(&[("StreamShards", "6")]),
                Some(wants(&[("StreamShards", "5")]))
            )
            .is_ok()
        );
        assert!(
            of_kinesis(quota, wants(&[]), None)
                .unwrap_err()
                .contains("room for 1 of 50")
        );
        assert!(of_kinesis(quota, wants(&[]), Some(wants(&[]))).is_ok());
    }

    #[test]
    fn a_bound_beyond_the_tables_quota_is_refused() {
        let quota = TableQuota {
            read_units_max: 40_000,
            write_units_max: 40_000,
        };
        assert!(of_dynamodb(quota, wants(&[("TableWriteUnitsMax", "40000")])).is_ok());
        let why = of_dynamodb(quota, wants(&[("TableWriteUnitsMax", "40001")])).unwrap_err();
        assert!(why.contains("TableWriteUnitsMax is 40001"), "{why}");
    }
}
