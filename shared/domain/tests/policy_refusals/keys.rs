//! `[[keys]]` and the zone: what is read, and every refusal with its place.

use tidemark_domain::policy::{KeyField, KeyTerms};

use super::*;

fn key(name: &str, field: &str) -> String {
    format!("[[keys]]\nname = \"{name}\"\nfield = \"{field}\"\nkeeps = \"labelled\"\n")
}

#[test]
fn keys_by_merchant_device_and_links_are_read() {
    let keys = [
        key("terminal", "merchant_id"),
        key("device", "device_id"),
        key("network", "links.ip"),
        key("email_hash", "links.email_hash"),
    ];
    let text = format!("{LEAST}{}", keys.concat());
    let policy = Policy::parse(&text, "my.toml").unwrap();
    let name = |name| KeyName::new(name).unwrap();
    let of = |key, field| KeyTerms { name: name(key), field };
    let expected = [
        of("terminal", KeyField::Merchant),
        of("device", KeyField::Device),
        of("network", KeyField::Link(name("ip"))),
        of("email_hash", KeyField::Link(name("email_hash"))),
    ];
    assert_eq!(policy.keys, expected);
    let text = text.replacen("\"amount_z\"", "\"amount_z\", \"network.fraud_run\"", 1);
    let features: Vec<String> = Policy::parse(&text, "my.toml")
        .unwrap()
        .features()
        .map(|key| key.to_string())
        .collect();
    assert!(features.contains(&"network.fraud_run".to_owned()));
}

#[test]
fn a_key_that_is_declared_twice_is_refused() {
    let again = format!(
        "{}{}",
        key("terminal", "merchant_id"),
        key("terminal", "links.terminal")
    );
    refused_table(&again, 5, 1, &["key `terminal` is declared twice, expected once"]);
}

#[test]
fn too_many_keys_are_refused() {
    let five: String = ["a", "b", "c", "d", "e"]
        .map(|name| key(name, &format!("links.{name}")))
        .concat();
    refused_table(&five, 1, 1, &["expected at most 4 keys, found 5"]);
}

#[test]
fn a_link_that_is_spelt_wrong_is_refused() {
    for field in [
        "link.ip",
        "ip",
        "links",
        "links.",
        "links.IP",
        "links.ip.v4",
        "links. ip",
        "links.1",
        "Links.ip",
    ] {
        refused_table(
            &key("network", field),
            3,
            9,
            &[
                "expected keys.field to be merchant_id, device_id or the name of a link, as in `links.ip`",
                &format!("found `{field}`"),
            ],
        );
    }
    refused_table(
        &key("network", "links.ip").replace("\"links.ip\"", "7"),
        3,
        9,
        &["keys.field"],
    );
    refused_table(
        &key("card", "links.ip"),
        2,
        8,
        &["neither `card` nor `surprise`", "found `card`"],
    );
    refused_table(
        &key("network", "links.ip").replace("labelled", "all"),
        4,
        9,
        &["\"labelled\"", "found `all`"],
    );
}

#[test]
fn a_feature_of_a_key_that_is_not_declared_is_refused() {
    let text = format!("{LEAST}{}", key("network", "links.ip"));
    let text = text.replacen("\"amount_z\"", "\"amount_z\", \"ip.fraud_run\"", 1);
    let found = problems(&text);
    let [problem] = found.as_slice() else {
        panic!("{found:#?}")
    };
    assert!(
        problem
            .message
            .contains("`ip.fraud_run` is of the key `ip`, expected it among [[keys]]")
    );
}

#[test]
fn a_zone_is_an_offset_within_those_of_the_world() {
    let of = |minutes: &str| {
        let text = LEAST.replacen('\n', &format!("\nzone_offset_minutes = {minutes}\n"), 1);
        Policy::parse(&text, "my.toml").map(|policy| policy.zone_offset_ms)
    };
    assert_eq!(of("330"), Ok(19_800_000));
    assert_eq!((of("-720"), of("840")), (Ok(-43_200_000), Ok(50_400_000)));
    assert_eq!(Policy::parse(LEAST, "my.toml").unwrap().zone_offset_ms, 0);
    for minutes in ["-721", "841", "1.5", "\"Europe/Berlin\""] {
        let found = of(minutes).unwrap_err();
        assert!(
            found.len() == 1 && found[0].message.contains("zone_offset_minutes"),
            "{found:?}"
        );
    }
}
