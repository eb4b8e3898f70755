//! The page's second half: the same file goes into a stack, with a list and a rule, live traffic on top, and an alert explained.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use terminal::clock::{now_ms, pause};

use super::{Desk, SALT, amount, card_number, edit, page, rows};
use crate::world::World;

/// The first half as far as this one needs it: a map, and a policy that has learned.
fn first_half(desk: &Desk, page: &str) {
    desk.json(0, &["map", "suggest", "rows.csv", "-o", "map.toml"]);
    let stated = page.split("```toml\n").nth(1).unwrap();
    edit(desk, stated.split("```").next().unwrap());
    let train = page
        .lines()
        .find(|line| line.starts_with("cargo tidemark train "))
        .unwrap();
    let words: Vec<&str> = train.split_whitespace().skip(2).collect();
    desk.json(0, &words);
}

/// Some hours ago, as a clock shows them: two of them more or less make no difference.
fn clock_now() -> String {
    let time = Timestamp::from_millisecond(now_ms() - 3 * 3_600_000).unwrap();
    time.to_zoned(TimeZone::UTC).strftime("%d.%m.%Y %H:%M").to_string()
}

/// Rows of today: one of each of ten cards at a shop that is watched, and one at another.
fn today() -> String {
    let mut text = rows().lines().next().unwrap().to_owned() + "\n";
    for card in 0..10 {
        for (number, shop, minor) in [(0, 23, 4_200), (1, 50, 1_900)] {
            writeln!(
                text,
                "{};{};{};{};eur;{shop};5411;BE;CHIP;00;0;;today",
                900_000 + 2 * card + number,
                card_number(card),
                clock_now(),
                amount(minor)
            )
            .unwrap();
        }
    }
    text
}

/// Runs a line of the page against the stack, where the files are, and gives its document.
async fn run(world: &World, desk: &Desk, words: &[&str]) -> Value {
    let output = world
        .command()
        .current_dir(desk.folder.path())
        .arg("--json")
        .args(words)
        .env("TIDEMARK_SALT", SALT)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{words:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{words:?}: {error}: {said}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_goes_on_into_a_stack_as_it_is_written() {
    let (desk, page, world) = (Desk::new(), page(), World::start().await);
    first_half(&desk, &page);
    desk.write("today.csv", &today());
    let second = page.split("\n## 5. ").nth(1).unwrap();
    let second = second.split("\n## 8. ").next().unwrap();
    let (mut imports, mut backtest) = (Vec::new(), Value::Null);
    let mut blocks = second.split("```");
    blocks.next();
    for block in blocks.step_by(2) {
        if let Some(list) = block.strip_prefix("text\n") {
            desk.write("watched.csv", list);
        } else if let Some(rule) = block.strip_prefix("toml\n") {
            desk.write("trained.toml", &(desk.read("trained.toml") + "\n" + rule));
        }
        for line in block.strip_prefix("sh\n").unwrap_or_default().lines() {
            let mut words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(words[..2], ["cargo", "tidemark"], "{line}");
            words.drain(..2);
            match words[0] {
                "import" => imports.push(run(&world, &desk, &words).await),
                "backtest" => backtest = run(&world, &desk, &words).await,
                "send" => live(&world, &desk, &words).await,
                "explain" => explained(&world, &desk).await,
                "audit" => {
                    let audit = run(&world, &desk, &words).await;
                    assert_eq!(audit["verdict"], "holds", "{audit}");
                }
                _ => _ = run(&world, &desk, &words).await,
            }
        }
    }
    let [dry, done, check] = imports.as_slice() else {
        panic!("{imports:?}")
    };
    assert_eq!((&dry["imported"], &done["missing"]), (&json!(0), &json!(0)));
    assert!(
        done["imported"].as_u64() > Some(3_000) && done["imported"] == dry["missing"],
        "{done} {dry}"
    );
    // Each was taken when it was its card's newest; what a card has dropped since then is too old by now.
    let seen = check["known"].as_u64().zip(check["too_old"].as_u64());
    assert_eq!(seen.map(|(known, too_old)| known + too_old), done["imported"].as_u64());
    assert_eq!(
        (&check["missing"], &check["refused_total"]),
        (&json!(0), &json!(0)),
        "{check}"
    );
    let rules = &backtest["policies"][0]["rules"];
    assert!(rules.to_string().contains("watched_shop"), "{backtest}");
    world.stop().await;
}

/// Sends what there is of today; the policy with the rule counts within seconds, so what was sent before that is sent again as new rows.
async fn live(world: &World, desk: &Desk, words: &[&str]) {
    let first = desk.read("today.csv");
    for turn in 0..60 {
        desk.write("today.csv", &first.replace("\n9000", &format!("\n9{turn:02}0")));
        run(world, desk, words).await;
        world.mapping.drained(60_000).await.unwrap();
        let held = json!(["watched_shop"]);
        if world
            .outcomes()
            .await
            .iter()
            .any(|seen| seen.value["rules"]["held"] == held)
        {
            return;
        }
        pause(1_000).await;
    }
    panic!("no outcome was decided by the rule");
}

/// Why an alert of the rule is one.
async fn explained(world: &World, desk: &Desk) {
    let outcomes = world.outcomes().await;
    let alert = outcomes
        .iter()
        .find(|seen| seen.value["rules"]["held"] == json!(["watched_shop"]));
    let alert = &alert.unwrap().value;
    assert_eq!(alert["decision"], "alert", "{alert}");
    let (card, event) = (alert["card_id"].as_str().unwrap(), alert["event_id"].as_str().unwrap());
    let said = run(world, desk, &["explain", card, event]).await.to_string();
    assert!(
        said.contains("More than twenty euros at a shop that was breached"),
        "{said}"
    );
    // At another shop the rule says nothing.
    let others = outcomes.iter().filter(|seen| seen.value["rules"].is_null());
    assert!(others.count() > 0);
}
