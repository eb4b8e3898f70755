//! The page of `local up` in a real browser (headless Chromium), with the real score function behind it: what it shows, and
//! that a card's name is never taken for markup.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;

use operate::watch::sample::{Sampler, Targets};
use rehearse::stack::Stack;
use rehearse::web::WebPage;
use tidemark_aws::admin::PutRecord;
use tidemark_domain::policy::Policy;

/// A card whose name would run, were it taken for markup.
const EVIL_CARD: &str = "<img src=x onerror=document.body.dataset.ran=1>";
/// How long the browser lets the page's own time run, ms.
const PAGE_TIME_MS: u32 = 4_000;
/// How long the mapping may take to score the few events, ms.
const DRAIN_MS: u64 = 60_000;

/// Where Debian's package, and others, put it.
fn chromium() -> &'static str {
    [
        "/usr/bin/chromium",
        "/usr/bin/chromium-browser",
        "/usr/bin/google-chrome",
    ]
    .into_iter()
    .find(|path| Path::new(path).exists())
    .expect("this test needs Chromium: `apt-get install chromium` (tests/run does it where it may)")
}

/// The page's elements once its script has run, in a window of the usual size.
fn dom(url: &str, profile: &Path) -> String {
    dom_at(1280, url, profile)
}

/// The same in a window of another width, in pixels.
fn dom_at(width: u32, url: &str, profile: &Path) -> String {
    let output = Command::new(chromium())
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("--window-size={width},900"))
        .arg(format!("--virtual-time-budget={PAGE_TIME_MS}"))
        .args(["--dump-dom", url])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn now_ms() -> i64 {
    terminal::clock::now_ms()
}

fn transaction(card_id: &str, event: u32, amount_minor: u64) -> PutRecord {
    let payload = serde_json::json!({
        "schema": "transaction", "version": 2, "event_id": format!("e{event}"), "card_id": card_id,
        "occurred_at_ms": now_ms() - 60_000 + i64::from(event), "amount_minor": amount_minor, "currency": "EUR",
        "merchant_id": "m", "mcc": 5411, "country": "FR", "channel": "point_of_sale", "approved": true,
    });
    PutRecord {
        partition_key: card_id.to_owned(),
        data: payload.to_string().into_bytes(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_the_pipeline_and_takes_no_name_for_markup() {
    let folder = tempfile::tempdir().unwrap();
    let score = Path::new(env!("CARGO_BIN_EXE_tidemark")).with_file_name("score");
    let stack = Stack::start(folder.path(), 1, Some(&score), true).await.unwrap();
    let admin = stack.cloud.admin().clone();
    let records: Vec<PutRecord> = (0..40)
        .map(|event| {
            transaction(
                if event % 2 == 0 { EVIL_CARD } else { "card-plain" },
                event,
                1_000 + u64::from(event),
            )
        })
        .collect();
    admin
        .put_records(&stack.names.transactions_stream, &records)
        .await
        .unwrap();
    stack.mapping.drained(DRAIN_MS).await.unwrap();

    let targets = Targets {
        log: Some(stack.function.log_path().to_path_buf()),
        ..Targets::with_prefix("tidemark")
    };
    let policy = Policy::default_policy();
    let sampler = Sampler::new(admin.clone(), targets, policy.clone());
    let page = WebPage::start(0, admin, sampler, &stack.names.table, policy)
        .await
        .unwrap();

    let whole = dom(&page.url(), &folder.path().join("browser-1"));
    for part in [
        "shard 0",
        "quarantine",
        "unrecoverable",
        "write units",
        "card-plain",
        "&lt;img src=x onerror",
    ] {
        assert!(whole.contains(part), "{part} is not on the page:\n{whole}");
    }
    // Fails as soon as the script writes innerHTML.
    assert!(
        !whole.contains("<img") && !whole.contains("data-ran"),
        "a card's name became markup"
    );

    let address = format!(
        "{}?card=%3Cimg%20src%3Dx%20onerror%3Ddocument.body.dataset.ran%3D1%3E",
        page.url()
    );
    let card = dom(&address, &folder.path().join("browser-2"));
    assert!(card.contains("20 events accepted"), "{card}");
    assert!(
        card.contains("<circle") && card.contains("Windows up to this event"),
        "the timeline is drawn"
    );
    assert!(
        !card.contains("<img") && !card.contains("data-ran"),
        "a card's name became markup"
    );

    // On a phone: pictures are drawn in the pixels that there are, so that their letters are legible.
    let narrow = dom_at(390, &address, &folder.path().join("browser-4"));
    for id in ["rates", "events"] {
        let (_, picture) = narrow.split_once(&format!("id=\"{id}\"")).unwrap();
        let (_, width) = picture.split_once("viewBox=\"0 0 ").unwrap();
        let width: u32 = width.split(' ').next().unwrap().parse().unwrap();
        assert!((300..=500).contains(&width), "{id} is drawn {width} wide");
    }

    let nobody = dom(&format!("{}?card=nobody", page.url()), &folder.path().join("browser-3"));
    assert!(
        nobody.contains("has no state of card nobody") && nobody.contains("no_such_card"),
        "{nobody}"
    );
    stack.stop().await;
}
