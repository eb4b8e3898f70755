//! A model's own bytes, its chunks, and its name.

use std::borrow::Cow;
use std::path::Path;

use proptest::prelude::*;
use tidemark_domain::trees::{
    CHUNK_BYTES_MAX, Chunk, ChunkError, DecodeError, InvalidModel, MODEL_BYTES_MAX, TreeModel, TreeModelKey, join,
    split,
};

use super::hand_made::{Tree, chain, leaf, model, small_tree, stump};

/// The name of the model in the golden file.
const NAME: &str = "aeff1ff4c4d3bca4";

/// The golden file of version 1. `TIDEMARK_BLESS=1` writes it. Once it was released, a change is a new version instead.
#[test]
#[allow(clippy::disallowed_methods)] // a switch for whoever runs the test, not configuration
fn the_bytes_of_version_1_are_read_and_written_for_ever() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/trees-v1.bin");
    let imported = TreeModel::from_xgboost(include_bytes!("xgboost-3.json")).unwrap();
    if std::env::var("TIDEMARK_BLESS").is_ok_and(|value| value == "1") {
        std::fs::write(&path, imported.encode()).unwrap();
    }
    let golden = std::fs::read(&path).unwrap();
    assert_eq!(
        imported.encode(),
        golden,
        "the format has changed: that needs a new version"
    );
    assert_eq!(TreeModel::decode(&golden).unwrap(), imported);
    assert_eq!(TreeModelKey::of(&golden).to_string(), NAME);
}

/// The bytes as the drawing has them.
#[test]
fn bytes_are_laid_out_as_drawn() {
    let mut drawn = vec![1, 2, 0, 6];
    drawn.extend(b"amount\x04hour");
    drawn.extend(0.0_f32.to_le_bytes());
    drawn.extend(2_u16.to_le_bytes());
    let mut node = |head: u16, numbers: &[f32]| {
        drawn.extend(head.to_le_bytes());
        numbers.iter().for_each(|number| drawn.extend(number.to_le_bytes()));
    };
    node(1 << 14, &[100.0, 0.875]);
    node(1, &[6.0, -0.0625]);
    node(1 << 15, &[0.5]);
    node(1 << 15, &[-0.25]);
    node(1 << 15, &[1.5]);
    node(1 << 15, &[0.75]);
    let model = model(&[small_tree(), leaf(0.75)]);
    assert_eq!(model.encode(), drawn);
    assert_eq!(TreeModel::decode(&drawn).unwrap(), model);
}

#[test]
fn what_is_no_model_is_refused_by_its_name() {
    let bytes = model(&[stump()]).encode();
    let changed = |at: usize, to: &[u8]| {
        let mut changed = bytes.clone();
        changed[at..at + to.len()].copy_from_slice(to);
        TreeModel::decode(&changed).unwrap_err()
    };
    // version, count, "amount", "hour", base margin, trees: the root stands at 21.
    let (margin, count, root) = (15, 19, 21);
    assert_eq!(TreeModel::decode(&[]), Err(DecodeError::Empty));
    assert_eq!(changed(0, &[2]), DecodeError::UnknownVersion(2));
    assert_eq!(
        TreeModel::decode(&vec![1; MODEL_BYTES_MAX + 1]),
        Err(DecodeError::TooLong)
    );
    for length in 1..bytes.len() {
        let found = TreeModel::decode(&bytes[..length]);
        assert_eq!(found, Err(DecodeError::Truncated), "{length} bytes");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(TreeModel::decode(&longer), Err(DecodeError::Trailing));
    assert_eq!(changed(4, &[0xff]), DecodeError::NotText(0));
    assert_eq!(changed(4, b"\n"), InvalidModel::FeatureName(0).into());
    assert_eq!(
        changed(margin, &f32::NAN.to_le_bytes()),
        InvalidModel::BaseMargin.into()
    );
    assert_eq!(changed(count, &[2, 0]), DecodeError::Truncated);
    assert_eq!(changed(count, &[0, 0]), DecodeError::Trailing);
    let (tree, feature) = (0, 2);
    assert_eq!(
        changed(root, &[2, 0]),
        InvalidModel::FeatureRange { tree, feature }.into()
    );
    assert_eq!(changed(root, &[0, 0xc0]), DecodeError::Node { tree });
    let infinity = f32::INFINITY.to_le_bytes();
    assert_eq!(changed(root + 2, &infinity), InvalidModel::Threshold { tree }.into());
    assert_eq!(changed(root + 6, &infinity), InvalidModel::Leaf { tree }.into());
    assert_eq!(
        changed(root + 12, &f32::NAN.to_le_bytes()),
        InvalidModel::Leaf { tree }.into()
    );
    let none = [&bytes[..count], &[0, 0]].concat();
    assert_eq!(TreeModel::decode(&none), Err(InvalidModel::NoTrees.into()));
    assert_eq!(
        TreeModel::decode(&[1, 0, 0, 0, 0, 0, 0, 0, 0]),
        Err(InvalidModel::NoFeatures.into())
    );
}

#[test]
fn a_chain_of_splits_without_an_end_is_too_deep() {
    let mut bytes = model(&[chain(16)]).encode();
    bytes.truncate(21);
    for _ in 0..17 {
        bytes.extend([0; 10]);
    }
    assert_eq!(TreeModel::decode(&bytes), Err(InvalidModel::TooDeep { tree: 0 }.into()));
}

/// Bytes of three chunks and a little.
fn long() -> Vec<u8> {
    (0..3 * CHUNK_BYTES_MAX + 5).map(|at| (at % 251) as u8).collect()
}

#[test]
fn chunks_fit_an_item_and_give_the_bytes_again_in_any_order() {
    let bytes = long();
    let key = TreeModelKey::of(&bytes);
    let mut chunks = split(&bytes).unwrap();
    assert_eq!(chunks.len(), 4);
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk.bytes.len() <= CHUNK_BYTES_MAX && chunk.count == 4 && chunk.key == key)
    );
    chunks.reverse();
    assert_eq!(join(key, &chunks).unwrap(), bytes);
    let small = split(b"1").unwrap();
    assert_eq!(join(small[0].key, &small).unwrap(), b"1");
    assert_eq!(split(&[]), Err(ChunkError::None));
    assert_eq!(split(&vec![0; MODEL_BYTES_MAX + 1]), Err(ChunkError::TooLong));
    assert_eq!(
        split(&vec![0; MODEL_BYTES_MAX]).unwrap().len(),
        MODEL_BYTES_MAX.div_ceil(CHUNK_BYTES_MAX)
    );
}

#[test]
fn chunks_that_are_not_the_model_are_refused_by_name() {
    let bytes = long();
    let key = TreeModelKey::of(&bytes);
    let changed = |change: &dyn Fn(&mut Vec<Chunk<'_>>)| {
        let mut chunks = split(&bytes).unwrap();
        change(&mut chunks);
        join(key, &chunks).unwrap_err()
    };
    assert_eq!(join(key, &[]), Err(ChunkError::None));
    for index in 0..4 {
        let gone = changed(&|chunks| drop(chunks.remove(usize::from(index))));
        assert_eq!(gone, ChunkError::Missing(index));
    }
    assert_eq!(changed(&|chunks| chunks.push(chunks[2].clone())), ChunkError::Twice(2));
    assert_eq!(
        changed(&|chunks| chunks[1].key = TreeModelKey(7)),
        ChunkError::OfAnother(1)
    );
    assert_eq!(
        changed(&|chunks| chunks[1].count = 5),
        ChunkError::Count { index: 1, count: 5 }
    );
    assert_eq!(
        changed(&|chunks| chunks[1].index = 4),
        ChunkError::Count { index: 4, count: 4 }
    );
    assert_eq!(
        changed(&|chunks| chunks[1].bytes = Cow::Borrowed(&[])),
        ChunkError::Length(1)
    );
    let much = || Cow::Owned(vec![0; CHUNK_BYTES_MAX + 1]);
    assert_eq!(changed(&|chunks| chunks[1].bytes = much()), ChunkError::Length(1));
    assert_eq!(
        changed(&|chunks| chunks[3].bytes = Cow::Borrowed(&[1])),
        ChunkError::Hash(key.0)
    );
    assert_eq!(
        join(TreeModelKey(7), &split(&bytes).unwrap()),
        Err(ChunkError::OfAnother(0))
    );
    let many = changed(&|chunks| {
        let last = Chunk {
            count: 20,
            ..chunks[0].clone()
        };
        *chunks = (0..20).map(|index| Chunk { index, ..last.clone() }).collect();
    });
    assert_eq!(many, ChunkError::TooLong);
}

prop_compose! {
    /// A tree of any shape up to depth 5, whose nodes stand in the file in the order in which they were split.
    fn any_tree()(choices in prop::collection::vec((any::<bool>(), 0..2_u32, -1e6_f32..1e6, any::<bool>(), 0.0_f32..1e6), 1..40)) -> Tree {
        let mut tree = leaf(0.0);
        let mut depths = vec![0];
        for (node, (splits, feature, value, left, cover)) in choices.into_iter().enumerate() {
            if node >= tree.left.len() {
                break;
            }
            (tree.value[node], tree.default_left[node], tree.cover[node]) = (value, u8::from(left), cover);
            if splits && depths[node] < 5 {
                let next = tree.left.len() as i32;
                (tree.left[node], tree.right[node], tree.feature[node]) = (next, next + 1, feature);
                for _ in 0..2 {
                    let Tree { left, right, feature, value, default_left, cover } = leaf(0.25);
                    tree.left.extend(left);
                    tree.right.extend(right);
                    tree.feature.extend(feature);
                    tree.value.extend(value);
                    tree.default_left.extend(default_left);
                    tree.cover.extend(cover);
                    depths.push(depths[node] + 1);
                }
            }
        }
        tree
    }
}

proptest! {
    /// A model is the same after its bytes, and says what the file's arrays say.
    #[test]
    fn models_come_back_and_say_what_the_file_says(trees in prop::collection::vec(any_tree(), 1..5), amount in prop::option::of(-1e6_f32..1e6), hour in prop::option::of(-1e6_f32..1e6)) {
        let model = model(&trees);
        let bytes = model.encode();
        prop_assert_eq!(&TreeModel::decode(&bytes).unwrap(), &model);
        let values = [amount.unwrap_or(f32::NAN), hour.unwrap_or(f32::NAN)];
        let mut expected = 0.0_f32;
        for tree in &trees {
            let mut node = 0;
            while tree.left[node] != -1 {
                let value = values[tree.feature[node] as usize];
                let left = if value.is_nan() { tree.default_left[node] == 1 } else { value < tree.value[node] };
                node = if left { tree.left[node] } else { tree.right[node] } as usize;
            }
            expected += tree.value[node];
        }
        prop_assert_eq!(model.margin(&values).unwrap().0.to_bits(), expected.to_bits());
    }

    /// One bit more or less is another model or none, and never the same bytes again.
    #[test]
    fn a_flipped_bit_never_goes_unnoticed(trees in prop::collection::vec(any_tree(), 1..3), at in any::<prop::sample::Index>(), bit in 0..8) {
        let bytes = model(&trees).encode();
        let mut changed = bytes.clone();
        changed[at.index(bytes.len())] ^= 1_u8 << bit;
        if let Ok(other) = TreeModel::decode(&changed) {
            prop_assert_eq!(other.encode(), changed);
        }
    }
}
