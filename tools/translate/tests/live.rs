//! A file's line and a record of the stream: the same event of the same object, or the same refusal.

use proptest::prelude::*;
use serde_json::{Map, Value};
use tidemark_domain::mapped::RecordMap;
use tidemark_mapping::{MapSalt, SALT_VARIABLE, StreamMap, StreamMapFault};
use translate::{RowMap, Translated, Translator};

const SALT: &str = "a salt of 16 bytes";
const MAP: &str = r#"
version = 1
[input]
format = "json_lines"
empty = ["NULL"]
[[kinds]]
when = { from = "/head/type", is = ["sale"] }
[kinds.transaction]
event_id = { from = ["id", "/head/till"], prefix = "t-" }
card_id = { from = "/card/pan", strip = " -", hash = "sha256", salt_env = "TIDEMARK_SALT", prefix = "c-" }
occurred_at_ms = { from = "when", zone = "Europe/Berlin" }
amount_minor = { from = "amount", unit = "decimal", strip = " €" }
currency = { from = "cur", values = { "euro" = "EUR", "yen" = "JPY" } }
merchant_id = { from = "shop", empty = "m-0" }
mcc = { value = 5999 }
country = { value = "DE" }
channel = { value = "point_of_sale" }
approved = { from = "resp", values = { "00" = true }, otherwise = false }
[[kinds]]
when = { from = "/head/type", is = ["chargeback"] }
[kinds.label]
event_id = { from = "id", prefix = "t-" }
card_id = { from = "/card/pan", strip = " -", hash = "sha256", salt_env = "TIDEMARK_SALT", prefix = "c-" }
verdict = { from = "said", values = { "F" = "fraud", "C" = "cleared" } }
known_since_ms = { from = "when", zone = "Europe/Berlin" }
"#;

fn live(map: &str) -> Result<StreamMap, StreamMapFault> {
    StreamMap::parse(map, "map.toml", Some(&MapSalt::new(SALT)))
}

/// The events that a file with this object gives, or the code of its refusal and the words.
fn of_file(object: &Value) -> Result<Vec<Vec<u8>>, String> {
    let salts = |name: &str| (name == SALT_VARIABLE).then(|| SALT.to_owned());
    let map = RowMap::parse(MAP, "map.toml", &salts).unwrap();
    let line = format!("{object}\n");
    let mut translator = Translator::new(line.as_bytes(), map.into()).unwrap();
    match translator.next().unwrap().unwrap() {
        Translated::Events { events, .. } => Ok(events.to_vec()),
        Translated::Refused(refused) => Err(format!("{}: {}", refused.code, refused.place_and_reason())),
        Translated::Skipped { .. } => panic!("nothing is skipped"),
    }
}

fn value() -> impl Strategy<Value = Value> {
    let words = [
        "4111 1111 1111 1111",
        "12.34",
        "1,5 €",
        "euro",
        "yen",
        "00",
        "NULL",
        "",
        " 7 ",
        "2026-11-23 03:00:00",
        "2026-10-25T02:30:00",
        "2026-11-23T03:00:00Z",
        "sale",
        "chargeback",
        "F",
        "Spar",
    ];
    prop_oneof![
        8 => prop::sample::select(words.to_vec()).prop_map(Value::from),
        1 => any::<i32>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => (0_u32..1_000).prop_map(|number| Value::from(f64::from(number) / 8.0)),
        1 => Just(Value::Null),
        1 => Just(serde_json::json!([1])),
    ]
}

/// Mostly what the map takes, with any member changed or left out.
fn object() -> impl Strategy<Value = Value> {
    let good = serde_json::json!({
        "id": "1", "when": "2026-11-23 03:00:00", "amount": "12.34", "cur": "euro", "shop": "Spar", "resp": "00", "said": "F",
    });
    let kinds = prop::sample::select(vec!["sale", "chargeback", "other"]);
    let names = prop::sample::select(vec!["id", "when", "amount", "cur", "shop", "resp", "said", "extra"]);
    let changes = prop::collection::vec((names, prop::option::of(value())), 0..3);
    (kinds, value(), changes).prop_map(move |(kind, pan, changes)| {
        let mut object: Map<String, Value> = good.as_object().unwrap().clone();
        object.insert("head".to_owned(), serde_json::json!({ "type": kind, "till": 3 }));
        object.insert("card".to_owned(), serde_json::json!({ "pan": pan }));
        for (name, value) in changes {
            match value {
                Some(value) => object.insert(name.to_owned(), value),
                None => object.remove(name),
            };
        }
        Value::Object(object)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn a_line_of_a_file_and_a_record_of_the_stream_make_the_same_event(object in object()) {
        let map = live(MAP).unwrap();
        match (of_file(&object), map.event_of(&object)) {
            (Ok(events), Ok(event)) => prop_assert_eq!(events, vec![event]),
            (Err(of_file), Err(live)) => prop_assert_eq!(of_file, live),
            (Ok(events), Err(live)) => prop_assert!(events.is_empty() && live.contains("no verdict"), "{}", live),
            (Err(refused), Ok(_)) => prop_assert!(false, "only the file refuses: {}", refused),
        }
    }
}

#[test]
fn most_of_these_objects_give_an_event() {
    let map = live(MAP).unwrap();
    let sale = serde_json::json!({
        "head": { "type": "sale", "till": 3 }, "card": { "pan": "4111-1111-1111-1111" }, "id": "1", "when": "2026-11-23 03:00:00",
        "amount": "12.34", "cur": "euro", "shop": "Spar", "resp": "00",
    });
    let event: Value = serde_json::from_slice(&map.event(&sale).unwrap()).unwrap();
    assert_eq!(
        (&event["event_id"], &event["amount_minor"]),
        (&Value::from("t-1|3"), &Value::from(1234))
    );
    assert_eq!(event["card_id"], "c-87f4bf45e0cba6aab8cac481bc1b576c");
    assert_eq!(of_file(&sale).unwrap(), vec![map.event(&sale).unwrap()]);
}

#[test]
fn no_refusal_shows_a_value() {
    let map = live(MAP).unwrap();
    let secret = "s3cr3t";
    for member in ["id", "when", "amount", "cur", "shop", "resp", "said"] {
        for kind in ["sale", "chargeback", secret] {
            let mut object = serde_json::json!({
                "head": { "type": kind, "till": 3 }, "card": { "pan": "4111111111111111" }, "id": "1", "when": "2026-11-23 03:00:00",
                "amount": "12.34", "cur": "euro", "shop": "Spar", "resp": "00", "said": "F",
            });
            object[member] = Value::from(secret);
            if let Err(why) = map.event_of(&object) {
                assert!(!why.contains(secret) && !why.contains("4111"), "{why}");
            }
        }
    }
}

#[test]
fn a_map_that_no_record_of_the_stream_can_be_judged_by_is_refused_with_its_place() {
    let problem = |changed: &str| match live(changed) {
        Err(StreamMapFault::Text(problems)) => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        other => panic!("{other:?}"),
    };
    assert!(
        problem(&MAP.replace("format = \"json_lines\"\n", "")).starts_with("map.toml:3:"),
        "of a table"
    );
    let skip = MAP.replace("[input]", "skip = { from = \"x\", is = [\"1\"] }\n[input]");
    assert!(problem(&skip).contains("leaves out nothing"));
    let lines = MAP.replace(
        "event_id = { from = \"id\", prefix = \"t-\" }",
        "event_id = { line_number = true }",
    );
    assert!(problem(&lines).contains("have no lines"));
    assert!(problem(&MAP.replace("\"C\" = \"cleared\"", "\"C\" = \"none\"")).contains("would make nothing"));
    let own = MAP.replace(
        "from = \"/head/type\", is = [\"sale\"]",
        "from = \"schema\", is = [\"transaction\"]",
    );
    assert!(problem(&own).contains("no map sees it"));
    let other = MAP.replacen("TIDEMARK_SALT", "SALT", 1);
    assert!(problem(&other).contains("have no other variable"));
    let label = "\n[kinds.label]\nverdict = { value = \"fraud\" }\nknown_since_ms = { delay = \"7d\" }\n[[kinds]]\nwhen = { from = \"/head/type\", is = [\"chargeback\"] }";
    let both = MAP.replace(
        "\n[[kinds]]\nwhen = { from = \"/head/type\", is = [\"chargeback\"] }",
        label,
    );
    assert!(problem(&both).contains("is one event"));
    assert!(matches!(
        StreamMap::parse(MAP, "map.toml", None),
        Err(StreamMapFault::NoSalt)
    ));
}

#[test]
fn a_salt_is_known_by_its_mark_and_never_shown() {
    let (one, other) = (MapSalt::new(SALT), MapSalt::new("another salt of 16 bytes"));
    assert_eq!(one.mark(), MapSalt::new(SALT).mark());
    assert_ne!(one.mark(), other.mark());
    assert!(!format!("{one:?}").contains("salt of"));
}
