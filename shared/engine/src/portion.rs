//! A long list in portions: what one call of a port is given.

use std::collections::VecDeque;

/// What one call of a port is given at most: so little that it answers soon, and the deadline is looked at in between.
pub(crate) struct CallLimit<T> {
    pub(crate) items_max: usize,
    pub(crate) bytes_max: usize,
    /// What an item counts, bytes.
    pub(crate) bytes_of: fn(&T) -> usize,
}

/// Takes the next items, at least one, with their places.
pub(crate) fn next_portion<T>(left: &mut VecDeque<(usize, T)>, limit: &CallLimit<T>) -> (Vec<usize>, Vec<T>) {
    let count = left.len().min(limit.items_max.max(1));
    let (mut places, mut portion) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let mut bytes = 0;
    while let Some((place, item)) = left.pop_front_if(|(_, item)| {
        bytes += (limit.bytes_of)(item);
        places.is_empty() || (places.len() < count && bytes <= limit.bytes_max)
    }) {
        places.push(place);
        portion.push(item);
    }
    (places, portion)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: CallLimit<usize> = CallLimit {
        items_max: 3,
        bytes_max: 10,
        bytes_of: |item| *item,
    };

    #[test]
    fn a_slice_respects_both_limits_and_holds_one_item_at_least() {
        let mut left: VecDeque<(usize, usize)> = [4, 4, 4, 90, 1, 1, 1, 1].into_iter().enumerate().collect();
        let mut portions = Vec::new();
        while !left.is_empty() {
            portions.push(next_portion(&mut left, &LIMIT).1);
        }
        assert_eq!(portions, [vec![4, 4], vec![4], vec![90], vec![1, 1, 1], vec![1]]);
    }
}
