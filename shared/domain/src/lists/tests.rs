//! Lists: what they hold, that a change writes few parts, and that nothing else is read than what was written.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;

const NOW_MS: i64 = 1_780_000_000_000;

fn note(reason: &str) -> Arc<ListNote> {
    Arc::new(ListNote {
        at_ms: NOW_MS,
        who: "ana".to_owned(),
        reason: reason.to_owned(),
    })
}

fn new(value: &str, until_ms: Option<i64>) -> NewEntry {
    NewEntry {
        value: value.to_owned(),
        until_ms,
        reason: None,
    }
}

/// What is stored: parts and manifests by their names.
#[derive(Default)]
struct Store(BTreeMap<ListPartKey, Vec<u8>>);

impl Store {
    /// Writes a change; answers with the manifest as it is read, and how many parts were written.
    fn write(&mut self, draft: ListDraft) -> (ListManifest, usize) {
        let change = draft.finish().unwrap();
        let written = change.parts.len();
        self.0.extend(change.parts);
        let bytes = change.manifest.encode();
        let key = ListPartKey::of(&bytes);
        let manifest = ListManifest::decode(key, &bytes).unwrap();
        assert_eq!(manifest, change.manifest);
        (manifest, written)
    }

    fn list(&self, manifest: &ListManifest) -> List {
        let parts = manifest.parts().map(|key| {
            let part = ListPart::decode(key, manifest.of, &self.0[&key]).unwrap();
            Arc::new(part)
        });
        List::of_parts(manifest, parts.collect::<Vec<_>>()).unwrap()
    }

    fn read(&self, draft: &mut ListDraft, keys: Vec<ListPartKey>) {
        keys.into_iter().for_each(|key| draft.take(key, &self.0[&key]).unwrap());
    }
}

fn of_values(of: ListOf, values: &[&str]) -> List {
    let mut draft = ListDraft::new(of);
    for value in values {
        draft.put(new(&of.spelt(value).unwrap(), None), &note("words")).unwrap();
    }
    draft.list().unwrap()
}

#[test]
fn an_entry_holds_for_events_before_its_end() {
    let mut draft = ListDraft::new(ListOf::Ids);
    draft.put(new("m-1", Some(1_000)), &note("words")).unwrap();
    draft.put(new("m-2", None), &note("words")).unwrap();
    let list = draft.list().unwrap();
    assert!(list.holds("m-1", 999) && !list.holds("m-1", 1_000) && list.holds("m-2", i64::MAX - 1));
    assert!(!list.holds("m-3", 0) && !list.holds("M-1", 0) && !list.holds("", 0));
}

#[test]
fn a_range_holds_every_address_in_it_and_no_other() {
    let values = [
        "192.0.2.0/24",
        "198.51.100.7",
        "2001:db8::/32",
        "::ffff:203.0.113.0/120",
        "10.0.0.0/8",
    ];
    let list = of_values(ListOf::Addresses, &values);
    for inside in [
        "192.0.2.0",
        "192.0.2.255",
        "198.51.100.7",
        "2001:db8:1::7",
        "203.0.113.9",
        "10.9.8.7",
        "::ffff:10.0.0.1",
    ] {
        assert!(list.holds(inside, 0), "{inside}");
    }
    for outside in [
        "192.0.3.0",
        "198.51.100.8",
        "2001:db9::1",
        "203.0.114.0",
        "11.0.0.0",
        "::",
        "no address",
        "",
        "192.0.2.0/24",
        "192.0.2.07",
    ] {
        assert!(!list.holds(outside, 0), "{outside}");
    }
    let all = of_values(ListOf::Addresses, &["0.0.0.0/0"]);
    assert!(all.holds("255.255.255.255", 0) && all.holds("0.0.0.0", 0) && !all.holds("::1", 0));
}

#[test]
fn an_entry_has_one_spelling_and_says_what_is_wrong_with_another() {
    let spelt = |of: ListOf, text: &str| of.spelt(text);
    assert_eq!(spelt(ListOf::Addresses, "192.0.2.7/32"), Ok("192.0.2.7".to_owned()));
    assert_eq!(
        spelt(ListOf::Addresses, "2001:0DB8::0/32"),
        Ok("2001:db8::/32".to_owned())
    );
    let wrong = |of: ListOf, text: &str| of.spelt(text).unwrap_err().to_string();
    assert!(wrong(ListOf::Addresses, "192.0.2.1/24").contains("expected 192.0.2.0/24"));
    assert!(wrong(ListOf::Addresses, "192.0.2.0/33").contains("0 to 32 bits"));
    assert!(wrong(ListOf::Addresses, "2001:db8::/129").contains("0 to 128 bits"));
    assert!(wrong(ListOf::Addresses, "192.0.2.0/+8").contains("0 to 32 bits"));
    assert!(wrong(ListOf::Addresses, "192.0.2.0/").contains("0 to 32 bits"));
    assert!(wrong(ListOf::Addresses, "192.0.2.1-192.0.2.9").contains("as the prefixes"));
    assert!(wrong(ListOf::Addresses, "192.0.2").contains("expected an address"));
    assert!(wrong(ListOf::Countries, "Deutschland").contains("ISO 3166-1"));
    assert!(wrong(ListOf::Ids, &"a".repeat(129)).contains("129 bytes"));
    assert_eq!(spelt(ListOf::Ids, ""), Err(EntryProblem::Empty));
    for text in [" a", "a ", "a\tb", "a\u{202e}b"] {
        assert_eq!(spelt(ListOf::Ids, text), Err(EntryProblem::Character), "{text:?}");
    }
}

#[test]
fn a_change_of_one_entry_of_many_writes_one_part() {
    let mut store = Store::default();
    let mut draft = ListDraft::new(ListOf::Ids);
    for number in 0..20_000 {
        draft
            .put(new(&format!("merchant-{number}"), None), &note("import"))
            .unwrap();
    }
    let (first, written) = store.write(draft);
    assert_eq!((written, first.entries()), (64, 20_000));
    let mut draft = ListDraft::stored(&first);
    assert_eq!(
        draft.put(new("one-more", None), &note("by hand")),
        Err(ListError::Unread)
    );
    let wanted = draft.wanted(["one-more"]);
    assert_eq!(wanted.len(), 1);
    store.read(&mut draft, wanted);
    assert_eq!(draft.put(new("one-more", None), &note("by hand")), Ok(ListPut::New));
    assert!(!draft.needs_all());
    let (second, written) = store.write(draft);
    assert_eq!(written, 1);
    assert_ne!(first.version(), second.version());
    assert_eq!(
        first
            .parts()
            .filter(|key| second.parts().any(|other| other == *key))
            .count(),
        63
    );
    let list = store.list(&second);
    assert_eq!((list.version(), list.len()), (second.version(), 20_001));
    assert!(list.holds("one-more", 0) && list.holds("merchant-19999", 0) && !list.holds("merchant-20000", 0));
    // Taken out again, it is the list that it was.
    let mut draft = ListDraft::stored(&second);
    let wanted = draft.wanted(["one-more", "not-there"]);
    store.read(&mut draft, wanted);
    assert_eq!(draft.remove("not-there"), Ok(None));
    let removed = draft.remove("one-more").unwrap().unwrap();
    assert_eq!(removed.note.reason, "by hand");
    assert_eq!(store.write(draft).0, first);
}

#[test]
fn who_put_an_entry_there_first_stays_unless_it_changes() {
    let mut draft = ListDraft::new(ListOf::Ids);
    draft.put(new("a", None), &note("first")).unwrap();
    assert_eq!(draft.put(new("a", None), &note("second")), Ok(ListPut::Same));
    assert_eq!(draft.find("a").unwrap().note.reason, "first");
    assert_eq!(draft.put(new("a", Some(5)), &note("second")), Ok(ListPut::Changed));
    assert_eq!(draft.find("a").unwrap().note.reason, "second");
    let with_reason = NewEntry {
        reason: Some("case 7".to_owned()),
        ..new("a", Some(5))
    };
    assert_eq!(draft.put(with_reason.clone(), &note("third")), Ok(ListPut::Changed));
    assert_eq!(draft.put(with_reason, &note("fourth")), Ok(ListPut::Same));
    assert_eq!(draft.find("a").unwrap().note.reason, "case 7");
    assert_eq!((draft.len(), draft.entries().count()), (1, 1));
}

#[test]
fn a_list_has_at_most_a_million_entries() {
    let mut draft = ListDraft::new(ListOf::Ids);
    for number in 0..LIST_ENTRIES_MAX {
        draft.put(new(&number.to_string(), None), &note("many")).unwrap();
    }
    assert_eq!(
        draft.clone().put(new("more", None), &note("many")),
        Err(ListError::TooMany)
    );
    let change = draft.finish().unwrap();
    assert_eq!(change.parts.len(), LIST_PARTS_MAX);
    let longest = change.parts.iter().map(|(_, bytes)| bytes.len()).max().unwrap();
    assert!(longest < 10_000, "{longest}");
    assert!(change.manifest.encode().len() < 17_000);
}

#[test]
fn what_is_not_what_its_name_says_is_refused() {
    let mut store = Store::default();
    let mut draft = ListDraft::new(ListOf::Ids);
    for number in 0..5_000 {
        draft
            .put(new(&format!("m-{number}"), Some(NOW_MS + number)), &note("words"))
            .unwrap();
    }
    let (manifest, _) = store.write(draft);
    let keys: Vec<ListPartKey> = manifest.parts().collect();
    let (key, bytes) = (keys[0], store.0[&keys[0]].clone());
    assert_eq!(ListPart::decode(keys[1], ListOf::Ids, &bytes), Err(ListError::Name));
    let kind = ListPart::decode(key, ListOf::Countries, &bytes).unwrap_err();
    assert!(kind.to_string().contains("of ids, not of countries"), "{kind}");
    let part = |at: usize| Arc::new(ListPart::decode(keys[at], ListOf::Ids, &store.0[&keys[at]]).unwrap());
    let mut parts: Vec<Arc<ListPart>> = (0..keys.len()).map(part).collect();
    assert!(List::of_parts(&manifest, parts.clone()).is_ok());
    parts.swap(0, 1);
    assert_eq!(List::of_parts(&manifest, parts.clone()), Err(ListError::Sum));
    parts.truncate(3);
    assert_eq!(List::of_parts(&manifest, parts), Err(ListError::Unread));
    // Any byte changed, under the name that it has then.
    for at in 0..bytes.len() {
        let mut other = bytes.clone();
        other[at] ^= 1;
        let _read_or_not = ListPart::decode(ListPartKey::of(&other), ListOf::Ids, &other);
    }
    for length in 0..bytes.len() {
        let cut = &bytes[..length];
        assert!(
            ListPart::decode(ListPartKey::of(cut), ListOf::Ids, cut).is_err(),
            "{length}"
        );
    }
}

#[test]
fn the_bytes_of_version_1_are_read_for_ever() {
    let mut draft = ListDraft::new(ListOf::Addresses);
    draft.put(new("192.0.2.0/24", Some(NOW_MS)), &note("scanners")).unwrap();
    draft.put(new("2001:db8::7", None), &note("case 4711")).unwrap();
    let change = draft.finish().unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(&change.parts[0].1), GOLDEN_PART);
    assert_eq!(hex(&change.manifest.encode()), GOLDEN_MANIFEST);
    assert_eq!(change.manifest.version().to_string(), GOLDEN_VERSION);
}

const GOLDEN_PART: &str = concat!(
    "01020280a0a484ce6703616e61087363616e6e65727380a0a484ce6703616e6109636173652034373131",
    "020c3139322e302e322e302f323481a0a484ce67000b323030313a6462383a3a370001"
);
const GOLDEN_MANIFEST: &str = "010200025cbec25485e88c6fb641ecd6b2b9171b";
const GOLDEN_VERSION: &str = "db8a11071cd7e50e";

#[derive(Clone, Debug)]
enum Step {
    Put(u8, Option<i64>),
    Remove(u8),
    Write,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any::<u8>(), proptest::option::of(0..20_i64)).prop_map(|(value, until)| Step::Put(value, until)),
        2 => any::<u8>().prop_map(Step::Remove),
        1 => Just(Step::Write),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_list_holds_what_a_plain_map_holds(steps in proptest::collection::vec(step(), 0..200), at_ms in 0..20_i64) {
        let (mut plain, mut store): (BTreeMap<String, Option<i64>>, Store) = (BTreeMap::new(), Store::default());
        let mut draft = ListDraft::new(ListOf::Ids);
        for step in steps {
            match step {
                Step::Put(value, until_ms) => {
                    let value = value.to_string();
                    let wanted = draft.wanted([value.as_str()]);
                    store.read(&mut draft, wanted);
                    let put = draft.put(new(&value, until_ms), &note("words")).unwrap();
                    let before = plain.insert(value, until_ms);
                    let expected = match before {
                        None => ListPut::New,
                        Some(before) if before == until_ms => ListPut::Same,
                        Some(_) => ListPut::Changed,
                    };
                    prop_assert_eq!(put, expected);
                }
                Step::Remove(value) => {
                    let value = value.to_string();
                    let wanted = draft.wanted([value.as_str()]);
                    store.read(&mut draft, wanted);
                    let removed = draft.remove(&value).unwrap();
                    prop_assert_eq!(removed.map(|entry| entry.until_ms), plain.remove(&value));
                }
                Step::Write => {
                    if draft.needs_all() {
                        let unread = draft.unread();
                        store.read(&mut draft, unread);
                    }
                    let (manifest, _) = store.write(draft);
                    draft = ListDraft::stored(&manifest);
                }
            }
            prop_assert_eq!(draft.len(), plain.len());
        }
        let unread = draft.unread();
        store.read(&mut draft, unread);
        let direct = draft.clone().list().unwrap();
        let (manifest, _) = store.write(draft);
        let list = store.list(&manifest);
        prop_assert_eq!(list.version(), direct.version());
        // However it came to be, the same content has the same version.
        let mut anew = ListDraft::new(ListOf::Ids);
        for (value, until_ms) in &plain {
            anew.put(new(value, *until_ms), &note("anew")).unwrap();
        }
        prop_assert_eq!(anew.list().unwrap().version(), list.version());
        for value in 0..=255_u8 {
            let value = value.to_string();
            let expected = plain.get(&value).is_some_and(|until_ms| until_ms.is_none_or(|until_ms| at_ms < until_ms));
            prop_assert_eq!(list.holds(&value, at_ms), expected);
            prop_assert_eq!(direct.holds(&value, at_ms), expected);
        }
    }

    #[test]
    fn an_address_is_in_a_prefix_if_its_first_bits_are_the_prefixs(
        address in any::<u32>(), other in any::<u32>(), bits in 0..=32_u32, apart in 0..33_u32,
    ) {
        // Addresses that share many bits, too.
        let other = if apart == 32 { other } else { address ^ (1 << apart) };
        let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
        let text = |address: u32| core::net::Ipv4Addr::from_bits(address).to_string();
        let list = of_values(ListOf::Addresses, &[&format!("{}/{bits}", text(address & mask))]);
        prop_assert!(list.holds(&text(address), 0));
        prop_assert_eq!(list.holds(&text(other), 0), other & mask == address & mask);
    }

    #[test]
    fn any_bytes_are_a_part_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let key = ListPartKey::of(&bytes);
        for of in ListOf::ALL {
            let _part_or_error = ListPart::decode(key, of, &bytes);
        }
        let _manifest_or_error = ListManifest::decode(key, &bytes);
        let mut headed = vec![1, 0];
        headed.extend(&bytes);
        let _part_or_error = ListPart::decode(ListPartKey::of(&headed), ListOf::Ids, &headed);
    }
}
