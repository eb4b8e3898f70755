//! Lists: taken whole with the policy that declares them, part by part, and the last good copy where they can't be had.

use serde_json::json;
use tidemark_domain::catalogue::KeyName;
use tidemark_domain::control::PolicyVersion;
use tidemark_domain::control::item::{Field, policy_key};
use tidemark_domain::control::lists::{LISTS, NamedList, NamedLists, list_key, list_part_fields};
use tidemark_domain::lists::{
    LISTED_ENTRIES_MAX, ListChange, ListDraft, ListError, ListNote, ListOf, ListPartKey, ListVersion, NewEntry,
};
use tidemark_domain::outcome::Tier;
use tidemark_engine::control::{ControlProblem, LIST_PARTS_IN_READ_MAX, UnusableList};

use super::*;

/// A list of these merchants.
fn list_of(values: impl IntoIterator<Item = String>) -> ListChange {
    let mut draft = ListDraft::new(ListOf::Ids);
    let note = Arc::new(ListNote {
        at_ms: START_MS,
        who: "ana".to_owned(),
        reason: "words".to_owned(),
    });
    for value in values {
        let entry = NewEntry {
            value,
            until_ms: None,
            reason: None,
        };
        draft.put(entry, &note).unwrap();
    }
    draft.finish().unwrap()
}

fn merchants(count: u32) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("m{number}"))
}

fn named(list: &ListChange) -> NamedList {
    NamedList {
        name: KeyName::new("mules").unwrap(),
        of: list.manifest.of,
        revision: 1,
        manifest: ListPartKey::of(&list.manifest.encode()),
        version: list.manifest.version(),
        entries: list.manifest.entries() as u64,
    }
}

impl Plane {
    /// A policy with a rule that alerts at merchants of a list.
    fn publish_listed(&self, version: u32, of: &str) {
        let text = policy_text(version, 900)
            + &format!(
                "\n[[lists]]\nname = \"mules\"\nof = \"{of}\"\n[[rules]]\nname = \"mule\"\nwhen = \"event.merchant_id in lists.mules\"\n\
                 then = \"alert\"\nreason = \"A mule\"\n"
            );
        let stamp = stamp();
        let published = PolicyVersion { version, text, stamp };
        self.plane.set(&policy_key(version), Some(published.to_fields()));
    }

    fn put_parts(&self, list: &ListChange) {
        for (key, bytes) in &list.parts {
            self.plane
                .set(&list_key(*key), Some(list_part_fields(bytes.clone(), &stamp())));
        }
        let manifest = list.manifest.encode();
        let key = ListPartKey::of(&manifest);
        self.plane
            .set(&list_key(key), Some(list_part_fields(manifest, &stamp())));
    }

    fn point_to(&self, list: NamedList) {
        let named = NamedLists::default().changed(list);
        self.plane.set(LISTS, Some(named.to_fields(&stamp())));
    }

    fn put_list(&self, list: &ListChange) {
        self.put_parts(list);
        self.point_to(named(list));
    }

    /// Which version of the list judges now.
    fn list_version(&self) -> Option<ListVersion> {
        version_of(&self.ready().unwrap())
    }

    fn unusable_list(&self) -> UnusableList {
        match &self.problems()[..] {
            [problem @ ControlProblem::List { name, why }] => {
                assert_eq!((name.as_str(), problem.is_of_list()), ("mules", true));
                why.clone()
            }
            other => panic!("{other:?}"),
        }
    }
}

fn version_of(directives: &Directives) -> Option<ListVersion> {
    directives.policy.lists.reads().all()[0].version
}

#[test]
fn a_list_is_taken_with_the_policy_that_declares_it_and_read_once() {
    let plane = Plane::new();
    let list = list_of(merchants(3));
    plane.put_list(&list);
    plane.publish_listed(2, "ids");
    plane.activate(2, None);
    let reads = plane.plane.reads();
    assert_eq!(plane.list_version(), Some(list.manifest.version()));
    assert_eq!(
        plane.plane.reads() - reads,
        4,
        "the items, the policy, the manifest, the only part"
    );
    assert_eq!(plane.problems(), []);
    plane.later(10_000);
    let reads = plane.plane.reads();
    assert_eq!(plane.list_version(), Some(list.manifest.version()));
    assert_eq!(plane.plane.reads() - reads, 1, "the items");
}

#[test]
fn a_change_of_one_entry_of_many_reads_one_part_and_a_batch_keeps_its_snapshot() {
    let plane = Plane::new();
    let many = list_of(merchants(100_000));
    plane.put_list(&many);
    plane.publish_listed(2, "ids");
    plane.activate(2, None);
    let reads = plane.plane.reads();
    let before = plane.ready().unwrap();
    let parts = many.parts.len();
    assert_eq!(
        plane.plane.reads() - reads,
        3 + parts.div_ceil(LIST_PARTS_IN_READ_MAX) as u64
    );
    let more = list_of(merchants(100_001));
    plane.put_list(&more);
    plane.later(10_000);
    let reads = plane.plane.reads();
    let after = plane.ready().unwrap();
    assert_eq!(
        plane.plane.reads() - reads,
        3,
        "the items, the manifest, the part that changed"
    );
    assert_eq!(version_of(&before), Some(many.manifest.version()));
    assert_eq!(version_of(&after), Some(more.manifest.version()));

    // What a batch began with, it ends with; and the next one sees the change.
    let world = World::new();
    let mut event: Value = serde_json::from_slice(&tx("a", "a1", 10, 500)).unwrap();
    event["merchant_id"] = json!("m100000");
    let batch = |id: &str| {
        let mut event = event.clone();
        event["event_id"] = json!(id);
        records([event.to_string().into_bytes()])
    };
    run(&world.engine(), &batch("a1"), &before);
    run(&world.engine(), &batch("a2"), &after);
    let (first, second) = (outcome(&world, "a1"), outcome(&world, "a2"));
    assert_eq!(
        (&first["decision"], &second["decision"]),
        (&json!("pass"), &json!("alert"))
    );
    assert_eq!(second["rules"]["held"], json!(["mule"]));
    for (outcome, list) in [(&first, &many), (&second, &more)] {
        assert_eq!(
            outcome["list_versions"]["mules"],
            json!(list.manifest.version().to_string())
        );
    }
    // Again, when there is no list any more: World::outcomes panics if a duplicate's bytes differ (I3).
    let again = run(
        &world.engine(),
        &batch("a2"),
        &Directives::standing(Arc::clone(&world.policy)),
    );
    assert_eq!(again.duplicate, 1);
    assert_eq!(outcome(&world, "a2"), second);
}

#[test]
fn a_list_that_can_not_be_had_is_said_aloud_until_it_can() {
    let list = list_of(merchants(3));
    let part = list.parts[0].0;
    let damaged = |plane: &Plane, bytes: Vec<u8>| {
        plane.put_list(&list);
        plane
            .plane
            .set(&list_key(part), Some(list_part_fields(bytes, &stamp())));
    };
    type Trouble<'a> = (&'a dyn Fn(&Plane), UnusableList);
    let troubles: [Trouble<'_>; 7] = [
        (&|_| {}, UnusableList::Absent),
        (
            &|plane| {
                plane.put_list(&list);
                plane.plane.set(&list_key(part), None);
            },
            UnusableList::PartAbsent(part),
        ),
        (
            &|plane| plane.point_to(named(&list)),
            UnusableList::PartAbsent(named(&list).manifest),
        ),
        (
            &|plane| damaged(plane, vec![1, 0, 0]),
            UnusableList::Wrong(ListError::Name),
        ),
        (
            &|plane| {
                plane.put_parts(&list);
                let of = ListOf::Countries;
                plane.point_to(NamedList { of, ..named(&list) });
            },
            UnusableList::OtherKind {
                found: ListOf::Countries,
                declared: ListOf::Ids,
            },
        ),
        (
            &|plane| {
                plane.put_parts(&list);
                let entries = LISTED_ENTRIES_MAX as u64 + 1;
                plane.point_to(NamedList {
                    entries,
                    ..named(&list)
                });
            },
            UnusableList::NoRoom,
        ),
        (
            &|plane| {
                plane.put_list(&list);
                plane.plane.hang_at(Some(&list_key(part)));
            },
            UnusableList::Unread(PortError::Timeout("no answer within 1000 ms".to_owned())),
        ),
    ];
    for (trouble, expected) in troubles {
        let plane = Plane::new();
        plane.publish_listed(2, "ids");
        plane.activate(2, None);
        trouble(&plane);
        let directives = plane.ready().unwrap();
        assert_eq!(plane.unusable_list(), expected);
        // The policy is in force, and what its rules lack is told.
        let world = World::new();
        let report = run(&world.engine(), &records([tx("a", "a1", 10, 500)]), &directives);
        assert_eq!(report.tiers, [(Tier::NoLists, 1)].into(), "{expected:?}");
        let outcome = outcome(&world, "a1");
        let missing = outcome["missing"].as_array().unwrap();
        assert!(missing.contains(&json!("list_unavailable:mules")), "{outcome}");
        assert_eq!(outcome["tier"], "no_lists");
        assert_eq!(outcome.get("list_versions"), None);
        plane.plane.hang_at(None);
        plane.put_list(&list);
        plane.later(10_000);
        assert_eq!(
            plane.list_version(),
            Some(list.manifest.version()),
            "mended: {expected:?}"
        );
        assert_eq!(plane.problems(), []);
    }
}

#[test]
fn the_last_good_copy_stays_in_force_until_the_next_one_is_whole() {
    let plane = Plane::new();
    let (first, second) = (list_of(merchants(3)), list_of(merchants(4)));
    plane.put_list(&first);
    plane.publish_listed(2, "ids");
    plane.activate(2, None);
    assert_eq!(plane.list_version(), Some(first.manifest.version()));
    plane.point_to(named(&second));
    plane.later(10_000);
    assert_eq!(plane.list_version(), Some(first.manifest.version()));
    assert_eq!(plane.unusable_list(), UnusableList::PartAbsent(named(&second).manifest));
    // The item that names the lists is broken by hand, and then gone.
    let mut broken = NamedLists::default().changed(named(&second)).to_fields(&stamp());
    broken.insert("list".to_owned(), Field::Text("[{".to_owned()));
    for item in [Some(broken), None] {
        plane.plane.set(LISTS, item);
        plane.later(10_000);
        assert_eq!(plane.list_version(), Some(first.manifest.version()));
        assert!(!plane.problems().is_empty());
    }
    plane.put_list(&second);
    plane.later(10_000);
    assert_eq!(plane.list_version(), Some(second.manifest.version()));
    assert_eq!(plane.problems(), []);
}

#[test]
fn a_long_list_that_comes_slowly_is_waited_for_as_long_as_something_comes() {
    let plane = Plane::new();
    let list = list_of(merchants(100_000));
    plane.put_list(&list);
    plane.publish_listed(2, "ids");
    // Of the last read, nothing comes.
    let last = list.manifest.parts().last().unwrap();
    plane.plane.hang_at(Some(&list_key(last)));
    plane.activate(2, None);
    assert_eq!(plane.list_version(), None, "no batch waits for what does not come");
    assert!(matches!(plane.unusable_list(), UnusableList::Unread(_)));
    let reads = plane.plane.reads();
    plane.plane.hang_at(None);
    plane.later(10_000);
    assert_eq!(plane.list_version(), Some(list.manifest.version()));
    assert_eq!(plane.plane.reads() - reads, 2, "the items, and what was lacking");
}

#[test]
fn a_list_that_no_policy_declares_is_not_read() {
    let plane = Plane::new();
    plane.put_list(&list_of(merchants(3)));
    plane.publish(2);
    plane.activate(2, None);
    let reads = plane.plane.reads();
    let directives = plane.ready().unwrap();
    assert_eq!(plane.plane.reads() - reads, 2);
    assert!(directives.policy.lists.reads().is_empty());
}
