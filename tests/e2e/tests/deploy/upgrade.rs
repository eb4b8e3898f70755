//! A deployment is upgraded while events come in at a steady rate: none is lost and none counts twice. Then its alarms, a redrive,
//! its end, and another deployment into what was kept.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::emulator::{Emulator, Said};

/// Events of one card in a send, each in a record of its own.
const EVENTS_PER_SEND: usize = 8;
/// Between two sends.
const SEND_EVERY: Duration = Duration::from_millis(300);
/// Sends before the upgrade begins, and after it has ended.
const SENDS_BESIDE: usize = 3;
/// Waits for one more send, or for the account to hold, half a second apart.
const LOOKS_MAX: usize = 240;

#[allow(clippy::disallowed_methods, reason = "the stream stamps arrivals with real time")]
fn now_ms() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since_1970.as_millis()).unwrap()
}

#[allow(
    clippy::disallowed_methods,
    reason = "a test sends at a rate, and waits for a pipeline"
)]
fn pause(how_long: Duration) {
    std::thread::sleep(how_long);
}

fn event(name: &str, at: usize, number: usize) -> Value {
    json!({
        "schema": "transaction", "version": 2, "event_id": format!("{name}-{at}-{number}"), "card_id": format!("{name}-card-{number}"),
        "occurred_at_ms": now_ms(), "amount_minor": 1_000 + at, "currency": "EUR", "merchant_id": "shop-1", "mcc": 5411,
        "country": "FR", "channel": "ecommerce", "approved": true,
    })
}

/// One event of each of some cards, a line each, and their ids.
fn events(name: &str, at: usize) -> (String, Vec<String>) {
    let events: Vec<Value> = (0..EVENTS_PER_SEND).map(|number| event(name, at, number)).collect();
    let id = |event: &Value| event["event_id"].as_str().unwrap().to_owned();
    let lines = events.iter().map(|event| format!("{event}\n")).collect();
    (lines, events.iter().map(id).collect())
}

fn put(cloud: &Emulator, lines: &str) {
    let sent: Value = serde_json::from_str(&cloud.run(&["--json", "send"], lines)).unwrap();
    assert_eq!(sent["sent"], EVENTS_PER_SEND, "{sent}");
}

/// A producer that sends until it is told to stop.
struct Load<'scope> {
    thread: ScopedJoinHandle<'scope, Vec<String>>,
}

/// What a producer and those who watch it share.
#[derive(Default)]
struct Progress {
    sends: AtomicUsize,
    is_over: AtomicBool,
}

impl Progress {
    fn wait_for(&self, sends: usize) {
        for _ in 0..LOOKS_MAX {
            if self.sends.load(Ordering::SeqCst) >= sends {
                return;
            }
            pause(Duration::from_millis(500));
        }
        panic!("the producer does not send");
    }
}

/// Ends the producer when whoever watches it fails: the scope waits for its thread.
struct Ends<'p>(&'p Progress);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::SeqCst);
    }
}

impl<'scope> Load<'scope> {
    fn start<'env: 'scope>(
        scope: &'scope Scope<'scope, 'env>,
        cloud: &'env Emulator,
        progress: &'env Progress,
    ) -> Self {
        let thread = scope.spawn(|| {
            let mut ids = Vec::new();
            while !progress.is_over.load(Ordering::SeqCst) {
                let (lines, more) = events("load", ids.len());
                put(cloud, &lines);
                ids.extend(more);
                progress.sends.fetch_add(1, Ordering::SeqCst);
                pause(SEND_EVERY);
            }
            ids
        });
        Self { thread }
    }

    fn stop(self, progress: &Progress) -> Vec<String> {
        progress.is_over.store(true, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}

/// Events that a redrive scored, and what came of them.
struct Late {
    lines: String,
    outcomes: BTreeMap<String, BTreeSet<String>>,
}

fn asked(cloud: &Emulator, arguments: &[&str]) -> Value {
    let mut script = e2e::venv("deploy").unwrap().script("upgraded.py");
    let printed = e2e::run(script.arg(&cloud.endpoint).args(arguments)).unwrap();
    serde_json::from_str(&printed).unwrap()
}

/// Another release: the same functions, in other bytes. What stands behind an ELF file's end is not looked at.
fn next_release(folder: &Path) -> String {
    let release = folder.join("next");
    std::fs::create_dir(&release).unwrap();
    for function in ["score", "redrive"] {
        let mut bytes = std::fs::read(e2e::binary_folder().unwrap().join(function)).unwrap();
        bytes.extend(b"the next release");
        std::fs::write(release.join(function), bytes).unwrap();
    }
    release.display().to_string()
}

/// The account, once every record has its end.
fn audit(cloud: &Emulator) -> Value {
    let mut said = Value::Null;
    for _ in 0..LOOKS_MAX {
        let mut command = cloud.command();
        command.args(["--json", "audit", "--since", "1h"]);
        said = super::emulator::said(&mut command).json;
        if said["pending"] == 0 && said["unaccounted"] == 0 && said["accepted"] != 0 {
            break;
        }
        pause(Duration::from_millis(500));
    }
    assert_eq!(said["verdict"], "holds", "{said}\n{}", cloud.log());
    said
}

/// The outcomes of each event that was sent: copies are allowed, another outcome is not.
fn outcomes(cloud: &Emulator) -> BTreeMap<String, BTreeSet<String>> {
    let mut by_event: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for text in asked(cloud, &["outcomes"]).as_array().unwrap() {
        let text = text.as_str().unwrap().to_owned();
        let outcome: Value = serde_json::from_str(&text).unwrap();
        let id = outcome["event_id"].as_str().unwrap().to_owned();
        by_event.entry(id).or_default().insert(text);
    }
    by_event
}

#[test]
fn an_upgrade_under_load_loses_nothing_and_the_deployment_lives_on() {
    let cloud = Emulator::ministack();
    let now = e2e::binary_folder().unwrap().display().to_string();
    let next = next_release(cloud.folder());
    let deploy = |bootstraps: &str, more: &[&str]| -> Said {
        let said = cloud.deploy(&[&["--yes", "--bootstraps", bootstraps], more].concat());
        assert_eq!(said.code, 0, "{said:?}\n{}", cloud.log());
        said
    };
    let first = deploy(&now, &[]);
    let before = asked(&cloud, &["version"]);

    let progress = Progress::default();
    let sent = std::thread::scope(|scope| {
        let _ends = Ends(&progress);
        let load = Load::start(scope, &cloud, &progress);
        progress.wait_for(SENDS_BESIDE);
        let at_start = progress.sends.load(Ordering::SeqCst);
        deploy(&next, &["--set", "ScoreMemoryMb=512"]);
        let at_end = progress.sends.load(Ordering::SeqCst);
        assert!(at_end > at_start, "nothing was sent during the upgrade");
        progress.wait_for(at_end + SENDS_BESIDE);
        load.stop(&progress)
    });
    the_next_release_is_in_force(&cloud, &before);
    let account = nothing_is_lost_and_nothing_doubled(&cloud, &sent);
    alarms_and_heartbeat_are_there(&cloud, &first);
    let late = what_waits_is_redriven(&cloud, &next, &account);

    let destroyed = cloud.deploy(&["destroy", "--yes"]);
    assert_eq!(destroyed.code, 0, "{destroyed:?}\n{}", cloud.log());
    let again = deploy(&next, &[]);
    assert!(
        again.json["taken_over"]
            .as_array()
            .unwrap()
            .contains(&json!("CardsTable")),
        "{again:?}"
    );
    what_was_counted_is_not_counted_again(&cloud, &late);
}

fn the_next_release_is_in_force(cloud: &Emulator, before: &Value) {
    let after = asked(cloud, &["version"]);
    assert_ne!(
        before["version"], after["version"],
        "the alias names a version that was published"
    );
    assert_ne!(before["digest"], after["digest"], "of the other bytes");
    assert_eq!((&before["memory"], &after["memory"]), (&json!(1024), &json!(512)));
}

/// Records and events; two more are those of the smoke tests.
fn nothing_is_lost_and_nothing_doubled(cloud: &Emulator, sent: &[String]) -> Value {
    let account = audit(cloud);
    let expected = sent.len() + 2;
    assert_eq!(
        (&account["accepted"], &account["scored"], &account["duplicate"]),
        (&json!(expected), &json!(expected), &json!(0)),
        "{account}"
    );
    let outcomes = outcomes(cloud);
    assert_eq!(outcomes.len(), expected);
    for id in sent {
        assert_eq!(
            outcomes.get(id).map(BTreeSet::len),
            Some(1),
            "{id}: {:?}",
            outcomes.get(id)
        );
    }
    account
}

/// All alarms of one metric, those that are said without computing, and the look at the dead letters that the age of the oldest comes
/// from. This emulator has no alarms that compute: the deployment names those that it leaves out, and `alarms/` holds the others to
/// their word.
fn alarms_and_heartbeat_are_there(cloud: &Emulator, first: &Said) {
    let seen = asked(cloud, &["alarms"]);
    let names = |list: &Value| -> BTreeSet<String> {
        let names = list.as_array().unwrap_or_else(|| panic!("{first:?}"));
        names.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    let (mut there, left_out) = (names(&seen["alarms"]), names(&first.json["alarms_left_out_names"]));
    for (name, rule) in seen["joined"].as_object().unwrap() {
        for part in rule.as_str().unwrap().split('"').skip(1).step_by(2) {
            assert!(there.remove(part), "{name} joins {part}: {there:?}");
        }
        there.insert(name.clone());
    }
    let of_template = |parameters: &[&str]| -> BTreeSet<String> {
        let template = e2e::decided("infra/observability.yaml", parameters).unwrap();
        let resources = template["Resources"].as_object().unwrap().values();
        let names = resources.filter_map(|one| one["Properties"]["AlarmName"]["Fn::Sub"].as_str());
        names.map(|name| name.replace("${Prefix}", "tidemark")).collect()
    };
    // What an emulator can't have is told whether the stage has it or not.
    let any = of_template(&["StreamShards=1", "TableReadUnitsMax=1", "TableWriteUnitsMax=1"]);
    assert!(left_out.is_subset(&any), "{left_out:?}");
    let expected: BTreeSet<String> = of_template(&[]).difference(&left_out).cloned().collect();
    assert_eq!(
        there, expected,
        "each alarm of the template is there, or is named as one that this emulator can't have"
    );
    for alarm in [
        "dead-letters",
        "errors",
        "throttled",
        "destination-failures",
        "state-corrupt",
        "heartbeat",
        "heartbeat-trickle",
        "oldest-dead-letter",
        "iterator-age",
        "redrive-stuck",
    ] {
        assert!(there.contains(&format!("tidemark-{alarm}")), "{alarm}: {there:?}");
    }
    assert_eq!(seen["rules"], json!(["rate(5 minutes)"]));
    the_heartbeat_rings_when_both_its_parts_do(cloud);
}

fn the_heartbeat_rings_when_both_its_parts_do(cloud: &Emulator) {
    let heartbeat = "tidemark-heartbeat";
    let put = |part: &str, state: &str| asked(cloud, &["state", &format!("{heartbeat}-{part}"), state, heartbeat]);
    let status = || cloud.deploy(&["status"]);
    assert_eq!(put("arriving", "OK"), "OK");
    assert_eq!(put("untaken", "ALARM"), "OK", "nobody takes what does not come");
    assert_eq!(put("untaken", "OK"), "OK");
    assert_eq!(put("arriving", "ALARM"), "OK", "what comes is taken");
    let well = status();
    assert_eq!((well.code, &well.json["well"]), (0, &json!(true)), "{well:?}");
    assert_eq!(put("untaken", "ALARM"), "ALARM");
    let rings = status();
    assert_eq!(
        (rings.code, &rings.json["alarm_states"][heartbeat]),
        (1, &json!("ALARM")),
        "{rings:?}"
    );
    assert_eq!(put("untaken", "OK"), "OK");
    put("arriving", "OK");
}

/// While the mapping is off, a redrive scores what waits, and nothing else twice. What it scored is found done when the mapping brings
/// it, with the outcome that it has.
fn what_waits_is_redriven(cloud: &Emulator, next: &str, before: &Value) -> Late {
    let turn = |enabled: &str| {
        let setting = format!("MappingEnabled={enabled}");
        let said = cloud.deploy(&["--yes", "--bootstraps", next, "--no-smoke-test", "--set", &setting]);
        assert_eq!(said.code, 0, "{said:?}\n{}", cloud.log());
    };
    turn("false");
    let (lines, ids) = events("late", 0);
    put(cloud, &lines);
    // Letters first: this emulator's sequence numbers begin with zeros. Then the range, in which all is done.
    assert_eq!(asked(cloud, &["letters", "late-"]), json!(EVENTS_PER_SEND));
    let redrive = |source: &str| -> Value {
        let line = format!("--json redrive --source {source} --note test");
        serde_json::from_str(&cloud.run(&line.split(' ').collect::<Vec<_>>(), "")).unwrap()
    };
    let of = |redriven: &Value| {
        ["scored", "already_done", "rejected_messages", "complete"].map(|name| redriven[name].clone())
    };
    let by_letter = redrive("dead-letter");
    assert_eq!(
        of(&by_letter),
        [json!(EVENTS_PER_SEND), json!(0), json!(0), json!(true)],
        "{by_letter}\n{}",
        cloud.log()
    );
    let by_range = redrive("range --since 1h");
    let accepted = before["accepted"].as_u64().unwrap() + EVENTS_PER_SEND as u64;
    assert_eq!(
        of(&by_range),
        [json!(0), json!(accepted), json!(0), json!(true)],
        "{by_range}"
    );
    let outcomes_then = outcomes(cloud);
    turn("true");
    let account = audit(cloud);
    let more = |name: &str| account[name].as_u64().unwrap() - before[name].as_u64().unwrap();
    assert_eq!(
        (more("scored"), more("duplicate")),
        (EVENTS_PER_SEND as u64, 0),
        "{account}"
    );
    let outcomes: BTreeMap<_, _> = outcomes(cloud).into_iter().filter(|(id, _)| ids.contains(id)).collect();
    assert_eq!(outcomes.len(), EVENTS_PER_SEND);
    for (id, outcome) in &outcomes {
        assert_eq!(outcome.len(), 1);
        assert_eq!(
            Some(outcome),
            outcomes_then.get(id),
            "byte for byte what the redrive made"
        );
    }
    Late { lines, outcomes }
}

/// The table was taken over: what was sent to the first deployment is a duplicate in the second, and gets its outcome of then.
fn what_was_counted_is_not_counted_again(cloud: &Emulator, late: &Late) {
    put(cloud, &late.lines);
    audit(cloud);
    let outcomes = outcomes(cloud);
    for (id, outcome) in &late.outcomes {
        assert_eq!(outcomes.get(id), Some(outcome), "{id}");
    }
}
