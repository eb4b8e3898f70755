//! The troubles, and which alarms each must make ring.

use super::MINUTES_PER_DAY;
use super::world::{Minute, REDRIVE, World, lambda, own, stream, table, waiting};

const MS_PER_HOUR: f64 = 3_600_000.0;
/// The share of the batches that a new version has while it is tried.
const CANARY: f64 = 0.1;

/// A trouble.
pub struct Case {
    pub what: &'static str,
    /// Parameters that are not the defaults.
    pub parameters: &'static [(&'static str, &'static str)],
    /// What follows after ordinary days.
    pub world: World,
    /// The alarms that must ring at its end, and no others.
    pub rings: &'static [&'static str],
}

pub fn case(what: &'static str, world: World, rings: &'static [&'static str]) -> Case {
    Case {
        what,
        parameters: &[],
        world,
        rings,
    }
}

fn with(parameters: &'static [(&'static str, &'static str)], case: Case) -> Case {
    Case { parameters, ..case }
}

pub fn ordinary() -> Minute {
    Minute::recorded("ordinary")
}

/// An ordinary minute of a hundred times the load.
fn busy() -> Minute {
    let many = |minute: Minute, metric: &str| minute.clone().with(metric, 100.0 * minute.sum(metric));
    let metrics = ["RecordsReceived", "Scored", "Commits"].map(own);
    let metrics = metrics.iter().fold(ordinary(), |minute, metric| many(minute, metric));
    many(metrics, &lambda("Invocations"))
}

fn oldest_letter() -> String {
    format!("Tidemark OldestDeadLetterAge {REDRIVE}")
}

fn letters_told() -> String {
    format!("Tidemark DeadLetters {REDRIVE}")
}

fn letters(age_hours: f64) -> Minute {
    let waits = ordinary().with(&waiting("dead-letter"), 3.0).with(&letters_told(), 3.0);
    waits.with(&oldest_letter(), age_hours * MS_PER_HOUR)
}

/// With a bucket the queue is empty.
fn objects(age_hours: f64) -> Minute {
    letters(age_hours).with(&waiting("dead-letter"), 0.0)
}

/// Records arrive, and nobody takes them.
fn untaken(records: f64) -> Minute {
    Minute::silent().with(&stream("IncomingRecords"), records)
}

pub fn cases() -> Vec<Case> {
    let groups = [
        outcomes(),
        versions(),
        letters_and_quarantine(),
        takers(),
        limits(),
        super::published::learning(),
    ];
    groups.into_iter().flatten().collect()
}

fn outcomes() -> Vec<Case> {
    let late = |share| ordinary().with_share(&own("LateOutcomes"), share, &own("Scored"));
    let all_late = &[
        "outcomes-burn-fast",
        "outcomes-burn-fast-long",
        "outcomes-burn-fast-short",
        "outcomes-burn-slow",
        "outcomes-burn-slow-long",
        "outcomes-burn-slow-short",
    ];
    let lost = Minute::recorded("records-lost").with(&waiting("unrecoverable"), 1.0);
    let lost = lost.with(&oldest_letter(), 0.0); // the letter of the drill is from 2020
    vec![
        case("every outcome is late", late(1.0).times(60), all_late),
        case(
            "no outcome can be sent at all",
            late(0.0)
                .with_share(&own("Unsent"), 1.0, &own("Scored"))
                .with_share(&own("LateOutcomes"), 1.0, &own("Scored"))
                .with(&own("Scored"), 0.0)
                .times(60),
            all_late,
        ),
        case("as many are late as may be", late(0.001).times(MINUTES_PER_DAY), &[]),
        case(
            "they were late for a minute",
            late(1.0).times(1).then(ordinary().times(40)),
            &["outcomes-burn-fast-long"],
        ),
        case(
            "a redrive finds records past retention, as recorded: nine of them every minute",
            lost.times(30),
            &[
                "accounted-burn-fast",
                "accounted-burn-fast-long",
                "accounted-burn-fast-short",
                "accounted-burn-slow",
                "accounted-burn-slow-long",
                "accounted-burn-slow-short",
                "unrecoverable",
            ],
        ),
        case(
            "the functions work on an old copy of the control plane",
            ordinary().with(&own("ControlAge"), 61_000.0).times(3),
            &["control-age"],
        ),
        case(
            "a million outcomes cost 4 dollars",
            ordinary()
                .with_share(&own("CostMicrodollars"), 4.0, &own("Scored"))
                .times(120),
            &["cost-per-million"],
        ),
        case(
            "outcomes lack an input",
            ordinary().with_share(&own("Degraded"), 0.06, &own("Scored")).times(10),
            &["canary-degraded", "degraded-share"],
        ),
        case(
            "services fail and the function dies, as recorded from `tidemark demo --chaos`",
            Minute::recorded("chaos").times(10),
            &[
                "canary-degraded",
                "canary-quarantined",
                "canary-returned",
                "degraded-share",
            ],
        ),
        case(
            "one write in ten loses against another writer",
            ordinary()
                .with_share(&own("Conflicts"), 0.11, &own("Commits"))
                .times(15),
            &["commit-ratio"],
        ),
    ]
}

/// What a bad version of the score function does while it has a tenth of the batches: CodeDeploy must hear of it within five minutes.
fn versions() -> Vec<Case> {
    let tenth = |metric: String, of: String| ordinary().with_share(&metric, CANARY, &of).times(5);
    vec![
        case(
            "a version whose every outcome is late",
            tenth(own("LateOutcomes"), own("Scored")),
            &["outcomes-burn-fast-short", "outcomes-burn-slow-short"],
        ),
        case(
            "a version that crashes",
            tenth(lambda("Errors"), lambda("Invocations")),
            &["canary-errors"],
        ),
        case(
            "a version that refuses every record",
            tenth(own("Quarantined"), own("RecordsReceived")),
            &["canary-quarantined"],
        ),
        case(
            "a version that reads no profile",
            tenth(own("Degraded"), own("Scored")),
            &["canary-degraded"],
        ),
        case(
            "a version that gives everything back",
            tenth(own("Returned"), own("RecordsReceived")),
            &["canary-returned"],
        ),
        case(
            "a state that cannot be read, as recorded",
            Minute::recorded("state-corrupt").times(5),
            &["state-corrupt"],
        ),
        case(
            "a version that is older than one of the states",
            busy()
                .with(&own("StateCorrupt"), 1.0)
                .with(&own("Returned"), 1.0)
                .times(5),
            &["state-corrupt"],
        ),
        case(
            "a single crash of many invocations",
            busy().with(&lambda("Errors"), 1.0).times(1).then(busy().times(4)),
            &[],
        ),
    ]
}

fn letters_and_quarantine() -> Vec<Case> {
    let held = |minute: Minute| {
        minute.with(
            "AWS/SQS ApproximateNumberOfMessagesNotVisible tidemark-dead-letter",
            3.0,
        )
    };
    let deleted = |minute: Minute| minute.with("AWS/SQS NumberOfMessagesDeleted tidemark-dead-letter", 1.0);
    let refused = ordinary().with(&waiting("quarantine"), 5.0);
    // All of it is hidden while somebody lists it.
    let looked = ordinary().with("AWS/SQS NumberOfMessagesReceived tidemark-quarantine", 5.0);
    let emptied = looked
        .clone()
        .with("AWS/SQS NumberOfMessagesDeleted tidemark-quarantine", 5.0);
    let week = 7 * MINUTES_PER_DAY;
    vec![
        case("batches were given up on", letters(1.0).times(5), &["dead-letters"]),
        case("batches lie in the bucket", objects(1.0).times(5), &["dead-letters"]),
        case(
            "an object with 23 hours left",
            objects(145.0).times(15),
            &["dead-letters", "oldest-dead-letter"],
        ),
        case(
            "a look in ten minutes, and letters wait",
            letters(1.0).times(1).then(ordinary().without(&letters_told()).times(9)),
            &["dead-letters"],
        ),
        case(
            "a letter with 25 hours left",
            letters(143.0).times(15),
            &["dead-letters"],
        ),
        case(
            "a letter with 23 hours left",
            letters(145.0).times(15),
            &["dead-letters", "oldest-dead-letter"],
        ),
        with(
            &[("StreamRetentionHours", "48")],
            case(
                "a letter with 23 hours left of two days",
                letters(25.0).times(15),
                &["dead-letters", "oldest-dead-letter"],
            ),
        ),
        case(
            "nobody tells the age of dead letters",
            ordinary().without(&oldest_letter()).times(15),
            &["oldest-dead-letter"],
        ),
        case(
            "a redrive finishes nothing",
            held(ordinary()).times(30),
            &["redrive-stuck"],
        ),
        case("a redrive works", deleted(held(ordinary())).times(30), &[]),
        case(
            "a producer sends what nobody can read, as recorded",
            Minute::recorded("flood").with(&waiting("quarantine"), 209.0).times(10),
            &["canary-quarantined", "quarantine-rate"],
        ),
        case(
            "something waits in quarantine for a week",
            refused.times(week),
            &["quarantine-age"],
        ),
        case(
            "something waits in quarantine for a week, and somebody looked on the third day",
            refused
                .times(week / 2)
                .then(looked.times(2))
                .then(refused.times(week / 2 - 2)),
            &["quarantine-age"],
        ),
        case(
            "the quarantine was emptied on the third day",
            refused
                .times(week / 2)
                .then(emptied.times(1))
                .then(refused.times(week / 2)),
            &[],
        ),
        case(
            "the mapping could not write a dead letter",
            ordinary().with(&lambda("DestinationDeliveryFailures"), 1.0).times(1),
            &["destination-failures"],
        ),
    ]
}

/// Whether the function takes what arrives.
fn takers() -> Vec<Case> {
    let behind = |ms| ordinary().with(&lambda("IteratorAge"), ms).times(3);
    let crashing = Minute::silent()
        .with(&stream("IncomingRecords"), 1_200.0)
        .with(&lambda("Invocations"), 4.0)
        .with(&lambda("Errors"), 4.0)
        .with(&lambda("IteratorAge"), 900_000.0);
    let taken_later = untaken(1.0)
        .times(1)
        .then(Minute::silent().with(&lambda("Invocations"), 1.0).times(1));
    let trickle = |taken: World| taken.then(Minute::silent().times(8)).again(6);
    vec![
        case(
            "the oldest record waits for a minute",
            behind(62_000.0),
            &["iterator-age"],
        ),
        case("it waits for less", behind(60_000.0), &[]),
        with(
            &[("MappingWindowSeconds", "60")],
            case("it waits for its batch, of a long window", behind(110_000.0), &[]),
        ),
        with(
            &[("MappingWindowSeconds", "60")],
            case(
                "it waits for two minutes, of a long window",
                behind(121_000.0),
                &["iterator-age"],
            ),
        ),
        case(
            "the mapping is turned off for two minutes",
            untaken(1_200.0).times(2),
            &["heartbeat"],
        ),
        case(
            "it is off for half an hour",
            untaken(1_200.0).times(30),
            &["heartbeat", "heartbeat-trickle"],
        ),
        case(
            "a record is taken in the minute after its own",
            untaken(1.0).times(1),
            &[],
        ),
        case(
            "a record now and then, and nobody takes any",
            trickle(untaken(1.0).times(1).then(Minute::silent().times(1))),
            &["heartbeat-trickle"],
        ),
        case(
            "a record now and then, each taken a little later",
            trickle(taken_later),
            &[],
        ),
        case(
            "the function crashes",
            crashing.times(15),
            &["canary-errors", "errors", "iterator-age"],
        ),
        case(
            "Lambda does not invoke",
            ordinary()
                .with(&lambda("Throttles"), 10.0)
                .times(3)
                .then(ordinary().times(2)),
            &["throttled"],
        ),
        case(
            "somebody invokes with what is no batch",
            busy()
                .with(&own("UnreadableEvents"), 1.0)
                .with(&lambda("Errors"), 1.0)
                .times(1),
            &["unreadable-events"],
        ),
    ]
}

fn limits() -> Vec<Case> {
    let refused = ordinary().with(&stream("WriteProvisionedThroughputExceeded"), 5.0);
    let throttled = |metric| ordinary().with(&table(metric), 1.0).times(3).then(ordinary().times(2));
    let one_shard: &[(&str, &str)] = &[("StreamShards", "1")];
    let bounded: &[(&str, &str)] = &[("TableReadUnitsMax", "1000"), ("TableWriteUnitsMax", "500")];
    let incoming = |metric, value| ordinary().with(&stream(metric), value).times(5);
    let consumed = |metric, value| ordinary().with(&table(metric), value).times(5);
    vec![
        case(
            "a shard refuses records",
            refused.times(3).then(ordinary().times(2)),
            &["producers-throttled"],
        ),
        case(
            "a shard refused records for a minute",
            refused.times(1).then(ordinary().times(4)),
            &[],
        ),
        with(
            one_shard,
            case(
                "a shard takes 820 records a second",
                incoming("IncomingRecords", 49_200.0),
                &["stream-near-full"],
            ),
        ),
        with(
            one_shard,
            case(
                "a shard takes 0.82 MiB a second",
                incoming("IncomingBytes", 51_600_000.0),
                &["stream-near-full"],
            ),
        ),
        with(
            one_shard,
            case(
                "a shard takes 780 records a second",
                incoming("IncomingRecords", 46_800.0),
                &[],
            ),
        ),
        with(
            &[("StreamShards", "2")],
            case(
                "two shards take 820 records a second",
                incoming("IncomingRecords", 49_200.0),
                &[],
            ),
        ),
        case(
            "the table refuses writes",
            throttled("WriteThrottleEvents"),
            &["table-throttled"],
        ),
        case(
            "the table refuses reads",
            throttled("ReadThrottleEvents"),
            &["table-throttled"],
        ),
        with(
            bounded,
            case(
                "it serves 410 writes of 500",
                consumed("ConsumedWriteCapacityUnits", 24_600.0),
                &["table-writes-near-max"],
            ),
        ),
        with(
            bounded,
            case(
                "it serves 820 reads of 1,000",
                consumed("ConsumedReadCapacityUnits", 49_200.0),
                &["table-reads-near-max"],
            ),
        ),
        with(
            bounded,
            case(
                "it serves 390 writes of 500",
                consumed("ConsumedWriteCapacityUnits", 23_400.0),
                &[],
            ),
        ),
    ]
}
