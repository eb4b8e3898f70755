//! Boosted trees by the drawing of a model's bytes (`shared/domain/src/trees/codec.rs`): read into boxes, and walked by recursion. It takes
//! from the system the bytes alone.

use tidemark_domain::catalogue::FeatureKey;

/// A tree, or a part of one.
enum Tree {
    Leaf(f32),
    Split {
        feature: usize,
        missing_left: bool,
        threshold: f32,
        expected: f32,
        left: Box<Tree>,
        right: Box<Tree>,
    },
}

/// What the trees say of some values.
pub(super) struct Said {
    /// Log odds.
    pub(super) margin: f32,
    /// What each feature added to that, in the model's order.
    pub(super) parts: Vec<f64>,
}

/// What the model of these bytes says of values that are given by the features' names; `None`: the bytes are none of a model.
pub(super) fn say(bytes: &[u8], value_of: impl Fn(FeatureKey) -> Option<f64>) -> Option<(Vec<FeatureKey>, Said)> {
    let mut rest = Bytes(bytes.get(1..)?);
    let names: Vec<FeatureKey> = (0..rest.u16()?).map(|_| rest.name()).collect::<Option<_>>()?;
    #[allow(clippy::cast_possible_truncation)] // XGBoost takes single precision
    let single = |value: f64| value as f32;
    let values: Vec<Option<f32>> = names.iter().map(|key| value_of(*key).map(single)).collect();
    let mut said = Said {
        margin: rest.f32()?,
        parts: vec![0.0; names.len()],
    };
    for _ in 0..rest.u16()? {
        let tree = rest.tree()?;
        said.margin += walk(&tree, &values, &mut said.parts);
    }
    rest.0.is_empty().then_some((names, said))
}

/// The leaf that the values lead to; each split on the way gives its feature what the expectation changes by.
fn walk(tree: &Tree, values: &[Option<f32>], parts: &mut [f64]) -> f32 {
    match tree {
        Tree::Leaf(value) => *value,
        Tree::Split {
            feature,
            missing_left,
            threshold,
            left,
            right,
            ..
        } => {
            let is_left = values[*feature].map_or(*missing_left, |value| value < *threshold);
            let next = if is_left { left } else { right };
            parts[*feature] += f64::from(expected(next)) - f64::from(expected(tree));
            walk(next, values, parts)
        }
    }
}

fn expected(tree: &Tree) -> f32 {
    match tree {
        Tree::Leaf(value) => *value,
        Tree::Split { expected, .. } => *expected,
    }
}

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn f32(&mut self) -> Option<f32> {
        self.take().map(f32::from_le_bytes)
    }

    fn name(&mut self) -> Option<FeatureKey> {
        let [length] = self.take()?;
        let (name, rest) = self.0.split_at_checked(usize::from(length))?;
        self.0 = rest;
        FeatureKey::parse(std::str::from_utf8(name).ok()?).ok()
    }

    fn tree(&mut self) -> Option<Tree> {
        let head = self.u16()?;
        let value = self.f32()?;
        if head & 0x8000 != 0 {
            return Some(Tree::Leaf(value));
        }
        Some(Tree::Split {
            feature: usize::from(head & 0x3FFF),
            missing_left: head & 0x4000 != 0,
            threshold: value,
            expected: self.f32()?,
            left: Box::new(self.tree()?),
            right: Box::new(self.tree()?),
        })
    }
}
