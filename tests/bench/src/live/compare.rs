//! Holds the outcomes of the live path against those of a file, event by event.

use std::collections::HashMap;
use std::hash::BuildHasher;

use serde::Serialize;
use serde_json::{Map, Value};
use tidemark_domain::id::EventKey;

/// Differences that are told in full.
const EXAMPLES_MAX: usize = 5;
/// The member of an outcome that says how many labels of each key were known.
const KEY_VERSIONS: &str = "key_versions";
/// Members that follow from what the keys say.
const OF_KEYS: [&str; 4] = ["score", "decision", "reasons", KEY_VERSIONS];

/// What a comparison found. Field names are stable: scripts read them.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// Events that the file scored.
    pub events: u64,
    /// Of these, those with labels of their keys known.
    pub with_labels: u64,
    /// The same bytes on both sides.
    pub equal: u64,
    /// Of these, those with labels of their keys known.
    pub equal_with_labels: u64,
    /// The live path read a key before a label of it came: its outcome names an older version of the key, and agrees in all that
    /// no key says.
    pub before_label: u64,
    /// Neither: outcomes that differ otherwise, are missing, or are of no event of the file.
    pub differ: u64,
    /// The first of these, in words.
    #[serde(skip)]
    pub examples: Vec<String>,
}

impl Compared {
    /// Compares outcomes by event.
    pub fn of<S: BuildHasher, T: BuildHasher>(
        live: &HashMap<EventKey, Vec<u8>, S>,
        file: &HashMap<EventKey, Vec<u8>, T>,
    ) -> Self {
        let mut compared = Self::default();
        for (event, expected) in file {
            compared.events += 1;
            let knows_labels = !versions(&object(expected)).is_empty();
            compared.with_labels += u64::from(knows_labels);
            match live.get(event) {
                Some(found) if found == expected => {
                    compared.equal += 1;
                    compared.equal_with_labels += u64::from(knows_labels);
                }
                Some(found) if is_before_label(found, expected) => compared.before_label += 1,
                found => {
                    let found = found.map_or("no outcome".into(), |bytes| String::from_utf8_lossy(bytes));
                    compared.note(&found, &String::from_utf8_lossy(expected));
                }
            }
        }
        for (_, found) in live.iter().filter(|(event, _)| !file.contains_key(event)) {
            compared.note(&String::from_utf8_lossy(found), "no outcome");
        }
        compared
    }

    fn note(&mut self, live: &str, file: &str) {
        self.differ += 1;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(format!("live {live}\n  file {file}"));
        }
    }
}

/// Whether an outcome differs only as it may where a key was read before its label came: it names fewer labels of some key, more of
/// none, and is the same in all that no key says.
fn is_before_label(live: &[u8], file: &[u8]) -> bool {
    let (mut live, mut file) = (object(live), object(file));
    let (read, known) = (versions(&live), versions(&file));
    let is_older = read != known
        && read
            .iter()
            .all(|(key, version)| known.get(key).is_some_and(|all| version <= all));
    for member in OF_KEYS {
        live.remove(member);
        file.remove(member);
    }
    is_older && !file.is_empty() && live == file
}

fn object(outcome: &[u8]) -> Map<String, Value> {
    serde_json::from_slice(outcome).unwrap_or_default()
}

/// How many labels of each key an outcome says were known.
fn versions(outcome: &Map<String, Value>) -> HashMap<String, u64> {
    let named = outcome
        .get(KEY_VERSIONS)
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    named
        .filter_map(|(key, version)| Some((key.clone(), version.as_u64()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(score: u16, state_version: u64, keys: &str) -> Vec<u8> {
        format!("{{\"event_id\":\"e\",\"score\":{score},\"decision\":\"pass\",\"reasons\":[],\"state_version\":{state_version}{keys}}}")
            .into_bytes()
    }

    fn compare(live: Option<Vec<u8>>, file: Vec<u8>) -> Compared {
        let key = || EventKey::new("c", "e", 5).unwrap();
        let live: HashMap<_, _> = live.map(|bytes| (key(), bytes)).into_iter().collect();
        Compared::of(&live, &HashMap::from([(key(), file)]))
    }

    const ONE: &str = ",\"key_versions\":{\"terminal\":1}";
    const TWO: &str = ",\"key_versions\":{\"terminal\":2}";

    #[test]
    fn the_same_bytes_are_equal() {
        let found = compare(Some(outcome(5, 1, "")), outcome(5, 1, ""));
        assert_eq!((found.equal, found.equal_with_labels, found.differ), (1, 0, 0));
        let found = compare(Some(outcome(5, 1, TWO)), outcome(5, 1, TWO));
        assert_eq!((found.equal, found.equal_with_labels, found.differ), (1, 1, 0));
    }

    #[test]
    fn an_older_version_of_a_key_is_counted_apart() {
        for older in ["", ONE] {
            let found = compare(Some(outcome(5, 1, older)), outcome(900, 1, TWO));
            assert_eq!((found.before_label, found.differ, found.with_labels), (1, 0, 1));
        }
    }

    #[test]
    fn anything_else_differs() {
        let cases = [
            // A newer version, one of a key that the file does not name, and the same version with another score.
            (Some(outcome(900, 1, TWO)), outcome(5, 1, ONE)),
            (Some(outcome(900, 1, TWO)), outcome(5, 1, "")),
            (Some(outcome(900, 1, TWO)), outcome(5, 1, TWO)),
            (Some(outcome(6, 1, "")), outcome(5, 1, "")),
            // An older version explains nothing of the card's own part.
            (Some(outcome(5, 2, ONE)), outcome(900, 1, TWO)),
            (Some(b"no JSON".to_vec()), outcome(5, 1, TWO)),
            (None, outcome(5, 1, "")),
        ];
        for (live, file) in cases {
            let found = compare(live.clone(), file);
            assert_eq!((found.differ, found.equal, found.before_label), (1, 0, 0), "{live:?}");
            assert_eq!(found.examples.len(), 1);
        }
        let of_no_event = HashMap::from([(EventKey::new("c", "e", 5).unwrap(), outcome(5, 1, ""))]);
        assert_eq!(Compared::of(&of_no_event, &HashMap::<_, _>::default()).differ, 1);
    }
}
