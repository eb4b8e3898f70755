//! Profiles of rows, and whose column is blamed for a label that the contract refuses.

use serde_json::json;

use translate::RowMap;

use crate::world::{run, salts};

const PROFILES: &str = r#"
version = 1
[profile]
card_id = { from = "pan", hash = "sha256", salt_env = "SALT", prefix = "c-" }
usual_country = { from = "land", values = { "Belgium" = "BE" } }
currency = { value = "EUR" }
spend_mean_minor = { from = "mean", unit = "decimal", round = true }
spend_deviation_minor = { from = "sd", unit = "decimal", round = true }
transactions_per_day = { from = "per_day" }
account_opened_at_ms = { from = "opened", zone = "UTC" }
updated_at_ms = { from = "as_of", time = "epoch_s" }
"#;
const HEADER: &str = "pan,land,mean,sd,per_day,opened,as_of";

#[test]
fn a_row_becomes_the_profile_of_its_card() {
    let rows = format!(
        "{HEADER}\n4111111111111111,Belgium,12.345,3,0.5,2020-05-01,1795399200\n4111111111111111,Belgium,1,1,,2020-05-01,1795399200\n"
    );
    let ran = run(PROFILES, rows.as_bytes());
    let card = "c-87f4bf45e0cba6aab8cac481bc1b576c";
    let profile = json!({
        "schema": "profile", "version": 1, "card_id": card, "profile_version": 1_795_399_200_000_u64, "usual_country": "BE",
        "spend_mean_minor": 1_235, "spend_deviation_minor": 300, "transactions_per_day": 0.5,
        "account_opened_at_ms": 1_588_291_200_000_i64, "updated_at_ms": 1_795_399_200_000_i64,
    });
    assert_eq!(ran.events, [(2, profile)]);
    assert_eq!((ran.account.profiles, ran.account.refused_total), (1, 1));
    assert_eq!(
        (ran.refused[0].code, ran.refused[0].column.as_deref()),
        ("empty_value", Some("per_day"))
    );
}

#[test]
fn a_profile_beside_a_transaction_is_its_cards_and_comes_before_it() {
    let map = r#"
version = 1
[transaction]
event_id = { from = "id", prefix = "t-" }
card_id = { from = "card", prefix = "c-" }
occurred_at_ms = { from = "when", zone = "UTC" }
amount_minor = { from = "amount", unit = "decimal" }
currency = { value = "EUR" }
merchant_id = { value = "m-1" }
mcc = { value = 5411 }
country = { value = "BE" }
channel = { value = "ecommerce" }
approved = { value = true }
[profile]
profile_version = { value = 3 }
usual_country = { from = "home" }
currency = { value = "EUR" }
spend_mean_minor = { from = "mean", unit = "minor" }
spend_deviation_minor = { from = "sd", unit = "minor" }
transactions_per_day = { from = "per_day" }
account_opened_at_ms = { from = "opened", zone = "UTC" }
"#;
    let header = "id,card,when,amount,home,mean,sd,per_day,opened";
    let rows = format!(
        "{header}\n1,7,2026-11-23 03:00,1,BE,100,10,2,2020-05-01\n2,7,2026-11-23 03:00,1,Belgien,100,10,2,2020-05-01\n\
         3,7,2026-11-23 03:00,1,BE,100,10,-2,2020-05-01\n"
    );
    let ran = run(map, rows.as_bytes());
    let schemas: Vec<_> = ran
        .events
        .iter()
        .map(|(line, event)| (*line, event["schema"].clone()))
        .collect();
    assert_eq!(schemas, [(2, "profile".into()), (2, "transaction".into())]);
    assert_eq!(ran.events[0].1["card_id"], "c-7");
    let blamed: Vec<_> = ran.refused.iter().map(|row| row.column.as_deref()).collect();
    assert_eq!(blamed, [Some("home"), Some("per_day")]);
}

#[test]
fn a_profile_needs_its_card_and_a_version() {
    let map = PROFILES
        .replace("updated_at_ms =", "# updated_at_ms =")
        .replace("card_id =", "# card_id =");
    let problems = RowMap::parse(&map, "map.toml", &salts).unwrap_err();
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(
        told.iter().any(|told| told.contains("`card_id`"))
            && told.iter().any(|told| told.contains("`profile_version`")),
        "{told:?}"
    );
}

#[test]
fn the_column_of_the_field_that_the_contract_refuses_is_blamed() {
    let map = r#"
version = 1
[label]
event_id = { from = "txn" }
card_id = { from = "card" }
verdict = { value = "fraud" }
known_since_ms = { from = "booked", zone = "UTC" }
"#;
    let long = "x".repeat(200);
    let rows =
        format!("txn,card,booked\n{long},c-1,2026-11-23\nt-1,{long},2026-11-23\nt-1,4111111111111111,2026-11-23\n");
    let ran = run(map, rows.as_bytes());
    let blamed: Vec<_> = ran.refused.iter().map(|row| row.column.as_deref()).collect();
    assert_eq!(blamed, [Some("txn"), Some("card"), Some("card")], "{:?}", ran.refused);
}
