//! A long list in calls of bounded length and size, and the answers put together again.

use std::ops::Range;

use tidemark_engine::port::PortError;

/// What one call said of its range: the positions in it that were not taken, or why it failed.
pub(crate) type Answer = (Range<usize>, Result<Vec<usize>, PortError>);

/// Cuts `items` into ranges of at most `count_max` items and `bytes_max` bytes. An item over `bytes_max` goes alone.
pub(crate) fn chunks<T>(
    items: &[T],
    count_max: usize,
    bytes_max: usize,
    size: impl Fn(&T) -> usize,
) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (at, item) in items.iter().enumerate() {
        let own = size(item);
        if at > start && (at - start == count_max || bytes + own > bytes_max) {
            ranges.push(start..at);
            (start, bytes) = (at, 0);
        }
        bytes += own;
    }
    if start < items.len() {
        ranges.push(start..items.len());
    }
    ranges
}

/// Positions in the whole list that were not taken. A call that failed took none of its range; when no call got through,
/// or when trying again cannot help, the failure itself is the answer.
pub(crate) fn merge(answers: Vec<Answer>) -> Result<Vec<usize>, PortError> {
    let any_answered = answers.iter().any(|(_, answer)| answer.is_ok());
    let mut left = Vec::new();
    for (range, answer) in answers {
        match answer {
            Ok(failed) => left.extend(failed.into_iter().map(|at| range.start + at)),
            Err(error) if !any_answered || !error.is_transient() => return Err(error),
            Err(_) => left.extend(range),
        }
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_respect_both_limits_and_lose_nothing() {
        let sizes = [4, 4, 4, 9, 30, 1];
        assert_eq!(chunks(&sizes, 2, 10, |size| *size), [0..2, 2..3, 3..4, 4..5, 5..6]);
        assert_eq!(chunks(&sizes, 100, 1_000, |size| *size), vec![0..6; 1]);
        assert!(chunks(&[] as &[usize], 2, 10, |size| *size).is_empty());
    }

    #[test]
    fn a_failed_call_leaves_its_range_when_another_got_through() {
        let throttled = || Err(PortError::Throttled("t".to_owned()));
        assert_eq!(
            merge(vec![(0..3, Ok(vec![1])), (3..5, throttled())]).unwrap(),
            [1, 3, 4]
        );
        assert!(matches!(merge(vec![(0..3, throttled())]), Err(PortError::Throttled(_))));
        let denied = Err(PortError::Permanent("p".to_owned()));
        assert!(matches!(
            merge(vec![(0..3, Ok(vec![])), (3..5, denied)]),
            Err(PortError::Permanent(_))
        ));
        assert!(merge(vec![]).unwrap().is_empty());
    }
}
