//! The name that somebody may have meant.

/// Of some names, the one that is nearest to a word, if it is near enough to be meant.
pub(super) fn nearest<'n>(word: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let far = (word.len() / 3).max(2);
    let ranked = names.map(|name| (apart(word, name).min(apart_at_the_end(word, name)), name));
    let nearest = ranked.min_by_key(|(apart, _)| *apart);
    nearest.filter(|(apart, _)| *apart <= far).map(|(_, name)| name)
}

/// How far a word without a dot is from the last part of a name: whoever writes `amount_minor` means `event.amount_minor`.
fn apart_at_the_end(word: &str, name: &str) -> usize {
    match name.split_once('.') {
        Some((_, last)) => apart(word, last),
        None => usize::MAX,
    }
}

/// Letters to put in, take out or change on the way from one word to another. Long words are far from all others.
fn apart(one: &str, other: &str) -> usize {
    const LETTERS_MAX: usize = 80;
    let other: Vec<char> = other.chars().collect();
    if one.len() > LETTERS_MAX || other.len() > LETTERS_MAX {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, letter) in one.chars().enumerate() {
        let mut corner = row[0];
        row[0] = above + 1;
        for (at, against) in other.iter().enumerate() {
            let changed = corner + usize::from(letter != *against);
            corner = row[at + 1];
            row[at + 1] = changed.min(corner + 1).min(row[at] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_and_none_where_none_is_near() {
        let names = ["event.amount_minor", "event.country", "score", "features.count_1h"];
        let nearest = |word: &str| nearest(word, names.into_iter());
        assert_eq!(nearest("event.amout_minor"), Some("event.amount_minor"));
        assert_eq!(nearest("amount_minor"), Some("event.amount_minor"));
        assert_eq!(nearest("scor"), Some("score"));
        assert_eq!(nearest("features.count_2h"), Some("features.count_1h"));
        assert_eq!(nearest("something_else_entirely"), None);
    }
}
