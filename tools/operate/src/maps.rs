//! Published maps in the control plane's table, for the verbs that judge records as the functions do.

use std::collections::BTreeMap;
use std::sync::Arc;

use terminal::error::CliError;
use terminal::input::map_salt;
use tidemark_aws::admin::Admin;
use tidemark_domain::control::maps::{MAPS, MapText, MapTimeline, MapVersion, map_key};
use tidemark_domain::mapped::{MapsInForce, RecordMap};
use tidemark_mapping::{MapSalt, SALT_VARIABLE, StreamMap, StreamMapFault};

use crate::account::evidence::failed;

/// Which map was in force when, all of them at hand; `None`: no map was ever in force.
///
/// # Errors
/// When one of them can't be had: without it nobody can say what a record of its time was.
pub(crate) async fn in_force(admin: &Admin, table: &str) -> Result<Option<MapsInForce>, CliError> {
    let item = admin.control_item(table, MAPS).await;
    let Some(fields) = item.map_err(failed("reading which maps were in force"))? else {
        return Ok(None);
    };
    let broken = |error| {
        let advice = "Restore the item (pk control) from a backup of the table.";
        CliError::refused("control_item", error, advice)
    };
    let timeline = MapTimeline::from_fields(&fields).map_err(broken)?;
    let salt = map_salt();
    let mut at_hand: BTreeMap<MapVersion, Arc<dyn RecordMap>> = BTreeMap::new();
    for version in timeline.versions() {
        let item = admin.control_item(table, &map_key(version)).await;
        let fields = item.map_err(failed("reading a published map"))?.unwrap_or_default();
        let text = MapText::from_fields(version, &fields).map_err(broken)?;
        at_hand.insert(version, Arc::new(read(&text, salt.as_ref())?));
    }
    // An activation that was not read yet takes effect after what is audited has arrived.
    Ok(Some(MapsInForce::new(Arc::new(timeline), Arc::new(at_hand), i64::MAX)))
}

fn read(text: &MapText, salt: Option<&MapSalt>) -> Result<StreamMap, CliError> {
    let name = format!("map {}", text.version);
    let without_salt = |what: String| {
        let advice = format!(
            "Export {SALT_VARIABLE} with the salt that the functions have: without it nobody knows which card a record is of."
        );
        CliError::input("map_salt", what, advice)
    };
    let map = StreamMap::parse(&text.text, &name, salt).map_err(|fault| match fault {
        StreamMapFault::NoSalt => without_salt(format!("{name} hashes, and {SALT_VARIABLE} is not set here")),
        StreamMapFault::Text(problems) => {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            CliError::refused("map", lines.join("\n"), "Use the release that published it.")
        }
    })?;
    if map.is_salted() && text.salt_mark != salt.and_then(MapSalt::mark) {
        return Err(without_salt(format!(
            "{name} was published with another salt than that in {SALT_VARIABLE}"
        )));
    }
    Ok(map)
}
