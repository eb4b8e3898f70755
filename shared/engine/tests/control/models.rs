//! Models of trees: taken with the policy that names them, chunk by chunk, and the last good policy where they can't be had.

use tidemark_domain::control::item::{Field, policy_key};
use tidemark_domain::control::model::chunk_key;
use tidemark_domain::control::{PolicyVersion, Rollout};
use tidemark_domain::trees::{ChunkError, TreeModel, TreeModelKey, split};
use tidemark_engine::control::{ControlProblem, UnusableModel, UnusablePolicy};

use super::{Plane, stamp};

/// A model's own bytes: full trees of a depth, each split by `count_1h`.
fn model_bytes(trees: u16, depth: u32) -> Vec<u8> {
    fn grow(bytes: &mut Vec<u8>, depth: u32) {
        if depth == 0 {
            bytes.extend((1_u16 << 15).to_le_bytes());
            bytes.extend(0.001_f32.to_le_bytes());
            return;
        }
        bytes.extend(0_u16.to_le_bytes());
        bytes.extend((depth as f32).to_le_bytes());
        bytes.extend(0.001_f32.to_le_bytes());
        grow(bytes, depth - 1);
        grow(bytes, depth - 1);
    }
    let name = b"count_1h";
    let mut bytes = vec![1, 1, 0, name.len() as u8];
    bytes.extend(name);
    bytes.extend((-2.0_f32).to_le_bytes());
    bytes.extend(trees.to_le_bytes());
    (0..trees).for_each(|_| grow(&mut bytes, depth));
    assert!(TreeModel::decode(&bytes).is_ok());
    bytes
}

impl Plane {
    fn publish_trees(&self, version: u32, key: TreeModelKey) {
        let text = format!(
            "version = {version}\nwindows_minutes = [60]\nfeatures = [\"count_1h\"]\n[thresholds]\nreview = 400\n\
             alert = 500\n[trees]\nmodel = \"{key}\"\n"
        );
        let stamp = stamp();
        let published = PolicyVersion { version, text, stamp };
        self.plane.set(&policy_key(version), Some(published.to_fields()));
    }

    fn put_chunks(&self, bytes: &[u8]) -> TreeModelKey {
        let chunks = split(bytes).unwrap();
        for chunk in &chunks {
            let fields = chunk.to_fields(&stamp());
            self.plane.set(&chunk_key(chunk.key, chunk.index), Some(fields));
        }
        chunks[0].key
    }

    /// What is wrong with the model of the policy that can't be used.
    fn unusable_model(&self) -> UnusableModel {
        match &self.problems()[..] {
            [
                problem @ ControlProblem::Policy {
                    why: UnusablePolicy::Model { why, .. },
                    ..
                },
            ] => {
                assert!(problem.is_of_model());
                why.clone()
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_policy_of_trees_is_taken_with_its_model_and_the_model_is_read_once() {
    let plane = Plane::new();
    let key = plane.put_chunks(&model_bytes(3, 2));
    plane.publish_trees(2, key);
    plane.publish_trees(3, key);
    plane.activate(2, None);
    let reads = plane.plane.reads();
    let directives = plane.ready().unwrap();
    assert_eq!(directives.policy.trees.as_ref().map(|trees| trees.key), Some(key));
    assert_eq!(
        plane.plane.reads() - reads,
        3,
        "the items, the policy, the model's only chunk"
    );
    assert_eq!(plane.problems(), []);
    // A candidate of the same model finds it at hand.
    let rollout = Rollout {
        candidate: 3,
        share_pct: 10,
    };
    plane.activate(2, Some(rollout));
    plane.later(10_000);
    let reads = plane.plane.reads();
    assert_eq!(plane.ready().unwrap().candidate.unwrap().policy.version, 3);
    assert_eq!(plane.plane.reads() - reads, 2);
}

#[test]
fn a_model_that_is_not_there_leaves_the_last_good_policy_until_it_is() {
    let plane = Plane::new();
    let bytes = model_bytes(3, 2);
    let key = TreeModelKey::of(&bytes);
    plane.publish(2);
    plane.publish_trees(3, key);
    plane.activate(2, None);
    assert_eq!(plane.version(), 2);
    plane.activate(3, None);
    plane.later(10_000);
    assert_eq!(plane.version(), 2, "no batch waits for a model");
    assert_eq!(plane.unusable_model(), UnusableModel::Absent(0));
    let text = plane.problems()[0].to_string();
    assert_eq!(text, "policy 3");
    plane.put_chunks(&bytes);
    plane.later(10_000);
    assert_eq!(plane.version(), 3);
    assert_eq!(plane.problems(), []);
}

#[test]
fn a_damaged_model_is_named_and_is_taken_once_it_is_mended() {
    let bytes = model_bytes(2_000, 4);
    let key = TreeModelKey::of(&bytes);
    let chunks = split(&bytes).unwrap();
    assert_eq!(chunks.len(), 2);
    let sort = |index| chunk_key(key, index);
    let fields = |index: usize| chunks[index].to_fields(&stamp());
    let other = |index: usize, attribute: &str, field| {
        let mut fields = fields(index);
        fields.insert(attribute.to_owned(), field);
        Some(fields)
    };
    let mut flipped = chunks[1].bytes.to_vec();
    flipped[70] ^= 1;
    for (index, item, expected) in [
        (1, None, UnusableModel::Absent(1)),
        (
            1,
            other(1, "bytes", Field::Bytes(flipped)),
            UnusableModel::Chunks(ChunkError::Hash(key.0)),
        ),
        (
            1,
            other(1, "count", Field::Number("3".to_owned())),
            UnusableModel::Chunks(ChunkError::Count { index: 1, count: 3 }),
        ),
        (
            0,
            other(0, "count", Field::Number("60000".to_owned())),
            UnusableModel::Chunks(ChunkError::TooLong),
        ),
    ] {
        let plane = Plane::new();
        plane.put_chunks(&bytes);
        plane.publish_trees(2, key);
        plane.plane.set(&sort(index), item);
        plane.activate(2, None);
        assert_eq!(plane.version(), 1, "the function's own policy: {expected:?}");
        let found = match plane.unusable_model() {
            // Whether too few or too many come first, is the same to an operator.
            UnusableModel::Absent(2) => UnusableModel::Chunks(ChunkError::Count { index: 1, count: 3 }),
            found => found,
        };
        assert_eq!(found, expected);
        plane.put_chunks(&bytes);
        plane.later(10_000);
        assert_eq!(plane.version(), 2, "mended: {expected:?}");
    }
    let plane = Plane::new();
    plane.put_chunks(&bytes);
    plane.publish_trees(2, key);
    plane
        .plane
        .set(&sort(0), other(0, "bytes", Field::Text("{}".to_owned())));
    plane.activate(2, None);
    assert_eq!(plane.version(), 1);
    assert!(matches!(plane.unusable_model(), UnusableModel::Item(_)));
}

/// A read that is given up on in the middle of a model goes on where it was.
#[test]
fn chunks_that_came_are_kept_when_the_rest_does_not_answer() {
    let plane = Plane::new();
    let bytes = model_bytes(2_000, 4);
    let key = plane.put_chunks(&bytes);
    plane.publish_trees(2, key);
    plane.activate(2, None);
    let second = chunk_key(key, 1);
    plane.plane.hang_at(Some(&second));
    assert!(plane.ready().is_none(), "nothing is known yet: the batch comes again");
    plane.plane.hang_at(None);
    let reads = plane.plane.reads();
    assert_eq!(plane.version(), 2);
    assert_eq!(
        plane.plane.reads() - reads,
        3,
        "the items, the policy, and the second chunk alone"
    );
}
