//! Drafts of maps: what can be guessed is, what can't be is said, and a draft is a map.

use translate::{RowMap, suggest};

use crate::world::run;

fn salts(name: &str) -> Option<String> {
    (name == "TIDEMARK_SALT").then(|| "a salt of 16 bytes".to_owned())
}

fn draft(file: &str) -> (String, Vec<String>) {
    let found = suggest(file.as_bytes(), "rows.csv", 1_000, true).unwrap();
    RowMap::parse(&found.text, "draft", &salts).unwrap_or_else(|problems| panic!("{problems:?}\n{}", found.text));
    (found.text, found.to_state)
}

/// The line of a field.
fn line<'t>(text: &'t str, field: &str) -> &'t str {
    let start = format!("{field} = ");
    text.lines()
        .find(|line| line.starts_with(&start))
        .unwrap_or_else(|| panic!("no {field} in {text}"))
}

const ODD: &str = "Trans No;PAN;Buchung;Betrag;Whg;Shop ID;MCC;Land;Entry Mode;Resp Code;Is Fraud\n\
    900001;4111111111111111;25.11.2026 03:00;1.234,56 €;eur;77;5411;BE;CHIP;00;0\n\
    900002;5500005555555559;03.12.2026 23:10;7,10 €;eur;78;5999;DE;ONLINE;05;1\n";

#[test]
fn a_table_with_odd_columns_is_guessed_by_names_and_values() {
    let (text, to_state) = draft(ODD);
    for (field, said) in [
        ("delimiter", "\";\""),
        ("event_id", "{ from = \"Trans No\", prefix = \"t-\" }"),
        (
            "card_id",
            "{ from = \"PAN\", strip = \" -\", hash = \"sha256\", salt_env = \"TIDEMARK_SALT\", prefix = \"c-\" }",
        ),
        (
            "occurred_at_ms",
            "{ from = \"Buchung\", time = \"%d.%m.%Y %H:%M\", zone = \"UTC\" }",
        ),
        (
            "amount_minor",
            "{ from = \"Betrag\", unit = \"decimal\", strip = \" €\", decimal = \",\", thousands = \".\" }",
        ),
        ("currency", "{ from = \"Whg\", values = { \"eur\" = \"EUR\" } }"),
        ("merchant_id", "{ from = \"Shop ID\", prefix = \"m-\" }"),
        ("mcc", "{ from = \"MCC\" }"),
        ("country", "{ from = \"Land\" }"),
        (
            "channel",
            "{ from = \"Entry Mode\", values = { \"CHIP\" = \"point_of_sale\", \"ONLINE\" = \"ecommerce\" } }",
        ),
        (
            "approved",
            "{ from = \"Resp Code\", values = { \"00\" = true }, otherwise = false }",
        ),
        (
            "verdict",
            "{ from = \"Is Fraud\", values = { \"0\" = \"none\", \"1\" = \"fraud\" } }",
        ),
        ("known_since_ms", "{ delay = \"7d\" }"),
    ] {
        assert!(
            line(&text, field).starts_with(&format!("{field} = {said}")),
            "{}\n{text}",
            line(&text, field)
        );
    }
    assert!(
        !text.contains("4111") && !text.contains("5500"),
        "no example is a card number: {text}"
    );
    let named: Vec<&str> = to_state.iter().filter_map(|state| state.split(':').next()).collect();
    assert_eq!(named, ["occurred_at_ms", "approved", "known_since_ms"]);
    let ran = run(&text.replace("TIDEMARK_SALT", "SALT"), ODD.as_bytes());
    assert!(ran.fault.is_none() && ran.account.refused_total == 0, "{ran:?}");
    assert_eq!((ran.account.transactions, ran.account.labels), (2, 1));
}

#[test]
fn the_handbooks_columns_are_known() {
    let file = "TRANSACTION_ID,TX_DATETIME,CUSTOMER_ID,TERMINAL_ID,TX_AMOUNT,TX_TIME_SECONDS,TX_TIME_DAYS,TX_FRAUD,TX_FRAUD_SCENARIO\n\
                0,2018-04-01 00:00:31,596,3156,57.16,31,0,0,0\n1,2018-04-01 00:02:10,4961,3412,81.51,130,0,1,1\n\
                2,2018-04-01 00:07:56,596,1365,146.0,476,0,0,0\n";
    let (text, to_state) = draft(file);
    for (field, column) in [
        ("event_id", "TRANSACTION_ID"),
        ("card_id", "CUSTOMER_ID"),
        ("occurred_at_ms", "TX_DATETIME"),
        ("amount_minor", "TX_AMOUNT"),
        ("merchant_id", "TERMINAL_ID"),
        ("verdict", "TX_FRAUD"),
    ] {
        assert!(
            line(&text, field).contains(&format!("from = {column:?}")),
            "{}",
            line(&text, field)
        );
    }
    let stated: Vec<&str> = to_state.iter().filter_map(|state| state.split(':').next()).collect();
    assert_eq!(
        stated,
        [
            "occurred_at_ms",
            "currency",
            "mcc",
            "country",
            "channel",
            "approved",
            "known_since_ms"
        ]
    );
    // What has to be stated is not passed over: no row goes through before it is.
    let ran = run(&text, file.as_bytes());
    assert_eq!(ran.account.refused_by_code, [("unknown_currency", 3)].into());
    let stated = text
        .replacen("currency = { value = \"???\" }", "currency = { value = \"EUR\" }", 1)
        .replacen("country = { value = \"???\" }", "country = { value = \"BE\" }", 1)
        .replacen(
            "channel = { value = \"???\" }",
            "channel = { value = \"point_of_sale\" }",
            1,
        );
    let ran = run(&stated, file.as_bytes());
    assert_eq!(
        (ran.account.refused_total, ran.account.transactions, ran.account.labels),
        (0, 3, 1),
        "{ran:?}"
    );
}

#[test]
fn json_lines_are_guessed_by_their_paths() {
    let file = "{\"id\":\"a1\",\"card\":{\"token\":\"x\"},\"when\":1795399200,\"amount\":12.5,\"currency\":\"EUR\",\"merchant\":{\"name\":\"Spar\",\"mcc\":5411,\
                \"country\":\"BE\"},\"client\":{\"ip\":\"10.0.0.1\"}}\n{\"id\":\"a2\",\"card\":{\"token\":\"x\"},\"when\":1795399201,\"amount\":3,\"currency\":\"EUR\",\
                \"merchant\":{\"name\":\"Spar\",\"mcc\":5411,\"country\":\"BE\"},\"client\":{\"ip\":\"10.0.0.1\"}}\n";
    let (text, _) = draft(file);
    for (field, said) in [
        ("format", "\"json_lines\""),
        ("event_id", "{ from = \"id\" }"),
        ("card_id", "{ from = \"/card/token\" }"),
        ("occurred_at_ms", "{ from = \"when\", time = \"epoch_s\" }"),
        ("amount_minor", "{ from = \"amount\", unit = \"decimal\" }"),
        ("merchant_id", "{ from = \"/merchant/name\" }"),
        ("mcc", "{ from = \"/merchant/mcc\" }"),
        ("country", "{ from = \"/merchant/country\" }"),
        (
            "ip",
            "{ from = \"/client/ip\", hash = \"sha256\", salt_env = \"TIDEMARK_SALT\" }",
        ),
    ] {
        assert!(
            line(&text, field).starts_with(&format!("{field} = {said}")),
            "{}\n{text}",
            line(&text, field)
        );
    }
}

#[test]
fn a_draft_is_a_map_whatever_the_columns_are_called() {
    for file in [
        "a\n1\n",
        "\"a \"\"quoted\"\" name\",\"tab\tname\",é\n1,2,3\n",
        "date,amount,card\n03/04/2026,1.234,7\n",
        "x|y|z\n|||\n\"|\n",
        "{}\n",
        "{\"a/b\":{\"~\":1},\"card\":[1,[2]]}\n",
        "amount,currency,country,channel,status\n-1,zz,Belgium,pigeon,what\n",
        "card,card\n1,2\n",
    ] {
        let (text, to_state) = draft(file);
        assert!(
            !to_state.is_empty() && text.matches("STATE").count() > to_state.len(),
            "{text}"
        );
    }
    let hidden = suggest(ODD.as_bytes(), "rows.csv", 1_000, false).unwrap().text;
    assert!(
        !hidden.contains(": \"") && hidden.contains("column \"MCC\" (7)"),
        "{hidden}"
    );
    assert!(suggest(&b"PAR1"[..], "rows.parquet", 10, true).is_err());
}

#[test]
fn a_date_that_the_rows_do_not_tell_is_left_to_a_person() {
    let (text, to_state) = draft("date,amount,card\n03/04/2026,1.50,7\n");
    assert!(
        to_state[1].contains("\"%d/%m/%Y\" or time = \"%m/%d/%Y\""),
        "{to_state:?}"
    );
    assert!(!line(&text, "occurred_at_ms").contains("time = \"%d/%m/%Y\","));
}
