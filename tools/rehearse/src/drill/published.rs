//! The troubles of what somebody published: a rule whose arithmetic has no result, and a map that is in force and not there.

use serde_json::json;
use terminal::clock::now_ms;
use terminal::error::CliError;
use tidemark_aws::admin::{ControlPut, Expected, PutRecord};
use tidemark_domain::control::Stamp;
use tidemark_domain::control::maps::{MAP_LEAD_MS, MAPS, MapTimeline, MapVersion};
use tidemark_domain::policy::Policy;

use super::pipeline::{Child, Pipeline};

/// Records in the producer's own shape.
const OWN_RECORDS: u32 = 20;
/// The rule as somebody wrote it, and as it was meant: a card without a spread has no distance in spreads.
const RULE: &str = "1 / (event.amount_minor - event.amount_minor) > 0";
const MENDED: &str = "event.amount_minor > 500000";
/// What the producer's records mean: the page publishes it.
const MAP: &str = r#"version = 1
[input]
format = "json_lines"
[transaction]
event_id = { from = "/sale/no", prefix = "till-" }
card_id = { from = "token", prefix = "till-card-" }
occurred_at_ms = { from = "at", time = "epoch_ms" }
amount_minor = { from = "/sale/sum", unit = "decimal" }
currency = { value = "EUR" }
merchant_id = { from = "till", prefix = "m-" }
mcc = { value = 5411 }
country = { value = "BE" }
channel = { value = "point_of_sale" }
approved = { value = true }
"#;

fn failed(what: impl std::fmt::Display) -> CliError {
    CliError::service("drill_trouble", what, "Look at the logs in the data directory.")
}

fn policy(version: u32, when: &str) -> String {
    let text = Policy::default_text().replacen("version = 1", &format!("version = {version}"), 1);
    format!(
        "{text}\n[[rules]]\nname = \"far_from_usual\"\nwhen = \"{when}\"\nthen = \"review\"\nreason = \"An amount far from the usual\"\n"
    )
}

/// Puts a policy in force whose rule divides by zero, and lays the mended one out.
pub(super) async fn divide_by_zero(pipeline: &Pipeline) -> Result<(), CliError> {
    super::learned::write(pipeline, "policy.toml", &policy(3, RULE))?;
    super::learned::write(pipeline, "mended.toml", &policy(4, MENDED))?;
    for words in [
        ["policy", "publish", "policy.toml", "--reason", "drill"],
        ["policy", "activate", "3", "--reason", "drill"],
    ] {
        pipeline.run(Child::own(&words)).await?.must_succeed()?;
    }
    Ok(())
}

/// Puts a map in force that nobody published here, as a table has it that was restored in part; lays its text out.
pub(super) async fn lose_map(pipeline: &Pipeline) -> Result<(), CliError> {
    super::learned::write(pipeline, "map.toml", MAP)?;
    let at_ms = now_ms();
    let stamp = Stamp::new(at_ms, "drill", "drill").map_err(failed)?;
    let timeline = MapTimeline::default().activated(Some(MapVersion::of(MAP)), at_ms - MAP_LEAD_MS);
    let put = ControlPut {
        sort: MAPS.to_owned(),
        fields: timeline.map_err(failed)?.to_fields(&stamp),
        expected: Expected::Absent,
    };
    let (admin, table) = (pipeline.stack().cloud.admin(), &pipeline.stack().names.table);
    let written = admin.write_control(table, &[put]).await.map_err(failed)?;
    if !written {
        return Err(failed("a map was in force already"));
    }
    Ok(())
}

/// Puts records that the map judges, once the functions know that it is in force.
pub(super) async fn put_own_records(pipeline: &Pipeline) -> Result<(), CliError> {
    let at_ms = now_ms();
    let record = |number: u32| {
        let card = number % 5;
        let own = json!({
            "sale": { "no": number.to_string(), "sum": "12.34" }, "token": card.to_string(), "at": at_ms, "till": "3",
        });
        PutRecord {
            partition_key: format!("till-{card}"),
            data: own.to_string().into_bytes(),
        }
    };
    pipeline.put(&(0..OWN_RECORDS).map(record).collect::<Vec<_>>()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page names the version, which follows from the text.
    #[test]
    fn the_page_of_missing_maps_names_the_map_of_the_drill() {
        let page = include_str!("../../../../docs/runbook/map-missing.md");
        let version = MapVersion::of(MAP).to_string();
        assert!(page.contains(&format!("tidemark map show {version}")), "{version}");
    }
}
