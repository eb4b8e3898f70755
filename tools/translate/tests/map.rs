//! Maps that are wrong: each problem with its line and its column.

use translate::RowMap;

use crate::world::{MAP, salts};

fn problems(text: &str) -> Vec<String> {
    match RowMap::parse(text, "map.toml", &salts) {
        Ok(map) => panic!("{map:?}"),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

/// The map with one line in the place of another, and what is wrong with it.
fn with(before: &str, after: &str) -> String {
    assert!(MAP.contains(before), "{before}");
    problems(&MAP.replacen(before, after, 1)).join("\n")
}

#[test]
fn a_map_without_a_card_is_none() {
    let said = with(
        "card_id = { from = \"pan\", hash = \"sha256\", salt_env = \"SALT\", prefix = \"c-\", strip = \" \" }\n",
        "",
    );
    assert!(said.starts_with("map.toml:3:1: missing field `card_id`"), "{said}");
    assert!(said.contains("docs/reference/map.md"), "{said}");
}

#[test]
fn a_problem_says_its_place_and_what_to_do() {
    let mut wrong = Vec::new();
    for (before, after, said) in [
        ("version = 1", "version = 2", "map.toml:2:11: expected version = 1"),
        (
            "unit = \"decimal\"",
            "unit = \"cents\"",
            "map.toml:7:42: unknown variant `cents`, expected `decimal` or `minor`",
        ),
        (
            "prefix = \"t-\"",
            "prefx = \"t-\"",
            "map.toml:4:27: unknown field `prefx`, expected one of `from`",
        ),
        (
            ", salt_env = \"SALT\"",
            "",
            "map.toml:5:11: a hash without a salt is guessed in minutes",
        ),
        (
            "\"SALT\"",
            "\"SALTY\"",
            "map.toml:5:55: the environment has no variable \"SALTY\"",
        ),
        (
            ", zone = \"Europe/Brussels\"",
            "",
            "map.toml:6:42: this format says no zone: give `zone`",
        ),
        (
            "Europe/Brussels",
            "Europe/Bruxelles",
            "map.toml:6:70: no zone is called \"Europe/Bruxelles\"",
        ),
        ("%d/%m/%Y %H:%M:%S", "%d/%m", "expected iso8601, epoch_s"),
        ("%d/%m/%Y %H:%M:%S", "%d/%m/%Y %I:%M", "expected iso8601, epoch_s"),
        ("%d/%m/%Y %H:%M:%S", "%d/%m/%Y %J", "expected iso8601, epoch_s"),
        ("%d/%m/%Y %H:%M:%S", "epoch", "expected iso8601, epoch_s"),
        (
            "{ value = \"point_of_sale\" }",
            "{ }",
            "map.toml:12:11: expected either `from` or `value`",
        ),
        (
            "{ delay = \"7d\" }",
            "{ delay = \"7w\" }",
            "map.toml:16:28: expected a delay such as 7d",
        ),
        ("{ delay = \"7d\" }", "{ }", "expected `from` or `delay`"),
        (
            "\"1\" = \"fraud\"",
            "\"1\" = \"yes\"",
            "expected \"fraud\", \"cleared\" or \"none\", found \"yes\"",
        ),
        (
            "{ from = \"id\", prefix = \"t-\" }",
            "{ prefix = \"t-\" }",
            "expected one of `from`, `value` and `line_number",
        ),
        (
            "{ from = \"id\", prefix = \"t-\" }",
            "{ from = 5 }",
            "expected a column's name, or a list of them",
        ),
        ("[label]", "[label", "map.toml:14:"),
        (
            "unit = \"decimal\"",
            "unit = \"decimal\", thousands = \".\"",
            "`thousands` and `decimal` are both '.'",
        ),
        (
            "unit = \"decimal\"",
            "unit = \"decimal\", decimal = \"1\"",
            "expected one sign as `decimal`",
        ),
        (
            "version = 1\n",
            "version = 1\ninput = { delimiter = \"||\" }\n",
            "expected one ASCII character as `delimiter`",
        ),
        (
            "version = 1\n",
            "version = 1\ninput = { columns = [\"a\", \"a\"] }\n",
            "expected 1 to 2000 names of columns",
        ),
        ("[label]", "latitude = { from = \"lat\" }\n[label]", "go together only"),
        (
            "[label]",
            "[transaction.links]\nIP = { from = \"x\" }\n[label]",
            "map.toml:15:6: expected a name of 1 to 16",
        ),
    ] {
        let found = with(before, after);
        if !found.contains(said) {
            wrong.push(format!("{after}: {found}\nexpected {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_problems_are_told_together_in_the_order_of_the_text() {
    let text = MAP.replace("\"SALT\"", "\"OTHER\"").replace("\"7d\"", "\"soon\"");
    let found = problems(&text);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].starts_with("map.toml:5:") && found[1].starts_with("map.toml:16:"),
        "{found:?}"
    );
}

#[test]
fn a_map_makes_something_of_one_kind_of_rows_or_of_several() {
    assert!(problems("version = 1\n")[0].contains("the map makes nothing"));
    let both = format!("{MAP}[[kinds]]\nwhen = {{ from = \"a\", is = [\"b\"] }}\n");
    assert!(problems(&both).join("\n").contains("not both"));
    let label = "version = 1\n[label]\nverdict = { value = \"fraud\" }\nknown_since_ms = { delay = \"7d\" }\n";
    let said = problems(label).join("\n");
    assert!(
        said.contains("needs `event_id` and `card_id`") && said.contains("counts from the event's time"),
        "{said}"
    );
    let long = format!("# {}\n{MAP}", "x".repeat(300 * 1024));
    assert!(problems(&long)[0].contains("at most 262144 bytes"));
}

#[test]
fn a_short_salt_and_a_salt_without_a_hash_are_refused() {
    let short = |_: &str| Some("salt".to_owned());
    let problems = RowMap::parse(MAP, "map.toml", &short).unwrap_err();
    assert!(problems[0].to_string().contains("less than 16 bytes"), "{problems:?}");
    assert!(!format!("{problems:?}").contains("\"salt\""), "a salt is never shown");
    assert!(with("hash = \"sha256\", ", "").contains("a salt without a hash does nothing"));
}
