//! The order of shards: after a reshard, parents before their children (I4). Pure.

use std::collections::{BTreeMap, BTreeSet};

/// A shard, as far as its place among the others goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardInfo {
    /// Its id.
    pub id: String,
    /// The shard or shards it came from by a split or a merge. They may be gone.
    pub parents: Vec<String>,
}

/// The ids of all shards, each after its parents; where that leaves a choice, by id. A circle, which no stream has, is
/// broken at its lowest id.
#[must_use]
pub fn in_order(shards: &[ShardInfo]) -> Vec<String> {
    let mut open: BTreeMap<&str, BTreeSet<&str>> = shards
        .iter()
        .map(|shard| (shard.id.as_str(), shard.parents.iter().map(String::as_str).collect()))
        .collect();
    let mut ordered = Vec::with_capacity(open.len());
    while !open.is_empty() {
        let ready: Vec<&str> = open
            .iter()
            .filter(|(_, parents)| parents.iter().all(|parent| !open.contains_key(parent)))
            .map(|(id, _)| *id)
            .collect();
        let ready = if ready.is_empty() {
            open.keys().take(1).copied().collect()
        } else {
            ready
        };
        for id in ready {
            open.remove(id);
            ordered.push(id.to_owned());
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(id: &str, parents: &[&str]) -> ShardInfo {
        ShardInfo {
            id: id.to_owned(),
            parents: parents.iter().map(|parent| (*parent).to_owned()).collect(),
        }
    }

    #[test]
    fn a_child_comes_after_all_its_parents() {
        let shards = [
            shard("1-merged", &["2", "3"]),
            shard("2", &["0"]),
            shard("3", &["0"]),
            shard("0", &["gone"]),
        ];
        assert_eq!(in_order(&shards), ["0", "2", "3", "1-merged"]);
    }

    #[test]
    fn a_circle_ends() {
        let shards = [shard("a", &["b"]), shard("b", &["a"]), shard("c", &["c"])];
        assert_eq!(in_order(&shards).len(), 3);
    }
}
