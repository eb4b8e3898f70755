//! The reference has every key, limit and code, and the schema is what the types give.

use std::path::{Path, PathBuf};

use serde_json::Value;
use translate::{MapCode, map_schema};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/reference/map.md")).unwrap()
}

#[test]
#[allow(clippy::disallowed_methods)] // asks for writing the file anew
fn the_schema_is_what_the_types_give() {
    let path = root().join("events/schemas/map.v1.json");
    let schema = map_schema();
    if std::env::var("TIDEMARK_BLESS").is_ok_and(|value| value == "1") {
        std::fs::write(&path, serde_json::to_string_pretty(&schema).unwrap() + "\n").unwrap();
    }
    let found: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap_or_default()).unwrap_or_default();
    assert_eq!(
        found, schema,
        "events/schemas/map.v1.json has drifted: TIDEMARK_BLESS=1 writes it anew"
    );
}

/// The names of all properties of a schema, wherever they stand.
fn keys(schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Object(properties)) = members.get("properties") {
                found.extend(properties.keys().cloned());
            }
            members.values().for_each(|member| keys(member, found));
        }
        Value::Array(list) => list.iter().for_each(|item| keys(item, found)),
        _ => {}
    }
}

#[test]
fn every_key_stands_in_the_reference() {
    let (page, mut found) = (page(), Vec::new());
    keys(&map_schema(), &mut found);
    assert!(found.len() > 50, "the search finds them: {found:?}");
    let missing: Vec<&String> = found.iter().filter(|key| !page.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "docs/reference/map.md lacks {missing:?}");
}

#[test]
fn every_code_stands_in_the_reference_with_its_advice_and_no_other() {
    let page = page();
    let table = page.split("## Refusals").nth(1).unwrap().split("\n## ").next().unwrap();
    let documented: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let codes: Vec<&str> = MapCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(documented, codes);
}

#[test]
fn every_limit_stands_in_the_reference_with_its_name() {
    let page = page();
    let files = [
        "tools/translate/src/limits.rs",
        "shared/mapping/src/limits.rs",
        "shared/domain/src/control/maps.rs",
    ];
    let source = files
        .map(|file| std::fs::read_to_string(root().join(file)).unwrap())
        .concat();
    let names: Vec<&str> = source
        .lines()
        .filter_map(|line| line.strip_prefix("pub const ")?.split(':').next())
        .filter(|name| ["_MAX", "_MIN", "_MS", "_ROWS"].iter().any(|unit| name.ends_with(unit)))
        .collect();
    assert!(names.len() > 19, "{names:?}");
    let missing: Vec<&&str> = names
        .iter()
        .filter(|name| !page.contains(&format!("`{name}`")))
        .collect();
    assert!(missing.is_empty(), "docs/reference/map.md lacks {missing:?}");
}
