//! Every alarm is computed as CloudWatch computes it, in worlds in which it must ring and in worlds in which it must not.
//!
//! The minutes of the worlds are recorded: the metrics that the functions wrote in a run, and what AWS tells of such a run. A trouble
//! is a recording of its own, or an ordinary minute with the trouble's figures in it.

mod alarm;
mod formula;
mod published;
mod troubles;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use alarm::Template;
use troubles::{Case, cases};
use world::{Minute, World};

const MINUTES_PER_DAY: u64 = 24 * 60;
/// CloudWatch looks back at most so far.
const DAYS: u64 = 8;

/// Parameters of a template, by name.
type Parameters = &'static [(&'static str, &'static str)];

/// The alarms that ring, without the prefix of their names.
fn ringing(template: &Template, world: &World) -> BTreeSet<String> {
    let alarms = template.alarms().into_iter();
    let mut ringing: BTreeSet<String> = alarms
        .filter(|alarm| alarm.rings(world))
        .map(|alarm| alarm.name)
        .collect();
    for (name, parts) in template.composites() {
        if parts.is_subset(&ringing) {
            ringing.insert(name);
        }
    }
    let short = ringing.iter().map(|name| name.strip_prefix("tidemark-").unwrap());
    short.map(str::to_owned).collect()
}

/// A week and a day of ordinary minutes, and then that.
fn after_ordinary_days(world: World) -> World {
    Minute::recorded("ordinary").times(DAYS * MINUTES_PER_DAY).then(world)
}

#[test]
fn no_alarm_rings_on_ordinary_days() {
    let none = BTreeSet::<String>::new();
    let template = Template::read(&[]);
    assert_eq!(ringing(&template, &after_ordinary_days(World::default())), none);
    // Nobody buys anything at night.
    assert_eq!(
        ringing(&template, &after_ordinary_days(Minute::silent().times(300))),
        none
    );
    // Before the first record, CloudWatch has nothing at all of most metrics.
    assert_eq!(ringing(&template, &Minute::silent().times(60)), none);
}

#[test]
fn in_each_trouble_its_alarms_ring_and_no_others() {
    let mut templates: BTreeMap<Parameters, Template> = BTreeMap::new();
    for Case {
        what,
        parameters,
        world,
        rings,
    } in cases()
    {
        let template = templates
            .entry(parameters)
            .or_insert_with(|| Template::read(parameters));
        let expected: BTreeSet<String> = rings.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(ringing(template, &after_ordinary_days(world)), expected, "{what}");
    }
}

/// What an emulator gets says the same as the alarms that it can't have, in every world. A part of a joined alarm says nothing alone.
#[test]
fn alarms_of_emulators_ring_when_those_ring_that_compute() {
    let mut templates: BTreeMap<Parameters, (Template, BTreeSet<String>)> = BTreeMap::new();
    let none: Parameters = &[];
    let silent = case_of("a silent night", none, Minute::silent().times(300));
    let ordinary = case_of("ordinary days", none, World::default());
    let mut rung = BTreeSet::new();
    for case in cases().into_iter().chain([silent, ordinary]) {
        let (template, names) = templates.entry(case.parameters).or_insert_with(|| {
            let template = Template::emulated(case.parameters);
            let composites = template.composites();
            let parts: BTreeSet<String> = composites.values().flatten().cloned().collect();
            let alarms = template.alarms().into_iter().map(|alarm| alarm.name);
            let all = alarms
                .filter(|name| !parts.contains(name))
                .chain(composites.into_keys());
            let names = all
                .map(|name| name.strip_prefix("tidemark-").unwrap().to_owned())
                .collect();
            (template, names)
        });
        let rings: BTreeSet<String> = ringing(template, &after_ordinary_days(case.world))
            .intersection(names)
            .cloned()
            .collect();
        let expected = case.rings.iter().map(|name| (*name).to_owned());
        let expected: BTreeSet<String> = expected.filter(|name| names.contains(name)).collect();
        assert_eq!(rings, expected, "{}", case.what);
        rung.extend(rings);
    }
    let all = [
        "heartbeat",
        "heartbeat-trickle",
        "iterator-age",
        "oldest-dead-letter",
        "redrive-stuck",
        "table-reads-near-max",
        "table-writes-near-max",
    ];
    assert_eq!(rung, all.map(str::to_owned).into());
}

fn case_of(what: &'static str, parameters: &'static [(&'static str, &'static str)], world: World) -> Case {
    Case {
        what,
        parameters,
        world,
        rings: &[],
    }
}

#[test]
fn every_alarm_rings_in_some_trouble() {
    let all = [
        ("StreamShards", "1"),
        ("TableReadUnitsMax", "1"),
        ("TableWriteUnitsMax", "1"),
    ];
    let template = Template::read(&all);
    let names = template.alarms().into_iter().map(|alarm| alarm.name);
    let there: BTreeSet<String> = names
        .chain(template.composites().into_keys())
        .map(|name| name.strip_prefix("tidemark-").unwrap().to_owned())
        .collect();
    let rung: BTreeSet<String> = cases()
        .iter()
        .flat_map(|case| case.rings.iter().map(|name| (*name).to_owned()))
        .collect();
    assert_eq!(rung, there);
}

/// With a gap of its own an alarm would never see what it is for: each looks at metrics that an ordinary minute or a trouble has.
#[test]
fn every_metric_of_an_alarm_is_told_by_somebody() {
    let template = Template::read(&[
        ("StreamShards", "1"),
        ("TableReadUnitsMax", "1"),
        ("TableWriteUnitsMax", "1"),
    ]);
    let told: BTreeSet<String> = cases().into_iter().flat_map(|case| case.world.metrics()).collect();
    for alarm in template.alarms() {
        for metric in alarm.metrics() {
            assert!(told.contains(metric), "{}: {metric} is in no world", alarm.name);
        }
    }
}
