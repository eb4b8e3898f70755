//! Every alarm is computed as CloudWatch computes it, in worlds in which it must ring and in worlds in which it must not.
//!
//! The minutes of the worlds are recorded: the metrics that the functions wrote in a run, and what AWS tells of such a run. A trouble
//! is a recording of its own, or an ordinary minute with the trouble's figures in it.

mod alarm;
mod formula;
mod troubles;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use alarm::Template;
use troubles::{Case, cases};
use world::{Minute, World};

const MINUTES_PER_DAY: u64 = 24 * 60;
/// CloudWatch looks back at most so far.
const DAYS: u64 = 8;

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
    let mut templates: BTreeMap<&[(&str, &str)], Template> = BTreeMap::new();
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
