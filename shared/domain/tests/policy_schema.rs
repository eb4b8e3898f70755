//! `events/schemas/policy.v1.json`, for editors, has the keys that a policy may have, and no others.

use serde_json::Value;
use tidemark_domain::policy::Policy;

fn schema() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/schemas/policy.v1.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A policy with a key that there is not in each of its tables, so that each is told with the keys that there are.
const WRONG: &str = r#"
version = 1
windows_minutes = [60]
features = ["count_1h"]
no_such = 1
[weights]
count_1h = 1.0
[thresholds]
review = 600
alert = 800
no_such = 1
[scoring]
no_such = 1
[bounds]
no_such = 1
[currency]
no_such = 1
[outcome]
no_such = 1
[low_risk]
no_such = 1
[[keys]]
no_such = 1
[labels]
no_such = 1
[population]
no_such = 1
[points]
no_such = 1
[[points.tables]]
no_such = 1
[explained]
no_such = 1
[[explained.tables]]
no_such = 1
"#;
/// What is right of a policy, before a table that is looked at once the others are right.
const RIGHT: &str = r#"
version = 1
windows_minutes = [60]
features = ["count_1h"]
[weights]
count_1h = 1.0
[thresholds]
review = 600
alert = 800
"#;

/// The keys of a table by its name; the policy itself has none.
fn of_schema(schema: &Value, table: &str) -> Vec<String> {
    let found = table
        .split('.')
        .filter(|name| !name.is_empty())
        .fold(schema, |of, name| {
            let property = &of["properties"][name];
            if property["items"]["properties"].is_object() {
                &property["items"]
            } else {
                property
            }
        });
    assert_eq!(found["additionalProperties"], false, "{table}");
    let properties = found["properties"].as_object().unwrap_or_else(|| panic!("no {table}"));
    let mut keys: Vec<String> = properties.keys().cloned().collect();
    keys.sort();
    keys
}

#[test]
fn the_schema_has_the_keys_that_a_policy_may_have_and_no_others() {
    let schema = schema();
    let mut problems = Policy::parse(WRONG, "wrong.toml").unwrap_err();
    for table in ["[expected]", "[[lists]]", "[trees]", "[[rules]]"] {
        let wrong = format!("{RIGHT}{table}\nno_such = 1\n");
        problems.extend(Policy::parse(&wrong, "wrong.toml").unwrap_err());
    }
    let mut tables = Vec::new();
    for problem in &problems {
        let Some((place, keys)) = problem.message.split_once(", expected one of: ") else {
            continue;
        };
        let Some(place) = place.strip_prefix("unknown key `no_such` in ") else {
            continue;
        };
        let table = if place == "the policy" {
            ""
        } else {
            place.trim_matches(['[', ']'])
        };
        let mut keys: Vec<String> = keys.split(", ").map(str::to_owned).collect();
        keys.sort();
        // The tables of points and of what explains an event are told by the same name.
        let places = match table {
            "tables" => vec!["points.tables", "explained.tables"],
            table => vec![table],
        };
        for place in places {
            assert_eq!(of_schema(&schema, place), keys, "[{place}]");
            tables.push(place.to_owned());
        }
    }
    tables.sort();
    tables.dedup();
    // Each table that the schema has was told of, so that a new one is held to it, too.
    let top = schema["properties"].as_object().unwrap();
    let has_keys = |property: &Value| {
        [property, &property["items"]]
            .iter()
            .any(|of| of["additionalProperties"] == false && of["properties"].is_object())
    };
    let missing: Vec<&String> = top
        .iter()
        .filter(|(name, property)| has_keys(property) && !tables.contains(name))
        .map(|(name, _)| name)
        .collect();
    assert!(missing.is_empty(), "{missing:?} not among {tables:?}: {problems:#?}");
    assert!(tables.len() >= 15, "{tables:?}");
}

#[test]
fn what_a_schema_calls_required_a_policy_needs() {
    let schema = schema();
    let problems = Policy::parse("", "empty.toml").unwrap_err();
    let told: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    for key in schema["required"].as_array().unwrap() {
        let key = key.as_str().unwrap();
        assert!(told.iter().any(|told| told.contains(key)), "{key}: {told:?}");
    }
}
