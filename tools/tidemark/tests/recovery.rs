//! A measurement, not part of `tests/run`: CONTRIBUTING.md names its command, docs/reference/benchmarks.md its last result.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and a measurement prints"
)]

use std::path::Path;

use rehearse::chaos::recovery;

/// Records in the dead-letter queue.
const RECORDS: u32 = 10_000;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: a measurement"]
async fn ten_thousand_dead_letters_drain_beside_live_traffic() {
    let folder = tempfile::tempdir().unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_tidemark")).with_file_name("score");
    let recovery = recovery::measure(RECORDS, 1, folder.path(), &binary).await.unwrap();
    println!("{}", serde_json::to_string_pretty(&recovery).unwrap());
    assert!(recovery.dead_letter_records >= u64::from(RECORDS));
    assert!(recovery.redrive.complete);
    assert_eq!((recovery.account.dead_lettered, recovery.account.unaccounted), (0, 0));
}
