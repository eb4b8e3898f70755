//! `audit` against the real function: ids that are used again, slices and a checkpoint, shadow, a policy with other bounds, and
//! a card whose state is gone.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking"
)]

use crate::world::World;
use serde_json::{Value, json};
use terminal::clock::now_ms;
use tidemark_aws::admin::ItemValue;
use tidemark_domain::policy::Policy;

const DRAIN_MS_MAX: u64 = 60_000;
const DAY_MS: i64 = 86_400_000;

fn event(card: &str, id: &str, time_ms: i64) -> Value {
    json!({
        "schema": "transaction", "version": 1, "event_id": id, "card_id": card, "occurred_at_ms": time_ms,
        "amount_minor": 1250, "currency": "EUR", "merchant_id": "m-1", "mcc": 5411, "country": "DE", "channel": "point_of_sale", "approved": true,
    })
}

/// Two cards with the same ids, each id at three times, and one of them sent twice.
fn reused(ids: usize) -> Vec<Value> {
    let now_ms = now_ms();
    let mut events = Vec::new();
    for number in 0..ids {
        for card in ["card-1", "card-2"] {
            for earlier_ms in [0, 1, 60_000] {
                events.push(event(card, &format!("event {number}"), now_ms - 1_000 - earlier_ms));
            }
        }
    }
    events.push(events[0].clone());
    events
}

fn counts(audit: &Value) -> (u64, u64, u64) {
    let number = |name: &str| audit[name].as_u64().unwrap();
    (number("accepted"), number("scored"), number("duplicate"))
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_used_again_hold_in_slices_of_any_size_and_a_checkpoint_is_gone_on_from() {
    let world = World::start().await;
    let empty = world.json(6, &["audit"]).await;
    assert_eq!(
        (&empty["verdict"], &empty["holds"]),
        (&json!("nothing"), &json!(false)),
        "{empty}"
    );

    world.put(&reused(20)).await;
    world.mapping.drained(DRAIN_MS_MAX).await.unwrap();
    let file = world.folder.path().join("audit.json");
    let checkpoint = ["--checkpoint", file.to_str().unwrap()];
    for cut in [&["--records-max", "7"][..], &["--since", "oldest"], &checkpoint] {
        let audit = world.json(0, &[&["audit", "--settle", "30"], cut].concat()).await;
        assert_eq!(audit["verdict"], "holds", "{audit}");
        assert_eq!(counts(&audit), (121, 120, 1), "{audit}");
        assert_eq!(
            (&audit["unaccounted"], &audit["breaks"]),
            (&json!(0), &json!([])),
            "{audit}"
        );
    }
    // Yesterday's audit is not done again.
    let again = [&["audit", "--settle", "30"], &checkpoint[..]].concat();
    let nothing = world.json(6, &again).await;
    assert_eq!(counts(&nothing), (0, 0, 0), "{nothing}");
    world.put(&[event("card-3", "event 0", now_ms())]).await;
    world.mapping.drained(DRAIN_MS_MAX).await.unwrap();
    let new = world.json(0, &again).await;
    assert_eq!(counts(&new), (1, 1, 0), "{new}");

    a_card_whose_state_is_gone_is_named(&world).await;
    world.stop().await;
}

/// As it would be after somebody had deleted an item: a table that has all others.
async fn a_card_whose_state_is_gone_is_named(world: &World) {
    let admin = world.cloud.admin();
    admin.create_table("cut-cards").await.unwrap();
    let page = admin.scan(&world.names.table, None).await.unwrap();
    let is_lost = |name: &str, value: &str, item: &tidemark_aws::admin::Item| {
        item.get(name) == Some(&ItemValue::Text(value.to_owned()))
    };
    for item in page.items {
        if !(is_lost("pk", "c#card-3", &item) && is_lost("sk", "s", &item)) {
            admin.put_new_item("cut-cards", &item).await.unwrap();
        }
    }
    let audit = world.json(1, &["audit", "--table", "cut-cards"]).await;
    assert_eq!(audit["outcomes"]["without_history"], 1, "{audit}");
    let breaks = audit["breaks"].as_array().unwrap();
    assert_eq!((breaks.len(), &breaks[0]["invariant"]), (1, &json!("I2")), "{audit}");
    assert!(
        breaks[0]["what"]
            .as_str()
            .unwrap()
            .contains("event event 0 of card card-3"),
        "{audit}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_came_between_and_shadow_raise_no_false_alarm() {
    let world = World::start().await;
    let late = |id: &str| event("card-1", id, now_ms() - 4 * DAY_MS);
    world.put(&[late("before"), event("card-1", "timely", now_ms())]).await;
    world.mapping.drained(DRAIN_MS_MAX).await.unwrap();

    // A policy that takes events of five days ago.
    let text = Policy::default_text();
    let wide = text
        .replace("version = 1\n", "version = 2\n")
        .replace("172_800_000", "432_000_000");
    assert_ne!(
        Policy::parse(&wide, "wide").unwrap().bounds,
        Policy::default_policy().bounds
    );
    let file = world.folder.path().join("wide.toml");
    std::fs::write(&file, wide).unwrap();
    let path = file.to_str().unwrap();
    world.json(0, &["policy", "publish", path, "--reason", "a test"]).await;
    world.json(0, &["policy", "activate", "2", "--reason", "a test"]).await;
    tokio::time::sleep(std::time::Duration::from_secs(16)).await;
    world.put(&[late("after")]).await;
    world.mapping.drained(DRAIN_MS_MAX).await.unwrap();
    let audit = world.json(0, &["audit", "--settle", "30"]).await;
    assert_eq!(counts(&audit), (3, 2, 0), "{audit}");
    assert_eq!(audit["quarantined"], json!({ "too_late": 1 }), "{audit}");

    world.json(0, &["mode", "shadow", "--reason", "a test"]).await;
    tokio::time::sleep(std::time::Duration::from_secs(11)).await;
    world.put(&[event("card-1", "in shadow", now_ms())]).await;
    world.mapping.drained(DRAIN_MS_MAX).await.unwrap();
    let audit = world.json(0, &["audit", "--pending", "0", "--settle", "30"]).await;
    assert_eq!(
        (counts(&audit), &audit["by_history"]),
        ((4, 3, 0), &json!(1)),
        "{audit}"
    );
    world.stop().await;
}
